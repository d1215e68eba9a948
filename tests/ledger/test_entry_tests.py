"""The journal-entry tests: quiet on sound books, each of them heard where it should be."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg
import pytest
from click.testing import CliRunner
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.pool import NullPool

from engine.__main__ import main
from kernel import clock
from kernel.database import Tenant, connect, snapshot
from kernel.embedded import EmbeddedServer
from kernel.principals import Actor, PrincipalKind
from ledger import entry_tests, journals, parties
from ledger.chart import account
from ledger.commands import Reverse
from ledger.correction import reverse
from ledger.entry_tests import BadValue, Result, UnknownValue, default_values, list_tests
from ledger.journals import DecideJournal, PrepareJournal, SetLimit
from ledger.model import Book, Draft, Posted
from ledger.model_journals import Role
from ledger.parties import CreateParty, PartyKind
from ledger.service import post
from payouts import methods
from payouts.commands import AddMethod
from tests.fixtures.databases import TestDatabase, cloned_database
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
from tests.ledger.drafts import draft, entry, fund, wallet

SATURDAY: Final = datetime(2026, 3, 7, 12, tzinfo=UTC)
TUESDAY: Final = datetime(2026, 3, 3, 12, tzinfo=UTC)
PAYEE: Final = UUID(int=501)


@pytest.fixture(scope="module")
def month(server: EmbeddedServer, tenant: Tenant) -> Iterator[TestDatabase]:
    """A replayed month with what was done to it by hand, sealed."""
    with ExitStack() as stack:
        database = stack.enter_context(cloned_database(server))
        engine = connect(database.app_url)
        stack.callback(engine.dispose)
        replay_month(engine, tenant)
        act_by_hand(engine, tenant)
        close_december(engine, tenant)
        seal_all(engine, tenant)
        yield database


def found(results: list[Result]) -> dict[str, int]:
    """How much each test found, without those that found nothing."""
    return {each.test.name: each.count for each in results if each.count}


def run_on(database: TestDatabase, tenant: Tenant, **given: str) -> list[Result]:
    engine = connect(database.app_url)
    try:
        with snapshot(engine, tenant) as connection:
            return entry_tests.run(connection, given)
    finally:
        engine.dispose()


def test_each_test_has_a_name_a_kind_and_a_meaning() -> None:
    """The file holds the tests of the specification, each once, and says what each value is."""
    names = [each.name for each in list_tests()]
    head = entry_tests._SQL.read_text(encoding="utf-8").partition("\\if")[0]

    assert len(names) == len(set(names)) >= 28
    assert sum(each.is_impossible for each in list_tests()) >= 11
    assert [name for name in default_values() if f" {name}" not in head] == []


@pytest.mark.slow
def test_a_month_with_a_correction_is_sound_and_what_was_odd_is_shown(
    month: TestDatabase, tenant: Tenant
) -> None:
    """Nothing impossible; the late entry, the quick reversal, the lone hand are shown."""
    results = run_on(month, tenant)

    assert not any(each.is_broken for each in results)
    heard = found(results)
    assert (heard["back_dated"], heard["quick_reversals"]) == (3, 1)
    assert (heard["round_amounts"], heard["reason_missing"], heard["rare_actors"]) == (1, 1, 2)
    assert heard["posted_after_close"] == 1
    assert "not_sealed_for_long" not in heard


@pytest.mark.slow
def test_an_auditor_runs_them_as_himself_with_the_same_answers(
    month: TestDatabase, tenant: Tenant
) -> None:
    """The tests need no right that his login lacks."""
    with auditor_of(month, tenant) as conninfo:
        engine = create_engine(
            "postgresql+psycopg://", creator=lambda: psycopg.connect(conninfo), poolclass=NullPool
        )
        with engine.connect() as connection:
            his = entry_tests.run(connection, {"whose": "all"})

    ours = run_on(month, tenant, whose="all")
    assert [each.count for each in his][:11] == [each.count for each in ours][:11]
    assert found(his)["at_night"] == found(ours)["at_night"] > 0


@pytest.mark.slow
def test_values_of_the_caller_move_the_thresholds(month: TestDatabase, tenant: Tenant) -> None:
    """A time without entries finds no habit, another limit other releases, another zone nights."""
    habits = {each.name for each in list_tests() if not each.is_impossible}
    habits -= {"not_sealed_for_long", "shared_payout_method"}
    empty = found(run_on(month, tenant, whose="all", since="2030-01-01"))
    wide = found(run_on(month, tenant, limit_units="1000000", margin_bps="10000"))
    tokyo = found(run_on(month, tenant, whose="all", zone="Asia/Tokyo"))
    utc = found(run_on(month, tenant, whose="all", limit_units="1"))

    assert habits & set(empty) == set()
    assert wide["just_under_a_limit"] >= 1
    assert "just_under_a_limit" not in utc
    assert tokyo["at_night"] != utc["at_night"]


@pytest.mark.parametrize(
    ("given", "refusal"),
    [
        ({"colour": "red"}, UnknownValue),
        ({"zone": "Nowhere"}, BadValue),
        ({"since": "yesterday-ish"}, BadValue),
        ({"few_pairs": "some"}, BadValue),
        ({"same_within": "fortnight"}, BadValue),
        ({"round_units": "0"}, BadValue),
        ({"whose": "mine"}, BadValue),
    ],
)
def test_a_value_that_says_nothing_is_refused(
    connection: Connection, given: dict[str, str], refusal: type[Exception]
) -> None:
    """By its name or by its text; the statement is never built from it."""
    with pytest.raises(refusal), connection.begin_nested():
        entry_tests.run(connection, given)


def heard_on(connection: Connection, **given: str) -> dict[str, int]:
    return found(entry_tests.run(connection, {"since": "2026-03-01", **given}))


def by_staff(amount_minor: int, at: datetime, *, reason: str = "because") -> Draft:
    """The owner pays so much in, by a person's hand."""
    bank, capital = account("platform.bank", "EUR"), account("platform.capital", "EUR")
    made = draft(
        entry((bank, amount_minor), (capital, -amount_minor), book=Book.PLATFORM),
        actor=STAFF,
        at=at,
    )
    return Draft(made.kind, made.subject, made.actor, at, made.entries, reason=reason)


def post_all(connection: Connection, *drafts: Draft) -> list[Posted]:
    posted = post(connection, drafts)
    assert all(isinstance(each, Posted) for each in posted), posted
    return [each for each in posted if isinstance(each, Posted)]


def test_round_amounts_depend_on_the_currencys_unit(connection: Connection) -> None:
    """1,000.00 is round, 1,000.01 is not, and 10.00 is round where tens are looked for."""
    post_all(connection, by_staff(100_000, TUESDAY), by_staff(100_001, TUESDAY))

    assert heard_on(connection)["round_amounts"] == 1
    assert "round_amounts" not in heard_on(connection, round_units="3000")


def test_one_amount_twice_on_a_partys_account_is_shown(connection: Connection) -> None:
    """Twice in a month, not once in each of two."""
    ann = wallet(str(PAYEE))
    post_all(connection, fund(777, ann), fund(888, ann), fund(888, ann, at=TUESDAY))

    assert heard_on(connection)["same_amount_twice"] == 1
    assert "same_amount_twice" not in heard_on(connection, same_within="day")


def test_who_does_it_for_himself_is_shown(connection: Connection) -> None:
    """The owner of a wallet who fills it by his own act; the rail that fills it is not."""
    himself = Actor(UUID(int=9), PrincipalKind.PERSON, party_id=PAYEE)
    bank, ann = account("custody.bank", "EUR"), wallet(str(PAYEE))
    legs = entry((bank, 500), (ann, -500))
    post_all(connection, draft(legs, actor=himself), fund(400, ann))

    assert heard_on(connection)["actor_is_beneficiary"] == 1


def test_a_reason_of_blanks_is_no_reason(connection: Connection) -> None:
    """Of staff that moved money; with a reason there is nothing to see."""
    post_all(connection, by_staff(1, TUESDAY, reason=" "), by_staff(2, TUESDAY, reason="fee"))

    assert heard_on(connection)["reason_missing"] == 1


def test_a_release_that_counts_before_its_funding_is_shown(connection: Connection) -> None:
    """Though the books knew the funding first, it counts a day later."""
    slot, payee = account("custody.escrow", "EUR", "s"), wallet("payee")
    bank = account("custody.bank", "EUR")
    post_all(
        connection,
        draft(entry((bank, 500), (slot, -500)), at=TUESDAY),
        draft(entry((slot, 300), (payee, -300)), at=TUESDAY - timedelta(days=1)),
    )

    heard = heard_on(connection)
    assert heard["release_before_funding"] == 1
    assert "released_more_than_was_held" not in heard


def test_a_reversal_is_quick_or_it_is_not(connection: Connection) -> None:
    """Within minutes of its original, by when the books knew both."""
    (posted,) = post_all(connection, by_staff(1_234, TUESDAY))
    command = Reverse(actor=STAFF, event_id=posted.event_id, reason="typed twice")
    (outcome,) = reverse(connection, [command], at=TUESDAY)

    assert outcome.is_done
    assert heard_on(connection)["quick_reversals"] == 1
    assert "quick_reversals" not in heard_on(connection, quick_minutes="0")


def test_nights_may_pass_midnight_or_not(connection: Connection) -> None:
    """From 20 to 5 and from 0 to 24 by the clock of the zone; 3 to 3 is no time at all."""
    post_all(connection, by_staff(10, TUESDAY))

    assert heard_on(connection, night_from="0", night_until="24")["at_night"] == 1
    assert "at_night" not in heard_on(connection, night_from="3", night_until="3")


def test_weekends_are_those_of_the_zone(connection: Connection) -> None:
    """By when the books knew it: what a Saturday is in Auckland is a Friday in Honolulu."""
    post_all(connection, by_staff(10, TUESDAY))
    connection.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")
    heard = [
        heard_on(connection, zone=zone).get("at_the_weekend", 0)
        for zone in ("UTC", "Pacific/Kiritimati", "Etc/GMT+12")
    ]
    known_at = connection.exec_driver_sql("SELECT max(recorded_at) FROM event").scalar_one()
    known_on = [
        known_at.astimezone(ZoneInfo(zone)).isoweekday() >= 6
        for zone in ("UTC", "Pacific/Kiritimati", "Etc/GMT+12")
    ]

    assert [bool(each) for each in heard] == known_on


def test_who_prepares_a_journal_for_his_own_party_is_shown(connection: Connection) -> None:
    """He acted for the party before; now he books money to it, and another approves."""
    at = clock.now(connection)
    (made,) = parties.create(connection, [CreateParty(actor=SECOND, kind=PartyKind.CLIENT)], at=at)
    party = UUID(made.facts["id"])
    for_it = Actor(STAFF.principal_id, PrincipalKind.PERSON, party_id=party)
    post_all(connection, draft(actor=for_it))
    legs = ((account("custody.bank", "EUR"), 99_900), (wallet(str(party)), -99_900))
    prepared = PrepareJournal(
        actor=STAFF,
        entries=(entry(*legs),),
        reason="found",
        attachment_sha256=bytes(32),
        effective_at=at,
        journal_id=JOURNAL,
    )
    limit = SetLimit(actor=SECOND, role=Role.APPROVER, currency="EUR", highest_minor=100_000)
    approval = DecideJournal(actor=SECOND, journal_id=JOURNAL)
    outcomes = [
        *journals.set_limits(connection, [limit], at=at),
        *journals.prepare(connection, [prepared], at=at),
        *journals.approve(connection, [approval], at=at),
    ]

    assert [each.code for each in outcomes] == ["done"] * 3
    heard = heard_on(connection)
    assert (heard["preparer_is_beneficiary"], heard["just_under_a_limit"]) == (1, 1)


def test_a_place_that_two_are_paid_to_is_shown(connection: Connection) -> None:
    """One token of two payees, whatever else they have."""
    at = clock.now(connection)
    made = parties.create(
        connection, [CreateParty(actor=SECOND, kind=PartyKind.FREELANCER)] * 2, at=at
    )
    outcomes = []
    for n, each in enumerate(made, 1):
        party = UUID(each.facts["id"])
        for m, token in enumerate(("iban-shared", f"iban-{n}")):
            named = AddMethod(
                actor=Actor(UUID(int=n), PrincipalKind.PERSON, party_id=party),
                party_id=party,
                method_id=UUID(int=600 + 10 * n + m),
                token=token,
            )
            outcomes += methods.add_methods(connection, [named], at=at)

    assert [each.code for each in outcomes] == ["done"] * 4
    assert heard_on(connection)["shared_payout_method"] == 1


def test_what_is_rare_is_shown(connection: Connection) -> None:
    """A kind of account with few lines, a pair that met once, and a hand that hardly ever acts."""
    post_all(connection, by_staff(10, TUESDAY), *(fund(5, wallet("ann")) for _ in range(4)))

    heard = heard_on(connection)
    assert heard["rare_accounts"] == 2
    assert (heard["unusual_pairs"], heard["rare_actors"]) == (1, 1)
    assert "rare_accounts" not in heard_on(connection, few_uses="0")


ALTERATIONS: Final = {
    "posted_into_a_closed_period": "UPDATE period SET state = 'closed' WHERE state = 'reopened'",
    "manual_journal_not_approved_before": "UPDATE journal SET decided_at = '2199-01-01'",
    "gaps_in_journal_numbers": "DELETE FROM seal WHERE journal_no = 10",
    "gaps_in_book_numbers": "UPDATE seal SET custody_entries = custody_entries + 1"
    " WHERE journal_no = 20",
    "in_ledger_not_in_log": "DELETE FROM event WHERE id = (SELECT min(event_id) FROM line)",
    "in_log_not_in_ledger": "DELETE FROM entry WHERE event_id = (SELECT max(event_id) FROM line)",
    "totals_differ_from_log": "DELETE FROM event WHERE id = (SELECT min(id) FROM event)",
    "log_differs_from_its_blocks": "DELETE FROM seal WHERE journal_no >"
    " (SELECT max(journal_no) - 3 FROM seal)",
    "unbalanced_entries": "UPDATE line SET amount_minor = amount_minor + 1"
    " WHERE (account_id, account_seq) = (SELECT account_id, account_seq FROM line LIMIT 1)",
    "accounts_differ_from_lines": "UPDATE account SET balance_minor = balance_minor - 1"
    " WHERE id = 1",
    "released_more_than_was_held": "UPDATE line SET balance_after_minor = 1 WHERE account_id ="
    " (SELECT min(id) FROM account WHERE kind = 'custody.escrow')",
}


def test_each_impossible_thing_has_an_alteration_below() -> None:
    """So that no such test is quiet because it can find nothing."""
    assert set(ALTERATIONS) == {each.name for each in list_tests() if each.is_impossible}


@pytest.mark.slow
@pytest.mark.parametrize("name", ALTERATIONS)
def test_what_cannot_be_is_found_when_somebody_makes_it_so(
    month: TestDatabase, tenant: Tenant, name: str
) -> None:
    """As a superuser behind every guard, then looked at; the books are put back by rolling back."""
    with altered(month, tenant, ALTERATIONS[name]) as connection:
        results = entry_tests.run(connection, {})

    broken = {each.test.name: each for each in results if each.is_broken}
    assert name in broken
    assert broken[name].examples


@contextmanager
def altered(database: TestDatabase, tenant: Tenant, statement: str) -> Iterator[Connection]:
    """A superuser's transaction in which something was altered; rolled back."""
    engine: Engine = create_engine(database.admin_url, poolclass=NullPool)
    with engine.connect() as connection, connection.begin() as running:
        connection.exec_driver_sql("SET session_replication_role = replica")
        connection.exec_driver_sql(
            "SELECT set_config('search_path', %s, true)", (tenant.search_path,)
        )
        connection.exec_driver_sql("ALTER TABLE account DROP CONSTRAINT account_within_bounds")
        connection.exec_driver_sql(statement)
        yield connection
        running.rollback()


@pytest.mark.slow
def test_the_command_tells_what_it_found(
    month: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """JSON with stable keys and exit 0; a bad value is one sentence and exit 2."""
    monkeypatch.setenv("DATABASE_URL", month.app_url)
    run = CliRunner().invoke(main, ["audit", "tests", "--json", "--from", "2026-01-01"])
    shown = CliRunner().invoke(main, ["audit", "tests", "--examples", "1"])
    printed = CliRunner().invoke(main, ["audit", "tests", "--sql"])
    wrong = CliRunner().invoke(main, ["audit", "tests", "--value", "zone=Nowhere"])

    told = json.loads(run.stdout)
    assert (run.exit_code, shown.exit_code, wrong.exit_code) == (0, 0, 2)
    assert set(told) == {"tenant", "clean", "values", "tests"}
    assert {"test", "kind", "means", "count", "examples"} == set(told["tests"][0])
    assert told["values"]["since"] == "2026-01-01T00:00:00+00:00"
    assert printed.stdout == entry_tests.as_sql()
    assert "LOOK AT back_dated: 3." in shown.stdout
    assert "Nowhere" in wrong.stderr
