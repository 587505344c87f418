"""Practice providers: servers on 127.0.0.1 that behave like the real ones, for tests and --demo."""

from core.practice.alpaca import PracticeAlpaca
from core.practice.chart_files import histories_from_csv
from core.practice.charts import Bar, ChartSource, History, Tick
from core.practice.contracts import Contract, ContractSource, made_up_contracts
from core.practice.directory import from_shared
from core.practice.faults import Fault
from core.practice.journal import Record
from core.practice.limits import Limits
from core.practice.members import from_pytickersymbols
from core.practice.mishaps import Mishaps
from core.practice.universe import Listing, Truth, Universe
from core.practice.yahoo import PracticeYahoo

__all__ = [
    "Bar",
    "ChartSource",
    "Contract",
    "ContractSource",
    "Fault",
    "History",
    "Limits",
    "Listing",
    "Mishaps",
    "PracticeAlpaca",
    "PracticeYahoo",
    "Record",
    "Tick",
    "Truth",
    "Universe",
    "from_pytickersymbols",
    "from_shared",
    "histories_from_csv",
    "made_up_contracts",
]
