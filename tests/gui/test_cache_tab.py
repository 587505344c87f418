"""The Cache tab: numbers of a real cache, its sources, and what it says when there is nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from PySide6.QtWidgets import QAbstractButton
from pytestqt.qtbot import QtBot

from core.clock import ManualClock
from core.model import AssetClass, CacheOverview
from core.services import Services
from core.store import bars as stored_bars
from gui import cache_tab
from gui.cache_tab import CacheTab
from gui.tasks import Tasks
from gui.theme import ThemeManager
from tests.fakes import add_stocks

LONG = 30_000
DAY_S = 86_400


@pytest.fixture
def tab(qtbot: QtBot, services: Services, tasks: Tasks, themes: ThemeManager) -> Iterator[CacheTab]:
    made = CacheTab(services, tasks, themes)
    qtbot.addWidget(made)
    made.resize(1_280, 720)
    made.show()
    yield made
    made.shutdown()


def add_bars(services: Services, symbol: str, source: str, count: int, *, provisional: int) -> None:
    with services.store.write() as connection:
        series = stored_bars.ensure_series(
            connection,
            symbol=symbol,
            asset_class=AssetClass.STOCK,
            interval="1d",
            source=source,
            adjustment="raw",
        )
        rows = [
            (day * DAY_S, 1.0, 2.0, 0.5, 1.5, 100.0, None, None, int(day >= count - provisional))
            for day in range(count)
        ]
        stored_bars.write(connection, series, rows, fetched_at=1_700_000_000)


def refreshed(qtbot: QtBot, tab: CacheTab, tasks: Tasks) -> None:
    tab.refresh()
    qtbot.waitUntil(lambda: tasks.pending == 0, timeout=LONG)


def rows_of(tab: CacheTab) -> list[dict[str, str]]:
    model = tab.table.model()
    keys = [column.key for column in tab._model.columns]
    return [
        {key: model.index(row, at).data() for at, key in enumerate(keys)}
        for row in range(model.rowCount())
    ]


def test_an_empty_cache_offers_a_list_or_the_demo(
    qtbot: QtBot, tab: CacheTab, tasks: Tasks
) -> None:
    refreshed(qtbot, tab, tasks)
    visible = {one.text(): one for one in tab.findChildren(QAbstractButton) if one.isVisible()}
    with qtbot.waitSignal(tab.import_wanted):
        visible["Import symbols…"].click()
    with qtbot.waitSignal(tab.demo_wanted):
        visible["Try with the demo"].click()


def test_symbols_without_bars_are_told_as_such(
    qtbot: QtBot, tab: CacheTab, tasks: Tasks, services: Services
) -> None:
    add_stocks(services, 30)
    refreshed(qtbot, tab, tasks)
    assert tab.tiles["bars"].value == "0"
    assert tab.tiles["symbols"].note == "of 30 known, 0.0 %"
    assert tab.tiles["range"].note == "no bars yet"
    assert not tab.table.isVisible()


def test_tiles_and_sources_add_up(
    qtbot: QtBot, tab: CacheTab, tasks: Tasks, services: Services
) -> None:
    names = add_stocks(services, 10)
    add_bars(services, names[0], "alpaca:sip", 3_000, provisional=2)
    add_bars(services, names[1], "alpaca:sip", 500, provisional=0)
    add_bars(services, names[1], "yahoo", 500, provisional=1)
    refreshed(qtbot, tab, tasks)
    tiles = {name: (tile.value, tile.note) for name, tile in tab.tiles.items()}
    assert tiles["bars"] == ("4,000", "1,333 in a series on average")
    assert tiles["symbols"] == ("2", "of 10 known, 20.0 %")
    assert tiles["series"] == ("3", "from 2 sources")
    assert tiles["provisional"][0] == "3"
    assert tiles["range"] == ("1978-03-19", "since 1970-01-01, 8.2 years")
    assert tiles["size"][1].startswith("log ")
    first, second = rows_of(tab)
    assert (first["source"], first["bars"], first["provisional"]) == ("alpaca:sip", "3,500", "2")
    assert (first["series"], first["share"], first["first"]) == ("2", "87.5 %", "1970-01-01")
    assert (second["source"], second["share"]) == ("yahoo", "12.5 %")


def test_numbers_say_as_of_when_and_get_old(
    qtbot: QtBot, tab: CacheTab, tasks: Tasks, services: Services
) -> None:
    add_stocks(services, 1)
    refreshed(qtbot, tab, tasks)
    assert tab._as_of.text().startswith("as of ")
    assert "ago" not in tab._as_of.text()
    assert tab._seen is not None
    tab._seen = replace(tab._seen, as_of=tab._seen.as_of - 1_200)
    tab._show_age()
    assert tab._as_of.text().endswith("(20 min ago)")


def test_sorting_and_columns_survive_new_numbers_and_a_restart(
    qtbot: QtBot, tab: CacheTab, tasks: Tasks, services: Services, themes: ThemeManager
) -> None:
    names = add_stocks(services, 2)
    add_bars(services, names[0], "alpaca:sip", 300, provisional=0)
    add_bars(services, names[1], "yahoo", 100, provisional=0)
    refreshed(qtbot, tab, tasks)
    tab.table.sort_by("bars")
    assert [row["source"] for row in rows_of(tab)] == ["yahoo", "alpaca:sip"]
    refreshed(qtbot, tab, tasks)
    assert [row["source"] for row in rows_of(tab)] == ["yahoo", "alpaca:sip"]
    kept = tab.layout_state()
    other = CacheTab(services, tasks, themes)
    qtbot.addWidget(other)
    other.restore_layout(kept)
    refreshed(qtbot, other, tasks)
    assert [row["source"] for row in rows_of(other)] == ["yahoo", "alpaca:sip"]
    other.shutdown()


@pytest.mark.parametrize("state", [None, 7, [], {"sources": {"columns": "x"}}, {"sources": None}])
def test_a_layout_that_makes_no_sense_is_ignored(tab: CacheTab, state: object) -> None:
    tab.restore_layout(state)


def test_tiles_stand_in_two_rows_where_there_is_little_room(qtbot: QtBot, tab: CacheTab) -> None:
    def rows() -> int:
        return len({tile.y() for tile in tab.tiles.values()})

    tab._pages.setCurrentWidget(tab._content)
    qtbot.waitUntil(lambda: rows() == 1)
    tab.resize(1_000, 700)
    qtbot.waitUntil(lambda: rows() == 2)
    tab.resize(1_400, 700)
    qtbot.waitUntil(lambda: rows() == 1)


def test_answers_of_an_older_question_are_dropped(
    qtbot: QtBot, tab: CacheTab, tasks: Tasks, services: Services
) -> None:
    add_stocks(services, 1)
    tab.refresh()
    tab.shutdown()
    qtbot.waitUntil(lambda: tasks.pending == 0, timeout=LONG)
    assert tab._seen is None


def test_a_cache_that_cannot_be_read_is_a_message(
    qtbot: QtBot, tab: CacheTab, tasks: Tasks, services: Services
) -> None:
    told: list[object] = []
    tab.message.connect(told.append)
    with services.store.write() as connection:
        connection.exec_driver_sql("ALTER TABLE trades RENAME TO elsewhere")
    refreshed(qtbot, tab, tasks)
    assert len(told) == 1


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (999_999, "999,999"),
        (27_712_345, "27.7 M"),
        (9_876_543_210, "9.88 bn"),
    ],
)
def test_large_counts_are_short(number: int, text: str) -> None:
    assert cache_tab.large_number(number) == text


def test_a_fetch_in_the_future_is_no_crash(tab: CacheTab) -> None:
    overview = CacheOverview(
        "x.db", False, 1, 1, 1, 1, 5_000_000_000, 0, 0, 0, 2**40, 2**40, 2**40, 0, (), 2**33
    )
    tab._show(tab._generation, overview)
    assert tab.tiles["bars"].value == "5.00 bn"
    assert ManualClock().now() < overview.as_of
