"""Of many questions, one is asked at a time and only the newest answer counts."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from gui.latest import Latest

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytestqt.qtbot import QtBot

    from gui.tasks import Tasks


class Questions:
    """Answers with the number of the question once the gate is open; notes what was asked."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.asked: list[int] = []

    def question(self, number: int) -> Callable[[], int]:
        def ask() -> int:
            self.asked.append(number)
            assert self.gate.wait(20)
            if number < 0:
                raise OSError(str(number))
            return number

        return ask


def test_only_the_first_and_the_newest_question_are_put(tasks: Tasks, qtbot: QtBot) -> None:
    questions, answers = Questions(), list[int]()
    latest = Latest(tasks, answers.append)
    for number in range(1, 50):
        latest.run(questions.question(number))
    questions.gate.set()
    qtbot.waitUntil(lambda: not latest.running)
    assert questions.asked == [1, 49]
    assert answers == [49]


def test_what_is_forgotten_is_not_answered(tasks: Tasks, qtbot: QtBot) -> None:
    questions, answers = Questions(), list[int]()
    latest = Latest(tasks, answers.append)
    latest.run(questions.question(1))
    latest.run(questions.question(2))
    latest.forget()
    questions.gate.set()
    qtbot.waitUntil(lambda: not latest.running)
    assert answers == []
    latest.run(questions.question(3))
    qtbot.waitUntil(lambda: answers == [3])
    assert questions.asked == [1, 3]


def test_an_error_that_no_one_waits_for_any_more_is_not_shown(tasks: Tasks, qtbot: QtBot) -> None:
    questions, answers, errors = Questions(), list[int](), list[object]()
    tasks.failed.connect(errors.append)
    latest = Latest(tasks, answers.append)
    latest.run(questions.question(-1))
    latest.run(questions.question(2))
    questions.gate.set()
    qtbot.waitUntil(lambda: answers == [2])
    assert errors == []
    latest.run(questions.question(-3))
    qtbot.waitUntil(lambda: len(errors) == 1)
    assert str(errors[0]) == "-3"
    assert not latest.running
