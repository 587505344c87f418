"""Options chains: what is stored of a provider's answer, what is not, and which one is read."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from core.clock import ManualClock
from core.errors import BadInput
from core.options import GREEKS, OccContract, OptionStore, measure, parse_occ
from core.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DAY = "2024-01-16"
NOW = datetime(2024, 1, 16, 21, tzinfo=UTC).timestamp()

ROW = {
    "type": "call",
    "strike": 100.0,
    "expiration": "2024-02-16",
    "bid": 1.0,
    "ask": 1.2,
    "last": 1.1,
    "volume": 10,
    "open_interest": 50,
    "implied_volatility": 0.25,
    "delta": 0.5,
    "gamma": 0.02,
    "theta": -0.04,
    "vega": 0.1,
    "rho": 0.05,
}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def options(sqlite_store: Store, clock: ManualClock) -> OptionStore:
    return OptionStore(sqlite_store, clock)


@pytest.fixture
def any_options(any_store: Store, clock: ManualClock) -> OptionStore:
    """Once on each database system, for what reaches the SQL."""
    return OptionStore(any_store, clock)


def chain(contracts: int = 4, **changes: Any) -> pd.DataFrame:
    """So many contracts, calls and puts by turns, at strikes from 100 up."""
    rows = [
        {**ROW, "strike": 100.0 + number // 2, "type": "call" if number % 2 == 0 else "put"}
        for number in range(contracts)
    ]
    return pd.DataFrame(rows).assign(**changes)


def read(options: OptionStore, symbol: str = "SPY") -> pd.DataFrame:
    frame = options.get_raw_options(symbol, DAY)
    assert frame is not None
    return frame


def test_a_chain_comes_back_as_it_was_stored(any_options: OptionStore) -> None:
    written = any_options.store_raw_options("spy", DAY, chain(), underlying_price=101.5)
    assert int(written) == written.stored == 4
    assert (written.rejected, written.reasons, written.kept) == (0, {}, "")
    frame = read(any_options)
    assert frame.option_type.tolist() == ["call", "put"] * 2
    assert frame.strike.tolist() == [100, 100, 101, 101]
    assert (frame.expiration == "2024-02-16").all()
    assert (frame.underlying_price == 101.5).all()
    for name in ("bid", "ask", "last", "volume", "open_interest", "implied_volatility", *GREEKS):
        assert (frame[name] == ROW[name]).all(), name
    assert frame.attrs["source"] == "polygon"
    assert frame.attrs["fetched_at"] == int(NOW)
    assert frame.attrs["underlying_price"] == 101.5
    assert frame.attrs["other_sources"] == []


def test_what_was_read_can_be_stored_again(any_options: OptionStore) -> None:
    any_options.store_raw_options("SPY", DAY, chain(), source="one")
    first = read(any_options)
    assert int(any_options.store_raw_options("SPY", DAY, first, source="one")) == 4
    pd.testing.assert_frame_equal(read(any_options), first)


@pytest.mark.parametrize(
    ("given", "expected"),
    [("C", "call"), ("c", "call"), ("CALL", "call"), (" Put ", "put"), ("p", "put")],
)
def test_types_in_every_spelling(options: OptionStore, given: str, expected: str) -> None:
    options.store_raw_options("SPY", DAY, chain(1, type=given))
    assert read(options).option_type.tolist() == [expected]


@pytest.mark.parametrize(
    "expiration",
    [
        "2024-02-16",
        "20240216",
        20240216,
        "2024-02-16T21:00:00+00:00",
        date(2024, 2, 16),
        pd.Timestamp("2024-02-16"),
        pd.Timestamp("2024-02-16", tz="America/New_York"),
        np.datetime64("2024-02-16"),
        1_708_041_600,
    ],
)
def test_expirations_in_every_form(options: OptionStore, expiration: Any) -> None:
    frame = chain(1).assign(expiration=pd.Series([expiration]))
    written = options.store_raw_options("SPY", DAY, frame)
    assert written.reasons == {}
    assert read(options).expiration[0] == pd.Timestamp("2024-02-16")


@pytest.mark.parametrize(
    "names",
    [
        {"type": "option_type", "expiration": "expiry", "last": "last_price"},
        {"type": "optionType", "last": "lastPrice", "implied_volatility": "impliedVolatility"},
        {"type": "Right", "expiration": "Expiration Date", "open_interest": "openInterest"},
        {"type": "contract_type", "strike": "strike_price", "expiration": "expiration_date"},
        {"type": "putCall", "implied_volatility": "IV", "expiration": "#expiry"},
    ],
)
def test_columns_by_the_names_that_providers_use(
    options: OptionStore, names: dict[str, str]
) -> None:
    options.store_raw_options("SPY", DAY, chain())
    plain = read(options)
    options.delete_raw_options("SPY")
    assert int(options.store_raw_options("SPY", DAY, chain().rename(columns=names))) == 4
    pd.testing.assert_frame_equal(read(options), plain)


def test_contract_symbols_tell_what_yfinance_has_no_columns_for(options: OptionStore) -> None:
    frame = pd.DataFrame(
        {
            "contractSymbol": ["SPY240216C00470500", "SPY240216P00470500"],
            "strike": [470.5, 470.5],
            "lastPrice": [8.1, np.nan],
            "openInterest": [12, 0],
            "impliedVolatility": [0.12, 0.13],
            "inTheMoney": [True, False],
        },
        index=[0, 0],
    )
    assert int(options.store_raw_options("SPY", DAY, frame, source="yahoo")) == 2
    found = read(options)
    assert found.option_type.tolist() == ["call", "put"]
    assert found.contract_symbol.tolist() == ["SPY240216C00470500", "SPY240216P00470500"]
    assert found["last"].isna().tolist() == [False, True]
    assert found.bid.isna().all()


def test_contracts_named_in_the_index_or_in_the_symbol_column(options: OptionStore) -> None:
    frame = chain(2)
    indexed = frame.set_index(["strike", "expiration", "type"])
    assert int(options.store_raw_options("A", DAY, indexed)) == 2
    symbols = pd.DataFrame({"symbol": ["O:B240216C00100000", "B     240216P00100000"], "bid": 1.0})
    assert int(options.store_raw_options("B", DAY, symbols)) == 2
    assert read(options, "B").contract_symbol.tolist() == [
        "B240216C00100000",
        "B240216P00100000",
    ]


@pytest.mark.parametrize("missing", [np.nan, None, pd.NA, "", "N/A"])
def test_missing_values_are_stored_as_missing(any_options: OptionStore, missing: Any) -> None:
    frame = chain(1).astype(object).assign(bid=pd.Series([missing], dtype=object))
    assert int(any_options.store_raw_options("SPY", DAY, frame)) == 1
    assert read(any_options).bid.isna().all()


BAD = [
    ({"bid": 1.3}, "bid 1.3 is above the ask 1.2"),
    ({"bid": -0.1}, "bid -0.1 is negative"),
    ({"ask": -1.0}, "ask -1 is negative"),
    ({"last": -1.0}, "last -1 is negative"),
    ({"volume": -1}, "volume -1 is negative"),
    ({"open_interest": -5}, "open interest -5 is negative"),
    ({"implied_volatility": -0.2}, "implied volatility -0.2 is negative"),
    ({"delta": 1.1}, "delta 1.1 is not between"),
    ({"delta": -1.1}, "delta -1.1 is not between"),
    ({"strike": 0.0}, "strike 0 is not above 0"),
    ({"strike": -5.0}, "strike -5 is not above 0"),
    ({"strike": np.nan}, "lacks"),
    ({"type": "straddle"}, "'straddle' is no option type"),
    ({"type": None}, "lacks"),
    ({"expiration": None}, "lacks"),
    ({"expiration": "16/02/2024"}, "expiration '16/02/2024' is not a date"),
    ({"expiration": "2024-01-15"}, "expired on 2024-01-15, before"),
    ({"bid": "cheap"}, "bid 'cheap' is not a number"),
    ({"ask": np.inf}, "ask is not finite"),
    ({"contract_symbol": "SPY240216C00101000"}, "strike 100 is not that of"),
    ({"contract_symbol": "SPY240216P00100000"}, "type call is not that of"),
    ({"contract_symbol": "SPY240315C00100000"}, "expiration 2024-02-16 is not that of"),
    ({"contract_symbol": "QQQ240216C00100000"}, "not one of SPY"),
    ({"underlying": "QQQ"}, "is of QQQ, not of SPY"),
    ({"quote_date": "2024-01-12"}, "is of 2024-01-12, not of 2024-01-16"),
]


@pytest.mark.parametrize(("fault", "reason"), BAD, ids=[reason for _, reason in BAD])
def test_a_bad_row_is_left_out_with_its_reason_and_the_others_stored(
    options: OptionStore, fault: dict[str, Any], reason: str
) -> None:
    good = chain(6).assign(contract_symbol=None, underlying="SPY", quote_date=DAY).astype(object)
    frame = pd.concat([good.iloc[2:], pd.DataFrame([{**good.iloc[0], **fault}], index=["bad"])])
    written = options.store_raw_options("SPY", DAY, frame)
    assert (written.stored, written.rejected, int(written)) == (4, 1, 4)
    assert list(written.reasons) == ["bad"]
    assert reason in written.reasons["bad"]
    assert written.reasons["bad"].endswith(".")
    assert len(read(options)) == 4


def test_a_contract_that_expires_on_the_day_is_good(options: OptionStore) -> None:
    assert int(options.store_raw_options("SPY", DAY, chain(2, expiration=DAY))) == 2


def test_repeated_contracts_are_stored_once(options: OptionStore) -> None:
    frame = pd.concat([chain(4), chain(2, bid=0.5)], ignore_index=True)
    written = options.store_raw_options("SPY", DAY, frame)
    assert (written.stored, list(written.reasons)) == (4, [4, 5])
    assert "same root, expiration, strike and type as row 0" in written.reasons[4]
    assert (read(options).bid == 1.0).all()


def test_where_labels_repeat_the_reasons_go_by_position(options: OptionStore) -> None:
    frame = pd.concat([chain(2), chain(2)])
    assert list(options.store_raw_options("SPY", DAY, frame).reasons) == [2, 3]


def test_contracts_of_two_roots_lie_side_by_side(options: OptionStore) -> None:
    frame = chain(1).loc[[0, 0]].reset_index(drop=True)
    frame["contract_symbol"] = ["AAPL1240216C00100000", "AAPL240216C00100000"]
    frame["bid"] = [0.2, 1.0]
    written = options.store_raw_options("AAPL", DAY, frame)
    assert (written.stored, dict(written.reasons)) == (2, {})
    both = read(options, "AAPL")
    assert both.root.tolist() == ["AAPL", "AAPL1"]
    assert both.bid.tolist() == [1.0, 0.2]


@pytest.mark.parametrize(
    ("symbol", "root", "same"),
    [
        ("SPX", "SPXW", True),
        ("^SPX", "SPX", True),
        ("BRK.B", "BRKB", True),
        ("AAPL", "2AAPL", True),
        ("AAPL", "AAL", False),
        ("A", "AAPL", False),
    ],
)
def test_roots_of_the_same_underlying(
    options: OptionStore, symbol: str, root: str, *, same: bool
) -> None:
    frame = chain(1, contract_symbol=f"{root}240216C00100000")
    assert int(options.store_raw_options(symbol, DAY, frame)) == int(same)


@pytest.mark.parametrize("missing", ["type", "strike", "expiration"])
def test_a_frame_without_a_needed_column_is_refused(options: OptionStore, missing: str) -> None:
    options.store_raw_options("SPY", DAY, chain())
    with pytest.raises(BadInput, match=r"options_df has no column for .*It needs"):
        options.store_raw_options("SPY", DAY, chain(9).drop(columns=missing), replace=True)
    assert len(read(options)) == 4


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"symbol": "no symbol"}, "no symbol has"),
        ({"trading_date": "yesterday"}, "trading date"),
        ({"options_df": [1, 2]}, "DataFrame"),
        ({"underlying_price": 0}, "underlying_price"),
        ({"underlying_price": -1.0}, "underlying_price"),
        ({"source": " "}, "source"),
        ({"data_quality_score": 1.5}, "data_quality_score"),
        ({"data_quality_score": float("nan")}, "data_quality_score"),
        ({"provider_metadata": {"a": object()}}, "provider_metadata"),
    ],
)
def test_arguments_that_cannot_be_used_are_refused(
    options: OptionStore, arguments: dict[str, Any], named: str
) -> None:
    usual = {"symbol": "SPY", "trading_date": DAY, "options_df": chain()}
    with pytest.raises(BadInput, match=named):
        options.store_raw_options(**{**usual, **arguments})
    assert options.get_options_stats()["total_contracts"] == 0


def test_a_shorter_answer_never_replaces_a_longer_one_silently(any_options: OptionStore) -> None:
    any_options.store_raw_options("SPY", DAY, chain(10))
    written = any_options.store_raw_options("SPY", DAY, chain(8, bid=0.9))
    assert int(written) == 0
    assert "was kept: it has 10 contracts, the new one only 8" in written.kept
    assert (read(any_options).bid == 1.0).all()
    forced = any_options.store_raw_options("SPY", DAY, chain(8, bid=0.9), replace=True)
    assert (int(forced), forced.kept) == (8, "")
    assert len(read(any_options)) == 8


def test_a_poorer_answer_does_not_replace_a_complete_one(options: OptionStore) -> None:
    options.store_raw_options("SPY", DAY, chain(10))
    poorer = chain(12).drop(columns=[*GREEKS, "bid"])
    written = options.store_raw_options("SPY", DAY, poorer)
    assert int(written) == 0
    assert "quality score is 0.80, that of the new one only 0.45" in written.kept
    assert len(read(options)) == 10


def test_a_later_answer_as_complete_replaces_the_snapshot_as_a_whole(
    any_options: OptionStore, clock: ManualClock
) -> None:
    any_options.store_raw_options("SPY", DAY, chain(4))
    clock.advance(600)
    later = chain(6).iloc[2:].assign(bid=1.1)
    assert int(any_options.store_raw_options("SPY", DAY, later)) == 4
    frame = read(any_options)
    assert frame.strike.tolist() == [101, 101, 102, 102]
    assert frame.attrs["fetched_at"] == int(NOW) + 600
    assert any_options.get_options_stats()["total_contracts"] == 4


@pytest.mark.parametrize(
    "frame", [None, pd.DataFrame(), chain().iloc[:0], chain(3, strike=-1.0)], ids=range(4)
)
def test_an_empty_answer_changes_nothing(options: OptionStore, frame: pd.DataFrame | None) -> None:
    options.store_raw_options("SPY", DAY, chain())
    written = options.store_raw_options("SPY", DAY, frame, replace=True)
    assert int(written) == 0
    assert written.quality.value == 0
    assert len(read(options)) == 4


def test_a_failure_halfway_leaves_the_old_chain(any_options: OptionStore, any_store: Store) -> None:
    any_options.store_raw_options("SPY", DAY, chain(1))
    with any_store.write() as connection:
        connection.execute(text("CREATE UNIQUE INDEX hurdle ON option_quotes (snapshot_id, bid)"))
    with pytest.raises(IntegrityError, match=r"(?i)unique"):
        any_options.store_raw_options("SPY", DAY, chain(40, bid=0.9))
    frame = read(any_options)
    assert frame.bid.tolist() == [1.0]
    assert any_options.get_options_stats()["total_contracts"] == 1


def test_providers_are_never_mixed_and_the_best_one_answers(
    any_options: OptionStore, clock: ManualClock
) -> None:
    any_options.store_raw_options("SPY", DAY, chain(4, ask=np.nan, bid=0.8), source="yahoo")
    clock.advance(60)
    any_options.store_raw_options("SPY", DAY, chain(2, bid=0.9), source="Alpaca:OPRA")
    frame = read(any_options)
    assert len(frame) == 2
    assert (frame.bid == 0.9).all()
    assert frame.attrs["source"] == "alpaca:opra"
    others = frame.attrs["other_sources"]
    assert [(one["source"], one["contracts"]) for one in others] == [("yahoo", 4)]
    assert any_options.get_best_provider("SPY", DAY) == "alpaca:opra"
    named = any_options.get_raw_options("SPY", DAY, source="yahoo")
    assert named is not None
    assert (named.bid == 0.8).all()
    assert any_options.get_raw_options("SPY", DAY, source="polygon") is None


def test_among_equals_the_newest_answers(any_options: OptionStore, clock: ManualClock) -> None:
    for source in ("zeta", "beta", "alpha"):
        any_options.store_raw_options("SPY", DAY, chain(), source=source)
        clock.advance(60 if source == "zeta" else -120)
    assert any_options.get_best_provider("SPY", DAY) == "beta"


def test_nothing_stored_is_no_frame(any_options: OptionStore) -> None:
    assert any_options.get_raw_options("SPY", DAY) is None
    assert any_options.get_best_provider("SPY", DAY) is None
    assert any_options.snapshots("SPY") == []
    assert any_options.delete_raw_options("SPY") == 0
    assert any_options.get_options_stats() == {
        "total_contracts": 0,
        "unique_symbols": 0,
        "trading_dates": 0,
        "sources": {},
        "date_range": None,
    }


def store_several(options: OptionStore) -> None:
    options.store_raw_options("SPY", "2024-01-12", chain(3), source="yahoo")
    options.store_raw_options("SPY", DAY, chain(4), source="yahoo")
    options.store_raw_options("SPY", DAY, chain(5), underlying_price=101)
    options.store_raw_options("QQQ", DAY, chain(6))


def test_totals_and_snapshots(any_options: OptionStore) -> None:
    store_several(any_options)
    assert any_options.get_options_stats() == {
        "total_contracts": 18,
        "unique_symbols": 2,
        "trading_dates": 2,
        "sources": {"polygon": 11, "yahoo": 7},
        "date_range": {"min_date": "2024-01-12", "max_date": DAY},
    }
    found = any_options.snapshots("spy")
    assert [(one.trading_date, one.source, one.contracts) for one in found] == [
        (date(2024, 1, 16), "polygon", 5),
        (date(2024, 1, 16), "yahoo", 4),
        (date(2024, 1, 12), "yahoo", 3),
    ]
    assert (found[0].underlying_price, found[1].underlying_price) == (101, None)


@pytest.mark.parametrize(
    ("arguments", "deleted", "left"),
    [
        ({}, 12, 6),
        ({"trading_date": DAY}, 9, 9),
        ({"source": "yahoo"}, 7, 11),
        ({"trading_date": DAY, "source": "YAHOO"}, 4, 14),
        ({"trading_date": "2023-01-03"}, 0, 18),
        ({"source": "alpaca"}, 0, 18),
    ],
)
def test_deleting_counts_contracts(
    any_options: OptionStore, any_store: Store, arguments: dict[str, Any], deleted: int, left: int
) -> None:
    store_several(any_options)
    assert any_options.delete_raw_options("SPY", **arguments) == deleted
    assert any_options.get_options_stats()["total_contracts"] == left
    with any_store.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM option_quotes")).scalar() == left


def weights(frame: pd.DataFrame, options: OptionStore) -> tuple[float, dict[str, float]]:
    quality = options.store_raw_options("SPY", DAY, frame, replace=True).quality
    return quality.value, {part.name: part.weight for part in quality.parts if part.weight}


def test_the_quality_score_is_explained_part_by_part(options: OptionStore) -> None:
    assert weights(chain(100), options) == (1.0, {})
    assert weights(chain(99), options) == (0.9, {"contracts": -0.1})
    assert weights(chain(49), options) == (0.8, {"contracts": -0.2})
    full = chain(100)
    assert weights(full.drop(columns=["rho", "bid"]), options) == (
        0.85,
        {"rho": -0.05, "bid": -0.1},
    )
    # A share counts as a share: 20 of 100 without a delta cost a fifth of 0.05.
    full.loc[:19, "delta"] = np.nan
    full.loc[:49, "ask"] = np.nan
    assert weights(full, options) == (0.94, {"delta": -0.01, "ask": -0.05})
    bare = chain(10)[["type", "strike", "expiration"]]
    assert weights(bare, options)[0] == pytest.approx(0.35)


def test_zeros_that_stand_for_nothing_count_as_missing(options: OptionStore) -> None:
    nobody_bids = chain(100, bid=0.0)
    assert weights(nobody_bids, options) == (1.0, {})
    no_quotes = chain(100, bid=0.0, ask=0.0)
    assert weights(no_quotes, options) == (0.8, {"bid": -0.1, "ask": -0.1})
    no_model = chain(100, **dict.fromkeys(GREEKS, 0.0))
    assert weights(no_model, options) == (0.75, dict.fromkeys(GREEKS, -0.05))
    far_out = chain(100, delta=0.0, gamma=0.0)
    assert weights(far_out, options) == (1.0, {})


def test_every_part_has_a_sentence(options: OptionStore) -> None:
    frame = chain(60)
    frame.loc[:11, "vega"] = np.nan
    written = options.store_raw_options("SPY", DAY, frame)
    sentences = {part.name: part.sentence for part in written.quality.parts}
    assert sentences["vega"] == "12 of 60 contracts have no vega."
    assert sentences["ask"] == "Every contract has an ask."
    assert sentences["contracts"] == "The chain has 60 contracts, fewer than 100."
    parts = read(options).attrs["quality_parts"]
    assert {part["name"]: part["sentence"] for part in parts} == sentences


def test_a_given_score_takes_the_place_of_the_computed_one(options: OptionStore) -> None:
    options.store_raw_options("SPY", DAY, chain(), source="a", data_quality_score=0.3)
    options.store_raw_options("SPY", DAY, chain(2), source="b")
    assert options.get_best_provider("SPY", DAY) == "b"
    named = options.get_raw_options("SPY", DAY, "a")
    assert named is not None
    assert named.attrs["quality"] == 0.3
    assert named.attrs["quality_parts"][0]["name"] == "given"


def test_attributes_are_plain_enough_for_a_file(any_options: OptionStore) -> None:
    extra = {"request": "chain", "pages": 3}
    any_options.store_raw_options("SPY", DAY, chain(), source="a", provider_metadata=extra)
    any_options.store_raw_options("SPY", DAY, chain(3), source="b")
    any_options.store_raw_options("SPY", DAY, chain(4), source="a", provider_metadata=extra)
    attributes = read(any_options).attrs
    assert json.loads(json.dumps(attributes)) == attributes
    assert attributes["provider_metadata"] == extra


def test_the_underlyings_price_is_taken_from_the_frame_when_it_is_one(
    options: OptionStore,
) -> None:
    options.store_raw_options("A", DAY, chain(3, underlying_price=50.5))
    options.store_raw_options("B", DAY, chain(3).assign(underlying_price=[1.0, 2.0, 3.0]))
    options.store_raw_options("C", DAY, chain(3, underlying_price=50.5), underlying_price=51)
    prices = [options.snapshots(symbol)[0].underlying_price for symbol in "ABC"]
    assert prices == [50.5, None, 51]


@pytest.mark.parametrize(
    "moment", [pd.Timestamp(DAY), date(2024, 1, 16), "2024-01-17T02:00:00+00:00", "20240116"]
)
def test_trading_dates_in_every_form(options: OptionStore, moment: Any) -> None:
    if isinstance(moment, str) and "T" in moment:
        moment = datetime.fromisoformat(moment)
    options.store_raw_options("SPY", moment, chain())
    assert options.get_raw_options("SPY", DAY) is not None


@pytest.mark.parametrize(
    ("symbol", "expected"),
    [
        ("AAPL240119C00150000", OccContract("AAPL", date(2024, 1, 19), "call", 150.0)),
        ("AAPL  240119P00150500", OccContract("AAPL", date(2024, 1, 19), "put", 150.5)),
        ("O:SPXW240119C04700000", OccContract("SPXW", date(2024, 1, 19), "call", 4700.0)),
        ("aapl140613c00070710", OccContract("AAPL", date(2014, 6, 13), "call", 70.71)),
        ("AAPL241319C00150000", None),
        ("AAPL_20250117C150", None),
        ("AAPL", None),
        ("", None),
    ],
)
def test_contract_symbols(symbol: str, expected: OccContract | None) -> None:
    assert parse_occ(symbol) == expected


@given(
    st.from_regex(r"[A-Z]{1,5}[0-9]?", fullmatch=True),
    st.dates(date(2000, 1, 1), date(2099, 12, 31)),
    st.sampled_from(["call", "put"]),
    st.integers(1, 99_999_999).map(lambda mills: mills / 1000),
)
def test_contract_symbols_read_back(
    root: str, expiration: date, option_type: str, strike: float
) -> None:
    contract = OccContract(root, expiration, option_type, strike)
    assert parse_occ(contract.text) == contract


numbers = st.none() | st.floats(0, 10)


@given(
    st.lists(st.fixed_dictionaries(dict.fromkeys(("bid", "ask", *GREEKS), numbers)), max_size=120)
)
def test_a_score_is_what_its_parts_add_up_to(rows: list[dict[str, float | None]]) -> None:
    quality = measure(rows)
    assert 0 <= quality.value <= 1
    assert all(part.weight <= 0 for part in quality.parts)
    total = 1 + sum(part.weight for part in quality.parts)
    assert quality.value == pytest.approx(max(total, 0), abs=1e-4)


@pytest.mark.shared
def test_real_chains_survive_a_round_trip(any_options: OptionStore, shared_data: Path) -> None:
    files = sorted((shared_data / "options").glob("lean_*.csv.gz"))
    assert files
    rejected: list[str] = []
    for file in files:
        given = pd.read_csv(file)
        symbol, day = given.symbol[0], given.trading_date[0]
        written = any_options.store_raw_options(symbol, day, given, source="lean")
        assert written.stored + written.rejected == len(given)
        rejected.extend(written.reasons.values())
        found = any_options.get_raw_options(symbol, day)
        assert found is not None
        assert len(found) == written.stored
        key = ["expiration", "strike", "option_type"]
        expected = given.drop(index=list(written.reasons)).sort_values(key, ignore_index=True)
        numeric = ["strike", "bid", "ask", "volume", "open_interest", "delta", "gamma", "rho"]
        pd.testing.assert_frame_equal(
            found[numeric], expected[numeric].astype("float64"), check_dtype=False
        )
        assert found.contract_symbol.tolist() == expected.contract_symbol.tolist()
    # One row of the published files is torn: two numbers in one field.
    assert rejected == ["The rho '-0.0009296.0025941' is not a number."]


@pytest.mark.shared
def test_a_frame_of_many_days_stores_only_the_day_asked_for(
    options: OptionStore, shared_data: Path
) -> None:
    frame = pd.read_csv(shared_data / "options" / "optiondata_SPX_2014-12_sample.csv.gz")
    written = options.store_raw_options("SPX", "2014-12-16", frame)
    assert written.stored == (frame.quotedate == "2014-12-16").sum() > 0
    assert all("not of 2014-12-16" in reason for reason in written.reasons.values())


def yahoo_answers(file: Path) -> Iterator[tuple[str, date, pd.DataFrame]]:
    """Symbol, day and contracts of the recorded answers that have any, as yfinance shapes them."""
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        bodies = [json.loads(line)["response"]["body"] for line in lines]
    for body in bodies:
        for result in (body.get("optionChain") or {}).get("result", ()):
            for part in result["options"]:
                rows = [*part["calls"], *part["puts"]]
                moment = result["quote"].get("regularMarketTime")
                if rows and moment:
                    day = datetime.fromtimestamp(moment, tz=UTC).date()
                    yield result["underlyingSymbol"], day, pd.DataFrame(rows)


@pytest.mark.shared
def test_recorded_yahoo_answers_are_stored_whole(options: OptionStore, shared_data: Path) -> None:
    answers = list(yahoo_answers(shared_data / "answers" / "yahoo_options.jsonl.gz"))
    assert len(answers) > 5
    for symbol, day, frame in answers:
        written = options.store_raw_options(symbol, day, frame, source="yahoo", replace=True)
        assert written.reasons == {}
        assert int(written) == len(frame)
        parts = {part.name: part.weight for part in written.quality.parts}
        assert parts["delta"] == -0.05
