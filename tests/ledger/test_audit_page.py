"""docs/audit.md as an auditor follows it: every question runs, and answers what is known here."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import psycopg
import pytest
from psycopg.rows import dict_row

from engine.replay.report import Report
from kernel.database import Tenant, connect
from kernel.embedded import EmbeddedServer
from tests.fixtures.databases import TestDatabase, cloned_database
from tests.fixtures.sources import ROOT
from tests.ledger.audited_books import (
    JOURNAL,
    SECOND,
    STAFF,
    act_by_hand,
    auditor_of,
    close_december,
    replay_month,
    seal_all,
)

PAGE: Final = (ROOT / "docs" / "audit.md").read_text(encoding="utf-8")

_QUESTION: Final = re.compile(
    r"^### (\d+)\. [^\n]+\?\n\n```sql\n(.+?)\n```\n\nColumns: ([^.]+)\.", re.MULTILINE | re.DOTALL
)
_VALUE: Final = re.compile(r":'(\w+)'")

Row = dict[str, Any]

IN_JANUARY: Final = 3
"""Entries made by hand: one, its reversal, and a late one; two more count in December."""

BY_HAND: Final = IN_JANUARY + 2


@dataclass(frozen=True, slots=True)
class Question:
    """One question of the page: its statement as psql takes it, and the columns it promises."""

    number: int
    statement: str
    columns: tuple[str, ...]


QUESTIONS: Final = {
    int(number): Question(int(number), sql, tuple(re.findall(r"`(\w+)`", columns)))
    for number, sql, columns in _QUESTION.findall(PAGE)
}


class Visit:
    """An auditor at his desk: he pastes the values, then asks questions by number.

    `report` is the replay's own, `facts` what was done by hand.
    """

    report: Report
    facts: Row

    def __init__(self, conninfo: str) -> None:
        self._connection = psycopg.connect(conninfo, autocommit=True, row_factory=dict_row)
        self.values: dict[str, str] = {}
        (block,) = re.findall(r"```psql\n(.+?)```", PAGE, re.DOTALL)
        for line in block.splitlines():
            if line.startswith("\\set "):
                _, name, value = line.split(maxsplit=2)
                self.values[name] = value.strip("'")
            elif line.endswith(" \\gset"):
                row = self._connection.execute(line.removesuffix(" \\gset").encode()).fetchone()
                assert row is not None
                self.values |= {name: str(value) for name, value in row.items()}

    def ask(self, number: int, **other: str) -> list[Row]:
        """The answer to a question, as psql would ask it; other values than the page's."""
        values = {**self.values, **other}
        statement = _VALUE.sub(lambda name: f"'{values[name[1]]}'", QUESTIONS[number].statement)
        cursor = self._connection.execute(statement.encode())
        assert cursor.description is not None
        assert tuple(each.name for each in cursor.description) == QUESTIONS[number].columns
        return cursor.fetchall()

    def close(self) -> None:
        self._connection.close()


@pytest.fixture(scope="module")
def visit(server: EmbeddedServer, tenant: Tenant) -> Iterator[Visit]:
    """A replayed month, what was done to it by hand, sealed, and an auditor in front of it."""
    with ExitStack() as stack:
        database: TestDatabase = stack.enter_context(cloned_database(server))
        engine = connect(database.app_url)
        stack.callback(engine.dispose)
        report = replay_month(engine, tenant)
        facts = act_by_hand(engine, tenant)
        close_december(engine, tenant)
        conninfo = stack.enter_context(auditor_of(database, tenant))
        seal_all(engine, tenant)
        visit = Visit(conninfo)
        visit.report, visit.facts = report, facts
        stack.callback(visit.close)
        yield visit


def total(rows: list[Row], column: str) -> Decimal:
    return sum((row[column] for row in rows), Decimal(0))


def held(visit: Visit) -> None:
    """What is held in escrow is what the replay's own report says."""
    rows = visit.ask(1)
    escrow = [row for row in rows if row["account_name"] == "Escrow"]
    assert total(escrow, "owed") == Decimal(visit.report.held["USD"])
    assert all(row["client_id"] and row["payee_id"] for row in escrow)
    assert visit.ask(1, known="0") == []
    before = visit.ask(1, day="2026-01-05")
    assert total(before, "owed") < total(rows, "owed")


def trial_balance(visit: Visit) -> None:
    """Columns are equal, and as known before the late entry it is without it."""
    rows = visit.ask(2)
    assert {row["book"] for row in rows} == {"custody", "platform"}
    for book in ("custody", "platform"):
        of_book = [row for row in rows if row["book"] == book]
        assert total(of_book, "debits") == total(of_book, "credits") > 0
        assert total(of_book, "closing") == 0
    late = visit.ask(8)[0]["first_journal_no"]
    capital = [
        sum(row["closing"] for row in each if row["account_kind"] == "platform.capital")
        for each in (visit.ask(2, known=str(late - 1)), visit.ask(2, known=str(late)))
    ]
    assert capital[0] - capital[1] == Decimal("1000.00")


def one_account(visit: Visit) -> None:
    rows = visit.ask(3)
    running = Decimal(0)
    for row in rows:
        running += row["debit"] - row["credit"]
        assert row["balance_after"] == running
    assert rows


def complete(visit: Visit) -> None:
    rows = visit.ask(4)
    whole = [row for row in rows if row["period"] == "all"]
    assert {row["book"] for row in whole} == {"custody", "platform"}
    for row in whole:
        assert row["entries"] == row["entries_sealed_in_book"] > 0
        assert row["debits"] == row["credits"]
    parts = [row for row in rows if row["period"] != "all"]
    assert sum(row["entries"] for row in parts) == sum(row["entries"] for row in whole)
    assert {row["period"] for row in parts} == {"2025-12-01", "2026-01-01"}
    assert sum(row["entries"] for row in whole) == visit.report.entries + BY_HAND


def no_gaps(visit: Visit) -> None:
    rows = visit.ask(5)
    assert [row["numbers"] for row in rows] == ["custody", "log", "platform"]
    assert {(row["first"], row["difference"]) for row in rows} == {(1, 0)}


def one_person(visit: Visit) -> None:
    rows = visit.ask(6, actor=str(STAFF.principal_id))
    kinds = [row["event_kind"] for row in rows]
    assert Counter(kinds) == {
        "capital.paid_in": 3,
        "event.reversed": 1,
        "hold.placed": 1,
        "period.soft_closed": 1,
        "period.closed": 1,
        "period.reopening_asked": 1,
        "journal.prepared": 1,
    }
    of_all = {row["event_kind"] for row in visit.ask(6)}
    assert of_all == {"party.created", "party.changed", "claim.rules_set"}


def whose_hands(visit: Visit) -> None:
    rows = visit.ask(7)
    assert (rows[0]["is_staff"], rows[0]["event_kind"]) == (True, "capital.paid_in")
    assert (rows[0]["entries"], rows[0]["without_reason"]) == (2, 1)
    assert sum(row["entries"] for row in rows) == visit.report.entries + IN_JANUARY


def came_late(visit: Visit) -> None:
    rows = visit.ask(8)
    assert {row["account_kind"] for row in rows} == {"platform.bank", "platform.capital"}
    assert {row["debits"] + row["credits"] for row in rows} == {Decimal("1000.00")}
    assert {row["latest"].days for row in rows} == {9}


def taken_back(visit: Visit) -> None:
    (row,) = visit.ask(9)
    assert (row["event_kind"], row["total"]) == ("capital.paid_in", Decimal("1234.00"))
    assert (row["reason"], row["is_whole"]) == ("typed twice", True)
    assert row["reversal_book_no"] == row["book_no"] + 1


def never_before_it_came(visit: Visit) -> None:
    assert visit.ask(10) == []


def one_contract(visit: Visit) -> None:
    kinds = [row["event_kind"] for row in visit.ask(11)]
    assert kinds[0] == "contract.proposed"
    assert {"contract.accepted", "funding.created", "slot.funded", "slot.released"} <= set(kinds)
    released = [row for row in visit.ask(11) if row["event_kind"] == "slot.released"]
    assert all(re.match(r"custody \d+: [\d.]+ USD; platform \d+: ", r["entries"]) for r in released)


def refused(visit: Visit) -> None:
    rows = visit.ask(12)
    assert [(row["code"], row["refusals"]) for row in rows] == [
        ("escrow.not_submitted", 1),
        ("payouts.bad_method", 1),
    ]


def blocked(visit: Visit) -> None:
    (row,) = visit.ask(13)
    assert row["subject"] == f"contract:{visit.facts['contract']}"
    assert row["stopped"] * 100 == visit.facts["held_minor"] > 0


def mirrors(visit: Visit) -> None:
    rows = visit.ask(14)
    assert [row["pair"] for row in rows] == [1, 2]
    assert {row["difference"] for row in rows} == {0}


def money_is_there(visit: Visit) -> None:
    (row,) = visit.ask(15)
    assert row["assets"] == row["owed"] > 0
    assert row["of_which_due_from_platform"] == 0


def unusual_pairs(visit: Visit) -> None:
    rows = visit.ask(16)
    assert all(1 <= row["entries"] <= 3 for row in rows)
    assert ("platform.capital", "platform.bank") in {(r["debited"], r["credited"]) for r in rows}


def biggest(visit: Visit) -> None:
    rows = visit.ask(17)
    assert len(rows) == 25
    assert rows[0]["event_kind"] == "settlement.moved"
    assert [row["total"] for row in rows] == sorted((r["total"] for r in rows), reverse=True)
    assert {row["is_odd_hour"] for row in rows if row["actor_kind"] == "rail"} == {False}


def same_place(visit: Visit) -> None:
    # The simulated rail knows payees' banks by words, so that all good ones are one word.
    rows = visit.ask(18)
    assert rows
    assert rows[0]["payees"] > 1


def signed_roots(visit: Visit) -> None:
    assert visit.ask(19) == []


def changes(visit: Visit) -> None:
    kinds = [row["event_kind"] for row in visit.ask(20)]
    assert {"party.created", "party.changed", "payout_method.added", "payout_fee.set"} <= set(kinds)
    assert {"period.closed", "period.reopened", "auditor.granted"} <= set(kinds)


def four_eyes(visit: Visit) -> None:
    (row,) = visit.ask(21)
    assert (row["manual_journal_id"], row["state"], row["total"]) == (JOURNAL, "posted", 7)
    assert (row["prepared_by"], row["decided_by"]) == (STAFF.principal_id, SECOND.principal_id)
    assert row["is_one_person"] is False


def after_close(visit: Visit) -> None:
    (row,) = visit.ask(22)
    assert (str(row["period"]), row["closing"], row["events_since"]) == ("2025-12-01", 1, 1)
    assert (row["asked_by"], row["reopened_by"]) == (STAFF.principal_id, SECOND.principal_id)
    known = str(row["last_journal_no"])
    then = visit.ask(2, since="2025-12-01", day="2026-01-01", known=known)
    assert {each["debits"] + each["credits"] for each in then} == {Decimal("50.01")}


def way_of_a_payout(visit: Visit) -> None:
    # The replayed month pays nobody out: test_audit_of_money asks of payouts and their proof.
    assert visit.ask(23) == []


def came_back(visit: Visit) -> None:
    assert visit.ask(24) == []


def what_lies_where(visit: Visit) -> None:
    rows = visit.ask(25)
    assert {row["rail_account"] for row in rows} <= {"", "simulated"}
    balances = {
        row["account_kind"]: row["closing"] for row in visit.ask(2) if row["currency"] == "USD"
    }
    for row in rows:
        assert (row["balance"], row["unknown_lines"]) == (balances[row["account_kind"]], 0)


def proof_by_statement(visit: Visit) -> None:
    assert visit.ask(26) == []


def written_off(visit: Visit) -> None:
    rows = visit.ask(27)
    assert {row["what"] for row in rows} <= {"written off"}
    closings = {
        row["account_name"]: row["closing"]
        for row in visit.ask(2)
        if row["account_name"] in {each["name"] for each in rows}
    }
    for name, closing in closings.items():
        assert total([row for row in rows if row["name"] == name], "amount") == closing


def never_worked(visit: Visit) -> None:
    assert visit.ask(28) == []


def never_one_person(visit: Visit) -> None:
    assert visit.ask(29) == []


ANSWERS: Final[dict[int, Callable[[Visit], None]]] = {
    1: held,
    2: trial_balance,
    3: one_account,
    4: complete,
    5: no_gaps,
    6: one_person,
    7: whose_hands,
    8: came_late,
    9: taken_back,
    10: never_before_it_came,
    11: one_contract,
    12: refused,
    13: blocked,
    14: mirrors,
    15: money_is_there,
    16: unusual_pairs,
    17: biggest,
    18: same_place,
    19: signed_roots,
    20: changes,
    21: four_eyes,
    22: after_close,
    23: way_of_a_payout,
    24: came_back,
    25: what_lies_where,
    26: proof_by_statement,
    27: written_off,
    28: never_worked,
    29: never_one_person,
}


def test_the_page_asks_at_least_twenty_questions_each_with_a_known_answer() -> None:
    """Every heading with a number has one statement, its columns, and a check below."""
    headings = [int(number) for number in re.findall(r"^### (\d+)\. ", PAGE, re.MULTILINE)]

    assert len(headings) >= 20
    assert headings == list(QUESTIONS) == list(ANSWERS) == list(range(1, len(headings) + 1))


@pytest.mark.slow
@pytest.mark.parametrize("number", ANSWERS)
def test_a_question_is_answered_as_the_page_says(visit: Visit, number: int) -> None:
    """As the read-only login: the columns that the page names, and what is known of the story."""
    check = ANSWERS[number]
    check(visit)


def test_the_page_can_be_followed_before_anything_happened(
    own_database: TestDatabase, tenant: Tenant
) -> None:
    """On empty books every question is answered, by no rows or by zeros."""
    with auditor_of(own_database, tenant) as conninfo:
        visit = Visit(conninfo)
        answers = {number: visit.ask(number) for number in QUESTIONS}
        visit.close()

    assert {number for number, rows in answers.items() if rows} == {5, 6, 20}
    assert [row["event_kind"] for row in answers[20]] == ["auditor.granted"]


def test_an_answer_shows_its_facts_and_never_a_token(visit: Visit) -> None:
    """Of a refusal the facts, of what was done nothing; a token is left out of both."""
    rows = visit._connection.execute("SELECT key, facts FROM audit_idempotency").fetchall()

    assert {row["key"]: row["facts"] for row in rows} == {
        "k-1": '{"slot_id":"x"}',
        "k-2": '{"token":"...","n":1}',
        "k-3": None,
    }


def test_the_page_names_every_view_that_there_is(visit: Visit) -> None:
    """And none that there is not."""
    rows = visit._connection.execute(
        "SELECT viewname FROM pg_views WHERE starts_with(viewname, 'audit_')"
        " AND schemaname = 'tenant_test'"
    ).fetchall()

    assert set(re.findall(r"`(audit_\w+)`", PAGE.partition("## Twenty")[0])) == {
        row["viewname"] for row in rows
    }
