"""Bars in files that other programs read."""

from __future__ import annotations

import csv
import io
import json
import stat
import sys
import threading
from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy import text

from core.adjust import Action, ActionKind, Basis
from core.cache import MarketCache
from core.clock import ManualClock
from core.errors import BadInput, Cancelled
from core.export import COLUMNS, BarExport, Format, file_name, find_series, guarded, unguarded
from core.intervals import Interval
from core.model import AssetClass, RunState
from core.ranges import span_of, ts_of

NOON = float(ts_of("2024-06-03T16:00"))
DAYS = ("2024-01-02", "2024-01-03", "2024-01-04", "2024-01-05")


def frame(days=DAYS, *, first: float = 100.0) -> pd.DataFrame:
    closes = [first + n / 3 for n in range(len(days))]
    return pd.DataFrame(
        {
            "open": closes,
            "high": [close + 1 for close in closes],
            "low": [close - 1 for close in closes],
            "close": closes,
            "volume": [1_000.0 + n for n in range(len(days))],
        },
        index=pd.DatetimeIndex(pd.to_datetime(list(days)), name="date"),
    )


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
def cache(any_store, clock: ManualClock):
    opened = MarketCache(store=any_store, clock=clock)
    opened.set("AAPL", frame(), "yahoo")
    opened.set("AAPL", frame(first=50), "alpaca:sip", adjustment="all")
    opened.set("BTC/USD", frame(), "yahoo", asset_type="crypto")
    return opened


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_csv_holds_every_bar_as_it_is_stored(cache, any_store, clock, tmp_path: Path) -> None:
    series = find_series(any_store, symbol="AAPL", source="yahoo")
    path = tmp_path / "x.csv"
    done = BarExport(any_store, series, Format.CSV, clock=clock).run(path)
    assert (done.path, done.series, done.bars) == (path, 1, 4)
    rows = rows_of(path)
    assert tuple(rows[0]) == COLUMNS
    assert [row["date"] for row in rows] == list(DAYS)
    assert [float(row["close"]) for row in rows] == frame()["close"].tolist()
    assert rows[1] | {"open": "", "close": "", "high": "", "low": ""} == {
        **dict.fromkeys(COLUMNS, ""),
        "symbol": "AAPL",
        "asset_class": "stock",
        "interval": "1d",
        "source": "yahoo",
        "price_basis": "raw",
        "date": "2024-01-03",
        "volume": "1001",
        "provisional": "0",
    }
    assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0o044


def test_json_is_one_object_with_a_list_of_series(cache, any_store, clock, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    BarExport(any_store, find_series(any_store), Format.JSON, clock=clock).run(path)
    found = json.loads(path.read_text())
    assert (found["format"], found["version"]) == ("stockyard-bars", 1)
    heads = [(one["symbol"], one["source"], one["price_basis"]) for one in found["series"]]
    assert heads == [
        ("AAPL", "alpaca:sip", "all"),
        ("AAPL", "yahoo", "raw"),
        ("BTC/USD", "yahoo", "raw"),
    ]
    bar = found["series"][1]["bars"][3]
    assert (bar["date"], bar["close"], bar["volume"]) == ("2024-01-05", 101.0, 1003.0)
    assert (bar["vwap"], bar["provisional"]) == (None, False)


def test_parquet_has_typed_columns(cache, any_store, clock, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    path = tmp_path / "x.parquet"
    done = BarExport(any_store, find_series(any_store), Format.PARQUET, clock=clock).run(path)
    found = pd.read_parquet(path)
    assert (len(found), tuple(found.columns)) == (done.bars, COLUMNS)
    assert found["date"].iloc[0] == pd.Timestamp("2024-01-02", tz="UTC")
    own = found[(found["symbol"] == "AAPL") & (found["source"] == "yahoo")]
    assert own["close"].tolist() == frame()["close"].tolist()
    assert str(found["provisional"].dtype) == "bool"


def test_parquet_without_its_package_is_explained(
    any_store, cache, clock, tmp_path, monkeypatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    export = BarExport(any_store, find_series(any_store), Format.PARQUET, clock=clock)
    with pytest.raises(BadInput, match="need the package pyarrow"):
        export.run(tmp_path / "x.parquet")
    assert list(tmp_path.glob("x*")) == []


def test_a_range_and_a_price_basis_can_be_asked_for(any_store, clock, tmp_path: Path) -> None:
    with MarketCache(store=any_store, clock=clock) as cache:
        split = Action(ts_of("2024-01-04"), ActionKind.SPLIT, 2.0)
        cache.set("X", frame(first=100), "yahoo", actions=[split])
        expected = cache.get("X", "2024-01-03", "2024-01-05", basis="split")
    series = find_series(any_store, symbol="X")
    span = span_of("2024-01-03", "2024-01-05")
    path = tmp_path / "x.csv"
    BarExport(any_store, series, Format.CSV, span=span, basis=Basis.SPLIT, clock=clock).run(path)
    rows = rows_of(path)
    assert [row["date"] for row in rows] == ["2024-01-03", "2024-01-04", "2024-01-05"]
    assert [float(row["close"]) for row in rows] == expected["close"].tolist()
    assert [float(row["volume"]) for row in rows] == expected["volume"].tolist()
    assert {row["price_basis"] for row in rows} == {"split"}


def test_a_basis_is_not_computed_from_adjusted_prices(cache, any_store) -> None:
    adjusted = find_series(any_store, price_basis="all")
    with pytest.raises(BadInput, match="only raw prices"):
        BarExport(any_store, adjusted, Format.CSV, basis=Basis.SPLIT)


def test_intraday_bars_have_a_utc_time(any_store, clock, tmp_path: Path) -> None:
    with MarketCache(store=any_store, clock=clock) as cache:
        index = pd.date_range("2024-01-02 09:30", periods=3, freq="min", tz="America/New_York")
        cache.set("SPY", frame(range(3)).set_index(index), "alpaca:iex", timeframe="1Min")
    path = tmp_path / "x.csv"
    BarExport(any_store, find_series(any_store), Format.CSV, clock=clock).run(path)
    assert [row["date"] for row in rows_of(path)] == [
        f"2024-01-02T14:{minute}:00+00:00" for minute in (30, 31, 32)
    ]


def test_bars_past_their_time_to_live_are_left_out(any_store, clock, tmp_path: Path) -> None:
    with MarketCache(store=any_store, clock=clock) as cache:
        cache.set("X", frame(DAYS[:2]), "model", ttl_hours=1)
        cache.set("X", frame(DAYS[2:]), "model")
    clock.advance(3_601)
    path = tmp_path / "x.csv"
    BarExport(any_store, find_series(any_store), Format.CSV, clock=clock).run(path)
    assert [row["date"] for row in rows_of(path)] == list(DAYS[2:])


@pytest.mark.parametrize("text_cell", ["=1+1", "+1", "-1", "@x", "\tx", "\rx"])
def test_no_text_is_run_as_a_formula(text_cell: str) -> None:
    assert guarded(text_cell) == f"'{text_cell}"
    assert unguarded(guarded(text_cell)) == text_cell


@pytest.mark.parametrize("text_cell", ["AAPL", "^GSPC", "", "'quoted", "a=b"])
def test_other_texts_stay_as_they_are(text_cell: str) -> None:
    assert guarded(text_cell) == text_cell
    assert unguarded(text_cell) == text_cell


def test_formulas_are_guarded_in_text_columns_only(any_store, clock, tmp_path: Path) -> None:
    with MarketCache(store=any_store, clock=clock) as cache:
        bars = frame(DAYS[:1], first=-37.63)
        cache.set("=CMD", bars, "cme", asset_type="future")
    path = tmp_path / "x.csv"
    BarExport(any_store, find_series(any_store), Format.CSV, clock=clock).run(path)
    (row,) = rows_of(path)
    assert row["symbol"] == "'=CMD"
    assert float(row["close"]) == -37.63


def test_a_cancel_leaves_no_file(cache, any_store, clock, tmp_path: Path) -> None:
    export = BarExport(any_store, find_series(any_store), Format.CSV, clock=clock)
    export.control.pause()
    failed: list[BaseException] = []

    def work() -> None:
        try:
            export.run(tmp_path / "x.csv")
        except BaseException as error:  # noqa: BLE001 - looked at below
            failed.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    export.control.cancel()
    thread.join()
    assert isinstance(failed[0], Cancelled)
    assert export.progress().state is RunState.CANCELLED
    assert list(tmp_path.glob("x*")) == []


def test_progress_counts_bars(cache, any_store, clock) -> None:
    export = BarExport(any_store, find_series(any_store), Format.CSV, clock=clock)
    before = export.progress()
    assert (before.state, before.done, before.total) == (RunState.RUNNING, 0, 12)
    stream = io.StringIO()
    assert export.run(stream).path is None
    after = export.progress()
    assert (after.state, after.done) == (RunState.FINISHED, 12)
    assert len(stream.getvalue().splitlines()) == 13


def test_a_file_that_is_there_is_not_touched(cache, any_store, clock, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("mine")
    series = find_series(any_store, symbol="AAPL")
    with pytest.raises(BadInput, match="already a file"):
        BarExport(any_store, series, Format.CSV, clock=clock).run(path)
    assert path.read_text() == "mine"
    BarExport(any_store, series, Format.CSV, clock=clock).run(path, overwrite=True)
    assert len(rows_of(path)) == 8


def test_series_are_found_by_every_part_of_their_key(cache, any_store) -> None:
    def found(**wanted) -> int:
        return len(find_series(any_store, **wanted))

    assert found() == 3
    assert found(symbol="AAPL") == 2
    assert found(asset_class=AssetClass.CRYPTO) == 1
    assert found(interval=Interval.W1) == 0
    assert found(source="yahoo", price_basis="raw") == 2
    with any_store.write() as connection:
        connection.execute(text("UPDATE series SET bars = 0 WHERE symbol = 'AAPL'"))
    assert found() == 1


def test_file_names_say_what_is_in_them(cache, any_store) -> None:
    everything = find_series(any_store)
    assert file_name(everything, Format.CSV) == "bars.csv"
    assert file_name(find_series(any_store, symbol="AAPL"), Format.JSON) == "AAPL.json"
    crypto = find_series(any_store, symbol="BTC/USD")
    assert file_name(crypto, Format.PARQUET) == "BTC-USD_1d_yahoo_raw.parquet"
