"""THE transition table of experiments on fees."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from commissions.model_experiments import State
from commissions.refusals_experiments import PeopleOnly, WrongState
from kernel.principals import Actor, PrincipalKind


class Trigger(StrEnum):
    """What moves an experiment: a command, or its own rule of when to stop."""

    PREPARE = "prepare"
    WITHDRAW = "withdraw"
    START = "start"
    STOP = "stop"
    DECIDE = "decide"


class Who(StrEnum):
    """What an actor is to an experiment."""

    PERSON = "person"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One row: who may, where it leads, and whether who prepared it is kept from it."""

    who: frozenset[Who]
    to: State
    takes_another: bool = False


_PERSON: Final = frozenset({Who.PERSON})
_S, _T = State, Trigger

EXPERIMENTS: Final[Mapping[tuple[State | None, Trigger], Transition]] = MappingProxyType(
    {
        (None, _T.PREPARE): Transition(who=_PERSON, to=_S.PREPARED),
        (_S.PREPARED, _T.WITHDRAW): Transition(who=_PERSON, to=_S.WITHDRAWN),
        (_S.PREPARED, _T.START): Transition(who=_PERSON, to=_S.RUNNING, takes_another=True),
        (_S.RUNNING, _T.STOP): Transition(who=_PERSON | {Who.SYSTEM}, to=_S.STOPPED),
        (_S.STOPPED, _T.DECIDE): Transition(who=_PERSON, to=_S.DECIDED, takes_another=True),
    }
)
"""Arms are for units that a running experiment takes on; nothing leads back."""


def who_is(actor: Actor) -> Who:
    """What the actor is; refuses a party, a key and a rail with `experiment.people_only`."""
    if actor.kind is PrincipalKind.SYSTEM:
        return Who.SYSTEM
    if actor.kind is not PrincipalKind.PERSON or not actor.is_operator or actor.party_id:
        raise PeopleOnly(principal_kind=actor.kind.value)
    return Who.PERSON


def step(state: State | None, trigger: Trigger, actor: Actor) -> Transition:
    """The row for this state, trigger and actor; refuses a wrong actor first, then a state."""
    who = who_is(actor)
    row = EXPERIMENTS.get((state, trigger))
    if row is None:
        raise WrongState(state=state.value if state else None, trigger=trigger.value)
    if who not in row.who:
        raise PeopleOnly(principal_kind=actor.kind.value)
    return row
