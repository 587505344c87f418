"""Sectors: how many symbols have one, and the refresh that asks for the rest.

| module | what it is |
|---|---|
| `service` | `Sectors`: counts, reasons, conflicts, plans, runs, what Python users call |
| `planning` | what a refresh would cost, and whether screens are worth it |
| `run` | `SectorRun`: one refresh from its first request to its end |
| `screens` | its first stage: screens turned page by page |
| `profiles` | its second stage: one question for each symbol that is left |
| `desk` | what both stages share: commits, pauses, tries, the figures that are shown |
| `queries` | the names of screens, as they are stored and shown |
| `prefetch` | the sectors of a few symbols at once, for a list that is about to be shown |

The rules, each paid for by somebody's lost evening:

* Only the provider's own word settles a symbol: found, has none, not found. A block, a time-out or
  a garbled answer settles nothing; nor does it say anything that no screen lists a symbol.
* A block ends the run at once, marks nothing, and opens a breaker that every process on this cache
  respects. After the hold-off one probe with a well-known symbol decides whether to go on.
* Failures in a row are held back, because a provider that blocks often just answers nonsense. The
  well-known symbol (the canary) decides: if it is answered, the failures were the symbols' own.
* The work list is a query, and each outcome is committed with its run's log entry; a screen's page
  together with the place where the next one begins. So pausing, closing the window, a crash or a
  reboot neither loses an answer nor asks for one twice.
* What sources say is kept side by side. A symbol that two screens list under different sectors, or
  a screen under another one than its profile had, is asked for by itself, and that answer counts.
"""

from core.sectors.desk import TRIES
from core.sectors.profiles import CANARY, FAILURES_IN_A_ROW, GIVE_UP_AFTER
from core.sectors.run import SectorRun
from core.sectors.service import KIND, Sectors

__all__ = [
    "CANARY",
    "FAILURES_IN_A_ROW",
    "GIVE_UP_AFTER",
    "KIND",
    "TRIES",
    "SectorRun",
    "Sectors",
]
