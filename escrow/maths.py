"""What a deal costs, to the minor unit: commission, client fee, and how refunds share the fee."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from escrow.model import Lot, Slot, Terms
from kernel.money import share_bps


@dataclass(frozen=True, slots=True)
class Quote:
    """The whole price of a slot before anyone signs; minor units of one currency."""

    amount_minor: int
    client_fee_minor: int
    client_pays_minor: int
    commission_minor: int
    payee_gets_minor: int


class Part(NamedTuple):
    """What one lot gives: slot money, and the client's fee that goes with it."""

    lot: Lot
    amount_minor: int
    fee_minor: int


def quote(amount_minor: int, terms: Terms) -> Quote:
    """What the client pays and the payee gets if `amount_minor` is released in one piece."""
    client_fee = share_bps(amount_minor, terms.client_fee_bps)
    commission = share_bps(amount_minor, terms.commission_bps)
    return Quote(
        amount_minor=amount_minor,
        client_fee_minor=client_fee,
        client_pays_minor=amount_minor + client_fee,
        commission_minor=commission,
        payee_gets_minor=amount_minor - commission,
    )


def commission_minor(amount_minor: int, *, released_before_minor: int, rate_bps: int) -> int:
    """Our commission on a release: the fee of all released by then, less the fee of what was.

    However often a slot is released in parts, the commissions sum to that of the whole.

    Source: domain/escrow.md 3.3, rule 2, with one flat rate.
    """
    total = share_bps(released_before_minor + amount_minor, rate_bps)
    return total - share_bps(released_before_minor, rate_bps)


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
