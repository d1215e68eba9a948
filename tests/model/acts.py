"""How a machine's acts are declared: when each makes sense, how often, and what is drawn for it.

The dice are thrown from one number that hypothesis draws for each step: so a step that is left out
while a failure is made smaller leaves the others what they were.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final, TypeVar

from tests.model.model import DAY, HOUR, Terms

T = TypeVar("T")

Draw = Callable[[Random], Any]

_AMOUNTS: Final = (1, 2, 3, 10, 99, 333, 1_001, 10_000)


@dataclass(frozen=True)
class Act:
    """One act with its weight among the others."""

    name: str
    weight: float
    when: Callable[[Any], object]
    draws: Mapping[str, Draw]
    do: Callable[..., None]


def act(
    *, when: Callable[[Any], object] = bool, weight: float = 1, **draws: Draw
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Declare a method as an act; it gets a number, and what is drawn by name."""

    def declare(do: Callable[..., None]) -> Callable[..., None]:
        do.act = Act(do.__name__, weight, when, draws, do)  # type: ignore[attr-defined]
        return do

    return declare


def collect(machine: type) -> tuple[Act, ...]:
    """All acts of a class and of those it stands on, in the order of their names."""
    found = {name: each for base in reversed(machine.__mro__) for name, each in vars(base).items()}
    return tuple(each.act for _, each in sorted(found.items()) if isinstance(_act_of(each), Act))


def _act_of(each: object) -> object:
    return getattr(each, "act", None)


def one_of(items: Sequence[T]) -> Callable[[Random], T]:
    return lambda dice: dice.choice(items)


def within(lowest: int, highest: int) -> Callable[[Random], int]:
    return lambda dice: dice.randint(lowest, highest)


def amounts(dice: Random) -> int:
    """A price: often one at which rounding shows."""
    return dice.choice(_AMOUNTS) if dice.random() < 0.3 else dice.randint(1, 60_000)


def several(fewest: int, most: int) -> Callable[[Random], list[int]]:
    return lambda dice: [amounts(dice) for _ in range(dice.randint(fewest, most))]


def any_terms(dice: Random) -> Terms:
    """Terms at and between their limits."""
    one = dice.choice
    return Terms(
        commission_bps=one((1_000, 0, 1, 1_250, 3_333, 10_000)),
        client_fee_bps=one((300, 0, 77, 10_000)),
        security_hold=one((5 * DAY, 0)),
        auto_release=one((14 * DAY, HOUR, 3 * DAY)),
        release_rule=one(("client_or_timer",) * 3 + ("both_confirm",) * 2 + ("client_only",)),
        refund_reply=one((7 * DAY, HOUR)),
        dormant=one((90 * DAY, 9 * DAY, 9 * DAY)),
        dormant_limit=one((100_000, 0, 500)),
        change_rounds=one((3, 0, 1)),
    )
