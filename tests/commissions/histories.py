"""Random histories of a pair through the functions that post: releases, refunds, and back again.

A history draws a schedule of 1 to 20 bands with any of its parts, a promotion, taxes, a currency of
0, 2 or 3 decimals, a payee's currency, and what the pair had before. It releases, gives back in
parts, restores, and moves the client's fee, in random order over several slots and months. After
every step the quote, the charge, the fee lines, the journal entries and the plain rules of
`deals` are compared; at the end all goes back to nothing, and to where it was.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from fractions import Fraction
from random import Random
from typing import Final
from uuid import UUID

from escrow.model import Contract, ContractState, Role, Terms
from escrow.model_price import Charge, Exchange, FeeKind, FeeLine, Pair, Price, Returned
from escrow.movements import p07_release
from escrow.movements_chargeback import p17_refund_released
from escrow.movements_price import with_exchange, with_taxes
from escrow.rules_price import (
    charge,
    give_back,
    lines_of,
    move_client_fee,
    take_again,
    taxes_of,
    with_lines,
)
from escrow.rules_quote_net import gross_for_net
from kernel.money import exponent
from ledger.entries import Entries
from rails.rates.model import Rate
from tax.model_vat import Decision, Treatment
from tests.commissions.deals import Owed, draw, half_up, plain_price, plain_tax_within

BEGAN: Final = datetime(2026, 1, 1, tzinfo=UTC)
CLIENT, PAYEE, CONTRACT, REFUND = (UUID(int=n) for n in range(1, 5))
SCHEDULE, PROMOTION = UUID(int=8), UUID(int=9)
CURRENCIES: Final = ("JPY", "EUR", "KWD")
MONTHS: Final = tuple(date(2026, month, 1) for month in range(1, 13))
TAX_BPS: Final = (0, 500, 1_900, 2_000, 2_550, 2_700, 10_000)


@dataclass
class Told:
    """One release as the plain rules see it: what stood before it, and what of it still stands."""

    release_id: UUID
    slot: int
    amount_minor: int
    kept_minor: int
    billed_minor: int
    charged_month_minor: int
    month: date

    def owed(self, history: "History", kept_minor: int) -> Owed:
        """The fee of a part of it."""
        return plain_price(
            history.tariff,
            history.promoted,
            kept_minor,
            billed_minor=self.billed_minor,
            charged_month_minor=self.charged_month_minor,
            tax_bps=history.tax.rate_bps if history.tax else 0,
        )


class History:
    """One pair's life; `compared` counts the prices that were held against the plain rules."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.currency = random.choice(CURRENCIES)
        self.tariff = draw(random, currency=self.currency)
        self.promoted = draw(random, currency=self.currency) if random.random() < 0.3 else None
        self.tax = _tax(random, "DE")
        self.fee_tax = _tax(random, "FR")
        self.exchange = _exchange(random, self.currency)
        self.month = 0
        billed, charged = random.choice((0, random.randint(0, 300_000))), random.randint(0, 9_000)
        self.pair = Pair(CLIENT, PAYEE, self.currency, billed, MONTHS[0], charged)
        self.billed, self.charged = billed, Counter({MONTHS[0]: charged})
        self.lines: list[list[FeeLine]] = [[], [], []]
        self.told: list[Told] = []
        self.gone: list[list[tuple[Told, int]]] = [[], [], []]
        self.fees: Counter[UUID] = Counter()
        self.earned: Counter[UUID] = Counter()
        self.compared = 0

    def price(self, slot: int) -> Price:
        """What the slot's next release would stand on."""
        return Price(
            pair=self.pair,
            tariff=self.tariff,
            month=MONTHS[self.month],
            schedule_id=SCHEDULE,
            promoted=self.promoted,
            promotion_id=PROMOTION if self.promoted else None,
            tax=self.tax,
            fee_tax=self.fee_tax,
            exchange=self.exchange,
            lines=tuple(self.lines[slot]),
            tariffs={SCHEDULE: self.tariff, PROMOTION: self.promoted or self.tariff},
        )

    def release(self) -> None:
        """A payment is quoted, charged, written down and posted."""
        random, slot = self.random, self.random.randrange(3)
        if random.random() < 0.2 and self.month + 1 < len(MONTHS):
            self.month += 1
        amount = random.choice((1, random.randint(1, 60), random.randint(1, 120_000)))
        earned = random.choice((0, 1, random.randint(1, 5_000)))
        price, release_id = self.price(slot), UUID(int=100 + len(self.told))
        by_then = replace(self.pair)
        quoted = charge(price, amount, fee_earned_minor=earned, strict=False)
        assert self.pair == by_then
        made = charge(price, amount, fee_earned_minor=earned, strict=False)
        lines = lines_of(
            made, price, _CONTRACTS[self.currency], release_id=release_id, slot_id=_slot_id(slot)
        )
        told = Told(
            *(release_id, slot, amount, 0, self.billed, self.charged[price.month], price.month)
        )
        owed = told.owed(self, amount)
        fee_tax = plain_tax_within(earned, self.fee_tax.rate_bps if self.fee_tax else 0)
        assert quoted == made
        assert owed == (made.commission_minor, made.tax_minor, made.foregone_minor), self.told
        assert (made.fee_earned_minor, made.fee_tax_minor) == (earned, fee_tax)
        assert 0 <= made.net_minor <= amount
        self._check_bought(made)
        if random.random() < 0.05:
            self._check_net(price, made)
        _check_release(made, price, lines, _slot_id(slot))
        self.told.append(told)
        self.earned[release_id] = earned
        self._take(slot, lines)
        self._keep(told, amount)

    def refund(self) -> None:
        """Part of what a slot released comes back, newest release first, or of one release."""
        slot, left = self._pick([each.kept_minor for each in self.told])
        if not left:
            return
        mine = [each for each in self.told if each.slot == slot]
        named = None
        if self.random.random() < 0.3:
            chosen = self.random.choice([each for each in mine if each.kept_minor])
            named, left = chosen.release_id, chosen.kept_minor
            mine = [chosen]
        amount = self._part(left)
        returned = give_back(self.price(slot), amount, release_id=named)
        _check_refund(returned, amount, self.currency)
        self._take(slot, returned.lines)
        for each in reversed(mine):
            part = min(amount, each.kept_minor)
            amount -= part
            self._keep(each, each.kept_minor - part)
            self.gone[slot].append((each, part))
        self._check_lines(slot)

    def restore(self) -> None:
        """What had come back is the payee's again: what came back last is restored first."""
        slot, gone = self._pick([each.amount_minor - each.kept_minor for each in self.told])
        if not gone:
            return
        amount = self._part(gone)
        restored = take_again(self.price(slot), amount)
        assert sum(line.gross_minor for line in restored.lines) == amount
        self._take(slot, restored.lines)
        while amount:
            each, back = self.gone[slot].pop()
            part = min(amount, back)
            amount -= part
            self._keep(each, each.kept_minor + part)
            if back > part:
                self.gone[slot].append((each, back - part))
        self._check_lines(slot)

    def move_fee(self) -> None:
        """A part of the client's earned fee comes back, and is earned again, with its tax."""
        slot = self.random.randrange(3)
        stands = sum(self.earned[each.release_id] for each in self.told if each.slot == slot)
        if not stands:
            return
        amount = self._part(stands)
        bps = self.fee_tax.rate_bps if self.fee_tax else 0
        for sign in (1, -1):
            lines = move_client_fee(self.price(slot), sign * amount)
            assert sum(line.total_minor for line in lines) == -sign * amount
            self._take(slot, lines)
            if sign == 1:
                kept = Counter[UUID]()
                taxed = Counter[UUID]()
                for line in self.lines[slot]:
                    if line.kind is FeeKind.CLIENT_FEE:
                        kept[line.release_id] += line.total_minor
                        taxed[line.release_id] += line.tax_minor
                for release_id, total in kept.items():
                    assert taxed[release_id] == plain_tax_within(total, bps)
            self.compared += 1

    def end(self) -> None:
        """All goes back to nothing, then to where it was, then to nothing in parts."""
        for slot in range(3):
            mine = [each for each in self.told if each.slot == slot]
            self._give_all(slot)
            assert not any(any(sums) for sums in _sums(self.lines[slot]).values())
            for each in mine:
                self._keep(each, 0)
            again = take_again(self.price(slot), sum(each.amount_minor for each in mine))
            fees = sum(self.earned[each.release_id] for each in mine)
            self._take(slot, (*again.lines, *move_client_fee(self.price(slot), -fees)))
            for each in mine:
                self._keep(each, each.amount_minor)
            self._check_lines(slot)
            assert sum(line.total_minor for line in self.lines[slot]) == fees + sum(
                sum(each.owed(self, each.amount_minor)[:2]) for each in mine
            )
            self._give_all(slot)
            for each in mine:
                self._keep(each, 0)
            assert not any(any(sums) for sums in _sums(self.lines[slot]).values())
        assert not self.fees.total()

    def _give_all(self, slot: int) -> None:
        sums = _sums(self.lines[slot])
        fees = sums[FeeKind.CLIENT_FEE][1] + sums[FeeKind.CLIENT_FEE][2]
        self._take(slot, move_client_fee(self.price(slot), fees))
        while left := _sums(self.lines[slot])[FeeKind.COMMISSION][0]:
            part = max(self._part(left), left // 3)
            self._take(slot, give_back(self.price(slot), part).lines)

    def _take(self, slot: int, lines: Sequence[FeeLine]) -> None:
        for line in lines:
            _check_storable(line)
            self.pair.take(line)
            assert self.pair.billed_minor >= 0
            assert self.pair.charged_month_minor >= 0
        self.lines[slot] = list(with_lines(self.price(slot), lines).lines)

    def _keep(self, told: Told, kept_minor: int) -> None:
        """The plain books of the pair: what the release keeps now, and the fee of that."""
        owed = told.owed(self, kept_minor)
        moved = owed.fee_minor - self.fees[told.release_id]
        self.billed += kept_minor - told.kept_minor
        self.charged[told.month] += moved
        self.fees[told.release_id] = owed.fee_minor
        told.kept_minor = kept_minor
        self.compared += 1

    def check_pair(self) -> None:
        """The counter is the sum of what stands, and of the newest month's fees."""
        assert self.pair.billed_minor == self.billed
        assert self.pair.charged_month_minor == self.charged[self.pair.month]

    def _check_lines(self, slot: int) -> None:
        """What the lines of each release keep is the plain price of what stands of it."""
        found: dict[UUID, list[int]] = {}
        for line in self.lines[slot]:
            if line.kind is FeeKind.COMMISSION:
                sums = found.setdefault(line.release_id, [0, 0, 0, 0])
                moved = (line.gross_minor, line.fee_minor, line.tax_minor, line.foregone_minor)
                sums[:] = [old + more for old, more in zip(sums, moved, strict=True)]
        for each in self.told:
            if each.slot == slot:
                wanted = [each.kept_minor, *each.owed(self, each.kept_minor)]
                assert found[each.release_id] == wanted, (self.tariff, self.promoted, self.told)

    def _check_bought(self, made: Charge) -> None:
        if self.exchange is None or made.net_minor == 0:
            assert made.paid_minor is None
            return
        bought = self.exchange.mid.bought
        scale = Fraction(10) ** (exponent(bought) - exponent(self.currency))
        paid = made.net_minor * self.exchange.rate * scale
        exact = half_up(paid.numerator, paid.denominator)
        assert (made.paid_minor or 0) == exact
        assert (made.unconverted == "fx.too_small") == (exact == 0)

    def _check_net(self, price: Price, made: Charge) -> None:
        """Who asks for what this payment leaves is asked for enough, and not for a unit more."""
        net = made.net_minor if made.paid_minor is None else made.paid_minor
        if not net or made.unconverted:
            return
        amount = gross_for_net(price, net)
        assert self._paid(price, amount) >= net > self._paid(price, amount - 1), (net, amount)

    def _paid(self, price: Price, amount: int) -> int:
        if not amount:
            return 0
        made = charge(price, amount, fee_earned_minor=0, strict=False)
        return made.net_minor if self.exchange is None else made.paid_minor or 0

    def _pick(self, amounts: Sequence[int]) -> tuple[int, int]:
        slot = self.random.randrange(3)
        mine = (n for each, n in zip(self.told, amounts, strict=True) if each.slot == slot)
        return slot, sum(mine)

    def _part(self, of: int) -> int:
        return min(of, self.random.choice((1, of, self.random.randint(1, of))))


def run_history(random: Random) -> tuple[int, int]:
    """One history; how many payments it had, and how many prices were compared."""
    history = History(random)
    for _ in range(random.randint(1, 6)):
        history.release()
        for step in (history.refund, history.restore, history.move_fee):
            if random.random() < 0.4:
                step()
        history.check_pair()
    history.end()
    history.check_pair()
    return len(history.told), history.compared


def _tax(random: Random, country: str) -> Decision | None:
    if random.random() < 0.3:
        return None
    return Decision(Treatment.DOMESTIC, country, random.choice(TAX_BPS), "", "domestic", None)


def _exchange(random: Random, sold: str) -> Exchange | None:
    if random.random() < 0.6:
        return None
    bought = random.choice([each for each in (*CURRENCIES, "USD") if each != sold])
    mid = Fraction(random.randint(1, 10 ** random.randint(8, 13)), 10**10)
    return Exchange(Rate("fixed", sold, bought, mid, MONTHS[0]), mid, 0)


def _slot_id(slot: int) -> UUID:
    return UUID(int=50 + slot)


def _contract(currency: str) -> Contract:
    return Contract(
        id=CONTRACT,
        client_id=CLIENT,
        payee_id=PAYEE,
        currency=currency,
        state=ContractState.ACTIVE,
        version=1,
        proposed_by=Role.PAYEE,
        terms=Terms(),
        created_at=BEGAN,
    )


_CONTRACTS: Final = {currency: _contract(currency) for currency in CURRENCIES}


def _check_storable(line: FeeLine) -> None:
    """What the database's own constraints on fee lines ask for."""
    if line.kind is FeeKind.COMMISSION:
        assert line.gross_minor
        assert abs(line.fee_minor) <= abs(line.gross_minor) + 1, line
    signed = (line.gross_minor, line.fee_minor, line.tax_minor)
    assert min(signed) >= 0 or max(signed) <= 0, line
    assert line.tax_minor == 0 or (line.tax_country and line.tax_rate_bps > 0), line
    assert min(line.before_minor, line.before_month_minor) >= 0, line


def _check_release(made: Charge, price: Price, lines: Sequence[FeeLine], slot_id: UUID) -> None:
    """Lines and journal entries say what the charge does, and every entry balances."""
    currency = price.pair.currency
    commission = lines[0]
    assert (commission.gross_minor, commission.fee_minor, commission.tax_minor) == (
        made.gross_minor,
        made.commission_minor,
        made.tax_minor,
    )
    assert sum(line.total_minor for line in lines[1:]) == made.fee_earned_minor
    entries = p07_release(
        slot_id=slot_id,
        payee_id=PAYEE,
        currency=currency,
        amount_minor=made.gross_minor,
        commission_minor=made.ours_minor,
        fee_earned_minor=made.fee_earned_minor,
    )
    entries = with_taxes(
        entries,
        currency=currency,
        on_commission=taxes_of(lines[:1]),
        on_client_fee=taxes_of(lines[1:]),
    )
    if made.paid_currency and made.paid_minor:
        entries = with_exchange(
            entries,
            payee_id=PAYEE,
            sold=currency,
            bought=made.paid_currency,
            sold_minor=made.net_minor,
            bought_minor=made.paid_minor,
        )
    paid = (made.paid_currency or currency, made.paid_minor or made.net_minor)
    assert _moved(entries) == Counter(
        {
            ("custody.escrow", currency): made.gross_minor,
            ("custody.due_to_platform", currency): -made.ours_minor,
            ("platform.due_from_custody", currency): made.ours_minor,
            ("platform.deferred_fees", currency): made.fee_earned_minor,
            ("platform.revenue.commission", currency): -made.commission_minor,
            ("platform.revenue.client_fee", currency): made.fee_tax_minor - made.fee_earned_minor,
            ("platform.vat_payable", currency): -made.tax_minor - made.fee_tax_minor,
            ("custody.fx", currency): -made.net_minor if made.paid_currency else 0,
            ("custody.fx", made.paid_currency or "XXX"): made.paid_minor or 0,
            ("custody.earned_pending", paid[0]): -paid[1],
        }
    )


def _check_refund(returned: Returned, amount: int, currency: str) -> None:
    """What comes back is posted as it was charged, the other way round."""
    assert sum(line.gross_minor for line in returned.lines) == -amount
    assert sum(line.fee_minor for line in returned.lines) == -returned.commission_minor
    assert all(line.fee_minor <= 0 and line.tax_minor <= 0 for line in returned.lines)
    tax = sum(returned.tax_minor.values())
    entries = p17_refund_released(
        payee_id=PAYEE,
        client_id=CLIENT,
        currency=currency,
        refunds=((REFUND, amount),),
        to_wallet_minor=0,
        commission_minor=returned.ours_minor,
        fronted_minor=0,
    )
    entries = with_taxes(
        entries,
        currency=currency,
        on_commission=taxes_of(returned.lines),
        on_client_fee={},
    )
    assert _moved(entries) == Counter(
        {
            ("custody.earned_available", currency): amount - returned.ours_minor,
            ("custody.due_from_platform", currency): returned.ours_minor,
            ("custody.refund_in_transit", currency): -amount,
            ("platform.revenue.commission", currency): returned.commission_minor,
            ("platform.vat_payable", currency): tax,
            ("platform.due_to_custody", currency): -returned.ours_minor,
        }
    )


def _moved(entries: Entries) -> Counter[tuple[str, str]]:
    """What each kind of account moves by; every entry balances in its book and currency."""
    found: Counter[tuple[str, str]] = Counter()
    for entry in entries:
        assert sum(line.amount_minor for line in entry.lines) == 0
        assert all(line.amount_minor for line in entry.lines)
        assert {line.account.currency for line in entry.lines} == {entry.currency}
        assert {line.account.kind.partition(".")[0] for line in entry.lines} == {entry.book.value}
        for line in entry.lines:
            found[line.account.kind, line.account.currency] += line.amount_minor
    return found


def _sums(lines: Sequence[FeeLine]) -> dict[FeeKind, list[int]]:
    """Gross, fee, tax and what was forgone of the lines of each kind."""
    found = {kind: [0, 0, 0, 0] for kind in FeeKind}
    for line in lines:
        sums = found[line.kind]
        sums[0] += line.gross_minor
        sums[1] += line.fee_minor
        sums[2] += line.tax_minor
        sums[3] += line.foregone_minor
    return found
