"""A long walk at the Stripe double by a seeded die: whatever happens, its money and shapes hold."""

import random
from collections.abc import Callable
from typing import Any

import pytest
import stripe

from tests.doubles.fixtures import stripe_double
from tests.doubles.stripe_double.double import StripeDouble
from tests.doubles.stripe_double.payments import METHODS
from tests.doubles.stripe_double.world import PLATFORM, Obj
from tests.doubles.stripe_scenes import a_payee, a_payment

__all__ = ["stripe_double"]

CURRENCIES = ("jpy", "eur", "kwd")


class Walk:
    """One thing after the other, by people, banks and time."""

    def __init__(self, double: StripeDouble, seed: int) -> None:
        self.double = double
        self.client = double.client()
        self.dice = random.Random(seed)
        self.payees = [a_payee(double) for _ in range(3)]
        self.done = 0

    def step(self) -> None:
        acts: list[Callable[[], object]] = [
            self.pay,
            self.pay,
            self.capture,
            self.transfer,
            self.transfer,
            self.reverse,
            self.refund,
            self.pay_out,
            self.dispute,
            self.move_dispute,
            self.top_up,
            self.reserve,
            self.bank,
            self.pass_time,
            self.pass_time,
        ]
        try:
            self.dice.choice(acts)()
            self.done += 1
        except stripe.StripeError as refused:
            if refused.http_status not in {400, 402}:
                raise

    def any_of(self, kind: str, account: str = PLATFORM) -> Obj | None:
        found = [*self.double.world.ledger(account).all_of(kind)]
        return self.dice.choice(found) if found else None

    def amount(self) -> int:
        return self.dice.randint(50, 3_000) * 10

    def pay(self) -> None:
        method, currency = self.dice.choice(sorted(METHODS)), self.dice.choice(CURRENCIES)
        capture = self.dice.choice(["automatic", "manual"])
        if METHODS[method].kind != "card":
            capture = "automatic"
        a_payment(self.double, self.amount(), currency, method=method, capture_method=capture)

    def capture(self) -> None:
        if intent := self.any_of("payment_intent"):
            part = max(10, intent["amount_capturable"] // 20 * 10)
            self.client.v1.payment_intents.capture(intent["id"], {"amount_to_capture": part})

    def transfer(self) -> None:
        params: Any = {"amount": self.amount(), "destination": self.dice.choice(self.payees)}
        charge = self.any_of("charge")
        params["currency"] = self.dice.choice(CURRENCIES)
        if charge is not None and self.dice.random() < 0.7:
            params |= {"source_transaction": charge["id"], "currency": charge["currency"]}
        self.client.v1.transfers.create(params)

    def reverse(self) -> None:
        if transfer := self.any_of("transfer"):
            self.client.v1.transfers.reversals.create(transfer["id"], {"amount": 500})

    def refund(self) -> None:
        if charge := self.any_of("charge"):
            self.client.v1.refunds.create({"charge": charge["id"], "amount": 500})

    def pay_out(self) -> None:
        account = self.dice.choice([PLATFORM, *self.payees])
        options: Any = {} if account == PLATFORM else {"stripe_account": account}
        method = self.dice.choice(["standard", "instant"])
        params: Any = {"amount": self.amount(), "currency": self.dice.choice(CURRENCIES)}
        params["method"] = method
        self.client.v1.payouts.create(params, options)

    def dispute(self) -> None:
        charge = self.any_of("charge")
        if charge and charge["status"] == "succeeded" and charge["captured"]:
            self.double.dispute(charge["id"], warning=self.dice.random() < 0.3)

    def move_dispute(self) -> None:
        dispute = self.any_of("dispute")
        if dispute and dispute["status"] in {"needs_response", "won", "lost"}:
            words = ("won", "lost", "under_review", "appeal_needs_response")
            self.double.move_dispute(dispute["id"], self.dice.choice(words))

    def top_up(self) -> None:
        currency = self.dice.choice(CURRENCIES)
        self.client.v1.topups.create({"amount": self.amount(), "currency": currency})

    def reserve(self) -> None:
        self.double.reserve(100, self.dice.choice(CURRENCIES))

    def bank(self) -> None:
        does = self.dice.choice(["success", "account_closed", "fail_after_paid"])
        self.double.bank(self.dice.choice(self.payees), does=does)

    def pass_time(self) -> None:
        self.double.advance(hours=self.dice.choice([1, 25, 50, 200]))


@pytest.mark.parametrize("seed", range(3))
def test_nothing_breaks_on_a_long_walk(stripe_double: StripeDouble, seed: int) -> None:
    """Every answer and event keeps to the contract, money is where it was put, none is made."""
    walk = Walk(stripe_double, seed)

    for _ in range(150):
        walk.step()
        stripe_double.balances()
    stripe_double.advance(days=30)

    assert walk.done > 50
    assert not stripe_double.violations()
    for currency in CURRENCIES:
        assert _all_money(stripe_double, currency) == _from_outside(stripe_double, currency)


def _all_money(double: StripeDouble, currency: str) -> int:
    """What lies in all accounts."""
    held = [money.get(currency, {}) for money in double.balances().values()]
    return sum(sum(each.values()) for each in held)


def _from_outside(double: StripeDouble, currency: str) -> int:
    """What came in and went out by the objects, without a look at balance transactions."""
    world, total = double.world, 0
    objects = [one for ledger in world.ledgers.values() for one in ledger.objects.values()]
    for one in objects:
        if one.get("currency") == currency:
            total += _brought(one)
    moved = [one for one in objects if one["object"] == "balance_transaction"]
    fees: list[int] = [one["fee"] for one in moved if one["currency"] == currency]
    return total - sum(fees)


def _brought(one: Obj) -> int:
    """What an object brought from outside Stripe, or took there (below zero)."""
    kind, status = one["object"], str(one.get("status"))
    if kind == "charge" and "source_transfer" not in one and one["balance_transaction"]:
        return int(one["amount_captured"])
    if kind == "refund" and status == "succeeded":
        return -int(one["amount"])
    if kind == "payout" and status not in {"failed", "canceled"}:
        return -int(one["amount"])
    if kind == "topup" and status == "succeeded":
        return int(one["amount"])
    if kind == "dispute" and not status.startswith("warning"):
        is_out = len(one["balance_transactions"]) % 2 == 1
        return -int(one["amount"]) if is_out else 0
    return 0
