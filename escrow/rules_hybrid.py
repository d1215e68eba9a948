"""Decisions on term amendments: a term ends, or a retainer has another price, once both signed."""

from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from escrow.machine import Trigger
from escrow.machine_hybrid import TERM_AMENDMENTS
from escrow.model import Contract, ContractState, Plan, Slot, SlotState
from escrow.model_hybrid import (
    OfferState,
    Price,
    ProposeTermAmendment,
    Term,
    TermAction,
    TermAmendment,
    TermAmendmentCommand,
    TermKind,
)
from escrow.model_retainer import Period, PeriodState, Retainer, RetainerKind, RetainerState
from escrow.refusals import ContractNotRunning, OtherPartyMustSign, StaleVersion
from escrow.refusals_hybrid import AmendmentOpen, BadPrice, OnlyOfferer, TermOver
from escrow.rules import roles, step
from escrow.rules_deal import event, moved
from kernel.money import MAX_MINOR, to_json

_MOST_PIECES: Final = 10_000
_RUNNING: Final = frozenset({RetainerState.RUNNING, RetainerState.ENDING})


def amendment_facts(offer: TermAmendment, currency: str) -> dict[str, Any]:
    """What an answer says of a term amendment."""

    def money(minor: int | None) -> dict[str, str] | None:
        return None if minor is None else to_json(minor, currency)

    return {
        "amendment_id": str(offer.id),
        "contract_id": str(offer.contract_id),
        "term_id": str(offer.term_id),
        "action": offer.action.value,
        "proposed_by": offer.proposed_by.value,
        "state": offer.state.value,
        "version": offer.version,
        "amount": money(offer.amount_minor),
        "hourly_rate": money(offer.hourly_minor or None),
        "quota": offer.quota or None,
        "from_period": offer.from_no,
        "created_at": offer.created_at.isoformat(),
        "signed_at": offer.signed_at.isoformat() if offer.signed_at else None,
    }


def propose(
    contract: Contract,
    term: Term,
    retainer: Retainer | None,
    command: ProposeTermAmendment,
    at: datetime,
    *,
    is_open: bool,
) -> tuple[TermAmendment, Plan]:
    """One side offers; nothing changes until the other signs.

    `retainer` is the term's, with the price of its newest period. Refuses `term.amendment_open`,
    `term.bad_price`, `term.over`, `escrow.contract_not_running`.
    """
    row, role = step(TERM_AMENDMENTS, None, Trigger.PROPOSE, roles(command.actor, contract))
    if contract.state not in {ContractState.ACTIVE, ContractState.PAUSED}:
        raise ContractNotRunning(contract_id=str(contract.id), state=contract.state)
    if is_open:
        raise AmendmentOpen(term_id=str(term.id))
    price = command.price
    if price is not None:
        check_price(term, retainer, price)
    offer = TermAmendment(
        command.amendment_id,
        contract.id,
        term.id,
        TermAction.END if price is None else TermAction.CHANGE,
        role,
        OfferState(row.to),
        1,
        at,
        amount_minor=price.amount_minor if price else None,
        hourly_minor=price.hourly_minor if price else None,
        quota=price.quota if price else None,
    )
    return offer, _told(offer, contract, "term.amendment_proposed", command, at)


def check_price(term: Term, retainer: Retainer | None, price: Price) -> None:
    """Refuse a price that does not fit the kind of the retainer, or changes nothing.

    Refuses `term.over` for a retainer that nobody accepted, or that has ended.
    """
    if retainer is None or term.kind is not TermKind.RETAINER:
        raise BadPrice(why="only a retainer has a price to change")
    if retainer.state not in _RUNNING:
        raise TermOver(term_id=str(term.id), state=retainer.state)
    terms = retainer.terms
    is_hours = terms.kind is RetainerKind.HOURS_DRAWDOWN
    is_quota = terms.kind is RetainerKind.DELIVERABLE_QUOTA
    fits = (
        0 < price.amount_minor <= MAX_MINOR
        and (0 < price.hourly_minor <= MAX_MINOR if is_hours else not price.hourly_minor)
        and (0 < price.quota <= _MOST_PIECES if is_quota else not price.quota)
    )
    if not fits:
        raise BadPrice(why=f"a price of {terms.kind.value} is asked for")
    if price.amount_minor > MAX_MINOR - terms.roll_cap_minor:
        raise BadPrice(why="with what may roll into a period it is too much")
    if price == Price(terms.amount_minor, terms.hourly_minor, terms.quota):
        raise BadPrice(why="it is the present one")


def answer(
    offer: TermAmendment,
    contract: Contract,
    trigger: Trigger,
    command: TermAmendmentCommand,
    at: datetime,
) -> tuple[TermAmendment, Plan]:
    """The other side signs or rejects the offer, or its own side withdraws it.

    Refuses: `escrow.other_party_must_sign`, `term.only_offerer`, `escrow.stale_version`.
    """
    row, role = step(
        TERM_AMENDMENTS,
        offer.state,
        trigger,
        roles(command.actor, contract),
        amendment_id=str(offer.id),
    )
    if trigger is Trigger.WITHDRAW and role is not offer.proposed_by:
        raise OnlyOfferer(amendment_id=str(offer.id))
    if trigger is not Trigger.WITHDRAW and role is offer.proposed_by:
        raise OtherPartyMustSign(amendment_id=str(offer.id))
    if command.version not in {None, offer.version}:
        raise StaleVersion(amendment_id=str(offer.id), version=offer.version, given=command.version)
    after = replace(
        offer,
        state=OfferState(row.to),
        version=offer.version + 1,
        signed_at=at if trigger is Trigger.ACCEPT else None,
    )
    kind = f"term.amendment_{after.state.value}"
    return after, _told(after, contract, kind, command, at)


def change_price(
    offer: TermAmendment,
    plan: Plan,
    retainer: Retainer,
    last: Period,
    slot: Slot,
) -> tuple[TermAmendment, Plan]:
    """The new price counts from the next period that is not charged yet.

    `last` is the newest period of the retainer and `slot` its slot: if it is only scheduled, it is
    the next one.
    """
    if retainer.state not in _RUNNING:
        raise TermOver(term_id=str(retainer.id))
    waits = last.state is PeriodState.SCHEDULED and slot.state is SlotState.AWAITING_FUNDING
    after = replace(offer, from_no=last.number if waits else last.number + 1)
    assert offer.amount_minor is not None
    if waits:
        repriced = moved(slot, amount_minor=offer.amount_minor)
        plan = replace(plan, moved_slots=((slot, repriced),), led=(slot.id,))
    return after, replace(plan, facts={**plan.facts, "from_period": after.from_no})


def _told(
    offer: TermAmendment,
    contract: Contract,
    kind: str,
    command: ProposeTermAmendment | TermAmendmentCommand,
    at: datetime,
) -> Plan:
    facts = amendment_facts(offer, contract.currency)
    detail = {
        "amendment_id": str(offer.id),
        "action": offer.action.value,
        "amount_minor": offer.amount_minor,
        "hourly_minor": offer.hourly_minor,
        "quota": offer.quota,
    }
    subject = f"term:{offer.term_id}"
    draft = event(command, at, kind=kind, subject=subject, detail=detail)
    return Plan(drafts=(draft,), facts=facts)


def is_over(slot: Slot) -> bool:
    """Whether a milestone's slot is closed for good."""
    return slot.state in {SlotState.RELEASED, SlotState.REFUNDED, SlotState.CANCELLED}
