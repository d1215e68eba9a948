"""The drill: what a superuser alters in sealed books is found, with the number of the event.

Acceptance statement 11 of domain/ledger.md 4.6 is among the cases: `one_byte`, `cut_tail`,
`swap_events` and `rebuild_with_own_key`. The copies of the checkpoints that were kept elsewhere,
and the signing key, are all that the attacker does not have (domain/audit-and-reliability.md 2.6).
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from kernel.database import Tenant, connect, snapshot
from kernel.embedded import EmbeddedServer
from ledger import verify
from ledger.export_folder import Asked, write_export
from tests.fixtures.databases import TestDatabase, cloned_database
from tests.ledger.made_exports import OTHER_KEY, key_text
from tests.ledger.tampering import SIZE, Attacker, attacking, build, copied

FUND, PAID, FEE, NOTED = 21, 22, 23, 24
"""Journal numbers of the sixth block: a funding, a payment, a fee, and a note without entries."""


class Found(NamedTuple):
    """Where the first alteration shall be found: at a number, or within its block; and as what."""

    first: int | None
    last: int | None
    promise: str
    field: str = ""


def exactly(number: int, promise: str, field: str = "") -> Found:
    return Found(number, number, promise, field)


IN_BLOCK: Final = (FUND, NOTED)


def amount(attacker: Attacker) -> Found:
    of = attacker.event(PAID)
    attacker.run("UPDATE line SET amount_minor = 701 WHERE event_id = %s AND line_no = 1", of)
    return exactly(PAID, "leaf", "amount_minor")


def balanced_amounts(attacker: Attacker) -> Found:
    of = attacker.event(PAID)
    attacker.run("UPDATE line SET amount_minor = 701 WHERE event_id = %s AND line_no = 1", of)
    attacker.run("UPDATE line SET amount_minor = -601 WHERE event_id = %s AND line_no = 2", of)
    return exactly(PAID, "leaf")


def amounts_carried_on(attacker: Attacker) -> Found:
    """A larger payment, with all later balances and the accounts made to fit."""
    balanced_amounts(attacker)
    for name, more in (("ann", 1), ("bob", -1)):
        account = attacker.one("SELECT id FROM account WHERE subject = %s", name)
        attacker.run(
            "UPDATE line SET balance_after_minor = balance_after_minor + %s WHERE account_id = %s"
            " AND event_id >= %s",
            *(more, account, attacker.event(PAID)),
        )
        attacker.run(
            "UPDATE account SET balance_minor = balance_minor + %s WHERE id = %s", more, account
        )
    return exactly(PAID, "leaf")


def effective_date(attacker: Attacker) -> Found:
    of = attacker.event(PAID)
    attacker.run(
        "UPDATE event SET effective_at = effective_at - interval '1 day' WHERE id = %s", of
    )
    return exactly(PAID, "leaf")


def effective_date_everywhere(attacker: Attacker) -> Found:
    effective_date(attacker)
    of = attacker.event(PAID)
    attacker.run(
        "UPDATE line SET effective_at = effective_at - interval '1 day' WHERE event_id = %s", of
    )
    return exactly(PAID, "leaf")


def effective_date_of_lines(attacker: Attacker) -> Found:
    """Only the copies on the lines, which reports read and no leaf covers."""
    of = attacker.event(PAID)
    attacker.run(
        "UPDATE line SET effective_at = effective_at - interval '1 day' WHERE event_id = %s", of
    )
    return exactly(PAID, "copy", "effective_at")


def recorded_date(attacker: Attacker) -> Found:
    of = attacker.event(NOTED)
    attacker.run(
        "UPDATE event SET recorded_at = recorded_at + interval '1 second' WHERE id = %s", of
    )
    return exactly(NOTED, "leaf")


def reason(attacker: Attacker) -> Found:
    attacker.run("UPDATE event SET reason = 'as told' WHERE id = %s", attacker.event(NOTED))
    return exactly(NOTED, "leaf")


def one_byte(attacker: Attacker) -> Found:
    of = attacker.event(NOTED)
    attacker.run("UPDATE event SET subject = overlay(subject PLACING '1' FROM 6) WHERE id = %s", of)
    return exactly(NOTED, "leaf")


def account_of_a_line(attacker: Attacker) -> Found:
    cyd = attacker.one("SELECT id FROM account WHERE subject = 'cyd'")
    attacker.run("ALTER TABLE line DROP CONSTRAINT line_pkey")
    attacker.run(
        "UPDATE line SET account_id = %s WHERE event_id = %s AND line_no = 2",
        *(cyd, attacker.event(PAID)),
    )
    return exactly(PAID, "leaf")


def actor(attacker: Attacker) -> Found:
    attacker.run(
        "UPDATE event SET actor_id = '00000000-0000-0000-0000-00000000ffff' WHERE id = %s",
        attacker.event(FEE),
    )
    return exactly(FEE, "leaf")


def party(attacker: Attacker) -> Found:
    attacker.run("UPDATE event SET party_id = NULL WHERE id = %s", attacker.event(FEE))
    return exactly(FEE, "leaf")


def detail(attacker: Attacker) -> Found:
    of = attacker.event(NOTED)
    attacker.run("UPDATE event SET detail = '{\"order\":6}' WHERE id = %s", of)
    return exactly(NOTED, "leaf")


def kind(attacker: Attacker) -> Found:
    attacker.run("UPDATE event SET kind = 'order.seen' WHERE id = %s", attacker.event(NOTED))
    return exactly(NOTED, "leaf")


def reversal(attacker: Attacker) -> Found:
    attacker.run(
        "UPDATE entry SET reverses_event_id = %s, reverses_entry_no = 1 WHERE event_id = %s",
        *(attacker.event(FUND), attacker.event(PAID)),
    )
    return exactly(PAID, "leaf")


def swap_lines(attacker: Attacker) -> Found:
    of = attacker.event(PAID)
    attacker.run("UPDATE line SET line_no = 9 WHERE event_id = %s AND line_no = 2", of)
    attacker.run("UPDATE line SET line_no = 2 WHERE event_id = %s AND line_no = 3", of)
    attacker.run("UPDATE line SET line_no = 3 WHERE event_id = %s AND line_no = 9", of)
    return exactly(PAID, "leaf")


def swap_events(attacker: Attacker) -> Found:
    first, second = attacker.event(FUND), attacker.event(PAID)
    attacker.run("ALTER TABLE seal DROP CONSTRAINT seal_event_once")
    attacker.run("UPDATE seal SET event_id = %s WHERE journal_no = %s", second, FUND)
    attacker.run("UPDATE seal SET event_id = %s WHERE journal_no = %s", first, PAID)
    return exactly(FUND, "chain", "account_seq")


def delete_line(attacker: Attacker) -> Found:
    """One line of three, with the header and the other leg made to fit."""
    of = attacker.event(PAID)
    attacker.run("DELETE FROM line WHERE event_id = %s AND line_no = 3", of)
    attacker.run("UPDATE entry SET line_count = 2 WHERE event_id = %s", of)
    attacker.run("UPDATE line SET amount_minor = -700 WHERE event_id = %s AND line_no = 2", of)
    return exactly(PAID, "leaf")


def _delete(attacker: Attacker, number: int) -> None:
    of = attacker.event(number)
    attacker.raw.execute("DELETE FROM line WHERE event_id = %s", (of,))
    attacker.raw.execute("DELETE FROM entry WHERE event_id = %s", (of,))
    attacker.run("DELETE FROM event WHERE id = %s", of)


def delete_first(attacker: Attacker) -> Found:
    _delete(attacker, 1)
    return exactly(1, "readable")


def delete_middle(attacker: Attacker) -> Found:
    _delete(attacker, PAID)
    return exactly(PAID, "readable")


def delete_last(attacker: Attacker) -> Found:
    _delete(attacker, SIZE)
    return exactly(SIZE, "readable")


def delete_and_close_the_gap(attacker: Attacker) -> Found:
    of = attacker.event(PAID)
    _delete(attacker, PAID)
    attacker.run("DELETE FROM seal WHERE event_id = %s", of)
    attacker.close_gap(PAID)
    return exactly(PAID, "book_no", "book_no")


def cut_tail(attacker: Attacker) -> Found:
    """The last events with all their rows, and the accounts put back; the blocks stay."""
    attacker.cut(SIZE - 10, blocks_too=False)
    return Found(SIZE - 9, SIZE, "tail")


def replay_old_checkpoint(attacker: Attacker) -> Found:
    """A true beginning of the books, with the old checkpoint as if it were the newest."""
    attacker.cut(SIZE - 8, blocks_too=True)
    return Found(SIZE - 7, SIZE, "tail")


def restore_old_backup(attacker: Attacker) -> Found:
    """An old state of the books, on which the program went on with other events."""
    attacker.cut(SIZE - 4, blocks_too=True)
    attacker.post_and_seal(20)
    return Found(SIZE - 3, SIZE, "checkpoint", "root")


def insert_backdated(attacker: Attacker) -> Found:
    """An event between two others, of a batch that nobody waits for."""
    attacker.add_event(attacker.event(NOTED), event_id=900 << 14)
    return exactly(NOTED + 1, "unsealed", "event")


def insert_backdated_and_seal(attacker: Attacker) -> Found:
    """The same with a number, all later ones moved on."""
    attacker.add_event(attacker.event(NOTED), event_id=900 << 14)
    attacker.make_room(NOTED)
    attacker.run(
        "INSERT INTO seal SELECT %s, %s, custody_entries, platform_entries FROM seal"
        " WHERE journal_no = %s",
        *(NOTED, 900 << 14, NOTED - 1),
    )
    return Found(*IN_BLOCK, "block", "root")


def duplicate(attacker: Attacker) -> Found:
    """A payment once more at the end, with lines and a seal."""
    of, copy = attacker.event(PAID), 900 << 14
    attacker.raw.execute("ALTER TABLE line DROP CONSTRAINT line_pkey")
    for table, key in (("event", "id"), ("entry", "event_id"), ("line", "event_id")):
        attacker.raw.execute(f"CREATE TEMP TABLE c AS TABLE {table}".encode())
        attacker.raw.execute(f"DELETE FROM c WHERE {key} <> {of}".encode())
        attacker.raw.execute(f"UPDATE c SET {key} = {copy}".encode())
        attacker.raw.execute(f"INSERT INTO {table} SELECT * FROM c".encode())
        attacker.raw.execute("DROP TABLE c")
    attacker.rehash(only=copy)
    attacker.run(
        "INSERT INTO seal SELECT %s, %s, custody_entries + 1, platform_entries FROM seal"
        " WHERE journal_no = %s",
        *(SIZE + 1, copy, SIZE),
    )
    return exactly(SIZE + 1, "chain", "account_seq")


def renumber(attacker: Attacker) -> Found:
    attacker.make_room(PAID)
    return exactly(PAID, "numbering", "journal_no")


def miscount(attacker: Attacker) -> Found:
    """The counts from which entries get their numbers."""
    attacker.run(
        "UPDATE seal SET custody_entries = custody_entries + 1 WHERE journal_no >= %s", PAID
    )
    return exactly(PAID, "book_no", "book_no")


def leaf_hash_too(attacker: Attacker) -> Found:
    reason(attacker)
    attacker.rehash()
    return Found(*IN_BLOCK, "block", "root")


def leaf_hash_alone(attacker: Attacker) -> Found:
    of = attacker.event(PAID)
    attacker.run("UPDATE event SET leaf_hash = sha256(leaf_hash) WHERE id = %s", of)
    return exactly(PAID, "leaf")


def block_root_alone(attacker: Attacker) -> Found:
    attacker.run("UPDATE block SET root = sha256(root) WHERE last_journal_no = %s", NOTED)
    return Found(*IN_BLOCK, "block", "root")


def rewrite_all_hashes(attacker: Attacker) -> Found:
    """Leaves, blocks, tree and roots; the notes stay, since he cannot sign."""
    reason(attacker)
    attacker.rebuild()
    return Found(*IN_BLOCK, "checkpoint", "root")


def rebuild_with_own_key(attacker: Attacker) -> Found:
    """The whole chain and tree, with every checkpoint since signed by a key of his own."""
    reason(attacker)
    attacker.rebuild(forger=OTHER_KEY, since=NOTED - 4)
    return Found(*IN_BLOCK, "checkpoint")


def rows_of_another_tenant(attacker: Attacker) -> Found:
    """An event with the leaf hash that it had in another tenant's books."""
    of = attacker.event(PAID)
    attacker.rehash(tenant="other", only=of)
    return exactly(PAID, "leaf")


def look_alike(attacker: Attacker) -> Found:
    """A Cyrillic o in the reference."""
    of = attacker.event(NOTED)
    attacker.run("UPDATE event SET subject = replace(subject, 'o', U&'\\043E') WHERE id = %s", of)
    return exactly(NOTED, "leaf", "subject")


def invisible_character(attacker: Attacker) -> Found:
    """A joiner of no width in the reference, the nearest to a NUL that PostgreSQL takes."""
    of = attacker.event(NOTED)
    attacker.run("UPDATE event SET subject = subject || U&'\\200D' WHERE id = %s", of)
    return exactly(NOTED, "leaf", "subject")


def trigger_dropped_and_made_again(attacker: Attacker) -> Found:
    attacker.raw.execute("SET session_replication_role = origin")
    attacker.run("DROP TRIGGER event_append_only ON event")
    attacker.run("UPDATE event SET reason = 'as told' WHERE id = %s", attacker.event(NOTED))
    attacker.run(
        "CREATE TRIGGER event_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON event"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    return exactly(NOTED, "leaf")


def trigger_switched_off(attacker: Attacker) -> Found:
    attacker.run("ALTER TABLE event DISABLE TRIGGER event_append_only")
    return Found(None, None, "guard", "event_append_only")


def balance_of_an_account(attacker: Attacker) -> Found:
    attacker.run("UPDATE account SET balance_minor = balance_minor - 1 WHERE subject = 'bob'")
    return Found(None, None, "account", "balance_minor")


CASES: Final = (
    *(amount, balanced_amounts, amounts_carried_on, effective_date, effective_date_everywhere),
    *(effective_date_of_lines, recorded_date, reason, one_byte, account_of_a_line, actor, party),
    *(detail, kind, reversal, swap_lines, swap_events, delete_line, delete_first, delete_middle),
    *(delete_last, delete_and_close_the_gap, cut_tail, replay_old_checkpoint, restore_old_backup),
    *(insert_backdated, insert_backdated_and_seal, duplicate, renumber, miscount, leaf_hash_too),
    *(leaf_hash_alone, block_root_alone, rewrite_all_hashes, rebuild_with_own_key),
    *(rows_of_another_tenant, look_alike, invisible_character, trigger_dropped_and_made_again),
    *(trigger_switched_off, balance_of_an_account),
)

EXPORTED: Final = (
    *(amount, actor, swap_events, delete_middle, cut_tail, insert_backdated_and_seal, renumber),
    *(leaf_hash_too, rewrite_all_hashes, rebuild_with_own_key, restore_old_backup, look_alike),
    balance_of_an_account,
)
"""Those that are tried over an export, too, written by the program from the altered books."""


@pytest.fixture(scope="module")
def sealed(server: EmbeddedServer, tenant: Tenant) -> Iterator[tuple[TestDatabase, list[str]]]:
    """The sealed tenant that every case gets a copy of, and the checkpoints kept elsewhere."""
    with cloned_database(server) as database:
        yield database, build(database, tenant)


@pytest.fixture
def attacker(
    server: EmbeddedServer, sealed: tuple[TestDatabase, list[str]], tmp_path: Path
) -> Iterator[Attacker]:
    """An attacker in a copy of one's own."""
    with (
        copied(server, sealed[0]) as database,
        attacking(database, sealed[1], tmp_path) as attacker,
    ):
        yield attacker


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    """What the verifier answers."""
    code = verify.main([*arguments, "--jobs=1", "--json"])
    return code, json.loads(capsys.readouterr().out)


def in_books(attacker: Attacker, *more: str) -> list[str]:
    return [f"--dsn={attacker.database.admin_url}", "--tenant=test", *more]


def exported(attacker: Attacker, tenant: Tenant) -> str:
    folder = attacker.folder / "export"
    engine = connect(attacker.database.app_url)
    with snapshot(engine, tenant) as connection:
        write_export(connection, tenant=tenant, asked=Asked(), folder=folder)
    engine.dispose()
    return str(folder)


def expect_found(answer: tuple[int, dict[str, Any]], found: Found) -> None:
    code, report = answer
    assert code == 1, report
    first = report["first"]
    assert (first["journal_no"], first["journal_no_last"]) == found[:2], report
    kinds = {(each["promise"], each["field"]) for each in report["findings"]}
    assert any(
        promise == found.promise and found.field in {"", field} for promise, field in kinds
    ), report


def test_untouched_books_are_clean(
    attacker: Attacker, tenant: Tenant, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is found where nothing was altered, over the database and over an export."""
    with_all = (f"--checkpoint={attacker.kept}", f"--public-key={key_text()}")

    for answer in (
        told(capsys, *in_books(attacker, *with_all)),
        told(capsys, exported(attacker, tenant), *with_all),
    ):
        assert answer[0] == 0, answer
        assert answer[1]["size"] == answer[1]["checkpoints_agree_up_to"] == SIZE
        assert answer[1]["checked"]["signatures"] == 2 * 15


@pytest.mark.parametrize("alter", CASES, ids=lambda case: str(case.__name__))
def test_what_a_superuser_alters_is_found(
    alter: Callable[[Attacker], Found], attacker: Attacker, capsys: pytest.CaptureFixture[str]
) -> None:
    """The verifier over the database names the first altered number, and what does not hold."""
    found = alter(attacker)

    kept = f"--checkpoint={attacker.kept}"
    answer = told(capsys, *in_books(attacker, kept, f"--public-key={key_text()}"))

    expect_found(answer, found)


@pytest.mark.parametrize("alter", EXPORTED, ids=lambda case: str(case.__name__))
def test_an_export_of_altered_books_tells_on_them(
    alter: Callable[[Attacker], Found],
    attacker: Attacker,
    tenant: Tenant,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The same number is named by whoever has only the export, and the checkpoints he kept."""
    found = alter(attacker)
    if alter is delete_middle:
        # Where the database shows a number without its event, the file has a gap.
        found = exactly(PAID, "numbering", "journal_no")

    answer = told(capsys, exported(attacker, tenant), f"--checkpoint={attacker.kept}")

    expect_found(answer, found)


def test_a_history_built_anew_needs_the_key(
    attacker: Attacker, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without checkpoints from elsewhere a forger's own are told by the public key alone."""
    found = rebuild_with_own_key(attacker)

    unaware = told(capsys, *in_books(attacker))
    aware = told(capsys, *in_books(attacker, f"--public-key={key_text()}"))

    assert unaware[0] == 0, unaware
    assert "No checkpoint from elsewhere" in unaware[1]["remarks"][0]
    expect_found(aware, found)


def test_there_are_thirty_cases_and_more() -> None:
    """The drill has at least thirty alterations, each by a name of its own."""
    assert len({case.__name__ for case in CASES}) == len(CASES) >= 30
    assert {case.__name__ for case in EXPORTED} <= {case.__name__ for case in CASES}
