"""One lane of a run: one provider, asked one question after another.

What an error means is decided by its type. A block or a wrong key closes the lane: nothing is
marked, and its lines stay in the queue or go to the next provider of the order. A question without
an answer is put back and asked again a little later, three times in all; failures in a row are held
back until a question that must have an answer (the canary) tells whether the provider or the
symbols are to blame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.breaker import open_breaker
from core.errors import (
    BadCredentials,
    BadInput,
    BadReply,
    Blocked,
    Cancelled,
    NoData,
    NotEntitled,
    NotFound,
    ProviderDown,
    ProviderError,
    RateLimited,
)
from core.fetch.keeping import FINAL, Desk, Verdict
from core.fetch.ledger import LEASE_S
from core.fetch.orders import JobKind
from core.fetch.planning import batch_of, per_question
from core.fetch.questions import (
    BarsQuestion,
    OptionsQuestion,
    SessionQuestion,
    item_of,
    question_of,
)
from core.fetch.sources import CRYPTO_LANE
from core.intervals import DAY, Interval
from core.model import AssetClass
from core.providers.plans import PROVIDERS
from core.store import provider_state, run_queue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from core.fetch.ledger import Ledger
    from core.fetch.questions import Question
    from core.fetch.sources import Sources
    from core.model import ProviderState
    from core.store.run_queue import Line

TRIES = 3
RETRY_AFTER_S = 2.0
FAILURES_IN_A_ROW = 5
WAIT_OUT_S = 120.0
"""A provider that says "not so fast" for longer is left alone instead of being waited for."""
LIMITED_IN_A_ROW = 3
IDLE_S = 0.5
SESSIONS_FOR_S = 2.0
MOST_SESSIONS = 20
"""Sessions of a quick provider are stored several at once; those of a slow one each by itself, so
that little has to be asked again after a crash."""
CANARIES = {AssetClass.STOCK: "AAPL", AssetClass.CRYPTO: "BTC/USD"}


@dataclass(frozen=True, slots=True)
class LaneEnd:
    """Why a lane ended: its work is done (no reason), or what stopped it.

    `blocked_until` is set when the provider is left alone until then.
    """

    reason: str = ""
    blocked_until: int | None = None

    @property
    def is_done(self) -> bool:
        return not self.reason


class Lane:
    """The work of one lane; `work` runs in a thread of its own."""

    def __init__(self, name: str, desk: Desk, sources: Sources, ledger: Ledger) -> None:
        self.name = name
        self.provider = desk.provider
        self._desk = desk
        self._sources = sources
        self._ledger = ledger
        self._control = ledger.control
        self._clock = ledger.clock
        self._failed_in_a_row = 0
        self._limited_in_a_row = 0
        self._covered: set[int] = set()

    def work(self) -> LaneEnd:
        """Ask until nothing waits in the lane any more. Raises Cancelled and StoreError."""
        try:
            standing = self._ledger.standing(self.provider)
            blocked = self._is_blocked(standing)
            if (standing.strikes or blocked) and (self._ledger.try_now or not blocked):
                self._probe()
            while not self._is_blocked(standing := self._ledger.standing(self.provider)):
                if not self._step():
                    return LaneEnd()
        except Blocked as error:
            return self._close(str(error), hold_off_s=self._ledger.hold_off_s)
        except RateLimited as error:
            return self._close(str(error), hold_off_s=error.retry_after_s, strikes=False)
        except (BadCredentials, ProviderDown, BadReply) as error:
            return LaneEnd(str(error))
        # Another lane or another program met the block.
        return LaneEnd(standing.reason, standing.blocked_until)

    def _is_blocked(self, standing: ProviderState) -> bool:
        return standing.is_blocked(self._clock.now())

    def _step(self) -> bool:
        """One question and its answer; False when the lane is empty."""
        self._ledger.rest_while_paused()
        lines = self._claim()
        if not lines:
            return self._wait_for_lines()
        question = question_of(lines[0].question)
        # Whatever settles while the answer is on its way was not settled when it was asked for.
        fetched_at = self._clock.now()
        try:
            answer = self._ask(question, lines)
        except (ProviderDown, BadReply) as error:
            self._put_back(lines, error)
        except RateLimited as error:
            self._give_back(lines)
            self._wait_out(error)
        except (Blocked, BadCredentials, Cancelled):
            self._give_back(lines)
            raise
        else:
            self._limited_in_a_row = 0
            self._keep(question, lines, answer, fetched_at)
        return True

    def _ask(self, question: Question, lines: Sequence[Line]) -> object:
        self._ledger.now_asking(self.name, lines)
        with self._ledger.timing_network():
            try:
                return self._desk.ask(question, lines, self._control)
            except (NotFound, NoData, NotEntitled) as error:
                return error
            except BadInput as error:
                # The provider cannot even be asked this; another one may be.
                return NotEntitled(self.provider, str(error))

    def _keep(
        self, question: Question, lines: Sequence[Line], answer: object, fetched_at: float
    ) -> None:
        if isinstance(answer, ProviderError):
            error = answer
            outcome = FINAL[type(error)]
            verdicts = [Verdict(line, outcome, str(error)) for line in lines]
            self._ledger.commit(lambda connection: self._settle(connection, verdicts))
            self._failed_in_a_row = 0
            return
        self._covered = set()
        self._ledger.persist(
            lambda: self._desk.keep(question, lines, answer, fetched_at, self._settle)
        )
        self._give_back([line for line in lines if line.position not in self._covered])

    def _settle(self, connection: Connection, verdicts: list[Verdict]) -> None:
        """Record what became of lines, in the transaction that stores their answers."""
        self._covered |= {one.line.position for one in verdicts}
        failed = [one for one in verdicts if one.error is not None]
        if len(failed) < len(verdicts):
            self._failed_in_a_row = 0
        self._ledger.settle(connection, self.name, [one for one in verdicts if one.error is None])
        for one in failed:
            self._again_or_failed(connection, one.line, str(one.error))

    def _put_back(self, lines: Sequence[Line], error: ProviderError) -> None:
        self._failed_in_a_row += 1
        if self._failed_in_a_row >= FAILURES_IN_A_ROW:
            self._give_back(lines)
            self._probe()
            self._failed_in_a_row = 0
            return

        # A batch that fails as a whole may fail because of one of its symbols.
        def save(connection: Connection) -> None:
            for line in lines:
                self._again_or_failed(connection, line, str(error))

        self._ledger.commit(save)

    def _again_or_failed(self, connection: Connection, line: Line, reason: str) -> None:
        if line.attempts + 1 >= TRIES:
            self._ledger.give_up(connection, self.name, line, reason)
            return
        later = int(self._clock.now() + RETRY_AFTER_S * 2.0**line.attempts)
        run_queue.put_back(connection, self._ledger.run_id, [line], error=reason, not_before=later)

    def _claim(self) -> list[Line]:
        now = int(self._clock.now())
        found: list[Line] = []

        def save(connection: Connection) -> None:
            self._ledger.beat(connection)
            found[:] = run_queue.claim(
                connection,
                self._ledger.run_id,
                self.name,
                owner=self._ledger.owner,
                most=self._at_once,
                now=now,
                lease_until=now + LEASE_S,
            )

        self._ledger.commit(save)
        return found

    def _at_once(self, text: str, attempts: int) -> int:
        """How many lines to ask at once. A batch that failed is asked again in smaller ones, so
        that one symbol cannot fail the rest for good."""
        question = question_of(text)
        if isinstance(question, SessionQuestion):
            per_second = 1.0 / self._sources.limits(self.provider).rate.interval_s
            return max(1, min(MOST_SESSIONS, int(per_second * SESSIONS_FOR_S)))
        if not isinstance(question, BarsQuestion):
            return 1
        batch = batch_of(self._sources.bars(self._desk.source))
        return per_question(question, batch.batch if batch is not None else 1) >> 3 * attempts or 1

    def _give_back(self, lines: Sequence[Line]) -> None:
        if lines:
            self._ledger.commit_quietly(
                lambda connection: run_queue.give_back(connection, self._ledger.run_id, lines)
            )

    def _wait_for_lines(self) -> bool:
        """Wait for lines that somebody else holds or that rest; False when there are none."""
        now = int(self._clock.now())
        moment = self._ledger.next_moment(self.name, now)
        if moment is None:
            return False
        self._control.sleep(max(IDLE_S, min(moment - now, 5.0)))
        return True

    def _wait_out(self, error: RateLimited) -> None:
        """Do what "not so fast" asks for, unless it asks for too much or too often."""
        self._limited_in_a_row += 1
        if error.retry_after_s > WAIT_OUT_S or self._limited_in_a_row >= LIMITED_IN_A_ROW:
            raise error
        self._ledger.say(self.name, f"{error} Going on in {error.retry_after_s:.0f} s.")
        self._control.sleep(error.retry_after_s)

    def _close(self, reason: str, *, hold_off_s: float, strikes: bool = True) -> LaneEnd:
        now = int(self._clock.now())
        until = now + max(1, round(hold_off_s))

        def save(connection: Connection) -> None:
            nonlocal until
            if strikes:
                until = open_breaker(
                    connection, self.provider, reason, hold_off_s=hold_off_s, now=now
                )
            else:
                state = provider_state.get(connection, self.provider, now=now)
                until = max(until, state.blocked_until or 0)
                provider_state.block(
                    connection, self.provider, until=until, strikes=state.strikes, reason=reason
                )

        self._ledger.commit(save)
        return LaneEnd(reason, until)

    def _probe(self) -> None:
        """Return when the provider answers what it must know; raise Blocked or ProviderDown."""
        found = self._canary()
        if found is not None:
            self._ask_canary(*found)
        self._ledger.commit(lambda connection: provider_state.unblock(connection, self.provider))

    def _ask_canary(self, symbol: str, question: Question) -> None:
        line = run_queue.Line(-1, item_of(symbol, question, self.name), self.name, str(question))
        title = PROVIDERS[self.provider].title if self.provider in PROVIDERS else self.provider
        try:
            answer = self._ask(question, [line])
        except BadReply as error:
            raise ProviderDown(
                self.provider,
                f"{title} gives no usable answer, not even for {symbol}. Nothing was marked.",
            ) from error
        if isinstance(answer, dict):
            answer = answer.get(symbol)
        if isinstance(answer, (NotFound, NoData)):
            raise Blocked(
                self.provider,
                f"{title} says it knows nothing of {symbol}, so its answers cannot be trusted now. "
                "Nothing was marked.",
            )

    def _canary(self) -> tuple[str, Question] | None:
        """A question that must have an answer; None where there is none."""
        if self._ledger.order.kind is JobKind.OPTIONS:
            return CANARIES[AssetClass.STOCK], OptionsQuestion()
        if not self._ledger.fetches_bars:
            return None
        is_crypto = self.name.endswith(CRYPTO_LANE)
        asset_class = AssetClass.CRYPTO if is_crypto else AssetClass.STOCK
        today = int(self._clock.now()) // DAY * DAY
        question = BarsQuestion(asset_class, Interval.D1, today - 10 * DAY, today - DAY)
        return CANARIES[asset_class], question
