"""Invoices over HTTP: profiles, checks, documents as JSON and PDF, and the tax that is owed."""

import asyncio
import io
from typing import Any

import httpx
import pytest
from pypdf import PdfReader
from sqlalchemy import Engine

from engine.invoicing import issue_all
from kernel.database import Tenant
from tests.engine.api.conftest import Api, Deal, World, make_deal, make_key, make_party, pay

SUPPLIER = {
    "country": "IE",
    "name": "Platform Ltd",
    "address": "1 Quay",
    "tax_numbers": {"IE": "IE6433435F"},
}
BUYER: dict[str, Any] = {
    "evidence": [{"kind": "address", "country": "DE"}, {"kind": "bank", "country": "DE"}],
    "is_business": True,
    "tax_country": "DE",
    "name": "Ada Byron",
    "address": "1 Weg\nBerlin",
    "tax_number": "DE136695976",
}


def pdf_of(api: Api, number: str) -> httpx.Response:
    async def get() -> httpx.Response:
        transport = httpx.ASGITransport(api.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            headers = {"Authorization": f"Bearer {api.secret}"}
            if api.party:
                headers["Holdfast-Party"] = api.party
            return await client.get(f"/v1/invoices/{number}/pdf", headers=headers)

    return asyncio.run(get())


@pytest.fixture(scope="module")
def deal(api: Api, api_engine: Engine, world: World, tenant: Tenant) -> Deal:
    """A released milestone of 1,000.00 at 10 %, taxed in Germany, and its documents."""
    assert api.post("/v1/tax/supplier", SUPPLIER).status == 201
    made = make_deal(api, "1000.00", commission_bps=1_000, client_fee_bps=300)
    assert api.post(f"/v1/parties/{made.payee_id}/tax_profile", BUYER).status == 201
    pay(made, world, made.slots[0])
    assert made.payee.post(f"/v1/slots/{made.slots[0]}/submit", {"message_ref": "m"}).status == 200
    assert made.client.post(f"/v1/slots/{made.slots[0]}/approve").status == 200
    issue_all(api_engine, tenant, rates=None)
    return made


def test_a_release_becomes_an_invoice_and_a_receipt(deal: Deal) -> None:
    """The payee's invoice for the commission with German tax; the client's receipt for his fee."""
    (invoice,) = deal.payee.get("/v1/invoices").body["items"]
    (receipt,) = deal.client.get("/v1/invoices").body["items"]

    assert invoice["kind"] == "invoice"
    assert invoice["contract_id"] == deal.contract_id
    assert (invoice["net"]["amount"], invoice["tax"]["amount"]) == ("100.00", "19.00")
    assert invoice["taxes"][0]["country"] == "DE"
    assert invoice["lines"][0]["gross"]["amount"] == "1000.00"
    assert invoice["buyer"]["name"] == "Ada Byron"
    assert receipt["kind"] == "receipt"
    assert receipt["total"]["amount"] == "30.00"


def test_a_party_sees_its_own_documents_alone(api: Api, deal: Deal) -> None:
    """Another's are not there: not in the list, not by number, not as PDF."""
    number = deal.payee.get("/v1/invoices").body["items"][0]["number"]
    stranger = api.as_party(make_party(api, "client"))

    assert deal.payee.get(f"/v1/invoices/{number}").status == 200
    for other in (deal.client, stranger):
        assert other.get(f"/v1/invoices/{number}").status == 404
        assert pdf_of(other, number).status_code == 404
        found = other.get("/v1/invoices", party_id=deal.payee_id).body["items"]
        assert found == []
        assert other.get("/v1/tax/vat").status == 404
        assert other.get("/v1/tax/supplier").status == 404


def test_documents_are_listed_by_series_kind_and_date(api: Api, deal: Deal) -> None:
    """Each filter, and pages in the order of issue."""
    assert deal.contract_id
    numbers = [each["number"] for each in api.get("/v1/invoices").body["items"]]

    def listed(**query: str) -> list[str]:
        return [each["number"] for each in api.get("/v1/invoices", **query).body["items"]]

    assert listed(series="INV2026") == [n for n in numbers if n.startswith("INV")]
    assert listed(kind="receipt") == [n for n in numbers if n.startswith("RCP")]
    assert listed(since="2026-03-03T00:00:00Z") == []
    assert listed(until="2026-03-03T00:00:00Z") == numbers
    page = api.get("/v1/invoices", limit=1).body
    assert [each["number"] for each in page["items"]] == numbers[:1]
    rest = api.get("/v1/invoices", cursor=page["next_cursor"]).body["items"]
    assert [each["number"] for each in rest] == numbers[1:]


def test_the_pdf_is_the_same_on_every_reading(deal: Deal) -> None:
    """application/pdf, byte for byte, with the amounts of the JSON."""
    number = deal.payee.get("/v1/invoices").body["items"][0]["number"]

    first, again = pdf_of(deal.payee, number), pdf_of(deal.payee, number)

    assert first.headers["content-type"] == "application/pdf"
    assert first.content == again.content
    text = PdfReader(io.BytesIO(first.content)).pages[0].extract_text()
    assert "EUR 119.00" in text
    assert number in text


def test_the_tax_owed_ties(api: Api, deal: Deal) -> None:
    """Fee lines, documents and ledger say the same of each country."""
    assert deal.contract_id
    found = api.get("/v1/tax/vat").body

    assert found["ties"]
    by_country = {row["country"]: row for row in found["rows"]}
    row = by_country["DE"]
    sides = [row[name]["amount"] for name in ("fees", "documents", "posted", "owed")]
    assert sides == ["19.00"] * 4
    assert row["waiting"] == 0
    assert api.get("/v1/tax/vat", since="2026-03-03T00:00:00Z").body["rows"] == []


@pytest.mark.usefixtures("deal")
def test_tax_is_credited_where_a_number_is_proved(api: Api) -> None:
    """Without a proof 409; with one of a time without fees there is nothing to credit."""
    party_id = make_party(api, "freelancer")
    where = f"/v1/parties/{party_id}"
    proof = {
        "source": "vies",
        "is_valid": True,
        "reference": "WAPI2",
        "checked_at": "2026-03-01T00:00:00Z",
        "valid_since": "2026-02-01T00:00:00Z",
    }

    unproved = api.post(f"{where}/tax_credits", {"reason": "proved"})
    assert api.post(f"{where}/tax_profile", BUYER).status == 201
    assert api.post(f"{where}/tax_checks", proof).status == 201
    nothing = api.post(f"{where}/tax_credits", {"reason": "proved"})

    assert (unproved.status, unproved.code) == (409, "tax.not_proved")
    assert (nothing.status, nothing.code) == (409, "tax.nothing_to_credit")


def test_a_check_is_stored_and_a_bad_number_refused(api: Api) -> None:
    """Each with its status and code."""
    party_id = make_party(api, "freelancer")
    where = f"/v1/parties/{party_id}"
    answer = {
        "source": "vies",
        "is_valid": True,
        "reference": "WAPI1",
        "checked_at": "2026-03-01T00:00:00Z",
    }

    none = api.post(f"{where}/tax_checks", answer)
    bad = api.post(f"{where}/tax_profile", {**BUYER, "tax_number": "DE136695977"})
    good = api.post(f"{where}/tax_profile", BUYER)
    checked = api.post(f"{where}/tax_checks", answer)
    own = api.as_party(party_id).post(f"{where}/tax_profile", BUYER)

    assert (none.status, none.code) == (409, "tax.no_number")
    assert (bad.status, bad.code) == (422, "tax.bad_number")
    assert good.status == 201
    assert (checked.status, checked.body["is_valid"]) == (201, True)
    assert (own.status, own.code) == (403, "tax.operator_only")


def test_a_key_needs_its_scopes(api: Api, api_engine: Engine) -> None:
    """Profiles need fees:write, the tax that is owed ledger:read."""
    narrow = Api(api.app, api_engine, make_key(api_engine, scopes=["contracts:read"]))

    assert narrow.post("/v1/tax/supplier", SUPPLIER).code == "auth.scope_missing"
    assert narrow.get("/v1/tax/vat").code == "auth.scope_missing"
    assert narrow.get("/v1/invoices").status == 200
    assert narrow.get("/v1/invoices/INV2026-999999").status == 404
