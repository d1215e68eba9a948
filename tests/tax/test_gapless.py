"""Numbers of documents have no gap: several issuers at once, and batches that are rolled back."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier, Event

from sqlalchemy import Connection, Engine

from engine.invoicing import InvoiceLoop, issue_all
from kernel.database import Tenant, connect, transaction
from tax.service_invoice import issue_due
from tests.fixtures.databases import TestDatabase
from tests.tax.stage import START, add_buyer, add_fee, add_party, set_supplier

ISSUERS = 6
FEES = 120


class Crash(Exception):  # noqa: N818  what a machine does is no error of ours
    """A batch that never commits."""


def crash() -> None:
    raise Crash


def stand(engine: Engine, tenant: Tenant) -> None:
    """Parties of three countries, and their fees in 0, 2 and 3 decimals."""
    with transaction(engine, tenant) as connection:
        set_supplier(connection)
        parties = [add_party(connection) for _ in range(5)]
        for i, party_id in enumerate(parties):
            add_buyer(connection, party_id, ("IE", "FI", "US")[i % 3])
        for i in range(FEES):
            currency = ("EUR", "JPY", "KWD")[i % 3]
            add_fee(connection, parties[i % 5], 1_000 + i, currency=currency)


def numbers(connection: Connection, series: str) -> list[int]:
    rows = connection.exec_driver_sql(
        "SELECT seq FROM invoice WHERE series = %s ORDER BY seq", (series,)
    )
    return [seq for (seq,) in rows]


def test_issuers_at_once_leave_no_gap_and_issue_nothing_twice(
    own_engine: Engine, tenant: Tenant
) -> None:
    """Six at once, in small batches, each fourth of which is rolled back after it took numbers."""
    stand(own_engine, tenant)
    barrier = Barrier(ISSUERS)

    def issue(who: int) -> int:
        barrier.wait(timeout=60)
        count, turn = 0, who
        while True:
            turn += 1
            try:
                with transaction(own_engine, tenant) as connection:
                    issued = issue_due(connection, START, 7)
                    if issued.numbers and turn % 4 == 0:
                        crash()
            except Crash:
                continue
            if not issued.numbers:
                return count
            count += len(issued.numbers)

    with ThreadPoolExecutor(ISSUERS) as pool:
        counts = list(pool.map(issue, range(ISSUERS)))

    assert sum(counts) == FEES
    with transaction(own_engine, tenant) as connection:
        assert numbers(connection, "INV2026") == list(range(1, FEES + 1))
        lines = connection.exec_driver_sql(
            "SELECT count(*), count(DISTINCT fee_line_id) FROM invoice_line"
        ).one()
        assert tuple(lines) == (FEES, FEES)
        following = connection.exec_driver_sql(
            "SELECT next_seq FROM invoice_series WHERE code = 'INV2026'"
        ).scalar_one()
        assert following == FEES + 1


def test_a_batch_that_is_rolled_back_leaves_no_gap(own_engine: Engine, tenant: Tenant) -> None:
    """It gives its numbers back: the next one begins where it did."""
    stand(own_engine, tenant)
    with suppress(Crash), transaction(own_engine, tenant) as connection:
        lost = issue_due(connection, START, 10).numbers
        crash()

    with transaction(own_engine, tenant) as connection:
        kept = issue_due(connection, START, 10).numbers

    assert lost == kept
    assert kept[0] == "INV2026-000001"


def test_the_worker_issues_what_is_due(own_engine: Engine, tenant: Tenant) -> None:
    """Round after round until nothing waits; by hand there is then nothing left to do."""
    stand(own_engine, tenant)
    loop = InvoiceLoop(own_engine, lambda: [tenant])
    stop = Event()

    while loop.run_once(stop):
        pass

    with transaction(own_engine, tenant) as connection:
        count = connection.exec_driver_sql("SELECT count(*) FROM invoice_line").scalar_one()
    assert count == FEES
    assert issue_all(own_engine, tenant, rates=None).numbers == ()


def test_a_tenant_whose_documents_fail_stops_no_other(
    own_database: TestDatabase, own_engine: Engine, tenant: Tenant
) -> None:
    """What the database refuses one tenant is logged, and the round goes on to those after it."""
    stand(own_engine, tenant)
    owner = connect(own_database.owner_url)
    with owner.begin() as connection:
        connection.exec_driver_sql(f"SET LOCAL search_path TO {tenant.search_path}")
        connection.exec_driver_sql("ALTER TABLE invoice ADD CONSTRAINT none_today CHECK (false)")
    owner.dispose()
    stop = Event()

    assert InvoiceLoop(own_engine, lambda: [tenant, tenant]).run_once(stop) is False
