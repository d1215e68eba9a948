"""What becomes of each lot of a period: rolled on, back to the wallet, or earned."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from escrow.maths import Part, remaining
from escrow.maths_retainer import Chunk, Span, carry, earned_by_time, taken_last
from escrow.model import Funding, Lot, Method, Refund, RefundState, Slot
from escrow.model_retainer import OnPause, RetainerKind, Unused
from escrow.rules_funding import moved_on
from escrow.rules_refund import NewId
from escrow.rules_retainer import Case
from escrow.rules_retainer_period import is_over


class Share(NamedTuple):
    """What becomes of what is left of one lot: rolled on, back to the client; the rest is earned.

    `expires_no` is the last period in which the rolled part may be used.
    """

    part: Part
    rolled_minor: int
    back_minor: int
    expires_no: int


def divided(case: Case) -> list[Share]:
    """Whose what is left of each lot is, oldest expiry first.

    Days of a pause that nobody pays for are the client's first, from what expires last.
    """
    terms, number = case.retainer.terms, case.period.number
    expiries = {each.seq: each.expires_no for each in case.carried}
    own = number + terms.roll_periods
    parts = [part for part in remaining(case.deal.slot, case.deal.lots) if part.amount_minor]
    parts.sort(key=lambda part: (expiries.get(part.lot.seq, own), part.lot.seq))
    unpaid = taken_last([part.amount_minor for part in parts], _not_owed(case))
    chunks = [
        Chunk(part.amount_minor - less, expiries.get(part.lot.seq, own))
        for part, less in zip(parts, unpaid, strict=True)
    ]
    is_rolling = terms.unused is Unused.ROLL and not is_over(case.after)
    cap = terms.roll_cap_minor if is_rolling else 0
    kept = carry(chunks, number=number, cap_minor=cap)
    rest = terms.rest if terms.unused is Unused.ROLL else terms.unused
    if terms.kind is RetainerKind.ACCESS_FEE:
        rest = Unused.TO_PAYEE
    return [
        Share(
            part,
            rolled,
            less + (chunk.amount_minor - rolled if rest is Unused.TO_CLIENT else 0),
            chunk.expires_no,
        )
        for part, rolled, less, chunk in zip(parts, kept, unpaid, chunks, strict=True)
    ]


def _not_owed(case: Case) -> int:
    """What days of a pause take from the period's amount, where pauses are pro-rated."""
    period, terms = case.period, case.retainer.terms
    if terms.on_pause is not OnPause.PRORATE or not period.paused_days:
        return 0
    found = Span(period.first_on, period.next_on, period.starts_at, period.ends_at)
    owed = earned_by_time(
        terms.amount_minor, found, period.ends_at, terms.zone, paused_days=period.paused_days
    )
    return terms.amount_minor - owed


def to_wallet(
    case: Case, shares: Sequence[Share], at: datetime, new_id: NewId, *, with_fee: bool
) -> tuple[tuple[Refund, ...], tuple[tuple[Funding, Funding], ...]]:
    """P32b: what goes back to the client's wallet, by the funding that it came with."""
    per_funding: dict[UUID, list[Share]] = defaultdict(list)
    for share in shares:
        if share.back_minor:
            per_funding[share.part.lot.funding_id].append(share)
    slot = case.deal.slot
    refunds = tuple(
        Refund(
            new_id(),
            slot.id,
            funding_id,
            Method.WALLET,
            "",
            case.contract.client_id,
            slot.currency,
            sum(share.back_minor for share in some),
            sum(share.part.fee_minor - rolled_fee(share) for share in some) if with_fee else 0,
            RefundState.WALLET_CREDITED,
            1,
            at,
        )
        for funding_id, some in per_funding.items()
    )
    moved_fundings = []
    for each in refunds:
        funding = case.fundings[each.funding_id]
        refunded = funding.refunded_minor + each.total_minor
        assert refunded <= funding.captured_minor
        moved_fundings.append((funding, moved_on(funding, refunded_minor=refunded)))
    return refunds, tuple(moved_fundings)


def rolled_fee(share: Share) -> int:
    """The part of a lot's fee that rolls with it, rounded down; all of it if all of it rolls."""
    return share.part.fee_minor * share.rolled_minor // share.part.amount_minor


def gone(share: Share, *, with_fee: bool) -> Lot:
    """The lot without what rolled on or went back."""
    lot = share.part.lot
    return replace(
        lot,
        gone_minor=lot.gone_minor + share.rolled_minor + share.back_minor,
        fee_gone_minor=lot.fee_gone_minor + (share.part.fee_minor if with_fee else 0),
    )


def rolled_lots(target: Slot, shares: Sequence[Share], fees: Sequence[int]) -> tuple[Lot, ...]:
    """What rolls, as the first lots of the next period's slot, oldest expiry first."""
    return tuple(
        Lot(
            target.id,
            seq,
            share.part.lot.funding_id,
            share.rolled_minor,
            fee,
            target.released_minor,
        )
        for seq, (share, fee) in enumerate(zip(shares, fees, strict=True), start=1)
    )
