"""A story in a file, played at whatever Stripe there is: each step, then rounds until it is true.

At the double an `until` that is not true yet lets its clock run; in a sandbox the real time passes.
"""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from escrow import service as escrow
from escrow import store
from escrow.commands import SlotCommand
from kernel.database import snapshot
from kernel.money import parse_minor
from tests.scenarios.world import Deal, World

STORIES: Final = Path(__file__).parent / "stories"
LOOKS: Final = 40
"""How often a step is looked at before it counts as failed."""

_REFUNDED: Final = """
SELECT bool_and(refund.state = 'succeeded') FROM refund
JOIN funding ON funding.id = refund.funding_id
WHERE funding.id = ANY (%s)
"""

Step = Mapping[str, Any]


@dataclass
class Teller:
    """Plays the steps of a story in a world."""

    world: World
    currency: str
    tell: Callable[[str], None]
    deals: dict[str, Deal] = field(default_factory=dict)
    methods: dict[str, UUID] = field(default_factory=dict)
    payouts: dict[str, UUID] = field(default_factory=dict)

    def play(self, steps: list[Step]) -> None:
        """Each step in its order; AssertionError names the one that did not come true."""
        for number, step in enumerate(steps, 1):
            verb = step["do"].replace(" ", "_")
            getattr(self, f"do_{verb}")(step)
            self.world.settle()
            if "until" in step:
                self._wait_for(number, step)
            self.tell(f"{number:>3}  {step['do']} {step.get('deal', '')} {step.get('until', '')}")

    def _wait_for(self, number: int, step: Step) -> None:
        is_true = getattr(self, f"is_{step['until']}")
        for _ in range(LOOKS):
            if is_true(step["deal"]):
                return
            self.world.pass_time(hours=6)
            self.world.settle()
        raise AssertionError(f"step {number}: {step['deal']} is not {step['until']}")

    def do_meet(self, step: Step) -> None:
        """A contract of one milestone."""
        amount = parse_minor(step["amount"], self.currency)
        self.deals[step["deal"]] = self.world.deal(amount, currency=self.currency)

    def do_pay(self, step: Step) -> None:
        """The client pays by a test method of Stripe's."""
        self.world.pay(self.deals[step["deal"]], step["method"])

    def do_open_account(self, step: Step) -> None:
        """The payee has an account at Stripe, and Stripe knows who he is."""
        deal = self.deals[step["deal"]]
        self.methods[step["deal"]] = self.world.open_account(deal.payee)
        self.world.settle()
        self.world.backend.make_known(self.world.account_of(deal.payee))

    def do_work(self, step: Step) -> None:
        """The payee hands in."""
        self.world.submit(self.deals[step["deal"]])

    def do_approve(self, step: Step) -> None:
        """The client is content."""
        self.world.approve(self.deals[step["deal"]])

    def do_give_back(self, step: Step) -> None:
        """The payee gives back what is not released."""
        deal = self.deals[step["deal"]]
        self.world.do(escrow.give_back, SlotCommand(actor=deal.payee, slot_id=deal.slot_id))

    def do_wait(self, step: Step) -> None:
        """Time passes for the deal."""
        self.world.pass_time(days=step["days"])

    def do_cash(self, step: Step) -> None:
        """The payee asks for his money."""
        deal, amount = self.deals[step["deal"]], parse_minor(step["amount"], self.currency)
        self.payouts[step["deal"]] = self.world.pay_out(
            deal.payee, self.methods[step["deal"]], amount, self.currency
        )

    def is_funded(self, name: str) -> bool:
        """The slot holds the money."""
        return self._slot(name) == "funded"

    def is_released(self, name: str) -> bool:
        """The money is the payee's."""
        return self._slot(name) == "released"

    def is_declined(self, name: str) -> bool:
        """The payment failed, and the slot waits for another."""
        with snapshot(self.world.engine, self.world.tenant) as connection:
            found = store.find_fundings(connection, self.deals[name].funding_ids)
        return [each.state.value for each in found] == ["failed"]

    def is_refunded(self, name: str) -> bool:
        """The client has his money back."""
        with snapshot(self.world.engine, self.world.tenant) as connection:
            found = connection.exec_driver_sql(_REFUNDED, (self.deals[name].funding_ids,))
            return bool(found.scalar_one())

    def is_paid(self, name: str) -> bool:
        """The payee's bank has the money."""
        return self.world.state_of(self.payouts[name]) == "paid"

    def _slot(self, name: str) -> str:
        with snapshot(self.world.engine, self.world.tenant) as connection:
            return store.find_slots(connection, [self.deals[name].slot_id])[0].state.value


def play(world: World, path: Path, tell: Callable[[str], None]) -> None:
    """Play a file's story to its end."""
    told = tomllib.loads(path.read_text(encoding="utf-8"))
    world.bring_capital(100_000, told["currency"])
    Teller(world, told["currency"], tell).play(told["steps"])
