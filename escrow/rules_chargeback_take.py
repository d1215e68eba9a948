"""A withdrawal by the client's bank: whose money it takes, and what is reserved (P18, P20)."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from itertools import count
from typing import NamedTuple
from uuid import UUID

from escrow.machine import Trigger
from escrow.maths import remaining
from escrow.model import FundingState, Release, ReleaseState, Slot
from escrow.model_chargeback import Movement, Piece, Reserve, Source
from escrow.movements_chargeback import Extra, Taken, p18_contest, p20_front, p20_reserve
from escrow.rules_chargeback import (
    Standing,
    change_lot,
    contested_before,
    is_with_payee,
    move_slot,
    net_minor,
)
from ledger.entries import Entries


class Share(NamedTuple):
    """What is left of the payment in one place: money, and the client's fee with it."""

    source: Source
    slot_id: UUID | None
    release_id: UUID | None
    lot_seq: int | None
    money_minor: int
    fee_minor: int


def withdraw(standing: Standing, movement: Movement, at: datetime) -> Standing:
    """Take what the movement stands for: held money first, then released, newest lots first.

    What came back ahead of time is set off first. What is beyond the payment's rest, for example
    because it was refunded as well, is fronted by the platform (edge case 6).
    """
    ahead = min(movement.disputed_minor, standing.chargeback.ahead_minor)
    pieces = tuple(_pieces(standing, movement, movement.disputed_minor - ahead))
    before = standing
    chargeback = replace(standing.chargeback, ahead_minor=standing.chargeback.ahead_minor - ahead)
    standing = replace(standing, chargeback=chargeback)
    for piece in pieces:
        if piece.source is Source.HELD:
            standing = _contest(standing, piece, at)
        standing = replace(standing, pieces=(*standing.pieces, piece))
        if is_with_payee(piece):
            standing = _reserve(standing, piece)
    counted = sum(each.out_minor for each in pieces if each.source is not Source.BEYOND)
    funding = standing.funding
    funding = replace(funding, charged_back_minor=funding.charged_back_minor + counted)
    entries = _entries(before, pieces, ahead, movement) + _reserve_entries(before, standing)
    return replace(standing, funding=funding, entries=standing.entries + entries)


def shares_of(standing: Standing) -> list[Share]:
    """What is left of the payment: held in slots, its own first, then with the payee."""
    own = standing.funding.slot_id
    ids = sorted(standing.lots, key=lambda each: (each != own, each))
    held: list[Share] = []
    released: list[Share] = []
    for slot_id in ids:
        for part in remaining(standing.slots[slot_id], standing.lots[slot_id]):
            if part.lot.funding_id != standing.funding.id:
                continue
            lot = part.lot
            away, fee_away = _already_away(standing, slot_id, lot.seq)
            money = lot.amount_minor - lot.gone_minor - part.amount_minor - away
            fee = lot.fee_minor - lot.fee_gone_minor - part.fee_minor - fee_away
            place = (slot_id, None, lot.seq)
            held.append(Share(Source.HELD, *place, part.amount_minor, part.fee_minor))
            released.append(Share(Source.RELEASED, *place, money, fee))
    return [
        share
        for share in (*held, *released, *_tips(standing))
        if share.money_minor + share.fee_minor > 0
    ]


def _already_away(standing: Standing, slot_id: UUID, seq: int) -> tuple[int, int]:
    """Released money and fee of a lot that chargebacks took, and that are not decided."""
    away = [
        piece
        for piece in (*standing.pieces, *standing.others)
        if piece.is_contested
        and piece.source is Source.RELEASED
        and (piece.slot_id, piece.lot_seq) == (slot_id, seq)
    ]
    return sum(p.money_out_minor for p in away), sum(p.fee_out_minor for p in away)


def _tips(standing: Standing) -> Iterator[Share]:
    release_id = standing.funding.release_id
    if release_id is None:
        return
    away = [p for p in (*standing.pieces, *standing.others) if p.release_id == release_id]
    yield Share(
        Source.TIP,
        None,
        release_id,
        None,
        standing.releases[release_id].gross_minor - sum(p.money_out_minor for p in away),
        standing.funding.client_fee_minor - sum(p.fee_out_minor for p in away),
    )


def _pieces(standing: Standing, movement: Movement, left: int) -> Iterator[Piece]:
    """What the movement takes from each place; the fee in proportion, the odd cent stays money."""
    numbers = count(len(standing.pieces) + 1)
    frozen_left = {slot_id: _free_minor(slot) for slot_id, slot in standing.slots.items()}
    for share in shares_of(standing):
        amount = min(left, share.money_minor + share.fee_minor)
        if not amount:
            return
        fee = _fee_of(share, amount)
        if fee is None:
            continue
        left -= amount
        frozen = 0
        if share.source is Source.HELD and share.slot_id is not None:
            free = min(amount - fee, frozen_left[share.slot_id])
            frozen_left[share.slot_id] -= free
            frozen = amount - fee - free
        yield Piece(
            standing.chargeback.id,
            next(numbers),
            movement.rail_ref,
            *share[:4],
            amount - fee,
            fee,
            frozen,
        )
    if left:
        number, ref = next(numbers), movement.rail_ref
        chargeback_id = standing.chargeback.id
        yield Piece(chargeback_id, number, ref, Source.BEYOND, None, None, None, left, 0)


def _fee_of(share: Share, amount_minor: int) -> int | None:
    """What of an amount is the client's fee: in proportion, and the odd cent is money.

    A fee is deferred only beside held money: where a part would leave the fee alone, a cent of
    money stays with it. None where there is but one cent: the platform fronts so little.
    """
    whole = share.money_minor + share.fee_minor
    fee = share.fee_minor * amount_minor // whole
    takes_all_money = amount_minor - fee == share.money_minor
    if share.source is not Source.HELD or amount_minor == whole or not takes_all_money:
        return fee
    return fee + 1 if share.money_minor > 1 else None


def _free_minor(slot: Slot) -> int:
    return slot.held_minor - slot.disputed_minor


def _contest(standing: Standing, piece: Piece, at: datetime) -> Standing:
    """Money leaves the slot's balance, and stays the slot's until it is decided (row 16)."""
    assert piece.slot_id is not None
    assert piece.lot_seq is not None
    slot = standing.slots[piece.slot_id]
    is_uncleared = standing.funding.state is FundingState.SUCCEEDED_UNCLEARED
    uncleared = min(slot.uncleared_minor, piece.money_minor) if is_uncleared else 0
    held = slot.held_minor - piece.money_minor
    standing = move_slot(
        standing,
        slot.id,
        Trigger.CONTEST,
        at,
        held_minor=held,
        recalled_minor=slot.recalled_minor + piece.money_minor,
        disputed_minor=slot.disputed_minor - piece.frozen_minor,
        fee_deferred_minor=slot.fee_deferred_minor - piece.fee_minor,
        uncleared_minor=min(held, slot.uncleared_minor - uncleared),
    )
    return change_lot(
        standing,
        slot.id,
        piece.lot_seq,
        money_minor=piece.money_minor,
        fee_minor=piece.fee_minor,
    )


def _reserve(standing: Standing, piece: Piece) -> Standing:
    """Keep of the payee what he got of this money: what is still pending first, then available."""
    after = contested_before(standing, piece)
    net = left = net_minor(standing, piece, after_minor=after)
    releases = dict(standing.releases)
    found: list[tuple[UUID | None, int, int]] = []
    for release in _pending(standing, piece):
        part = min(left, release.free_minor)
        if part:
            left -= part
            most = release.gross_minor - release.taken_gross_minor
            gross = min(most, piece.money_minor * part // net)
            found.append((release.id, part, gross))
            releases[release.id] = withheld(release, net_minor=part, gross_minor=gross)
    part = min(left, standing.available_minor)
    if part:
        found.append((None, part, 0))
    numbers = count(len(standing.reserves) + 1)
    reserves = [
        Reserve(standing.chargeback.id, next(numbers), piece.piece_no, *each) for each in found
    ]
    return replace(
        standing,
        releases=releases,
        reserves=(*standing.reserves, *reserves),
        available_minor=standing.available_minor - part,
    )


def _pending(standing: Standing, piece: Piece) -> list[Release]:
    """The releases in their security hold that this money may be in, newest first.

    What was converted is another currency's, and no part of it.
    """
    found = [
        each
        for each in standing.releases.values()
        if each.state is ReleaseState.PENDING
        and each.paid_currency is None
        and (each.id == piece.release_id or (piece.slot_id and each.slot_id == piece.slot_id))
    ]
    return sorted(found, key=lambda each: (each.available_at, each.id), reverse=True)


def withheld(release: Release, *, net_minor: int, gross_minor: int) -> Release:
    """The release with so much more of it withheld, or less."""
    return replace(
        release,
        taken_net_minor=release.taken_net_minor + net_minor,
        taken_gross_minor=release.taken_gross_minor + gross_minor,
    )


def _entries(
    standing: Standing, pieces: tuple[Piece, ...], ahead: int, movement: Movement
) -> Entries:
    """P18 for what slots held, P20 for all else; the rail's extras stand once."""
    held = [each for each in pieces if each.source is Source.HELD]
    fronted = ahead + sum(each.out_minor for each in pieces if each.source is not Source.HELD)
    drift = movement.amount_minor - movement.disputed_minor
    extra = Extra(movement.fee_minor, drift)
    account = standing.funding.rail_account
    entries: Entries = ()
    if held:
        entries = p18_contest(
            rail_account=account,
            currency=standing.currency,
            slots=taken(held),
            client_fee_minor=sum(each.fee_minor for each in held),
            extra=extra,
        )
        extra = Extra()
    return entries + p20_front(
        rail_account=account, currency=standing.currency, amount_minor=fronted, extra=extra
    )


def taken(pieces: list[Piece]) -> tuple[Taken, ...]:
    """By slot, what was free and what was frozen."""
    found: dict[UUID, Taken] = {}
    for piece in pieces:
        assert piece.slot_id is not None
        _, free, frozen = found.get(piece.slot_id, Taken(piece.slot_id, 0, 0))
        more = piece.money_minor - piece.frozen_minor
        found[piece.slot_id] = Taken(piece.slot_id, free + more, frozen + piece.frozen_minor)
    return tuple(found.values())


def _reserve_entries(before: Standing, after: Standing) -> Entries:
    new = after.reserves[len(before.reserves) :]
    return p20_reserve(
        payee_id=after.contract.payee_id,
        currency=after.currency,
        available_minor=sum(each.amount_minor for each in new if each.release_id is None),
        pending_minor=sum(each.amount_minor for each in new if each.release_id is not None),
    )
