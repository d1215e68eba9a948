"""What one can do now: the steps that a machine's table gives from a state, and what is in the way.

Nobody lists rules here. Which steps there are, and whose, says the table; whether a step is open
says the service itself, which is asked without a lock or a trace (`kernel.rehearsal`). A `Way`
only says how a step is asked for: by which service, with which command.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol, TypeVar

from sqlalchemy import Connection

from kernel.commands import Command, Outcome
from kernel.principals import Actor
from kernel.rehearsal import Service, rehearse, rehearse_step

S_contra = TypeVar("S_contra", contravariant=True)


class Row(Protocol):
    """What a row of any machine's table says."""

    @property
    def who(self) -> Collection[Any]:
        """The roles that may."""

    @property
    def to(self) -> Any:  # noqa: ANN401  a state of the row's own machine
        """The state after it."""

    @property
    def guards(self) -> Collection[Any]:
        """What must hold besides."""

    @property
    def movement(self) -> Collection[Any]:
        """The postings."""


Machine = Mapping[tuple[Any, Any], Any]
"""(state, trigger) -> row."""


class Asking(Protocol[S_contra]):
    """Makes the command by which an actor would take a step on a subject, with sample figures."""

    def __call__(self, connection: Connection, actor: Actor, subject: S_contra, /) -> Command:
        """The command."""


def _always(_connection: Connection, _subject: Any, _actor: Actor) -> bool:  # noqa: ANN401  any
    return True


def _never(_command: Command) -> bool:
    return False


def _no_parts(_connection: Connection, _command: Any, _at: datetime) -> tuple[()]:  # noqa: ANN401  any command
    return ()


@dataclass(frozen=True, slots=True)
class Way:
    """How a step is asked for.

    `needs` is what the caller brings along; `command` puts a sample of it. One service may take
    several steps: `applies` says whether it is this one that it would take for this actor.
    `is_half` tells a command that alone may not move the subject: another has to follow it.
    `parts` are the further acts of a command that is carried out in several, each rehearsed.
    """

    service: Service
    command: Asking[Any]
    needs: tuple[str, ...] = ()
    applies: Callable[[Connection, Any, Actor], bool] = _always
    is_half: Callable[[Command], bool] = _never
    parts: Callable[[Connection, Any, datetime], Iterable[Callable[[], Outcome]]] = _no_parts


ENGINE_ROLES: Final = frozenset({"system", "rail"})


@dataclass(frozen=True, slots=True)
class Option:
    """One step from the present state. `answer` is what the service would say to the caller.

    It is None where the step is not the caller's.
    """

    trigger: str
    by: tuple[str, ...]
    leads_to: str
    guards: tuple[str, ...]
    movement: tuple[str, ...]
    needs: tuple[str, ...] = ()
    way: Way | None = None
    command: Command | None = None
    answer: Outcome | None = None

    @property
    def is_yours(self) -> bool:
        """Whether the table gives the step to the caller."""
        return self.command is not None

    @property
    def is_peoples(self) -> bool:
        """Whether somebody may take it who is not the engine or a rail."""
        return not set(self.by) <= ENGINE_ROLES

    @property
    def is_open(self) -> bool:
        """Whether the caller may take the step now."""
        return self.answer is not None and self.answer.is_done


def list_options(
    connection: Connection,
    machine: Machine,
    ways: Mapping[Any, Way],
    subject: Any,  # noqa: ANN401  a row with a state
    *,
    mine: Collection[Any],
    actor: Actor,
    at: datetime,
) -> list[Option]:
    """Every step from the subject's state: the caller's own first, then others', then engines'."""
    found = []
    for (state, trigger), row in machine.items():
        if state != subject.state:
            continue
        way = ways.get(trigger)
        if way is not None and not way.applies(connection, subject, actor):
            continue
        option = Option(
            trigger=str(trigger),
            by=tuple(sorted(str(role) for role in row.who)),
            leads_to=str(row.to),
            guards=tuple(str(guard) for guard in row.guards),
            movement=tuple(str(each) for each in row.movement),
            needs=way.needs if way else (),
            way=way,
        )
        if way is not None and not set(mine).isdisjoint(row.who):
            option = ask(connection, option, way, subject, actor=actor, at=at)
        found.append(option)
    return sorted(found, key=lambda each: (not each.is_yours, not each.is_peoples))


def ask(
    connection: Connection,
    option: Option,
    way: Way,
    subject: Any,  # noqa: ANN401  a row with a state
    *,
    actor: Actor,
    at: datetime,
) -> Option:
    """The option with what the service would answer this actor now."""
    command = way.command(connection, actor, subject)
    answer = rehearse(connection, way.service, command, at=at)
    for part in way.parts(connection, command, at) if answer.is_done else ():
        answer = rehearse_step(connection, part)
        if not answer.is_done:
            break
    return Option(
        trigger=option.trigger,
        by=option.by,
        leads_to=option.leads_to,
        guards=option.guards,
        movement=option.movement,
        needs=option.needs,
        way=way,
        command=command,
        answer=answer,
    )
