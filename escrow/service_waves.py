"""Lists of commands served in as few batches as may be, none with two commands of one subject."""

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

from kernel.commands import Command, Outcome

C = TypeVar("C", bound=Command)
Item = TypeVar("Item")


def in_waves(
    commands: Sequence[C],
    subject: Callable[[C], Hashable],
    serve: Callable[[Sequence[C]], list[Outcome]],
) -> list[Outcome]:
    """Serve first the first command of every subject, then the second ones, and so on.

    So the commands of a subject are served in their order, each on what the one before left;
    the outcomes come in the order of the commands.
    """
    outcomes: dict[int, Outcome] = {}
    numbers = range(len(commands))
    for wave in split_in_waves(numbers, lambda number: subject(commands[number])):
        outcomes.update(zip(wave, serve([commands[number] for number in wave]), strict=True))
    return [outcomes[number] for number in numbers]


def split_in_waves(items: Sequence[Item], subject: Callable[[Item], Hashable]) -> list[list[Item]]:
    """The first item of every subject, then the second ones, and so on; in their order."""
    seen: Counter[Hashable] = Counter()
    waves: list[list[Item]] = []
    for item in items:
        key = subject(item)
        if seen[key] == len(waves):
            waves.append([])
        waves[seen[key]].append(item)
        seen[key] += 1
    return waves
