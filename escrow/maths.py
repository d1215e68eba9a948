"""What is left of each payment in a slot, and how refunds share the client's fee."""

from collections.abc import Sequence
from typing import NamedTuple

from escrow.model import Lot, Slot


class Part(NamedTuple):
    """What one lot gives: slot money, and the client's fee that goes with it."""

    lot: Lot
    amount_minor: int
    fee_minor: int


def remaining(slot: Slot, lots: Sequence[Lot]) -> list[Part]:
    """What is left of each lot, newest first, with the part of its fee that is still deferred.

    Releases use the oldest lots first, so the newest hold what the slot holds.
    """
    left = slot.held_minor
    parts = []
    for lot in sorted(lots, key=lambda each: each.seq, reverse=True):
        amount = min(left, lot.amount_minor - lot.gone_minor)
        left -= amount
        is_deferred = lot.released_before_minor == slot.released_minor
        fee = lot.fee_minor - lot.fee_gone_minor if is_deferred else 0
        parts.append(Part(lot, amount, fee))
    assert left == 0
    return parts


def take_newest(slot: Slot, lots: Sequence[Lot], amount_minor: int) -> list[Part]:
    """The lots that give up `amount_minor` (1 to held), newest first, each with its deferred fee.

    Of a lot that gives only a part, the fee goes in proportion, rounded down: the odd cent stays.

    Source: domain/escrow.md 2.9 (back to the original method, newest lot first).
    """
    assert 0 < amount_minor <= slot.held_minor
    taken = []
    for lot, left, fee in remaining(slot, lots):
        amount = min(amount_minor, left)
        if amount:
            amount_minor -= amount
            taken.append(Part(lot, amount, fee * amount // left))
    return taken
