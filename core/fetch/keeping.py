"""Questions put to a provider, and answers put into the cache."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeAlias, cast

from core import universe
from core.errors import BadInput, BadReply, NoData, NotEntitled, NotFound, ProviderError
from core.fetch.planning import batch_of
from core.fetch.questions import (
    BarsQuestion,
    OptionsQuestion,
    SessionQuestion,
    UniverseQuestion,
    subject_of,
)
from core.fetch.sources import provider_of, source_of
from core.model import AssetClass
from core.options import OptionStore
from core.providers import Fetched
from core.sessions import NEW_YORK
from core.store import worklists

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd
    from sqlalchemy import Connection

    from core.bar_writer import WriteResult
    from core.cache import MarketCache
    from core.clock import Clock
    from core.fetch.questions import Question
    from core.fetch.sources import Sources
    from core.providers import Listing, OptionChain
    from core.runs import RunControl
    from core.store.run_queue import Line
    from core.universe import UniverseChange

STORED, EMPTY = "stored", "empty"
FINAL: Mapping[type[ProviderError], str] = {
    NotFound: "not_found",
    NoData: "no_data",
    NotEntitled: "not_entitled",
}
"""Answers that settle a line, in the outcomes' words."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one line: its outcome, the words for it, and how many rows were stored.

    `error` is set where the provider had no answer this time: then nothing was stored. `drifted`
    tells that the source's price basis has changed, so that older bars have to be fetched anew.
    """

    line: Line
    outcome: str = STORED
    detail: str = ""
    records: int = 0
    error: ProviderError | None = None
    drifted: bool = False


BarsAnswer: TypeAlias = "Mapping[str, Fetched | ProviderError]"
Finish: TypeAlias = "Callable[[Connection, list[Verdict]], None]"


class Desk:
    """Asks one lane's provider and keeps what it answers."""

    def __init__(self, lane: str, cache: MarketCache, sources: Sources, clock: Clock) -> None:
        self.lane = lane
        self.source = source_of(lane)
        self.provider = provider_of(lane)
        self._cache = cache
        self._sources = sources
        self._clock = clock

    def ask(self, question: Question, lines: Sequence[Line], control: RunControl) -> object:
        """The provider's answer to lines with one question. Raises ProviderError and Cancelled."""
        subjects = [subject_of(line.item) for line in lines]
        match question:
            case BarsQuestion():
                return self._bars(question, subjects, control)
            case SessionQuestion():
                desk = self._sources.sessions(self.source)
                if desk is None:
                    raise BadInput(f"{self.source} does not answer by sessions.")
                return desk.session(question.ts, control)
            case OptionsQuestion():
                return self._sources.options(self.source).chain(subjects[0], control)
            case UniverseQuestion():
                directory = self._sources.directory(self.source)
                return directory.listings(question.asset_class, control)

    def keep(
        self,
        question: Question,
        lines: Sequence[Line],
        answer: object,
        fetched_at: float,
        finish: Finish,
    ) -> None:
        """Store the answer and call `finish` with a verdict on each line, bars in one transaction.

        Raises StoreError; then nothing was stored, and the same answer can be kept later.
        """
        match question:
            case BarsQuestion():
                self._keep_bars(question, lines, cast("BarsAnswer", answer), fetched_at, finish)
            case SessionQuestion():
                self._keep_session(
                    question, lines[0], cast("pd.DataFrame", answer), fetched_at, finish
                )
            case OptionsQuestion():
                self._keep_chain(lines[0], cast("OptionChain", answer), finish)
            case UniverseQuestion():
                self._keep_listings(question, lines[0], cast("list[Listing]", answer), finish)

    def _keep_bars(
        self,
        question: BarsQuestion,
        lines: Sequence[Line],
        answer: BarsAnswer,
        fetched_at: float,
        finish: Finish,
    ) -> None:
        by_symbol = {subject_of(line.item): line for line in lines}
        given = {symbol: self._as_bars(answer.get(symbol)) for symbol in by_symbol}
        data = {symbol: one.frame for symbol, one in given.items() if isinstance(one, Fetched)}

        def also(connection: Connection, results: Mapping[str, WriteResult]) -> None:
            finish(
                connection,
                [
                    _verdict(line, answer.get(symbol), results.get(symbol))
                    for symbol, line in by_symbol.items()
                ],
            )

        try:
            self._cache.set_many(
                data,
                self.source,
                question.asset_class,
                question.interval,
                adjustment=self._sources.bars(self.source).adjustment,
                actions={s: one.actions for s, one in given.items() if isinstance(one, Fetched)},
                asked=question.asked,
                fetched_at=fetched_at,
                also=also,
            )
        except BadInput as error:
            if len(lines) > 1:
                # One frame that makes no sense must not keep the others out.
                for line in lines:
                    self._keep_bars(question, [line], answer, fetched_at, finish)
                return
            reply = BadReply(self.provider, f"The answer cannot be used: {error}")
            with self._cache.store.write() as connection:
                finish(connection, [Verdict(lines[0], error=reply)])

    def _as_bars(self, found: Fetched | ProviderError | None) -> Fetched | ProviderError:
        """An answer of "nothing" is an empty one: the cache knows, and does not ask again."""
        import pandas as pd

        if isinstance(found, Fetched):
            nothing = found.frame.empty
        else:
            nothing = found is None or isinstance(found, (NotFound, NoData))
        if found is not None and not nothing:
            return found
        columns = ["open", "high", "low", "close", "volume"]
        return Fetched(pd.DataFrame(columns=columns, index=pd.DatetimeIndex([]), dtype="float64"))

    def _keep_session(
        self,
        question: SessionQuestion,
        line: Line,
        frame: pd.DataFrame,
        fetched_at: float,
        finish: Finish,
    ) -> None:
        with self._cache.store.read() as connection:
            listed = worklists.classes_of(connection, [str(symbol) for symbol in frame.index])
        adjustment = self._sources.bars(self.source).adjustment
        records = 0
        for asset_class in (AssetClass.STOCK, AssetClass.FUND):
            ours = [symbol for symbol in frame.index if listed.get(symbol) is asset_class]
            if not ours:
                continue
            results = self._cache.set_session(
                frame.loc[ours],
                datetime.fromtimestamp(question.ts, tz=UTC).date(),
                self.source,
                asset_class,
                adjustment=adjustment,
                fetched_at=fetched_at,
            )
            records += sum(int(result) for result in results.values())
        detail = f"{len(frame):,} bars given, {records:,} stored for listed symbols"
        outcome = STORED if len(frame) else EMPTY
        with self._cache.store.write() as connection:
            finish(connection, [Verdict(line, outcome, detail, records)])

    def _keep_chain(self, line: Line, chain: OptionChain, finish: Finish) -> None:
        store = self._cache.store
        day = datetime.fromtimestamp(chain.at, tz=NEW_YORK).date()
        written = OptionStore(store, self._clock).store_raw_options(
            chain.symbol,
            day,
            chain.quotes,
            chain.underlying_price,
            self.provider,
            fetched_at=chain.at,
        )
        detail = (
            written.kept or f"{written.stored:,} contracts, quality {written.quality.value:.2f}"
        )
        if written.rejected:
            detail += f"; {written.rejected:,} rejected"
        with store.write() as connection:
            finish(connection, [Verdict(line, STORED, detail, written.stored)])

    def _keep_listings(
        self, question: UniverseQuestion, line: Line, listings: list[Listing], finish: Finish
    ) -> None:
        store = self._cache.store
        try:
            change = universe.update(
                store, self._clock, listings, self.provider, question.asset_class
            )
        except BadReply as error:
            verdict = Verdict(line, error=error)
        else:
            verdict = Verdict(line, STORED, _directory_words(change), change.listed)
        with store.write() as connection:
            finish(connection, [verdict])

    def _bars(
        self, question: BarsQuestion, symbols: Sequence[str], control: RunControl
    ) -> Mapping[str, Fetched | ProviderError]:
        client = self._sources.bars(self.source)
        batch = batch_of(client)
        if batch is not None and len(symbols) > 1:
            return batch.bars_of(
                symbols, question.asset_class, question.interval, question.span, control
            )
        (symbol,) = symbols
        try:
            found = client.bars(
                symbol, question.asset_class, question.interval, question.span, control
            )
        except (NotFound, NoData, NotEntitled) as error:
            return {symbol: error}
        return {symbol: found}


def _verdict(
    line: Line, answer: Fetched | ProviderError | None, result: WriteResult | None
) -> Verdict:
    if isinstance(answer, Fetched) or answer is None:
        if result is None or not (result.inserted or result.updated or result.unchanged):
            return Verdict(line, EMPTY, "No bars in this range.")
        return Verdict(line, STORED, _words(result), int(result), drifted=result.drift is not None)
    outcome = FINAL.get(type(answer))
    if outcome is None:
        return Verdict(line, error=answer)
    return Verdict(line, outcome, str(answer))


def _words(result: WriteResult) -> str:
    parts = [f"{int(result):,} bars"]
    if result.unchanged:
        parts.append(f"{result.unchanged:,} as before")
    if result.rejected:
        parts.append(f"{len(result.rejected):,} put into quarantine")
    if result.findings:
        parts.append(f"{result.findings:,} worth a look")
    if result.drift is not None:
        parts.append("the price basis has changed")
    return ", ".join(parts)


def _directory_words(change: UniverseChange) -> str:
    parts = [f"{change.listed:,} listed"]
    for number, words in (
        (len(change.added), "new"),
        (len(change.delisted), "delisted"),
        (len(change.relisted), "listed again"),
        (len(change.renamed_tickers), "with another ticker"),
        (len(change.recycled), "now another company"),
        (len(change.renamed_companies), "with another name"),
    ):
        if number:
            parts.append(f"{number:,} {words}")
    return ", ".join(parts)
