"""Runs a command on both sides and compares: what it answered, and everything there is after it."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn
from uuid import UUID

from kernel.commands import Outcome
from kernel.ids import new_id
from kernel.money import format_minor
from kernel.principals import Actor as Principal
from kernel.principals import PrincipalKind
from tests.model import clocks
from tests.model.books import Books, moment
from tests.model.lines import lines
from tests.model.model import Actor, Party, Reasons, World

START: Final = 1_772_442_000
"""Monday, 2 March 2026, nine o'clock."""

_PRINCIPAL: Final = UUID(int=7)
_STRANGER: Final = UUID(int=8)

Verb = Callable[..., Sequence[Outcome]]


@dataclass
class Driver:
    """Both worlds side by side, the story so far, and a tally of what was done and refused."""

    books: Books
    tally: Counter[str]
    world: World = field(default_factory=lambda: World(START))
    story: list[str] = field(default_factory=list)
    has_failed: bool = False

    def open(self) -> None:
        self.books.make_sandbox(self.world.now)

    def run(
        self,
        name: str,
        verb: Verb,
        asked: Sequence[tuple[Any, Reasons]],
        told: str,
        *,
        learn: Callable[[Outcome], None] | None = None,
    ) -> None:
        """Give commands to a service and compare its answers with the model's, then everything.

        `asked` are the commands with what the model has against each, already done in the model;
        `learn` takes what only the answers tell, such as an id.
        """
        before = self.books.count_events()
        commands = [command for command, _ in asked]
        self.say(told)
        with self.books.connection.begin_nested():
            outcomes = verb(self.books.connection, commands, at=self.at)
        codes = [outcome.code for outcome in outcomes]
        self.story[-1] += f" -> {', '.join(codes)}"
        for (_, reasons), outcome in zip(asked, outcomes, strict=True):
            self.tally[f"{name} {outcome.code}"] += 1
            expected = reasons or {"done"}
            self.expect(outcome.code in expected, f"{outcome} instead of {sorted(expected)}")
            if learn is not None and outcome.is_done:
                learn(outcome)
        wrote = self.books.count_events() - before
        self.expect(bool(wrote) == ("done" in codes), f"{codes} wrote {wrote} events")
        self.check()

    @property
    def at(self) -> Any:
        return moment(self.world.now)

    def wait(self, seconds: int) -> None:
        """Let time pass; every clock that falls due on the way rings at its own time."""
        until = self.world.now + seconds
        rang = False
        while (due := clocks.next_ring(self.world)) is not None and due <= until:
            rang = True
            self._move_to(max(due, self.world.now))
            fired = self.books.fire_due()
            rung = Counter(f"escrow.{kind}" for kind in clocks.ring(self.world))
            self.say(f"clocks ring: {', '.join(sorted(rung))}")
            self.tally.update(f"clock {kind.partition('.')[2]}" for kind in rung)
            self.expect(fired == rung, f"{dict(fired)} fired instead of {dict(rung)}")
        self._move_to(until)
        if rang:
            self.check()

    def skip(self, seconds: int) -> None:
        """Let time pass while nobody looks at the clocks."""
        self._move_to(self.world.now + seconds)

    def _move_to(self, now: int) -> None:
        self.world.now = now
        self.books.move_clock(now)

    def run_rail(self, mood: frozenset[str]) -> None:
        self.say(f"the rail is called {' '.join(sorted(mood))}".rstrip())
        self.books.run_rail(mood, self.world.now)
        clocks.hear_rail(self.world, mood)
        self.check()

    def check(self) -> None:
        """Both worlds show the same, and the model keeps its own promises."""
        self.world.check()
        expected, seen = lines(self.world), self.books.seen()
        if expected != seen:
            missing, more = sorted(expected - seen), sorted(seen - expected)
            told = [f"  model only: {each}" for each in missing]
            told += [f"  books only: {each}" for each in more]
            self.fail("\n".join(told))

    def expect(self, holds: bool, what: str) -> None:  # noqa: FBT001  it reads like an assert
        if not holds:
            self.fail(what)

    def fail(self, what: str) -> NoReturn:
        """Fail with the story so far."""
        self.has_failed = True
        story = "\n".join(f"  {line}" for line in self.story)
        raise AssertionError(f"\n{story}\n{what}")

    def say(self, line: str) -> None:
        self.story.append(line)

    def finish(self) -> None:
        """Hear the rail to its end, settle, and prove everything."""
        for wait_s in (0, 45 * 86_400):
            self.skip(wait_s)
            self.run_rail(frozenset())
        self.books.check_deferred()
        self.books.check_proof()
        self.books.check_safeguarding(self.world.now)


def principal(actor: Actor) -> Principal:
    """Who acts, as the product knows him."""
    if isinstance(actor, Party):
        return Principal(_PRINCIPAL, PrincipalKind.PERSON, actor.id)
    if actor == "operator":
        return Principal(_PRINCIPAL, PrincipalKind.PERSON, is_operator=True)
    return Principal(_PRINCIPAL, PrincipalKind.PERSON, _STRANGER)


def name_of(actor: Actor) -> str:
    return actor.name if isinstance(actor, Party) else f"the {actor}"


def money_of(amount: int, currency: str) -> str:
    return f"{format_minor(amount, currency)} {currency}"


def fresh_ids(count: int) -> list[UUID]:
    return [new_id() for _ in range(count)]
