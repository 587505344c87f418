"""The second stage of a refresh: one question for each symbol that no screen has answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.errors import BadReply, Blocked, NoData, NotFound, ProviderDown
from core.model import SectorStatus
from core.store import provider_state, sector_answers
from core.store import runs as stored_runs
from core.store import symbols as stored

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from core.providers import Profile, SectorProvider
    from core.sectors.desk import Desk

CANARY = "AAPL"
"""A symbol that the provider is certain to have a sector for."""

FAILURES_IN_A_ROW = 5
GIVE_UP_AFTER = 3
"""Runs in which a symbol may fail before it is shown as failed and only asked again by hand."""


def record_profile(
    connection: Connection,
    symbol: str,
    status: SectorStatus,
    profile: Profile | None,
    detail: str,
    *,
    provider: str,
    now: int,
) -> None:
    """Store what a symbol's own profile says, with the reason when it says that there is none."""
    source = f"{provider}{sector_answers.PROFILE}"
    sector, industry = (profile.sector, profile.industry) if profile else (None, None)
    stored.record_answer(
        connection, symbol, status, sector=sector, industry=industry, source=source, now=now
    )
    sector_answers.put_profile(
        connection,
        symbol,
        source,
        sector=sector,
        industry=industry,
        reason=None if profile else detail,
        now=now,
    )


def words(profile: Profile) -> str:
    """The profile in a line."""
    return " / ".join(part for part in (profile.sector, profile.industry) if part)


class ProfileStage:
    """Asks one by one, and knows how to tell a symbol's failure from the provider's."""

    def __init__(self, desk: Desk, provider: SectorProvider) -> None:
        self._desk = desk
        self._provider = provider
        self._held_back: list[tuple[str, str]] = []

    def work(self, symbols: list[str]) -> None:
        """Ask for each of the symbols and record what comes of it."""
        for symbol in symbols:
            self._desk.rest_while_paused()
            self._desk.current = symbol
            self._settle(symbol)
        self._release_held_back()

    def probe(self) -> None:
        """Return when the provider answers for the canary; raise Blocked or ProviderDown if not."""
        self._desk.current = CANARY
        try:
            self._ask(CANARY)
        except (NoData, NotFound) as answer:
            raise Blocked(
                self._provider.name,
                f"Yahoo says it knows no sector for {CANARY}, so its answers cannot be trusted "
                "now. Nothing was marked.",
            ) from answer
        except BadReply as error:
            raise ProviderDown(
                self._provider.name,
                "Yahoo gives no usable answer, not even for a well-known symbol. "
                "Nothing was marked.",
            ) from error
        self._desk.commit(
            lambda connection: provider_state.unblock(connection, self._provider.name)
        )

    def _ask(self, symbol: str) -> Profile:
        return self._desk.ask(lambda: self._provider.profile(symbol, self._desk.control))

    def _settle(self, symbol: str) -> None:
        try:
            profile = self._ask(symbol)
        except NoData as answer:
            self._record_answer(symbol, SectorStatus.NONE, None, str(answer))
        except NotFound as answer:
            self._record_answer(symbol, SectorStatus.NOT_FOUND, None, str(answer))
        except (ProviderDown, BadReply) as error:
            self._held_back.append((symbol, str(error)))
            if len(self._held_back) >= FAILURES_IN_A_ROW:
                self._release_held_back()
        else:
            self._record_answer(symbol, SectorStatus.FOUND, profile, words(profile))

    def _record_answer(
        self, symbol: str, status: SectorStatus, profile: Profile | None, detail: str
    ) -> None:
        # An answer of the provider proves that the failures before it were the symbols' own.
        self._record_held_back()
        desk, now = self._desk, self._desk.now

        def save(connection: Connection) -> None:
            record_profile(
                connection, symbol, status, profile, detail, provider=self._provider.name, now=now
            )
            stored_runs.record_item(connection, desk.run_id, symbol, status, detail, now=now)

        desk.commit(save)
        desk.note(symbol, status, detail)

    def _release_held_back(self) -> None:
        """Let the canary decide what the failures in a row mean, then record or forget them."""
        if self._held_back:
            self.probe()
            self._record_held_back()

    def _record_held_back(self) -> None:
        held_back, self._held_back = self._held_back, []
        if not held_back:
            return
        desk, now = self._desk, self._desk.now

        def save(connection: Connection) -> None:
            for symbol, reason in held_back:
                stored.record_failure(connection, symbol, reason, give_up_after=GIVE_UP_AFTER)
                stored_runs.record_item(
                    connection, desk.run_id, symbol, SectorStatus.FAILED, reason, now=now
                )

        desk.commit(save)
        for symbol, reason in held_back:
            desk.note(symbol, SectorStatus.FAILED, reason)
