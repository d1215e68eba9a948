"""The one transition table of a payout (domain/escrow.md 2.9): who may, what is booked, where to.

Screening is decided at once where the policy needs nobody: a payout that is requested goes through
it when it is submitted. Above the limit of its currency it waits for a second person. "In transit"
means that the money has left the account that pays, by the rail's own word.
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
    SCREEN = "screen"
    APPROVE = "approve"
    REFUSE = "refuse"
    BLOCK = "block"
    SUBMIT = "submit"
    CANCEL = "cancel"
    LEAVE = "leave"
    UNCLAIM = "unclaim"
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
    METHOD_USABLE = "method_usable"
    WITHIN_LIMIT = "within_limit"
    ABOVE_LIMIT = "above_limit"
    SECOND_PERSON = "second_person"
    SANCTIONED = "sanctioned"
    MONEY_IS_THERE = "money_is_there"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One row of the table; `movement` is booked whole, in this order, in one event."""

    who: frozenset[Role]
    to: PayoutState
    movement: tuple[Movement, ...] = ()
    guards: tuple[Guard, ...] = ()
    event: str


_OWNERS: Final = frozenset({Role.PAYEE, Role.OPERATOR})
_OPERATOR: Final = frozenset({Role.OPERATOR})
_HOUSE: Final = frozenset({Role.OPERATOR, Role.SYSTEM})
_RAIL: Final = frozenset({Role.RAIL})
_CLEAR: Final = (Guard.PAYEE_CLEAR, Guard.METHOD_USABLE)

_CANCEL: Final = Transition(
    who=_OWNERS,
    to=PayoutState.CANCELLED,
    movement=(Movement.P39_GIVE_BACK,),
    event="payout.cancelled",
)
# What is given back here is blocked in the same transaction, with all that the payee has (P43).
_BLOCK: Final = Transition(
    who=_HOUSE,
    to=PayoutState.BLOCKED,
    movement=(Movement.P39_GIVE_BACK,),
    guards=(Guard.SANCTIONED,),
    event="payout.blocked",
)
_LEFT: Final = (Movement.P38_PAY,)
_BACK: Final = (Movement.P40_RETURN, Movement.P39_GIVE_BACK)


def _heard(to: PayoutState, *movement: Movement) -> Transition:
    return Transition(who=_RAIL, to=to, movement=movement, event=f"payout.{to}")


TRANSITIONS: Final[Mapping[tuple[PayoutState | None, Trigger], Transition]] = MappingProxyType(
    {
        (None, Trigger.REQUEST): Transition(
            who=_OWNERS | {Role.SYSTEM},
            to=PayoutState.REQUESTED,
            movement=(Movement.P37_REQUEST,),
            guards=_CLEAR,
            event="payout.requested",
        ),
        (PayoutState.REQUESTED, Trigger.SUBMIT): Transition(
            who=_HOUSE,
            to=PayoutState.SUBMITTED,
            guards=(*_CLEAR, Guard.WITHIN_LIMIT, Guard.MONEY_IS_THERE),
            event="payout.submitted",
        ),
        (PayoutState.REQUESTED, Trigger.SCREEN): Transition(
            who=_HOUSE,
            to=PayoutState.SCREENING,
            guards=(Guard.ABOVE_LIMIT,),
            event="payout.screening",
        ),
        (PayoutState.REQUESTED, Trigger.CANCEL): _CANCEL,
        (PayoutState.REQUESTED, Trigger.BLOCK): _BLOCK,
        (PayoutState.SCREENING, Trigger.APPROVE): Transition(
            who=_OPERATOR,
            to=PayoutState.APPROVED,
            guards=(Guard.SECOND_PERSON, Guard.PAYEE_CLEAR),
            event="payout.approved",
        ),
        (PayoutState.SCREENING, Trigger.REFUSE): Transition(
            who=_OPERATOR,
            to=PayoutState.CANCELLED,
            movement=(Movement.P39_GIVE_BACK,),
            event="payout.refused",
        ),
        (PayoutState.SCREENING, Trigger.CANCEL): _CANCEL,
        (PayoutState.SCREENING, Trigger.BLOCK): _BLOCK,
        (PayoutState.APPROVED, Trigger.SUBMIT): Transition(
            who=_HOUSE,
            to=PayoutState.SUBMITTED,
            guards=(*_CLEAR, Guard.MONEY_IS_THERE),
            event="payout.submitted",
        ),
        (PayoutState.APPROVED, Trigger.CANCEL): _CANCEL,
        (PayoutState.APPROVED, Trigger.BLOCK): _BLOCK,
        (PayoutState.SUBMITTED, Trigger.LEAVE): _heard(PayoutState.IN_TRANSIT, *_LEFT),
        (PayoutState.SUBMITTED, Trigger.UNCLAIM): _heard(PayoutState.UNCLAIMED, *_LEFT),
        (PayoutState.SUBMITTED, Trigger.CONFIRM): _heard(PayoutState.PAID, *_LEFT),
        (PayoutState.SUBMITTED, Trigger.FAIL): _heard(PayoutState.FAILED, Movement.P39_GIVE_BACK),
        # "Returned" may be heard before "paid", or instead of it: the bank did both.
        (PayoutState.SUBMITTED, Trigger.RETURN): _heard(PayoutState.RETURNED, *_LEFT, *_BACK),
        (PayoutState.IN_TRANSIT, Trigger.UNCLAIM): _heard(PayoutState.UNCLAIMED),
        (PayoutState.IN_TRANSIT, Trigger.CONFIRM): _heard(PayoutState.PAID),
        (PayoutState.IN_TRANSIT, Trigger.RETURN): _heard(PayoutState.RETURNED, *_BACK),
        (PayoutState.UNCLAIMED, Trigger.CONFIRM): _heard(PayoutState.PAID),
        (PayoutState.UNCLAIMED, Trigger.RETURN): _heard(PayoutState.RETURNED, *_BACK),
        (PayoutState.PAID, Trigger.RETURN): _heard(PayoutState.RETURNED, *_BACK),
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
