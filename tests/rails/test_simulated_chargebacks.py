"""Chargebacks at the simulated rail: told once, twice or late, and moved on its own log once."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import Engine

from kernel.ids import new_id
from rails.model import OperationKind, RailAccount, RailOperation, RailOutcome
from rails.simulated.chargebacks import (
    Act,
    BadAct,
    Direction,
    UnknownCase,
    UnknownPayment,
    act,
    take_back,
)
from rails.simulated.service import SimulatedRail
from tests.rails.builders import NOON as AT


@pytest.fixture
def rail(engine: Engine) -> SimulatedRail:
    return SimulatedRail(engine, f"bank-{new_id().hex}")


def paid(rail: SimulatedRail, method: str = "card") -> RailOperation:
    """A payment of 103.00 that was made."""
    operation = RailOperation(
        id=new_id(),
        kind=OperationKind.FUND,
        handler="escrow.funding",
        subject="funding:1",
        amount_minor=10_300,
        currency="EUR",
        method=method,
    )
    rail.execute([operation], at=AT)
    return operation


def available(rail: SimulatedRail) -> int:
    balances = {b.account: b.amount_minor for b in rail.balances(at=AT + timedelta(days=1))}
    return balances.get(RailAccount.PROCESSOR_AVAILABLE, 0)


def withdrawal(operation_id: UUID, **more: object) -> Act:
    given = {
        "ref": "dp_1",
        "operation_id": operation_id,
        "amount_minor": 10_300,
        "direction": Direction.WITHDRAWN,
        "movement": "txn_1",
        "fee_minor": 1_500,
    }
    return Act(**(given | more))  # type: ignore[arg-type]


def test_a_word_and_a_movement_are_told_and_logged(rail: SimulatedRail) -> None:
    """A status is a notice; a balance transaction is a notice and a movement, with the fee."""
    payment = paid(rail)

    act(
        rail,
        Act(ref="dp_1", operation_id=payment.id, amount_minor=10_300, status="needs_response"),
        at=AT,
    )
    act(rail, withdrawal(payment.id), at=AT)

    notices = rail.notices(after="", limit=10, at=AT).notices
    told = [each for each in notices if each.kind.startswith("chargeback")]
    assert [each.kind for each in told] == ["chargeback_changed", "chargeback_funds"]
    assert told[0].facts["status"] == "needs_response"
    assert told[0].facts["due_by"]
    assert (told[1].amount_minor, told[1].fee_minor) == (10_300, 1_500)
    assert {each.outcome for each in told} == {None}
    assert available(rail) == -11_800


def test_the_same_balance_transaction_moves_once(rail: SimulatedRail) -> None:
    """Acted again, or told twice: the log has it once."""
    payment = paid(rail)

    for _ in range(2):
        act(rail, withdrawal(payment.id, twice=True), at=AT)

    told = rail.notices(after="", limit=10, at=AT).notices
    assert [each.notice_id for each in told].count("dp_1:txn_1") == 2
    assert available(rail) == -11_800
    act(
        rail,
        withdrawal(payment.id, direction=Direction.REINSTATED, movement="txn_2", fee_minor=0),
        at=AT,
    )
    assert available(rail) == -1_500


def test_a_notice_may_come_late(rail: SimulatedRail) -> None:
    """What happened is true at once, for whoever asks; its notice comes when it comes."""
    payment = paid(rail)

    act(rail, withdrawal(payment.id, after=timedelta(days=3)), at=AT)

    assert not [
        each
        for each in rail.notices(after="", limit=10, at=AT).notices
        if each.kind == "chargeback_funds"
    ]
    assert [each.kind for each in rail.chargebacks([payment.id], at=AT)] == ["chargeback_funds"]


def test_a_debit_is_taken_back(rail: SimulatedRail) -> None:
    """From then on the payment is refused, and the money is gone, once."""
    payment = paid(rail, "bank_debit")

    for _ in range(2):
        take_back(rail, payment.id, at=AT)

    (result,) = rail.resolve([payment], at=AT)
    assert (result.outcome, result.code) == (RailOutcome.REFUSED, "debit.returned")
    assert available(rail) == -10_300


def test_what_the_bank_cannot_do(rail: SimulatedRail) -> None:
    """A payment that was not made, another's case, a word that nobody knows, no amount."""
    payment, other = paid(rail), paid(rail)
    declined = paid(rail, "card:declined")
    act(rail, withdrawal(payment.id), at=AT)

    with pytest.raises(UnknownPayment):
        act(rail, withdrawal(new_id()), at=AT)
    with pytest.raises(UnknownPayment):
        act(rail, withdrawal(declined.id), at=AT)
    with pytest.raises(UnknownPayment):
        take_back(rail, declined.id, at=AT)
    with pytest.raises(UnknownCase):
        act(rail, withdrawal(other.id), at=AT)
    for bad in ({"amount_minor": 0}, {"disputed_minor": 0}, {"movement": ""}, {"fee_minor": -1}):
        with pytest.raises(BadAct):
            act(rail, withdrawal(payment.id, **bad), at=AT)
    with pytest.raises(BadAct):
        act(rail, Act(ref="x", operation_id=payment.id, amount_minor=1, status="maybe"), at=AT)
