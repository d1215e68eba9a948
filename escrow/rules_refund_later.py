"""Decisions that send released money back to the client: by the payee, or with his agreement."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from escrow.machine import REFUNDS, Trigger
from escrow.machine_slot import SLOTS
from escrow.maths import Part, remaining
from escrow.model import Funding, Lot, Method, Plan, Refund, RefundState, Role, Slot, SlotState
from escrow.model_chargeback import RefundLater
from escrow.model_claim import Claim, ClaimCause, ClaimRules
from escrow.model_price import Returned
from escrow.movements_chargeback import p17_refund_released
from escrow.refusals import AmountOutOfRange, ReasonRequired
from escrow.refusals_claim import PayeeShort
from escrow.refusals_hourly import RefundTooLate
from escrow.rules import Deal, check_text, slot_step, step, subject_of
from escrow.rules_claims import claim_draft, new_claim
from escrow.rules_deal import acted, event, slot_facts
from escrow.rules_payout import with_tax_of
from escrow.rules_price import give_back
from escrow.rules_rails import way_back
from escrow.rules_refund import NewId, ask_of, given, gone
from kernel.money import to_json
from ledger.model import Draft

LONGEST_AGREEMENT: Final = 500
LATEST: Final = timedelta(days=180)


@dataclass(frozen=True, slots=True)
class Purse:
    """What the payee may withdraw in the slot's currency, and how the platform acts there."""

    available_minor: int
    rules: ClaimRules


@dataclass(frozen=True, slots=True)
class Shares:
    """Who pays a refund of released money: the payee, the platform for him, we our commission."""

    payee_minor: int
    fronted_minor: int
    returned: Returned


def refund_later(
    deal: Deal,
    fundings: Mapping[UUID, Funding],
    purse: Purse,
    command: RefundLater,
    at: datetime,
    new_id: NewId,
) -> Plan:
    """P17: released money goes back, newest lot first, each part by the way it came.

    The client's fee was earned by the release and stays. Refuses besides the slot's guards
    `escrow.amount_out_of_range`, `escrow.reason_required` to an operator without the payee's
    agreement, and `claim.payee_short`.
    """
    row, role = slot_step(SLOTS, deal, Trigger.REFUND_LATER, command, at)
    _check_time(deal.slot, role, at)
    slot, amount = deal.slot, command.amount_minor
    most = slot.kept_minor - slot.contested_minor
    if not 0 < amount <= most:
        raise AmountOutOfRange(amount_minor=amount, lowest=1, highest=most)
    check_text(command.agreement_ref, field="agreement_ref", longest=LONGEST_AGREEMENT)
    if role is Role.OPERATOR and not command.agreement_ref.strip():
        raise ReasonRequired(slot_id=str(slot.id), field="agreement_ref")
    shares = shares_of(deal, purse, amount)
    parts = take_released(slot, deal.lots, amount)
    refunds = tuple(refunds_of(deal, fundings, parts, role, at, new_id))
    after = acted(slot, at, state=SlotState(row.to), returned_minor=slot.returned_minor + amount)
    claims = _claims(deal, shares, role, at, new_id)
    return Plan(
        drafts=(
            _draft(deal, refunds, shares, command, at),
            *(claim_draft(each, command, at) for each in claims),
        ),
        facts=slot_facts(after, **_facts(refunds, shares, amount, slot.currency)),
        moved_slots=((slot, after),),
        billed=tuple((deal.pricing.price.pair, line) for line in shares.returned.lines),
        refunds=refunds,
        moved_lots=tuple((part.lot, gone(part)) for part in parts),
        moved_fundings=tuple(
            (fundings[each.funding_id], given(fundings[each.funding_id], each)) for each in refunds
        ),
        claims=claims,
        asks=tuple(
            ask_of(each, fundings[each.funding_id])
            for each in refunds
            if each.method is not Method.WALLET
        ),
    )


def _check_time(slot: Slot, role: Role, at: datetime) -> None:
    """The payee himself gives back what a week or a period paid him for half a year.

    It counts from the end of the week's review; an operator with his agreement may later, too.
    """
    is_owned = slot.term_id != slot.id
    if is_owned and role is Role.PAYEE and slot.due_at and at > slot.due_at + LATEST:
        raise RefundTooLate(slot_id=str(slot.id), until=(slot.due_at + LATEST).isoformat())


def shares_of(deal: Deal, purse: Purse, amount_minor: int) -> Shares:
    """Who pays; refuses `claim.payee_short` where the platform fronts nothing.

    Our commission comes back with its tax, by each payment's own function, newest first: what we
    keep is always the commission on what the payee keeps, to the minor unit.
    """
    returned = give_back(deal.pricing.price, amount_minor)
    needed = amount_minor - returned.ours_minor
    short = max(0, needed - purse.available_minor)
    if short and not purse.rules.fronts_refunds:
        raise PayeeShort(
            slot_id=str(deal.slot.id),
            needed_minor=needed,
            available_minor=purse.available_minor,
        )
    return Shares(needed - short, short, returned)


def take_released(slot: Slot, lots: tuple[Lot, ...], amount_minor: int) -> list[Part]:
    """The lots whose released money comes back (1 to what the payee kept), newest first.

    The newest lots hold what the slot holds; what else is left of them was released.
    """
    assert 0 < amount_minor <= slot.kept_minor
    taken = []
    for lot, held, _ in remaining(slot, lots):
        amount = min(amount_minor, lot.amount_minor - lot.gone_minor - held)
        if amount:
            amount_minor -= amount
            taken.append(Part(lot, amount, 0))
    assert not amount_minor
    return taken


def refunds_of(
    deal: Deal,
    fundings: Mapping[UUID, Funding],
    parts: list[Part],
    role: Role,
    at: datetime,
    new_id: NewId,
) -> list[Refund]:
    """One refund for each funding that gives back what was released, with its machine's row."""
    sums: dict[UUID, int] = defaultdict(int)
    for part in parts:
        sums[part.lot.funding_id] += part.amount_minor
    found = []
    for funding_id, amount in sums.items():
        funding = fundings[funding_id]
        method = way_back(funding, amount, at)
        trigger = Trigger.CREDIT if method is Method.WALLET else Trigger.CREATE
        row, _ = step(REFUNDS, None, trigger, (role,))
        found.append(
            Refund(
                new_id(),
                deal.slot.id,
                funding_id,
                method,
                "" if method is Method.WALLET else funding.rail_account,
                deal.contract.client_id,
                deal.slot.currency,
                amount,
                0,
                RefundState(row.to),
                1,
                at,
            )
        )
    return found


def _claims(
    deal: Deal, shares: Shares, role: Role, at: datetime, new_id: NewId
) -> tuple[Claim, ...]:
    if not shares.fronted_minor:
        return ()
    return (
        new_claim(
            claim_id=new_id(),
            payee_id=deal.contract.payee_id,
            currency=deal.slot.currency,
            cause=ClaimCause.REFUND,
            subject=subject_of(deal.slot),
            amount_minor=shares.fronted_minor,
            role=role,
            at=at,
        ),
    )


def _draft(
    deal: Deal, refunds: tuple[Refund, ...], shares: Shares, command: RefundLater, at: datetime
) -> Draft:
    slot, contract = deal.slot, deal.contract
    wallet = sum(each.total_minor for each in refunds if each.method is Method.WALLET)
    entries = p17_refund_released(
        payee_id=contract.payee_id,
        client_id=contract.client_id,
        currency=slot.currency,
        refunds=tuple(
            (each.id, each.total_minor) for each in refunds if each.method is not Method.WALLET
        ),
        to_wallet_minor=wallet,
        commission_minor=shares.returned.ours_minor,
        fronted_minor=shares.fronted_minor,
    )
    detail = {
        "agreement_ref": command.agreement_ref,
        "refunds": [
            {"refund_id": str(each.id), "funding_id": str(each.funding_id), "method": each.method}
            for each in refunds
        ],
    }
    return event(
        command,
        at,
        kind="slot.refunded_later",
        subject=subject_of(slot),
        entries=with_tax_of(entries, slot.currency, shares.returned.lines),
        detail=detail,
    )


def _facts(
    refunds: tuple[Refund, ...], shares: Shares, amount_minor: int, currency: str
) -> dict[str, object]:
    return {
        "refund_ids": [str(each.id) for each in refunds],
        "refunded": to_json(amount_minor, currency),
        "fee_returned": to_json(0, currency),
        "payee_pays": to_json(shares.payee_minor, currency),
        "platform_fronts": to_json(shares.fronted_minor, currency),
        "commission_returned": to_json(shares.returned.commission_minor, currency),
        "tax_returned": to_json(sum(shares.returned.tax_minor.values()), currency),
    }
