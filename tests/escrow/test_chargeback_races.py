"""Two connections at once on one payment: the result is that of one of the two serial orders."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest
from sqlalchemy import Connection, Engine

from kernel.commands import Outcome
from kernel.database import Tenant, transaction
from kernel.ids import new_id
from payouts import service as payouts
from payouts.commands import RequestPayout
from tests.escrow.stage import Stage
from tests.escrow.stage_chargeback import Bank, prove
from tests.escrow.stage_claims import released, send_back

Act = Callable[[Bank], Outcome]


def on(bank: Bank, connection: Connection) -> Bank:
    """The same case on another connection."""
    stage = object.__new__(Stage)
    stage.__dict__.update(bank.stage.__dict__, connection=connection)
    other = replace(bank, stage=stage)
    other.funding_id, other.heard = bank.funding_id, bank.heard
    return other


def race(engine: Engine, tenant: Tenant, bank: Bank, *acts: Act) -> list[str]:
    """The codes of the acts, done at the same time, each in a transaction of its own."""
    start = Barrier(len(acts))

    def run(act: Act) -> str:
        with transaction(engine, tenant) as connection:
            mine = on(bank, connection)
            start.wait(timeout=120)
            return act(mine).code

    with ThreadPoolExecutor(len(acts)) as pool:
        return [each.result(timeout=120) for each in [pool.submit(run, act) for act in acts]]


def prepared(engine: Engine, tenant: Tenant, make: Callable[[Connection], Stage]) -> Bank:
    """A case whose past is committed."""
    with transaction(engine, tenant) as connection:
        bank = Bank(make(connection))
        assert bank.says("needs_response").is_done
    return bank


def seen(engine: Engine, tenant: Tenant, bank: Bank) -> Bank:
    """The case afterwards, with the books proved."""
    with transaction(engine, tenant) as connection:
        after = on(bank, connection)
        prove(after.stage)
    return after


def unheld(connection: Connection) -> Stage:
    """Submitted; the rail's first word is what the race is about."""
    return Stage(connection).submitted()


@pytest.mark.parametrize("turn", range(4))
def test_withdrawal_against_release(own_engine: Engine, tenant: Tenant, turn: int) -> None:
    """Either it is released and the platform fronts it, or the slot's money is away and held."""
    with transaction(own_engine, tenant) as connection:
        bank = Bank(unheld(connection))
    acts: list[Act] = [lambda b: b.stage.approve(), lambda b: b.takes(ref="txn_1")]

    codes = race(own_engine, tenant, bank, *(acts if turn % 2 else acts[::-1]))

    assert set(codes) <= {"done", "escrow.held"}
    after = seen(own_engine, tenant, bank)
    with transaction(own_engine, tenant) as connection:
        mine = on(after, connection)
        (piece,) = mine.pieces
        states = (piece.source.value, mine.stage.slot().state.value)
    assert states in {("held", "submitted"), ("released", "released")}
    assert ("escrow.held" in codes) == (states[0] == "held")


@pytest.mark.parametrize("turn", range(4))
def test_withdrawal_against_refund(own_engine: Engine, tenant: Tenant, turn: int) -> None:
    """Either the refund is refused, or all of the withdrawal is beyond the payment."""
    with transaction(own_engine, tenant) as connection:
        bank = Bank(unheld(connection))
    acts: list[Act] = [
        lambda b: b.stage.on_slot("give_back", b.stage.payee),
        lambda b: b.takes(ref="txn_1"),
    ]

    codes = race(own_engine, tenant, bank, *(acts if turn % 2 else acts[::-1]))

    assert set(codes) <= {"done", "escrow.held"}
    seen(own_engine, tenant, bank)
    with transaction(own_engine, tenant) as connection:
        (piece,) = on(bank, connection).pieces
    assert piece.source.value == ("held" if "escrow.held" in codes else "beyond")


@pytest.mark.parametrize("turn", range(4))
def test_withdrawal_against_refund_after_release(
    own_engine: Engine, tenant: Tenant, turn: int
) -> None:
    """Released money goes back by one of the two ways, and at most once out of the payment."""
    with transaction(own_engine, tenant) as connection:
        bank = Bank(released(connection))
    acts: list[Act] = [
        lambda b: send_back(b.stage, 10_000),
        lambda b: b.takes(ref="txn_1"),
    ]

    codes = race(own_engine, tenant, bank, *(acts if turn % 2 else acts[::-1]))

    assert set(codes) <= {"done", "escrow.held"}
    seen(own_engine, tenant, bank)


@pytest.mark.parametrize("turn", range(4))
def test_withdrawal_against_payout(own_engine: Engine, tenant: Tenant, turn: int) -> None:
    """What is reserved cannot be paid out; what is on its way is left alone, and is a claim."""
    bank = prepared(own_engine, tenant, released)
    payee = bank.stage.payee
    assert payee.party_id is not None
    method_id = new_id()
    with transaction(own_engine, tenant) as connection:
        connection.exec_driver_sql(
            "INSERT INTO payout_method (id, party_id, token, state, added_at, usable_from)"
            " VALUES (%(id)s, %(party)s, 'bank:1', 'active', %(at)s, %(at)s)",
            {"id": method_id, "party": payee.party_id, "at": bank.stage.now},
        )

    def pay_out(mine: Bank) -> Outcome:
        command = RequestPayout(
            actor=payee,
            payout_id=new_id(),
            payee_id=payee.party_id or new_id(),
            method_id=method_id,
            amount_minor=9_000,
            currency="EUR",
        )
        return payouts.request(mine.stage.connection, [command], at=mine.stage.now)[0]

    acts: list[Act] = [pay_out, lambda b: b.takes(ref="txn_1")]

    codes = race(own_engine, tenant, bank, *(acts if turn % 2 else acts[::-1]))

    assert set(codes) <= {"done", "ledger.insufficient_funds"}
    with transaction(own_engine, tenant) as connection:
        mine = on(bank, connection)
        prove(mine.stage)
        assert mine.says("lost").is_done
        owed = connection.exec_driver_sql("SELECT coalesce(sum(remaining_minor), 0) FROM claim")
        paid_out = "ledger.insufficient_funds" not in codes
        assert owed.scalar_one() == (9_000 if paid_out else 0)
        prove(mine.stage)


@pytest.mark.parametrize("turn", range(3))
def test_the_same_withdrawal_twice_at_once(own_engine: Engine, tenant: Tenant, turn: int) -> None:
    """Two workers hear the same balance transaction: it is booked once."""
    bank = prepared(own_engine, tenant, unheld)
    assert turn >= 0

    codes = race(
        own_engine,
        tenant,
        bank,
        lambda b: b.takes(ref="txn_1"),
        lambda b: b.takes(ref="txn_1"),
    )

    assert codes == ["done", "done"]
    seen(own_engine, tenant, bank)
    with transaction(own_engine, tenant) as connection:
        assert len(on(bank, connection).pieces) == 1


def test_a_decision_against_the_money(own_engine: Engine, tenant: Tenant) -> None:
    """Lost and withdrawn at once: booked as lost, whichever came first."""
    bank = prepared(own_engine, tenant, unheld)

    codes = race(own_engine, tenant, bank, lambda b: b.says("lost"), lambda b: b.takes(ref="txn_1"))

    assert codes == ["done", "done"]
    seen(own_engine, tenant, bank)
    with transaction(own_engine, tenant) as connection:
        assert on(bank, connection).stage.slot().state == "awaiting_funding"
