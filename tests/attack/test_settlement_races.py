"""Money that moves while a settlement or a payout run reads what there is to be moved."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

from sqlalchemy import Connection, Engine

from kernel.database import Tenant, connect, transaction
from ledger.chart import account
from ledger.model import Book, Draft, Entry, Line
from ledger.service import post
from payouts import service, settlement
from rails import service as rails
from rails.model import RailOperation, RailOutcome, RailResult
from tests.attack.waiting import wait_until_blocked
from tests.fixtures.databases import TestDatabase
from tests.payouts.builders import (
    NOON,
    OPERATOR,
    asked,
    balance,
    give,
    new_method,
    new_payee,
    submitting,
)


def _earn_fees(connection: Connection, amount_minor: int) -> None:
    """Fees of ours that still lie in the custody bank."""
    entries = (
        Entry(
            Book.CUSTODY,
            "EUR",
            (
                Line(account("custody.bank", "EUR"), amount_minor),
                Line(account("custody.due_to_platform", "EUR"), -amount_minor),
            ),
        ),
        Entry(
            Book.PLATFORM,
            "EUR",
            (
                Line(account("platform.due_from_custody", "EUR"), amount_minor),
                Line(account("platform.revenue.commission", "EUR"), -amount_minor),
            ),
        ),
    )
    post(connection, [Draft("test.earned", "", OPERATOR, NOON, entries)])


def _done(operation: RailOperation) -> RailResult:
    return RailResult(
        operation_id=operation.id,
        kind=operation.kind,
        subject=operation.subject,
        outcome=RailOutcome.DONE,
        amount_minor=operation.amount_minor,
        currency=operation.currency,
        occurred_at=NOON,
    )


def _while_reading(
    engine: Engine, owner: Engine, tenant: Tenant, act: Callable[[Connection], None]
) -> None:
    """Run a settlement that stops at its look at what is under way, until `act` has committed."""
    with ThreadPoolExecutor(1) as pool:
        with owner.begin() as first:
            first.exec_driver_sql(f"SET LOCAL search_path TO {tenant.search_path}")
            first.exec_driver_sql("LOCK TABLE rail_operation IN ACCESS EXCLUSIVE MODE")
            second = pool.submit(_settle, engine, tenant)
            wait_until_blocked(engine)
            act(first)
        second.result(timeout=120)


def _settle(engine: Engine, tenant: Tenant) -> None:
    with transaction(engine, tenant) as connection:
        settlement.settle(connection, at=NOON)


def test_a_transfer_that_arrives_while_a_settlement_reads_is_not_asked_for_again(
    own_database: TestDatabase, own_engine: Engine, tenant: Tenant
) -> None:
    """Fees are swept once, whenever the rail answers: never again out of client money."""
    with transaction(own_engine, tenant) as connection:
        _earn_fees(connection, 10_00)
        give(connection, new_payee(connection), 500_00)
    _settle(own_engine, tenant)
    with transaction(own_engine, tenant) as connection:
        (sweep,) = rails.take(connection, 10, NOON)

    def answer(connection: Connection) -> None:
        heard = rails.store_results(connection, [_done(sweep)], NOON)
        settlement.hear_transfers(connection, heard[settlement.HANDLER], NOON)

    owner = connect(own_database.owner_url)
    _while_reading(own_engine, owner, tenant, answer)
    owner.dispose()

    with transaction(own_engine, tenant) as connection:
        assert balance(connection, "custody.due_to_platform") == 0
        assert rails.list_open(connection, settlement.HANDLER) == []


def test_two_payout_runs_at_once_do_not_spend_the_bank_twice(
    own_engine: Engine, tenant: Tenant
) -> None:
    """The second run waits for the first, and sees what it has already promised away."""
    with transaction(own_engine, tenant) as connection:
        payees = [new_payee(connection) for _ in range(2)]
        wishes = [asked(each, new_method(connection, each), 50_000) for each in payees]
        for payee in payees:
            give(connection, payee, 50_000)
        assert all(o.is_done for o in service.request(connection, wishes, at=NOON))
        _earn_fees(connection, -50_000)

    with ThreadPoolExecutor(1) as pool:
        with transaction(own_engine, tenant) as first:
            (mine,) = service.submit(first, [submitting(wishes[0].payout_id)], at=NOON)
            other = pool.submit(_submit, own_engine, tenant, wishes[1].payout_id)
            wait_until_blocked(own_engine)
        code = other.result(timeout=120)

    assert mine.is_done
    assert code == "payouts.bank_short"


def _submit(engine: Engine, tenant: Tenant, payout_id: UUID) -> str:
    with transaction(engine, tenant) as connection:
        return service.submit(connection, [submitting(payout_id)], at=NOON)[0].code
