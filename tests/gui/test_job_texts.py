"""Long runs in words."""

from __future__ import annotations

import json
from datetime import date

import pytest

from core.fetch.orders import JobKind, Order
from core.fetch.planning import Forecast, WorkPlan
from core.model import Progress, RunInfo, RunState, Scope
from gui import forecast, job_texts, outcomes
from gui.forecast import Estimate

NOW = 1_790_000_000.0
ORDER = Order(JobKind.BACKFILL, symbols=("AAPL",), start=date(2024, 1, 2))
LINE = (
    "AAPL bars stock 1d 2024-01-02 2024-01-31 alpaca:iex",
    "alpaca:iex",
    "bars stock 1d 2024-01-02 2024-01-31",
)


def run(**changes: object) -> RunInfo:
    given: dict[str, object] = {
        "id": 7, "kind": "backfill", "scope": Scope(), "state": RunState.FINISHED, "total": 3,
        "done": 3, "counts": {"stored": 2, "failed": 1}, "started_at": 0, "ended_at": 60,
        "message": "", "owner": "", "order": ORDER.as_json(), "provider": "alpaca:iex",
    }  # fmt: skip
    return RunInfo(**{**given, **changes})  # type: ignore[arg-type]


def summary(**changes: object) -> str:
    given: dict[str, object] = {
        "records": 1_204, "requests": 13, "requests_by_provider": {"alpaca": 12, "yahoo": 1},
        "success_rate": 0.985,
        "seconds": {"total": 130.0, "waiting": 61.0, "network": 20.2, "database": 0.1},
    }  # fmt: skip
    return json.dumps({**given, **changes})


def test_a_run_is_named_after_its_order() -> None:
    assert job_texts.what(run()) == "Backfill 1d since 2024-01-02, AAPL"
    assert job_texts.what(run(kind="sectors", order="")) == "Sectors: never asked"


@pytest.mark.parametrize("order", ["{", "{}", '{"kind": "backfill"}'])
def test_an_order_that_cannot_be_read_still_has_a_name_and_no_command(order: str) -> None:
    broken = run(order=order)
    assert job_texts.what(broken) == "Backfill"
    assert job_texts.command_of(broken, "/a.db") == ""


def test_the_command_of_a_fetch_gives_the_same_order_again() -> None:
    import shlex

    from core.cli import _parser

    words = shlex.split(job_texts.command_of(run(), "/a b.db"))
    assert words[:3] == ["stockyard-cli", "--db", "/a b.db"]
    options = _parser().parse_args(words[1:])
    assert (options.symbols, options.start) == ("AAPL", date(2024, 1, 2))


def test_a_summary_tells_rows_requests_time_and_success() -> None:
    assert job_texts.summary_sentence(run(summary=summary())) == (
        "1,204 rows stored  ·  13 requests (Alpaca 12, Yahoo 1)  ·  "
        "2 min: 1 min waiting, 20 s network  ·  98.5 % answered"
    )


@pytest.mark.parametrize("text", [None, "", "{", "[1]"])
def test_a_run_without_a_usable_summary_has_none(text: str | None) -> None:
    assert job_texts.summary_sentence(run(summary=text)) == ""


@pytest.mark.parametrize(
    ("item", "text"),
    [
        (LINE[0], "AAPL  1d  2024-01-02 to 2024-01-31"),
        ("AAPL bars stock 1h 2024-01-02 2024-01-02 yahoo", "AAPL  1h  2024-01-02"),
        ("2024-01-02 session polygon", "All symbols  1d  2024-01-02"),
        ("AAPL options yahoo", "AAPL"),
        ("* universe stock nasdaq_trader", "Directory: stock"),
        ("AAPL", "AAPL"),
    ],
)
def test_a_line_of_a_run_in_words(item: str, text: str) -> None:
    assert job_texts.item_text(item) == text


@pytest.mark.parametrize(
    ("source", "text"),
    [("alpaca:iex", "Alpaca (IEX)"), ("alpaca:sip/crypto", "Alpaca (SIP), crypto"),
     ("alpha_vantage", "Alpha Vantage"), ("new_one", "New One")],
)  # fmt: skip
def test_a_source_in_words(source: str, text: str) -> None:
    assert job_texts.source_title(source) == text


def test_the_end_of_a_blocked_run_says_until_when() -> None:
    progress = Progress(
        7, RunState.BLOCKED, 20, 5, {"stored": 5}, message="Too many requests.",
        blocked_until=int(NOW) + 900,
    )  # fmt: skip
    text = job_texts.end_sentence("Backfill", progress, NOW)
    assert "(in 15 min)" in text
    assert "Too many requests." in text
    assert "5 of 20 done (stored 5)." in text


def test_outcomes_come_in_their_usual_order_and_unknown_ones_last() -> None:
    counts = {"brand_new": 1, "failed": 2, "stored": 3, "empty": 0}
    assert outcomes.sentence(counts) == "stored 3, failed 2, brand new 1"


class TestForecast:
    def plan(self, **changes: object) -> Estimate:
        one = Forecast("alpaca:iex", 1, 40, 130.0, None, None)
        made = WorkPlan([LINE], 0, {}, (one,))
        for name, value in changes.items():
            setattr(made, name, value)
        return Estimate(ORDER, made)

    def test_the_whole_in_one_sentence(self) -> None:
        assert forecast.headline(self.plan().plan) == "1 question in about 40 requests, 2 min."

    def test_a_quota_that_does_not_suffice_is_told(self) -> None:
        short = Forecast("alpha_vantage", 1, 40, 40.0, 3, None)
        text = forecast.remarks(self.plan(forecasts=(short,), complete=2))
        assert text.startswith("2 series complete already. Alpha Vantage allows 3 more requests")

    def test_only_when_every_source_is_held_off_one_may_only_try(self) -> None:
        free = Forecast("yahoo", 1, 1, 1.0, None, None)
        held = Forecast("alpaca:iex", 1, 1, 1.0, None, int(NOW) + 60)
        assert forecast.start_text(self.plan(forecasts=(held,)), NOW) == "Try now"
        assert forecast.start_text(self.plan(forecasts=(held, free)), NOW) == "Start the backfill"
        assert forecast.start_text(self.plan(forecasts=(held,)), NOW + 61) == "Start the backfill"

    def test_why_there_is_nothing_to_do(self) -> None:
        assert "has all of this" in forecast.headline(self.plan(lines=[], complete=3).plan)
        left_out = self.plan(lines=[], skipped={"^GSPC 1d": "none of yahoo has it"}).plan
        assert forecast.headline(left_out) == (
            "Nothing can be fetched. ^GSPC 1d: none of yahoo has it."
        )
