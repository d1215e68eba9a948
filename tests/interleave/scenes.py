"""What pairs stand on: a story that was committed, acts that take it up on another connection."""

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, TypeVar

from sqlalchemy import Connection

from engine.handlers import TIMERS
from kernel import timers as clock_rows
from tests.escrow.stage import Stage
from tests.escrow.stage_hourly import HourlyStage

T = TypeVar("T")

Act = Callable[[Any], object]

NO_GRACE: Final = timedelta()
_SPOKEN: Final = {"connection", "stage"}


@dataclass(frozen=True)
class Pair:
    """Two acts that want the same money, and the story on which they meet.

    `rescans`: what a clock left alone because the other held it is looked at once more at the end,
    as the scanner does. `repeats`: a word of a rail that could not be taken in is heard again.
    """

    name: str
    story: Callable[[Connection], Any]
    first: Act
    second: Act
    repeats: bool = False

    @property
    def rescans(self) -> bool:
        return any(isinstance(act, Rings) for act in (self.first, self.second))


@dataclass(frozen=True)
class Rings:
    """The scanner's act: read what is due of these kinds, and let the handler fire it.

    How many fired is no answer: what was left alone fires a moment later.
    """

    kinds: tuple[str, ...]

    def __call__(self, scene: Any) -> None:
        ring(scene, self.kinds)


def rings(*kinds: str) -> Rings:
    return Rings(kinds)


def ring(scene: Any, kinds: tuple[str, ...] | None = None) -> int:
    """Fire what is due now, of these kinds or of all; how many timers did."""
    stage = scene if isinstance(scene, Stage | HourlyStage) else scene.stage
    due = clock_rows.list_due(stage.connection, at=stage.now, limit=100, grace=NO_GRACE)
    fired = 0
    for kind in sorted({each.kind for each in due}):
        if kinds is None or kind in kinds:
            of_kind = [each for each in due if each.kind == kind]
            fired += TIMERS[kind](stage.connection, of_kind, stage.now)
    return fired


def rescan(scene: Any) -> None:
    """Fire all that is due, until nothing is; clocks that are set anew by it wait."""
    while ring(scene):
        pass


def on(scene: T, connection: Connection) -> T:
    """The same story on another connection."""
    other = copy(scene)
    for name, value in vars(scene).items():
        if isinstance(value, Connection):
            object.__setattr__(other, name, connection)
        elif _SPOKEN & getattr(value, "__dict__", {}).keys():
            object.__setattr__(other, name, on(value, connection))
    return other
