"""Cookie, crumb, profiles and quotes, as the real yfinance meets them."""

from __future__ import annotations

import json

import pytest

from core.model import SectorStatus


def said(response):
    return response.json()["quoteSummary"]["error"]["description"]


def test_found_sector(server, connect):
    yahoo = connect(server)
    result = yahoo.profile("MSFT").json()["quoteSummary"]["result"][0]
    assert result["assetProfile"]["sector"] == "Technology"
    assert result["assetProfile"]["industry"] == "Software - Infrastructure"
    assert result["assetProfile"]["industryKey"] == "software-infrastructure"
    assert result["quoteType"]["symbol"] == "MSFT"
    assert result["quoteType"]["quoteType"] == "EQUITY"
    # One request per symbol once cookie and crumb are there.
    assert [(record.endpoint, record.status) for record in server.log] == [
        ("fc", 404),
        ("getcrumb", 200),
        ("quoteSummary", 200),
    ]


@pytest.mark.parametrize(
    ("symbol", "quote_type"), [("SPY", "ETF"), ("SPACU", "EQUITY"), ("BTC-USD", "CRYPTOCURRENCY")]
)
def test_profile_without_sector(server, connect, symbol, quote_type):
    result = connect(server).profile(symbol).json()["quoteSummary"]["result"][0]
    assert "sector" not in result["assetProfile"]
    assert "industry" not in result["assetProfile"]
    assert result["quoteType"]["quoteType"] == quote_type


def test_known_symbol_without_profile(server, connect):
    yahoo = connect(server)
    alone = yahoo.profile("ADH", "assetProfile")
    assert alone.status_code == 404
    assert said(alone) == "No fundamentals data found for any of the summaryTypes=assetProfile"
    both = yahoo.profile("ADH").json()["quoteSummary"]["result"][0]
    assert list(both) == ["quoteType"]


def test_known_symbol_without_fundamentals(server, connect):
    response = connect(server).profile("ABR-PD")
    assert response.status_code == 404
    wanted = "No fundamentals data found for any of the summaryTypes=assetProfile,quoteType"
    assert said(response) == wanted


@pytest.mark.parametrize("symbol", ["NOPE", "GONE", "BRK.B"])
def test_unknown_symbol(server, connect, symbol):
    response = connect(server).profile(symbol)
    assert response.status_code == 404
    assert said(response) == f"Quote not found for symbol: {symbol}"


def test_class_share_is_counted_in_house_spelling(server, connect):
    yahoo = connect(server)
    assert yahoo.module("BRK-B")["sector"] == "Financial Services"
    assert server.log.asked() == {"BRK.B": 1}


def test_yfinance_repeats_a_refused_call_and_the_log_shows_it(server, connect):
    connect(server).profile("NOPE")
    assert [record.endpoint for record in server.log] == [
        "fc",
        "getcrumb",
        "quoteSummary",
        "getcrumb",
        "quoteSummary",
    ]
    assert server.log.asked() == {"NOPE": 2}
    assert server.log.data_requests == 2


def test_info(server, connect):
    info = connect(server).ticker("AAPL").info
    assert info["sector"] == "Technology"
    assert info["quoteType"] == "EQUITY"
    assert info["regularMarketPrice"] == info["currentPrice"]
    assert info["trailingPegRatio"] > 0
    asked = [record.endpoint for record in server.log if record.data]
    assert asked == ["quoteSummary", "quote", "timeseries"]


def test_info_of_an_unknown_symbol_looks_like_a_block(server, connect):
    assert connect(server).ticker("NOPE").info == {"trailingPegRatio": None}


def test_truth_table(server, universe, connect):
    yahoo = connect(server)
    for listing in universe:
        truth = universe.truth(listing.symbol)
        response = yahoo.profile(listing.yahoo_symbol)
        if truth.status is SectorStatus.NOT_FOUND:
            assert said(response).startswith("Quote not found")
        elif truth.status is SectorStatus.FOUND:
            profile = yahoo.module(listing.yahoo_symbol)
            assert (profile["sector"], profile["industry"]) == (truth.sector, truth.industry)
        elif response.status_code == 404:
            assert said(response).startswith("No fundamentals data found")
        else:
            result = response.json()["quoteSummary"]["result"][0]
            assert "sector" not in result.get("assetProfile", {})
            assert result["quoteType"]["symbol"] == listing.yahoo_symbol


def test_cookie_and_crumb_are_needed_where_yahoo_needs_them(server, raw):
    client = raw(server, log_in=False)
    host = "query1.finance.yahoo.com"
    error = {"code": "Unauthorized", "description": "Invalid Cookie"}
    status, body, _ = client.ask(host, "/v1/test/getcrumb")
    assert (status, json.loads(body)) == (401, {"finance": {"result": None, "error": error}})
    for path in ("/v10/finance/quoteSummary/AAPL", "/v7/finance/quote", "/v7/finance/options/AAPL"):
        status, body, _ = client.ask(host, f"{path}?symbols=AAPL&modules=quoteType&crumb=x")
        assert (status, b"Invalid Crumb" in body) == (401, True)
    assert client.post_screen(b"{}")[0] == 401
    assert client.ask(host, "/v1/finance/search?q=AAPL")[0] == 200
    assert client.ask(host, "/v8/finance/chart/AAPL")[0] == 404
    series = "/ws/fundamentals-timeseries/v1/finance/timeseries/AAPL?type=trailingPegRatio"
    assert client.ask(host, series)[0] == 200


def test_crumb_is_bound_to_its_cookie(server, raw):
    one, other = raw(server), raw(server)
    assert len(one.crumb) == len(other.crumb) == 11
    assert one.profile("AAPL") == other.profile("AAPL") == 200
    one.crumb, other.crumb = other.crumb, one.crumb
    assert one.profile("AAPL") == other.profile("AAPL") == 401


def test_rotated_crumb_is_renewed_by_yfinance_itself(server, connect):
    yahoo = connect(server)
    assert yahoo.profile("AAPL").status_code == 200
    server.rotate_crumbs()
    assert yahoo.profile("AAPL").status_code == 200
    statuses = [record.status for record in server.log if record.endpoint == "quoteSummary"]
    assert statuses == [200, 401, 200]


def test_cookie_outlives_the_program_and_the_server(serve, connect):
    first, second = serve(), serve()
    assert connect(first).profile("AAPL").status_code == 200
    # A new session finds the cookie in yfinance's own file and asks for no other.
    assert connect(second).profile("AAPL").status_code == 200
    assert [record.endpoint for record in second.log] == ["getcrumb", "quoteSummary"]


def test_consent_page_has_no_form(server, raw):
    status, body, _ = raw(server, log_in=False).ask("guce.yahoo.com", "/consent")
    assert status == 200
    assert b"<form" not in body
    assert b"<input" not in body


def test_quotes_leave_out_unknown_symbols_and_tell_no_sector(server, raw):
    client = raw(server)
    status, body, _ = client.data("/v7/finance/quote", symbols="AAPL,NOPE,SPY")
    assert status == 200
    assert b'"symbol":"AAPL"' in body
    assert b'"symbol":"SPY"' in body
    assert b"NOPE" not in body
    assert b'"sector"' not in body


def test_more_than_99_quotes_at_once_are_refused(server, raw):
    client = raw(server)
    assert client.data("/v7/finance/quote", symbols=",".join(["AAPL"] * 99))[0] == 200
    assert client.data("/v7/finance/quote", symbols=",".join(["AAPL"] * 100))[0] == 429


def test_unknown_hosts_and_paths(server, raw):
    client = raw(server)
    assert client.ask("www.example.com", "/practice/stats")[0] == 404
    assert client.data("/v11/finance/anything")[0] == 404
    assert client.data("/v1/finance/screener")[0] == 404


def test_options_answer_like_a_symbol_without_contracts(server, raw):
    client = raw(server)
    assert b'"expirationDates":[]' in client.data("/v7/finance/options/AAPL")[1]
    assert client.data("/v7/finance/options/NOPE")[1] == (
        b'{"optionChain":{"result":[],"error":null}}'
    )


def test_headers_tell_of_no_rate_limit(server, raw):
    headers = raw(server).data("/v10/finance/quoteSummary/AAPL", modules="quoteType")[2]
    assert headers["content-type"] == "application/json;charset=utf-8"
    assert headers["server"] == "ATS"
    assert headers["y-rid"]
    assert headers["date"] == "Mon, 02 Mar 2026 23:00:00 GMT"
    assert not [name for name in headers if "rate" in name.lower() or "retry" in name.lower()]
