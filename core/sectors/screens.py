"""The first stage of a refresh: screens turned page by page, many symbols in one answer."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from core.errors import BadInput, BadReply, ProviderDown
from core.model import SectorStatus, Stage, Sweep
from core.sectors.planning import PAGE, expected_pages, guess_rows, pages_of
from core.sectors.queries import agree, industry_screens, query_of
from core.store import runs as stored_runs
from core.store import sector_answers, sector_scopes, sweeps

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection

    from core.providers.screening import ScreenPage, ScreenQuery, SectorScreen
    from core.sectors.desk import Desk
    from core.store.sector_answers import Known

FAILED_SCREENS = 2
"""So many screens may fail one after the other before the run ends."""

AN_ETF = "An ETF: it has no sector of its own."


@dataclass(slots=True)
class _Kept:
    """What became of a page, collected while it is saved and shown once it is committed."""

    rows: int = 0
    settled: list[str] = field(default_factory=list)
    reopened: list[str] = field(default_factory=list)
    torn: list[str] = field(default_factory=list)
    unlisted: int = 0
    counts: dict[str, int] = field(default_factory=dict)


class ScreenStage:
    """Turns the run's screens from where they stand, and settles the waiting symbols they list.

    What the directory does not list is counted, never added. That a screen does not list a symbol
    means nothing.
    """

    def __init__(
        self, desk: Desk, screen: SectorScreen, probe: Callable[[], None], turned: Sequence[Sweep]
    ) -> None:
        self._desk = desk
        self._screen = screen
        self._probe = probe
        self._sweeps = {sweep.name: sweep for sweep in turned}
        self._failed: list[str] = []
        self._answers = 0
        self._waiting: set[str] = set()
        self._torn: set[str] = set()
        self._estimates: dict[str, int] = {}
        self._source = f"{screen.name}{sector_answers.SCREENER}"
        self._second = f"{screen.name}{sector_answers.SECOND}"
        self._profile = f"{screen.name}{sector_answers.PROFILE}"

    @property
    def sweeps(self) -> tuple[Sweep, ...]:
        """Every screen with how far it is turned; may be read from any thread."""
        return tuple(self._sweeps.values())

    @property
    def is_over(self) -> bool:
        return all(sweep.ended_at is not None for sweep in self._sweeps.values())

    def work(self, waiting: set[str]) -> None:
        """Turn every screen to its end. Raises Blocked, ProviderDown and Cancelled."""
        self._desk.stage = Stage.SCREEN
        self._waiting = waiting
        with self._desk.store.read() as connection:
            totals = sweeps.latest_totals(connection)
            listed = sector_scopes.listed(connection)
        self._estimates = {
            name: totals.get(name, guess_rows(name, listed)) for name in self._sweeps
        }
        self._count_pages()
        while (name := self._next()) is not None:
            try:
                self._turn(name)
            except (ProviderDown, BadReply, BadInput) as error:
                self._set_aside(name, error)
        if self._failed:
            self._desk.commit(self._end_failed)
            self._forget_failed()

    def _next(self) -> str | None:
        for sweep in self._sweeps.values():
            if sweep.ended_at is None and sweep.name not in self._failed:
                return sweep.name
        return None

    def _turn(self, name: str) -> None:
        query = query_of(name)
        while self._sweeps[name].ended_at is None:
            desk, sweep = self._desk, self._sweeps[name]
            desk.rest_while_paused()
            desk.current = _place(sweep)
            page = self._ask(query, sweep.next_offset)
            self._answers += 1
            if page.unreachable and query.sector and not query.industry:
                self._split(sweep, page, query.sector)
            else:
                self._keep(sweep, page, query)
            self._count_pages()

    def _ask(self, query: ScreenQuery, offset: int) -> ScreenPage:
        return self._desk.ask(lambda: self._screen.page(query, offset, self._desk.control))

    # --- one page ---

    def _keep(self, sweep: Sweep, page: ScreenPage, query: ScreenQuery) -> None:
        kept, turned = _Kept(), sweep

        def save(connection: Connection) -> None:
            nonlocal kept, turned
            kept = self._saved(connection, sweep, page, query)
            turned = _turned(sweep, page, kept.rows, self._desk.now)
            self._write(connection, turned)
            self._end_failed(connection)
            kept.counts = stored_runs.counts(connection, self._desk.run_id)

        self._desk.commit(save)
        self._sweeps[sweep.name] = turned
        self._forget_failed()
        self._show(kept, query)

    def _saved(
        self, connection: Connection, sweep: Sweep, page: ScreenPage, query: ScreenQuery
    ) -> _Kept:
        desk = self._desk
        kept = _Kept()
        listed = list(dict.fromkeys(row.symbol for row in page.rows))
        kept.rows = sweeps.add_rows(connection, desk.run_id, sweep.name, listed)
        known = sector_answers.known(connection, listed)
        others = sweeps.listed_by_others(connection, desk.run_id, sweep.name, listed)
        torn = [
            symbol
            for symbol, names in others.items()
            if symbol in known and not all(agree(query, query_of(name)) for name in names)
        ]
        plain = [symbol for symbol in known if symbol not in torn]
        self._put_answers(connection, known, plain, torn, query)
        for symbol in plain:
            if symbol in self._waiting and known[symbol].is_free:
                if self._disputes_profile(known[symbol], query):
                    kept.torn.append(symbol)
                else:
                    kept.settled.append(symbol)
        self._settle(connection, kept.settled, known, query)
        kept.reopened = self._reopen(connection, torn, sweep, others)
        kept.torn += [symbol for symbol in torn if known[symbol].is_free]
        kept.unlisted = len(sweeps.unlisted(connection, desk.run_id))
        return kept

    def _put_answers(
        self,
        connection: Connection,
        known: dict[str, Known],
        plain: Sequence[str],
        torn: Sequence[str],
        query: ScreenQuery,
    ) -> None:
        sources: dict[str, list[str]] = {self._source: list(plain), self._second: []}
        for name in torn:
            # A page that is looked at twice must not say under both sources what one screen says.
            said = known[name].answers.get(self._source)
            same = said is not None and said[0] == query.sector
            sources[self._source if same else self._second].append(name)
        for source, names in sources.items():
            free = [known[name].id for name in names if known[name].is_free]
            rows = [(one, query.sector, query.industry) for one in free]
            sector_answers.put(connection, source, rows, at=self._desk.now)
        # What a second screen said in an earlier run; of this run's, the rows say so themselves.
        ids = [known[name].id for name in plain if self._second in known[name].answers]
        sector_answers.forget(connection, self._second, ids)

    def _disputes_profile(self, known: Known, query: ScreenQuery) -> bool:
        said = known.answers.get(self._profile)
        return said is not None and said[0] != query.sector

    def _settle(
        self,
        connection: Connection,
        settled: Sequence[str],
        known: dict[str, Known],
        query: ScreenQuery,
    ) -> None:
        desk = self._desk
        status, detail = _outcome(query)
        sector_answers.settle(
            connection,
            [(known[name], _industry(query, known[name])) for name in settled],
            status,
            sector=query.sector,
            reason=detail if query.sector is None else None,
            source=self._source,
            now=desk.now,
        )
        sweeps.record_items(connection, desk.run_id, settled, status, detail, now=desk.now)

    def _reopen(
        self,
        connection: Connection,
        torn: Sequence[str],
        sweep: Sweep,
        others: dict[str, list[str]],
    ) -> list[str]:
        """Take back what this run made of symbols that are torn between screens; which they are."""
        desk = self._desk
        settled = sorted(sweeps.with_outcome(connection, desk.run_id, torn))
        for symbol in settled:
            reason = f"Screens list it under {' and under '.join([*others[symbol], sweep.name])}."
            sector_answers.reopen(
                connection, symbol, reason, profile_source=self._profile, now=desk.now
            )
        stored_runs.forget_items(connection, desk.run_id, settled)
        return settled

    def _show(self, kept: _Kept, query: ScreenQuery) -> None:
        desk = self._desk
        status, detail = _outcome(query)
        self._waiting.difference_update(kept.settled)
        self._waiting.update(kept.reopened)
        for symbol in kept.settled:
            desk.note(symbol, status, detail)
        # Counted anew, because what two screens disagree about has lost its outcome again.
        desk.counts = kept.counts
        self._torn.update(kept.torn)
        desk.conflicts = len(self._torn)
        desk.unlisted = kept.unlisted

    # --- screens ---

    def _split(self, sweep: Sweep, page: ScreenPage, sector: str) -> None:
        """Ask for the industries of a sector that has more rows than one screen can bring."""
        names = industry_screens(self._screen.taxonomy(), sector)
        names = tuple(name for name in names if name not in self._sweeps)
        ended = replace(sweep, total=page.total, ended_at=self._desk.now)

        def save(connection: Connection) -> None:
            self._write(connection, ended)
            sweeps.begin(connection, self._desk.run_id, names)

        self._desk.commit(save)
        self._sweeps = {**self._sweeps, sweep.name: ended} | {name: Sweep(name) for name in names}

    def _set_aside(self, name: str, error: Exception) -> None:
        """Go on with the other screens, unless it is the provider that fails and not the screen."""
        self._probe()
        self._failed.append(name)
        no_other_left = self._next() is None and not self._answers
        if len(self._failed) >= FAILED_SCREENS or no_other_left:
            raise ProviderDown(
                self._screen.name,
                f"Yahoo's screens give no usable answer now ({name}: {error}) What was found is "
                "kept. Go on later, or ask one by one (stage profile).",
            ) from error

    def _end_failed(self, connection: Connection) -> None:
        for name in self._failed:
            self._write(connection, replace(self._sweeps[name], ended_at=self._desk.now))

    def _forget_failed(self) -> None:
        for name in self._failed:
            self._sweeps[name] = replace(self._sweeps[name], ended_at=self._desk.now)
        self._failed = []

    def _write(self, connection: Connection, sweep: Sweep) -> None:
        sweeps.turn(
            connection,
            self._desk.run_id,
            sweep.name,
            next_offset=sweep.next_offset,
            total=sweep.total,
            rows=sweep.rows,
            ended_at=sweep.ended_at,
        )

    def _count_pages(self) -> None:
        turned = list(self._sweeps.values())
        ended = [sweep for sweep in turned if sweep.ended_at is not None]
        others = [sweep for sweep in turned if sweep.ended_at is None]
        self._desk.pages_expected = expected_pages(turned, self._estimates)
        self._desk.pages = expected_pages(ended, self._estimates) + sum(map(_pages_so_far, others))


def _outcome(query: ScreenQuery) -> tuple[SectorStatus, str]:
    if query.sector is None:
        return SectorStatus.NONE, AN_ETF
    words = " / ".join(part for part in (query.sector, query.industry) if part)
    return SectorStatus.FOUND, f"{words} (by its screen)"


def _industry(query: ScreenQuery, known: Known) -> str | None:
    """A sector's screen knows no industries: the one that is known stays, while the sector does."""
    if query.industry is None and query.sector is not None and known.sector == query.sector:
        return known.industry
    return query.industry


def _turned(sweep: Sweep, page: ScreenPage, rows: int, now: int) -> Sweep:
    """The screen after this page: at the next one, at its second round, or at its end.

    Rows may slip from one page to another while pages are turned. The second round looks where
    pages meet; it is taken when that costs less than asking for what lacks one by one.
    """
    half = page.size // 2
    following = page.next_offset
    ended_at: int | None = None
    if following is None:
        pages = -(-min(page.total, page.reach) // page.size)
        lacking = min(page.total, page.reach) - rows
        if page.offset % page.size == 0 and lacking > pages - 1 > 0:
            following = half
        else:
            following, ended_at = page.offset + page.size, now
    return replace(sweep, next_offset=following, total=page.total, rows=rows, ended_at=ended_at)


def _pages_so_far(sweep: Sweep) -> int:
    second_round = sweep.next_offset % PAGE
    return pages_of(sweep.total or 0) if second_round else sweep.next_offset // PAGE


def _place(sweep: Sweep) -> str:
    page = sweep.next_offset // PAGE + 1
    if sweep.total is None:
        return f"{sweep.name}, page {page}"
    return f"{sweep.name}, page {page} of {max(pages_of(sweep.total), page)}"
