"""What must be paid so that the payee gets so much: through fee, tax and exchange, backwards; pure.

Rounding has no inverse, and where bands and tax take more than all of a further unit the net even
falls as the amount rises. But without rounding it is a line between two bends (the edges of bands,
where floor and caps begin, where a promotion is as dear as the schedule), so each of these
stretches is looked through from the lowest up, and only where rounding may reach the net.

Source: domain/escrow.md 3.3 (rules 2, 4, 5).
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Final, NamedTuple

from commissions.maths import Before, NetOutOfReach
from commissions.maths_fx import sold_for
from commissions.model import Tariff
from escrow.model_price import Price
from escrow.rules_price import charge
from kernel.errors import Refusal
from kernel.money import MAX_MINOR

_WHOLE_BPS: Final = 10_000
_UNIT: Final = _WHOLE_BPS * _WHOLE_BPS
"""Unrounded money is counted in minor units times basis points of a fee, times those of a tax."""
_WIGGLE: Final = 6
"""Minor units by which rounding moves a net at most: two bands' sums and a tax up to 200 %."""
_STEPS: Final = 1_200
"""Amounts of one stretch that are tried: twice the wiggle, where each moves the net by 1 %."""

Line = Callable[[int], int]


class _Stretch(NamedTuple):
    """Amounts between two bends, and the unrounded net at both, never below zero."""

    first: int
    last: int
    at_first: int
    at_last: int


def gross_for_net(price: Price, net_minor: int) -> int:
    """The least amount of which the payee gets at least so much, through fee, tax and exchange.

    `net_minor` is in the currency that he is paid in. The answer is always enough, and where
    commission and tax leave the payee 1 % of each further unit or more, or take 1 % more than all
    of it, it is the least. Nearer to nothing than that, and there alone, rounding decides over so
    many amounts that 1,200 of each stretch are tried: if none of them is enough, the answer is one
    of which a unit less is not, and a net that rounding alone would reach may be refused.
    Refuses `fees.net_out_of_reach`, and `fx.*` where there is no rate.
    """
    if not 1 <= net_minor <= MAX_MINOR:
        raise NetOutOfReach(net_minor=net_minor)
    wanted = _sold_for(price, net_minor)
    unconverted = replace(price, exchange=None)

    def lacks(amount: int) -> int:
        return wanted - charge(unconverted, amount, fee_earned_minor=0, strict=True).net_minor

    for stretch in _stretches(unconverted, min(wanted, MAX_MINOR)):
        found = _look_through(stretch, wanted, lacks)
        if found is not None:
            return found
    raise NetOutOfReach(net_minor=net_minor)


def _sold_for(price: Price, net_minor: int) -> int:
    """The net in the deal's currency that becomes at least so much of the payee's."""
    exchange = price.exchange
    if exchange is None:
        return net_minor
    if isinstance(exchange, Refusal):
        raise exchange
    return sold_for(net_minor, exchange.mid, exchange.rate)


def _look_through(stretch: _Stretch, wanted: int, lacks: Line) -> int | None:
    """The least amount of a stretch that lacks nothing, or None."""
    first, last, at_first, at_last = stretch
    near = (wanted - _WIGGLE) * _UNIT
    if max(at_first, at_last) < near:
        return None
    width, rise = last - first, at_last - at_first
    if at_first < near:
        first += -((at_first - near) * width // rise)
    elif at_last < near:
        last = first + (at_first - near) * width // -rise
    amount = first
    for _ in range(_STEPS):
        if amount > last:
            return None
        lacking = lacks(amount)
        if lacking <= 0:
            return amount
        amount += max(1, lacking - _WIGGLE)
    return _halve(min(amount, last), last, lacks) if lacks(last) <= 0 else None


def _halve(low: int, high: int, lacks: Line) -> int:
    """An amount that lacks nothing, where one unit less lacks something."""
    while low < high:
        middle = (low + high) // 2
        if lacks(middle) <= 0:
            high = middle
        else:
            low = middle + 1
    return low


def _stretches(price: Price, lowest: int) -> Iterator[_Stretch]:
    """All amounts from the lowest, between the bends of what is left to the payee."""
    before = Before(price.pair.billed_minor, price.pair.charged_in(price.month))
    tariffs = [each for each in (price.tariff, price.promoted) if each is not None]
    fees = [_Unrounded(each, before) for each in tariffs]
    with_tax = _WHOLE_BPS + (price.tax.rate_bps if price.tax else 0)

    def left(amount: int) -> int:
        return amount * _UNIT - min(each.fee(amount) for each in fees) * with_tax

    def saved(amount: int) -> int:
        return fees[0].fee(amount) - fees[-1].fee(amount)

    edges = {lowest, MAX_MINOR}
    for each in fees:
        edges |= set(each.edges(lowest))
    edges |= _crossings(edges, saved)
    edges |= _crossings(edges, left)
    ordered = sorted(edges)
    nets = [max(left(each), 0) for each in ordered]
    for (first, last), (low, high) in zip(pairwise(ordered), pairwise(nets), strict=True):
        yield _Stretch(first, last, low, high)


class _Unrounded(NamedTuple):
    """The fee of a tariff before it is rounded: minor units times basis points."""

    tariff: Tariff
    before: Before

    def fee(self, amount: int) -> int:
        """As `commissions.maths.fee`, but not bounded by the amount: the net's zero is."""
        charged = max(self._bands(amount), self.tariff.floor_minor * _WHOLE_BPS)
        return min(charged, *self._caps(), charged)

    def edges(self, lowest: int) -> set[int]:
        """Where the fee bends: at the edges of bands, and where floor and caps begin."""
        billed = self.before.billed_minor
        ends = (end - billed for end in self.tariff.ends)
        found = {lowest, MAX_MINOR, *(end for end in ends if lowest < end < MAX_MINOR)}
        for bound in (self.tariff.floor_minor * _WHOLE_BPS, *self._caps()):
            found |= _crossings(found, partial(self._above, bound))
        return found

    def _above(self, bound: int, amount: int) -> int:
        return self._bands(amount) - bound

    def _bands(self, amount: int) -> int:
        tariff, billed = self.tariff, self.before.billed_minor
        bands = tariff.bps_minor(billed + amount) - tariff.bps_minor(billed)
        return bands + tariff.per_transaction_minor * _WHOLE_BPS

    def _caps(self) -> tuple[int, ...]:
        tariff, found = self.tariff, []
        if tariff.cap_minor is not None:
            found.append(tariff.cap_minor)
        if tariff.cap_month_minor is not None:
            found.append(max(tariff.cap_month_minor - self.before.charged_month_minor, 0))
        return tuple(each * _WHOLE_BPS for each in found)


def _crossings(edges: set[int], line: Line) -> set[int]:
    """The amounts on both sides of where a line, straight between the edges, crosses zero."""
    ordered = sorted(edges)
    values = [line(each) for each in ordered]
    found: set[int] = set()
    for (first, last), (low, high) in zip(pairwise(ordered), pairwise(values), strict=True):
        if min(low, high) < 0 < max(low, high):
            at = first + -low * (last - first) // (high - low)
            found |= {at, min(at + 1, last)}
    return found
