"""Every kind of contract in one market: how an act is run, and held against the model.

Each act says who may and whether it may be done now, by what the tables showed before it, and what
it does to accounts and slots in arithmetic of our own. What it does not say does not change.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Final
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from engine.handlers import TIMERS
from escrow import service
from escrow.model import Terms
from kernel import timers
from kernel.commands import Outcome
from kernel.ids import new_id
from kernel.principals import Actor, PrincipalKind
from rails.model import OperationKind, RailOutcome, RailResult
from tests.escrow.stage import START, Stage, add_party, person, prove_books
from tests.model import parts
from tests.model.acts import Act
from tests.model.books import Books
from tests.model.parts import Effect
from tests.model.prices import PriceBook
from tests.model.sight import SUMS, Row, Sight, look

IDLE: Final = 4_096
NO_GRACE: Final = timedelta()
MOST: Final = 0.85
CLOSE: Final = 8
OPEN_FUNDING: Final = ("created", "processing", "requires_action")


Said = Effect | Callable[[Sight], Effect]
"""An effect, or what says it once one sees how the rows stand now: where only states tell."""


@dataclass(frozen=True)
class Side:
    """A party of the market, signed in."""

    actor: Actor

    @property
    def id(self) -> str:
        return str(self.actor.party_id)


class Bazaar(RuleBasedStateMachine):
    """The ground of the market: two clients, two payees, three operators, one currency."""

    acts: tuple[Act, ...] = ()
    focus = ""

    def __init__(self, opened: AbstractContextManager[Books], tally: Counter[str]) -> None:
        super().__init__()
        self._opened = opened
        self.books = opened.__enter__()
        self.connection = self.books.connection
        self.tally = tally
        self.story: list[str] = []
        self.at = START
        self.has_failed = False
        self.recovery_bps = 2_500
        self.fronts = False
        self.loose: set[str] = set()
        self.prices = PriceBook(lambda: self.at)

    def teardown(self) -> None:
        try:
            if self.story and not self.has_failed:
                self.books.check_deferred()
                prove_books(self.connection)
        finally:
            self._opened.__exit__(None, None, None)

    @initialize(roll=st.integers(0, 2**24 - 1))
    def begin(self, roll: int) -> None:
        """People who are verified, and a deal of every kind."""
        self.has_failed = True
        dice = Random(roll)
        self.books.make_sandbox(int(self.at.timestamp()))
        self.currency = dice.choice(("EUR", "EUR", "JPY", "KWD"))
        self.clients = [Side(person(add_party(self.connection, "client"))) for _ in range(2)]
        self.payees = [Side(person(add_party(self.connection, "freelancer"))) for _ in range(2)]
        self.operators = [person(None, is_operator=True) for _ in range(3)]
        self.program = Actor(new_id(), PrincipalKind.KEY, None, is_operator=True)
        self.story.append(f"a market in {self.currency}")
        for client in self.clients:
            stage = Stage(self.connection, self.currency)
            stage.client = client.actor
            stage.fill_wallet(dice.choice((1_000, 5_000, 200_000)))
        self.now = look(self.connection, self.prices, self.currency)
        self.prices.accept(self.rows("contract"))
        self.set_up(dice)
        for number in dice.sample(range(3), 3):
            self.open_deal(number, dice)
        self.has_failed = False

    def set_up(self, dice: Random) -> None:
        """Set rules, now and then."""

    def open_deal(self, number: int, dice: Random) -> None:
        """Make a deal of the given kind."""

    @rule(roll=st.integers(0, 2**24 - 1))
    def step(self, roll: int) -> None:
        """One act of those that make sense now, drawn by weight, with all that it needs."""
        if roll < IDLE:
            return
        self.tally["acts"] += 1
        # numbers come again and again: what they draw depends on where they come
        roll += len(self.story) << 24
        order = Random(roll)
        ranked = sorted(self.acts, key=lambda each: -(order.random() ** (1 / self._weight(each))))
        chosen = next(each for each in ranked if each.when(self))
        dice = Random(roll + 1)
        drawn = {name: draw(dice) for name, draw in chosen.draws.items()}
        self.has_failed = True
        self.let_pass(dice.randint(1, 50), dice)
        chosen.do(self, dice.getrandbits(16), **drawn)
        self.has_failed = False

    def _weight(self, given: Act) -> float:
        """A market may look more closely at one matter, so that rare acts find their turn."""
        is_close = given.do.__module__ == self.focus or given.name == "wait"
        return given.weight * (CLOSE if is_close else 1)

    # -- what an act stands on

    def rows(self, table: str, likely: Callable[[Row], object] = bool) -> list[Row]:
        return self.now.all_of(table, likely)

    def pick(self, table: str, likely: Callable[[Row], object], number: int) -> Row | None:
        """One of the likely rows, but now and then any."""
        every = self.rows(table)
        some = self.rows(table, likely) if number % 9 != 8 else every
        some = some or every
        return some[number // 9 % len(some)] if some else None

    def contract_of(self, subject_id: str) -> str:
        """Whose money a slot, a dispute, a release, ... is; nothing if it is no such thing."""
        for table in _IN_CONTRACTS:
            for row in self.rows(table, lambda row: row["id"] == subject_id):
                return str(row["id"] if table == "contract" else row["contract_id"])
        return ""

    def deal_of(self, row: Row) -> Row:
        return self.now.one("contract", id=row["contract_id"])

    def as_party(self, party_id: str) -> Actor:
        for each in (*self.clients, *self.payees):
            if each.id == party_id:
                return each.actor
        return person(UUID(party_id))

    def anyone(self, right: Actor, number: int) -> Actor:
        """The right one, but now and then somebody else."""
        if number % 8 != 7:
            return right
        others = [each.actor for each in (*self.clients, *self.payees)] + self.operators
        return others[number // 8 % len(others)]

    def terms(self, dice: Random) -> Terms:
        return Terms(
            commission_bps=dice.choice((1_000, 1_250, 3_333, 0)),
            client_fee_bps=dice.choice((300, 0, 77)),
            security_hold_days=dice.choice((5, 5, 0, 14)),
            auto_release_after=timedelta(days=dice.choice((3, 14))),
            dormant_after=timedelta(days=360),
        )

    # -- how an act is run

    def run(
        self,
        name: str,
        verb: Callable[..., Sequence[Outcome]],
        command: object,
        *,
        may: object,
        effect: Said | None = None,
        told: str = "",
    ) -> Outcome:
        """Give one command to a service; `may`: whether it is done, None: the model cannot say."""
        if self.loose & {self.contract_of(name) for name in _named(command)}:
            may, effect = None if may else may, parts.untold()
        with self.connection.begin_nested():
            (outcome,) = verb(self.connection, [command], at=self.at)
        self.tally[f"{name} {outcome.code}"] += 1
        self.story.append(f"{self.at:%m-%d %H:%M} {name} {told} -> {outcome.code}")
        if may is not None and bool(may) != outcome.is_done:
            self.fail(f"{outcome} where {'done' if may else 'a refusal'} was expected")
        self.compare((effect or Effect()) if outcome.is_done else Effect())
        return outcome

    def compare(self, said: Said) -> None:
        """What there is now is what was, and the effect; then it is what was."""
        before = self.now
        self.now = look(self.connection, self.prices, self.currency)
        if wrong := self.prices.accept(self.rows("contract")):
            self.fail("\n".join(wrong))
        effect = said if isinstance(said, Effect) else said(self.now)
        for slot in self.rows("slot"):
            owed = slot["held_minor"] - slot["disputed_minor"]
            frozen = self.now.balance("custody.escrow_disputed", slot["id"])
            if (owed, slot["disputed_minor"]) != (
                self.now.balance("custody.escrow", slot["id"]),
                frozen,
            ):
                self.fail(f"the books do not hold what the slot says: {slot}")
        if not effect.is_told:
            self.tally["untold"] += 1
            told = {key: before.accounts[key] + each for key, each in effect.accounts.items()}
            self._same("account", Counter(told), Counter({k: self.now.accounts[k] for k in told}))
            return
        expected = Counter(before.accounts)
        for key, amount in effect.accounts.items():
            expected[key] += amount
        self._same("account", expected, self.now.accounts)
        sums = before.sums()
        for slot_id, seen in self.now.sums().items():
            wanted = Counter(sums.get(slot_id, dict.fromkeys(SUMS, 0)))
            for name, amount in effect.slots.get(slot_id, {}).items():
                wanted[name] += amount
            self._same(f"slot {slot_id}", wanted, Counter(seen))

    def _same(self, what: str, wanted: Counter[str], seen: Counter[str]) -> None:
        wrong = [
            f"{what} {key}: {seen[key]} instead of {wanted[key]}"
            for key in sorted({*wanted, *seen})
            if wanted[key] != seen[key]
        ]
        if wrong:
            self.fail("\n".join(wrong))

    def fail(self, what: str) -> None:
        self.has_failed = True
        story = "\n".join(f"  {line}" for line in self.story)
        raise AssertionError(f"\n{story}\n{what}")

    # -- what happens by itself

    def let_pass(self, seconds: float, dice: Random) -> None:
        """Time passes; every clock that falls due rings at its time, one by one.

        The rail answers most charges at once.
        """
        until = self.at + timedelta(seconds=seconds)
        while due := timers.list_due(self.connection, at=until, limit=1, grace=NO_GRACE):
            self.at = max(self.at, due[0].due_at)
            kind = due[0].kind.partition(".")[2]
            subject = due[0].subject.partition(":")[2]
            is_loose = self.contract_of(subject) in self.loose
            effect = parts.untold() if is_loose else self.rings(kind, subject)
            self.story.append(f"{self.at:%m-%d %H:%M} clock {kind}")
            with self.connection.begin_nested():
                fired = TIMERS[due[0].kind](self.connection, due, self.at)
            self.tally[f"clock {kind}"] += fired
            self.compare(effect)
            for funding in self.rows("funding", lambda row: row["state"] in OPEN_FUNDING):
                if funding["slot_id"] and dice.random() < MOST:
                    is_paid = dice.random() < MOST
                    outcome = RailOutcome.DONE if is_paid else RailOutcome.REFUSED
                    self.hear_funding(funding, outcome, dice.randrange(50))
        self.at = until

    def rings(self, kind: str, subject: str) -> Said:
        """What a clock does; nothing to money, where no model says otherwise."""
        handler = getattr(self, f"rings_{kind}", None)
        return handler(subject) if handler else Effect()

    def hear_funding(self, funding: Row, outcome: RailOutcome, rail_fee: int) -> Outcome:
        result = RailResult(
            operation_id=UUID(funding["id"]),
            kind=OperationKind.FUND,
            subject=f"funding:{funding['id']}",
            outcome=outcome,
            amount_minor=funding["amount_minor"] + funding["client_fee_minor"],
            currency=self.currency,
            fee_minor=rail_fee,
            occurred_at=self.at,
            cleared=True,
        )
        is_done = outcome is RailOutcome.DONE
        effect = self.paid(funding, rail_fee) if is_done else Effect()
        return self.run("funding result", service.funding_results, result, may=True, effect=effect)

    def paid(self, funding: Row, rail_fee: int) -> Effect:
        """What a payment that came does."""
        return parts.funded(funding, rail_fee=rail_fee)


_IN_CONTRACTS: Final = (
    *("contract", "slot", "dispute", "release", "funding", "work_week", "line_dispute"),
    *("retainer", "retainer_period", "time_entry", "chargeback"),
)
"""Tables whose rows name the contract that they belong to."""


def _named(command: object) -> Iterator[str]:
    """The ids that a command or a word names."""
    for name in dir(command):
        if name.endswith("_id"):
            yield str(getattr(command, name))


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


__all__ = ["Bazaar", "Side", "Stage", "moment"]
