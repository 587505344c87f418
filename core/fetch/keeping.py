"""Questions put to a provider, and answers put into the cache."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias, cast

from core import universe
from core.errors import BadInput, BadReply, NoData, NotEntitled, NotFound, ProviderError
from core.fetch.planning import batch_of
from core.fetch.questions import (
    BarsQuestion,
    OptionsQuestion,
    SessionQuestion,
    UniverseQuestion,
    session_ts,
    subject_of,
)
from core.fetch.sources import provider_of, source_of
from core.intervals import DAY
from core.model import AssetClass
from core.options import OptionStore
from core.providers import Fetched
from core.sessions import NEW_YORK
from core.spans import Span

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd
    from sqlalchemy import Connection

    from core.bar_writer import WriteResult
    from core.cache import MarketCache
    from core.clock import Clock
    from core.fetch.questions import Question
    from core.fetch.sources import Sources
    from core.providers import BarSource, Listing, OptionChain
    from core.providers.reach import Reach
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
SessionAnswer: TypeAlias = "Mapping[str, pd.DataFrame | ProviderError]"
Finish: TypeAlias = "Callable[[Connection, list[Verdict]], None]"


class Desk:
    """Asks one lane's provider and keeps what it answers."""

    def __init__(
        self,
        lane: str,
        cache: MarketCache,
        sources: Sources,
        clock: Clock,
        wanted: Callable[[str], Mapping[str, AssetClass]],
    ) -> None:
        self.lane = lane
        self.source = source_of(lane)
        self.provider = provider_of(lane)
        self._cache = cache
        self._sources = sources
        self._clock = clock
        self._wanted_of = wanted
        self._wanted: Mapping[str, AssetClass] | None = None

    def ask(self, question: Question, lines: Sequence[Line], control: RunControl) -> object:
        """The provider's answer to lines with one question. Raises ProviderError and Cancelled."""
        subjects = [subject_of(line.item) for line in lines]
        match question:
            case BarsQuestion():
                return self._bars(question, subjects, control)
            case SessionQuestion():
                return self._sessions(subjects, control)
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
                self._keep_sessions(lines, cast("SessionAnswer", answer), fetched_at, finish)
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
        if isinstance(found, Fetched):
            nothing = found.frame.empty
        else:
            nothing = found is None or isinstance(found, (NotFound, NoData))
        if found is not None and not nothing:
            return found
        return Fetched(_no_bars())

    def _keep_sessions(
        self, lines: Sequence[Line], answer: SessionAnswer, fetched_at: float, finish: Finish
    ) -> None:
        """Store sessions together, each symbol's bars at once: one by one they take many times
        longer. Lines that the answer does not cover get no verdict."""
        frames = {day: one for day, one in answer.items() if not isinstance(one, ProviderError)}
        by_class = self._wanted_bars(frames)
        records = 0
        for asset_class, data in by_class.items():
            results = self._cache.set_many(
                data,
                self.source,
                asset_class,
                adjustment=self._sources.bars(self.source).adjustment,
                fetched_at=fetched_at,
            )
            records += sum(int(result) for result in results.values())
        for day, frame in frames.items():
            self._note_absent(day, frame, fetched_at)
        verdicts = []
        for line in lines:
            found = answer.get(subject_of(line.item))
            if isinstance(found, ProviderError):
                verdicts.append(_verdict(line, found, None))
            elif found is not None:
                outcome = STORED if len(found) else EMPTY
                share = records // len(frames)
                verdicts.append(Verdict(line, outcome, f"{len(found):,} bars given", share))
        with self._cache.store.write() as connection:
            finish(connection, verdicts)

    @property
    def _wanted_symbols(self) -> Mapping[str, AssetClass]:
        """The symbols of the order; the same all through a run."""
        if self._wanted is None:
            self._wanted = self._wanted_of(self.source)
        return self._wanted

    def _note_absent(self, day: str, frame: pd.DataFrame, fetched_at: float) -> None:
        """Remember that a session has no bar of wanted symbols. An answer without any bar at all
        is no word about them."""
        if not len(frame):
            return
        there = set(frame.index)
        ts = session_ts(day)
        for asset_class in (AssetClass.STOCK, AssetClass.FUND):
            absent = [
                symbol
                for symbol, kind in self._wanted_symbols.items()
                if kind is asset_class and symbol not in there
            ]
            if absent:
                self._cache.set_many(
                    dict.fromkeys(absent, _no_bars()),
                    self.source,
                    asset_class,
                    adjustment=self._sources.bars(self.source).adjustment,
                    asked=Span(ts, ts + DAY),
                    fetched_at=fetched_at,
                )

    def _wanted_bars(
        self, frames: Mapping[str, pd.DataFrame]
    ) -> dict[AssetClass, dict[str, pd.DataFrame]]:
        """The bars of the order's stocks and funds in these sessions, by class and symbol."""
        import numpy as np
        import pandas as pd

        parts = [one.assign(ts=session_ts(day)) for day, one in frames.items() if len(one)]
        if not parts:
            return {}
        whole = pd.concat(parts)
        whole = whole.iloc[np.lexsort((whole["ts"], whole.index.to_numpy(dtype=object)))]
        names = whole.index.to_numpy(dtype=object)
        days = pd.DatetimeIndex(pd.to_datetime(whole.pop("ts").to_numpy(), unit="s"), name="date")
        whole = whole.set_index(days)
        starts = np.flatnonzero(np.r_[True, names[1:] != names[:-1]])
        ends = np.r_[starts[1:], len(names)]
        listed = self._wanted_symbols
        found: dict[AssetClass, dict[str, pd.DataFrame]] = {}
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            asset_class = listed.get(names[start])
            if asset_class in (AssetClass.STOCK, AssetClass.FUND):
                found.setdefault(asset_class, {})[names[start]] = whole.iloc[start:end]
        return found

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

    def _within_reach(self, client: BarSource, question: BarsQuestion) -> Span:
        """The question's span without the hours after the close that the plan does not reach."""
        reach: Reach | None = getattr(client, "reach", None)
        if reach is None:
            return question.span
        clipped = reach.clipped(question.span, self._clock.now())
        if clipped is None or clipped.start != question.span.start:
            return question.span
        return clipped if clipped.end >= question.asked.end else question.span

    def _sessions(self, days: Sequence[str], control: RunControl) -> SessionAnswer:
        """Sessions asked for one after the other, up to the first that fails."""
        desk = self._sources.sessions(self.source)
        if desk is None:
            raise BadInput(f"{self.source} does not answer by sessions.")
        found: dict[str, pd.DataFrame | ProviderError] = {}
        for day in days:
            try:
                found[day] = desk.session(session_ts(day), control)
            except (NotFound, NoData, NotEntitled) as error:
                found[day] = error
            except ProviderError:
                if not found:
                    raise
                # What was answered is stored; the next question meets the same trouble.
                break
        return found

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
        span = self._within_reach(client, question)
        try:
            found = client.bars(symbol, question.asset_class, question.interval, span, control)
        except (NotFound, NoData, NotEntitled) as error:
            return {symbol: error}
        return {symbol: found}


def _no_bars() -> pd.DataFrame:
    """An answer of "nothing", as a frame."""
    import pandas as pd

    columns = ["open", "high", "low", "close", "volume"]
    return pd.DataFrame(columns=columns, index=pd.DatetimeIndex([]), dtype="float64")


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
