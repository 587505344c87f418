"""The Cache tab: what the cache holds, in numbers, and from which sources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt, QTimer, Signal, Slot
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from core.fetch.orders import JobKind
from gui import formats
from gui.tables import Column, ColumnTableModel, TableData, TableView
from gui.widgets import (
    GROUP,
    MARGIN,
    UNIT,
    BusyLabel,
    EmptyState,
    Tile,
    button,
    heading,
    label,
    set_icon,
)

if TYPE_CHECKING:
    from core.model import CacheOverview, SourceTotals
    from core.services import Services
    from gui.tasks import Tasks
    from gui.theme import Theme, ThemeManager

TILES_A_ROW = 6
NARROW = 1_200
"""Below so many pixels the tiles stand in two rows."""

STALE_AFTER_S = 300
TICK_MS = 30_000
EMPTY = (
    "This cache is empty. Import a list of symbols (a CSV file with a column “symbol”) "
    "to begin, or look around in the demonstration first."
)
ADJUSTMENTS = {
    "raw": "as traded",
    "all": "splits and dividends",
    "split": "splits",
}


def _age_column(now: float) -> Column:
    return Column(
        "fetched",
        "Last fetch",
        text=lambda at: formats.age(at, now),
        tooltip=formats.minute,
        hint="When this source last answered for one of the series.",
        empty=formats.NONE,
    )


def columns(now: float) -> tuple[Column, ...]:
    """The columns of the table of sources; ages are counted from `now`."""
    return (
        Column("key", "Key", hidden=True, sortable=False),
        Column("source", "Source", hint="The provider, and its feed where it has several."),
        Column("interval", "Interval"),
        Column(
            "adjustment",
            "Price basis",
            text=lambda basis: ADJUSTMENTS.get(basis, basis),
            hint="What the stored prices have been adjusted for.",
        ),
        Column("asset_class", "Class"),
        Column("series", "Series", numeric=True, text=formats.integer),
        Column("bars", "Bars", numeric=True, text=formats.integer),
        Column(
            "provisional",
            "Provisional",
            numeric=True,
            text=formats.integer,
            hint="Bars fetched before their session had settled; they are asked for again.",
        ),
        Column("first", "From", text=formats.session),
        Column("last", "To", text=formats.session),
        _age_column(now),
        Column(
            "bytes",
            "Size ≈",
            numeric=True,
            text=formats.file_size,
            hint="Estimated from the number of bars: the file is not divided by source.",
        ),
        Column(
            "share",
            "Share",
            numeric=True,
            text=lambda share: formats.percent(share, 1, places=1),
            hint="Of all bars in this cache.",
        ),
    )


class CacheTab(QWidget):
    """Totals as tiles, and the sources as a table. `import_wanted` and `demo_wanted` come from the
    empty state; `fetch_wanted` carries a kind of fetch and its symbols."""

    title = "Cache"

    message = Signal(object)
    import_wanted = Signal()
    demo_wanted = Signal()
    fetch_wanted = Signal(object, object)

    def __init__(
        self,
        services: Services,
        tasks: Tasks,
        themes: ThemeManager,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._services = services
        self._tasks = tasks
        self._themes = themes
        self._generation = 0
        self._seen: CacheOverview | None = None
        self._build()
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        themes.changed.connect(self._recolour)

    def refresh(self) -> None:
        """Read the numbers anew."""
        self._generation += 1
        asked_at = self._generation
        if self._seen is None:
            self._busy.begin()
        self._tasks.run(
            self._services.overview,
            lambda overview: self._show(asked_at, overview),
            self._could_not_read,
        )

    def shutdown(self) -> None:
        """Show nothing more."""
        self._generation += 1
        self._tick.stop()

    def layout_state(self) -> dict[str, Any]:
        """What a later start restores."""
        return {"sources": self.table.columns_state()}

    def restore_layout(self, state: object) -> None:
        """Arrange the table as it was left; what does not fit is ignored."""
        if isinstance(state, dict):
            self.table.restore_columns(state.get("sources"))

    # --- Showing ------------------------------------------------------------------------------

    def _show(self, asked_at: int, overview: CacheOverview) -> None:
        if asked_at != self._generation:
            return
        self._busy.end()
        self._seen = overview
        self._show_tiles(overview)
        self._show_sources(overview)
        self._show_age()
        empty = not overview.symbols and not overview.bars
        self._pages.setCurrentWidget(self._empty if empty else self._content)

    def _could_not_read(self, error: BaseException) -> None:
        self._busy.end()
        self.message.emit(error)

    def _show_tiles(self, seen: CacheOverview) -> None:
        self.tiles["bars"].set_value(
            large_number(seen.bars), _bars_note(seen), exact=formats.integer(seen.bars)
        )
        self.tiles["symbols"].set_value(
            formats.integer(seen.symbols_with_bars),
            f"of {formats.integer(seen.symbols)} known, "
            f"{formats.percent(seen.symbols_with_bars, seen.symbols, places=1)}",
        )
        self.tiles["series"].set_value(
            formats.integer(seen.series),
            f"from {formats.counted(len({one.source for one in seen.sources}), 'source')}",
        )
        self.tiles["provisional"].set_value(
            formats.integer(seen.provisional),
            _provisional_note(seen),
        )
        if seen.first_ts is None or seen.last_ts is None:
            self.tiles["range"].set_value(formats.NONE, "no bars yet")
        else:
            years = (seen.last_ts - seen.first_ts) / (365.25 * formats.DAY_S)
            self.tiles["range"].set_value(
                formats.session(seen.last_ts),
                f"since {formats.session(seen.first_ts)}, {formats.decimal(years, 1)} years",
            )
        self.tiles["size"].set_value(
            formats.file_size(seen.file_bytes + seen.wal_bytes),
            f"log {formats.file_size(seen.wal_bytes)}, free {formats.file_size(seen.free_bytes)}",
            exact=f"{seen.location}\n{formats.integer(seen.file_bytes)} bytes, "
            f"write-ahead log {formats.integer(seen.wal_bytes)} bytes, "
            f"{formats.integer(seen.free_bytes)} bytes free inside the file",
        )

    def _show_sources(self, seen: CacheOverview) -> None:
        described = columns(self._services.clock.now())
        self._model.columns = described
        self._model.set_data(TableData(described, source_values(seen.sources, seen.bars), "key"))
        self.table.fit_columns()
        self._no_bars.setVisible(not seen.sources)
        self.table.setVisible(bool(seen.sources))

    @Slot()
    def _show_age(self) -> None:
        if self._seen is None:
            return
        now = self._services.clock.now()
        moment = formats.minute(self._seen.as_of)[-5:]
        stale = now - self._seen.as_of > STALE_AFTER_S
        age = f" ({formats.age(self._seen.as_of, now)})" if stale else ""
        self._as_of.setText(f"as of {moment}{age}")

    def _fetch(self) -> None:
        has_bars = self._seen is not None and self._seen.bars > 0
        self.fetch_wanted.emit(JobKind.UPDATE if has_bars else JobKind.BACKFILL, ())

    @Slot(object)
    def _recolour(self, theme: Theme) -> None:
        self.table.set_theme(theme)

    # --- How it is built ----------------------------------------------------------------------

    def _build(self) -> None:
        self.tiles = {
            "bars": Tile("Bars"),
            "symbols": Tile("Symbols with bars"),
            "series": Tile("Series"),
            "provisional": Tile("Provisional bars"),
            "range": Tile("Newest bar"),
            "size": Tile("Size on disk"),
        }
        self._model = ColumnTableModel(columns(self._services.clock.now()))
        self.table = TableView(self._model, name="Sources")
        self.table.set_theme(self._themes.theme)
        self._as_of = label("", role="muted")
        self._refresh = button("Refresh", self.refresh, tooltip="Read the numbers anew (F5)")
        set_icon(self._refresh, "refresh", self._themes)
        self.fetch = button(
            "Fetch bars…", self._fetch, tooltip="Bring the series up to date, or add more (Ctrl+B)"
        )
        set_icon(self.fetch, "fetch", self._themes)
        self._no_bars = label(
            "No bars are stored yet: the sources of the first ones will be listed here.",
            role="muted",
        )
        self._busy = BusyLabel("Reading the cache…")
        self._empty = EmptyState(
            EMPTY,
            button("Import symbols…", self.import_wanted.emit, primary=True),
            button("Try with the demo", self.demo_wanted.emit),
        )
        self._content = self._build_content()
        self._pages = QStackedWidget()
        for page in (self._busy, self._content, self._empty):
            self._pages.addWidget(page)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.addWidget(self._pages)
        self._tick = QTimer(self)
        self._tick.setInterval(TICK_MS)
        self._tick.timeout.connect(self._show_age)
        self._tick.start()

    def _build_content(self) -> QWidget:
        content = QWidget()
        self._grid = QGridLayout()
        self._grid.setSpacing(UNIT)
        self._per_row = 0
        self._place_tiles(TILES_A_ROW)
        head = QHBoxLayout()
        head.setSpacing(MARGIN)
        head.addWidget(heading("Sources"))
        head.addStretch()
        head.addWidget(self._as_of)
        head.addWidget(self._refresh)
        head.addWidget(self.fetch)
        table = QVBoxLayout()
        table.setSpacing(UNIT)
        table.addLayout(head)
        table.addWidget(self._no_bars, 1, Qt.AlignmentFlag.AlignTop)
        table.addWidget(self.table, 1)
        rows = QVBoxLayout(content)
        rows.setContentsMargins(MARGIN, MARGIN, MARGIN, MARGIN)
        rows.setSpacing(GROUP)
        rows.addLayout(self._grid)
        rows.addLayout(table, 1)
        return content

    def _place_tiles(self, per_row: int) -> None:
        if per_row == self._per_row:
            return
        self._per_row = per_row
        for column in range(TILES_A_ROW):
            self._grid.setColumnStretch(column, 1 if column < per_row else 0)
        for number, tile in enumerate(self.tiles.values()):
            self._grid.addWidget(tile, number // per_row, number % per_row)

    def resizeEvent(self, event: Any) -> None:
        super().resizeEvent(event)
        self._place_tiles(TILES_A_ROW if self.width() >= NARROW else TILES_A_ROW // 2)


def source_values(sources: tuple[SourceTotals, ...], bars: int) -> dict[str, list[Any]]:
    """The columns of the table of sources."""
    return {
        "key": [
            f"{one.source} {one.interval} {one.adjustment} {one.asset_class}" for one in sources
        ],
        "source": [one.source for one in sources],
        "interval": [one.interval for one in sources],
        "adjustment": [one.adjustment for one in sources],
        "asset_class": [one.asset_class for one in sources],
        "series": [one.series for one in sources],
        "bars": [one.bars for one in sources],
        "provisional": [one.provisional for one in sources],
        "first": [one.first_ts for one in sources],
        "last": [one.last_ts for one in sources],
        "fetched": [one.fetched_at for one in sources],
        "bytes": [one.bytes_estimate for one in sources],
        "share": [one.bars / bars if bars else 0.0 for one in sources],
    }


def large_number(number: int) -> str:
    """A count short enough for a tile: "27.7 M"; below a million it is exact."""
    if number < 1_000_000:
        return formats.integer(number)
    if number < 1_000_000_000:
        return f"{formats.decimal(number / 1e6, 1)} M"
    return f"{formats.decimal(number / 1e9, 2)} bn"


def _provisional_note(seen: CacheOverview) -> str:
    if not seen.bars:
        return "none yet"
    return "asked for again when settled" if seen.provisional else "all bars are settled"


def _bars_note(seen: CacheOverview) -> str:
    if not seen.series:
        return "none yet"
    return f"{formats.integer(round(seen.bars / seen.series))} in a series on average"
