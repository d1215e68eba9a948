"""Every (state, trigger, role) of plans: in the list it moves, outside it is refused.

The lists are written from domain/escrow.md 2.10 (P44) and 2.11, and know nothing of the tables.
"""

from enum import StrEnum
from itertools import product
from typing import Any

import pytest

from commissions.machine_plans import (
    OFFERINGS,
    PURCHASES,
    SUBSCRIPTIONS,
    Guard,
    Machine,
    Trigger,
    step,
)
from commissions.model_plans import OfferingState, PurchaseState, Role, SubscriptionState
from commissions.refusals_plans import NotYours, WrongState

OFFERING_ROWS = """
- prepare operator -> prepared
prepared approve operator -> approved
prepared reject operator -> rejected
"""

SUBSCRIPTION_ROWS = """
- subscribe party operator -> active
active,past_due renew system -> active
active,past_due fail system -> past_due
past_due lapse system -> lapsed
active cancel party operator -> ending
active,past_due cancel_now party operator -> cancelled
ending run_out system -> cancelled
"""

PURCHASE_ROWS = """
- buy party operator -> earning
- renew party operator system -> earning
earning earn system -> earning
earning earn_last system -> earned
earning give_back party operator -> refunded
"""

MACHINES = [
    pytest.param(OFFERINGS, OfferingState, OFFERING_ROWS, id="offering"),
    pytest.param(SUBSCRIPTIONS, SubscriptionState, SUBSCRIPTION_ROWS, id="subscription"),
    pytest.param(PURCHASES, PurchaseState, PURCHASE_ROWS, id="purchase"),
]


def rows_of(text: str) -> dict[tuple[str, str, str], str]:
    """(state, trigger, role) -> next state."""
    found = {}
    for line in filter(None, text.splitlines()):
        given, to = line.split(" -> ")
        states, trigger, *who = given.split()
        for state, role in product(states.split(","), who):
            found[state, trigger, role] = to
    return found


@pytest.mark.parametrize(("machine", "states", "text"), MACHINES)
def test_every_state_trigger_and_role(machine: Machine, states: Any, text: str) -> None:
    """In the list a step leads where it says; any other is refused."""
    expected = rows_of(text)

    for state, trigger in product([None, *states], Trigger):
        may = {role for at, what, role in expected if (at, what) == (state or "-", trigger)}
        for role in Role:
            if role in may:
                assert (
                    step(machine, state, trigger, role).to == expected[state or "-", trigger, role]
                )
            else:
                with pytest.raises(NotYours if may else WrongState):
                    step(machine, state, trigger, role)
    assert {(s or "-", t) for s, t in machine} == {(s, t) for s, t, _ in expected}


@pytest.mark.parametrize(("machine", "states", "text"), MACHINES)
def test_every_row_leads_to_a_state_of_its_machine(
    machine: Machine, states: type[StrEnum], text: str
) -> None:
    """No row leads out of its machine."""
    assert text
    assert {type(row.to) for row in machine.values()} <= {states}


def test_no_charge_goes_by_an_open_hold() -> None:
    """Each row that takes money asks for open holds; a renewal's purchase follows its own row."""
    taking = [
        row
        for (state, trigger), row in (*SUBSCRIPTIONS.items(), *PURCHASES.items())
        if "P44" in row.movement and (state, trigger) != (None, Trigger.RENEW)
    ]

    assert len(taking) == 4
    assert all(Guard.NO_HOLD in row.guards for row in taking)
