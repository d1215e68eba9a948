"""Many deals at a Stripe where calls fail, webhooks come doubled and in no order, and time jumps.

`play` is one run by its seed: the acts, the faults, the order of webhooks and the blows that kill
its worker's process all come from it. Four deals are led to an end of their own (paid out,
refunded, a chargeback won and one lost), so that no run proves nothing.
"""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from signal import SIGKILL
from typing import Final
from uuid import UUID

from escrow import service as escrow
from escrow.commands import FundingCommand, ReleasePart, SlotCommand, Submit
from tests.doubles.frame import EVERY_KIND, Fault, Order
from tests.doubles.stripe_double.world import PLATFORM
from tests.scenarios import worker_process
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
JUMPS: Final = ({"hours": 1}, {"hours": 25}, {"days": 3}, {"days": 7})
SURE: Final = ("leap_25_hours", "leap_7_days", "leap_90_days", "strike", "strike")
"""What happens in each run, at moments that its seed draws."""
MOST_STEPS: Final = 240
"""So often, six hours each, it is looked whether the led deals have come to their ends."""
HELD_S: Final = 10.0
"""How long at most a blow waits for the call in whose middle it falls."""
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
    acts: int = 30
    fault_share: float = 0.2
    dice: random.Random = field(init=False)
    deals: list[Deal] = field(default_factory=list)
    methods: dict[UUID, UUID] = field(default_factory=dict)
    currencies: dict[UUID, str] = field(default_factory=dict)
    happened: Counter[str] = field(default_factory=Counter)
    led_cases: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)

    def begin(self) -> None:
        """Disorder from here on; each kind of fault once for sure, and webhooks are lost."""
        double = self.backend.double
        double.faults.plan(rate=self.fault_share, seed=self.seed)
        double.deliveries.order = Order.SHUFFLE
        double.deliveries.duplicate = 0.3
        double.deliveries.drop = 1.0
        for kind in EVERY_KIND:
            double.faults.force(kind)

    def play(self) -> None:
        """The acts, and then calm: no more faults, and whatever is left is heard."""
        self.world.bring_capital(10_000_000, *AMOUNTS)
        self.begin()
        led = self.led()
        self.lead(led, minutes=2)
        self.backend.double.deliveries.drop = 0.1
        moments = dict(zip(self.dice.sample(range(self.acts), len(SURE)), SURE, strict=True))
        for number in range(self.acts):
            self.act(moments.get(number, ""))
            for _ in range(self.dice.randint(0, 2)):
                self.world.round()
            next(led, None)
        self.lead(led, hours=6)
        self.calm()

    def lead(self, led: Iterator[str], **by: float) -> None:
        """Lead the deals on while time passes, until they have come to their next stage."""
        stage = next(led, "over")
        for number in range(MOST_STEPS):
            self.leap(**by)
            self.world.ask_again()
            self.world.round()
            if number % 4 == 3:
                self.world.settle(1)
            following = next(led, "over")
            if following == "over" or (following != stage and "minutes" in by):
                return

    def act(self, name: str = "") -> None:
        """One thing that somebody does, or that time does."""
        name = name or self.dice.choice(ACTS)
        if name in SURE:
            self.happened[name] += 1
            getattr(self, name)()
        elif name == "meet" or not self.deals:
            self.meet()
        elif name == "wait":
            self.leap(**self.dice.choice(JUMPS))
        else:
            getattr(self, name)(self.dice.choice(self.deals))

    def leap(self, **by: float) -> None:
        """Time passes. Before it does, Stripe's list of events was read, as in every minute.

        Stripe keeps its events for thirty days: nobody's list is left unread for so long.
        """
        faults = self.backend.double.faults
        faults.plan(rate=0)
        self.world.fill_gaps()
        faults.plan(rate=self.fault_share)
        self.world.pass_time(**by)

    def leap_25_hours(self) -> None:
        """More than a day, so that Stripe has forgotten our keys."""
        self.leap(hours=25)

    def leap_7_days(self) -> None:
        """A week."""
        self.leap(days=7)

    def leap_90_days(self) -> None:
        """Longer than Stripe lets money stay."""
        self.leap(days=90)

    def strike(self) -> None:
        """Kill a worker's process while it calls Stripe or soon after, and let another go on.

        The call that it was in the middle of is worked all the same.
        """
        self.meet()
        self.world.try_pay(self.deals[-1], "pm_card_visa")
        faults, url = self.backend.double.faults, self.world.engine.url
        where = url.render_as_string(hide_password=False), self.backend.double.url
        struck = worker_process.start(*where, self.world.tenant.name)
        for _ in range(self.dice.randint(1, 3)):
            faults.force(Fault.HOLD, method="POST")
            is_held = faults.held.acquire(timeout=HELD_S)
            faults.forget()
            self.happened["calls cut"] += is_held
            if self.dice.random() < 0.5:
                break
            faults.release()
        struck.join(self.dice.choice((0.0, 0.05, 0.3)))
        struck.kill()
        struck.join()
        faults.release()
        self.happened["kills"] += struck.exitcode == -SIGKILL
        following = worker_process.start(*where, self.world.tenant.name)
        for _ in range(40):
            self.backend.deliver(self.world.take)
            following.join(0.05)
            if not self.world.is_waiting():
                break
        following.terminate()
        following.join()
        self.happened["ended well"] += following.exitcode == 0

    def led(self) -> Iterator[str]:
        """Four deals that come to their ends, however long it takes; a step between two acts."""
        paid, refunded, won, lost = [
            self.world.deal(AMOUNTS[currency][1] // 10 * 10, currency=currency)
            for currency in ("KWD", "JPY", "EUR", "EUR")
        ]
        method_id = self.world.open_account(paid.payee)
        for deal in (paid, refunded, won, lost):
            self.world.pay(deal, "pm_card_bypassPending")
        while not all(self.holds(deal) for deal in (paid, refunded, won, lost)):
            yield "unpaid"
        self.work(paid)
        self.approve(paid)
        self.give_back(refunded)
        self.led_cases += (cases := [self.dispute(won), self.dispute(lost)])
        while not self.world.account_of(paid.payee):
            yield "paid"
        self.verify(paid)
        yield "disputed"
        for case, word in zip(cases, ("won", "lost"), strict=True):
            self.backend.double.move_dispute(case, word)
        while not (there := -self.world.balance("custody.earned_available", "KWD", paid.payee_id)):
            yield "earning"
        payout_id = None
        while payout_id is None:
            payout_id = self.world.try_pay_out(paid.payee, method_id, there - there % 10, "KWD")
            yield "asking"
        while self.world.state_of(payout_id) != "paid":
            yield "cashing"

    def holds(self, deal: Deal) -> bool:
        """Whether a deal's money is there."""
        return any(
            self.world.balance("custody.escrow", currency, deal.slot_id) for currency in AMOUNTS
        )

    def dispute(self, deal: Deal) -> str:
        """The cardholder's bank takes a deal's payment back; its name of the case."""
        ledger = self.backend.double.world.ledger(PLATFORM)
        (charge,) = [
            charge["id"]
            for charge in ledger.all_of("charge")
            if charge["metadata"].get("op_id") == str(deal.funding_ids[-1])
        ]
        return str(self.backend.double.dispute(charge)["id"])

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
        cases = [
            case
            for case in ledger.all_of("dispute")
            if case["status"] in OPEN and case["id"] not in self.led_cases
        ]
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
