"""Money that the client's bank gives back: to slots, the platform and the payee (P19, P22)."""

from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

from escrow.machine import Trigger
from escrow.machine_claim import CLAIMS
from escrow.machine_slot import HOLDING
from escrow.model import ContractState, Lot, Role, Slot, SlotState
from escrow.model_chargeback import Movement, Piece, Source
from escrow.model_claim import Claim, ClaimState
from escrow.model_price import Returned
from escrow.movements_chargeback import (
    Extra,
    Taken,
    p19_reinstate,
    p21_lose_beyond,
    p22_reinstate,
    p22_restore,
)
from escrow.movements_price import as_loss
from escrow.rules import step
from escrow.rules_chargeback import (
    Standing,
    change_lot,
    change_piece,
    is_with_payee,
    move_slot,
    price_of,
    with_fees,
)
from escrow.rules_price import move_client_fee, take_again
from ledger.entries import Entries


class Back(NamedTuple):
    """A part of a piece that came back."""

    piece: Piece
    money_minor: int
    fee_minor: int

    @property
    def total_minor(self) -> int:
        """Money and fee."""
        return self.money_minor + self.fee_minor


class Places(NamedTuple):
    """Where money that came back went: to slots, to the wallet, with fees, to the platform."""

    slots: tuple[Taken, ...]
    to_wallet_minor: int
    client_fee_minor: int
    fronted_minor: int


def reinstate(standing: Standing, movement: Movement, at: datetime) -> Standing:
    """Give back what the movement stands for; what was taken last comes back first.

    What comes back before it was taken waits for that withdrawal: the words of a rail may be in
    any order.
    """
    left = movement.disputed_minor
    fronted = 0
    slots: list[Taken] = []
    to_wallet = client_fee = 0
    for piece in reversed(standing.pieces):
        back = _part(piece, left)
        if not back.total_minor:
            continue
        left -= back.total_minor
        standing = _returned(standing, back)
        if piece.source is Source.HELD:
            standing, place = _to_slot(standing, back, at)
            if place is None:
                to_wallet += back.total_minor
            else:
                slots.append(place)
                client_fee += back.fee_minor
        else:
            fronted += back.total_minor
            standing = _restore(standing, back, at)
    ahead = standing.chargeback.ahead_minor + left
    standing = replace(standing, chargeback=replace(standing.chargeback, ahead_minor=ahead))
    places = Places(tuple(slots), to_wallet, client_fee, fronted + left)
    return replace(standing, entries=_entries(standing, places, movement) + standing.entries)


def _entries(standing: Standing, places: Places, movement: Movement) -> Entries:
    """P19 for what slots and the wallet have again, P22 for the platform; the extras stand once."""
    slots, to_wallet, client_fee, fronted = places
    extra = Extra(movement.fee_minor, movement.amount_minor - movement.disputed_minor)
    account, currency = standing.funding.rail_account, standing.currency
    has_held = bool(slots) or to_wallet > 0
    entries: Entries = (
        p19_reinstate(
            rail_account=account,
            currency=currency,
            slots=slots,
            client_id=standing.contract.client_id,
            to_wallet_minor=to_wallet,
            client_fee_minor=client_fee,
            extra=extra,
        )
        if has_held
        else ()
    )
    return entries + p22_reinstate(
        rail_account=account,
        currency=currency,
        amount_minor=fronted,
        extra=Extra() if has_held else extra,
    )


def _part(piece: Piece, left: int) -> Back:
    """What of a piece comes back; the fee in proportion, the odd cent is money."""
    amount = min(left, piece.out_minor)
    if not amount:
        return Back(piece, 0, 0)
    fee = piece.fee_out_minor * amount // piece.out_minor
    return Back(piece, amount - fee, fee)


def _returned(standing: Standing, back: Back) -> Standing:
    """The piece and the payment with so much less away."""
    piece = replace(
        back.piece,
        back_money_minor=back.piece.back_money_minor + back.money_minor,
        back_fee_minor=back.piece.back_fee_minor + back.fee_minor,
    )
    standing = change_piece(standing, piece)
    if piece.source is Source.BEYOND:
        return standing
    funding = standing.funding
    counted = funding.charged_back_minor - back.total_minor
    return replace(standing, funding=replace(funding, charged_back_minor=counted))


def _to_slot(standing: Standing, back: Back, at: datetime) -> tuple[Standing, Taken | None]:
    """Back into the slot, as its newest lot; into the wallet if the slot no longer waits for it.

    A fee that comes back without money is of no slot: into the wallet, too.
    """
    piece, money = back.piece, back.money_minor
    assert piece.slot_id is not None
    if not money:
        return _to_wallet(standing, back), None
    slot = standing.slots[piece.slot_id]
    was: dict[str, Any] = {"charged_back_minor": slot.charged_back_minor - money}
    if not piece.is_lost:
        was = {"recalled_minor": slot.recalled_minor - money}
    elif not _takes(standing, slot, money):
        standing = _to_wallet(standing, back)
        gone = slot.refunded_minor + money
        was["refunded_minor"] = gone
        return move_slot(standing, slot.id, Trigger.BOOK_LOSS, at, **was), None
    frozen = 0
    if slot.state is SlotState.DISPUTED and not piece.is_lost:
        frozen = _frozen_again(standing, back)
    lot = Lot(
        slot.id,
        slot.lot_count + 1,
        standing.funding.id,
        money,
        back.fee_minor,
        slot.released_minor,
    )
    standing = move_slot(
        standing,
        slot.id,
        Trigger.REINSTATE,
        at,
        lot=lot,
        held_minor=slot.held_minor + money,
        disputed_minor=slot.disputed_minor + frozen,
        fee_deferred_minor=slot.fee_deferred_minor + back.fee_minor,
        **was,
    )
    return standing, Taken(slot.id, money - frozen, frozen)


def _frozen_again(standing: Standing, back: Back) -> int:
    """What of a part is frozen as before: first what was, never more than is in dispute."""
    piece, slot_id = back.piece, back.piece.slot_id
    assert slot_id is not None
    before = min(piece.back_money_minor, piece.frozen_minor)
    frozen = min(piece.back_money_minor + back.money_minor, piece.frozen_minor) - before
    dispute = standing.disputes.get(slot_id)
    if dispute is None:
        return frozen
    return min(frozen, dispute.claim_minor - standing.slots[slot_id].disputed_minor)


def _to_wallet(standing: Standing, back: Back) -> Standing:
    """The payment has given so much back to the client."""
    funding = standing.funding
    refunded = funding.refunded_minor + back.total_minor
    return replace(standing, funding=replace(funding, refunded_minor=refunded))


def _takes(standing: Standing, slot: Slot, money_minor: int) -> bool:
    """Whether a slot that lost this money still waits for it."""
    if slot.state is SlotState.AWAITING_FUNDING:
        return standing.contract.state in {ContractState.ACTIVE, ContractState.PAUSED}
    return slot.state in HOLDING and money_minor <= slot.unpaid_minor


def _restore(standing: Standing, back: Back, at: datetime) -> Standing:
    """What was booked as lost is ours again, and the payee has what he had paid for it."""
    piece = back.piece
    if not piece.is_lost:
        return standing
    if not is_with_payee(piece):
        entries = p21_lose_beyond(currency=standing.currency, amount_minor=-back.total_minor)
        return replace(standing, entries=standing.entries + entries)
    again = take_again(price_of(standing, piece), back.money_minor, release_id=piece.release_id)
    if piece.slot_id is not None:
        assert piece.lot_seq is not None
        returned = standing.slots[piece.slot_id].returned_minor - back.money_minor
        standing = move_slot(
            standing, piece.slot_id, Trigger.BOOK_LOSS, at, returned_minor=returned
        )
        standing = change_lot(
            standing,
            piece.slot_id,
            piece.lot_seq,
            money_minor=-back.money_minor,
            fee_minor=-back.fee_minor,
        )
    return _pay_back(standing, back, again)


def _pay_back(standing: Standing, back: Back, again: Returned) -> Standing:
    """First what the payee still owes goes, then what he paid comes back; the rest was ours."""
    net = max(0, back.money_minor - again.ours_minor)
    ours = back.money_minor - net
    piece = next(each for each in standing.pieces if each.piece_no == back.piece.piece_no)
    claims = dict(standing.claims)
    relieved = paid_by_claim = 0
    if piece.claim_id is not None:
        claim = claims[piece.claim_id]
        paid_by_claim = standing.recovered_minor.get(claim.id, 0)
        relieved = min(net, claim.remaining_minor)
        if relieved:
            claims[claim.id] = _relieved(claim, relieved)
    paid = piece.recovered_minor + paid_by_claim - piece.paid_back_minor
    paid_back = min(net - relieved, paid)
    entries = p22_restore(
        payee_id=standing.contract.payee_id,
        currency=standing.currency,
        paid_back_minor=paid_back,
        relieved_minor=relieved,
        written_off_minor=net - relieved - paid_back,
        commission_minor=ours,
        client_fee_minor=back.fee_minor,
    )
    piece = replace(piece, paid_back_minor=piece.paid_back_minor + paid_back)
    excess = again.ours_minor - ours
    entries = as_loss(entries, currency=standing.currency, amount_minor=excess)
    client_fee = move_client_fee(price_of(standing, piece), -back.fee_minor)
    standing = with_fees(standing, (*again.lines, *client_fee), entries)
    return replace(change_piece(standing, piece), claims=claims)


def _relieved(claim: Claim, amount_minor: int) -> Claim:
    remaining = claim.remaining_minor - amount_minor
    trigger = Trigger.RELIEVE if remaining else Trigger.RELIEVE_ALL
    row, _ = step(CLAIMS, claim.state, trigger, (Role.RAIL,))
    return replace(
        claim,
        remaining_minor=remaining,
        relieved_minor=claim.relieved_minor + amount_minor,
        state=ClaimState(row.to),
        version=claim.version + 1,
    )
