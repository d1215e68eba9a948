"""The proof finds what the guards could not stop: a superuser's faults, each by its name."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.pool import NullPool

from kernel.database import Tenant, connect, snapshot, transaction
from kernel.embedded import EmbeddedServer
from ledger.chart import account
from ledger.model import Book, Entry, EntryRef, Posted
from ledger.proof import Proof, prove, queries
from ledger.service import post
from tests.fixtures.databases import TestDatabase, cloned_database
from tests.ledger.drafts import bank, draft, entry, fund, move, wallet

ANN, BEN = wallet("ann"), wallet("ben")

COMPLETE = "every entry has as many lines as its header says, and they sum to zero"
EVENTS = "every event has as many entries as its header says"
BATCHES = "every batch holds as many events, entries and lines as its control totals say"
CHAINS = "every account's chain has no hole, carries its balance, and rises in time"
STANDING = "every account stands at the sum of its lines, within its bounds"
OF_ITS_ENTRY = "every line is of its entry's book and currency and carries its event's times"
BOOKS = "both books balance in every currency"
MIRRORS = "debts between the books show the same in both, per event"
FX = "conversion accounts hold what conversions wait for"
REVERSAL = "a reversal mirrors its original line by line, once"
PERIODS = "nothing counts in a time without a period"
LEAVES = "every event's leaf hash is that of its canonical bytes"

ANNS = "account_id = (SELECT id FROM account WHERE code = 'custody.wallet[ann] EUR')"
LATER = "interval '1 hour'"
OUT_OF_BOUNDS = """
ALTER TABLE account DROP CONSTRAINT account_within_bounds;
UPDATE account SET highest_minor = -9999 WHERE code LIKE '%%[ann] EUR'
"""
AS_A_BRIDGE = """
UPDATE account SET kind = 'custody.fx', code = 'custody.fx[ben] EUR' WHERE subject = 'ben'
"""


@pytest.fixture(scope="module")
def audited(server: EmbeddedServer, tenant: Tenant) -> Iterator[TestDatabase]:
    """Books with a little of everything: transfers, both books, a conversion, a reversal."""
    with ExitStack() as stack:
        database = stack.enter_context(cloned_database(server))
        engine = connect(database.app_url)
        stack.callback(engine.dispose)
        fx, fx_usd = account("custody.fx", "EUR"), account("custody.fx", "USD")
        due, owed = account("custody.due_to_platform", "EUR"), account("platform.capital", "EUR")
        mirror = account("platform.due_from_custody", "EUR")
        with transaction(engine, tenant) as connection:
            answers = post(
                connection,
                [
                    fund(1_000, ANN),
                    move(300, ANN, BEN),
                    draft(
                        entry((bank(), 50), (due, -50)),
                        entry((mirror, 50), (owed, -50), book=Book.PLATFORM),
                    ),
                    draft(entry((ANN, 10), (fx, -10)), entry((fx_usd, 9), (bank("USD"), -9))),
                    draft(entry((fx, 10), (ANN, -10)), entry((bank("USD"), 9), (fx_usd, -9))),
                    fund(5, BEN),
                ],
            )
            (wrong,) = [one for one in answers[-1:] if isinstance(one, Posted)]
            back = entry((bank(), -5), (BEN, 5)).lines
            undo = Entry(Book.CUSTODY, "EUR", back, EntryRef(wrong.event_id, 1))
            post(connection, [draft(undo), draft(note="no entries")])
        yield database


@pytest.fixture
def dba(audited: TestDatabase, tenant: Tenant) -> Iterator[Connection]:
    """A superuser whom no trigger and no foreign key stops; rolled back."""
    engine = create_engine(audited.admin_url, poolclass=NullPool)
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


def test_clean_books_have_no_findings(audited: TestDatabase, tenant: Tenant) -> None:
    """The proof of sound books counts them, checks every promise, and finds nothing."""
    engine = connect(audited.app_url)
    with snapshot(engine, tenant) as connection:
        proof = prove(connection)
    engine.dispose()

    assert proof.is_clean
    assert proof.as_json()["findings"] == []
    assert proof.counts == {"account": 9, "event": 8, "entry": 10, "line": 20}
    assert set(proof.promises) == set(queries())
    assert {COMPLETE, EVENTS, BATCHES, CHAINS, STANDING, OF_ITS_ENTRY} <= set(proof.promises)
    assert {BOOKS, MIRRORS, FX, REVERSAL, PERIODS} <= set(proof.promises)


@pytest.mark.parametrize(
    ("fault", "promises"),
    [
        (f"UPDATE line SET amount_minor = amount_minor + 1 WHERE {ANNS} AND account_seq = 1",
         {COMPLETE, CHAINS, STANDING}),
        (f"DELETE FROM line WHERE {ANNS} AND account_seq = 2", {COMPLETE, CHAINS, BATCHES}),
        (f"DELETE FROM line WHERE {ANNS}", {COMPLETE, STANDING}),
        ("UPDATE entry SET line_count = 3 WHERE event_id = (SELECT min(id) FROM event)",
         {COMPLETE}),
        ("DELETE FROM entry WHERE event_id = (SELECT min(id) FROM event)",
         {COMPLETE, EVENTS, OF_ITS_ENTRY}),
        ("DELETE FROM event WHERE id = (SELECT min(id) FROM event)",
         {EVENTS, BATCHES, OF_ITS_ENTRY}),
        ("DELETE FROM event WHERE entry_count = 0", {BATCHES}),
        ("UPDATE event SET entry_count = 2 WHERE entry_count = 0", {EVENTS}),
        ("UPDATE batch SET line_count = line_count - 2 WHERE id = 1", {BATCHES}),
        ("DELETE FROM batch WHERE id = 1", {BATCHES}),
        ("INSERT INTO batch (event_count, entry_count, line_count) VALUES (1, 0, 0)", {BATCHES}),
        (f"UPDATE line SET account_seq = 99 WHERE {ANNS} AND account_seq = 4", {CHAINS}),
        (f"UPDATE line SET balance_after_minor = 0 WHERE {ANNS} AND account_seq = 2", {CHAINS}),
        (f"UPDATE line SET recorded_at = recorded_at + {LATER} WHERE {ANNS} AND account_seq = 2",
         {CHAINS, OF_ITS_ENTRY}),
        (f"UPDATE line SET effective_at = effective_at + {LATER} WHERE {ANNS} AND account_seq = 2",
         {OF_ITS_ENTRY}),
        (f"UPDATE event SET effective_at = effective_at + {LATER} WHERE entry_count > 0",
         {OF_ITS_ENTRY}),
        ("UPDATE account SET balance_minor = balance_minor - 1 WHERE code LIKE '%%[ann] EUR'",
         {STANDING, BOOKS}),
        ("UPDATE account SET line_count = line_count + 1 WHERE code LIKE '%%[ann] EUR'",
         {STANDING}),
        (OUT_OF_BOUNDS, {STANDING}),
        ("DELETE FROM account WHERE code LIKE '%%[ann] EUR'", {STANDING}),
        ("UPDATE entry SET book = 'platform' WHERE event_id = (SELECT min(id) FROM event)",
         {OF_ITS_ENTRY}),
        ("UPDATE account SET currency = 'USD', code = kind || '[ann] USD' WHERE subject = 'ann'",
         {OF_ITS_ENTRY, BOOKS}),
        ("UPDATE account SET mirror = 0 WHERE kind = 'platform.due_from_custody'", {MIRRORS}),
        (AS_A_BRIDGE, {FX}),
        ("UPDATE entry SET reverses_entry_no = 2 WHERE reverses_event_id IS NOT NULL", {REVERSAL}),
        ("UPDATE entry SET reverses_event_id = 1 WHERE reverses_event_id IS NOT NULL", {REVERSAL}),
        ("DELETE FROM period", {PERIODS}),
    ],
)  # fmt: skip
def test_a_planted_fault_is_found_by_its_name(
    dba: Connection, fault: str, promises: set[str]
) -> None:
    """What a superuser changes behind the guards breaks the promise it touches, in a sentence."""
    changed = dba.exec_driver_sql(fault)

    proof = prove(dba)

    assert changed.rowcount != 0
    assert promises <= broken(proof)
    assert not proof.is_clean
    for finding in proof.findings:
        assert finding.count >= 1
        assert all(example not in {"", "None"} for example in finding.examples)


def test_a_fault_breaks_no_promise_that_it_does_not_touch(dba: Connection) -> None:
    """A period that is gone says nothing against sums and chains."""
    dba.exec_driver_sql("DELETE FROM period")

    assert broken(prove(dba)) == {PERIODS}


def test_a_balance_that_was_out_of_bounds_in_between_is_found(dba: Connection) -> None:
    """A wallet overdrawn by one line and filled by the next was overdrawn, wherever it stands."""
    dba.exec_driver_sql(
        f"UPDATE line SET amount_minor = amount_minor + 2000,"
        f" balance_after_minor = balance_after_minor + 2000 WHERE {ANNS} AND account_seq = 2"
    )
    dba.exec_driver_sql(
        f"UPDATE line SET amount_minor = amount_minor - 2000 WHERE {ANNS} AND account_seq = 3"
    )

    assert STANDING in broken(prove(dba))


@pytest.mark.parametrize(
    "fault",
    [
        "UPDATE event SET reason = 'another' WHERE entry_count = 0",
        "UPDATE event SET detail = '{}' WHERE id = (SELECT min(id) FROM event)",
        "UPDATE event SET subject = 'party:x' WHERE id = (SELECT max(id) FROM event)",
        "UPDATE event SET party_id = actor_id WHERE entry_count = 0",
        "UPDATE event SET leaf_hash = sha256(leaf_hash) WHERE entry_count = 0",
        "UPDATE account SET code = 'custody.wallet[eve] EUR' WHERE subject = 'ann'",
    ],
)
def test_an_altered_event_does_not_give_its_leaf_hash(dba: Connection, fault: str) -> None:
    """What no sum shows is found by the leaf hash, where it is asked for."""
    if fault.startswith("UPDATE account"):
        dba.exec_driver_sql("ALTER TABLE account DROP CONSTRAINT account_code_says_what")
    clean = prove(dba, leaves=True)
    changed = dba.exec_driver_sql(fault)

    quick, whole = prove(dba), prove(dba, leaves=True)

    assert changed.rowcount >= 1
    assert clean.is_clean
    assert LEAVES not in quick.promises
    assert LEAVES in broken(whole)


def test_a_proof_in_many_ranges_finds_what_one_range_finds(
    dba: Connection, own_engine: Engine, tenant: Tenant
) -> None:
    """Batches and accounts one by one give the same findings, and every row is in one range."""
    with transaction(own_engine, tenant) as connection:
        for number in range(5):
            post(connection, [fund(10 + number, ANN), move(3, ANN, BEN)])
    told: list[tuple[str, int, int]] = []
    with snapshot(own_engine, tenant) as connection:
        small = prove(connection, pieces=1, progress=lambda *seen: told.append(seen))
        assert small == prove(connection)
    dba.exec_driver_sql(f"UPDATE line SET balance_after_minor = 0 WHERE {ANNS}")
    dba.exec_driver_sql("UPDATE event SET id = id + (77::bigint << 40) WHERE entry_count = 0")

    whole, pieces = prove(dba), prove(dba, pieces=1)

    assert small.is_clean
    assert [seen for seen in told if seen[0] == "events"] == [
        ("events", done, 30) for done in (6, 12, 18, 24, 30)
    ]
    assert told[-1] == ("accounts", 23, 23)
    assert {BATCHES, CHAINS} <= broken(whole)
    assert pieces == whole


def test_examples_are_few_and_counts_are_whole(dba: Connection) -> None:
    """A finding counts what is broken and shows at most ten of it."""
    dba.exec_driver_sql("UPDATE line SET effective_at = effective_at + interval '1 hour'")

    (finding,) = [f for f in prove(dba).findings if f.promise == OF_ITS_ENTRY]

    assert finding.count == 20
    assert len(finding.examples) == 10


def test_the_proof_of_empty_books_is_clean(own_engine: Engine, tenant: Tenant) -> None:
    """Where nothing was ever posted there is nothing to find."""
    with snapshot(own_engine, tenant) as connection:
        proof = prove(connection)

    assert proof.is_clean
    assert set(proof.counts.values()) == {0}
