"""The fetch engine: plans, lanes, outcomes, and runs that are taken up again."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from core.clock import ManualClock, SystemClock
from core.errors import (
    AlreadyRunning,
    BadCredentials,
    BadInput,
    BadReply,
    Blocked,
    NoData,
    NotEntitled,
    NotFound,
    ProviderDown,
    RateLimited,
)
from core.fetch.engine import Fetching
from core.fetch.orders import JobKind, Order, order_of
from core.fetch.questions import (
    BarsQuestion,
    OptionsQuestion,
    SessionQuestion,
    UniverseQuestion,
    question_of,
)
from core.fetch.run import FetchRun
from core.intervals import Interval
from core.model import AssetClass, RunState, SymbolInfo
from core.providers import Fetched, OptionChain
from core.settings import Settings
from core.store import Store, provider_state, run_queue
from core.symbols import add
from tests.fetch_fakes import ScriptedBars, ScriptedBatches, ScriptedSources

NOV_20_2026 = 1_795_215_600.0  # a Friday, 23:00 UTC: its session has closed and settled
START = date(2026, 11, 2)


def engine(store: Store, sources: ScriptedSources, clock: Any = None, **settings: Any) -> Fetching:
    return Fetching(store, sources, Settings(**settings), clock or ManualClock(NOV_20_2026))


def list_symbols(store: Store, *symbols: str, asset_class: AssetClass = AssetClass.STOCK) -> None:
    add(
        store,
        [SymbolInfo(symbol, asset_class=asset_class) for symbol in symbols],
        ManualClock(NOV_20_2026),
    )


def backfill(*symbols: str, **more: Any) -> Order:
    return Order(JobKind.BACKFILL, symbols=symbols, **{"start": START, **more})


def outcomes(store: Store) -> dict[str, str]:
    with store.read() as connection:
        rows = connection.exec_driver_sql("SELECT item, outcome FROM run_items").fetchall()
    return {item.partition(" ")[0]: outcome for item, outcome in rows}


@pytest.fixture
def store(any_store: Store) -> Store:
    return any_store


class TestQuestions:
    @pytest.mark.parametrize(
        "question",
        [
            BarsQuestion(AssetClass.STOCK, Interval.D1, 0, 86_400),
            BarsQuestion(AssetClass.CRYPTO, Interval.H1, -86_400, 4_000_000_000 // 86_400 * 86_400),
            SessionQuestion(),
            OptionsQuestion(),
            UniverseQuestion(AssetClass.CRYPTO),
        ],
    )
    def test_a_question_is_its_text(self, question: Any) -> None:
        assert question_of(str(question)) == question

    def test_another_text_is_refused(self) -> None:
        for text in ("", "bars", "bars stock 1d 2026-01-01", "bars x 1d 2026-01-01 2026-01-02"):
            with pytest.raises(BadInput):
                question_of(text)

    def test_bars_after_the_close_belong_to_the_question_of_their_day(self) -> None:
        hourly = BarsQuestion(AssetClass.STOCK, Interval.H1, 0, 0)
        assert hourly.span.end == 86_400 + 5 * 3_600
        assert hourly.asked.end == 86_400
        assert replace(hourly, asset_class=AssetClass.CRYPTO).span.end == 86_400

    def test_an_order_is_its_text(self) -> None:
        order = backfill("AAPL", end=date(2026, 11, 20), sources=("yahoo",), limit=3, priority=2)
        assert order_of(order.as_json()) == order
        assert order.command == [
            "backfill", "--symbols", "AAPL", "--intervals", "1d", "--start", "2026-11-02",
            "--end", "2026-11-20", "--sources", "yahoo", "--max", "3", "--priority", "2",
        ]  # fmt: skip


class TestPlan:
    def test_an_empty_cache_lacks_the_whole_range(self, store: Store) -> None:
        list_symbols(store, "AAPL", "MSFT")
        plan = engine(store, ScriptedSources({"yahoo": ScriptedBars("yahoo")})).plan(
            backfill("AAPL", "MSFT")
        )
        assert [item for item, _, _ in plan.lines] == [
            "AAPL bars stock 1d 2026-11-02 2026-11-20 yahoo",
            "MSFT bars stock 1d 2026-11-02 2026-11-20 yahoo",
        ]
        (forecast,) = plan.forecasts
        assert (forecast.calls, forecast.questions) == (2, 2)

    def test_batches_need_fewer_calls(self, store: Store) -> None:
        symbols = [f"S{n}" for n in range(120)]
        list_symbols(store, *symbols)
        fetching = engine(store, ScriptedSources({"alpaca:iex": ScriptedBatches()}))
        plan = fetching.plan(Order(JobKind.BACKFILL, start=START))
        assert (plan.forecasts[0].questions, plan.forecasts[0].calls) == (120, 3)

    def test_what_the_cache_holds_is_not_planned(self, store: Store) -> None:
        list_symbols(store, "AAPL")
        fetching = engine(store, ScriptedSources({"alpaca:iex": ScriptedBars()}))
        fetching.start(backfill("AAPL")).run()
        plan = fetching.plan(backfill("AAPL"))
        assert (plan.lines, plan.complete) == ([], 1)
        earlier = fetching.plan(backfill("AAPL", start=date(2026, 10, 1)))
        assert [item for item, _, _ in earlier.lines] == [
            "AAPL bars stock 1d 2026-10-01 2026-10-30 alpaca:iex"
        ]

    def test_unknown_symbols_and_sources_are_named(self, store: Store) -> None:
        list_symbols(store, "AAPL")
        fetching = engine(store, ScriptedSources({"yahoo": ScriptedBars("yahoo")}))
        with pytest.raises(BadInput, match="NOPE"):
            fetching.plan(backfill("AAPL", "NOPE"))
        with pytest.raises(BadInput, match="'polygon' cannot be asked"):
            fetching.plan(backfill("AAPL", sources=("polygon",)))
        with pytest.raises(BadInput, match="future"):
            fetching.plan(backfill("AAPL", start=date(2030, 1, 1)))

    def test_what_no_source_has_is_skipped_with_the_reason(self, store: Store) -> None:
        list_symbols(store, "^GSPC", asset_class=AssetClass.INDEX)
        fetching = engine(store, ScriptedSources({"alpaca:iex": ScriptedBars()}))
        plan = fetching.plan(backfill("^GSPC"))
        assert "none of alpaca:iex has 1d bars of a index" in plan.skipped["^GSPC 1d"]
        with pytest.raises(BadInput, match="lacks nothing"):
            fetching.start(backfill("^GSPC"))


class TestRun:
    def test_bars_of_many_symbols_are_stored_and_the_books_agree(self, store: Store) -> None:
        symbols = [f"S{n:03}" for n in range(120)]
        list_symbols(store, *symbols)
        source = ScriptedBatches()
        fetching = engine(store, ScriptedSources({"alpaca:iex": source}))
        run = fetching.start(Order(JobKind.BACKFILL, start=START))
        assert run.run() is RunState.FINISHED
        assert sorted(len(one) for one in source.asked) == [20, 50, 50]
        assert set(outcomes(store).values()) == {"stored"}
        assert len(fetching.cache.get("S007", "2026-11-02", "2026-11-20")) == 15  # type: ignore[arg-type]
        progress = run.progress()
        assert (progress.done, progress.total, progress.state) == (120, 120, RunState.FINISHED)
        summary = run.summary()
        assert summary["records"] == 120 * 15
        assert summary["success_rate"] == 1.0
        assert summary["requests"] == 3
        with store.read() as connection:
            kept = json.loads(
                connection.exec_driver_sql("SELECT summary FROM runs").scalar() or "{}"
            )
        assert kept["outcomes"] == {"stored": 120}

    def test_a_symbol_without_bars_is_known_to_have_none(self, store: Store) -> None:
        list_symbols(store, "GONE", "LATE")
        answers = {
            "GONE": NotFound("alpaca", "Alpaca does not know GONE."),
            "LATE": Fetched(pd.DataFrame()),
        }
        source = ScriptedBatches(script=answers.get)
        fetching = engine(store, ScriptedSources({"alpaca:iex": source}))
        run = fetching.start(backfill("GONE", "LATE"))
        assert run.run() is RunState.FINISHED
        assert outcomes(store) == {"GONE": "not_found", "LATE": "empty"}
        assert fetching.plan(backfill("GONE", "LATE")).lines == []

    def test_the_next_source_is_asked_for_what_the_first_lacks(self, store: Store) -> None:
        list_symbols(store, "AAPL", "TINY", "PAID")
        script = {
            "TINY": NotFound("alpaca", "Alpaca does not know TINY."),
            "PAID": NotEntitled("alpaca", "Not in this plan."),
        }
        first, second = ScriptedBatches(script=script.get), ScriptedBars("yahoo", "split")
        sources = ScriptedSources({"alpaca:iex": first, "yahoo": second})
        fetching = engine(store, sources)
        run = fetching.start(backfill("AAPL", "TINY", "PAID"))
        assert run.run() is RunState.FINISHED
        assert outcomes(store) == dict.fromkeys(("AAPL", "TINY", "PAID"), "stored")
        assert sorted(second.asked) == [("PAID",), ("TINY",)]
        frame = fetching.cache.get("TINY", "2026-11-02")
        assert frame is not None
        assert (frame.attrs["source"], frame.attrs["adjustment"]) == ("yahoo", "split")
        assert fetching.cache.get("AAPL", source="yahoo") is None
        # Asked again, the plan goes straight to the source that has the series.
        again = fetching.plan(backfill("TINY", start=date(2026, 10, 1)))
        assert {lane for _, lane, _ in again.lines} <= {"alpaca:iex", "yahoo"}

    def test_a_block_marks_nothing_and_leaves_the_rest_in_the_queue(self, store: Store) -> None:
        symbols = [f"S{n}" for n in range(5)]
        list_symbols(store, *symbols)
        clock = ManualClock(NOV_20_2026)
        said: list[str] = []

        def script(symbol: str) -> Exception | None:
            said.append(symbol)
            return Blocked("yahoo", "Yahoo refuses.") if len(said) == 3 else None

        sources = ScriptedSources({"yahoo": ScriptedBars("yahoo", script=script)})
        fetching = engine(store, sources, clock)
        run = fetching.start(backfill(*symbols))
        assert run.run() is RunState.BLOCKED
        assert outcomes(store) == {"S0": "stored", "S1": "stored"}
        progress = run.progress()
        assert (progress.done, progress.total) == (2, 5)
        assert progress.blocked_until is not None
        assert 15 * 60 <= progress.blocked_until - NOV_20_2026 <= 15 * 60 + 30
        with pytest.raises(Blocked):
            fetching.resume(run.id)
        clock.advance(15 * 60 + 1)
        again = fetching.resume(run.id)
        assert again.run() is RunState.FINISHED
        assert said.count("AAPL") == 1  # the probe
        assert [one for one in said if one != "AAPL"] == ["S0", "S1", "S2", "S2", "S3", "S4"]
        with store.read() as connection:
            assert provider_state.get(connection, "yahoo", now=clock.now()).strikes == 0

    def test_what_a_blocked_source_leaves_goes_to_the_next(self, store: Store) -> None:
        list_symbols(store, "AAPL", "MSFT")
        first = ScriptedBatches(script=lambda _: Blocked("alpaca", "Go away."))
        second = ScriptedBars("yahoo", "split")
        fetching = engine(store, ScriptedSources({"alpaca:iex": first, "yahoo": second}))
        run = fetching.start(backfill("AAPL", "MSFT"))
        assert run.run() is RunState.FINISHED
        assert len(first.asked) == 1
        assert second.asked == [("AAPL",), ("MSFT",)]

    def test_a_wrong_key_is_told_and_marks_nothing(self, store: Store) -> None:
        list_symbols(store, "AAPL")
        source = ScriptedBars(script=lambda _: BadCredentials("alpaca", "Alpaca refuses the key."))
        fetching = engine(store, ScriptedSources({"alpaca:iex": source}))
        run = fetching.start(backfill("AAPL"))
        assert run.run() is RunState.FAILED
        assert "Alpaca refuses the key." in run.progress().message
        assert outcomes(store) == {}
        assert len(source.asked) == 1

    def test_failures_are_tried_three_times_and_named(self, store: Store) -> None:
        list_symbols(store, "AAPL", "BAD")
        down = ProviderDown("yahoo", "Yahoo did not answer in time.")
        source = ScriptedBars("yahoo", script=lambda s: down if s == "BAD" else None)
        fetching = engine(store, ScriptedSources({"yahoo": source}))
        run = fetching.start(backfill("AAPL", "BAD"))
        assert run.run() is RunState.FINISHED
        assert outcomes(store) == {"AAPL": "stored", "BAD": "failed"}
        assert source.asked.count(("BAD",)) == 3
        source.script = lambda _: None
        again = fetching.retry_failed(run.id)
        assert again.run() is RunState.FINISHED
        assert outcomes(store) == {"AAPL": "stored", "BAD": "stored"}
        assert again.progress().counts == {"stored": 2}
        with pytest.raises(BadInput, match="Nothing has failed"):
            fetching.retry_failed(run.id)

    def test_one_symbol_that_breaks_a_batch_does_not_keep_the_others_out(
        self, store: Store
    ) -> None:
        symbols = [f"S{n:02}" for n in range(20)]
        list_symbols(store, *symbols)
        source = ScriptedBatches(
            script=lambda s: BadReply("alpaca", "Cut.") if s == "S07" else None
        )
        fetching = engine(store, ScriptedSources({"alpaca:iex": source}))
        run = fetching.start(backfill(*symbols))
        assert run.run() is RunState.FINISHED
        found = outcomes(store)
        assert found.pop("S07") == "failed"
        assert len([one for one in found.values() if one == "stored"]) >= 13

    def test_a_frame_that_makes_no_sense_fails_alone(self, store: Store) -> None:
        list_symbols(store, "AAPL", "BAD")
        nonsense = Fetched(pd.DataFrame({"price": [1.0]}))
        source = ScriptedBatches(script=lambda s: nonsense if s == "BAD" else None)
        fetching = engine(store, ScriptedSources({"alpaca:iex": source}))
        run = fetching.start(backfill("AAPL", "BAD"))
        assert run.run() is RunState.FINISHED
        assert outcomes(store) == {"AAPL": "stored", "BAD": "failed"}

    def test_a_provider_that_is_down_stops_the_lane_and_marks_nothing(self, store: Store) -> None:
        symbols = [f"S{n}" for n in range(12)]
        list_symbols(store, *symbols)
        source = ScriptedBars("yahoo", script=lambda _: ProviderDown("yahoo", "No answer."))
        fetching = engine(store, ScriptedSources({"yahoo": source}))
        run = fetching.start(backfill(*symbols))
        assert run.run() is RunState.FAILED
        assert outcomes(store) == {}
        assert source.asked[-1] == ("AAPL",)
        assert len(source.asked) == 6
        assert run.progress().total == 12

    def test_not_so_fast_is_waited_out_and_costs_no_try(self, store: Store) -> None:
        list_symbols(store, "AAPL")
        clock = ManualClock(NOV_20_2026)
        answers = [RateLimited("alpaca", "Not so fast.", 20.0), None]
        source = ScriptedBars(script=lambda _: answers.pop(0))
        fetching = engine(store, ScriptedSources({"alpaca:iex": source}), clock)
        run = fetching.start(backfill("AAPL"))
        assert run.run() is RunState.FINISHED
        assert clock.now() >= NOV_20_2026 + 20
        assert run.summary()["seconds"]["waiting"] >= 20  # type: ignore[index]

    def test_a_day_s_quota_closes_the_lane_until_the_next_day(self, store: Store) -> None:
        list_symbols(store, "AAPL", "MSFT")
        source = ScriptedBars(
            "alpha_vantage", script=lambda _: RateLimited("alpha_vantage", "Used up.", 7_200.0)
        )
        fetching = engine(store, ScriptedSources({"alpha_vantage": source}))
        run = fetching.start(backfill("AAPL", "MSFT"))
        assert run.run() is RunState.BLOCKED
        until = run.progress().blocked_until
        assert until is not None
        assert 7_200 <= until - NOV_20_2026 <= 7_230
        assert len(source.asked) == 1

    def test_crypto_has_a_lane_of_its_own(self, store: Store) -> None:
        list_symbols(store, "AAPL")
        list_symbols(store, "BTC/USD", asset_class=AssetClass.CRYPTO)
        source = ScriptedBars()
        fetching = engine(store, ScriptedSources({"alpaca:iex": source}))
        run = fetching.start(backfill("AAPL", "BTC/USD"))
        assert set(run_lanes(store, run)) == {"alpaca:iex", "alpaca:iex/crypto"}
        assert run.run() is RunState.FINISHED
        assert outcomes(store) == {"AAPL": "stored", "BTC/USD": "stored"}

    def test_update_asks_only_for_the_end_of_what_is_held(self, store: Store) -> None:
        list_symbols(store, "AAPL", "MSFT")
        source = ScriptedBars()
        clock = ManualClock(NOV_20_2026)
        fetching = engine(store, ScriptedSources({"alpaca:iex": source}), clock)
        fetching.start(backfill("AAPL", start=date(2026, 11, 2))).run()
        clock.advance(4 * 86_400)  # the Tuesday after
        plan = fetching.plan(Order(JobKind.UPDATE))
        assert [item for item, _, _ in plan.lines] == [
            "AAPL bars stock 1d 2026-11-20 2026-11-24 alpaca:iex"
        ]
        run = fetching.start(Order(JobKind.UPDATE))
        assert run.run() is RunState.FINISHED
        assert fetching.plan(Order(JobKind.UPDATE)).lines == []
        assert fetching.plan(Order(JobKind.GAPS)).lines == []

    def test_a_new_price_basis_fetches_the_history_anew(self, store: Store) -> None:
        list_symbols(store, "AAPL")
        clock = ManualClock(NOV_20_2026)
        source = ScriptedBars("yahoo", "split")
        fetching = engine(store, ScriptedSources({"yahoo": source}), clock)
        fetching.start(backfill("AAPL", start=date(2026, 9, 1))).run()
        clock.advance(4 * 86_400)
        whole = source._answer

        def halved(symbol: str, asset_class: AssetClass, span: Any) -> Any:
            answer = whole(symbol, asset_class, span)
            frame = answer.frame.copy()
            frame[["open", "high", "low", "close"]] /= 2
            return Fetched(frame)

        source._answer = halved  # type: ignore[method-assign]
        before = fetching.cache.get("AAPL", "2026-09-01", "2026-09-01")
        run = fetching.start(Order(JobKind.UPDATE))
        assert run.run() is RunState.FINISHED
        after = fetching.cache.get("AAPL", "2026-09-01", "2026-09-01")
        assert before is not None
        assert after is not None
        assert after["close"].iloc[0] == before["close"].iloc[0] / 2
        assert fetching.cache.coverage("AAPL", "2026-09-01", "2026-11-24").is_complete

    def test_one_symbol_from_two_sources_is_brought_up_to_date_in_both(self, store: Store) -> None:
        list_symbols(store, "AAPL")
        clock = ManualClock(NOV_20_2026)
        both = ScriptedSources(
            {"alpaca:iex": ScriptedBars(), "yahoo": ScriptedBars("yahoo", "split")}
        )
        fetching = engine(store, both, clock)
        for source in both.names():
            fetching.start(backfill("AAPL", sources=(source,))).run()
        clock.advance(4 * 86_400)
        run = fetching.start(Order(JobKind.UPDATE))
        assert run.run() is RunState.FINISHED
        assert run.progress().counts == {"stored": 2}
        assert fetching.plan(Order(JobKind.UPDATE)).lines == []

    def test_a_retry_asks_the_source_that_had_failed(self, store: Store) -> None:
        list_symbols(store, "AAPL", "TINY")
        clock = ManualClock(NOV_20_2026)
        first, second = ScriptedBars(), ScriptedBars("yahoo", "split")
        fetching = engine(store, ScriptedSources({"alpaca:iex": first, "yahoo": second}), clock)
        fetching.start(backfill("AAPL", sources=("alpaca:iex",))).run()
        fetching.start(backfill("TINY", sources=("yahoo",))).run()
        clock.advance(4 * 86_400)
        second.script = lambda _: ProviderDown("yahoo", "No answer.")
        run = fetching.start(Order(JobKind.UPDATE))
        run.run()
        second.script = lambda _: None
        first.asked.clear()
        again = fetching.retry_failed(run.id)
        assert again.run() is RunState.FINISHED
        assert first.asked == []
        assert second.asked[-1] == ("TINY",)
        assert again.summary()["records"] >= 2

    def test_a_program_that_lost_its_run_meddles_with_nothing(self, store: Store) -> None:
        symbols = [f"S{n}" for n in range(4)]
        list_symbols(store, *symbols)

        def script(symbol: str) -> None:
            if symbol == "S1":
                with store.write() as connection:
                    connection.exec_driver_sql("UPDATE runs SET owner = 'elsewhere:1:a'")

        sources = ScriptedSources(
            {"alpaca:iex": ScriptedBars(script=script), "yahoo": ScriptedBars("yahoo", "split")}
        )
        run = engine(store, sources).start(backfill(*symbols))
        assert run.run() is RunState.FAILED
        assert "taken this run over" in run.progress().message
        assert sources.clients["yahoo"].asked == []
        assert run_lanes(store, run) == {"alpaca:iex": 3}
        assert stored_state(store) == "running"

    def test_options_are_stored_by_symbol(self, store: Store) -> None:
        list_symbols(store, "AAPL", "NONE")

        def chains(symbol: str) -> OptionChain:
            if symbol == "NONE":
                raise NoData("yahoo", "It has no options.")
            quotes = pd.DataFrame(
                {"contract_symbol": ["AAPL261218C00200000"], "bid": [1.0], "ask": [1.2]}
            )
            return OptionChain("AAPL", int(NOV_20_2026), 201.5, quotes)

        sources = ScriptedSources({"yahoo": ScriptedBars("yahoo")}, chains)
        fetching = engine(store, sources)
        run = fetching.start(Order(JobKind.OPTIONS, symbols=("AAPL", "NONE")))
        assert run.run() is RunState.FINISHED
        assert outcomes(store) == {"AAPL": "stored", "NONE": "no_data"}


def run_lanes(store: Store, run: FetchRun) -> dict[str, int]:
    with store.read() as connection:
        return run_queue.left(connection, run.id)


class TestControl:
    @pytest.fixture
    def busy(self, tmp_path: Path) -> Iterator[tuple[Store, Fetching, ScriptedBars, FetchRun]]:
        store = Store.open(tmp_path / "cache.db")
        symbols = [f"S{n:02}" for n in range(30)]
        list_symbols(store, *symbols)
        source = ScriptedBars()
        clock = SystemClock()
        fetching = engine(store, ScriptedSources({"alpaca:iex": source}), clock)
        order = backfill(*symbols, end=date(2026, 11, 20))
        run = fetching.start(order)
        yield store, fetching, source, run
        store.close()

    def test_cancel_ends_a_question_on_the_wire_and_resume_goes_on(
        self, busy: tuple[Store, Fetching, ScriptedBars, FetchRun]
    ) -> None:
        store, fetching, source, run = busy
        source.gate.clear()
        thread = threading.Thread(target=run.run)
        thread.start()
        wait_until(lambda: bool(run.progress().current))
        run.control.cancel()
        thread.join(5)
        assert not thread.is_alive()
        assert run.progress().state is RunState.CANCELLED
        assert run_lanes(store, run) == {"alpaca:iex": 30}
        source.gate.set()
        again = fetching.resume(run.id)
        assert again.run() is RunState.FINISHED
        assert sorted(source.asked) == sorted((f"S{n:02}",) for n in range(30))

    def test_pause_holds_every_lane(
        self, busy: tuple[Store, Fetching, ScriptedBars, FetchRun]
    ) -> None:
        store, _, source, run = busy
        run.control.pause()
        thread = threading.Thread(target=run.run)
        thread.start()
        wait_until(lambda: stored_state(store) == "paused")
        assert source.asked == []
        run.control.resume()
        thread.join(20)
        assert run.progress().state is RunState.FINISHED

    def test_a_second_run_of_the_kind_is_refused(
        self, busy: tuple[Store, Fetching, ScriptedBars, FetchRun]
    ) -> None:
        _, fetching, _, run = busy
        with pytest.raises(AlreadyRunning):
            fetching.start(backfill("S01"))
        with pytest.raises(AlreadyRunning):
            fetching.resume(run.id)

    def test_a_run_whose_program_died_is_offered_and_goes_on(
        self, busy: tuple[Store, Fetching, ScriptedBars, FetchRun]
    ) -> None:
        store, fetching, source, run = busy
        with store.write() as connection:
            claimed = run_queue.claim(
                connection, run.id, "alpaca:iex", owner="host:999999:ab", most=lambda *_: 1,
                now=int(fetching._clock.now()), lease_until=4_000_000_000,
            )  # fmt: skip
            connection.exec_driver_sql("UPDATE runs SET owner = 'elsewhere:1:a', heartbeat_at = 1")
        assert len(claimed) == 1
        ((info, left),) = fetching.unfinished()
        assert (info.id, info.state, left) == (run.id, RunState.INTERRUPTED, 30)
        again = fetching.resume(run.id)
        with store.write() as connection:  # a dead owner on another machine: its lease must end
            connection.exec_driver_sql(
                "UPDATE run_queue SET lease_until = 1 WHERE owner IS NOT NULL"
            )
        assert again.run() is RunState.FINISHED
        assert len(source.asked) == 30

    def test_a_database_that_cannot_be_written_pauses_and_loses_nothing(
        self, busy: tuple[Store, Fetching, ScriptedBars, FetchRun], tmp_path: Path
    ) -> None:
        store, _, source, run = busy
        store._patience_s = 0.2
        other = sqlite3.connect(tmp_path / "cache.db", isolation_level=None)
        thread = threading.Thread(target=run.run)
        other.execute("BEGIN IMMEDIATE")
        thread.start()
        wait_until(lambda: "Another program" in run.progress().message)
        assert run.progress().state is RunState.PAUSED
        other.execute("ROLLBACK")
        other.close()
        run.control.resume()
        thread.join(20)
        assert run.progress().state is RunState.FINISHED
        assert len(source.asked) == 30
        assert run.progress().counts == {"stored": 30}

    def test_what_is_left_can_be_given_up(
        self, busy: tuple[Store, Fetching, ScriptedBars, FetchRun]
    ) -> None:
        _, fetching, _, run = busy
        run.control.cancel()
        assert run.run() is RunState.CANCELLED
        assert fetching.discard(run.id) == 30
        assert fetching.unfinished() == []
        with pytest.raises(BadInput, match="nothing left"):
            fetching.resume(run.id)


def stored_state(store: Store) -> str:
    with store.read() as connection:
        return str(connection.exec_driver_sql("SELECT state FROM runs").scalar())


def wait_until(met: Callable[[], bool], seconds: float = 10.0) -> None:
    event = threading.Event()
    for _ in range(int(seconds / 0.01)):
        if met():
            return
        event.wait(0.01)
    raise AssertionError("It did not happen in time.")
