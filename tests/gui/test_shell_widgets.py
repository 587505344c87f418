"""The small widgets: what they show, what they tell, and that they need no mouse."""

from __future__ import annotations

import itertools

import pytest
from PySide6.QtCore import QEvent, QPoint, Qt
from PySide6.QtWidgets import QDialog, QLabel, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from core.errors import BadInput, StoreFull
from gui.messages import (
    FAULT,
    MOST_BANNERS,
    Action,
    BannerStack,
    Message,
    QuestionBox,
    TextWindow,
    as_message,
)
from gui.theme import ThemeManager
from gui.widgets import (
    BusyLabel,
    ElidedLabel,
    EmptyState,
    NumberField,
    Segment,
    SegmentedBar,
    ShareRow,
    Tile,
    button,
    label,
)

HOSTILE = "<img src='/etc/passwd'><b>AT&T</b>"


def test_labels_show_markup_as_it_is(qtbot: QtBot) -> None:
    made = label(HOSTILE)
    qtbot.addWidget(made)
    assert made.textFormat() == Qt.TextFormat.PlainText
    assert made.text() == HOSTILE


def test_a_button_shows_an_ampersand_instead_of_making_it_a_key(qtbot: QtBot) -> None:
    made = button("AT&T", lambda: None)
    qtbot.addWidget(made)
    assert made.text() == "AT&&T"
    assert made.shortcut().isEmpty()


def test_a_button_with_the_focus_is_pressed_by_enter(qtbot: QtBot) -> None:
    pressed = []
    made = button("Go", lambda: pressed.append(1))
    qtbot.addWidget(made)
    qtbot.keyClick(made, Qt.Key.Key_Return)
    assert pressed == [1]


def test_a_tile_says_value_meaning_and_comparison(qtbot: QtBot) -> None:
    tile = Tile("Bars")
    qtbot.addWidget(tile)
    tile.set_value("27.7 M", "in 11,004 series", exact="27,712,345")
    assert (tile.value, tile.note) == ("27.7 M", "in 11,004 series")
    assert "27,712,345" in tile.toolTip()
    assert "Bars" in tile.accessibleName()


def test_a_text_too_long_is_cut_and_told_in_full(qtbot: QtBot) -> None:
    made = ElidedLabel(Qt.TextElideMode.ElideMiddle)
    qtbot.addWidget(made)
    made.resize(120, 20)
    made.set_text("/home/somebody/a/very/long/path/to/stockyard.db")
    assert "…" in made.text()
    assert made.whole_text in made.toolTip()
    made.resize(900, 20)
    made.set_text("short")
    assert (made.text(), made.toolTip()) == ("short", "")


def test_the_sentence_of_an_empty_state_is_never_cut(qtbot: QtBot) -> None:
    state = EmptyState("word " * 60, button("Import", lambda: None))
    qtbot.addWidget(state)
    state.resize(900, 500)
    state.show()
    sentence = state.findChildren(QLabel)[0]
    assert sentence.height() >= sentence.heightForWidth(sentence.width())


def test_busy_says_nothing_at_once_and_something_after_a_while(qtbot: QtBot) -> None:
    busy = BusyLabel("Reading…")
    qtbot.addWidget(busy)
    busy.begin()
    assert busy.text() == ""
    qtbot.waitUntil(lambda: busy.text() == "Reading…", timeout=5_000)
    busy.end()
    assert busy.text() == ""


class TestNumberField:
    @pytest.fixture
    def field(self, qtbot: QtBot) -> NumberField:
        made = NumberField(0, 500, "how many", lowest_reads="all")
        qtbot.addWidget(made)
        return made

    def test_nothing_typed_is_the_lowest(self, field: NumberField) -> None:
        assert field.value == 0
        assert field.placeholderText() == "all"

    def test_what_is_typed_is_told(self, qtbot: QtBot, field: NumberField) -> None:
        told: list[object] = []
        field.changed.connect(told.append)
        qtbot.keyClicks(field, "12")
        assert told == [1, 12]

    def test_up_and_down_step_within_the_bounds(self, qtbot: QtBot, field: NumberField) -> None:
        field.set_value(499)
        qtbot.keyClick(field, Qt.Key.Key_Up)
        qtbot.keyClick(field, Qt.Key.Key_Up)
        assert field.value == 500
        field.set_value(1)
        qtbot.keyClick(field, Qt.Key.Key_Down)
        qtbot.keyClick(field, Qt.Key.Key_Down)
        assert field.value == 0

    def test_letters_and_numbers_out_of_bounds_do_not_get_in(
        self, qtbot: QtBot, field: NumberField
    ) -> None:
        qtbot.keyClicks(field, "abc")
        assert field.text() == ""
        qtbot.keyClicks(field, "9999999")
        assert field.value <= 500


class TestSegmentedBar:
    @pytest.fixture
    def bar(self, qtbot: QtBot) -> SegmentedBar:
        made = SegmentedBar("Outcomes")
        qtbot.addWidget(made)
        made.resize(1_000, 16)
        made.set_segments(
            [
                Segment("found", "Found", 9_812, "#0F6E84"),
                Segment("failed", "Failed", 12, "#B3261E"),
                Segment("none", "Has none", 0, "#888888"),
                Segment("never", "Never asked", 1_180, "#CCCCCC", hollow=True),
            ]
        )
        return made

    def test_parts_fill_the_bar_in_order_and_the_small_one_is_seen(self, bar: SegmentedBar) -> None:
        spans = bar.spans()
        assert [one.key for one, _, _ in spans] == ["found", "failed", "never"]
        assert spans[0][1] == 0
        assert spans[-1][2] == pytest.approx(1_000)
        assert all(right - left >= SegmentedBar.LEAST for _, left, right in spans)
        assert all(one[2] == other[1] for one, other in itertools.pairwise(spans))

    def test_a_click_tells_which_part_it_was(self, qtbot: QtBot, bar: SegmentedBar) -> None:
        for key, left, right in [(one.key, left, right) for one, left, right in bar.spans()]:
            with qtbot.waitSignal(bar.clicked) as told:
                where = QPoint(int((left + right) / 2), 8)
                qtbot.mouseClick(bar, Qt.MouseButton.LeftButton, pos=where)
            assert told.args == [key]

    def test_a_bar_of_nothing_is_silent(self, qtbot: QtBot, bar: SegmentedBar) -> None:
        bar.set_segments([])
        with qtbot.assertNotEmitted(bar.clicked):
            qtbot.mouseClick(bar, Qt.MouseButton.LeftButton, pos=QPoint(10, 8))
        assert not bar.grab().isNull()

    def test_counts_beyond_32_bits_are_drawn(self, bar: SegmentedBar) -> None:
        bar.set_segments([Segment("a", "A", 2**40, "#000000"), Segment("b", "B", 1, "#FFFFFF")])
        assert not bar.grab().isNull()
        assert "1,099,511,627,776" in bar.accessibleDescription()


def test_a_share_row_is_a_button_that_says_its_count(qtbot: QtBot) -> None:
    row = ShareRow("Energy & <b>Oil</b>", 67, 80, 374)
    qtbot.addWidget(row)
    row.resize(360, 26)
    assert row.accessibleName() == "Energy & <b>Oil</b>: 67 symbols, 17.9 %"
    assert not row.grab().isNull()
    with qtbot.waitSignal(row.clicked):
        qtbot.keyClick(row, Qt.Key.Key_Space)


class TestMessages:
    @pytest.fixture
    def stack(self, qtbot: QtBot, themes: ThemeManager) -> BannerStack:
        # In a parent, as in the window: a stack alone would be a window of its own.
        self.holder = QWidget()
        qtbot.addWidget(self.holder)
        made = BannerStack(themes)
        QVBoxLayout(self.holder).addWidget(made)
        self.holder.show()
        return made

    def test_an_error_of_ours_is_its_sentence(self) -> None:
        assert as_message(StoreFull("No space.")).text == "No space."
        assert as_message(StoreFull("No space.")).details == ""

    def test_a_fault_is_a_calm_sentence_with_its_trace_in_the_details(self) -> None:
        with pytest.raises(ZeroDivisionError) as caught:
            _ = 1 // 0
        message = as_message(caught.value)
        assert message.text == FAULT
        assert "ZeroDivisionError" in message.details
        assert "test_shell_widgets" in message.details

    def test_a_text_is_information(self) -> None:
        assert as_message("Copied.").tone == "info"

    def test_the_same_again_is_counted(self, stack: BannerStack) -> None:
        for _ in range(3):
            stack.say(BadInput("That is no symbol."))
        assert [one.count for one in stack.banners] == [3]

    def test_the_newest_are_kept(self, stack: BannerStack) -> None:
        for number in range(6):
            stack.say(f"message {number}")
        assert [one.text for one in stack.banners] == ["message 5", "message 4", "message 3"]
        assert len(stack.banners) == MOST_BANNERS

    def test_a_new_message_on_a_topic_replaces_the_old(self, stack: BannerStack) -> None:
        stack.say(Message("1 imported", topic="import"))
        stack.say("something else")
        stack.say(Message("2 imported", topic="import"))
        assert [one.text for one in stack.banners] == ["2 imported", "something else"]

    def test_it_takes_no_room_when_all_is_read(self, qtbot: QtBot, stack: BannerStack) -> None:
        assert stack.isHidden()
        stack.say("hello")
        assert stack.isVisible()
        cross = stack.banners[0].findChildren(
            QWidget, options=Qt.FindChildOption.FindChildrenRecursively
        )
        closing = [one for one in cross if one.accessibleName() == "Dismiss this message"]
        qtbot.mouseClick(closing[0], Qt.MouseButton.LeftButton)
        assert stack.banners == []
        assert stack.isHidden()

    def test_an_action_is_done_and_its_message_goes(self, qtbot: QtBot, stack: BannerStack) -> None:
        done = []
        stack.say(Message("Held", actions=[Action("Resume", lambda: done.append(1))]))
        stack.banners[0].findChildren(QWidget)
        resume = next(
            one
            for one in stack.banners[0].findChildren(QWidget)
            if getattr(one, "text", str)() == "Resume"
        )
        qtbot.mouseClick(resume, Qt.MouseButton.LeftButton)
        assert done == [1]
        assert stack.banners == []

    def test_markup_in_a_message_is_shown(self, stack: BannerStack) -> None:
        stack.say(Message(HOSTILE))
        assert stack.banners[0].text == HOSTILE

    def test_details_open_as_plain_text_that_can_be_copied(
        self, qtbot: QtBot, stack: BannerStack
    ) -> None:
        stack.say(Message("Broken", details="line 1\n<b>line 2</b>"))
        stack.banners[0].show_details()
        opened = stack.window().findChildren(TextWindow)
        assert opened[0].field.toPlainText() == "line 1\n<b>line 2</b>"
        opened[0]._copy()
        from PySide6.QtGui import QGuiApplication

        assert QGuiApplication.clipboard().text() == "line 1\n<b>line 2</b>"
        opened[0].close()


class TestQuestion:
    @pytest.fixture
    def box(self, qtbot: QtBot, themes: ThemeManager) -> QuestionBox:
        self.parent = QWidget()
        qtbot.addWidget(self.parent)
        made = QuestionBox(self.parent, "Stop?", HOSTILE, go_on="Stop & keep", stay="Go on")
        made.open()
        return made

    def test_enter_and_escape_change_nothing(self, qtbot: QtBot, box: QuestionBox) -> None:
        with qtbot.waitSignal(box.finished) as ended:
            qtbot.keyClick(box, Qt.Key.Key_Return)
        assert ended.args == [QDialog.DialogCode.Rejected]
        box.open()
        with qtbot.waitSignal(box.finished) as ended:
            qtbot.keyClick(box, Qt.Key.Key_Escape)
        assert ended.args == [QDialog.DialogCode.Rejected]

    def test_the_safe_button_stays_the_default_when_the_theme_changes(
        self, qtbot: QtBot, box: QuestionBox, themes: ThemeManager
    ) -> None:
        themes.set_mode("dark")
        qtbot.waitUntil(lambda: box.staying.hasFocus())
        assert box.staying.isDefault()
        assert not box.going_on.isDefault()

    def test_the_other_button_goes_on(self, qtbot: QtBot, box: QuestionBox) -> None:
        with qtbot.waitSignal(box.finished) as ended:
            qtbot.mouseClick(box.going_on, Qt.MouseButton.LeftButton)
        assert ended.args == [QDialog.DialogCode.Accepted]

    def test_its_texts_are_plain(self, box: QuestionBox) -> None:
        labels = box.findChildren(QLabel)
        assert all(one.textFormat() == Qt.TextFormat.PlainText for one in labels)
        assert box.going_on.text() == "Stop && keep"


def test_the_segment_under_the_pointer_is_told(qtbot: QtBot) -> None:
    bar = SegmentedBar("Outcomes")
    qtbot.addWidget(bar)
    bar.resize(100, 16)
    bar.set_segments([Segment("a", "A", 1, "#000000"), Segment("b", "B", 1, "#FFFFFF")])
    told: list[object] = []
    bar.hovered.connect(told.append)
    with qtbot.waitExposed(bar):
        bar.show()
    qtbot.mouseMove(bar, QPoint(10, 8))
    qtbot.mouseMove(bar, QPoint(90, 8))
    qtbot.waitUntil(lambda: "b" in told)
    bar.leaveEvent(QEvent(QEvent.Type.Leave))
    assert told[-1] is None
