"""What follows from the last decision: losses booked, reserves lifted, holds ended (P21, P22)."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from escrow.machine import Trigger
from escrow.machine_chargeback import DECIDED, GONE
from escrow.machine_dispute import DISPUTES
from escrow.machine_slot import HOLDING
from escrow.model import ReleaseState, Role, SlotState
from escrow.model_chargeback import Piece, Reserve, Source
from escrow.model_claim import ClaimCause
from escrow.model_dispute import Dispute, DisputeState
from escrow.movements_chargeback import p21_lose, p21_lose_beyond, p22_lift
from escrow.movements_more import p12_put_back, p12_thaw, p45_fee_back
from escrow.movements_price import as_loss
from escrow.rules import step
from escrow.rules_chargeback import (
    Standing,
    change_lot,
    change_piece,
    contested_before,
    given_back,
    is_with_payee,
    move_slot,
    net_minor,
    price_of,
    with_fees,
)
from escrow.rules_chargeback_take import withheld
from escrow.rules_claims import new_claim
from escrow.rules_price import move_client_fee

NewId = Callable[[], UUID]


def settle(standing: Standing, at: datetime, new_id: NewId) -> Standing:
    """Book what is decided by now: the last decision and the money that is away say it all.

    A loss is booked when both the word and the money are there, whichever came first; a reserve is
    lifted as the money comes back: a case that is won is over once the bank has given it again.
    """
    lost: list[Piece] = []
    if standing.chargeback.decision in GONE:
        lost = list(standing.contested)
        for piece in lost:
            standing = _lose(standing, piece, at, new_id)
    standing = _lift(standing)
    for slot_id in sorted({each.slot_id for each in lost if each.source is Source.HELD}, key=str):
        assert slot_id is not None
        standing = _close_slot(standing, slot_id, lost, at)
    is_settled = standing.chargeback.state in DECIDED and not standing.contested
    chargeback = replace(standing.chargeback, is_settled=is_settled)
    funding = standing.funding
    funding = replace(funding, in_dispute=standing.in_other_dispute or not is_settled)
    return replace(standing, chargeback=chargeback, funding=funding)


def _lose(standing: Standing, piece: Piece, at: datetime, new_id: NewId) -> Standing:
    if piece.source is Source.HELD:
        assert piece.slot_id is not None
        slot = standing.slots[piece.slot_id]
        money = piece.money_out_minor
        standing = move_slot(
            standing,
            slot.id,
            Trigger.BOOK_LOSS,
            at,
            recalled_minor=slot.recalled_minor - money,
            charged_back_minor=slot.charged_back_minor + money,
        )
        return change_piece(standing, replace(piece, is_lost=True))
    if piece.source is Source.BEYOND:
        entries = p21_lose_beyond(currency=standing.currency, amount_minor=piece.out_minor)
        standing = replace(standing, entries=standing.entries + entries)
        return change_piece(standing, replace(piece, is_lost=True))
    return _lose_released(standing, piece, at, new_id)


def _lose_released(standing: Standing, piece: Piece, at: datetime, new_id: NewId) -> Standing:
    """P21: the reserve pays, the rest is a claim, commission and the client's fee go back."""
    returned = given_back(standing, piece)
    # With its tax our fee of the last cents may be more than they are: that is no claim on us.
    net = max(0, piece.money_out_minor - returned.ours_minor)
    excess = returned.ours_minor - (piece.money_out_minor - net)
    standing, recovered = _take_reserves(standing, piece, net)
    standing, frozen = _take_set_aside(standing, piece, net - recovered, at)
    recovered += frozen
    claim = None
    if net > recovered:
        claim = new_claim(
            claim_id=new_id(),
            payee_id=standing.contract.payee_id,
            currency=standing.currency,
            cause=ClaimCause.CHARGEBACK,
            subject=standing.chargeback.subject,
            amount_minor=net - recovered,
            role=Role.RAIL,
            at=at,
        )
        standing = replace(standing, claims={**standing.claims, claim.id: claim})
    entries = p21_lose(
        payee_id=standing.contract.payee_id,
        currency=standing.currency,
        recovered_minor=recovered,
        claimed_minor=net - recovered,
        commission_minor=piece.money_out_minor - net,
        client_fee_minor=piece.fee_out_minor,
    )
    entries = as_loss(entries, currency=standing.currency, amount_minor=-excess)
    client_fee = move_client_fee(price_of(standing, piece), piece.fee_out_minor)
    standing = with_fees(standing, (*returned.lines, *client_fee), entries)
    if piece.slot_id is not None:
        assert piece.lot_seq is not None
        gone = standing.slots[piece.slot_id].returned_minor + piece.money_out_minor
        standing = move_slot(standing, piece.slot_id, Trigger.BOOK_LOSS, at, returned_minor=gone)
        standing = change_lot(
            standing,
            piece.slot_id,
            piece.lot_seq,
            money_minor=piece.money_out_minor,
            fee_minor=piece.fee_out_minor,
        )
    lost = replace(
        piece, is_lost=True, recovered_minor=recovered, claim_id=claim.id if claim else None
    )
    return change_piece(standing, lost)


def _take_set_aside(
    standing: Standing, piece: Piece, wanted: int, at: datetime
) -> tuple[Standing, int]:
    """What a dispute set aside of the same release pays too; the dispute is over with it."""
    dispute = standing.disputes.get(piece.slot_id) if piece.slot_id else None
    if dispute is None or dispute.release_id is None or piece.slot_id is None:
        return standing, 0
    taken = min(wanted, dispute.reserved_minor)
    rest = dispute.reserved_minor - taken
    release = standing.releases[dispute.release_id]
    slot = standing.slots[piece.slot_id]
    contested = slot.contested_minor - dispute.claim_minor
    standing = move_slot(standing, slot.id, Trigger.BOOK_LOSS, at, contested_minor=contested)
    is_available = release.state is ReleaseState.AVAILABLE
    if not is_available:
        gross = dispute.claim_minor * rest // max(1, dispute.reserved_minor)
        release = withheld(release, net_minor=-rest, gross_minor=-gross)
    entries = p12_put_back(
        payee_id=release.payee_id,
        currency=standing.currency,
        net_minor=rest,
        is_available=is_available,
    )
    standing = replace(
        standing,
        releases={**standing.releases, release.id: release},
        entries=standing.entries + entries,
        disputes={k: v for k, v in standing.disputes.items() if k != piece.slot_id},
    )
    return _end_dispute(standing, dispute, at), taken


def _take_reserves(standing: Standing, piece: Piece, net: int) -> tuple[Standing, int]:
    """Use what is reserved for a piece, at most its net; what is left over is lifted later."""
    reserves, recovered = [], 0
    for each in standing.reserves:
        part = min(net - recovered, each.left_minor) if each.piece_no == piece.piece_no else 0
        recovered += part
        reserves.append(replace(each, taken_minor=each.taken_minor + part))
    return replace(standing, reserves=tuple(reserves)), recovered


def _lift(standing: Standing) -> Standing:
    """Give the payee again what need not be reserved any more (P22, second part)."""
    pieces = {each.piece_no: each for each in standing.pieces}
    releases = dict(standing.releases)
    reserves: list[Reserve] = []
    wanted = {number: _wanted(standing, piece) for number, piece in pieces.items()}
    available = pending = 0
    for each in standing.reserves:
        keep = min(each.left_minor, wanted[each.piece_no])
        wanted[each.piece_no] -= keep
        part = each.left_minor - keep
        reserves.append(replace(each, lifted_minor=each.lifted_minor + part))
        release = releases.get(each.release_id) if each.release_id else None
        if release is not None and release.state is ReleaseState.PENDING:
            pending += part
            gross = each.gross_of(each.lifted_minor + part) - each.gross_of(each.lifted_minor)
            releases[release.id] = withheld(release, net_minor=-part, gross_minor=-gross)
        else:
            available += part
    entries = p22_lift(
        payee_id=standing.contract.payee_id,
        currency=standing.currency,
        available_minor=available,
        pending_minor=pending,
    )
    return replace(
        standing,
        releases=releases,
        reserves=tuple(reserves),
        entries=standing.entries + entries,
    )


def _wanted(standing: Standing, piece: Piece) -> int:
    """What a piece still needs reserved: the payee's part of what is away, until it is decided."""
    if not piece.is_contested or not is_with_payee(piece):
        return 0
    return net_minor(standing, piece, after_minor=contested_before(standing, piece))


def _close_slot(standing: Standing, slot_id: UUID, lost: list[Piece], at: datetime) -> Standing:
    """A slot that lost money: what was frozen with it is thawed; without any it is unfunded."""
    mine = [each for each in lost if each.slot_id == slot_id]
    slot = standing.slots[slot_id]
    if slot.state is SlotState.DISPUTED and any(each.frozen_minor for each in mine):
        standing = _moot(standing, slot_id, at)
        slot = standing.slots[slot_id]
    if slot.held_minor or slot.recalled_minor or slot.state not in (*HOLDING, SlotState.DISPUTED):
        return standing
    return move_slot(
        standing,
        slot_id,
        Trigger.CHARGE_BACK,
        at,
        disputed_minor=0,
        submission_no=0,
        confirmed_by=None,
        notices=0,
    )


def _moot(standing: Standing, slot_id: UUID, at: datetime) -> Standing:
    """The dispute about money that is gone ends; what else it froze is free, fees go back.

    Lines of a week's invoice are no dispute: what they froze is free, and they end by their clock.
    """
    dispute, slot = standing.disputes.get(slot_id), standing.slots[slot_id]
    before = dispute.state_before if dispute else SlotState.FUNDED
    state = before if slot.held_minor or slot.recalled_minor else slot.state
    entries = p12_thaw(
        slot_id=slot_id, currency=standing.currency, amount_minor=slot.disputed_minor
    )
    standing = replace(
        standing,
        slots={**standing.slots, slot_id: replace(slot, state=state, disputed_minor=0)},
        entries=standing.entries + entries,
    )
    return _end_dispute(standing, dispute, at) if dispute else standing


def _end_dispute(standing: Standing, dispute: Dispute, at: datetime) -> Standing:
    """The dispute is over, and each side has what it paid for arbitration."""
    row, _ = step(DISPUTES, dispute.state, Trigger.LOSE_FROZEN, (Role.RAIL,))
    after = replace(
        dispute,
        state=DisputeState(row.to),
        version=dispute.version + 1,
        due_at=None,
        ended_at=at,
    )
    entries = p45_fee_back(
        client_id=standing.contract.client_id,
        payee_id=standing.contract.payee_id,
        currency=standing.currency,
        client_minor=dispute.fee_minor if dispute.client_elected else 0,
        payee_minor=dispute.fee_minor if dispute.payee_elected else 0,
    )
    return replace(
        standing,
        entries=standing.entries + entries,
        cancelled=(
            *standing.cancelled,
            *((after.subject, timer) for timer in row.cancels),
        ),
        mooted=(*standing.mooted, (dispute, after)),
    )
