"""What the market's payments cost, in arithmetic of our own: bands, promotions, pins and taxes.

Nothing here knows the product's code. Amounts are minor units, rates basis points. A rate is walked
band by band over all that a pair billed, and rounded half up once for the whole of it.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple

Row = dict[str, Any]

WHOLE: Final = 10_000
HOME: Final = "IE"
"""Where the platform is: whoever does not say where he is bears its tax."""
TAX_BPS: Final = {HOME: 2_300, "DE": 1_900, "FR": 2_000, "US": 0}


@dataclass(frozen=True)
class Bands:
    """Rates up to sums billed; the last has no end. `cap` is the most of one payment's fee."""

    rates: tuple[tuple[int | None, int], ...]
    cap: int | None = None

    def fee(self, amount: int, billed: int = 0) -> int:
        """The fee of the next payment after so much was billed."""
        fee = half_up(self._walk(billed + amount), WHOLE) - half_up(self._walk(billed), WHOLE)
        return min(fee, amount, amount if self.cap is None else self.cap)

    def _walk(self, billed: int) -> int:
        total, start = 0, 0
        for end, rate in self.rates:
            until = billed if end is None else min(end, billed)
            total += max(0, until - start) * rate
            start = max(start, until)
        return total


@dataclass
class Listed:
    """A schedule as people drew it up; of those that two approved the last drawn up is pinned."""

    id: str
    side: str
    rank: int
    bands: Bands
    prepared_by: str
    promotion: str | None = None
    state: str = "prepared"


@dataclass(frozen=True)
class Ours:
    """A commission with its tax by country."""

    fee: int = 0
    taxes: Counter[str] = field(default_factory=Counter)

    @property
    def whole(self) -> int:
        """All that we take."""
        return self.fee + self.taxes.total()

    def __add__(self, other: "Ours") -> "Ours":
        taxes = Counter(self.taxes)
        for country, tax in other.taxes.items():
            taxes[country] += tax
        return Ours(self.fee + other.fee, taxes)


class Tax(NamedTuple):
    """A rate, and whose it is."""

    bps: int
    country: str

    def within(self, total: int) -> int:
        """What a price has in it."""
        return half_up(total * self.bps, WHOLE + self.bps)


class Pins(NamedTuple):
    """The ids of the schedules that a deal has for ever; None: its own flat rate, no promotion."""

    payee: str | None
    client: str | None
    promotion: str | None


@dataclass
class PriceBook:
    """All that was decided of prices in a market, as the people in it know it."""

    clock: Callable[[], datetime]
    listed: list[Listed] = field(default_factory=list)
    named: dict[str, str] = field(default_factory=dict)
    pinned: dict[str, Pins] = field(default_factory=dict)
    homes: dict[str, str] = field(default_factory=dict)
    proved: set[str] = field(default_factory=set)
    is_taxed: bool = False

    def accept(self, deals: Iterable[Row]) -> list[str]:
        """Pin what deals accepted since the last look must have; those that pinned another."""
        wrong = []
        for deal in deals:
            if deal["accepted_at"] is None or deal["id"] in self.pinned:
                continue
            name = self.named.get(deal["id"])
            pins = Pins(
                self._newest("payee"),
                self._newest("client"),
                self._newest("payee", name) if name else None,
            )
            self.pinned[deal["id"]] = pins
            names = ("payee_schedule_id", "client_schedule_id", "promotion_schedule_id")
            seen = Pins(*(deal[each] for each in names))
            if seen != pins:
                wrong.append(f"deal {deal['id']} pinned {seen} instead of {pins}")
        return wrong

    def has_promotion(self, name: str) -> bool:
        """Whether a deal may name it."""
        return self._newest("payee", name) is not None

    def _newest(self, side: str, promotion: str | None = None) -> str | None:
        fits = [
            each
            for each in self.listed
            if (each.side, each.promotion, each.state) == (side, promotion, "approved")
        ]
        return max(fits, key=lambda each: each.rank).id if fits else None

    def tax(self, party_id: str) -> Tax:
        """What a party's fees bear now."""
        home = self.homes.get(party_id, HOME)
        is_free = not self.is_taxed or party_id in self.proved
        return Tax(0 if is_free else TAX_BPS[home], home)

    def charge(self, deal: Row, amount: int, billed: int) -> Ours:
        """Ours of the next part that the payee keeps."""
        pins = self.pinned[deal["id"]]
        tax = self.tax(deal["payee_id"])
        return self._ours(deal, (pins.payee, pins.promotion), amount, billed, tax)

    def gone(self, deal: Row, line: Row, kept: int, back: int) -> Ours:
        """What comes back of a release that kept so much, by the fee line that it stands on."""
        schedules = (line["schedule_id"], line["promotion_id"] if line["is_promoted"] else None)
        tax = Tax(line["tax_rate_bps"], line["tax_country"] or "")
        was, stays = (
            self._ours(deal, schedules, amount, line["before_minor"], tax)
            for amount in (kept, kept - back)
        )
        taxes = Counter({tax.country: was.taxes[tax.country] - stays.taxes[tax.country]})
        return Ours(was.fee - stays.fee, taxes)

    def client_fee(self, deal: Row, amount: int, paid_before: int = 0) -> int:
        """The client's, its tax in it."""
        bands = self._bands(self.pinned[deal["id"]].client, deal["client_fee_bps"])
        return bands.fee(amount, paid_before)

    def _ours(
        self,
        deal: Row,
        schedules: tuple[str | None, str | None],
        amount: int,
        billed: int,
        tax: Tax,
    ) -> Ours:
        payee, promotion = schedules
        fee = self._bands(payee, deal["commission_bps"]).fee(amount, billed)
        if promotion:
            fee = min(fee, self._bands(promotion, 0).fee(amount, billed))
        part = half_up(fee * tax.bps, WHOLE)
        if fee + part > amount:
            fee = amount * WHOLE // (WHOLE + tax.bps)
            part = min(half_up(fee * tax.bps, WHOLE), amount - fee)
        return Ours(fee, Counter({tax.country: part}))

    def _bands(self, schedule_id: str | None, flat_bps: int) -> Bands:
        if schedule_id is None:
            return Bands(((None, flat_bps),))
        return next(each.bands for each in self.listed if each.id == schedule_id)


def half_up(over: int, under: int) -> int:
    """The whole number next to a fraction; a half goes up."""
    return (2 * over + under) // (2 * under)
