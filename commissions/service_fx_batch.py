"""How a use case of exchange runs: each command by itself, and their events at once."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection

from kernel.commands import Command, Outcome, done, refused
from kernel.errors import Broken, Refusal
from ledger.model import Draft
from ledger.service import post

C = TypeVar("C", bound=Command)


def run(
    connection: Connection,
    commands: Sequence[C],
    act: Callable[[C], tuple[Draft, dict[str, Any]]],
) -> list[Outcome]:
    """Each command by itself; the events of those that were not refused, at once."""
    outcomes: list[Outcome] = []
    drafts: list[Draft] = []
    for command in commands:
        try:
            draft, facts = act(command)
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        drafts.append(draft)
        outcomes.append(done(**facts))
    for answer in post(connection, drafts) if drafts else ():
        if isinstance(answer, Refusal):
            raise Broken("an event without entries was refused", code=answer.code)
    return outcomes
