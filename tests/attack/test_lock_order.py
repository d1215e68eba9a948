"""The worker's round and a payee's own command, side by side: nobody waits in a circle."""

import threading
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import Connection, Engine

from engine.loops import MoneyLoop
from kernel import clock
from kernel.database import Tenant, transaction
from ledger.chart import account
from ledger.model import Book, Draft, Entry, Line
from ledger.service import post
from payouts import service, store
from rails.simulated.service import SimulatedRail
from tests.attack.waiting import wait_until_blocked
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


def _owe_each_other(connection: Connection, amount_minor: int) -> None:
    """What the next settlement sets off between the books."""
    custody = (
        Line(account("custody.due_from_platform", "EUR"), amount_minor),
        Line(account("custody.due_to_platform", "EUR"), -amount_minor),
    )
    platform = (
        Line(account("platform.due_from_custody", "EUR"), amount_minor),
        Line(account("platform.due_to_custody", "EUR"), -amount_minor),
    )
    entries = (Entry(Book.CUSTODY, "EUR", custody), Entry(Book.PLATFORM, "EUR", platform))
    post(connection, [Draft("test.owed", "", OPERATOR, NOON, entries)])


def test_a_payout_is_taken_back_while_the_day_is_settled(
    own_engine: Engine, tenant: Tenant
) -> None:
    """The settlement keeps no account locked while payouts are looked at."""
    with transaction(own_engine, tenant) as connection:
        clock.make_sandbox(connection, at=NOON)
        payee = new_payee(connection)
        give(connection, payee, 50_000)
        wish = asked(payee, new_method(connection, payee), 50_000)
        assert service.request(connection, [wish], at=NOON)[0].is_done
        _owe_each_other(connection, 10_00)
    rail = SimulatedRail(own_engine, tenant.name)
    loop = MoneyLoop(own_engine, lambda: [tenant], lambda _tenant: [rail])

    with ThreadPoolExecutor(1) as pool:
        with transaction(own_engine, tenant) as mine:
            store.lock_payouts(mine, [wish.payout_id])
            round_of_worker = pool.submit(loop.run_once, threading.Event())
            wait_until_blocked(own_engine)
            _owe_each_other(mine, 1_00)
            cancel = submitting(wish.payout_id, actor=OPERATOR)
            (outcome,) = service.cancel(mine, [cancel], at=NOON)
        round_of_worker.result(timeout=120)

    assert outcome.is_done
    with transaction(own_engine, tenant) as connection:
        assert balance(connection, "custody.due_to_platform") == -1_00
