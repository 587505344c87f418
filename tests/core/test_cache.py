"""The market-data cache: what it holds, what it says of it, and what it refuses."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.adjust import Action, ActionKind
from core.cache import MarketCache
from core.clock import ManualClock
from core.errors import BadInput
from core.intervals import DAY
from core.model import AssetClass
from core.providers import Fetched, LiveBar
from core.sessions import sessions
from core.spans import Span

NEW_YORK = ZoneInfo("America/New_York")


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).timestamp()


def day(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def bars_on(days, *, close=100.0, volume=1_000.0) -> pd.DataFrame:
    """Plain bars on the dates; the close rises by one each day."""
    index = pd.DatetimeIndex(pd.to_datetime(list(days)), name="date")
    closes = close + np.arange(len(index), dtype=float)
    return pd.DataFrame(
        {
            "open": closes - 0.5,
            "high": closes + 1,
            "low": closes - 1,
            "close": closes,
            "volume": volume,
        },
        index=index,
    )


def trading_days(start: str, end: str) -> list[str]:
    found = sessions(AssetClass.STOCK, day(start), day(end) + DAY)
    return [datetime.fromtimestamp(int(ts), tz=UTC).strftime("%Y-%m-%d") for ts in found]


JANUARY = trading_days("2024-01-01", "2024-01-31")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(at("2024-06-03T12:00"))


@pytest.fixture
def cache(tmp_path: Path, clock: ManualClock):
    with MarketCache(tmp_path / "cache.db", clock=clock) as opened:
        yield opened


def test_what_is_set_is_got(cache) -> None:
    given_bars = bars_on(JANUARY)
    result = cache.set("aapl", given_bars, "yahoo")
    assert (result.inserted, result.updated, int(result)) == (21, 0, 21)
    got = cache.get("AAPL", "2024-01-01", "2024-01-31", "yahoo")
    pd.testing.assert_frame_equal(got, given_bars, check_freq=False, check_index_type=False)
    assert got.index.name == "date"
    assert got.attrs["source"] == "yahoo"
    assert got.attrs["coverage"]().is_complete


def test_both_ends_of_a_range_are_included(cache) -> None:
    cache.set("AAPL", bars_on(JANUARY), "yahoo")
    assert len(cache.get("AAPL", "2024-01-03", "2024-01-05", "yahoo")) == 3
    assert cache.get("AAPL", "2024-02-03", "2024-02-05", "yahoo") is None


def test_a_write_of_the_same_changes_nothing(cache) -> None:
    cache.set("AAPL", bars_on(JANUARY), "yahoo")
    again = cache.set("AAPL", bars_on(JANUARY), "yahoo")
    assert (again.inserted, again.updated, again.unchanged) == (0, 0, 21)


def test_a_correction_replaces_and_keeps_the_rest(cache) -> None:
    cache.set("AAPL", bars_on(JANUARY), "yahoo")
    corrected = bars_on(JANUARY[3:4], close=500)
    result = cache.set("AAPL", corrected, "yahoo")
    assert (result.inserted, result.updated) == (0, 1)
    got = cache.get("AAPL", source="yahoo")
    assert got["close"].iloc[3] == 500
    assert len(got) == 21


@pytest.mark.parametrize(
    ("frame", "sentence"),
    [
        (bars_on(JANUARY).drop(columns="close"), "no column called close"),
        (bars_on(JANUARY).reset_index(drop=True), "says no times"),
        (bars_on(JANUARY).reset_index().assign(date=["x"] * 21), "Row 1: 'x' is no time"),
        (bars_on(JANUARY).assign(close=["12"] * 20 + ["n/a"]), "Row 21: close is 'n/a'"),
        (bars_on(JANUARY).set_index(pd.DatetimeIndex([pd.NaT] * 21)), "Row 1 has no time"),
    ],
)
def test_a_frame_that_cannot_be_used_is_refused_whole(cache, frame, sentence) -> None:
    with pytest.raises(BadInput, match=sentence):
        cache.set("AAPL", frame, "yahoo")
    assert cache.get_stats()["total_entries"] == 0


def test_rows_that_no_bar_can_be_go_to_quarantine(cache) -> None:
    frame = bars_on(JANUARY)
    frame.iloc[1, frame.columns.get_loc("high")] = 1.0
    frame.iloc[2, frame.columns.get_loc("close")] = np.nan
    frame.iloc[3, frame.columns.get_loc("low")] = -1.0
    frame.iloc[4, frame.columns.get_loc("volume")] = -5.0
    result = cache.set("AAPL", pd.concat([frame, frame.iloc[6:7]]), "yahoo")
    assert result.inserted == 17
    reasons = dict(result.rejected)
    assert "below" in reasons[JANUARY[1]]
    assert "not a number" in reasons[JANUARY[2]]
    assert "zero or negative" in reasons[JANUARY[3]]
    assert "volume is negative" in reasons[JANUARY[4]]
    assert len(result.rejected) == 5
    assert len(cache.quarantined("AAPL")) == 5
    assert len(cache.get("AAPL", source="yahoo")) == 17


def test_suspicious_moves_are_stored_and_flagged_once(cache) -> None:
    frame = bars_on(JANUARY)
    frame.iloc[10:] *= 2
    cache.set("AAPL", frame, "yahoo")
    found = cache.findings("AAPL")
    assert [(one[2], one[4]) for one in found] == [("jump", "open")]
    series, ts, kind, _, _ = found[0]
    cache.decide(series.id, ts, kind, "accepted")
    cache.set("AAPL", frame, "yahoo")
    assert [one[4] for one in cache.findings("AAPL")] == ["accepted"]
    assert len(cache.get("AAPL", source="yahoo")) == 21


def test_a_known_split_is_no_suspicion(cache) -> None:
    frame = bars_on(JANUARY)
    frame.iloc[:10, :4] *= 4
    split = Action(day(JANUARY[10]), ActionKind.SPLIT, 4.0)
    assert cache.set("AAPL", frame, "yahoo", actions=[split]).findings == 0


def test_fetched_at_ten_asked_at_five_refetched_once(cache, clock) -> None:
    provider = ScriptedBars(clock)
    clock.jump(at("2024-01-03T10:00") - clock.now())
    cache.fetch_unified_market_data("AAPL", "2024-01-02", "2024-01-03", provider, live=False)
    assert len(provider.asked) == 1
    clock.jump(at("2024-01-03T17:00") - clock.now())
    cache.fetch_unified_market_data("AAPL", "2024-01-02", "2024-01-03", provider)
    assert len(provider.asked) == 2
    for later in ("2024-01-03T19:00", "2024-01-04T08:00", "2024-03-01T12:00"):
        clock.jump(at(later) - clock.now())
        cache.fetch_unified_market_data("AAPL", "2024-01-02", "2024-01-03", provider)
    assert len(provider.asked) == 2
    assert cache.coverage("AAPL", "2024-01-02", "2024-01-03", "scripted").provisional == 0


def test_a_provisional_bar_never_replaces_a_final_one(cache, clock) -> None:
    cache.set("AAPL", bars_on(["2024-01-03"], close=100), "yahoo")
    half_done = bars_on(["2024-01-03"], close=50)
    result = cache.set("AAPL", half_done, "yahoo", fetched_at=at("2024-01-03T11:00"))
    assert (result.kept_final, int(result)) == (1, 0)
    assert cache.get("AAPL", source="yahoo")["close"].iloc[0] == 100
    forced = cache.set(
        "AAPL", half_done, "yahoo", fetched_at=at("2024-01-03T11:00"), replace_final=True
    )
    assert forced.updated == 1


def test_interior_holes_are_missing(cache) -> None:
    kept = JANUARY[:5] + JANUARY[8:]
    cache.set("AAPL", bars_on(kept), "yahoo")
    coverage = cache.coverage("AAPL", "2024-01-01", "2024-01-31", "yahoo")
    assert coverage.missing_sessions == 3
    assert coverage.missing == (Span(day(JANUARY[5]), day(JANUARY[7]) + 1),)
    assert not coverage.is_complete
    assert cache.get("AAPL", "2024-01-01", "2024-01-31", "yahoo", strict=True) is None
    assert cache.get("AAPL", "2024-01-01", "2024-01-31", "yahoo") is not None
    gap = cache.gaps("AAPL", "2024-01-01", "2024-01-31", "yahoo")
    assert gap == [Span(day(JANUARY[4]), day(JANUARY[7]) + 1)]


def test_holidays_and_weekends_are_not_gaps(cache) -> None:
    cache.set("AAPL", bars_on(JANUARY), "yahoo")
    assert (
        cache.gaps(
            "AAPL",
            "2023-12-30",
            "2024-02-01",
            "yahoo",
        )
        != []
    )
    assert cache.gaps("AAPL", "2024-01-01", "2024-01-31", "yahoo") == []


def test_an_empty_answer_is_not_asked_again_before_its_re_check(cache, clock) -> None:
    cache.set("NEW", bars_on(JANUARY[10:]), "yahoo", asked=("2024-01-01", "2024-01-31"))
    coverage = cache.coverage("NEW", "2024-01-01", "2024-01-31", "yahoo")
    assert (coverage.known_empty, coverage.missing_sessions) == (10, 0)
    assert cache.gaps("NEW", "2024-01-01", "2024-01-31", "yahoo") == []
    clock.advance(366 * DAY)
    assert cache.coverage("NEW", "2024-01-01", "2024-01-31", "yahoo").missing_sessions == 10


def test_a_delisted_symbol_is_found_out_once(cache, clock) -> None:
    provider = ScriptedBars(clock, last="2024-01-12")
    for _ in range(3):
        cache.fetch_unified_market_data("GONE", "2024-01-01", "2024-01-31", provider)
    assert len(provider.asked) == 1
    assert len(cache.get("GONE", source="scripted")) == 9


def test_near_gaps_are_asked_for_together_and_far_ones_apart(cache) -> None:
    near = [d for n, d in enumerate(JANUARY) if n not in (5, 8)]
    cache.set("NEAR", bars_on(near), "yahoo")
    assert len(cache.gaps("NEAR", "2024-01-01", "2024-01-31", "yahoo")) == 1
    far = [d for n, d in enumerate(JANUARY) if n not in (5, 15)]
    cache.set("FAR", bars_on(far), "yahoo")
    assert len(cache.gaps("FAR", "2024-01-01", "2024-01-31", "yahoo")) == 2


def test_a_new_price_basis_found_in_the_overlap_is_told_and_mended(cache, clock) -> None:
    provider = ScriptedBars(clock, adjustment="split")
    cache.fetch_unified_market_data("AAPL", "2024-01-02", "2024-01-17", provider)
    provider.scale = 0.5
    frame = cache.fetch_unified_market_data("AAPL", "2024-01-02", "2024-01-31", provider)
    steps = frame["close"].pct_change().dropna().abs()
    assert steps.max() < 0.1
    assert len(frame) == 21
    assert "drift" in [one[2] for one in cache.findings("AAPL")]


def test_raw_split_and_total_return(cache) -> None:
    frame = bars_on(JANUARY[:6], close=100)
    frame.loc[:, ["open", "high", "low", "close"]] = 100.0
    frame.iloc[3:, :4] = 25.0
    actions = [
        Action(day(JANUARY[3]), ActionKind.SPLIT, 4.0),
        Action(day(JANUARY[5]), ActionKind.DIVIDEND, 1.0),
    ]
    cache.set("AAPL", frame, "yahoo", actions=actions)
    raw = cache.get("AAPL", source="yahoo")
    split = cache.get("AAPL", source="yahoo", basis="split")
    total = cache.get("AAPL", source="yahoo", basis="total")
    assert raw["close"].tolist() == [100, 100, 100, 25, 25, 25]
    assert split["close"].tolist() == [25] * 6
    assert split["volume"].tolist() == [4000, 4000, 4000, 1000, 1000, 1000]
    assert total["close"].tolist() == pytest.approx([24, 24, 24, 24, 24, 25])
    assert total.attrs["basis"] == "total"


def test_sources_are_never_mixed(cache) -> None:
    cache.set("AAPL", bars_on(JANUARY[:5], close=100), "yahoo")
    cache.set("AAPL", bars_on(JANUARY[:5], close=200), "alpaca:sip")
    one = cache.get("AAPL")
    assert len(one) == 5
    assert one.attrs["source"] == "alpaca:sip"
    assert cache.get("AAPL", source="yahoo")["close"].iloc[0] == 100
    assert cache.get("AAPL", source="polygon") is None


def test_time_to_live_is_for_bars_that_ask_for_it(cache, clock) -> None:
    cache.set("AAPL", bars_on(JANUARY[:3]), "model", ttl_hours=1)
    cache.set("AAPL", bars_on(JANUARY[:3]), "yahoo")
    assert cache.get("AAPL", source="model") is not None
    clock.advance(3601)
    assert cache.get("AAPL", source="model") is None
    assert cache.get_stats()["expired_entries"] == 3
    assert cache.cleanup_expired() == 3
    assert cache.cleanup_expired() == 0
    assert len(cache.get("AAPL", source="yahoo")) == 3


def test_exists_and_delete_honour_interval_and_source(cache) -> None:
    cache.set("AAPL", bars_on(JANUARY), "yahoo")
    cache.set("AAPL", bars_on(["2024-01-01"]), "yahoo", timeframe="1Week")
    assert cache.exists("AAPL", "2024-01-02")
    assert not cache.exists("AAPL", "2024-01-01")
    assert not cache.exists("AAPL", "2024-01-02", source="polygon")
    assert cache.delete("AAPL", "2024-01-02", "2024-01-03", timeframe="1d") == 2
    assert cache.delete("AAPL", source="polygon") == 0
    assert len(cache.get("AAPL", source="yahoo", timeframe="1wk")) == 1
    assert cache.delete("AAPL") == 20
    assert cache.delete("NOPE") == 0


def test_each_write_can_be_taken_back(cache) -> None:
    cache.set("AAPL", bars_on(JANUARY[:10]), "yahoo")
    before = cache.get("AAPL", source="yahoo")
    cache.set("AAPL", bars_on(JANUARY[5:], close=999), "yahoo")
    assert "bars" in cache.undo_write()
    pd.testing.assert_frame_equal(cache.get("AAPL", source="yahoo"), before)
    assert cache.get_stats()["total_entries"] == 10
    cache.delete("AAPL", "2024-01-03", "2024-01-05")
    cache.undo_write()
    pd.testing.assert_frame_equal(cache.get("AAPL", source="yahoo"), before)
    cache.undo_write()
    assert cache.get("AAPL", source="yahoo") is None
    with pytest.raises(BadInput, match="no write to take back"):
        cache.undo_write()


def test_the_live_bar_is_shown_and_never_stored(cache, clock) -> None:
    clock.jump(at("2024-01-17T11:00") - clock.now())
    provider = ScriptedBars(clock)
    frame = cache.fetch_unified_market_data("AAPL", "2024-01-02", "2024-01-17", provider)
    assert frame.attrs["live"] == day("2024-01-17")
    assert frame["close"].iloc[-1] == 9999.0
    stored = cache.get("AAPL", "2024-01-02", "2024-01-17", "scripted")
    assert 9999.0 not in stored["close"].tolist()
    assert cache.is_market_hours()
    assert cache.get_market_status() == (True, "Market open (Regular hours)")


def test_hits_misses_and_gap_fills_are_counted_per_consumer(tmp_path, clock) -> None:
    with MarketCache(tmp_path / "c.db", clock=clock, consumer="backtest") as cache:
        cache.get("AAPL", source="yahoo")
        cache.set("AAPL", bars_on(JANUARY), "yahoo")
        cache.get("AAPL", source="yahoo")
        cache.get("AAPL", source="yahoo")
        found = cache.metrics()
    assert [(one["consumer"], one["hits"], one["misses"]) for one in found] == [("backtest", 2, 1)]


def test_statistics_agree_with_a_recount(cache) -> None:
    cache.set("AAPL", bars_on(JANUARY), "yahoo")
    cache.set("AAPL", bars_on(JANUARY[:5], close=50), "yahoo")
    cache.set("BTC/USD", bars_on(["2024-01-06"]), "yahoo", asset_type="crypto")
    cache.set("AAPL", bars_on(JANUARY[2:4]), "polygon")
    cache.delete("AAPL", JANUARY[0], JANUARY[1], source="yahoo")
    numbers = cache.get_stats()
    with cache._store.read() as connection:
        recount = connection.exec_driver_sql(
            "SELECT s.source, count(*) FROM bars b JOIN series s ON s.id=b.series_id GROUP BY 1"
        ).fetchall()
    assert numbers["sources"] == dict(map(tuple, recount))
    assert numbers["total_entries"] == sum(numbers["sources"].values())
    assert numbers["unique_symbols"] == 2
    assert numbers["asset_types"] == {"stock": 21, "crypto": 1}
    assert numbers["date_range"] == {"min_date": JANUARY[2], "max_date": JANUARY[-1]}
    assert cache.get_symbols() == ["AAPL"]
    assert cache.get_symbols("crypto") == ["BTC/USD"]


@pytest.mark.parametrize(
    ("stamps", "asset_class", "wanted"),
    [
        (["2024-01-02 00:00-05:00"], "stock", "2024-01-02"),
        (["2024-01-02 05:00+00:00"], "stock", "2024-01-02"),
        (["2024-01-02 21:00+00:00"], "stock", "2024-01-02"),
        (["2024-01-02 14:30+00:00"], "stock", "2024-01-02"),
        (["2024-01-02 00:00+00:00"], "stock", "2024-01-02"),
        (["2024-01-02 09:30"], "stock", "2024-01-02"),
        (["2024-01-02 23:59+00:00"], "crypto", "2024-01-02"),
    ],
)
def test_every_providers_way_of_stamping_a_day(cache, stamps, asset_class, wanted) -> None:
    frame = bars_on(["2024-01-02"]).set_index(pd.DatetimeIndex(pd.to_datetime(stamps)))
    cache.set("X", frame, "yahoo", asset_type=asset_class)
    got = cache.get("X", source="yahoo", asset_type=asset_class)
    assert got.index[0] == pd.Timestamp(wanted)


def test_intraday_bars_are_utc_and_their_day_ends_with_the_day(cache) -> None:
    index = pd.date_range("2024-01-02 09:30", periods=390, freq="min", tz="America/New_York")
    frame = bars_on(range(390)).set_index(index)
    cache.set("SPY", frame, "alpaca:iex", timeframe="1Min")
    got = cache.get("SPY", "2024-01-02", "2024-01-02", "alpaca:iex", timeframe="1m")
    assert len(got) == 390
    assert str(got.index.tz) == "UTC"
    assert got.index[0] == index[0]
    coverage = cache.coverage("SPY", "2024-01-02", "2024-01-03", "alpaca:iex", timeframe="1m")
    assert (coverage.expected, coverage.present, coverage.missing_sessions) == (2, 1, 1)


def test_columns_of_other_spellings_and_close_only_series(cache) -> None:
    frame = pd.DataFrame(
        {"Date": JANUARY[:2], "Open": [1, 2], "High": [3, 4], "Low": [1, 1], "Close": ["2", "3"]}
    )
    cache.set("A", frame, "yahoo")
    assert cache.get("A", source="yahoo")["close"].tolist() == [2.0, 3.0]
    nav = pd.DataFrame({"date": JANUARY[:2], "close": [10.0, 11.0]})
    cache.set("NAV", nav, "yahoo", asset_type="fund")
    got = cache.get("NAV", source="yahoo", asset_type="fund")
    assert got["high"].tolist() == [10.0, 11.0]


def test_an_empty_frame_is_no_write(cache) -> None:
    assert int(cache.set("AAPL", bars_on([]), "yahoo")) == 0
    assert cache.get_stats()["total_entries"] == 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"start": "yesterday"}, "is no date"),
        ({"start": "2024-02-01", "end": "2024-01-01"}, "ends"),
        ({"timeframe": "3d"}, "no bar interval"),
        ({"asset_type": "house"}, "no asset class"),
        ({"basis": "real", "source": "yahoo"}, "no price basis"),
    ],
)
def test_bad_words_get_a_sentence(cache, words, sentence) -> None:
    cache.set("AAPL", bars_on(JANUARY), "yahoo")
    with pytest.raises(BadInput, match=sentence):
        cache.get("AAPL", **words)


class ScriptedBars:
    """A source of bars on every session up to now, as a provider would answer."""

    name = "scripted"

    def __init__(self, clock, *, adjustment="raw", last="2100-01-01") -> None:
        self.clock = clock
        self.adjustment = adjustment
        self.scale = 1.0
        self.last = last
        self.asked: list[Span] = []

    def bars(self, symbol, asset_class, interval, span, control) -> Fetched:
        self.asked.append(span)
        end = min(span.end, int(self.clock.now()) + 1, day(self.last) + 1)
        days = sessions(asset_class, span.start, end)
        index = pd.DatetimeIndex(days.view("M8[s]"), name="date")
        closes = (1000 + (days // DAY % 500)) * self.scale
        frame = pd.DataFrame(
            {"open": closes, "high": closes, "low": closes, "close": closes, "volume": 1.0},
            index=index,
        ).astype(float)
        return Fetched(frame)

    def snapshot(self, symbol, asset_class, control) -> LiveBar:
        now = int(self.clock.now())
        return LiveBar(now // DAY * DAY, 9999.0, 9999.0, 9999.0, 9999.0, 5.0, now)


DAYS = trading_days("2023-10-01", "2024-03-31")


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    held=st.sets(st.sampled_from(DAYS), max_size=len(DAYS)),
    ends=st.tuples(st.sampled_from(DAYS), st.sampled_from(DAYS)).map(sorted),
)
def test_gaps_hold_exactly_what_is_missing_and_filling_them_completes(
    tmp_path_factory, held, ends
) -> None:
    clock = ManualClock(at("2024-06-03T12:00"))
    start, end = ends
    with MarketCache(tmp_path_factory.mktemp("gaps") / "c.db", clock=clock) as cache:
        cache.set("AAPL", bars_on(sorted(held)), "scripted")
        wanted = {d for d in DAYS if start <= d <= end}
        coverage = cache.coverage("AAPL", start, end, "scripted")
        missing = {d for d in wanted if any(s.start <= day(d) < s.end for s in coverage.missing)}
        assert missing == wanted - held
        assert coverage.missing_sessions == len(missing)
        gaps = cache.gaps("AAPL", start, end, "scripted")
        covered = {d for d in DAYS if any(s.start <= day(d) < s.end for s in gaps)}
        assert missing <= covered
        provider = ScriptedBars(clock)
        frame = cache.fetch_unified_market_data("AAPL", start, end, provider, live=False)
        assert cache.coverage("AAPL", start, end, "scripted").is_complete
        assert len(frame) == len(wanted)
        asked = len(provider.asked)
        cache.fetch_unified_market_data("AAPL", start, end, provider, live=False)
        assert len(provider.asked) == asked


def test_many_symbols_in_one_transaction_and_one_date_across_them(cache) -> None:
    given_bars = {f"S{n}": bars_on(JANUARY[:3], close=100 + n) for n in range(20)}
    results = cache.set_many(given_bars, "yahoo")
    assert {int(result) for result in results.values()} == {3}
    section = cache.cross_section(JANUARY[1], "yahoo")
    assert len(section) == 20
    assert section.loc["S7", "close"] == 108
    assert cache.cross_section("2024-01-01", "yahoo").empty
    bad = {"GOOD": bars_on(JANUARY[:2]), "BAD": bars_on(JANUARY[:2]).drop(columns="close")}
    with pytest.raises(BadInput):
        cache.set_many(bad, "yahoo")
    assert cache.get("GOOD", source="yahoo") is None


def test_a_symbol_with_bars_is_in_the_directory(cache) -> None:
    from core import symbols

    symbols.add(cache._store, [symbols.listing("AAPL", name="Apple Inc.")], ManualClock())
    cache.set("AAPL", bars_on(JANUARY[:2]), "yahoo")
    cache.set("BTC/USD", bars_on(JANUARY[:2]), "yahoo", asset_type="crypto")
    assert symbols.adopt(cache._store, ManualClock()) == 1
    columns = symbols.columns(cache._store)
    assert columns.symbol == ["AAPL", "BTC/USD"]
    assert columns.name == ["Apple Inc.", ""]
    assert columns.bars == [2, 2]
    assert columns.sector_status == ["never_asked", "ineligible"]
