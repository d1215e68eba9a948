"""THE transition tables of what is sold: offerings, subscriptions, and what was paid for a time.

Source: domain/escrow.md 2.10, P44, and edge case 31.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from commissions.model_plans import OfferingState, PurchaseState, Role, SubscriptionState
from commissions.refusals_plans import NotYours, WrongState


class Trigger(StrEnum):
    """What moves them: a command, or a clock."""

    PREPARE = "prepare"
    APPROVE = "approve"
    REJECT = "reject"
    SUBSCRIBE = "subscribe"
    RENEW = "renew"
    FAIL = "fail"
    LAPSE = "lapse"
    CANCEL = "cancel"
    CANCEL_NOW = "cancel_now"
    RUN_OUT = "run_out"
    BUY = "buy"
    EARN = "earn"
    EARN_LAST = "earn_last"
    GIVE_BACK = "give_back"


class Guard(StrEnum):
    """What must hold besides state and actor."""

    SECOND_PERSON = "second_person"
    IS_SOLD = "is_sold"
    NO_HOLD = "no_hold"
    NO_OTHER_PLAN = "no_other_plan"
    NOT_RUNNING = "not_running"
    KEEPS = "keeps"
    GIVES_BACK = "gives_back"
    RETRIES_LEFT = "retries_left"
    RETRIES_USED = "retries_used"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One row: who may, where it leads, what must hold, which postings."""

    who: frozenset[Role]
    to: StrEnum
    guards: tuple[Guard, ...] = ()
    movement: tuple[str, ...] = ()


Machine = Mapping[tuple[StrEnum | None, Trigger], Transition]

_OWNERS: Final = frozenset({Role.PARTY, Role.OPERATOR})
_OPERATOR: Final = frozenset({Role.OPERATOR})
_SYSTEM: Final = frozenset({Role.SYSTEM})
_CHARGED: Final = ("P44",)
_O, _S, _P, _T, _G = OfferingState, SubscriptionState, PurchaseState, Trigger, Guard

OFFERINGS: Final[Machine] = MappingProxyType(
    {
        (None, _T.PREPARE): Transition(who=_OPERATOR, to=_O.PREPARED),
        (_O.PREPARED, _T.APPROVE): Transition(
            who=_OPERATOR, to=_O.APPROVED, guards=(_G.SECOND_PERSON,)
        ),
        (_O.PREPARED, _T.REJECT): Transition(who=_OPERATOR, to=_O.REJECTED),
    }
)
"""One version of a plan or a product: another person approves what one prepared."""

_FAILED: Final = Transition(who=_SYSTEM, to=_S.PAST_DUE, guards=(_G.RETRIES_LEFT,))

SUBSCRIPTIONS: Final[Machine] = MappingProxyType(
    {
        (None, _T.SUBSCRIBE): Transition(
            who=_OWNERS,
            to=_S.ACTIVE,
            guards=(_G.IS_SOLD, _G.NO_OTHER_PLAN, _G.NO_HOLD),
            movement=_CHARGED,
        ),
        **{
            (state, _T.RENEW): Transition(
                who=_SYSTEM, to=_S.ACTIVE, guards=(_G.NO_HOLD,), movement=_CHARGED
            )
            for state in (_S.ACTIVE, _S.PAST_DUE)
        },
        (_S.ACTIVE, _T.FAIL): _FAILED,
        (_S.PAST_DUE, _T.FAIL): _FAILED,
        (_S.PAST_DUE, _T.LAPSE): Transition(who=_SYSTEM, to=_S.LAPSED, guards=(_G.RETRIES_USED,)),
        (_S.ACTIVE, _T.CANCEL): Transition(who=_OWNERS, to=_S.ENDING, guards=(_G.KEEPS,)),
        (_S.ACTIVE, _T.CANCEL_NOW): Transition(
            who=_OWNERS, to=_S.CANCELLED, guards=(_G.GIVES_BACK,), movement=("P44 back",)
        ),
        (_S.PAST_DUE, _T.CANCEL_NOW): Transition(who=_OWNERS, to=_S.CANCELLED),
        (_S.ENDING, _T.RUN_OUT): Transition(who=_SYSTEM, to=_S.CANCELLED),
    }
)
"""A party's plan: charged each period, tried again when the money lacks, then lapsed to free."""

PURCHASES: Final[Machine] = MappingProxyType(
    {
        (None, _T.BUY): Transition(
            who=_OWNERS,
            to=_P.EARNING,
            guards=(_G.IS_SOLD, _G.NOT_RUNNING, _G.NO_HOLD),
            movement=_CHARGED,
        ),
        (None, _T.RENEW): Transition(who=_OWNERS | _SYSTEM, to=_P.EARNING, movement=_CHARGED),
        (_P.EARNING, _T.EARN): Transition(who=_SYSTEM, to=_P.EARNING, movement=("P44 earned",)),
        (_P.EARNING, _T.EARN_LAST): Transition(who=_SYSTEM, to=_P.EARNED, movement=("P44 earned",)),
        (_P.EARNING, _T.GIVE_BACK): Transition(
            who=_OWNERS, to=_P.REFUNDED, guards=(_G.GIVES_BACK,), movement=("P44 back",)
        ),
    }
)
"""What was paid for a time: a product's days, or one period of a subscription."""

MACHINES: Final = MappingProxyType(
    {"offering": OFFERINGS, "subscription": SUBSCRIPTIONS, "purchase": PURCHASES}
)
"""By the table whose state they move."""


def step(machine: Machine, state: StrEnum | None, trigger: Trigger, role: Role) -> Transition:
    """The row for this state, trigger and role; refuses a wrong state first, then a wrong role."""
    row = machine.get((state, trigger))
    if row is None:
        raise WrongState(state=state.value if state else None, trigger=trigger.value)
    if role not in row.who:
        raise NotYours(trigger=trigger.value)
    return row
