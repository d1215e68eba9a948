"""Every (state, trigger, role) of a payout: in the table it moves, outside it is refused."""

from itertools import product

import pytest

from payouts.machine import TRANSITIONS, Movement, Trigger, step
from payouts.model import PayoutState, Role
from payouts.movements import PAYOUT_MOVEMENTS
from payouts.refusals import NotYours, WrongState

P, R, O, S, L = PayoutState, Role, Role.OPERATOR, Role.SYSTEM, Role.RAIL  # noqa: E741
EVERY = list(product([None, *PayoutState], Trigger, Role))

# What domain/escrow.md 2.9 says, written once more by hand.
EXPECTED = {
    (None, Trigger.REQUEST): ({R.PAYEE, O, S}, P.REQUESTED),
    (P.REQUESTED, Trigger.SUBMIT): ({O, S}, P.SUBMITTED),
    (P.REQUESTED, Trigger.CANCEL): ({R.PAYEE, O}, P.CANCELLED),
    (P.SUBMITTED, Trigger.CONFIRM): ({L}, P.PAID),
    (P.SUBMITTED, Trigger.FAIL): ({L}, P.FAILED),
    (P.SUBMITTED, Trigger.RETURN): ({L}, P.RETURNED),
    (P.PAID, Trigger.RETURN): ({L}, P.RETURNED),
}


@pytest.mark.parametrize(("state", "trigger", "role"), EVERY)
def test_a_payout_moves_by_its_table_alone(
    state: PayoutState | None, trigger: Trigger, role: Role
) -> None:
    """In the table it moves to the state named there; a wrong state or role is refused by name."""
    if (state, trigger) not in EXPECTED:
        with pytest.raises(WrongState):
            step(state, trigger, role)
        return
    who, to = EXPECTED[state, trigger]
    if role not in who:
        with pytest.raises(NotYours):
            step(state, trigger, role)
        return

    assert step(state, trigger, role).to is to


def test_every_state_can_be_reached_and_every_end_is_an_end() -> None:
    """Failed, returned and cancelled lead nowhere; paid still leads to returned."""
    reached = {transition.to for transition in TRANSITIONS.values()}
    left = {state for state, _ in TRANSITIONS if state is not None}

    assert reached == set(PayoutState)
    assert set(PayoutState) - left == {P.FAILED, P.RETURNED, P.CANCELLED}


def test_every_movement_of_the_table_has_its_posting() -> None:
    """A movement that the table names is a function of the money map, and no other is there."""
    named = {movement for each in TRANSITIONS.values() for movement in each.movement}

    assert named == set(Movement) == set(PAYOUT_MOVEMENTS)
