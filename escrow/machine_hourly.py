"""THE transition tables of hours: the worked week, the time entry, what runs, a disputed line.

The rows are those of domain/escrow.md 2.5. The week's money is its slot's: what a row here says
of postings, the slot's own row does.
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
from escrow.model_lines import LineState
from escrow.model_runs import RunState

_T = Trigger
_W = WeekState
_E = EntryState
_L = LineState
_R = RunState
_PAYS_OUT: Final = (Guard.NO_HOLD, Guard.CLEARED)

UNCHARGED: Final = (WeekState.INVOICED, WeekState.CHARGE_FAILED)
"""Invoiced, and nobody has paid yet."""

AWAITING_MONEY: Final = (*UNCHARGED, WeekState.ADVANCED, WeekState.UNPAID)
"""States in which a payment of the week's slot moves the week."""

WEEKS: Final[Machine] = MappingProxyType(
    {
        (None, _T.OPEN_WEEK): Transition(
            who=PAYEE | CLIENT | SYSTEM, to=_W.OPEN, arms=(Timer.WEEK_CLOSE,)
        ),
        (_W.OPEN, _T.START_FUNDING): Transition(who=SYSTEM, to=_W.OPEN, arms=(Timer.WEEK_DEPOSIT,)),
        (_W.OPEN, _T.CLOSE_WEEK): Transition(
            who=SYSTEM, to=_W.PAYEE_REVIEW, arms=(Timer.WEEK_INVOICE,)
        ),
        (_W.PAYEE_REVIEW, _T.INVOICE): Transition(
            who=SYSTEM, to=_W.INVOICED, arms=(Timer.WEEK_REVIEW_END,)
        ),
        (_W.PAYEE_REVIEW, _T.BILL_DEPOSIT): Transition(
            who=SYSTEM,
            to=_W.IN_REVIEW,
            guards=_PAYS_OUT,
            movement=("P11", "P14"),
            arms=(Timer.WEEK_REVIEW_END,),
        ),
        (_W.PAYEE_REVIEW, _T.CLOSE): Transition(who=SYSTEM, to=_W.CLOSED, movement=("P11", "P14")),
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
        **from_each(
            (_W.IN_REVIEW, _W.LINES_DISPUTED),
            _T.GIVE_BACK,
            Transition(who=SYSTEM, to=_W.REFUNDED),
        ),
        (_W.IN_REVIEW, _T.DISPUTE_LINE): Transition(
            who=CLIENT,
            to=_W.IN_REVIEW,
            guards=(Guard.BEFORE_DUE, Guard.REASON_GIVEN),
            movement=("P12",),
        ),
        (_W.IN_REVIEW, _T.RELEASE_UNDISPUTED): Transition(
            who=SYSTEM,
            to=_W.LINES_DISPUTED,
            guards=_PAYS_OUT,
            movement=("P10",),
            arms=(Timer.SECURITY_HOLD,),
        ),
        (_W.LINES_DISPUTED, _T.REVIEW_ENDS): Transition(
            who=SYSTEM, to=_W.RELEASED, guards=_PAYS_OUT, movement=("P07",)
        ),
        **from_each(  # a week in review may have lost its money to the client's bank
            (*UNCHARGED, _W.IN_REVIEW),
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
            (*UNCHARGED, _W.IN_REVIEW),
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

RUNS: Final[Machine] = MappingProxyType(
    {
        (None, _T.START_TIME): Transition(who=PAYEE, to=_R.RUNNING),
        (_R.RUNNING, _T.CUT_TIME): Transition(who=SYSTEM, to=_R.RUNNING),
        (_R.RUNNING, _T.STOP_TIME): Transition(who=PAYEE | SYSTEM, to=_R.STOPPED),
        (_R.RUNNING, _T.DISCARD_TIME): Transition(who=PAYEE, to=_R.DISCARDED),
    }
)
"""Time that runs: cut where a week ends, stopped by the payee or where the contract rests."""

_UNDECIDED: Final = (LineState.OPENED, LineState.AWAITING_REPLY, LineState.CONTESTED)
_UNANSWERED: Final = (LineState.OPENED, LineState.AWAITING_REPLY)

LINE_DISPUTES: Final[Machine] = MappingProxyType(
    {
        (None, _T.OPEN_DISPUTE): Transition(
            who=CLIENT,
            to=_L.OPENED,
            guards=(Guard.BEFORE_DUE, Guard.REASON_GIVEN),
            movement=("P12",),
        ),
        (_L.OPENED, _T.SERVE): Transition(
            who=OPERATOR | SYSTEM, to=_L.AWAITING_REPLY, arms=(Timer.LINE_REPLY,)
        ),
        **from_each(
            _UNANSWERED,
            _T.REPLY,
            Transition(
                who=PAYEE,
                to=_L.CONTESTED,
                guards=(Guard.REASON_GIVEN,),
                cancels=(Timer.LINE_REPLY,),
            ),
        ),
        **from_each(
            _UNDECIDED,
            _T.CONCEDE,
            Transition(
                who=PAYEE,
                to=_L.REFUNDED,
                guards=_PAYS_OUT,
                movement=("P27",),
                cancels=(Timer.LINE_REPLY,),
            ),
        ),
        **from_each(
            _UNDECIDED,
            _T.WITHDRAW_DISPUTE,
            Transition(
                who=CLIENT, to=_L.UPHELD, movement=("P12", "P07"), cancels=(Timer.LINE_REPLY,)
            ),
        ),
        # nobody answered in three days: protected hours are upheld, the others go back
        (_L.AWAITING_REPLY, _T.UPHOLD_LINE): Transition(
            who=SYSTEM, to=_L.UPHELD, guards=(Guard.SERVED,), movement=("P12", "P07")
        ),
        (_L.AWAITING_REPLY, _T.REFUND_LINE): Transition(
            who=SYSTEM,
            to=_L.REFUNDED,
            guards=(Guard.SERVED, *_PAYS_OUT),
            movement=("P12", "P07", "P27"),
        ),
        # a specialist decides, and another agrees
        (_L.CONTESTED, _T.PROPOSE_DECISION): Transition(
            who=OPERATOR, to=_L.CONTESTED, guards=(Guard.IN_PERSON, Guard.SHARES_ADD_UP)
        ),
        (_L.CONTESTED, _T.UPHOLD_LINE): Transition(
            who=OPERATOR,
            to=_L.UPHELD,
            guards=(Guard.IN_PERSON, Guard.SECOND_PERSON),
            movement=("P12", "P07"),
        ),
        (_L.CONTESTED, _T.REFUND_LINE): Transition(
            who=OPERATOR,
            to=_L.REFUNDED,
            guards=(Guard.IN_PERSON, Guard.SECOND_PERSON, *_PAYS_OUT),
            movement=("P12", "P07", "P27"),
        ),
    }
)
"""A line of an invoice that the client disputes: upheld, or refunded in whole or in part."""
