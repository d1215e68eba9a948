"""A party's history and extracts over HTTP: its own alone, to the cent, as JSON, CSV and PDF."""

import asyncio
import csv
import io

import httpx
import pytest
from pypdf import PdfReader

from tests.engine.api.conftest import Api, Deal, World, advance, make_deal, pay


@pytest.fixture(scope="module")
def deal(api: Api, world: World) -> Deal:
    """A deal whose one slot was paid, released and is available."""
    deal = make_deal(api, "100.00", "50.00")
    pay(deal, world, deal.slots[0])
    deal.payee.post(f"/v1/slots/{deal.slots[0]}/submit", {"message_ref": "message-1"})
    assert deal.client.post(f"/v1/slots/{deal.slots[0]}/approve", {}).status == 200
    advance(api, world, days=6)
    return deal


def fetch(caller: Api, path: str, **query: str) -> httpx.Response:
    """An answer that is no JSON."""
    headers = {"Authorization": f"Bearer {caller.secret}", "Holdfast-Party": str(caller.party)}

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(caller.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get(path, params=query, headers=headers)

    return asyncio.run(send())


def test_the_history_runs_to_the_balance(deal: Deal) -> None:
    """Every line is told in words, and the last balance is what the party has."""
    found = deal.payee.get(f"/v1/parties/{deal.payee_id}/transactions").body

    assert [(each["what"], each["account"]) for each in found["items"]] == [
        ("Earned", "earned_pending"),
        ("Security hold over", "earned_pending"),
        ("Security hold over", "earned_available"),
    ]
    earned = found["items"][0]
    assert earned["contract_id"] == deal.contract_id
    assert earned["slot_id"] == deal.slots[0]
    assert earned["credit"]["amount"] == "90.00"
    assert earned["fees"]["commission"]["amount"] == "10.00"
    assert found["items"][-1]["balance"]["amount"] == "90.00"
    assert found["next_cursor"] is None


def test_pages_of_one_line_are_the_same_list(deal: Deal) -> None:
    """A cursor goes on behind the line before, with its running balance."""
    path = f"/v1/parties/{deal.payee_id}/transactions"
    whole = deal.payee.get(path).body["items"]

    shown: list[object] = []
    cursor: dict[str, str] = {}
    while True:
        page = deal.payee.get(path, limit="1", **cursor).body
        shown += page["items"]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}

    assert shown == whole


def test_a_client_sees_what_lies_in_escrow(deal: Deal) -> None:
    """What the client paid in and released is on his extract, though no wallet moved."""
    found = deal.client.get(f"/v1/parties/{deal.client_id}/extracts/2026-03").body

    (euros,) = found["currencies"]
    assert [each["account"] for each in euros["accounts"]] == ["escrow"]
    assert (euros["credits"]["amount"], euros["debits"]["amount"]) == ("100.00", "100.00")
    assert (euros["opening"]["amount"], euros["closing"]["amount"]) == ("0.00", "0.00")
    assert euros["fees"]["client_fee"]["amount"] == "3.00"


def test_an_extract_is_the_partys_own(api: Api, deal: Deal) -> None:
    """Another party's history and extract are not there; the platform sees all."""
    for path in ("transactions", "extracts/2026-03"):
        address = f"/v1/parties/{deal.payee_id}/{path}"
        assert deal.client.get(address).status == 404
        assert api.get(address).status == 200
    unknown = "/v1/parties/00000000-0000-7000-8000-000000000000"
    assert api.get(f"{unknown}/extracts/2026-03").status == 404
    assert api.get(f"{unknown}/transactions").status == 404


def test_csv_and_pdf_say_the_same(deal: Deal) -> None:
    """The lines of the CSV sum to the closing balance, and the PDF names it."""
    path = f"/v1/parties/{deal.payee_id}/extracts/2026-03"
    table = fetch(deal.payee, path, format="csv")
    paper = fetch(deal.payee, path, format="pdf")

    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert [row["row"] for row in rows].count("line") == 3
    closing = [row for row in rows if row["row"] == "closing"]
    assert [(row["account"], row["balance"]) for row in closing] == [
        ("earned_pending", "0.00"),
        ("earned_available", "90.00"),
    ]
    assert paper.headers["content-type"] == "application/pdf"
    words = " ".join(page.extract_text() for page in PdfReader(io.BytesIO(paper.content)).pages)
    assert "Closing balance" in words
    assert "90.00" in words


@pytest.mark.parametrize("month", ["2026-13", "2026-1", "march", "0000-01"])
def test_a_bad_month_is_refused(deal: Deal, month: str) -> None:
    """One clear refusal."""
    found = deal.payee.get(f"/v1/parties/{deal.payee_id}/extracts/{month}")

    assert (found.status, found.code) == (422, "extract.bad_month")


def test_a_filter_by_kind_and_currency(deal: Deal) -> None:
    """Only lines of the sort and currency; a sort that there is none of is refused."""
    path = f"/v1/parties/{deal.payee_id}/transactions"

    assert len(deal.payee.get(path, kind="available").body["items"]) == 2
    assert deal.payee.get(path, currency="USD").body["items"] == []
    assert deal.payee.get(path, kind="gift").status == 422
    later = deal.payee.get(path, effective_from="2026-04-01T00:00:00Z").body
    assert later["items"] == []
