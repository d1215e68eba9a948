"""What a chargeback stands on, and which word of a rail is news to it; pure.

A `Standing` is the payment with all that its money touches, as locked; each step of a decision
gives the next one, and its plan is the difference to the first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from escrow.machine import Trigger
from escrow.machine_chargeback import CHARGEBACKS, DECIDED, GONE, RANK, WORDS, step_of
from escrow.machine_slot import SLOTS
from escrow.model import (
    Alarm,
    Contract,
    Funding,
    Lot,
    Release,
    Role,
    Slot,
    SlotState,
)
from escrow.model_chargeback import (
    Chargeback,
    ChargebackState,
    Piece,
    Reserve,
    Source,
    Word,
)
from escrow.model_claim import Claim
from escrow.model_dispute import Dispute
from escrow.model_price import FeeLine, Price, Returned
from escrow.rules import clocks, step
from escrow.rules_payout import with_tax_of
from escrow.rules_price import give_back, with_lines
from ledger.entries import Entries
from ledger.model import Draft


@dataclass(frozen=True, slots=True)
class Standing:
    """A payment under its chargeback.

    `others` are the contested pieces of other chargebacks on the same slots. `recovered_minor`
    is by claim what releases gave to it. `in_other_dispute`: another chargeback of the payment is
    open. `available_minor` is what the payee may withdraw. `price` has the fee lines of all slots
    and tips of the payment, and `billed` are those that the decision adds.
    """

    chargeback: Chargeback
    funding: Funding
    contract: Contract
    slots: Mapping[UUID, Slot]
    lots: Mapping[UUID, tuple[Lot, ...]]
    releases: Mapping[UUID, Release]
    price: Price
    pieces: tuple[Piece, ...] = ()
    reserves: tuple[Reserve, ...] = ()
    others: tuple[Piece, ...] = ()
    claims: Mapping[UUID, Claim] = field(default_factory=dict)
    recovered_minor: Mapping[UUID, int] = field(default_factory=dict)
    disputes: Mapping[UUID, Dispute] = field(default_factory=dict)
    available_minor: int = 0
    in_other_dispute: bool = False
    entries: Entries = ()
    drafts: tuple[Draft, ...] = ()
    alarms: tuple[Alarm, ...] = ()
    cancelled: tuple[tuple[str, str], ...] = ()
    mooted: tuple[tuple[Dispute, Dispute], ...] = ()
    billed: tuple[FeeLine, ...] = ()

    @property
    def currency(self) -> str:
        """The payment's currency."""
        return self.funding.currency

    @property
    def contested(self) -> tuple[Piece, ...]:
        """Pieces that are away and not decided."""
        return tuple(piece for piece in self.pieces if piece.is_contested)


def is_news(
    known: ChargebackState, known_at: datetime, *, word: ChargebackState, at: datetime
) -> bool:
    """Whether a word counts for more than what is known: by rank, then by the rail's own time."""
    if word is known:
        return False
    if RANK[word] != RANK[known]:
        return RANK[word] > RANK[known]
    return at > known_at or (at == known_at and word in GONE)


def hear_state(standing: Standing, word: Word) -> tuple[Standing, bool]:
    """The chargeback after a word on its state, and whether that was news.

    A decision counts as the last decision even where an appeal is known already.
    """
    cb, state = standing.chargeback, word.state
    assert state is not None
    is_decision = state in DECIDED and (
        cb.decision is None
        or cb.decided_at is None
        or is_news(cb.decision, cb.decided_at, word=state, at=word.occurred_at)
    )
    moves = is_news(cb.state, cb.state_at, word=state, at=word.occurred_at)
    tells_more = state is cb.state and cb.due_by is None and word.due_by is not None
    if not (moves or is_decision or tells_more):
        return standing, False
    after = replace(cb, due_by=cb.due_by or word.due_by, reason=cb.reason or word.reason)
    if moves:
        row, _ = step(CHARGEBACKS, cb.state, step_of(cb.state, word=state), (Role.RAIL,))
        after = replace(
            after,
            state=ChargebackState(row.to),
            state_at=word.occurred_at,
            due_by=word.due_by or cb.due_by,
            reason=word.reason or cb.reason,
        )
    if is_decision:
        after = replace(after, decision=state, decided_at=word.occurred_at)
    return replace(standing, chargeback=after), True


def first_heard(word: Word, funding: Funding, chargeback_id: UUID, at: datetime) -> Chargeback:
    """A chargeback by its first word; where that is money, the bank waits for our answer."""
    state = word.state or ChargebackState.NEEDS_RESPONSE
    row, _ = step(CHARGEBACKS, None, WORDS[state], (Role.RAIL,))
    decided = state in DECIDED
    return Chargeback(
        id=chargeback_id,
        funding_id=funding.id,
        contract_id=funding.contract_id,
        currency=funding.currency,
        rail=word.rail,
        rail_ref=word.rail_ref,
        reason=word.reason,
        amount_minor=word.amount_minor,
        opened_at=at,
        state=ChargebackState(row.to),
        state_at=word.occurred_at,
        version=1,
        decision=state if decided else None,
        decided_at=word.occurred_at if decided else None,
        due_by=word.due_by,
    )


def move_slot(
    standing: Standing,
    slot_id: UUID,
    trigger: Trigger,
    at: datetime,
    *,
    lot: Lot | None = None,
    **changes: Any,  # noqa: ANN401  fields of Slot
) -> Standing:
    """One slot one step on by the rail, with the clocks that the row sets."""
    slot = standing.slots[slot_id]
    row, _ = step(SLOTS, slot.state, trigger, (Role.RAIL,), slot_id=str(slot_id))
    after = replace(slot, state=SlotState(row.to), **changes)
    lots = dict(standing.lots)
    if lot is not None:
        after = replace(after, lot_count=lot.seq)
        lots[slot_id] = (*lots.get(slot_id, ()), lot)
    alarms, cancelled, _ = clocks(row, after, standing.contract, at)
    return replace(
        standing,
        slots={**standing.slots, slot_id: after},
        lots=lots,
        alarms=(*standing.alarms, *alarms),
        cancelled=(*standing.cancelled, *cancelled),
    )


def change_lot(
    standing: Standing, slot_id: UUID, seq: int, *, money_minor: int, fee_minor: int
) -> Standing:
    """A lot with so much more (or less, below zero) of it gone."""
    changed = tuple(
        replace(
            lot,
            gone_minor=lot.gone_minor + money_minor,
            fee_gone_minor=lot.fee_gone_minor + fee_minor,
        )
        if lot.seq == seq
        else lot
        for lot in standing.lots[slot_id]
    )
    return replace(standing, lots={**standing.lots, slot_id: changed})


def change_piece(standing: Standing, piece: Piece) -> Standing:
    """The piece in the place of its former self."""
    pieces = tuple(piece if each.piece_no == piece.piece_no else each for each in standing.pieces)
    return replace(standing, pieces=pieces)


def contested_before(standing: Standing, piece: Piece) -> int:
    """What other contested pieces have of the same released money, and would lose first."""
    return sum(
        each.money_out_minor
        for each in (*standing.others, *standing.pieces)
        if each.is_contested
        and each.source is piece.source
        and (each.slot_id, each.release_id) == (piece.slot_id, piece.release_id)
        and (each.chargeback_id != piece.chargeback_id or each.piece_no < piece.piece_no)
    )


def given_back(standing: Standing, piece: Piece, *, after_minor: int = 0) -> Returned:
    """What of our commission comes back with a piece that is away, after so much else has gone."""
    price = price_of(standing, piece)
    if after_minor:
        first = give_back(price, after_minor, release_id=piece.release_id)
        price = with_lines(price, first.lines)
    return give_back(price, piece.money_out_minor, release_id=piece.release_id)


def net_minor(standing: Standing, piece: Piece, *, after_minor: int = 0) -> int:
    """The payee's part of a piece that is away, after so much else of the same has gone."""
    returned = given_back(standing, piece, after_minor=after_minor)
    return max(0, piece.money_out_minor - returned.ours_minor)


def price_of(standing: Standing, piece: Piece) -> Price:
    """The price with the fee lines of the piece's slot, or of its tip, alone."""
    lines = tuple(
        line
        for line in standing.price.lines
        if (piece.slot_id is not None and line.slot_id == piece.slot_id)
        or line.release_id == piece.release_id
    )
    return replace(standing.price, lines=lines)


def with_fees(standing: Standing, lines: Sequence[FeeLine], entries: Entries) -> Standing:
    """The standing after fee lines, with the entries of the movement that they belong to."""
    return replace(
        standing,
        price=with_lines(standing.price, lines),
        billed=(*standing.billed, *lines),
        entries=standing.entries + with_tax_of(entries, standing.currency, lines),
    )


def is_with_payee(piece: Piece) -> bool:
    """Whether the money was the payee's when it was taken."""
    return piece.source in {Source.RELEASED, Source.TIP}
