"""What the readers of all formats share while they read one file."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from core.imports.contents import ImportOptions, Tally
from core.imports.stamps import Stamps, fetched_at
from core.intervals import DAY

if TYPE_CHECKING:
    from core.imports.contents import SourceFile
    from core.runs import RunControl


@dataclass(slots=True)
class Reading:
    """One pass over a file: what it was told, and what it has to say besides the data."""

    options: ImportOptions
    control: RunControl
    now: float
    stamps: Stamps = field(default_factory=Stamps)
    tally: Tally = field(default_factory=Tally)
    remarks: Counter[str] = field(default_factory=Counter)
    """What there is to say, each with the number of cases; 0 for what is about the whole file."""

    _fetched: dict[object, int] = field(default_factory=dict)

    def fetched(self, raw: object) -> int:
        """When something was fetched (see core.imports.stamps); 0 for a time still to come, which
        only a wrong clock can have written."""
        found = self._fetched.get(raw)
        if found is None:
            found = fetched_at(raw)
            found = found if found <= self.now + DAY else 0
            self._fetched[raw] = found
        return found

    def fetched_by_file(self, file: SourceFile) -> int:
        """When a file that does not say so was fetched: not after it was last written."""
        return file.modified_at if file.modified_at <= self.now + DAY else 0

    def notes(self) -> tuple[str, ...]:
        """The remarks as they are shown."""
        return tuple(
            f"{text} ({number:,} cases)" if number > 1 else text
            for text, number in self.remarks.items()
        )
