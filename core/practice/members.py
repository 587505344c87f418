"""A practice universe of real index members, for --demo and for tests without market data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from core.practice.universe import Listing, Universe

_INDICES = ("S&P 500", "S&P 600", "NASDAQ 100", "S&P 100", "DOW JONES")

_SECTORS = {
    "Communication Services": "Communication Services",
    "Consumer Discretionary": "Consumer Cyclical",
    "Consumer Staples": "Consumer Defensive",
    "Financials": "Financial Services",
    "Health Care": "Healthcare",
    "Information Technology": "Technology",
    "Materials": "Basic Materials",
    "Real Estate": "Real Estate",
    # The package also tags companies with another taxonomy's "Utilities", "Industrials" and
    # "Energy": where two of the eleven occur, the more telling one stands further up.
    "Utilities": "Utilities",
    "Industrials": "Industrials",
    "Energy": "Energy",
}
_TELLING = ("Real Estate", "Health Care", "Consumer Discretionary", "Utilities", "Financials")

_INDUSTRIES: dict[str, tuple[tuple[str, str], ...]] = {
    "Technology": (
        ("semiconductor.*(equipment|materials)", "Semiconductor Equipment & Materials"),
        ("semiconductor|integrated circuit", "Semiconductors"),
        ("photovoltaic|solar", "Solar"),
        ("consumer electronics|phones", "Consumer Electronics"),
        ("distributor", "Electronics & Computer Distribution"),
        ("networking|communications? equipment|telecoms? equip", "Communication Equipment"),
        ("storage|hardware", "Computer Hardware"),
        ("electronic (component|manufactur)|electronics manuf", "Electronic Components"),
        ("instrument|measurement|rfid", "Scientific & Technical Instruments"),
        ("consult|outsourc|it services|data processing", "Information Technology Services"),
        ("security|cloud|infrastructure|payment|internet", "Software - Infrastructure"),
        ("software|saas|internet", "Software - Application"),
    ),
    "Healthcare": (
        ("biotech", "Biotechnology"),
        ("managed|health insurance", "Healthcare Plans"),
        ("medical distribution|distributor", "Medical Distribution"),
        ("pharmacy|drug retail", "Pharmaceutical Retailers"),
        ("pharma", "Drug Manufacturers - General"),
        ("laborator|diagnos|life sciences|research", "Diagnostics & Research"),
        ("health ?care technology|health information", "Health Information Services"),
        ("facilit|hospital|health care services", "Medical Care Facilities"),
        ("supplies|instrument|dental", "Medical Instruments & Supplies"),
        ("device|equipment|medical technology", "Medical Devices"),
    ),
    "Financial Services": (
        ("reinsurance", "Insurance - Reinsurance"),
        ("insurance brok", "Insurance Brokers"),
        ("life (& health )?insurance", "Insurance - Life"),
        ("property & casualty|property and casualty", "Insurance - Property & Casualty"),
        ("insurance", "Insurance - Diversified"),
        ("regional bank", "Banks - Regional"),
        ("mortgage reit", "Mortgage Finance"),
        ("mortgage", "Mortgage Finance"),
        ("exchange|financial data|market operators|rating", "Financial Data & Stock Exchanges"),
        ("consumer (finance|lending)|credit|payment|cards", "Credit Services"),
        ("investment bank|brokerage|capital markets", "Capital Markets"),
        ("asset management|investment management|fund", "Asset Management"),
        ("bank", "Banks - Diversified"),
    ),
    "Consumer Cyclical": (
        ("auto.*(dealer|retail)", "Auto & Truck Dealerships"),
        ("auto.*part|tire", "Auto Parts"),
        ("recreational vehicle|motorcycle|boat", "Recreational Vehicles"),
        ("auto(mobile|motive)|auto & truck", "Auto Manufacturers"),
        ("home ?(construction|building)", "Residential Construction"),
        ("home improvement", "Home Improvement Retail"),
        ("department store", "Department Stores"),
        ("casino|gaming|gambling", "Resorts & Casinos"),
        ("restaurant|food ?service|franchis", "Restaurants"),
        ("hotel|lodging|hospitality", "Lodging"),
        ("travel|cruise|tourism", "Travel Services"),
        ("e-commerce|internet|online", "Internet Retail"),
        ("footwear|accessories|shoe", "Footwear & Accessories"),
        ("apparel retail|clothing", "Apparel Retail"),
        ("apparel|textile|fashion", "Apparel Manufacturing"),
        ("furniture|furnish|appliance", "Furnishings, Fixtures & Appliances"),
        ("packag|container", "Packaging & Containers"),
        ("personal services|consumer services", "Personal Services"),
        ("leisure|toy|sport|entertainment", "Leisure"),
    ),
    "Consumer Defensive": (
        ("tobacco", "Tobacco"),
        ("brew", "Beverages - Brewers"),
        ("wine|distill|spirits", "Beverages - Wineries & Distilleries"),
        ("beverage|drink", "Beverages - Non-Alcoholic"),
        ("confection|chocolate", "Confectioners"),
        ("education", "Education & Training Services"),
        ("discount|hypermarket", "Discount Stores"),
        ("food distribut|foodservice", "Food Distribution"),
        ("grocer|supermarket|food (& drug )?retail", "Grocery Stores"),
        ("agricult|farm", "Farm Products"),
        ("household|personal|cosmetic|consumer goods", "Household & Personal Products"),
    ),
    "Industrials": (
        ("airport", "Airports & Air Services"),
        ("airline", "Airlines"),
        ("aerospace|defen[cs]e|arms", "Aerospace & Defense"),
        ("rail", "Railroads"),
        ("truck(ing)?|cargo ground", "Trucking"),
        ("marine|shipping", "Marine Shipping"),
        ("logistic|freight|courier", "Integrated Freight & Logistics"),
        ("waste|environmental", "Waste Management"),
        ("staffing|employment|human resource", "Staffing & Employment Services"),
        ("consult|research|professional", "Consulting Services"),
        ("rental|leasing", "Rental & Leasing Services"),
        ("security", "Security & Protection Services"),
        ("building product|hvac|construction material", "Building Products & Equipment"),
        ("engineering|construction &", "Engineering & Construction"),
        (
            "heavy|agricultural machinery|construction machinery",
            "Farm & Heavy Construction Machinery",
        ),
        ("electrical", "Electrical Equipment & Parts"),
        ("tool", "Tools & Accessories"),
        ("distribut", "Industrial Distribution"),
        ("conglomerate", "Conglomerates"),
        ("metal", "Metal Fabrication"),
        ("office", "Business Equipment & Supplies"),
        ("support services|business services", "Specialty Business Services"),
    ),
    "Energy": (
        ("equipment|services|oilfield", "Oil & Gas Equipment & Services"),
        ("drilling", "Oil & Gas Drilling"),
        ("refining|marketing", "Oil & Gas Refining & Marketing"),
        ("storage|transportation|pipeline|midstream", "Oil & Gas Midstream"),
        ("coal", "Thermal Coal"),
        ("integrated", "Oil & Gas Integrated"),
    ),
    "Utilities": (
        ("water", "Utilities - Regulated Water"),
        ("gas util|natural gas", "Utilities - Regulated Gas"),
        ("independent power|ipp", "Utilities - Independent Power Producers"),
        ("renewable", "Utilities - Renewable"),
        ("multi", "Utilities - Diversified"),
    ),
    "Real Estate": (
        ("health ?care", "REIT - Healthcare Facilities"),
        ("hotel|resort", "REIT - Hotel & Motel"),
        ("industrial reit", "REIT - Industrial"),
        ("mortgage", "REIT - Mortgage"),
        ("office", "REIT - Office"),
        ("residential|apartment|multi-family", "REIT - Residential"),
        ("retail|shopping", "REIT - Retail"),
        ("diversified", "REIT - Diversified"),
        ("storage|speciali[sz]ed|tower|communication|data", "REIT - Specialty"),
        ("develop", "Real Estate - Development"),
        ("real estate investment trust|reit", "REIT - Diversified"),
    ),
    "Basic Materials": (
        ("gold", "Gold"),
        ("steel", "Steel"),
        ("alumin", "Aluminum"),
        ("copper", "Copper"),
        ("paper|pulp", "Paper & Paper Products"),
        ("forest|lumber|wood", "Lumber & Wood Production"),
        ("fertili|agricultur", "Agricultural Inputs"),
        ("building|construction|cement|aggregate", "Building Materials"),
        ("commodity chemical", "Chemicals"),
        ("mining|metal", "Other Industrial Metals & Mining"),
    ),
    "Communication Services": (
        ("gaming|video game", "Electronic Gaming & Multimedia"),
        ("advert", "Advertising Agencies"),
        ("publish|newspaper", "Publishing"),
        ("broadcast|cable|radio", "Broadcasting"),
        ("telecom|wireless", "Telecom Services"),
        ("entertainment|film|movie", "Entertainment"),
    ),
}
_USUAL = {
    "Technology": "Software - Application",
    "Healthcare": "Medical Devices",
    "Financial Services": "Asset Management",
    "Consumer Cyclical": "Specialty Retail",
    "Consumer Defensive": "Packaged Foods",
    "Industrials": "Specialty Industrial Machinery",
    "Energy": "Oil & Gas E&P",
    "Utilities": "Utilities - Regulated Electric",
    "Real Estate": "Real Estate Services",
    "Basic Materials": "Specialty Chemicals",
    "Communication Services": "Internet Content & Information",
}

_FUNDS = (
    ("SPY", "SPDR S&P 500 ETF Trust", "PCX"),
    ("IVV", "iShares Core S&P 500 ETF", "PCX"),
    ("VOO", "Vanguard S&P 500 ETF", "PCX"),
    ("VTI", "Vanguard Total Stock Market ETF", "PCX"),
    ("QQQ", "Invesco QQQ Trust", "NGM"),
    ("DIA", "SPDR Dow Jones Industrial Average ETF Trust", "PCX"),
    ("IWM", "iShares Russell 2000 ETF", "PCX"),
    ("AGG", "iShares Core U.S. Aggregate Bond ETF", "PCX"),
    ("TLT", "iShares 20+ Year Treasury Bond ETF", "NGM"),
    ("GLD", "SPDR Gold Shares", "PCX"),
    ("XLB", "Materials Select Sector SPDR Fund", "PCX"),
    ("XLC", "Communication Services Select Sector SPDR Fund", "PCX"),
    ("XLE", "Energy Select Sector SPDR Fund", "PCX"),
    ("XLF", "Financial Select Sector SPDR Fund", "PCX"),
    ("XLI", "Industrial Select Sector SPDR Fund", "PCX"),
    ("XLK", "Technology Select Sector SPDR Fund", "PCX"),
    ("XLP", "Consumer Staples Select Sector SPDR Fund", "PCX"),
    ("XLRE", "Real Estate Select Sector SPDR Fund", "PCX"),
    ("XLU", "Utilities Select Sector SPDR Fund", "PCX"),
    ("XLV", "Health Care Select Sector SPDR Fund", "PCX"),
    ("XLY", "Consumer Discretionary Select Sector SPDR Fund", "PCX"),
)

_PRACTICE = (
    Listing("ZPRA.WS", "ZPRA-WT", "Practice Warrant A (made up)", "NYQ", "warrant", added=True),
    Listing("ZPRBW", "", "Practice Warrant B (made up)", "NCM", "warrant", added=True),
    Listing("ZPRA.U", "ZPRA-UN", "Practice Unit A (made up)", "NYQ", "unit", added=True),
    Listing("ZPRBU", "", "Practice Unit B (made up)", "NGM", "unit", added=True),
    Listing(
        "ZPRBR", "", "Practice Right B (made up)", "NGM", "right", status="unknown", added=True
    ),
    Listing(
        "ZPRC.PRA", "ZPRC-PA", "Practice Preferred C (made up)", "NYQ", "preferred", added=True
    ),
    Listing(
        "ZPRC.PRB",
        "ZPRC-PB",
        "Practice Preferred D (made up)",
        "NYQ",
        "preferred",
        status="no_fundamentals",
        added=True,
    ),
    Listing(
        "ZPRD.A",
        "",
        "Practice Company D Class A (made up)",
        "NYQ",
        sector="Industrials",
        industry="Railroads",
        added=True,
    ),
    Listing("ZPRE", "", "Practice Blank Cheque E (made up)", "NCM", "spac", added=True),
    Listing(
        "ZPRF", "", "Practice Company F, delisted (made up)", "NYQ", status="unknown", added=True
    ),
    Listing("ZPRG", "", "Practice Husk G (made up)", "ASE", status="no_profile", added=True),
)


def from_pytickersymbols() -> Universe:
    """About 1,100 US index members, 21 ETFs and 11 made-up securities, in symbol order.

    Real, from the package pytickersymbols: symbols and names of the members of the S&P 500, S&P
    600, Nasdaq 100, S&P 100 and Dow Jones, and for 99 of 100 their GICS sector, carried over one
    to one to Yahoo's eleven sectors. Real, from common knowledge: the ETFs and their exchanges.

    Derived: the industry, looked for by words in the package's free-text tags; where none fits,
    a usual one of the sector. The sector of the few members without a GICS tag, the same way.
    The exchange where the package names none (NYSE). So a single company's industry may well
    differ from what Yahoo says about it.

    Added for practice (`added` is set, names say "made up"): warrants, units, a right, preferreds,
    a class share, a blank cheque company, a husk and a delisted company.

    ModuleNotFoundError when the package (extra "demo") is missing.
    """
    from pytickersymbols import PyTickerSymbols

    source = PyTickerSymbols()
    members: dict[str, Mapping[str, Any]] = {}
    for index in _INDICES:
        for company in source.get_stocks_by_index(index):
            members.setdefault(str(company["symbol"]), company)
    listings = [_listing(symbol, company) for symbol, company in members.items()]
    listings += [
        Listing(symbol, name=name, exchange=exchange, kind="etf")
        for symbol, name, exchange in _FUNDS
        if symbol not in members
    ]
    listings += _PRACTICE
    return Universe(sorted(listings, key=lambda listing: listing.symbol))


def _listing(symbol: str, company: Mapping[str, Any]) -> Listing:
    tags = [str(tag) for tag in company.get("industries", ())]
    sector = _sector(tags)
    return Listing(
        symbol,
        name=str(company.get("name") or symbol),
        exchange=_exchange(symbol, company),
        sector=sector,
        industry=_industry(sector, tags),
    )


def _sector(tags: Sequence[str]) -> str:
    named = [tag for tag in (*_TELLING, *_SECTORS) if tag in tags]
    if named:
        return _SECTORS[named[0]]
    text = " | ".join(tags).lower()
    return next(
        (
            sector
            for sector, rules in _INDUSTRIES.items()
            if any(re.search(pattern, text) for pattern, _ in rules)
        ),
        "Technology",
    )


def _industry(sector: str, tags: Iterable[str]) -> str:
    text = " | ".join(tag for tag in tags if tag not in _SECTORS).lower()
    rules = _INDUSTRIES[sector]
    return next((name for pattern, name in rules if re.search(pattern, text)), _USUAL[sector])


def _exchange(symbol: str, company: Mapping[str, Any]) -> str:
    codes = {"NASDAQ": "NMS", "NYSE": "NYQ", "NYSEAMERICAN": "ASE", "AMEX": "ASE", "CBOE": "BTS"}
    quoted = [
        str(entry.get("google", "")).partition(":")[0]
        for entry in company.get("symbols", ())
        if entry.get("yahoo") in (symbol, symbol.replace(".", "-"))
    ]
    traded = str(company.get("metadata", {}).get("traded_as", ""))
    named = [*quoted, *re.findall(r"nasdaq|nyse|amex|cboe", traded, re.IGNORECASE)]
    return next((codes[name.upper()] for name in named if name.upper() in codes), "NYQ")
