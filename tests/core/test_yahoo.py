"""The real yfinance and curl_cffi over a socket against the practice Yahoo."""

from __future__ import annotations

import shutil
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.clock import ManualClock, SystemClock
from core.errors import BadReply, Blocked, Cancelled, NoData, NotFound, ProviderDown
from core.model import RunState, Scope, SectorStatus, Stage
from core.practice import Fault, Limits, Listing, PracticeYahoo, Universe
from core.providers import Profile
from core.providers.yahoo import yahoo_spelling
from core.runs import RunControl
from core.services import Services
from core.settings import Settings
from core.symbols import listing

FAST = Settings(yahoo_per_second=50_000, request_deadline_s=20)
APPLE = Listing("AAPL", name="Apple Inc.", sector="Technology", industry="Consumer Electronics")
PLAIN = [
    APPLE,
    Listing(
        "BRK.B", exchange="NYQ", sector="Financial Services", industry="Insurance - Diversified"
    ),
    Listing("SPY", exchange="PCX", kind="etf"),
    Listing("SPACU", kind="spac"),
    Listing("BARE", status="no_profile"),
    Listing("ADH", status="no_fundamentals"),
    Listing("GONE", status="unknown"),
]


def companies(count: int) -> Universe:
    """AAPL and so many others: most with a sector, some without, some unknown to Yahoo."""
    made = [
        Listing(
            f"C{n:05d}",
            sector=None if n % 11 == 0 else "Industrials",
            industry=None if n % 11 == 0 else "Railroads",
            status="unknown" if n % 17 == 0 else "listed",
        )
        for n in range(count)
    ]
    return Universe([APPLE, *made])


@contextmanager
def cache_on(practice: PracticeYahoo, folder: Path, *, clock=None, settings: Settings = FAST):
    services = Services.open(
        folder / "cache.db",
        data_dir=folder,
        clock=clock,
        settings=settings,
        practice={"yahoo": practice.address},
    )
    try:
        services.add_symbols(
            listing(one.symbol, name=one.name) for one in practice.universe if one is not APPLE
        )
        yield services
    finally:
        services.close()


@pytest.fixture
def practice():
    with PracticeYahoo(Universe(PLAIN)) as server:
        yield server


@pytest.fixture
def services(practice: PracticeYahoo, tmp_path: Path):
    with cache_on(practice, tmp_path) as opened:
        yield opened


def ask(services: Services, symbol: str, control: RunControl | None = None) -> Profile:
    return services.yahoo.profile(symbol, control or RunControl())


def test_the_outcomes_are_told_apart(services) -> None:
    assert ask(services, "AAPL") == Profile("Technology", "Consumer Electronics")
    assert ask(services, "BRK.B") == Profile("Financial Services", "Insurance - Diversified")
    with pytest.raises(NoData, match="ETF"):
        ask(services, "SPY")
    with pytest.raises(NoData, match="without a sector"):
        ask(services, "SPACU")
    with pytest.raises(NoData, match="without a sector"):
        ask(services, "BARE")
    with pytest.raises(NoData, match="no profile"):
        ask(services, "ADH")
    with pytest.raises(NotFound, match="does not know"):
        ask(services, "GONE")


def test_one_symbol_costs_one_request(services, practice) -> None:
    ask(services, "AAPL")
    before = practice.log.requests
    for symbol in ("AAPL", "BRK.B"):
        ask(services, symbol)
    for symbol in ("SPY", "GONE"):
        with pytest.raises((NoData, NotFound)):
            ask(services, symbol)
    assert practice.log.requests - before == 4
    assert services.yahoo.requests == practice.log.requests


@pytest.mark.parametrize(
    ("symbol", "spelling"),
    [
        ("AAPL", "AAPL"),
        ("BRK.B", "BRK-B"),
        ("BF.B", "BF-B"),
        ("ABR.PRD", "ABR-PD"),
        ("ACHR.WS", "ACHR-WT"),
        ("NE.WS.A", "NE-WTA"),
        ("AAC.U", "AAC-UN"),
        ("BTC/USD", "BTC-USD"),
        ("^GSPC", "^GSPC"),
    ],
)
def test_yahoo_spellings(symbol: str, spelling: str) -> None:
    assert yahoo_spelling(symbol) == spelling


@pytest.mark.parametrize("style", ["429", "crumb401", "mixed", "soft401"])
def test_every_kind_of_block_is_a_block(tmp_path, style) -> None:
    with (
        PracticeYahoo(
            companies(40), limits=Limits(block_after=12, block_s=3600, block_style=style)
        ) as practice,
        cache_on(practice, tmp_path) as services,
    ):
        run = services.sectors.start(Scope(stage=Stage.PROFILE))
        assert run.run() is RunState.BLOCKED
        truth = {one.symbol: practice.universe.truth(one.symbol) for one in practice.universe}
        columns = services.symbol_columns()
        answered = [
            (symbol, status)
            for symbol, status in zip(columns.symbol, columns.sector_status, strict=True)
            if SectorStatus(status).is_answer
        ]
        assert answered
        assert all(truth[symbol].status == status for symbol, status in answered)
        counts = services.sectors.counts()
        assert counts.failed == 0
        assert counts.blocked == len(columns) - len(answered)
        assert practice.log.while_blocked <= 4


def test_yfinances_own_way_hides_the_block_that_ours_sees(services, practice) -> None:
    import yfinance

    ask(services, "AAPL")
    practice.limits = Limits(block_after=0, block_s=3600, block_style="soft401")
    with pytest.raises(Blocked):
        ask(services, "BRK.B")
    yfinance.config.debug.hide_exceptions = True
    try:
        hidden = yfinance.Ticker("BRK-B").info
    finally:
        yfinance.config.debug.hide_exceptions = False
    assert "sector" not in hidden
    assert "quoteType" not in hidden


def test_run_block_restart_resume_until_all_are_answered(tmp_path) -> None:
    """The whole story on a turned clock: 1,200 symbols at one a second, blocked after 500."""
    clock = ManualClock(time.time())
    settings = Settings(yahoo_per_second=1)
    limits = Limits(block_after=500, block_s=600, rearm=True)
    with PracticeYahoo(companies(1_200), limits=limits, clock=clock) as practice:
        states = []
        for _ in range(6):
            with cache_on(practice, tmp_path, clock=clock, settings=settings) as services:
                left = services.sectors.resumable()
                run = (
                    services.sectors.resume(left[0].id)
                    if left
                    else services.sectors.start(Scope(stage=Stage.PROFILE))
                )
                states.append(run.run())
                if states[-1] is RunState.FINISHED:
                    break
                until = services.sectors.provider_state().blocked_until or 0
                clock.advance(until - clock.now() + 1)
        assert states == [RunState.BLOCKED, RunState.BLOCKED, RunState.FINISHED]
        asked = practice.log.answered()
        asked.pop("AAPL")
        assert len(asked) == 1_200
        assert set(asked.values()) == {1}
        # Each block shows itself once; the crumb may then be tried once more, and no more.
        assert practice.log.while_blocked <= 2
        with cache_on(practice, tmp_path, clock=clock) as services:
            columns = services.symbol_columns()
            for symbol, status, sector in zip(
                columns.symbol, columns.sector_status, columns.sector, strict=True
            ):
                truth = practice.universe.truth(symbol)
                assert (status, sector or None) == (truth.status, truth.sector), symbol


FAULTS = {
    "server error": Fault("status", symbol="BRK.B", status=500),
    "bad gateway page": Fault("status", symbol="BRK.B", status=502),
    "garbage": Fault("garbage", symbol="BRK.B"),
    "truncated": Fault("truncated", symbol="BRK.B"),
    "cut off": Fault("cut_off", symbol="BRK.B"),
    "empty": Fault("empty", symbol="BRK.B"),
    "html": Fault("html", symbol="BRK.B"),
    "reset": Fault("reset", symbol="BRK.B"),
    "other symbol": Fault("wrong_symbol", symbol="BRK.B", echo="AAPL"),
    "bad status line": Fault("bad_status_line", symbol="BRK.B"),
    "bad gzip": Fault("bad_gzip", symbol="BRK.B"),
    "gzip bomb": Fault("gzip_bomb", symbol="BRK.B"),
    "deep json": Fault("deep_json", symbol="BRK.B"),
    "not a number": Fault("not_a_number", symbol="BRK.B"),
    "big header": Fault("big_header", symbol="BRK.B"),
    "html 404": Fault("status", symbol="BRK.B", status=404),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_bad_answer_says_nothing_about_the_symbol(services, practice, fault) -> None:
    ask(services, "AAPL")
    practice.faults.add(fault)
    with pytest.raises((ProviderDown, BadReply)) as caught:
        ask(services, "BRK.B")
    assert str(caught.value).endswith((".", "?)."))
    practice.faults.clear()
    assert ask(services, "BRK.B").sector == "Financial Services"


def test_a_stale_crumb_is_renewed_once_and_is_no_block(services, practice) -> None:
    ask(services, "AAPL")
    practice.rotate_crumbs()
    assert ask(services, "BRK.B").sector == "Financial Services"


def test_silence_ends_at_the_deadline(tmp_path, practice) -> None:
    settings = Settings(yahoo_per_second=50_000, request_deadline_s=1)
    with cache_on(practice, tmp_path, settings=settings) as services:
        ask(services, "AAPL")
        for kind in ("hang", "drip"):
            practice.faults.add(Fault(kind, symbol="BRK.B", seconds=0.2))
            with pytest.raises(ProviderDown, match="in time"):
                ask(services, "BRK.B")
            practice.faults.clear()


@pytest.mark.parametrize("kind", ["hang", "drip"])
def test_cancel_cuts_off_a_request_on_the_wire(services, practice, kind) -> None:
    ask(services, "AAPL")
    practice.faults.add(Fault(kind, symbol="BRK.B", seconds=0.2))
    control = RunControl()
    ended: list[object] = []

    def work() -> None:
        try:
            ended.append(ask(services, "BRK.B", control))
        except BaseException as error:  # noqa: BLE001
            ended.append(error)

    thread = threading.Thread(target=work)
    before = practice.log.requests
    thread.start()
    while practice.log.requests == before and thread.is_alive() and kind == "drip":
        thread.join(0.01)
    control.cancel()
    # The server stays silent for as long as it lives: only the cancel can end the request.
    thread.join(5)
    assert not thread.is_alive()
    assert isinstance(ended[0], Cancelled)


def test_closing_ends_every_thread_even_with_a_silent_server(practice, tmp_path) -> None:
    before = set(threading.enumerate())
    with cache_on(practice, tmp_path) as services:
        ask(services, "AAPL")
        practice.faults.add(Fault("hang", symbol="BRK.B"))
        control = RunControl()
        outcome: list[BaseException] = []

        def work() -> None:
            try:
                ask(services, "BRK.B", control)
            except BaseException as error:  # noqa: BLE001
                outcome.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        control.cancel()
        thread.join(5)
    assert isinstance(outcome[0], Cancelled)
    ours = [thread for thread in set(threading.enumerate()) - before if "yahoo-wire" in thread.name]
    assert ours == []


def test_requests_keep_the_rate_on_the_wire(tmp_path) -> None:
    clock = ManualClock(time.time())
    with (
        PracticeYahoo(companies(60), clock=clock) as practice,
        cache_on(
            practice, tmp_path, clock=clock, settings=Settings(yahoo_per_second=2)
        ) as services,
    ):
        services.sectors.start(Scope(stage=Stage.PROFILE)).run()
        moments = [record.at for record in practice.log]
    assert len(moments) >= 60
    for first, third in zip(moments, moments[2:], strict=False):
        assert third - first >= 1.0 - 1e-6


def test_an_unreachable_server_is_down_not_blocked(tmp_path) -> None:
    with PracticeYahoo(Universe(PLAIN)) as practice:
        address = practice.address
    services = Services.open(
        tmp_path / "cache.db", data_dir=tmp_path, settings=FAST, practice={"yahoo": address}
    )
    try:
        with pytest.raises(ProviderDown, match="connection"):
            ask(services, "AAPL")
    finally:
        services.close()


def test_the_clock_of_the_program_is_the_machines() -> None:
    assert abs(SystemClock().now() - time.time()) < 5


def test_one_cache_after_another_in_one_process(tmp_path, practice) -> None:
    for number in range(2):
        folder = tmp_path / f"cache{number}"
        folder.mkdir()
        with cache_on(practice, folder) as services:
            ask(services, "AAPL")
        # What yfinance keeps for a session must not point into a folder that is gone.
        shutil.rmtree(folder)
