"""Refunds after release and claims over HTTP."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine

from engine.api.doors import DOORS
from escrow.model import Role
from escrow.model_claim import Claim, ClaimCause
from escrow.movements_chargeback import p17_refund_released
from escrow.rules_claims import new_claim
from escrow.store_chargeback import add_claims
from kernel.database import transaction
from kernel.ids import new_id
from kernel.principals import SYSTEM
from ledger.model import Draft
from ledger.service import post
from tests.engine.api.conftest import START, Api, make_party
from tests.fixtures.databases import TENANT


def eur(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "EUR"}


@pytest.fixture
def claim(api: Api, api_engine: Engine) -> Claim:
    """A payee owes 40.00 EUR that the platform gave back to a client for him."""
    payee_id, client_id = UUID(make_party(api, "freelancer")), UUID(make_party(api, "client"))
    owed = new_claim(
        claim_id=new_id(),
        payee_id=payee_id,
        currency="EUR",
        cause=ClaimCause.REFUND,
        subject=f"slot:{new_id()}",
        amount_minor=4_000,
        role=Role.PAYEE,
        at=START,
    )
    entries = p17_refund_released(
        payee_id=payee_id,
        client_id=client_id,
        currency="EUR",
        refunds=(),
        to_wallet_minor=4_000,
        commission_minor=0,
        fronted_minor=4_000,
    )
    with transaction(api_engine, TENANT) as connection:
        post(connection, [Draft("slot.refunded_later", "", SYSTEM, START, entries)])
        add_claims(connection, [owed])
    return owed


def test_claims_are_listed_and_shown(api: Api, claim: Claim) -> None:
    """An operator sees what is owed, of what it came, and what remains."""
    shown: dict[str, Any] = api.get(f"/v1/claims/{claim.id}").body

    assert shown["remaining"] == eur("40.00")
    assert shown["subject"] == claim.subject
    listed = api.get("/v1/claims", state="open").body["items"]
    assert str(claim.id) in [each["claim_id"] for each in listed]
    assert api.get("/v1/claims", state="gone").status == 422
    assert api.get(f"/v1/claims/{new_id()}").status == 404


def test_a_key_writes_nothing_off(api: Api, claim: Claim) -> None:
    """Write-offs take people; a key is refused and an unknown claim is not found."""
    refused = api.post(f"/v1/claims/{claim.id}/write_offs", {"reason": "gone"})

    assert (refused.status, refused.code) == (403, "claim.in_person_only")
    assert api.post(f"/v1/claims/{new_id()}/write_offs", {"reason": "x"}).status == 404
    approved = api.post(f"/v1/claims/{claim.id}/approve_write_off", {})
    assert (approved.status, approved.code) == (403, "claim.in_person_only")
    assert api.get(f"/v1/claims/{claim.id}").body["remaining"] == eur("40.00")


def test_the_rules_take_a_person_too(api: Api) -> None:
    """A program does not decide what the platform fronts."""
    body = {"currency": "EUR", "fronts_refunds": True, "recovery_bps": 2_500}

    assert api.post("/v1/claim_rules", body).code == "claim.in_person_only"
    assert api.post("/v1/claim_rules", {**body, "recovery_bps": 10_001}).status == 422


def test_an_unknown_slot_sends_nothing_back(api: Api) -> None:
    """The slot must be there, and the amount an amount."""
    path = f"/v1/slots/{new_id()}/refund_later"

    assert api.post(path, {"amount": eur("1.00")}).status == 404
    assert api.post(path, {"amount": 1}).status == 422
    assert "escrow.refund_later" in DOORS
