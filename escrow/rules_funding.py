"""Decisions on money coming in: pay for a slot or a tip, and what a rail says became of it."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from commissions.model_fx import Quote
from escrow.commands import Fund, FundingCommand
from escrow.machine import FUNDINGS, Timer, Trigger
from escrow.machine_slot import SLOTS
from escrow.model import (
    Alarm,
    Ask,
    Contract,
    Funding,
    FundingState,
    Lot,
    Method,
    Plan,
    Purpose,
    Slot,
    SlotState,
)
from escrow.model_price import Pricing
from escrow.movements import (
    p05_fund_from_wallet,
    p06_credit_wallet,
)
from escrow.refusals import Held
from escrow.rules import (
    Deal,
    check_text,
    clocks,
    roles,
    slot_step,
    step,
    subject_of,
)
from escrow.rules_deal import acted, event, moved, slot_facts
from escrow.rules_fx import at_quote
from escrow.rules_price import client_fee_minor
from escrow.rules_rails import check_rail_account
from kernel.commands import Command
from kernel.money import to_json
from ledger.entries import Entries
from ledger.model import Draft
from rails.capabilities import check_amount

INTERACTIVE: Final = timedelta(minutes=15)
BANK_DAYS: Final = 5
LONGEST_TOKEN: Final = 255
NEEDS_ACTION: Final = "requires_action"
"""Code of a pending result that waits for the client himself (3-D Secure, a redirect)."""

GONE_FUNDING: Final = (FundingState.FAILED, FundingState.CANCELED, FundingState.EXPIRED)


@dataclass(frozen=True, slots=True)
class Payment:
    """A funding with its contract and, unless it is a tip, its slot; as locked."""

    funding: Funding
    contract: Contract
    slot: Slot | None
    held_by: tuple[str, ...] = ()
    pricing: Pricing = field(default_factory=Pricing)
    quote: Quote | None = None


REFUNDED_AT: Final = MappingProxyType({"refunded_at": "rate_of_the_day_borne_by_client"})
"""What a payment at a quote is told: what goes back of it is exchanged again (case 36)."""


def funding_facts(funding: Funding, **more: object) -> dict[str, object]:
    """What an answer says of a funding."""
    return {
        "funding_id": str(funding.id),
        "funding_state": funding.state.value,
        "funding_version": funding.version,
        "client_pays": to_json(funding.asked_minor, funding.currency),
        **(REFUNDED_AT if funding.quote_id else {}),
        **more,
    }


def fund(deal: Deal, command: Fund, at: datetime, *, quote: Quote | None = None) -> Plan:
    """The client pays for the slot, or for what an amendment added to it (rows 3 and 20).

    With a quote he pays for a new slot by card, in the currency that the quote sells.
    """
    check_text(command.method_token, field="method_token", longest=LONGEST_TOKEN)
    check_rail_account(command.rail_account)
    is_new = deal.slot.state is SlotState.AWAITING_FUNDING
    slot = deal.slot
    funding = _asked(deal, command, at)
    if command.quote_id is not None:
        client_id = deal.contract.client_id
        funding = at_quote(funding, quote, at, client_id=client_id, quote_id=command.quote_id)
    if command.method is Method.WALLET:
        trigger = Trigger.FUND_FROM_WALLET if is_new else Trigger.TOP_UP_FROM_WALLET
        return _fund_from_wallet(deal, funding, trigger, command, at)
    trigger = Trigger.START_FUNDING if is_new else Trigger.START_TOP_UP
    row, _ = slot_step(SLOTS, deal, trigger, command, at)
    check_amount(funding.rail_account, funding.asked_minor, currency=funding.currency)
    after = acted(slot, at, state=SlotState(row.to))
    kind = "slot.funding_started" if is_new else "slot.top_up_started"
    detail = {"funding_id": str(funding.id)}
    return Plan(
        drafts=(
            event(command, at, kind=kind, subject=subject_of(slot), detail=detail),
            created(funding, command, at),
        ),
        facts=slot_facts(after, **funding_facts(funding)),
        moved_slots=((slot, after),),
        fundings=(funding,),
        alarms=(fund_alarm(funding, at),),
        asks=(ask_of(funding),),
    )


def _asked(deal: Deal, command: Fund, at: datetime) -> Funding:
    """The payment of all that is unpaid of a slot, with the client's fee on it."""
    slot = deal.slot
    is_new = slot.state is SlotState.AWAITING_FUNDING
    return Funding(
        command.funding_id,
        slot.contract_id,
        slot.id,
        Purpose.SLOT if is_new else Purpose.TOP_UP,
        command.method,
        command.rail_account,
        slot.currency,
        slot.unpaid_minor,
        client_fee_minor(
            deal.pricing.client_tariff,
            slot.unpaid_minor,
            before_minor=slot.amount_minor - slot.unpaid_minor,
        ),
        FundingState.CREATED,
        1,
        at,
        method_token=command.method_token,
    )


def cancel_funding(payment: Payment, command: FundingCommand, at: datetime) -> Plan:
    """The client gives up a payment; money that still comes goes to his wallet."""
    return end_funding(payment, Trigger.CANCEL, command, at, code="")


def expire_funding(payment: Payment, command: FundingCommand, at: datetime) -> Plan:
    """A payment that nobody completed in its time."""
    return end_funding(payment, Trigger.EXPIRE, command, at, code="")


def credit_receipt(payment: Payment, command: FundingCommand, at: datetime) -> Plan:
    """An operator matched money in suspense to its client: it goes to his wallet (P06)."""
    funding, contract = payment.funding, payment.contract
    row, _ = step(FUNDINGS, funding.state, Trigger.CREDIT, roles(command.actor, contract))
    if payment.held_by:
        raise Held(funding_id=str(funding.id), holds=list(payment.held_by))
    after = moved_on(funding, state=FundingState(row.to))
    entries = p06_credit_wallet(
        client_id=contract.client_id,
        currency=funding.currency,
        amount_minor=funding.captured_minor,
    )
    subject = f"funding:{funding.id}"
    return Plan(
        drafts=(event(command, at, kind="funding.credited", subject=subject, entries=entries),),
        facts=funding_facts(after),
        moved_fundings=((funding, after),),
    )


def moved_on(funding: Funding, **changes: object) -> Funding:
    """The funding one version on."""
    return replace(funding, version=funding.version + 1, **changes)  # type: ignore[arg-type]


def _fund_from_wallet(
    deal: Deal, funding: Funding, trigger: Trigger, command: Fund, at: datetime
) -> Plan:
    row, _ = slot_step(SLOTS, deal, trigger, command, at)
    paid = replace(
        funding, state=FundingState.SUCCEEDED, captured_minor=funding.asked_minor, rail_account=""
    )
    after, lot = filled(deal.slot, paid, SlotState(row.to), is_cleared=True)
    after = replace(after, active_at=at, notices=0)
    entries = p05_fund_from_wallet(
        slot_id=deal.slot.id,
        client_id=deal.contract.client_id,
        currency=paid.currency,
        amount_minor=paid.amount_minor,
        client_fee_minor=paid.client_fee_minor,
    )
    set_to, cancelled, _ = clocks(row, after, deal.contract, at)
    return Plan(
        drafts=(funded_event(paid, after, entries, command, at),),
        facts=slot_facts(after, **funding_facts(paid)),
        moved_slots=((deal.slot, after),),
        fundings=(paid,),
        lots=(lot,),
        alarms=set_to,
        cancelled=cancelled,
    )


def filled(slot: Slot, funding: Funding, state: SlotState, *, is_cleared: bool) -> tuple[Slot, Lot]:
    """The slot with a funding's money in it, and the lot that says whose it is."""
    amount, fee = funding.amount_minor, funding.client_fee_minor
    number = slot.lot_count + 1
    after = moved(
        slot,
        state=state,
        funded_minor=slot.funded_minor + amount,
        held_minor=slot.held_minor + amount,
        uncleared_minor=slot.uncleared_minor + (0 if is_cleared else amount),
        fee_deferred_minor=slot.fee_deferred_minor + fee,
        lot_count=number,
    )
    return after, Lot(slot.id, number, funding.id, amount, fee, slot.released_minor)


def end_funding(
    payment: Payment, trigger: Trigger, command: Command, at: datetime, *, code: str
) -> Plan:
    """The payment came to nothing: the slot awaits funding again."""
    funding = payment.funding
    mine = roles(command.actor, payment.contract)
    row, _ = step(FUNDINGS, funding.state, trigger, mine, funding_id=str(funding.id))
    after = moved_on(funding, state=FundingState(row.to), code=code)
    slots = freed(payment)
    detail = {"code": code} if code else {}
    kind = f"funding.{after.state.value}"
    return Plan(
        drafts=(
            event(command, at, kind=kind, subject=f"funding:{funding.id}", detail=detail),
            *(
                event(command, at, kind="slot.funding_ended", subject=subject_of(new))
                for _, new in slots
            ),
        ),
        facts=funding_facts(after, is_news=True, code=code),
        moved_slots=slots,
        moved_fundings=((funding, after),),
        cancelled=(fund_timer(funding),),
    )


def freed(payment: Payment) -> tuple[tuple[Slot, Slot], ...]:
    """The slot that waited for this payment awaits another; nothing for a top-up or a tip."""
    slot = payment.slot
    if slot is None or slot.state is not SlotState.FUNDING:
        return ()
    return ((slot, moved(slot, state=SlotState.AWAITING_FUNDING)),)


def created(funding: Funding, command: Command, at: datetime) -> Draft:
    """What is told of a payment that the client begins."""
    detail = {
        "purpose": funding.purpose.value,
        "method": funding.method.value,
        "amount_minor": funding.amount_minor,
        "client_fee_minor": funding.client_fee_minor,
        "currency": funding.currency,
        **(REFUNDED_AT if funding.quote_id else {}),
    }
    return event(
        command, at, kind="funding.created", subject=f"funding:{funding.id}", detail=detail
    )


def funded_event(
    paid: Funding, slot: Slot, entries: Entries, command: Command, at: datetime
) -> Draft:
    """What happened to the slot, with the entries of P01 or P05."""
    kind = "slot.funded" if paid.purpose is Purpose.SLOT else "slot.topped_up"
    detail = {
        "funding_id": str(paid.id),
        "funding_state": paid.state.value,
        "method": paid.method.value,
        "state": slot.state.value,
    }
    return event(command, at, kind=kind, subject=subject_of(slot), entries=entries, detail=detail)


def fund_timer(funding: Funding) -> tuple[str, str]:
    """(subject, kind) of the funding's clock."""
    kind = Timer.FUND_INTERACTIVE if funding.method is Method.CARD else Timer.FUND_BANK
    return f"funding:{funding.id}", kind


def fund_alarm(funding: Funding, at: datetime) -> Alarm:
    """When the payment expires if nobody completes it."""
    subject, kind = fund_timer(funding)
    due = at + INTERACTIVE if kind is Timer.FUND_INTERACTIVE else business_days_after(at, BANK_DAYS)
    return Alarm(subject, kind, due, 0)


def business_days_after(at: datetime, days: int) -> datetime:
    """The same time of day so many Mondays to Fridays later, in UTC; holidays are not known."""
    while days:
        at += timedelta(days=1)
        days -= at.weekday() < 5
    return at


def ask_of(funding: Funding) -> Ask:
    """What the rail is asked for."""
    return Ask(
        funding.id,
        "fund",
        f"funding:{funding.id}",
        funding.asked_minor,
        funding.currency,
        funding.method_token or funding.method.value,
        {"rail_account": funding.rail_account, "contract_id": str(funding.contract_id)},
    )
