"""The proof recounts the journal and its tree: what a superuser changes there is found by name."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import NullPool

from kernel.database import Tenant, connect, transaction
from kernel.embedded import EmbeddedServer
from ledger import seal
from ledger.proof import Proof, prove
from ledger.proof_log import ROOTS
from ledger.service import post
from tests.fixtures.databases import TestDatabase, cloned_database
from tests.ledger.drafts import fund, wallet

SEALED = "every event is sealed or waits for the sealer"
JOURNAL = "the journal has no gap, and counts the entries of each book"
BLOCKS = "blocks follow one another, and end where their seals do"
LEAVES = "every event's leaf hash is that of its canonical bytes"

NUMBER_300 = "id = (SELECT event_id FROM seal WHERE journal_no = 300)"
NEWEST = "no = (SELECT max(no) FROM block)"


@pytest.fixture(scope="module")
def sealed(server: EmbeddedServer, tenant: Tenant) -> Iterator[TestDatabase]:
    """600 sealed events in six blocks, and one that waits."""
    with ExitStack() as stack:
        database = stack.enter_context(cloned_database(server))
        engine = connect(database.app_url)
        stack.callback(engine.dispose)
        for number in range(6):
            with transaction(engine, tenant) as connection:
                post(connection, [fund(1 + n, wallet(f"w{n % 5}")) for n in range(100 + number)])
                seal.seal(connection, at=datetime.now(UTC))
        with transaction(engine, tenant) as connection:
            post(connection, [fund(1, wallet("w0"))])
        yield database


@pytest.fixture
def dba(sealed: TestDatabase, tenant: Tenant) -> Iterator[Connection]:
    """A superuser whom no trigger and no foreign key stops; rolled back."""
    engine = create_engine(sealed.admin_url, poolclass=NullPool)
    with engine.connect() as connection, connection.begin() as running:
        connection.exec_driver_sql(
            "SELECT set_config('search_path', %s, true),"
            " set_config('session_replication_role', 'replica', true)",
            (tenant.schema,),
        )
        yield connection
        running.rollback()


def broken(proof: Proof) -> set[str]:
    return {finding.promise for finding in proof.findings}


def test_a_sound_journal_has_no_findings(dba: Connection) -> None:
    """Numbers, counts, blocks and tree agree, in one range and in many."""
    assert prove(dba, leaves=True).findings == ()
    assert prove(dba, leaves=True, pieces=50).findings == ()


@pytest.mark.parametrize("pieces", [200_000, 50])
@pytest.mark.parametrize(
    ("fault", "found"),
    [
        ("DELETE FROM unsealed", {SEALED}),
        ("DELETE FROM seal WHERE journal_no = 1", {JOURNAL, SEALED}),
        ("DELETE FROM seal WHERE journal_no = 101", {JOURNAL, SEALED}),
        ("DELETE FROM seal WHERE journal_no = (SELECT max(journal_no) FROM seal)", {BLOCKS}),
        ("UPDATE seal SET event_id = 1 WHERE journal_no = 77", {JOURNAL, SEALED}),
        (
            "UPDATE seal SET custody_entries = custody_entries + 1 WHERE journal_no = 51",
            {JOURNAL},
        ),
        (f"UPDATE block SET custody_entries = 0 WHERE {NEWEST}", {BLOCKS}),
        (f"UPDATE block SET sealed_at = '1999-01-01' WHERE {NEWEST}", {BLOCKS}),
        (f"DELETE FROM block WHERE {NEWEST}", {BLOCKS}),
        ("DELETE FROM block WHERE no = 3", {BLOCKS}),
        ("UPDATE block SET root = sha256(root) WHERE no = 2", {ROOTS}),
        ("UPDATE tree_node SET hash = sha256(hash) WHERE position = 1", {ROOTS}),
        ("DELETE FROM tree_node WHERE position = 0", {ROOTS}),
        (f"UPDATE event SET leaf_hash = sha256(leaf_hash) WHERE {NUMBER_300}", {LEAVES, ROOTS}),
    ],
)
def test_a_fault_of_the_journal_is_found_by_its_name(
    dba: Connection, fault: str, found: set[str], pieces: int
) -> None:
    """However the journal is cut into ranges, the promise that broke is named."""
    changed = dba.exec_driver_sql(fault)

    proof = prove(dba, leaves=True, pieces=pieces)

    assert changed.rowcount >= 1
    assert found <= broken(proof)


def test_two_events_that_changed_places_are_found(dba: Connection) -> None:
    """A swap keeps every count; the tree tells."""
    dba.exec_driver_sql("ALTER TABLE seal DROP CONSTRAINT seal_event_once")
    dba.exec_driver_sql(
        "UPDATE seal s SET event_id = o.event_id FROM seal o"
        " WHERE s.journal_no IN (200, 201) AND o.journal_no = 401 - s.journal_no"
    )

    assert broken(prove(dba)) == set()
    assert broken(prove(dba, leaves=True)) == {ROOTS}
