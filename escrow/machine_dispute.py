"""THE transition table of the dispute (domain/escrow.md 2.8).

CLIENT and PAYEE are roles in the contract; which of them opened and which has to answer is a
guard's matter. What the table calls EXECUTE follows in the same act as the row before it, unless
another hold or uncleared money is in the way: then the clock `dispute_execute` tries again.
"""

from types import MappingProxyType
from typing import Final

from escrow.machine import (
    ANYONE,
    CLIENT,
    EITHER,
    OPERATOR,
    RAIL,
    SYSTEM,
    Guard,
    Machine,
    Timer,
    Transition,
    Trigger,
    from_each,
)
from escrow.model_dispute import DisputeState

_T = Trigger
_G = Guard
_D = DisputeState

STAGE_CLOCKS: Final = (
    Timer.DISPUTE_REPLY,
    Timer.DISPUTE_NEGOTIATION,
    Timer.MEDIATION_MAX,
    Timer.ARBITRATION_ELECT,
)
"""One runs at a time: that of the present stage."""

UNSETTLED: Final = (
    _D.OPENED,
    _D.AWAITING_REPLY,
    _D.NEGOTIATION,
    _D.MEDIATION,
    _D.RECOMMENDATION,
    _D.ARBITRATION_ELECT,
    _D.ARBITRATION,
)
"""States in which nothing is agreed or decided yet."""

RESOLVED: Final = (_D.CONCEDED, _D.DEFAULTED, _D.SETTLED, _D.DECIDED)
"""States in which the shares stand and wait to be carried out."""

BARGAINING: Final = (_D.NEGOTIATION, _D.MEDIATION, _D.RECOMMENDATION, _D.ARBITRATION_ELECT)
"""States in which the sides may still agree."""

_UNANSWERED: Final = (_D.OPENED, _D.AWAITING_REPLY)
_WITHDRAWABLE: Final = (*_UNANSWERED, _D.NEGOTIATION, _D.MEDIATION)
_TIMED: Final = (_D.AWAITING_REPLY, *BARGAINING)

DISPUTES: Final[Machine] = MappingProxyType(
    {
        (None, _T.OPEN_DISPUTE): Transition(
            who=ANYONE, to=_D.OPENED, guards=(_G.CLAIM_WITHIN_HELD,), movement=("P12",)
        ),
        (None, _T.OPEN_LATER): Transition(
            who=CLIENT | OPERATOR,
            to=_D.OPENED,
            guards=(_G.IN_SECURITY_HOLD,),
            movement=("P12",),
        ),
        (_D.OPENED, _T.SERVE): Transition(
            who=OPERATOR | SYSTEM, to=_D.AWAITING_REPLY, arms=(Timer.DISPUTE_REPLY,)
        ),
        # the other side answers, or does not
        **from_each(
            _UNANSWERED,
            _T.CONCEDE,
            Transition(who=EITHER, to=_D.CONCEDED, guards=(_G.RESPONDENT,), cancels=STAGE_CLOCKS),
        ),
        **from_each(
            _UNANSWERED,
            _T.REPLY,
            Transition(
                who=EITHER,
                to=_D.NEGOTIATION,
                guards=(_G.RESPONDENT,),
                arms=(Timer.DISPUTE_NEGOTIATION,),
                cancels=(Timer.DISPUTE_REPLY,),
            ),
        ),
        (_D.AWAITING_REPLY, _T.DEFAULT): Transition(
            who=SYSTEM, to=_D.DEFAULTED, guards=(_G.SERVED, _G.NO_COMPLIANCE_HOLD)
        ),
        # figures that bind
        **{(state, _T.OFFER): Transition(who=EITHER, to=state) for state in BARGAINING},
        **from_each(
            BARGAINING,
            _T.ACCEPT_OFFER,
            Transition(who=EITHER, to=_D.SETTLED, guards=(_G.OTHERS_OFFER,), cancels=STAGE_CLOCKS),
        ),
        **{(state, _T.FILE_EVIDENCE): Transition(who=EITHER, to=state) for state in UNSETTLED},
        **{
            (state, _T.EXTEND): Transition(
                who=OPERATOR, to=state, guards=(_G.IN_PERSON, _G.NOT_EXTENDED)
            )
            for state in _TIMED
        },
        # a third person looks at it
        (_D.NEGOTIATION, _T.MEDIATE): Transition(
            who=EITHER | SYSTEM,
            to=_D.MEDIATION,
            guards=(_G.ABOVE_SMALL_CLAIM,),
            arms=(Timer.MEDIATION_MAX,),
            cancels=(Timer.DISPUTE_NEGOTIATION,),
        ),
        (_D.NEGOTIATION, _T.TAKE_SMALL): Transition(
            who=EITHER | SYSTEM,
            to=_D.ARBITRATION,
            guards=(_G.SMALL_CLAIM,),
            cancels=(Timer.DISPUTE_NEGOTIATION,),
        ),
        (_D.MEDIATION, _T.RECOMMEND): Transition(
            who=OPERATOR,
            to=_D.RECOMMENDATION,
            guards=(_G.IN_PERSON, _G.NOT_INVOLVED, _G.BOTH_HEARD, _G.SHARES_ADD_UP),
            arms=(Timer.ARBITRATION_ELECT,),
            cancels=(Timer.MEDIATION_MAX,),
        ),
        (_D.MEDIATION, _T.MEDIATION_OVER): Transition(
            who=SYSTEM, to=_D.ARBITRATION_ELECT, arms=(Timer.ARBITRATION_ELECT,)
        ),
        # arbitration, for whoever pays for it
        **from_each(
            (_D.RECOMMENDATION, _D.ARBITRATION_ELECT),
            _T.ELECT,
            Transition(
                who=EITHER,
                to=_D.ARBITRATION_ELECT,
                guards=(_G.NONE_PAID, _G.NO_HOLD),
                movement=("P45",),
            ),
        ),
        (_D.ARBITRATION_ELECT, _T.ELECT_TOO): Transition(
            who=EITHER,
            to=_D.ARBITRATION,
            guards=(_G.OTHER_PAID, _G.NO_HOLD),
            movement=("P45",),
            cancels=STAGE_CLOCKS,
        ),
        (_D.RECOMMENDATION, _T.LET_STAND): Transition(
            who=SYSTEM, to=_D.SETTLED, guards=(_G.RECOMMENDED, _G.NONE_PAID)
        ),
        (_D.ARBITRATION_ELECT, _T.ARBITRATE): Transition(who=SYSTEM, to=_D.ARBITRATION),
        (_D.ARBITRATION, _T.PROPOSE_DECISION): Transition(
            who=OPERATOR,
            to=_D.ARBITRATION,
            guards=(_G.IN_PERSON, _G.BOTH_HEARD, _G.SHARES_ADD_UP),
        ),
        (_D.ARBITRATION, _T.APPROVE_DECISION): Transition(
            who=OPERATOR, to=_D.DECIDED, guards=(_G.IN_PERSON, _G.SECOND_PERSON)
        ),
        # the end
        **from_each(
            RESOLVED,
            _T.EXECUTE,
            Transition(
                who=SYSTEM,
                to=_D.EXECUTED,
                movement=("P13", "P12", "P45"),
                cancels=(Timer.DISPUTE_EXECUTE,),
            ),
        ),
        # once more, for the side that kept silent
        (_D.EXECUTED, _T.APPEAL): Transition(
            who=EITHER,
            to=_D.EXECUTED,
            guards=(
                *(_G.WAS_DEFAULT, _G.RESPONDENT, _G.NOT_APPEALED, _G.APPEAL_IN_TIME),
                *(_G.IN_SECURITY_HOLD, _G.NONE_OPEN),
            ),
        ),
        (None, _T.OPEN_APPEAL): Transition(
            who=EITHER,
            to=_D.NEGOTIATION,
            arms=(Timer.DISPUTE_NEGOTIATION,),
            movement=("P12",),
        ),
        **from_each(
            _WITHDRAWABLE,
            _T.WITHDRAW_DISPUTE,
            Transition(
                who=ANYONE,
                to=_D.WITHDRAWN,
                guards=(_G.OPENER,),
                movement=("P12",),
                cancels=STAGE_CLOCKS,
            ),
        ),
        # what was frozen is lost to a chargeback: there is nothing left to judge
        **from_each(
            (*UNSETTLED, *RESOLVED),
            _T.LOSE_FROZEN,
            Transition(
                who=RAIL,
                to=_D.WITHDRAWN,
                movement=("P12", "P45"),
                cancels=(*STAGE_CLOCKS, Timer.DISPUTE_EXECUTE),
            ),
        ),
    }
)
"""opened -> awaiting_reply -> ... -> executed or withdrawn."""

AT_ONCE: Final = frozenset(
    {
        (start, _D.EXECUTED)
        for (start, _), row in DISPUTES.items()
        if start is not None and row.to in RESOLVED
    }
)
"""Two rows taken in one save: what is settled is carried out in the same act."""
