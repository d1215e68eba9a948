"""Many deals at a Stripe where calls fail, webhooks come doubled and in no order, and time jumps.

`play` is one run by its seed: the acts, the faults and the order of webhooks all come from it.
"""

import random
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from escrow import service as escrow
from escrow.commands import FundingCommand, ReleasePart, SlotCommand, Submit
from tests.doubles.frame import Order
from tests.doubles.stripe_double.world import PLATFORM
from tests.scenarios.doubled import Doubled
from tests.scenarios.world import Deal, World

METHODS: Final = (
    *["pm_card_visa"] * 6,
    "pm_card_bypassPending",
    "pm_card_chargeDeclined",
    "pm_card_createDispute",
    "pm_card_refundFail",
    "pm_success_de",
    "pm_failed_de",
)
BANKS: Final = ("success", "success", "fail_after_paid", "account_closed")
JUMPS: Final = ({"hours": 1}, {"hours": 25}, {"days": 3}, {"days": 7}, {"days": 90})
AMOUNTS: Final = {"EUR": (1_000, 99_999), "JPY": (1_000, 99_999), "KWD": (10_00, 99_990)}
OPEN: Final = frozenset({"warning_needs_response", "needs_response", "under_review"})
ACTS: Final = (
    *["meet", "pay", "pay", "pay", "verify", "verify", "work", "work", "approve", "approve"],
    *["cash", "cash", "wait", "wait", "wait", "part", "give_back", "call_off", "bank"],
    "cardholder",
)


@dataclass
class Run:
    """One run: its world, its dice, and what became of people."""

    world: World
    backend: Doubled
    seed: int
    acts: int = 60
    fault_share: float = 0.2
    dice: random.Random = field(init=False)
    deals: list[Deal] = field(default_factory=list)
    methods: dict[UUID, UUID] = field(default_factory=dict)
    currencies: dict[UUID, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)

    def begin(self) -> None:
        """Faults, disorder, and time in uneven steps from here on."""
        double = self.backend.double
        double.faults.plan(rate=self.fault_share, seed=self.seed)
        double.deliveries.order = Order.SHUFFLE
        double.deliveries.duplicate = 0.3
        double.deliveries.drop = 0.1

    def play(self) -> None:
        """The acts, and then calm: no more faults, and whatever is left is heard."""
        self.world.bring_capital(10_000_000, *AMOUNTS)
        self.begin()
        for _ in range(self.acts):
            self.act()
            for _ in range(self.dice.randint(0, 2)):
                self.world.round()
        self.calm()

    def act(self) -> None:
        """One thing that somebody does, or that time does."""
        name = self.dice.choice(ACTS)
        if name == "meet" or not self.deals:
            self.meet()
        elif name == "wait":
            self.world.pass_time(**self.dice.choice(JUMPS))
        else:
            getattr(self, name)(self.dice.choice(self.deals))

    def meet(self) -> None:
        """A new deal, whose payee has an account at Stripe."""
        currency = self.dice.choice(list(AMOUNTS))
        low, high = AMOUNTS[currency]
        deal = self.world.deal(self.dice.randint(low // 10, high // 10) * 10, currency=currency)
        self.currencies[deal.slot_id] = currency
        self.deals.append(deal)
        self.methods[deal.payee_id] = self.world.open_account(deal.payee)

    def pay(self, deal: Deal) -> None:
        """The client pays, well or badly."""
        self.world.try_pay(deal, self.dice.choice(METHODS))

    def verify(self, deal: Deal) -> None:
        """Stripe knows the payee now."""
        account = self.world.account_of(deal.payee)
        if account:
            self.backend.double.verify(account)

    def work(self, deal: Deal) -> None:
        """The payee hands in."""
        self.world.call(
            escrow.submit, Submit(actor=deal.payee, slot_id=deal.slot_id, message_ref="done")
        )

    def approve(self, deal: Deal) -> None:
        """The client is content."""
        self.world.call(escrow.approve, SlotCommand(actor=deal.client, slot_id=deal.slot_id))

    def part(self, deal: Deal) -> None:
        """The client releases a little of it."""
        self.world.call(
            escrow.release_part,
            ReleasePart(actor=deal.client, slot_id=deal.slot_id, amount_minor=500),
        )

    def give_back(self, deal: Deal) -> None:
        """The payee gives all back that is not released."""
        self.world.call(escrow.give_back, SlotCommand(actor=deal.payee, slot_id=deal.slot_id))

    def call_off(self, deal: Deal) -> None:
        """The client gives his last payment up."""
        for funding_id in deal.funding_ids[-1:]:
            self.world.call(
                escrow.cancel_funding, FundingCommand(actor=deal.client, funding_id=funding_id)
            )

    def cash(self, deal: Deal) -> None:
        """The payee asks for all that he may have."""
        currency = self.currencies[deal.slot_id]
        there = -self.world.balance("custody.earned_available", currency, deal.payee_id)
        there -= there % 10
        if there > 0:
            self.world.try_pay_out(deal.payee, self.methods[deal.payee_id], there, currency)

    def bank(self, deal: Deal) -> None:
        """The payee's bank becomes what it is from now on."""
        account = self.world.account_of(deal.payee)
        if account:
            self.backend.double.bank(account, does=self.dice.choice(BANKS))

    def cardholder(self, deal: Deal) -> None:
        """The cardholder's bank opens a case, or moves one on."""
        double, ledger = self.backend.double, self.backend.double.world.ledger(PLATFORM)
        cases = [case for case in ledger.all_of("dispute") if case["status"] in OPEN]
        if cases and self.dice.random() < 0.7:
            case = self.dice.choice(cases)
            is_warning = case["status"].startswith("warning")
            words = ("warning_closed", "escalated") if is_warning else ("won", "lost")
            double.move_dispute(case["id"], self.dice.choice(words))
            return
        taken = {case["charge"] for case in ledger.all_of("dispute")}
        for charge in ledger.all_of("charge"):
            is_ours = charge["metadata"].get("op_id") in {str(each) for each in deal.funding_ids}
            if is_ours and charge["status"] == "succeeded" and charge["id"] not in taken:
                double.dispute(charge["id"], warning=self.dice.random() < 0.3)
                return

    def calm(self) -> None:
        """No more faults; whatever is left is heard."""
        self.backend.double.faults.plan(rate=0)
        self.backend.double.deliveries.drop = 0
        for _ in range(5):
            self.world.ask_again()
            self.world.settle()
            self.world.pass_time(hours=30)
        self.world.settle()
