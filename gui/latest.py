"""Questions of which only the newest answer matters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from gui.tasks import Tasks

T = TypeVar("T")


class Latest(Generic[T]):
    """Runs one piece of work at a time and remembers only the newest of what came meanwhile.

    So a cursor key held down, or a search line typed in, never builds a queue, and an answer that
    is no longer wanted is dropped. Errors that `failed` does not take are shown as all others.
    """

    def __init__(
        self,
        tasks: Tasks,
        done: Callable[[T], None],
        failed: Callable[[BaseException], None] | None = None,
    ) -> None:
        self._tasks = tasks
        self._done = done
        self._failed = failed
        self._next: Callable[[], T] | None = None
        self._dropped = False
        self.running = False
        """True from the first question until the newest one has been answered."""

    def run(self, work: Callable[[], T]) -> None:
        """Call `work` in a thread, now or when the present one has ended."""
        if self.running:
            self._next = work
            return
        self.running, self._dropped = True, False
        self._tasks.run(work, self._finished, self._broken)

    def forget(self) -> None:
        """Drop what is under way."""
        self._next = None
        self._dropped = True

    def _finished(self, answer: T) -> None:
        if self._is_wanted():
            self._done(answer)

    def _broken(self, error: BaseException) -> None:
        if not self._is_wanted():
            return
        if self._failed is None:
            self._tasks.failed.emit(error)
        else:
            self._failed(error)

    def _is_wanted(self) -> bool:
        """Whether the answer at hand is the newest; otherwise the next question is put."""
        self.running = False
        if self._next is not None:
            work, self._next = self._next, None
            self.run(work)
            return False
        return not self._dropped
