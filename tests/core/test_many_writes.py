"""Bars of many symbols stored together: as one by one, on both database systems."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from core.adjust import Action, ActionKind
from core.cache import MarketCache
from core.clock import ManualClock
from core.errors import BadInput
from core.intervals import DAY
from core.spans import Span
from core.store import Store, undo
from core.store.schema import metadata

NOW = datetime(2024, 1, 17, 15, tzinfo=UTC).timestamp()
FIRST = datetime(2024, 1, 2, tzinfo=UTC)
DAYS = 16
SYMBOLS = ("A", "B", "C", "D", "a ", "E")
KINDS = (
    ("stock", "1Day", "raw"),
    ("stock", "1Day", "split"),
    ("crypto", "1Day", "raw"),
    ("future", "1Day", "split"),
    ("stock", "1Hour", "raw"),
    ("stock", "1Week", "raw"),
)
PRICES = (100.0, 100.0, 100.0, 101.0, 100.005, 150.0, 700.0, -5.0, 0.0, float("nan"), 1e308)


def prices_frame(days: list[int], values: list[float], odd: list[Any], step: timedelta) -> Any:
    """Bars at the days' times; `odd` are the columns beyond the usual ones."""
    stamps = [FIRST.replace(tzinfo=None) + step * one for one in days]
    close = np.resize(np.array(values or [100.0]), len(days))
    frame = pd.DataFrame(
        {"open": close, "high": close + 1, "low": close - 1, "close": close, "volume": 5.0},
        index=pd.DatetimeIndex(stamps, name="date"),
    )
    for name, value in odd:
        if name == "close only":
            frame = frame[["close", "volume"]]
        elif name == "impossible":
            if not len(frame) or "high" not in frame:
                continue
            frame.iloc[-1, frame.columns.get_loc("high")] = 1.0
        else:
            frame[name] = np.resize(np.array(value, dtype=float), len(days))
    return frame


QUICK = (Phase.explicit, Phase.reuse, Phase.generate)
"""Without making a failure smaller, which takes minutes where each try fills two databases."""

ODD = st.lists(
    st.sampled_from(
        [
            ("vwap", [100.5]),
            ("vwap", [100.5, float("nan")]),
            ("transactions", [7.0, float("nan"), 8.5]),
            ("transactions", [float("inf")]),
            ("close only", None),
            ("impossible", None),
        ]
    ),
    max_size=2,
)
ACTIONS = st.lists(
    st.builds(
        Action,
        st.integers(0, DAYS).map(lambda n: int(FIRST.timestamp()) + n * DAY),
        st.sampled_from(ActionKind),
        st.sampled_from([2.0, 0.5]),
    ),
    max_size=2,
)
ONE = st.tuples(
    st.lists(st.integers(0, DAYS - 1), max_size=10),
    st.lists(st.sampled_from(PRICES), max_size=4),
    ODD,
    ACTIONS,
)
ROUND = st.fixed_dictionaries(
    {
        "given": st.dictionaries(st.sampled_from(SYMBOLS), ONE, max_size=5),
        "kind": st.sampled_from(KINDS),
        "fetched_before_s": st.sampled_from([0, 0, DAY, 5 * DAY, 30 * DAY]),
        "asked": st.one_of(
            st.none(), st.tuples(st.integers(0, DAYS), st.integers(1, DAYS)).map(tuple)
        ),
    }
)


class Twins:
    """Two caches of one kind: one is given many symbols at once, the other one by one."""

    def __init__(self, stores: list[Store]) -> None:
        self.stores = stores

    def fresh(self) -> list[MarketCache]:
        for store in self.stores:
            with store.write() as connection:
                names = [table.name for table in metadata.sorted_tables]
                if connection.dialect.name == "sqlite":
                    for name in reversed(names):
                        connection.execute(metadata.tables[name].delete())
                else:
                    connection.execute(text(f"TRUNCATE {','.join(names)} RESTART IDENTITY"))
        clock = ManualClock(NOW)
        return [MarketCache(store=store, clock=clock) for store in self.stores]

    def held(self) -> list[dict[str, list[Any]]]:
        """Every row of every table of both."""
        found = []
        for store in self.stores:
            with store.read() as connection:
                found.append(
                    {
                        table.name: [
                            tuple(row)
                            for row in connection.execute(
                                table.select().order_by(*table.primary_key.columns)
                            )
                        ]
                        for table in metadata.sorted_tables
                    }
                )
        return found


@pytest.fixture(params=["sqlite", "postgresql"])
def twins(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Twins]:
    places: list[Path | str]
    if request.param == "sqlite":
        places = [tmp_path / "many.db", tmp_path / "single.db"]
    else:
        server = request.getfixturevalue("postgres_server")
        names = [f"twins_{tmp_path.name[-20:].lower()}_{n}" for n in range(2)]
        for name in names:
            server.create_database(name)
        places = [server.url(name) for name in names]
    stores = [Store.open(place) for place in places]
    yield Twins(stores)
    for store in stores:
        store.close()
    if request.param == "postgresql":
        for name in names:
            server.drop_database(name)


def asked_span(asked: tuple[int, int] | None) -> Span | None:
    if asked is None:
        return None
    start = int(FIRST.timestamp()) + asked[0] * DAY
    return Span(start, start + asked[1] * DAY)


def moments(span: Span | None) -> Any:
    """The span as `set` takes it: its end is included there."""
    if span is None:
        return None
    return tuple(datetime.fromtimestamp(one, tz=UTC) for one in (span.start, span.end - 1))


@settings(max_examples=25, phases=QUICK)
@given(rounds=st.lists(ROUND, min_size=1, max_size=4))
def test_many_at_once_leave_what_one_by_one_leaves(
    twins: Twins, monkeypatch: pytest.MonkeyPatch, rounds: list[dict[str, Any]]
) -> None:
    monkeypatch.setattr(undo, "KEPT", 6)
    monkeypatch.setattr(undo, "PURGE_EVERY", 4)
    many, single = twins.fresh()
    for one in rounds:
        asset, timeframe, adjustment = one["kind"]
        step = timedelta(hours=7) if timeframe == "1Hour" else timedelta(days=1)
        data = {
            symbol: prices_frame(days, values, odd, step)
            for symbol, (days, values, odd, _) in one["given"].items()
        }
        actions = {symbol: told for symbol, (*_, told) in one["given"].items()}
        span = asked_span(one["asked"])
        named = {"adjustment": adjustment, "fetched_at": NOW - one["fetched_before_s"]}
        together = many.set_many(
            data, "yahoo", asset, timeframe, actions=actions, asked=span, **named
        )
        apart = {}
        for symbol, frame in data.items():
            result = single.set(
                symbol,
                frame,
                "yahoo",
                asset,
                timeframe=timeframe,
                actions=actions[symbol],
                asked=moments(span),
                **named,
            )
            if len(frame) or span is not None:
                apart[symbol.strip().upper()] = result
        assert together == apart
        left, right = twins.held()
        assert left == right


@settings(max_examples=15, phases=QUICK)
@given(
    rounds=st.lists(
        st.tuples(
            st.integers(0, DAYS - 1),
            st.lists(st.tuples(st.sampled_from(SYMBOLS), st.sampled_from(PRICES)), max_size=6),
            st.sampled_from(["raw", "split"]),
            st.booleans(),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_a_session_of_the_market_leaves_what_one_by_one_leaves(
    twins: Twins, rounds: list[tuple[int, list[tuple[str, float]], str, bool]]
) -> None:
    many, single = twins.fresh()
    for day, rows, adjustment, with_vwap in rows_by_session(rounds):
        close = np.array([price for _, price in rows], dtype=float)
        frame = pd.DataFrame(
            {"open": close, "high": close, "low": close, "close": close, "volume": 3.0},
            index=pd.Index([name for name, _ in rows], dtype=str),
        )
        if with_vwap:
            frame["vwap"] = np.where(close > 100.5, close, np.nan)
            frame["transactions"] = 4
        date = (FIRST + timedelta(days=day)).strftime("%Y-%m-%d")
        result = many.set_session(frame, date, "polygon", adjustment=adjustment)
        for row, (name, _) in enumerate(rows):
            alone = frame.iloc[row : row + 1].set_index(pd.DatetimeIndex([date]))
            expected = single.set(name, alone, "polygon", adjustment=adjustment)
            assert result[name.strip().upper()] == expected
        left, right = twins.held()
        assert left == right


def rows_by_session(rounds: Any) -> Iterator[tuple[int, list[tuple[str, float]], str, bool]]:
    """The rounds with each symbol once, however it is spelled."""
    for day, rows, adjustment, with_vwap in rounds:
        once = {name.strip().upper(): (name, price) for name, price in rows}
        yield day, list(once.values()), adjustment, with_vwap


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[MarketCache]:
    with MarketCache(tmp_path / "cache.db", clock=ManualClock(NOW)) as opened:
        yield opened


def session_frame(**closes: float) -> pd.DataFrame:
    close = np.array(list(closes.values()))
    return pd.DataFrame(
        {"open": close, "high": close, "low": close, "close": close, "volume": 1.0},
        index=list(closes),
    )


def test_a_session_is_stored_under_its_date(cache: MarketCache) -> None:
    cache.set_session(session_frame(A=10.0, B=20.0), "2024-01-03", "polygon")
    result = cache.set_session(session_frame(A=11.0, B=-1.0), "2024-01-04", "polygon")
    assert int(result["A"]) == 1
    assert result["B"].rejected == (("2024-01-04", "a price is zero or negative"),)
    assert cache.get("A", source="polygon")["close"].tolist() == [10.0, 11.0]
    assert cache.cross_section("2024-01-03", "polygon")["close"].tolist() == [10.0, 20.0]


def test_a_symbol_that_a_session_names_twice_has_its_last_row(cache: MarketCache) -> None:
    frame = pd.concat([session_frame(A=10.0), session_frame(B=1.0), session_frame(a=12.0)])
    result = cache.set_session(frame, "2024-01-03", "polygon")
    assert list(result) == ["A", "B"]
    assert cache.get("A", source="polygon")["close"].tolist() == [12.0]
    assert [reason for _, reason in result["A"].rejected] == [
        "a later row has the same time, and counts instead"
    ]


def test_a_session_that_cannot_be_read_is_refused_whole(cache: MarketCache) -> None:
    with pytest.raises(BadInput, match="no column called close"):
        cache.set_session(session_frame(A=1.0)[["open"]], "2024-01-03", "polygon")
    with pytest.raises(BadInput, match="no symbol has"):
        cache.set_session(session_frame(**{"A": 1.0, "?": 2.0}), "2024-01-03", "polygon")
    assert cache.set_session(session_frame(A=1.0).iloc[:0], "2024-01-03", "polygon") == {}
    assert cache.get_stats()["total_entries"] == 0


def test_a_provisional_session_does_not_replace_a_final_one(cache: MarketCache) -> None:
    cache.set_session(session_frame(A=10.0, B=10.0), "2024-01-03", "polygon")
    during = datetime(2024, 1, 3, 18, tzinfo=UTC).timestamp()
    result = cache.set_session(
        session_frame(A=9.0, C=9.0), "2024-01-03", "polygon", fetched_at=during
    )
    assert (result["A"].kept_final, result["C"].inserted) == (1, 1)
    assert cache.get("A", source="polygon")["close"].tolist() == [10.0]
    assert cache.get_stats()["provisional_entries"] == 1


def test_an_answer_about_many_says_who_has_nothing(cache: MarketCache) -> None:
    frame = prices_frame([0, 1, 2], [], [], timedelta(days=1))
    asked = ("2024-01-02", "2024-01-04")
    cache.set_many({"A": frame, "NONE": frame.iloc[:0]}, "yahoo", asked=asked)
    for symbol, empty in (("A", 0), ("NONE", 3)):
        coverage = cache.coverage(symbol, *asked, "yahoo")
        assert (coverage.known_empty, coverage.missing_sessions) == (empty, 0)


def test_a_filled_hole_is_measured_from_the_bar_before_it(cache: MarketCache) -> None:
    days = list(range(10))
    rising = prices_frame(days, [100.0 * 1.1**n for n in days], [], timedelta(days=1))
    holes = rising.iloc[[2, 7]]
    cache.set("A", rising.drop(holes.index), "yahoo")
    cache.set("A", holes, "yahoo")
    assert [one for one in cache.findings("A") if one[1] == holes.index[1].timestamp()] == []


def test_more_findings_than_one_statement_can_carry(cache: MarketCache) -> None:
    days = pd.date_range("1990-01-01", periods=8_000, freq="D")
    close = np.where(np.arange(len(days)) % 2, 100.0, 10.0)
    frame = pd.DataFrame(
        {"open": close, "high": close, "low": close, "close": close, "volume": 1.0}, index=days
    )
    result = cache.set("A", frame, "yahoo", "crypto")
    assert result.findings == 7_999
    assert len(cache.findings("A")) == 7_999


@pytest.mark.parametrize("asset_type", ["stock", "future"])
def test_prices_of_any_size_are_judged_without_a_warning(
    cache: MarketCache, asset_type: str
) -> None:
    sizes = [5e-324, 1e308, 1e-300, 1.7e308, 0.0 if asset_type == "future" else 1.0, 3.0, -0.0]
    frame = pd.DataFrame(
        dict.fromkeys(("open", "high", "low", "close"), sizes) | {"volume": 1e308},
        index=pd.date_range("2024-01-02", periods=len(sizes)),
    )
    for given_now in (frame, frame.iloc[::-1].set_axis(frame.index), frame * 0.5):
        cache.set("A", given_now, "yahoo", asset_type, adjustment="split")
    wide = frame.assign(high=1.7e308, low=5e-324)
    assert cache.set("B", wide, "yahoo", asset_type).findings


def test_a_close_of_zero_that_comes_back_different_is_drift(cache: MarketCache) -> None:
    frame = prices_frame([0, 1], [0.0], [], timedelta(days=1))
    cache.set("CL", frame, "yahoo", "future", adjustment="split")
    result = cache.set("CL", frame + 5, "yahoo", "future", adjustment="split")
    assert result.drift is not None
    assert result.drift.stored_close == 0.0


@pytest.mark.parametrize(
    ("timeframe", "stamp"), [("1Hour", "2024-01-02 14:30 UTC"), ("1Day", "2024-01-02")]
)
def test_a_refused_row_is_named_by_its_time(cache: MarketCache, timeframe: str, stamp: str) -> None:
    frame = prices_frame([0], [-1.0], [], timedelta(days=1))
    frame.index = pd.DatetimeIndex(["2024-01-02 14:30"])
    result = cache.set("A", frame, "yahoo", timeframe=timeframe)
    assert [one[0] for one in result.rejected] == [stamp]
    assert [one[1] for one in cache.quarantined("A")] == [stamp]


def test_what_another_program_has_stored_is_found(tmp_path: Path) -> None:
    frame = prices_frame([0, 1], [], [], timedelta(days=1))
    clock = ManualClock(NOW)
    with MarketCache(tmp_path / "c.db", clock=clock) as cache:
        cache.set("A", frame, "yahoo", adjustment="split")
        assert cache.get("A", source="yahoo").attrs["adjustment"] == "split"
        with MarketCache(store=cache.store, clock=cache.clock) as other:
            other.set("A", frame, "yahoo")
        cache.forget_series()
        assert cache.get("A", source="yahoo").attrs["adjustment"] == "raw"


def test_naming_the_columns_of_one_frame_leaves_the_next_alone(cache: MarketCache) -> None:
    cache.set("A", prices_frame([0, 1], [], [], timedelta(days=1)), "yahoo")
    first = cache.get("A", source="yahoo")
    first.columns.name = "mine"
    first.loc[:, "close"] = 0.0
    again = cache.get("A", source="yahoo")
    assert again.columns.name is None
    assert again["close"].tolist() == [100.0, 100.0]


def test_frames_of_other_makes_are_read_alike(cache: MarketCache) -> None:
    plain = prices_frame([0, 1, 2], [100.0, 101.0], [("vwap", [1.0])], timedelta(days=1))
    whole = plain.astype({"volume": "int64"})
    single = plain.astype("float32")
    spelled = plain.rename(columns=str.upper).assign(note="x")
    nullable = plain.convert_dtypes()
    for number, frame in enumerate((plain, whole, single, spelled, nullable)):
        cache.set(f"S{number}", frame, "yahoo")
        pd.testing.assert_frame_equal(
            cache.get(f"S{number}", source="yahoo"), cache.get("S0", source="yahoo")
        )
