"""Every (state, trigger, role) of a payout: in the table it moves, outside it is refused."""

from collections.abc import Iterator
from itertools import product

import pytest

from payouts.machine import TRANSITIONS, Movement, Trigger, step
from payouts.model import PayoutState, Role
from payouts.movements import PAYOUT_MOVEMENTS
from payouts.refusals import NotYours, WrongState

P, R, O, S, L = PayoutState, Role, Role.OPERATOR, Role.SYSTEM, Role.RAIL  # noqa: E741
EVERY = list(product([None, *PayoutState], Trigger, Role))

# What domain/escrow.md 2.9 says, written once more by hand.
EXPECTED: dict[tuple[PayoutState | None, Trigger], tuple[set[Role], PayoutState]] = {
    (None, Trigger.REQUEST): ({R.PAYEE, O, S}, P.REQUESTED),
    (P.REQUESTED, Trigger.SUBMIT): ({O, S}, P.SUBMITTED),
    (P.REQUESTED, Trigger.SCREEN): ({O, S}, P.SCREENING),
    (P.SCREENING, Trigger.APPROVE): ({O}, P.APPROVED),
    (P.SCREENING, Trigger.REFUSE): ({O}, P.CANCELLED),
    (P.APPROVED, Trigger.SUBMIT): ({O, S}, P.SUBMITTED),
    **{
        (state, Trigger.CANCEL): ({R.PAYEE, O}, P.CANCELLED)
        for state in (P.REQUESTED, P.SCREENING, P.APPROVED)
    },
    **{
        (state, Trigger.BLOCK): ({O, S}, P.BLOCKED)
        for state in (P.REQUESTED, P.SCREENING, P.APPROVED)
    },
    (P.SUBMITTED, Trigger.LEAVE): ({L}, P.IN_TRANSIT),
    (P.SUBMITTED, Trigger.UNCLAIM): ({L}, P.UNCLAIMED),
    (P.SUBMITTED, Trigger.CONFIRM): ({L}, P.PAID),
    (P.SUBMITTED, Trigger.FAIL): ({L}, P.FAILED),
    (P.SUBMITTED, Trigger.RETURN): ({L}, P.RETURNED),
    (P.IN_TRANSIT, Trigger.UNCLAIM): ({L}, P.UNCLAIMED),
    (P.IN_TRANSIT, Trigger.CONFIRM): ({L}, P.PAID),
    (P.IN_TRANSIT, Trigger.RETURN): ({L}, P.RETURNED),
    (P.UNCLAIMED, Trigger.CONFIRM): ({L}, P.PAID),
    (P.UNCLAIMED, Trigger.RETURN): ({L}, P.RETURNED),
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
    """Failed, returned, cancelled and blocked lead nowhere; paid still leads to returned."""
    reached = {transition.to for transition in TRANSITIONS.values()}
    left = {state for state, _ in TRANSITIONS if state is not None}

    assert reached == set(PayoutState)
    assert set(PayoutState) - left == {P.FAILED, P.RETURNED, P.CANCELLED, P.BLOCKED}


def test_every_way_through_the_machine_books_the_payout_once() -> None:
    """P37 first; what left once came back at most once; an end without money given back is paid."""
    ways = list(_ways(None, ()))

    assert len(ways) > len(TRANSITIONS)
    for end, booked in ways:
        assert booked[0] is Movement.P37_REQUEST
        assert max(booked.count(each) for each in Movement) == 1
        is_back = Movement.P39_GIVE_BACK in booked
        assert is_back == (end in {P.FAILED, P.RETURNED, P.CANCELLED, P.BLOCKED})
        has_left = Movement.P38_PAY in booked
        assert has_left == (end in {P.IN_TRANSIT, P.UNCLAIMED, P.PAID, P.RETURNED})
        assert (Movement.P40_RETURN in booked) == (end is P.RETURNED)


def _ways(
    state: PayoutState | None, booked: tuple[Movement, ...]
) -> Iterator[tuple[PayoutState, tuple[Movement, ...]]]:
    """Every way from a state on, with all that is booked until each of its stations."""
    for (start, _), row in TRANSITIONS.items():
        if start == state:
            yield row.to, booked + row.movement
            yield from _ways(row.to, booked + row.movement)


def test_every_movement_of_the_table_has_its_posting() -> None:
    """A movement that the table names is a function of the money map, and no other is there."""
    named = {movement for each in TRANSITIONS.values() for movement in each.movement}

    assert named == set(Movement) == set(PAYOUT_MOVEMENTS)
