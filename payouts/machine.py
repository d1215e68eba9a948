"""The one transition table of a payout (domain/escrow.md 2.9): who may, what is booked, where to.

Screening and second approval come between requested and submitted later; until then the guards
of `payouts.rules` stand at both ends.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from payouts.model import PayoutState, Role
from payouts.refusals import NotYours, WrongState


class Trigger(StrEnum):
    """What moves a payout: a command, or what a rail reports."""

    REQUEST = "request"
    SUBMIT = "submit"
    CANCEL = "cancel"
    CONFIRM = "confirm"
    FAIL = "fail"
    RETURN = "return"


class Movement(StrEnum):
    """The postings of a step, by the names that `payouts.movements.PAYOUT_MOVEMENTS` has."""

    P37_REQUEST = "p37_request"
    P38_PAY = "p38_pay"
    P39_GIVE_BACK = "p39_give_back"
    P40_RETURN = "p40_return"


class Guard(StrEnum):
    """What must hold besides state and actor."""

    PAYEE_CLEAR = "payee_clear"
    METHOD_ACTIVE = "method_active"
    BANK_HOLDS_IT = "bank_holds_it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One row of the table; `movement` is booked whole, in this order, in one event."""

    who: frozenset[Role]
    to: PayoutState
    movement: tuple[Movement, ...] = ()
    guards: tuple[Guard, ...] = ()
    event: str


_OWNERS: Final = frozenset({Role.PAYEE, Role.OPERATOR})
_RAIL: Final = frozenset({Role.RAIL})

TRANSITIONS: Final[Mapping[tuple[PayoutState | None, Trigger], Transition]] = MappingProxyType(
    {
        (None, Trigger.REQUEST): Transition(
            who=_OWNERS | {Role.SYSTEM},
            to=PayoutState.REQUESTED,
            movement=(Movement.P37_REQUEST,),
            guards=(Guard.PAYEE_CLEAR, Guard.METHOD_ACTIVE),
            event="payout.requested",
        ),
        (PayoutState.REQUESTED, Trigger.SUBMIT): Transition(
            who=frozenset({Role.OPERATOR, Role.SYSTEM}),
            to=PayoutState.SUBMITTED,
            guards=(Guard.PAYEE_CLEAR, Guard.METHOD_ACTIVE, Guard.BANK_HOLDS_IT),
            event="payout.submitted",
        ),
        (PayoutState.REQUESTED, Trigger.CANCEL): Transition(
            who=_OWNERS,
            to=PayoutState.CANCELLED,
            movement=(Movement.P39_GIVE_BACK,),
            event="payout.cancelled",
        ),
        (PayoutState.SUBMITTED, Trigger.CONFIRM): Transition(
            who=_RAIL,
            to=PayoutState.PAID,
            movement=(Movement.P38_PAY,),
            event="payout.paid",
        ),
        (PayoutState.SUBMITTED, Trigger.FAIL): Transition(
            who=_RAIL,
            to=PayoutState.FAILED,
            movement=(Movement.P39_GIVE_BACK,),
            event="payout.failed",
        ),
        # "Returned" may be heard before "paid", or instead of it: the bank did both.
        (PayoutState.SUBMITTED, Trigger.RETURN): Transition(
            who=_RAIL,
            to=PayoutState.RETURNED,
            movement=(Movement.P38_PAY, Movement.P40_RETURN, Movement.P39_GIVE_BACK),
            event="payout.returned",
        ),
        (PayoutState.PAID, Trigger.RETURN): Transition(
            who=_RAIL,
            to=PayoutState.RETURNED,
            movement=(Movement.P40_RETURN, Movement.P39_GIVE_BACK),
            event="payout.returned",
        ),
    }
)


def step(state: PayoutState | None, trigger: Trigger, role: Role) -> Transition:
    """The row for this state, trigger and role; refuses a wrong state first, then a wrong role."""
    transition = TRANSITIONS.get((state, trigger))
    if transition is None:
        raise WrongState(state=state, trigger=trigger.value)
    if role not in transition.who:
        raise NotYours(role=role.value, trigger=trigger.value)
    return transition
