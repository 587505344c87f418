"""What F1 says on each tab."""

from __future__ import annotations

KEYS = """
Keys
  Ctrl+1 … Ctrl+4   the tabs               F5          read the tab's data anew
  Ctrl+K            search the symbols     Ctrl+J      show or hide the jobs
  Ctrl+B            fetch bars             Ctrl+comma  providers, keys and settings
  Ctrl+O, Ctrl+N    open, make a cache     Ctrl+I      import symbols
  Ctrl+plus, minus, 0   size of text       Ctrl+Q      quit
  In tables: arrows move, Enter opens, Ctrl+C copies the selected rows, the Menu key or
  Shift+F10 opens the menu, Tab leaves the table.
"""

CACHE = """Cache: what this file holds

Bars             one price bar each: open, high, low, close, volume of one session or interval.
Series           the bars of one symbol, at one interval, from one source, on one price basis.
                 Sources are never mixed: a series says where every one of its bars came from.
Provisional      bars that were fetched before their session had settled. They are asked for
                 again; settled bars never change by themselves.
Price basis      as traded: the prices that were paid on the day. Splits, or splits and dividends:
                 the provider has rescaled older prices, so that the line has no false jumps.
Size ≈           an estimate from the number of bars; the file itself is not divided by source.
Free inside      space in the file that new bars will use before the file grows.

“Fetch bars…” says before it begins what it will ask for, of whom, how long that takes, and what is
there already. What it stores is stored at once: a fetch may be paused, stopped, or taken up again
another day from the list of jobs, and nothing that was answered is asked a second time.

The numbers come from summaries that are kept with every write, so they cost the same at a thousand
bars and at thirty million.
"""

SYMBOLS = """Symbols: every symbol this cache knows

Type to search in symbols and names. Fields narrow the list further:

  sector:energy             the sector contains this text
  status:failed             the sector's state: found, none, not_found, failed, never_asked,
                            ineligible
  bars>0   no:bars          with bars, without bars
  -fund                     a minus in front excludes

Select a symbol to see its chart and its bars. Above the chart, choose the series: interval,
source, and price basis. “Fill” fetches what is missing within the series from this source;
The arrow above the list (Ctrl+B) fetches bars of all selected symbols.
"""

SECTORS = """Sectors: who is in which, and how to find out the rest

Found            Yahoo named a sector.
Has none         Yahoo knows the symbol and gives it no sector, as with funds.
Not found        Yahoo does not know the symbol.
Failed           no usable answer in three refreshes.
Blocked          Yahoo refused before the turn of these came. Nothing was marked.
Never asked      no one has asked yet.
Ineligible       never asked, because of what it is: warrants, units, rights, notes, preferred
                 shares, test issues.

Before a refresh begins it says how many requests it needs and how long they take. Yahoo publishes
no limit; one request a second has proved to be safe, and every program on this cache shares the
same line.

While it works you may pause it, stop it, close the window, or switch the computer off: each answer
is stored at once, and what was answered is not asked again.

When Yahoo blocks, the refresh stops and marks nothing. After the hold-off one request for a
well-known symbol finds out whether Yahoo answers again. Asking sooner tends to prolong the block.
"""

TRADES = """Trades: the trades stored in this cache

Type to search in symbol, strategy, exit reason and account. The totals above the table are those
of the trades that are listed. Sort by a click on a heading.

Open trades have no exit and count neither as won nor as lost. Trades that were made up for the
demonstration are marked.
"""

BY_TAB = {"Cache": CACHE, "Symbols": SYMBOLS, "Sectors": SECTORS, "Trades": TRADES}


def for_tab(title: str) -> str:
    """The help of a tab, and the keys."""
    return BY_TAB.get(title, "") + KEYS
