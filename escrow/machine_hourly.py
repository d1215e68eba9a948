"""THE transition tables of hours: the worked week and the time entry (domain/escrow.md 2.5).

The week's money is its slot's: what a row here says of postings, the slot's own row does.
"""

from types import MappingProxyType
from typing import Final

from escrow.machine import (
    CLIENT,
    OPERATOR,
    PAYEE,
    SYSTEM,
    Guard,
    Machine,
    Timer,
    Transition,
    Trigger,
    from_each,
)
from escrow.model_hourly import EntryState, WeekState

_T = Trigger
_W = WeekState
_E = EntryState

UNCHARGED: Final = (WeekState.INVOICED, WeekState.CHARGE_FAILED)
"""Invoiced, and nobody has paid yet."""

AWAITING_MONEY: Final = (*UNCHARGED, WeekState.ADVANCED, WeekState.UNPAID)
"""States in which a payment of the week's slot moves the week."""

WEEKS: Final[Machine] = MappingProxyType(
    {
        (None, _T.OPEN_WEEK): Transition(
            who=PAYEE | CLIENT | SYSTEM, to=_W.OPEN, arms=(Timer.WEEK_CLOSE,)
        ),
        (_W.OPEN, _T.CLOSE_WEEK): Transition(
            who=SYSTEM, to=_W.PAYEE_REVIEW, arms=(Timer.WEEK_INVOICE,)
        ),
        (_W.PAYEE_REVIEW, _T.INVOICE): Transition(
            who=SYSTEM, to=_W.INVOICED, arms=(Timer.WEEK_REVIEW_END,)
        ),
        (_W.PAYEE_REVIEW, _T.CLOSE): Transition(who=SYSTEM, to=_W.CLOSED),
        **from_each(
            UNCHARGED,
            _T.FUND,
            Transition(
                who=SYSTEM, to=_W.IN_REVIEW, movement=("P26",), cancels=(Timer.WEEK_CHARGE,)
            ),
        ),
        (_W.INVOICED, _T.FUNDING_ENDED): Transition(
            who=SYSTEM, to=_W.CHARGE_FAILED, arms=(Timer.WEEK_CHARGE,)
        ),
        **{
            (state, _T.START_FUNDING): Transition(who=SYSTEM, to=state, arms=(Timer.WEEK_CHARGE,))
            for state in (_W.CHARGE_FAILED, _W.ADVANCED, _W.UNPAID)
        },
        (_W.IN_REVIEW, _T.REVIEW_ENDS): Transition(
            who=SYSTEM,
            to=_W.RELEASED,
            guards=(Guard.NO_HOLD, Guard.CLEARED),
            movement=("P07",),
            arms=(Timer.SECURITY_HOLD,),
        ),
        (_W.IN_REVIEW, _T.GIVE_BACK): Transition(who=SYSTEM, to=_W.REFUNDED),
        **from_each(
            UNCHARGED,
            _T.ADVANCE,
            Transition(
                who=SYSTEM,
                to=_W.ADVANCED,
                guards=(Guard.REVIEW_UNPAID, Guard.PROTECTED_HOURS, Guard.NO_HOLD),
                movement=("P28",),
                arms=(Timer.SECURITY_HOLD,),
            ),
        ),
        **from_each(
            UNCHARGED,
            _T.LEAVE_UNPAID,
            Transition(who=SYSTEM, to=_W.UNPAID, guards=(Guard.REVIEW_UNPAID,)),
        ),
        (_W.ADVANCED, _T.SETTLE_ADVANCE): Transition(
            who=SYSTEM,
            to=_W.RELEASED,
            guards=(Guard.NO_HOLD, Guard.CLEARED),
            movement=("P29", "P07"),
        ),
        (_W.UNPAID, _T.REVIEW_ENDS): Transition(
            who=SYSTEM,
            to=_W.RELEASED,
            guards=(Guard.NO_HOLD, Guard.CLEARED),
            movement=("P07",),
            arms=(Timer.SECURITY_HOLD,),
        ),
        (_W.ADVANCED, _T.WRITE_OFF): Transition(
            who=OPERATOR,
            to=_W.WRITTEN_OFF,
            guards=(Guard.SECOND_PERSON,),
            movement=("P30",),
            cancels=(Timer.WEEK_CHARGE,),
        ),
    }
)
"""The worked week: one slot holds its money once it is invoiced."""

ENTRIES: Final[Machine] = MappingProxyType(
    {
        (None, _T.LOG_TIME): Transition(who=PAYEE, to=_E.LOGGED),
        (None, _T.LOG_LATE): Transition(who=PAYEE, to=_E.LATE),
        (_E.LOGGED, _T.EDIT_TIME): Transition(who=PAYEE, to=_E.LOGGED),
        **from_each((_E.LOGGED, _E.LATE), _T.DELETE_TIME, Transition(who=PAYEE, to=_E.DELETED)),
        (_E.LATE, _T.APPROVE_LATE): Transition(who=CLIENT, to=_E.LATE_APPROVED),
        (_E.LOGGED, _T.LOCK): Transition(who=SYSTEM, to=_E.LOCKED),
        **from_each(
            (_E.LOGGED, _E.LOCKED, _E.LATE_APPROVED),
            _T.BILL,
            Transition(who=SYSTEM, to=_E.BILLED),
        ),
    }
)
"""The time entry: the payee's until the lock, then the invoice's."""
