"""The slot's rows of money that comes back after it was paid: by the payee, by the client's bank.

The bank takes money from a slot, gives it again, or keeps it for good (domain/escrow.md 2.4, rows
16 and 17). A slot keeps its state meanwhile: what stands beside it is a hold.
"""

from collections.abc import Iterable
from enum import StrEnum

from escrow.machine import OPERATOR, PAYEE, RAIL, Guard, Timer, Transition, Trigger, from_each
from escrow.model import SlotState

Rows = dict[tuple[StrEnum | None, Trigger], Transition]

_T = Trigger
_X = SlotState


def recall_rows(holding: Iterable[SlotState], closes: tuple[Timer, ...]) -> Rows:
    """The rows, given the states in which a slot holds money and the clocks that end with it."""
    states = tuple(holding)
    had_money = (
        *(*states, _X.AWAITING_FUNDING, _X.FUNDING),
        *(_X.RELEASED, _X.REFUNDED, _X.CANCELLED),
    )
    return {
        **{
            (state, _T.REFUND_LATER): Transition(
                who=PAYEE | OPERATOR,
                to=state,
                guards=(Guard.NO_HOLD, Guard.KEPT_BY_PAYEE),
                movement=("P17",),
            )
            for state in (*states, _X.RELEASED, _X.REFUNDED)
            if state is not _X.DISPUTED
        },
        **_stay(states, _T.CONTEST, ("P18",), cancels=(Timer.AUTO_RELEASE,)),
        **_stay(states, _T.REINSTATE, ("P19",)),
        (_X.AWAITING_FUNDING, _T.REINSTATE): Transition(
            who=RAIL, to=_X.FUNDED, movement=("P19",), arms=(Timer.DORMANT,)
        ),
        **_stay(had_money, _T.BOOK_LOSS, ("P21", "P22")),
        **from_each(
            states,
            _T.CHARGE_BACK,
            Transition(who=RAIL, to=_X.AWAITING_FUNDING, cancels=closes),
        ),
        (_X.SUBMITTED, _T.RESTART_REVIEW): Transition(
            who=RAIL, to=_X.SUBMITTED, arms=(Timer.AUTO_RELEASE,)
        ),
    }


def _stay(
    states: tuple[SlotState, ...],
    trigger: Trigger,
    movement: tuple[str, ...],
    *,
    cancels: tuple[Timer, ...] = (),
) -> Rows:
    return {
        (state, trigger): Transition(who=RAIL, to=state, movement=movement, cancels=cancels)
        for state in states
    }
