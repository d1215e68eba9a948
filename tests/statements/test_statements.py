"""The seventeen statements that a ledger must meet (domain/ledger.md 4.6), and what shows each.

`SHOWN_BY` names the tests by statement; a test that is renamed or taken away fails here. What had
no test of its own is shown below. Sized for every run; the whole length is run by command:

- 1, 8: `python -m tests.statements.sixteen_writers`
- 3: `make durability`
- 4, 5: `python -m tests.ledger.reservation_races`
- 12: `python -m tests.statements.killed_consumers`
- 13: `make bench` (a figure is never a test with a deadline)
"""

import ast
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Final

import pytest
from sqlalchemy import Connection

from kernel.money import allocate, share_bps
from tests.escrow.test_stories import STORIES, accepted, play
from tests.fixtures.databases import TestDatabase
from tests.fixtures.sources import ROOT
from tests.statements import killed_consumers
from tests.statements.sixteen_writers import run

_HERE: Final = "tests/statements/test_statements.py"
_RACES: Final = "tests/ledger/test_reservations_races.py"
_ENTRIES: Final = "tests/ledger/test_guards_entries.py"
_CHANGES: Final = "tests/ledger/test_guards_changes.py"

SHOWN_BY: Final = MappingProxyType(
    {
        1: (
            f"{_HERE}::test_sixteen_writers_leave_the_books_whole",
            "tests/ledger/test_bank.py::test_every_total_is_right_at_every_read",
        ),
        2: (
            "tests/engine/test_group_commit.py::test_a_thousand_twins_have_one_effect",
            "tests/engine/test_group_commit.py::test_half_of_the_twins_ask_for_something_else",
        ),
        3: (
            "tests/durability/test_crashes.py::test_nothing_acknowledged_is_lost_and_nothing_doubled",
            "tests/durability/test_engine_crashes.py::test_no_deal_is_lost_or_doubled_by_a_kill",
        ),
        4: (
            f"{_RACES}::test_what_is_there_is_set_aside_once",
            f"{_RACES}::test_nobody_takes_it_by_hand",
        ),
        5: (
            f"{_RACES}::test_two_postings_of_all_of_it_post_once",
            f"{_RACES}::test_parts_fit_into_the_whole",
            f"{_RACES}::test_a_reservation_ends_once",
        ),
        6: (
            f"{_RACES}::test_a_refusal_stays_a_refusal_under_its_key",
            "tests/engine/test_group_commit.py::test_a_refusal_is_kept_after_funding",
        ),
        7: (
            f"{_ENTRIES}::test_an_entry_off_by_one_is_refused",
            f"{_ENTRIES}::test_an_entry_of_one_leg_is_refused",
            f"{_ENTRIES}::test_a_line_in_another_currency_is_refused",
            f"{_CHANGES}::test_a_late_pair_of_lines_is_refused",
            f"{_CHANGES}::test_the_books_are_append_only",
        ),
        8: (
            f"{_HERE}::test_sixteen_writers_leave_the_books_whole",
            "tests/ledger/test_post.py::test_recorded_time_rises_over_a_clock_stepped_back",
        ),
        9: (
            "tests/ledger/test_asof.py::test_back_dating_changes_what_is_known_now_and_nothing_that_was_known",
            "tests/ledger/test_asof.py::test_a_balance_equals_a_full_scan_for_any_pair_of_dates",
        ),
        10: (
            "tests/ledger/test_periods_race.py::test_a_close_races_sixteen_posters_and_always_ties",
        ),
        11: (
            "tests/ledger/test_tampering.py::test_what_a_superuser_alters_is_found",
            "tests/ledger/test_tampering.py::test_an_export_of_altered_books_tells_on_them",
            "tests/ledger/test_tampering.py::test_a_history_built_anew_needs_the_key",
        ),
        12: (
            f"{_HERE}::test_a_killed_consumer_misses_nothing_and_nothing_comes_before_its_place",
            "tests/ledger/test_seal.py::test_a_transaction_held_open_is_sealed_later_and_nothing_is_missed",
        ),
        13: ("tests/loadtests/test_bench.py",),
        14: (
            "tests/ledger/test_correction.py::test_a_reversal_puts_every_touched_account_back",
            "tests/ledger/test_correction.py::test_an_event_is_reversed_at_most_once",
            "tests/ledger/test_correction.py::test_a_reversal_is_not_reversed",
            "tests/ledger/test_reservations.py::test_a_reservation_is_not_reversed",
        ),
        15: (
            "tests/ledger/test_rebuild.py::test_dropped_tables_come_back_byte_for_byte",
            "tests/ledger/test_imports.py::test_an_import_gives_the_same_roots_and_balances",
        ),
        16: (f"{_HERE}::test_a_fee_in_three_parts_is_exact",),
        17: (f"{_HERE}::test_client_money_is_held_after_every_story",),
    }
)
"""The tests that show a statement, by their node ids; a whole file where all of it does."""


def _tests_of(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_statement_is_shown_by_tests_that_there_are() -> None:
    """All seventeen are accounted for, and every test that is named can be run."""
    assert set(SHOWN_BY) == set(range(1, 18))
    for names in SHOWN_BY.values():
        for name in names:
            file, _, test = name.partition("::")
            assert (ROOT / file).is_file(), name
            assert not test or test in _tests_of(ROOT / file), name


def test_sixteen_writers_leave_the_books_whole(own_database: TestDatabase) -> None:
    """1 and 8: sums, balances and chains hold over a clock stepped back; nobody deadlocks."""
    ran = run(own_database, accounts=500, turns=12, is_over=lambda: True)

    assert ran.wrong == {"currencies": 0, "balances": 0, "chains": 0, "promises": 0}
    assert ran.deadlocks == 0
    assert ran.accepted > ran.after_the_step > 0


def test_a_killed_consumer_misses_nothing_and_nothing_comes_before_its_place(
    own_database: TestDatabase, tmp_path: Path
) -> None:
    """12: a tenth of the hundred kills, over HTTP, with transactions open up to two seconds."""
    seen = killed_consumers.run(own_database, tmp_path, kills=10, hold_s=2)

    assert seen.wrong == ()
    assert seen.lives > 5
    assert seen.again >= 5
    assert seen.late >= killed_consumers.HOLDERS


def test_a_fee_in_three_parts_is_exact() -> None:
    """16: a tenth of 1 to 10,000 units in three parts sums, repeats, and is within a unit."""
    for amount_minor in range(1, 10_001):
        fee_minor = share_bps(amount_minor, 1_000)
        for weights in ([1, 1, 1], [50, 30, 20]):
            parts = allocate(fee_minor, weights)
            assert sum(parts) == fee_minor
            assert parts == allocate(fee_minor, weights)
            for part, weight in zip(parts, weights, strict=True):
                assert abs(part - Fraction(fee_minor * weight, sum(weights))) < 1


# Assets of client money, as the chart says what they are; debts to and from the platform are both.
_HELD: Final = """
SELECT a.currency,
       sum(a.balance_minor) FILTER (WHERE k.nature = 'liability'),
       sum(a.balance_minor) FILTER (WHERE k.nature <> 'liability')
FROM account a JOIN account_kind k ON k.kind = a.kind
WHERE a.book = 'custody' GROUP BY a.currency
"""
_FINISHED: Final = """
SELECT s.id, a.balance_minor FROM slot s JOIN account a ON a.subject = s.id::text
WHERE s.state IN ('released', 'refunded', 'cancelled') AND a.balance_minor <> 0
"""


@pytest.mark.parametrize("name", STORIES)
def test_client_money_is_held_after_every_story(connection: Connection, name: str) -> None:
    """17: what is owed out of client money is there, and a finished slot holds nothing."""
    story, terms, amounts = STORIES[name]

    play(accepted(connection, terms, *amounts), story)

    held = connection.exec_driver_sql(_HELD).all()
    assert held
    for currency, owed_minor, there_minor in held:
        assert owed_minor + there_minor == 0, currency
    assert connection.exec_driver_sql(_FINISHED).all() == []
