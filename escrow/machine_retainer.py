"""THE transition tables of the retainer, its periods and drawdowns (domain/escrow.md 2.6).

A period drives the slot of its own id; what the slot does by itself (money came, it was given
back, a dispute ended it) moves the period by the rows FUND and SLOT_CLOSED.
"""

from types import MappingProxyType
from typing import Final

from escrow.machine import (
    ANYONE,
    CLIENT,
    EITHER,
    PAYEE,
    SYSTEM,
    Guard,
    Machine,
    Timer,
    Transition,
    Trigger,
    from_each,
)
from escrow.model_retainer import DrawdownState, PeriodState, RetainerState

_T = Trigger
_G = Guard
_R = RetainerState
_P = PeriodState
_D = DrawdownState

RETAINERS: Final[Machine] = MappingProxyType(
    {
        (None, _T.OFFER_RETAINER): Transition(
            who=EITHER, to=_R.OFFERED, guards=(_G.AMOUNT_IN_RANGE,)
        ),
        (_R.OFFERED, _T.ACCEPT): Transition(who=EITHER, to=_R.RUNNING, guards=(_G.OTHER_PARTY,)),
        (_R.OFFERED, _T.CANCEL): Transition(who=ANYONE | SYSTEM, to=_R.ENDED),
        (_R.RUNNING, _T.GIVE_NOTICE): Transition(
            who=EITHER | SYSTEM, to=_R.ENDING, arms=(Timer.RETAINER_ENDS,)
        ),
        (_R.ENDING, _T.GIVE_NOTICE): Transition(
            who=SYSTEM, to=_R.ENDING, arms=(Timer.RETAINER_ENDS,)
        ),
        (_R.RUNNING, _T.CANCEL): Transition(
            who=ANYONE, to=_R.ENDED, guards=(_G.NO_NOTICE,), movement=("P31",)
        ),
        (_R.ENDING, _T.CANCEL): Transition(
            who=ANYONE | SYSTEM,
            to=_R.ENDED,
            guards=(_G.BOTH_ASKED,),
            movement=("P31",),
            cancels=(Timer.RETAINER_ENDS,),
        ),
    }
)
"""offered -> running -> ending -> ended; cancelled with notice, or at once by both.

The engine shortens a notice where both have signed the end, or an operator ends the contract.
"""

_PAYS = (_G.DRAWDOWNS_REVIEWED, _G.BEFORE_SETTLED, _G.NO_HOLD, _G.CLEARED)
_CLOCKS = (Timer.PERIOD_OPEN, Timer.FUND_RETRY, Timer.PERIOD_START, Timer.PERIOD_CLOSE)

# a period that was paid before its charge still opens: that schedules the one after it
_CLOCKS_OF_PAID = (Timer.FUND_RETRY, Timer.PERIOD_START, Timer.PERIOD_CLOSE)

PERIODS: Final[Machine] = MappingProxyType(
    {
        (None, _T.SCHEDULE): Transition(
            who=EITHER | SYSTEM, to=_P.SCHEDULED, arms=(Timer.PERIOD_OPEN,)
        ),
        **from_each(
            (_P.SCHEDULED, _P.FUNDING),
            _T.START_FUNDING,
            Transition(who=SYSTEM, to=_P.FUNDING, arms=(Timer.FUND_RETRY,)),
        ),
        **from_each(
            (_P.SCHEDULED, _P.FUNDING),
            _T.FUND,
            Transition(
                who=SYSTEM,
                to=_P.FUNDED,
                movement=("P01", "P05"),
                arms=(Timer.PERIOD_START,),
                cancels=(Timer.FUND_RETRY,),
            ),
        ),
        (_P.FUNDING, _T.LAPSE): Transition(who=SYSTEM, to=_P.LAPSED, cancels=_CLOCKS),
        (_P.FUNDED, _T.BEGIN): Transition(
            who=SYSTEM, to=_P.ACTIVE, arms=(Timer.PERIOD_CLOSE,), cancels=(Timer.PERIOD_START,)
        ),
        (_P.ACTIVE, _T.PAUSE): Transition(
            who=EITHER,
            to=_P.PAUSED,
            guards=(_G.BOTH_ASKED,),
            pauses=_CLOCKS,
        ),
        (_P.PAUSED, _T.RESUME): Transition(who=ANYONE, to=_P.ACTIVE, arms=(Timer.PERIOD_CLOSE,)),
        (_P.ACTIVE, _T.CLOSE_PERIOD): Transition(who=SYSTEM, to=_P.CLOSING),
        (_P.CLOSING, _T.SETTLE): Transition(
            who=SYSTEM,
            to=_P.SETTLED,
            guards=_PAYS,
            movement=("P07", "P11", "P32"),
            cancels=_CLOCKS_OF_PAID,
        ),
        **from_each(
            (_P.FUNDED, _P.ACTIVE, _P.PAUSED, _P.CLOSING),
            _T.SLOT_CLOSED,
            Transition(who=SYSTEM, to=_P.SETTLED, cancels=_CLOCKS_OF_PAID),
        ),
        **from_each(
            (_P.SCHEDULED, _P.FUNDING), _T.SLOT_CLOSED, Transition(who=SYSTEM, to=_P.CANCELLED)
        ),
        **from_each(
            (_P.SCHEDULED, _P.FUNDING),
            _T.CANCEL,
            Transition(who=ANYONE | SYSTEM, to=_P.CANCELLED, cancels=_CLOCKS),
        ),
        **from_each(
            (_P.FUNDED, _P.ACTIVE, _P.PAUSED),
            _T.CANCEL,
            Transition(
                who=ANYONE | SYSTEM,
                to=_P.CANCELLED,
                guards=_PAYS,
                movement=("P31",),
                cancels=_CLOCKS,
            ),
        ),
    }
)
"""scheduled -> funding -> funded -> active <-> paused; closing -> settled; lapsed, cancelled."""

DRAWDOWNS: Final[Machine] = MappingProxyType(
    {
        (None, _T.DRAW): Transition(
            who=PAYEE,
            to=_D.SUBMITTED,
            guards=(_G.PERIOD_FUNDED, _G.WITHIN_PERIOD),
            arms=(Timer.DRAWDOWN_REVIEW,),
        ),
        (_D.SUBMITTED, _T.APPROVE): Transition(
            who=CLIENT,
            to=_D.APPROVED,
            guards=(_G.BEFORE_SETTLED, _G.NO_HOLD, _G.CLEARED),
            movement=("P10",),
            cancels=(Timer.DRAWDOWN_REVIEW,),
        ),
        (_D.SUBMITTED, _T.REVIEW_ENDS): Transition(
            who=SYSTEM,
            to=_D.APPROVED,
            guards=(_G.BEFORE_SETTLED, _G.NO_HOLD, _G.CLEARED),
            movement=("P10",),
        ),
        (_D.SUBMITTED, _T.REJECT): Transition(
            who=CLIENT,
            to=_D.REJECTED,
            guards=(_G.REASON_GIVEN,),
            cancels=(Timer.DRAWDOWN_REVIEW,),
        ),
        (_D.SUBMITTED, _T.WITHDRAW): Transition(
            who=PAYEE, to=_D.WITHDRAWN, cancels=(Timer.DRAWDOWN_REVIEW,)
        ),
        # above what the period holds: a charge and a slot of its own
        (_D.SUBMITTED, _T.BILL): Transition(
            who=CLIENT | SYSTEM,
            to=_D.CHARGING,
            arms=(Timer.OVERAGE_CHARGE,),
            cancels=(Timer.DRAWDOWN_REVIEW,),
        ),
        (_D.SUBMITTED, _T.LAPSE): Transition(
            who=SYSTEM, to=_D.LAPSED, cancels=(Timer.DRAWDOWN_REVIEW,)
        ),
        (_D.CHARGING, _T.START_FUNDING): Transition(
            who=SYSTEM, to=_D.CHARGING, movement=("P01", "P05"), arms=(Timer.OVERAGE_CHARGE,)
        ),
        (_D.CHARGING, _T.RELEASE_EARNED): Transition(
            who=SYSTEM,
            to=_D.APPROVED,
            guards=(_G.NO_HOLD, _G.CLEARED),
            movement=("P07",),
            cancels=(Timer.OVERAGE_CHARGE,),
        ),
        (_D.CHARGING, _T.LEAVE_UNPAID): Transition(
            who=SYSTEM, to=_D.UNPAID, cancels=(Timer.OVERAGE_CHARGE,)
        ),
        (_D.CHARGING, _T.SLOT_CLOSED): Transition(
            who=SYSTEM, to=_D.SETTLED, cancels=(Timer.OVERAGE_CHARGE,)
        ),
    }
)
"""What the payee draws: approved by the client or by silence, rejected, withdrawn.

What exceeds the period is charged apart: paid, unpaid, or settled by a refund or a dispute.
"""
