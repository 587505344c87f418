"""Nasdaq Trader's symbol directory, over sockets and from its real files."""

from __future__ import annotations

import csv
import gzip
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from core.clock import ManualClock
from core.errors import BadInput, BadReply, Cancelled, NoData, ProviderDown
from core.model import AssetClass, Kind, canonical_symbol
from core.practice import Fault, Universe, from_pytickersymbols, from_shared
from core.practice import Listing as PracticeListing
from core.practice.nasdaq_trader import PracticeNasdaqTrader, spellings
from core.providers import Listing
from core.providers.nasdaq_trader import FILES, NasdaqTrader, house_symbol
from core.runs import RunControl
from core.store import Store
from core.symbols import info
from core.universe import update

UNIVERSE = Universe(
    [
        PracticeListing("AAPL", name="Apple Inc.", exchange="NMS"),
        PracticeListing("ABR.PRD", name="Arbor Realty Trust", exchange="NYQ", kind="preferred"),
        PracticeListing("ACHR.WS", name="Archer Aviation Inc.", exchange="NYQ", kind="warrant"),
        PracticeListing("AIIA.RT", name="AI Infrastructure Corp.", exchange="NYQ", kind="right"),
        PracticeListing("AAC.U", name="Ares III", exchange="NYQ", kind="unit"),
        PracticeListing("BRK.B", name="Berkshire Hathaway Inc.", exchange="NYQ"),
        PracticeListing("NA", name="Nano Labs Ltd", exchange="NCM"),
        PracticeListing("SPY", name="SPDR S&P 500 ETF Trust", exchange="PCX", kind="etf"),
        PracticeListing("ZVZZT", name="NASDAQ TEST STOCK", exchange="NGM", kind="test"),
        PracticeListing("BTC/USD", name="Bitcoin", exchange="CCC", kind="crypto"),
        PracticeListing("^GSPC", name="S&P 500", exchange="SNP", kind="index"),
    ]
)


class NoLimit:
    def reserve(self, control: RunControl | None = None) -> float:
        return 0.0


@pytest.fixture
def server() -> Iterator[PracticeNasdaqTrader]:
    with PracticeNasdaqTrader(UNIVERSE) as running:
        yield running


@pytest.fixture
def client(server: PracticeNasdaqTrader) -> Iterator[NasdaqTrader]:
    made = NasdaqTrader(NoLimit(), deadline_s=5.0, practice=server.address)
    yield made
    made.close()


def ask(client: NasdaqTrader, asset_class: AssetClass = AssetClass.STOCK) -> list[Listing]:
    return client.listings(asset_class, RunControl())


def test_the_whole_directory_in_two_requests(
    server: PracticeNasdaqTrader, client: NasdaqTrader
) -> None:
    found = {one.symbol: one for one in ask(client)}
    assert list(found) == sorted(found)
    assert {symbol: one.kind for symbol, one in found.items()} == {
        "AAPL": Kind.COMMON,
        "ABR.PRD": Kind.PREFERRED,
        "ACHR.WS": Kind.WARRANT,
        "AIIA.RT": Kind.RIGHT,
        "AAC.U": Kind.UNIT,
        "BRK.B": Kind.COMMON,
        "NA": Kind.COMMON,
        "SPY": Kind.ETF,
        "ZVZZT": Kind.TEST,
    }
    assert found["SPY"] == Listing(
        "SPY", "SPDR S&P 500 ETF Trust", AssetClass.FUND, Kind.ETF, "ARCA"
    )
    assert found["AAPL"].name == "Apple Inc. - Common Stock"
    assert {one.exchange for one in found.values()} == {"NASDAQ", "NYSE", "ARCA"}
    assert [symbol for symbol, one in found.items() if not one.tradable] == ["ZVZZT"]
    assert (client.requests, server.log.data_requests) == (2, 2)


def test_funds_alone_and_classes_it_does_not_list(client: NasdaqTrader) -> None:
    assert [one.symbol for one in ask(client, AssetClass.FUND)] == ["SPY"]
    with pytest.raises(NoData, match="class crypto"):
        ask(client, AssetClass.CRYPTO)
    assert client.requests == 2


def test_the_test_says_how_fresh_the_directory_is(
    server: PracticeNasdaqTrader, client: NasdaqTrader
) -> None:
    server.clock = ManualClock(1_700_000_000.0)
    assert client.test(RunControl()) == (
        "Nasdaq Trader lists 3 securities of Nasdaq, as of 2023-11-14 17:13 New York."
    )


@pytest.mark.parametrize("endpoint", ["nasdaqlisted", "otherlisted"])
@pytest.mark.parametrize(
    ("fault", "error", "sentence"),
    [
        (Fault("truncated"), BadReply, "cut short|cannot be read"),
        (Fault("cut_off"), ProviderDown, "broke off"),
        (Fault("empty"), BadReply, "is not the directory"),
        (Fault("html"), BadReply, "a web page in its place"),
        (Fault("garbage"), BadReply, "is not the directory"),
        (Fault("status", status=503), ProviderDown, "HTTP 503"),
        (Fault("status", status=404), ProviderDown, "HTTP 404"),
        (Fault("redirect", echo="http://127.0.0.1/"), ProviderDown, "sign-in page"),
        (Fault("reset"), ProviderDown, "broke"),
    ],
)
def test_what_goes_wrong_with_either_file_has_a_sentence(
    server: PracticeNasdaqTrader,
    client: NasdaqTrader,
    endpoint: str,
    fault: Fault,
    error: type[Exception],
    sentence: str,
) -> None:
    server.faults.add(replace(fault, endpoint=endpoint))
    with pytest.raises(error, match=sentence):
        ask(client)
    server.faults.clear()
    assert len(ask(client)) == 9


def test_every_cut_of_a_file_is_noticed(server: PracticeNasdaqTrader) -> None:
    """Wherever the file ends before its last line is whole, nothing of it is used."""
    client = NasdaqTrader(NoLimit())
    for file in FILES:
        whole = server.file(file.name.removesuffix(".txt"))
        made, rows = client._rows(file, whole)
        footer = whole.index("File Creation Time")
        needed = footer + len("File Creation Time: 1121202609:30")
        for end in range(needed):
            with pytest.raises(BadReply):
                client._rows(file, whole[:end])
        assert client._rows(file, whole[:needed]) == (made, rows)
    client.close()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text.replace("|N|", "|X|", 1),
        lambda text: text.replace("AAPL|", "AA PL|", 1),
        lambda text: text.replace("AAPL|", "AAPL|Extra|", 1),
        lambda text: text.replace("|Test Issue", "|Tested", 1),
        lambda text: text + "ONE|More|Q|N|N|100|N|N\r\n",
        lambda text: text.splitlines()[0] + "\r\n" + text.splitlines()[-1],
    ],
    ids=["flag", "symbol", "field", "header", "after the footer", "no rows"],
)
def test_a_file_that_makes_no_sense_is_refused(
    server: PracticeNasdaqTrader, client: NasdaqTrader, spoil: Callable[[str], str]
) -> None:
    text = spoil(server.file("nasdaqlisted"))
    with pytest.raises(BadReply):
        list(client._listings(FILES[0], client._rows(FILES[0], text)[1]))


def test_a_cancel_ends_a_hanging_question(
    server: PracticeNasdaqTrader, client: NasdaqTrader
) -> None:
    number = server.faults.add(Fault("hang"))
    control = RunControl()
    asked = threading.Event()

    def cancel() -> None:
        while not server.log.requests:
            asked.wait(0.01)
        control.cancel()

    helper = threading.Thread(target=cancel)
    helper.start()
    with pytest.raises(Cancelled):
        client.listings(AssetClass.STOCK, control)
    helper.join()
    server.faults.remove(number)


@pytest.mark.parametrize(
    ("act", "cqs", "house"),
    [
        ("A", "A", "A"),
        ("ABR$D", "ABRpD", "ABR.PRD"),
        ("DCOM$", "DCOMp", "DCOM.PR"),
        ("ACHR.W", "ACHR.WS", "ACHR.WS"),
        ("GM.W.B", "GM.WS.B", "GM.WS.B"),
        ("AIIA.R", "AIIAr", "AIIA.RT"),
        ("GFR.V", "GFRrw", "GFR.RT.WI"),
        ("FDX.V", "FDXw", "FDX.WI"),
        ("MKC.V", "MKC.V", "MKC.V"),
        ("AAC.U", "AAC.U", "AAC.U"),
        ("BRK.B", "BRK.B", "BRK.B"),
        ("ABR$D", "", "ABR.PRD"),
        ("ACHR.W", "?", "ACHR.WS"),
        ("AIIA.R", "", "AIIA.RT"),
        ("A", "", "A"),
        ("NA", "", "NA"),
        ("ZXYZ.A", "", "ZXYZ.A"),
    ],
)
def test_house_spellings(act: str, cqs: str, house: str) -> None:
    assert house_symbol(act, cqs) == house
    with pytest.raises(BadInput):
        house_symbol(" ")


@pytest.mark.parametrize(
    "symbol", ["AAPL", "BRK.B", "ABR.PRD", "DCOM.PR", "ACHR.WS", "X.RT", "X.U"]
)
def test_the_practice_directory_spells_as_the_real_one(symbol: str) -> None:
    act, cqs, _ = spellings(symbol)
    assert house_symbol(act, cqs) == house_symbol(act) == symbol


def test_a_cache_follows_the_directory_from_day_to_day(
    server: PracticeNasdaqTrader, client: NasdaqTrader, any_store: Store
) -> None:
    pytest.importorskip("pytickersymbols")
    clock = ManualClock()
    members = list(from_pytickersymbols())
    server.universe = Universe(members)
    first = update(any_store, clock, ask(client), client.name, AssetClass.STOCK)
    assert len(first.added) > 1_000
    assert {"ZPRA.WS", "ZPRC.PRA", "ZPRBU"} <= {symbol for symbol, _ in first.ineligible}
    kept = [one for one in members if one.symbol not in ("MSFT", "KO")]
    other = PracticeListing("KO", name="Kodiak Robotics Ltd", exchange="NYQ")
    server.universe = Universe([*kept, other])
    second = update(any_store, clock, ask(client), client.name, AssetClass.STOCK)
    assert second.delisted == ("MSFT",)
    assert [change.symbol for change in second.recycled] == ["KO"]
    assert second.unchanged == first.listed - 2
    server.universe = Universe(members[:200])
    with pytest.raises(BadReply, match="cut short"):
        update(any_store, clock, ask(client), client.name, AssetClass.STOCK)
    assert info(any_store, "AAPL").exchange == "NASDAQ"


@pytest.mark.shared
def test_the_real_files_are_read_whole(shared_data: Path) -> None:
    folder = shared_data / "universe"
    client = NasdaqTrader(NoLimit())
    total = 0
    for file, name in (
        (FILES[0], "raw_nasdaq-listed-symbols_2026-07-31.csv.gz"),
        (FILES[1], "raw_other-listed_2026-08-22.csv.gz"),
    ):
        with gzip.open(folder / name, "rt", encoding="utf-8", newline="") as opened:
            lines = ["|".join(row) for row in csv.reader(opened)]
        data = [line for line in lines if line.strip("|") and not line.startswith("File")]
        # The stored copy of the second file lost its footer.
        text = "\r\n".join([*data, "File Creation Time: 0822202621:31|||||||", ""])
        made, rows = client._rows(file, text)
        listings = list(client._listings(file, rows))
        assert made == "2026-08-22 21:31"
        assert len(listings) == len({one.symbol for one in listings}) == len(data) - 1
        assert all(canonical_symbol(one.symbol) == one.symbol for one in listings)
        assert not any(set(one.symbol) & set("$+=^#-") for one in listings)
        print(file.name, len(listings), Counter(one.kind.value for one in listings))
        total += len(listings)
    assert total > 13_000
    client.close()


@pytest.mark.shared
def test_the_real_market_over_the_wire(
    server: PracticeNasdaqTrader, client: NasdaqTrader, shared_data: Path
) -> None:
    server.universe = from_shared(shared_data / "universe" / "universe_us.csv.gz")
    found = {one.symbol: one for one in ask(client)}
    assert found.keys() == {one.symbol for one in server.universe}
    alike = sum(found[one.symbol].kind == one.kind for one in server.universe)
    print(f"{alike / len(found):.2%} of {len(found):,} kinds alike")
    assert alike > 0.97 * len(found)
