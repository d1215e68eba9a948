"""THE transition table of the milestone (domain/escrow.md 2.4); the numbers are its rows there."""

from collections.abc import Iterable
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from escrow.machine import (
    CLIENT,
    EITHER,
    OPERATOR,
    PAYEE,
    RAIL,
    SYSTEM,
    Guard,
    Machine,
    Timer,
    Transition,
    Trigger,
    from_each,
)
from escrow.machine_recall import recall_rows
from escrow.model import Role, SlotState

_CLOSES: Final = (Timer.AUTO_RELEASE, Timer.DORMANT)
_PAYS_A_PART: Final = (Guard.NO_HOLD, Guard.CLEARED)
_PAYS_OUT: Final = (*_PAYS_A_PART, Guard.NOTHING_CONTESTED)

WORKING: Final = (SlotState.FUNDED, SlotState.SUBMITTED, SlotState.CHANGES_REQUESTED)
"""States in which a slot holds money and the deal goes on."""

HOLDING: Final = (*WORKING, SlotState.REFUND_REQUESTED, SlotState.DORMANT)
"""States in which a slot holds money: "any funded" of domain/escrow.md 2.4."""

RESTORES: Final = MappingProxyType({state: Trigger(f"restore_{state}") for state in HOLDING})
"""The step back from a dispute, by the state before it; what is left of the slot goes on there."""


def unmoved(
    states: Iterable[SlotState], trigger: Trigger, who: frozenset[Role], **rest: tuple[str, ...]
) -> dict[tuple[StrEnum | None, Trigger], Transition]:
    """Rows that leave the state as it is."""
    return {
        (state, trigger): Transition(who=who, to=state, **rest)  # type: ignore[arg-type]
        for state in states
    }


_T = Trigger
_G = Guard
_X = SlotState
_RELEASES = Transition(
    who=CLIENT,
    to=_X.RELEASED,
    guards=(*_PAYS_OUT, _G.SAME_SUBMISSION, _G.ONE_MAY_RELEASE),
    movement=("P07",),
    arms=(Timer.SECURITY_HOLD,),
    cancels=_CLOSES,
)
_REFUNDS = Transition(
    who=PAYEE,
    to=_X.REFUNDED,
    guards=_PAYS_OUT,
    movement=("P14", "P15"),
    cancels=(*_CLOSES, Timer.REFUND_REPLY),
)

SLOTS: Final[Machine] = MappingProxyType(
    {
        # 1, 2, 19: before there is money
        (None, _T.PROPOSE): Transition(who=EITHER, to=_X.PROPOSED, guards=(_G.AMOUNT_IN_RANGE,)),
        (_X.PROPOSED, _T.ACCEPT): Transition(
            who=EITHER, to=_X.AWAITING_FUNDING, guards=(_G.OTHER_PARTY,)
        ),
        **from_each(
            (_X.PROPOSED, _X.AWAITING_FUNDING),
            _T.CANCEL,
            Transition(who=EITHER | SYSTEM, to=_X.CANCELLED, guards=(_G.BALANCE_ZERO,)),
        ),
        # 3: money comes in
        (_X.AWAITING_FUNDING, _T.START_FUNDING): Transition(
            who=CLIENT | SYSTEM, to=_X.FUNDING, guards=(_G.CONTRACT_RUNS, _G.PARTIES_CLEAR)
        ),
        (_X.AWAITING_FUNDING, _T.FUND_FROM_WALLET): Transition(
            who=CLIENT | SYSTEM,
            to=_X.FUNDED,
            guards=(_G.CONTRACT_RUNS, _G.PARTIES_CLEAR, _G.NO_HOLD),
            movement=("P05",),
            arms=(Timer.DORMANT,),
        ),
        (_X.FUNDING, _T.FUND): Transition(
            who=RAIL, to=_X.FUNDED, movement=("P01",), arms=(Timer.DORMANT,)
        ),
        (_X.FUNDING, _T.FUNDING_ENDED): Transition(
            who=CLIENT | SYSTEM | RAIL, to=_X.AWAITING_FUNDING
        ),
        **unmoved((*HOLDING, _X.DISPUTED), _T.CLEAR, RAIL),
        # 20: more money for a raised price
        **unmoved(
            WORKING,
            _T.START_TOP_UP,
            CLIENT | SYSTEM,
            guards=(_G.CONTRACT_RUNS, _G.PARTIES_CLEAR, _G.PRICE_UNPAID),
        ),
        **unmoved(
            WORKING,
            _T.TOP_UP_FROM_WALLET,
            CLIENT | SYSTEM,
            guards=(_G.CONTRACT_RUNS, _G.PARTIES_CLEAR, _G.PRICE_UNPAID, _G.NO_HOLD),
            movement=("P05",),
        ),
        **unmoved((*HOLDING, _X.DISPUTED), _T.TOP_UP, RAIL, movement=("P01",)),
        # 4, 5: work is shown, withdrawn, sent back
        **from_each(
            WORKING,
            _T.SUBMIT,
            Transition(
                who=PAYEE,
                to=_X.SUBMITTED,
                guards=(_G.SOMETHING_SHOWN,),
                arms=(Timer.AUTO_RELEASE,),
            ),
        ),
        (_X.SUBMITTED, _T.WITHDRAW_SUBMISSION): Transition(
            who=PAYEE,
            to=_X.FUNDED,
            guards=(_G.SAME_SUBMISSION,),
            cancels=(Timer.AUTO_RELEASE,),
        ),
        (_X.SUBMITTED, _T.REQUEST_CHANGES): Transition(
            who=CLIENT,
            to=_X.CHANGES_REQUESTED,
            guards=(_G.REASON_GIVEN, _G.SAME_SUBMISSION, _G.BEFORE_DUE, _G.ROUNDS_LEFT),
            cancels=(Timer.AUTO_RELEASE,),
        ),
        # an empty delivery is looked at before silence counts (edge case 18)
        **unmoved(
            (_X.SUBMITTED,),
            _T.FLAG_EMPTY,
            CLIENT,
            guards=(
                *(_G.REASON_GIVEN, _G.SAME_SUBMISSION, _G.TIMER_MAY_RELEASE),
                *(_G.NO_HOLD, _G.BEFORE_DUE, _G.NOT_FLAGGED),
            ),
            arms=(Timer.AUTO_RELEASE,),
        ),
        # 6, 7, 8, 8b: money goes to the payee
        **from_each((*WORKING, _X.DORMANT), _T.APPROVE, _RELEASES),
        **unmoved(
            WORKING,
            _T.RELEASE_PART,
            CLIENT,
            guards=(*_PAYS_A_PART, _G.SAME_SUBMISSION, _G.ONE_MAY_RELEASE, _G.PART_OF_BALANCE),
            movement=("P10",),
            arms=(Timer.SECURITY_HOLD,),
        ),
        (_X.SUBMITTED, _T.AUTO_RELEASE): Transition(
            who=SYSTEM,
            to=_X.RELEASED,
            guards=(*_PAYS_OUT, _G.SAME_SUBMISSION, _G.TIMER_MAY_RELEASE),
            movement=("P07",),
            arms=(Timer.SECURITY_HOLD,),
            cancels=_CLOSES,
        ),
        (_X.SUBMITTED, _T.CONFIRM_FIRST): Transition(
            who=EITHER, to=_X.SUBMITTED, guards=(_G.SAME_SUBMISSION, _G.BOTH_CONFIRM)
        ),
        (_X.SUBMITTED, _T.CONFIRM_SECOND): Transition(
            who=EITHER,
            to=_X.RELEASED,
            guards=(_G.SAME_SUBMISSION, _G.BOTH_CONFIRM, _G.OTHER_CONFIRMED, *_PAYS_OUT),
            movement=("P07",),
            arms=(Timer.SECURITY_HOLD,),
            cancels=_CLOSES,
        ),
        # a week or a period was earned; what was advanced for a week is paid at last
        **from_each(
            WORKING,
            _T.RELEASE_EARNED,
            Transition(
                who=SYSTEM,
                to=_X.RELEASED,
                guards=_PAYS_OUT,
                movement=("P07",),
                arms=(Timer.SECURITY_HOLD,),
                cancels=_CLOSES,
            ),
        ),
        **from_each(
            WORKING,
            _T.SETTLE_ADVANCE,
            Transition(
                who=SYSTEM, to=_X.RELEASED, guards=_PAYS_OUT, movement=("P29",), cancels=_CLOSES
            ),
        ),
        **unmoved(WORKING, _T.SETTLE_ADVANCE_PART, SYSTEM, guards=_PAYS_OUT, movement=("P29",)),
        # a week's deposit beyond what was worked rolls on or goes back
        **unmoved(WORKING, _T.SETTLE_DEPOSIT, SYSTEM, guards=_PAYS_OUT, movement=("P11", "P14")),
        # lines of a week's invoice are frozen one by one, what is undisputed is released
        **from_each(
            (_X.FUNDED, _X.DISPUTED),
            _T.FREEZE_LINE,
            Transition(who=SYSTEM, to=_X.DISPUTED, movement=("P12",)),
        ),
        (_X.DISPUTED, _T.THAW_LINE): Transition(who=SYSTEM, to=_X.DISPUTED, movement=("P12",)),
        (_X.DISPUTED, _T.RELEASE_UNDISPUTED): Transition(
            who=SYSTEM,
            to=_X.DISPUTED,
            guards=_PAYS_OUT,
            movement=("P10",),
            arms=(Timer.SECURITY_HOLD,),
        ),
        # a retainer's period: a drawdown is paid, and its end divides what is left
        **unmoved(
            WORKING,
            _T.RELEASE_DRAWN,
            SYSTEM,
            guards=_PAYS_OUT,
            movement=("P10",),
            arms=(Timer.SECURITY_HOLD,),
        ),
        **from_each(
            WORKING,
            _T.SETTLE_RELEASED,
            Transition(
                who=SYSTEM,
                to=_X.RELEASED,
                guards=_PAYS_OUT,
                movement=("P07", "P11", "P31", "P32"),
                arms=(Timer.SECURITY_HOLD,),
                cancels=_CLOSES,
            ),
        ),
        **from_each(
            WORKING,
            _T.SETTLE_REFUNDED,
            Transition(
                who=SYSTEM,
                to=_X.REFUNDED,
                guards=_PAYS_OUT,
                movement=("P11", "P31", "P32"),
                cancels=_CLOSES,
            ),
        ),
        **from_each(
            WORKING,
            _T.SETTLE_ROLLED,
            Transition(
                who=SYSTEM,
                to=_X.CANCELLED,
                guards=_PAYS_OUT,
                movement=("P11",),
                cancels=_CLOSES,
            ),
        ),
        # 9, 10, 12: money goes back to the client
        **from_each(
            WORKING,
            _T.ASK_REFUND,
            Transition(
                who=CLIENT | SYSTEM,
                to=_X.REFUND_REQUESTED,
                arms=(Timer.REFUND_REPLY,),
                cancels=(Timer.DORMANT,),
                pauses=(Timer.AUTO_RELEASE,),
            ),
        ),
        (_X.REFUND_REQUESTED, _T.ACCEPT_REFUND): _REFUNDS,
        (_X.REFUND_REQUESTED, _T.REFUND_UNANSWERED): Transition(
            who=SYSTEM,
            to=_X.REFUNDED,
            guards=_PAYS_OUT,
            movement=("P14", "P15"),
            cancels=(*_CLOSES, Timer.REFUND_REPLY),
        ),
        **from_each(HOLDING, _T.GIVE_BACK, _REFUNDS),
        # 11, 13, 14, 15: a part is frozen, and thawed or split
        (_X.REFUND_REQUESTED, _T.REJECT_REFUND): Transition(
            who=PAYEE, to=_X.DISPUTED, guards=(_G.NONE_OPEN,), movement=("P12",)
        ),
        **from_each(
            HOLDING,
            _T.DISPUTE,
            Transition(
                who=EITHER | OPERATOR, to=_X.DISPUTED, guards=(_G.NONE_OPEN,), movement=("P12",)
            ),
        ),
        **{
            (_X.DISPUTED, restore): Transition(
                who=SYSTEM, to=state, guards=(_G.NOTHING_CONTESTED,), movement=("P12",)
            )
            for state, restore in RESTORES.items()
        },
        (_X.DISPUTED, _T.SPLIT_PART): Transition(
            who=SYSTEM,
            to=_X.DISPUTED,
            guards=_PAYS_OUT,
            movement=("P13", "P27"),
            arms=(Timer.SECURITY_HOLD,),
        ),
        (_X.DISPUTED, _T.SPLIT_RELEASED): Transition(
            who=SYSTEM,
            to=_X.RELEASED,
            guards=_PAYS_OUT,
            movement=("P13", "P27"),
            arms=(Timer.SECURITY_HOLD,),
            cancels=(*_CLOSES, Timer.REFUND_REPLY),
        ),
        (_X.DISPUTED, _T.SPLIT_REFUNDED): Transition(
            who=SYSTEM,
            to=_X.REFUNDED,
            guards=_PAYS_OUT,
            movement=("P13", "P27"),
            cancels=(*_CLOSES, Timer.REFUND_REPLY),
        ),
        # 16, 17: the payee gives released money back, or the client's bank takes it back
        **recall_rows((*HOLDING, _X.DISPUTED), (*_CLOSES, Timer.REFUND_REPLY)),
        # released money is disputed in its security hold (edge case 1)
        **unmoved(
            (*HOLDING, _X.RELEASED, _X.REFUNDED),
            _T.DISPUTE_RELEASED,
            CLIENT | OPERATOR,
            guards=(_G.NONE_OPEN, _G.IN_SECURITY_HOLD),
            movement=("P12",),
        ),
        **unmoved(
            (*HOLDING, _X.RELEASED, _X.REFUNDED),
            _T.SPLIT_LATER,
            SYSTEM,
            guards=(_G.NO_HOLD,),
            movement=("P13",),
        ),
        # 18: nobody moves
        **unmoved(WORKING, _T.REMIND, SYSTEM, arms=(Timer.DORMANT,)),
        **from_each(
            WORKING,
            _T.FALL_DORMANT,
            Transition(
                who=SYSTEM,
                to=_X.DORMANT,
                guards=(_G.NOTICES_SENT,),
                cancels=(Timer.AUTO_RELEASE,),
            ),
        ),
        (_X.DORMANT, _T.RELEASE_DORMANT): Transition(
            who=SYSTEM | OPERATOR,
            to=_X.RELEASED,
            guards=(*_PAYS_OUT, _G.WITHIN_LIMIT),
            movement=("P07",),
            arms=(Timer.SECURITY_HOLD,),
            cancels=(Timer.DORMANT,),
        ),
        (_X.DORMANT, _T.REFUND_DORMANT): Transition(
            who=SYSTEM | OPERATOR,
            to=_X.REFUNDED,
            guards=(*_PAYS_OUT, _G.WITHIN_LIMIT),
            movement=("P14", "P15"),
            cancels=(Timer.DORMANT,),
        ),
        # 20, 7: both sign another price, or roll the rest to another slot
        **unmoved(WORKING, _T.AMEND_UP, EITHER, guards=(_G.BOTH_SIGNED,)),
        **unmoved(
            WORKING,
            _T.AMEND_DOWN,
            EITHER,
            guards=(_G.BOTH_SIGNED, *_PAYS_OUT),
            movement=("P14", "P15"),
        ),
        **from_each(
            WORKING,
            _T.ROLL_REST,
            Transition(
                who=EITHER,
                to=_X.RELEASED,
                guards=(_G.BOTH_SIGNED, *_PAYS_OUT),
                movement=("P11",),
                cancels=_CLOSES,
            ),
        ),
        **from_each(
            WORKING,
            _T.ROLL_ALL,
            Transition(
                who=EITHER,
                to=_X.CANCELLED,
                guards=(_G.BOTH_SIGNED, *_PAYS_OUT),
                movement=("P11",),
                cancels=_CLOSES,
            ),
        ),
        (_X.AWAITING_FUNDING, _T.ROLL_IN): Transition(
            who=EITHER | SYSTEM, to=_X.FUNDED, guards=(_G.NO_HOLD,), arms=(Timer.DORMANT,)
        ),
        **unmoved(WORKING, _T.ROLL_IN, EITHER | SYSTEM, guards=(_G.NO_HOLD,)),
    }
)
"""The milestone (domain/escrow.md 2.4)."""
