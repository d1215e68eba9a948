"""Lists of commands served in as few batches as may be, none with two commands of one subject."""

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

from kernel.commands import Command, Outcome

C = TypeVar("C", bound=Command)


def in_waves(
    commands: Sequence[C],
    subject: Callable[[C], Hashable],
    serve: Callable[[Sequence[C]], list[Outcome]],
) -> list[Outcome]:
    """Serve first the first command of every subject, then the second ones, and so on.

    So the commands of a subject are served in their order, each on what the one before left;
    the outcomes come in the order of the commands.
    """
    seen: Counter[Hashable] = Counter()
    waves: list[list[int]] = []
    for number, command in enumerate(commands):
        key = subject(command)
        if seen[key] == len(waves):
            waves.append([])
        waves[seen[key]].append(number)
        seen[key] += 1
    outcomes: dict[int, Outcome] = {}
    for wave in waves:
        outcomes.update(zip(wave, serve([commands[number] for number in wave]), strict=True))
    return [outcomes[number] for number in range(len(commands))]
