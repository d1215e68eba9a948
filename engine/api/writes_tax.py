"""The commands on the tax on fees: who supplies, who buys, what registers said, credits."""

from typing import Annotated, Any, Final

from pydantic import Field

from engine.api.access import Scope
from engine.api.answers_tax import BuyerActed, CheckActed, SupplierAnswer, TaxCredited
from engine.api.calls import Given, Subject, Write
from engine.api.models import ReasonBody, Request, Time
from escrow.rules_tax_credit import CreditTax
from kernel.commands import Command
from ledger.parties import UnknownParty
from tax.model_profile import Person, RegisterAnswer, SetBuyer, SetSupplier, StoreCheck
from tax.model_vat import Evidence, Service, WhenUnsure

PARTY: Final = Subject("party", "party_id", UnknownParty)

Country = Annotated[str, Field(pattern="^[A-Z]{2}$")]
Name = Annotated[str, Field(max_length=200)]
Address = Annotated[str, Field(max_length=1_000)]
Number = Annotated[str, Field(max_length=40)]


class SupplierBody(Request):
    """Who supplies. `in_force_from` null: from now."""

    country: Country
    name: Name
    address: Address
    tax_numbers: Annotated[dict[str, str], Field(max_length=60, default_factory=dict)]
    service: Service = Service.ELECTRONIC
    when_unsure: WhenUnsure = WhenUnsure.DOMESTIC
    check_days: Annotated[int, Field(ge=1, le=3_660)] = 90
    in_force_from: Time | None = None


class TaxEvidenceBody(Request):
    """One piece that says where a buyer is: an address, a bank's country, an IP address."""

    kind: Annotated[str, Field(min_length=1, max_length=40)]
    country: Country


class BuyerBody(Request):
    """What is known of a party. Name, address and number are stored sealed."""

    evidence: Annotated[tuple[TaxEvidenceBody, ...], Field(max_length=20)]
    is_business: bool = False
    tax_country: Country | None = None
    name: Name = ""
    address: Address = ""
    tax_number: Number = ""


class CheckBody(Request):
    """A register's answer. `valid_since`: from when the number was proved to be valid."""

    source: Annotated[str, Field(min_length=1, max_length=40)]
    is_valid: bool
    reference: Annotated[str, Field(max_length=200)] = ""
    checked_at: Time
    valid_since: Time | None = None


def _supplier(given: Given[SupplierBody]) -> Command:
    body = given.body
    return SetSupplier(
        actor=given.actor,
        country=body.country,
        name=body.name,
        address=body.address,
        tax_numbers=body.tax_numbers,
        service=body.service,
        when_unsure=body.when_unsure,
        check_days=body.check_days,
        in_force_from=body.in_force_from,
    )


def _buyer(given: Given[BuyerBody]) -> Command:
    body = given.body
    return SetBuyer(
        actor=given.actor,
        party_id=given.ids["party_id"],
        evidence=tuple(Evidence(each.kind, each.country) for each in body.evidence),
        is_business=body.is_business,
        tax_country=body.tax_country,
        person=Person(body.name, body.address, body.tax_number),
    )


def _check(given: Given[CheckBody]) -> Command:
    body = given.body
    answer = RegisterAnswer(
        body.source, body.is_valid, body.reference, body.checked_at, body.valid_since
    )
    return StoreCheck(actor=given.actor, party_id=given.ids["party_id"], answer=answer)


def _credit(given: Given[ReasonBody]) -> Command:
    return CreditTax(actor=given.actor, party_id=given.ids["party_id"], reason=given.body.reason)


TAX: Final[tuple[Write[Any], ...]] = (
    Write(
        path="/v1/tax/supplier",
        service="tax.set_supplier",
        scope=Scope.FEES_WRITE,
        body=SupplierBody,
        command=_supplier,
        answer=SupplierAnswer,
        summary="Set who supplies, for the tax on fees (an operator)",
        status=201,
    ),
    Write(
        path="/v1/parties/{party_id}/tax_profile",
        service="tax.set_buyer",
        scope=Scope.FEES_WRITE,
        body=BuyerBody,
        command=_buyer,
        answer=BuyerActed,
        summary="Set what is known of a party that pays fees (an operator)",
        status=201,
        subject=PARTY,
    ),
    Write(
        path="/v1/parties/{party_id}/tax_checks",
        service="tax.store_check",
        scope=Scope.FEES_WRITE,
        body=CheckBody,
        command=_check,
        answer=CheckActed,
        summary="Store what a register said of a party's tax number (an operator)",
        status=201,
        subject=PARTY,
    ),
    Write(
        path="/v1/parties/{party_id}/tax_credits",
        service="tax.credit",
        scope=Scope.FEES_WRITE,
        body=ReasonBody,
        command=_credit,
        answer=TaxCredited,
        summary="Give back the tax that a check with valid_since would have spared (an operator)",
        status=201,
        subject=PARTY,
    ),
)
"""Every command on the tax on fees."""
