"""Two acts on one story in every order of their statements, each compared with one after the other.

A schedule says who begins and after how many statements the turn goes to the other; the last turn
runs to the end. Who waits for a lock gives the turn away until the lock is free. The commit is a
step like any other. What both acts answered and every row of every table must be what one of the
two serial orders leaves behind.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from random import Random
from typing import Any, Final

import psycopg

from tests.interleave.stepping import Act, Failure, Player
from tests.interleave.stillness import Stillness

_QUICK_S: Final = 0.004
_PATIENCE_S: Final = 120.0

_WAITS_FOR: Final = "SELECT %s = ANY (pg_blocking_pids(%s))"


@dataclass(frozen=True)
class Schedule:
    """Who begins (0 or 1), and the lengths of the turns but the last two."""

    first: int
    turns: tuple[int, ...]

    def __str__(self) -> str:
        names = "AB" if self.first == 0 else "BA"
        return " ".join(f"{names[n % 2]}{turn}" for n, turn in enumerate(self.turns))


@dataclass(frozen=True)
class Result:
    """What two acts answered and left behind."""

    answers: tuple[str, str]
    rows: Counter[str]


@dataclass(frozen=True)
class Finding:
    """A schedule whose result is none of the two serial orders, or that a deadlock ended."""

    schedule: Schedule
    what: str


@dataclass
class Arena:
    """Two players on one database, and who looks on."""

    players: tuple[Player, Player]
    still: Stillness
    onlooker: psycopg.Connection[Any]

    def play(self, acts: tuple[Act, Act], schedule: Schedule) -> None:
        """Put everything back and play both acts by the schedule."""
        self.still.put_back()
        for player, act in zip(self.players, acts, strict=True):
            player.begin(act)
        self._run(schedule)

    def repeat(self, acts: tuple[Act, Act]) -> None:
        """Once more, alone, an act that could not be carried out where the other had come first."""
        for player, act in zip(self.players, acts, strict=True):
            if isinstance(player.answer, Failure) and player.answer.kind == "Broken":
                player.begin(act)
                while not player.has_ended:
                    player.let_on()
                    assert player.is_back_within(_PATIENCE_S)

    def result(self) -> Result:
        first, second = (self.still.told(_told(player.answer)) for player in self.players)
        return Result((first, second), self.still.show())

    def _run(self, schedule: Schedule) -> None:
        whose, turns = schedule.first, list(schedule.turns)
        left = turns.pop(0) if turns else None
        while not all(player.has_ended for player in self.players):
            mine, other = self.players[whose], self.players[1 - whose]
            if mine.has_ended or mine.is_blocked:
                if other.has_ended or other.is_blocked:
                    self._await(mine, other)
                    continue
                whose, left = 1 - whose, (turns.pop(0) if turns else None)
                continue
            if left == 0:
                whose, left = 1 - whose, (turns.pop(0) if turns else None)
                continue
            mine.let_on()
            left = None if left is None else left - 1
            self._look_at(mine, other)
            if other.is_blocked and not self._waits(other, mine):
                self._look_at(other, mine)

    def _look_at(self, mine: Player, other: Player) -> None:
        """Wait until the statement is done, or stands before a lock of the other, or another."""
        wait_s = _QUICK_S
        while not mine.is_back_within(wait_s):
            if not other.has_ended and self._waits(mine, other):
                mine.is_blocked = True
                return
            wait_s = min(2 * wait_s, 0.1)

    def _await(self, mine: Player, other: Player) -> None:
        """Both wait for each other until the server ends it, or one for what passes by itself."""
        blocked = [each for each in (mine, other) if each.is_blocked]
        while not any(each.is_back_within(0.02) for each in blocked):
            pass

    def _waits(self, one: Player, other: Player) -> bool:
        row = self.onlooker.execute(_WAITS_FOR, (other.pid, one.pid)).fetchone()
        return bool(row and row[0])


def _told(answer: object) -> str:
    if isinstance(answer, Failure):
        return f"raised {answer.kind} {answer.sqlstate} {answer.told}"
    return str(answer)


def one_switch(lengths: tuple[int, int]) -> Iterator[Schedule]:
    """Every schedule in which one act is let in once between two statements of the other."""
    for first in (0, 1):
        for turn in range(1, lengths[first]):
            yield Schedule(first, (turn,))


def two_switches(lengths: tuple[int, int]) -> Iterator[Schedule]:
    """Every schedule in which one is let in, interrupted, and ends after the other."""
    for first in (0, 1):
        for turn in range(1, lengths[first]):
            for back in range(1, lengths[1 - first]):
                yield Schedule(first, (turn, back))


def wild(lengths: tuple[int, int], dice: Random) -> Schedule:
    """A schedule with up to seven switches at drawn places."""
    first = dice.randrange(2)
    marks = sorted(dice.sample(range(sum(lengths)), dice.randint(3, 7)))
    return Schedule(first, tuple(max(1, b - a) for a, b in pairwise([0, *marks])))


@dataclass
class Exploration:
    """One pair on its kept story: its serial orders, and what is wrong with a schedule."""

    arena: Arena
    acts: tuple[Act, Act]
    after: Callable[[], object] = lambda: None
    repeats: bool = False

    def __post_init__(self) -> None:
        """Play both serial orders; they say how many statements each act has."""
        first, second = self.arena.players
        self.serial = [self.play(Schedule(0, ()))]
        of_first = len(first.statements)
        self.serial.append(self.play(Schedule(1, ())))
        self.lengths = (of_first, len(second.statements))
        failed = [each.answer for each in self.arena.players if isinstance(each.answer, Failure)]
        assert not failed, failed

    def play(self, schedule: Schedule) -> Result:
        """One schedule, and what is done after both."""
        self.arena.play(self.acts, schedule)
        if self.repeats:
            self.arena.repeat(self.acts)
        self.after()
        return self.arena.result()

    def find(self, schedule: Schedule) -> Finding | None:
        """What is wrong with a schedule, if anything."""
        result = self.play(schedule)
        for player in self.arena.players:
            if isinstance(player.answer, Failure):
                return Finding(schedule, _told(player.answer))
        if result in self.serial:
            return None
        return Finding(schedule, "\n".join(_difference(result, each) for each in self.serial))


def _difference(result: Result, serial: Result) -> str:
    lines = [f"answers {result.answers} instead of {serial.answers}"]
    lines += [f"  only so: {line}" for line in sorted(result.rows - serial.rows)]
    lines += [f"  only in turn: {line}" for line in sorted(serial.rows - result.rows)]
    return "\n".join(lines)
