"""Decisions that send money back to the client: given back, by silence, by a lower price."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from escrow.commands import SlotCommand
from escrow.machine import REFUNDS, Trigger
from escrow.machine_slot import SLOTS
from escrow.maths import Part, take_newest
from escrow.model import (
    Ask,
    Contract,
    Funding,
    Lot,
    Method,
    Plan,
    Refund,
    RefundState,
    Slot,
    SlotState,
)
from escrow.movements import (
    p14_refund,
    p15_refund_paid,
    p15_refund_returned,
    p16_refund_bounced,
)
from escrow.refusals import Held
from escrow.rules import Deal, clocks, roles, slot_step, step, subject_of
from escrow.rules_deal import acted, event, slot_facts
from escrow.rules_funding import moved_on
from escrow.rules_rail_fx import Heard
from escrow.rules_rails import way_back
from kernel.money import to_json
from ledger.entries import Entries
from rails.model import RailOutcome

NewId = Callable[[], UUID]


@dataclass(frozen=True, slots=True, kw_only=True)
class Back:
    """What a refund of a slot does besides moving the slot itself."""

    entries: Entries
    amount_minor: int
    fee_minor: int
    refunds: tuple[Refund, ...]
    moved_lots: tuple[tuple[Lot, Lot], ...]
    moved_fundings: tuple[tuple[Funding, Funding], ...]
    asks: tuple[Ask, ...]


def refund(
    deal: Deal,
    fundings: Mapping[UUID, Funding],
    trigger: Trigger,
    command: SlotCommand,
    at: datetime,
    new_id: NewId,
) -> Plan:
    """All that the slot holds goes back, with the fee if nothing was released (rows 10, 12, 18)."""
    row, _ = slot_step(SLOTS, deal, trigger, command, at)
    slot = deal.slot
    back = send_back(deal, fundings, slot.held_minor, at, new_id)
    after = acted(
        slot,
        at,
        state=SlotState(row.to),
        held_minor=0,
        refunded_minor=slot.refunded_minor + slot.held_minor,
        fee_deferred_minor=0,
    )
    assert back.fee_minor == slot.fee_deferred_minor
    set_to, cancelled, paused = clocks(row, after, deal.contract, at)
    detail = refund_detail(back, by=trigger.value)
    return Plan(
        drafts=(
            event(
                command,
                at,
                kind="slot.refunded",
                subject=subject_of(slot),
                entries=back.entries,
                detail=detail,
            ),
        ),
        facts=slot_facts(after, **refund_facts(back, slot.currency)),
        moved_slots=((slot, after),),
        refunds=back.refunds,
        moved_lots=back.moved_lots,
        moved_fundings=back.moved_fundings,
        asks=back.asks,
        alarms=set_to,
        cancelled=cancelled,
        paused=paused,
    )


def send_back(
    deal: Deal, fundings: Mapping[UUID, Funding], amount_minor: int, at: datetime, new_id: NewId
) -> Back:
    """P14 for a part of a slot, or for all of it: newest lot first, each by the way it came."""
    parts = take_newest(deal.slot, deal.lots, amount_minor)
    return back_of(deal, fundings, parts, at, new_id)


def back_of(
    deal: Deal, fundings: Mapping[UUID, Funding], parts: Sequence[Part], at: datetime, new_id: NewId
) -> Back:
    """P14 for these parts of lots, each by the way it came."""
    slot, contract = deal.slot, deal.contract
    per_funding: dict[UUID, list[Part]] = defaultdict(list)
    for part in parts:
        per_funding[part.lot.funding_id].append(part)
    refunds = tuple(
        _new_refund(slot, contract, fundings[funding_id], some, at, new_id)
        for funding_id, some in per_funding.items()
    )
    by_rail = [each for each in refunds if each.method is not Method.WALLET]
    to_wallet = sum(each.total_minor for each in refunds if each.method is Method.WALLET)
    fee = sum(each.fee_minor for each in refunds)
    return Back(
        entries=p14_refund(
            slot_id=slot.id,
            client_id=contract.client_id,
            currency=slot.currency,
            refunds=tuple((each.id, each.total_minor) for each in by_rail),
            to_wallet_minor=to_wallet,
            fee_minor=fee,
        ),
        amount_minor=sum(part.amount_minor for part in parts),
        fee_minor=fee,
        refunds=refunds,
        moved_lots=tuple((part.lot, gone(part)) for part in parts),
        moved_fundings=tuple(
            (fundings[each.funding_id], given(fundings[each.funding_id], each)) for each in refunds
        ),
        asks=tuple(ask_of(each, fundings[each.funding_id]) for each in by_rail),
    )


def gone(part: Part) -> Lot:
    """The lot without a part that was refunded or rolled away."""
    lot = part.lot
    return replace(
        lot,
        gone_minor=lot.gone_minor + part.amount_minor,
        fee_gone_minor=lot.fee_gone_minor + part.fee_minor,
    )


def refund_facts(back: Back, currency: str) -> dict[str, object]:
    """What an answer says of a refund; the client gets `refunded` and `fee_returned`."""
    return {
        "refund_ids": [str(each.id) for each in back.refunds],
        "refunded": to_json(back.amount_minor, currency),
        "fee_returned": to_json(back.fee_minor, currency),
    }


def rows_back(back: Back | None) -> dict[str, Any]:
    """The rows of money on its way back as a `Plan` takes them; none where nothing goes back."""
    if back is None:
        return {}
    return {
        "refunds": back.refunds,
        "moved_lots": back.moved_lots,
        "moved_fundings": back.moved_fundings,
        "asks": back.asks,
    }


def refund_detail(back: Back, *, by: str) -> dict[str, object]:
    """What the event of a refund says besides its lines."""
    return {
        "by": by,
        "refunds": [
            {"refund_id": str(each.id), "funding_id": str(each.funding_id), "method": each.method}
            for each in back.refunds
        ],
    }


def _new_refund(
    slot: Slot,
    contract: Contract,
    funding: Funding,
    parts: list[Part],
    at: datetime,
    new_id: NewId,
) -> Refund:
    amount_minor = sum(part.amount_minor for part in parts)
    fee_minor = sum(part.fee_minor for part in parts)
    method = way_back(funding, amount_minor + fee_minor, at)
    is_wallet = method is Method.WALLET
    row, _ = step(REFUNDS, None, Trigger.CREDIT if is_wallet else Trigger.CREATE, tuple(REFUNDERS))
    return Refund(
        new_id(),
        slot.id,
        funding.id,
        method,
        "" if is_wallet else funding.rail_account,
        contract.client_id,
        slot.currency,
        amount_minor,
        fee_minor,
        RefundState(row.to),
        1,
        at,
    )


REFUNDERS: Final = REFUNDS[None, Trigger.CREATE].who
"""Whose step on a slot may bring a refund about; the slot's own row has asked already."""


def given(funding: Funding, back: Refund) -> Funding:
    """The funding with this much less to give back; the database holds the bound as well.

    Refuses `escrow.held` while the client's bank looks at the payment: he gets it back once.
    """
    if funding.in_dispute:
        raise Held(funding_id=str(funding.id), holds=["funding:chargeback"])
    refunded = funding.refunded_minor + back.total_minor
    assert refunded + funding.charged_back_minor <= funding.captured_minor
    return moved_on(funding, refunded_minor=refunded)


def ask_of(back: Refund, funding: Funding) -> Ask:
    """The rail gives back to the very means of payment that the money came by."""
    return Ask(
        back.id,
        "refund",
        f"refund:{back.id}",
        back.total_minor,
        back.currency,
        funding.method_token or funding.method.value,
        {
            "funding_id": str(back.funding_id),
            "funding_ref": funding.rail_ref,
            "rail_account": back.rail_account,
        },
    )


_TRIGGERS: Final = MappingProxyType(
    {
        RailOutcome.DONE: Trigger.SUCCEED,
        RailOutcome.PENDING: Trigger.PEND,
        RailOutcome.UNKNOWN: Trigger.LOSE_SIGHT,
        RailOutcome.REFUSED: Trigger.FAIL,
    }
)


def hear_refund(back: Refund, contract: Contract, command: Heard, at: datetime) -> Plan:
    """What a rail said of a refund: paid out (P15), impossible (P16), or came back (both)."""
    result = command.result
    trigger = _TRIGGERS[result.outcome]
    if trigger is Trigger.FAIL and back.state is RefundState.SUCCEEDED:
        trigger = Trigger.BOUNCE
    if (back.state, trigger) not in REFUNDS:
        return Plan(drafts=(), facts=_facts(back, is_news=False))
    row, _ = step(REFUNDS, back.state, trigger, roles(command.actor, contract))
    after = replace(
        back,
        state=RefundState(row.to),
        version=back.version + 1,
        rail_ref=result.rail_ref or back.rail_ref,
        code=result.code,
    )
    draft = event(
        command,
        at,
        kind=f"refund.{after.state.value}",
        subject=f"refund:{back.id}",
        entries=_entries(back, trigger, command),
        detail={"slot_id": str(back.slot_id), "code": result.code},
    )
    return Plan(drafts=(draft,), facts=_facts(after, is_news=True), moved_refunds=((back, after),))


def _entries(back: Refund, trigger: Trigger, command: Heard) -> Entries:
    total, currency = back.total_minor, back.currency
    bounced = p16_refund_bounced(
        refund_id=back.id, client_id=back.client_id, currency=currency, amount_minor=total
    )
    if trigger is Trigger.SUCCEED:
        return p15_refund_paid(
            refund_id=back.id,
            rail_account=back.rail_account,
            currency=currency,
            amount_minor=total,
            rail_fee_minor=command.result.fee_minor,
        )
    if trigger is Trigger.BOUNCE:
        returned = p15_refund_returned(
            refund_id=back.id,
            rail_account=back.rail_account,
            currency=currency,
            amount_minor=total,
        )
        return returned + bounced
    return bounced if trigger is Trigger.FAIL else ()


def _facts(back: Refund, *, is_news: bool) -> dict[str, object]:
    return {
        "refund_id": str(back.id),
        "state": back.state.value,
        "total": to_json(back.total_minor, back.currency),
        "is_news": is_news,
    }
