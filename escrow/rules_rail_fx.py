"""A payment in another currency has come: exchanged at its quote, it pays for the slot (P35).

The payment itself is credited, as money is that a client has with us; what pays for the slot is a
payment from his wallet, in the contract's currency. It goes back to the card at the day's rate
(`rules_refund_fx`); and a bank that takes the card payment back takes it from us.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from commissions.model_fx import ConversionKind, Quote
from escrow.machine import FUNDINGS, Trigger
from escrow.machine_slot import SLOTS
from escrow.model import Funding, FundingState, Method, Plan, Slot, SlotState
from escrow.movements_fx import p35_fund
from escrow.rules import Deal, clocks, roles, slot_step, step
from escrow.rules_deal import event, slot_facts
from escrow.rules_funding import (
    REFUNDED_AT,
    Payment,
    filled,
    fund_timer,
    funded_event,
    funding_facts,
    moved_on,
)
from escrow.rules_fx import conversion_at
from kernel.commands import Command
from kernel.errors import Broken
from rails.model import RailResult

EXCHANGED = "exchanged"
"""Code of a credited payment whose money was exchanged and has paid for its slot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard(Command):
    """A rail's result, as the command that it is to a funding."""

    result: RailResult


def captured(funding: Funding, state: FundingState, result: RailResult) -> Funding:
    """The funding as the rail says that it came."""
    return moved_on(
        funding,
        state=state,
        captured_minor=result.amount_minor,
        rail_fee_minor=result.fee_minor,
        rail_ref=result.rail_ref,
        code=result.code,
    )


def convert_in(payment: Payment, command: Heard, new_id: UUID, at: datetime) -> Plan:
    """P35: received in one currency, held in another, with the client's fee; `new_id` is free."""
    funding, contract, result = payment.funding, payment.contract, command.result
    slot, quote = payment.slot, payment.quote
    if slot is None or quote is None:
        raise Broken("a payment at a quote lacks slot or quote", funding_id=str(funding.id))
    row, _ = step(FUNDINGS, funding.state, Trigger.ARRIVE_LATE, roles(command.actor, contract))
    received = replace(captured(funding, FundingState(row.to), result), code=EXCHANGED)
    paid = _paid(payment, slot, quote, new_id, at)
    deal = Deal(slot, contract)
    slot_row, _ = slot_step(SLOTS, deal, Trigger.FUND, command, at)
    after, lot = filled(slot, paid, SlotState(slot_row.to), is_cleared=True)
    after = replace(after, active_at=max(after.active_at, at))
    entries = p35_fund(
        slot_id=slot.id,
        rail_account=funding.rail_account,
        sold=funding.currency,
        bought=slot.currency,
        received_minor=result.amount_minor,
        rail_fee_minor=result.fee_minor,
        amount_minor=paid.amount_minor,
        client_fee_minor=paid.client_fee_minor,
    )
    told = event(
        command,
        at,
        kind="funding.exchanged",
        subject=f"funding:{funding.id}",
        detail={"quote_id": str(quote.id), "paid_by": str(paid.id), **REFUNDED_AT},
    )
    return Plan(
        drafts=(funded_event(paid, after, entries, command, at), told),
        facts=slot_facts(after, **funding_facts(received, is_news=True)),
        moved_slots=((slot, after),),
        fundings=(paid,),
        moved_fundings=((funding, received),),
        lots=(lot,),
        conversions=(
            conversion_at(
                quote,
                at,
                conversion_id=new_id,
                kind=ConversionKind.FUNDING,
                subject=f"funding:{funding.id}",
            ),
        ),
        alarms=clocks(slot_row, after, contract, at).alarms,
        cancelled=(fund_timer(funding),),
    )


def _paid(payment: Payment, slot: Slot, quote: Quote, new_id: UUID, at: datetime) -> Funding:
    """What pays for the slot: what was bought, of which all above the price is the client's fee."""
    return replace(
        payment.funding,
        id=new_id,
        method=Method.WALLET,
        rail_account="",
        currency=slot.currency,
        amount_minor=slot.unpaid_minor,
        client_fee_minor=quote.bought_minor - slot.unpaid_minor,
        captured_minor=quote.bought_minor,
        state=FundingState.SUCCEEDED,
        version=1,
        created_at=at,
        method_token="",
        quote_id=None,
    )
