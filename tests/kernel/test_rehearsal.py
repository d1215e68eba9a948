"""Rehearsals: a service answers as if it were asked in earnest, and locks and writes nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine

from escrow import service
from escrow.commands import SlotCommand
from escrow.service_options import find, options
from kernel.database import Tenant, driver, enter, snapshot, transaction
from kernel.rehearsal import is_rehearsal, rehearse, without_locks
from ledger.chart import account
from ledger.model import Book, Draft, Entry, Line
from ledger.service import post
from ledger.weighing import weigh
from tests.escrow.stage import START, Stage
from tests.ledger.drafts import fund, wallet


@pytest.mark.parametrize(
    ("statement", "left"),
    [
        ("SELECT 1 FROM slot WHERE id = %s FOR NO KEY UPDATE", "SELECT 1 FROM slot WHERE id = %s"),
        ("SELECT a FROM b ORDER BY a FOR UPDATE SKIP LOCKED", "SELECT a FROM b ORDER BY a"),
        (
            "SELECT r.a FROM r JOIN c USING (d) FOR UPDATE OF r",
            "SELECT r.a FROM r JOIN c USING (d)",
        ),
        ("SELECT a FROM b\nFOR KEY SHARE\n", "SELECT a FROM b\n"),
        ("SELECT a FROM b FOR SHARE NOWAIT", "SELECT a FROM b"),
        ("SELECT substring(a FOR 3), 'for update' FROM b", None),
        ("UPDATE slot SET state = 'x'", None),
    ],
)
def test_a_statement_loses_its_locks_and_nothing_else(statement: str, left: str | None) -> None:
    """Every kind of row lock goes, with its tables and its way of waiting."""
    expected = statement if left is None else left

    assert without_locks(statement.encode()) == expected.encode()


def test_a_rehearsal_writes_nothing_and_ends(connection: Connection) -> None:
    """The answer is that of the service; afterwards the connection is what it was."""
    stage = Stage(connection).submitted()
    before = stage.slot()
    command = SlotCommand(actor=stage.client, slot_id=stage.slot_id)
    wrong = SlotCommand(actor=stage.payee, slot_id=stage.slot_id)
    events = connection.exec_driver_sql("SELECT count(*) FROM event").scalar_one()

    answers = [rehearse(connection, service.approve, c, at=stage.now) for c in (command, wrong)]

    assert [answer.code for answer in answers] == ["done", "escrow.not_yours"]
    assert stage.slot() == before
    assert connection.exec_driver_sql("SELECT count(*) FROM event").scalar_one() == events
    assert not is_rehearsal(connection)
    assert service.approve(connection, [command], at=stage.now)[0].is_done


def test_nobody_waits_for_who_looks_and_he_for_nobody(own_engine: Engine, tenant: Tenant) -> None:
    """While another transaction holds the slot, its options are read in a read-only snapshot."""
    with transaction(own_engine, tenant) as connection:
        stage = Stage(connection).submitted()
    with transaction(own_engine, tenant) as holder:
        holder.exec_driver_sql("SELECT FROM slot WHERE id = %s FOR UPDATE", (stage.slot_id,))
        with snapshot(own_engine, tenant) as looking:
            looking.exec_driver_sql("SET LOCAL lock_timeout = '1ms'")
            row = find(looking, "slot", stage.slot_id)
            found = options(looking, "slot", row, actor=stage.client, at=stage.now)
            locks = looking.exec_driver_sql(
                "SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid()"
                " AND mode NOT IN ('AccessShareLock', 'ExclusiveLock')"
            ).scalar_one()

    assert {each.trigger for each in found if each.is_open} >= {"approve", "request_changes"}
    assert locks == 0


def test_what_a_rehearsal_breaks_on_leaves_the_connection_usable(connection: Connection) -> None:
    """An error in the middle is not swallowed, and statements lock again afterwards."""

    def fails(_connection: Connection, _commands: object, *, at: object) -> list[object]:
        raise ValueError(at)

    with pytest.raises(ValueError, match="2026"):
        rehearse(
            connection,
            fails,  # type: ignore[arg-type]
            SlotCommand(actor=Stage(connection).client, slot_id=Stage(connection).slot_id),
            at=START,
        )

    assert not is_rehearsal(connection)
    assert driver(connection).execute("SELECT 1").fetchone() == (1,)


@given(st.integers(1, 3_000), st.integers(1, 3_000))
def test_the_books_take_what_weighs_well(
    engine: Engine, tenant: Tenant, there: int, taken: int
) -> None:
    """Weighing says what posting would: an account may be new, or hold too little."""
    with engine.connect() as connection, connection.begin() as outer:
        enter(connection, tenant)
        post(connection, [fund(there, wallet("ann"), at=START)])
        lines = (
            Line(wallet("ann"), taken),
            Line(account("custody.earned_pending", "EUR", Stage(connection).contract_id), -taken),
        )
        entry = Entry(Book.CUSTODY, "EUR", lines)
        draft = Draft("test", "", Stage(connection).client, START, (entry,))

        weighed = weigh(connection, [draft])
        (posted,) = post(connection, [draft])

        assert (weighed is None) == (not isinstance(posted, Exception))
        assert weighed is None or (weighed.code, weighed.facts) == (posted.code, posted.facts)  # type: ignore[union-attr]
        outer.rollback()
