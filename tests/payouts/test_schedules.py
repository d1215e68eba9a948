"""Payout schedules: the days on which they fall due, what counts from when, and their runs."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import errors as pg
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError

from kernel import timers
from kernel.ids import new_id
from kernel.principals import SYSTEM, Actor, PrincipalKind
from payouts import service_schedules, store_runs
from payouts.commands_runs import ApproveLimit, PrepareLimit, SetSchedule
from payouts.model_runs import ItemState, Run, RunKind, RunState
from payouts.model_schedules import Cadence, Rhythm, Schedule
from payouts.refusals_runs import BadSchedule
from payouts.rules_schedules import (
    check_rhythm,
    consequence,
    falls_due,
    in_force,
    is_day,
    next_on,
    timeline,
)
from tests.payouts.builders import DAY, NOON, OPERATOR, give, new_method, new_payee, payee_actor

OTHER = Actor(UUID(int=10), PrincipalKind.PERSON, is_operator=True)
LATER = NOON + 10 * DAY
"""A Thursday, 12 March 2026; methods have cooled by then."""

DAILY = Rhythm(cadence=Cadence.DAILY)
MANUAL = Rhythm(cadence=Cadence.MANUAL)
FRIDAYS = Rhythm(cadence=Cadence.WEEKLY, weekday=5)


def monthly(day: int) -> Rhythm:
    return Rhythm(cadence=Cadence.MONTHLY, day=day)


def setting(rhythm: Rhythm, on: date, minimum_minor: int = 0) -> Schedule:
    """A setting of somebody, from a day on."""
    return Schedule(
        id=new_id(),
        party_id=None,
        currency="EUR",
        valid_from_on=on,
        rhythm=rhythm,
        minimum_minor=minimum_minor,
        method_id=None,
        set_by=OPERATOR.principal_id,
        set_at=NOON,
    )


def days_of(rhythm: Rhythm, *, after: date, count: int) -> list[date]:
    """The next days of a rhythm."""
    line, found, on = [setting(rhythm, date(2020, 1, 1))], [], after
    for _ in range(count):
        following = next_on(line, on)
        assert following is not None
        found.append(following)
        on = following
    return found


def test_the_thirty_first_is_the_last_of_a_shorter_month_and_comes_back() -> None:
    """Clamped from its anchor: 31 January, 28 February, 31 March, 30 April; 29 in a leap year."""
    assert days_of(monthly(31), after=date(2026, 1, 30), count=4) == [
        *(date(2026, 1, 31), date(2026, 2, 28), date(2026, 3, 31), date(2026, 4, 30)),
    ]
    assert days_of(monthly(30), after=date(2028, 2, 1), count=2) == [
        *(date(2028, 2, 29), date(2028, 3, 30)),
    ]


def test_twice_a_month_is_paid_once_where_both_days_are_the_last() -> None:
    """On the 30th and 31st February has one day, not two; the 15th and 31st have two."""
    late = Rhythm(cadence=Cadence.TWICE_A_MONTH, day=30, second_day=31)
    usual = Rhythm(cadence=Cadence.TWICE_A_MONTH, day=15, second_day=31)

    assert days_of(late, after=date(2026, 2, 1), count=3) == [
        *(date(2026, 2, 28), date(2026, 3, 30), date(2026, 3, 31)),
    ]
    assert days_of(usual, after=date(2026, 2, 1), count=3) == [
        *(date(2026, 2, 15), date(2026, 2, 28), date(2026, 3, 15)),
    ]


def test_summer_time_neither_doubles_nor_drops_a_day() -> None:
    """Days are those of UTC: a week over either change of clocks has seven, each once."""
    for sunday in (date(2026, 3, 29), date(2026, 10, 25), date(2026, 3, 8), date(2026, 11, 1)):
        week = days_of(DAILY, after=sunday - timedelta(days=4), count=7)
        assert week == [sunday + timedelta(days=n) for n in range(-3, 4)]
        sundays = days_of(
            Rhythm(cadence=Cadence.WEEKLY, weekday=7), after=sunday - timedelta(days=1), count=2
        )
        assert sundays == [sunday, sunday + timedelta(days=7)]


@given(
    rhythm=st.one_of(
        st.builds(monthly, st.integers(1, 31)),
        st.builds(lambda day: Rhythm(cadence=Cadence.WEEKLY, weekday=day), st.integers(1, 7)),
        st.builds(
            lambda day, more: Rhythm(
                cadence=Cadence.TWICE_A_MONTH, day=day, second_day=min(31, day + more)
            ),
            st.integers(1, 30),
            st.integers(1, 30),
        ),
    ),
    after=st.dates(date(2020, 1, 1), date(2100, 1, 1)),
)
def test_the_next_day_is_the_first_that_is_due(rhythm: Rhythm, after: date) -> None:
    """No due day lies between a day and its next one, and a run over both finds it."""
    line = [setting(rhythm, date(2019, 1, 1))]

    following = next_on(line, after)

    assert following is not None
    assert is_day(rhythm, following)
    between = (following - after).days - 1
    assert not any(is_day(rhythm, after + timedelta(days=n)) for n in range(1, between + 1))
    assert falls_due(line, from_on=after + timedelta(days=1), to_on=following)
    assert not between or not falls_due(
        line, from_on=after + timedelta(days=1), to_on=following - timedelta(days=1)
    )


def test_a_setting_counts_from_its_day_until_the_next() -> None:
    """The default counts until one's own first setting does; of two for one day the later."""
    march = date(2026, 3, 1)
    default = [setting(DAILY, march)]
    own = [setting(FRIDAYS, march + timedelta(days=9)), setting(MANUAL, march + timedelta(days=20))]
    line = timeline(own=own, default=default)

    assert in_force(line, march - timedelta(days=1)) is None
    assert next_on(line, date(2026, 2, 1)) == march
    assert next_on(line, date(2026, 3, 8)) == date(2026, 3, 9)
    assert next_on(line, date(2026, 3, 9)) == date(2026, 3, 13)
    assert next_on(line, date(2026, 3, 20)) is None
    replaced = [*own, setting(DAILY, own[1].valid_from_on)]
    assert next_on(timeline(own=replaced, default=default), date(2026, 3, 20)) == date(2026, 3, 21)


@pytest.mark.parametrize(
    ("rhythm", "field"),
    [
        (Rhythm(cadence=Cadence.WEEKLY), "weekday"),
        (Rhythm(cadence=Cadence.DAILY, weekday=1), "weekday"),
        (Rhythm(cadence=Cadence.WEEKLY, weekday=8), "weekday"),
        (Rhythm(cadence=Cadence.MONTHLY), "day"),
        (Rhythm(cadence=Cadence.MONTHLY, day=32), "day"),
        (Rhythm(cadence=Cadence.TWICE_A_MONTH, day=15), "second_day"),
        (Rhythm(cadence=Cadence.TWICE_A_MONTH, day=15, second_day=15), "second_day"),
    ],
)
def test_days_fit_their_cadence(rhythm: Rhythm, field: str) -> None:
    """A cadence has its own days and no others."""
    with pytest.raises(BadSchedule) as refusal:
        check_rhythm(rhythm)

    assert refusal.value.facts["field"] == field


@pytest.mark.parametrize(
    ("amount_minor", "currency", "told"),
    [
        (12_000, "EUR", "On Friday 2026-11-27, about 120.00 EUR if it stays as it is."),
        (12_000, "JPY", "On Friday 2026-11-27, about 12000 JPY if it stays as it is."),
        (12_000, "KWD", "On Friday 2026-11-27, about 12.000 KWD if it stays as it is."),
        (0, "EUR", "nothing is available."),
        (999, "EUR", "9.99 EUR are less than 10.00 EUR."),
    ],
)
def test_the_consequence_is_one_sentence(amount_minor: int, currency: str, told: str) -> None:
    """The day, the amount in the currency's own decimals, or why nothing is paid."""
    said = consequence(
        date(2026, 11, 27), amount_minor=amount_minor, minimum_minor=1_000, currency=currency
    )

    assert said.endswith(told)


def wish(
    payee_id: UUID | None, rhythm: Rhythm = DAILY, *, actor: Actor = OPERATOR, currency: str = "EUR"
) -> SetSchedule:
    return SetSchedule(
        actor=actor,
        schedule_id=new_id(),
        payee_id=payee_id,
        currency=currency,
        valid_from_on=LATER.date(),
        rhythm=rhythm,
    )


def set_one(connection: Connection, command: SetSchedule) -> str:
    (outcome,) = service_schedules.set_schedules(connection, [command], at=LATER)
    return outcome.code


def look(connection: Connection, at: datetime, currency: str = "EUR") -> list[Run]:
    """Fire the timer as the scanner does; all runs there are by then."""
    found = timers.list_due(connection, at=at, limit=10, grace=timedelta(0))
    due = [each for each in found if each.subject == f"payout_schedules:{currency}"]
    service_schedules.look(connection, due, at)
    return store_runs.list_runs(connection, after=None, limit=10)


def ready(connection: Connection, amount_minor: int = 12_000, currency: str = "EUR") -> UUID:
    payee_id = new_payee(connection)
    new_method(connection, payee_id)
    give(connection, payee_id, amount_minor, currency)
    return payee_id


def test_only_the_payee_and_operators_set_his_schedule(connection: Connection) -> None:
    """The default of all is an operator's; nobody sets another's, or names another's method."""
    payee, other = ready(connection), ready(connection)
    strange = new_method(connection, other, "elsewhere")
    yesterday = replace(wish(payee), valid_from_on=LATER.date() - timedelta(days=1))

    codes = [
        set_one(connection, command)
        for command in (
            wish(payee, actor=payee_actor(payee)),
            wish(payee, actor=payee_actor(other)),
            wish(None, actor=payee_actor(payee)),
            wish(None),
            wish(new_id()),
            yesterday,
            replace(wish(payee), method_id=strange),
            wish(payee, currency="XXQ"),
        )
    ]

    assert codes == [
        *("done", "payouts.not_yours", "payouts.operator_only", "done"),
        *("payouts.unknown_payee", "payouts.schedule_too_early"),
        *("payouts.unknown_method", "money.unknown_currency"),
    ]


@pytest.mark.parametrize("currency", ["EUR", "JPY", "KWD"])
def test_a_day_that_has_come_prepares_a_run(connection: Connection, currency: str) -> None:
    """Whose day it is is planned, who has less than his minimum waits, others are not in it."""
    due, poor, friday = (ready(connection, currency=currency) for _ in range(3))
    set_one(connection, wish(due, currency=currency))
    set_one(connection, replace(wish(poor, currency=currency), minimum_minor=12_001))
    set_one(connection, wish(friday, replace(FRIDAYS, weekday=6), currency=currency))

    (run,) = look(connection, LATER + DAY, currency)

    items = store_runs.list_items(connection, run.id, limit=10)
    assert (run.kind, run.state, run.prepared_by) == (
        *(RunKind.SCHEDULED, RunState.PREPARED, SYSTEM.principal_id),
    )
    assert run.cut_off_on == (LATER + DAY).date()
    assert {item.payee_id: item.reason for item in items} == {
        due: "",
        poor: "payouts.below_minimum",
    }


def test_a_clock_that_jumped_makes_one_run_for_all_its_days(connection: Connection) -> None:
    """Forty days at once: the monthly payee of a day between is in the one run, and it goes on."""
    payee = ready(connection)
    set_one(connection, wish(payee, monthly(31)))

    (run,) = look(connection, LATER + 40 * DAY)

    assert (run.due_from_on, run.cut_off_on) == (date(2026, 3, 13), date(2026, 4, 21))
    assert run.planned_count == 1
    (timer,) = timers.list_of(connection, ["payout_schedules:EUR"])
    assert timer.due_at == datetime(2026, 4, 22, tzinfo=UTC)


def test_a_scheduled_run_starts_alone_only_within_a_limit_of_two_people(
    connection: Connection,
) -> None:
    """Proposed, refused to its own author, approved by another; above it a person is needed."""
    payee = ready(connection)
    set_one(connection, wish(payee))
    limit = PrepareLimit(actor=OPERATOR, limit_id=new_id(), currency="EUR", limit_minor=12_000)
    service_schedules.prepare_limits(connection, [limit], at=LATER)
    approvals = [
        ApproveLimit(actor=actor, limit_id=limit.limit_id)
        for actor in (OPERATOR, payee_actor(payee), OTHER, OTHER)
    ]

    codes = [
        service_schedules.approve_limits(connection, [each], at=LATER)[0].code for each in approvals
    ]
    (within,) = look(connection, LATER + DAY)
    ready_more = ready(connection, 12_001)
    set_one(connection, replace(wish(ready_more), valid_from_on=(LATER + 2 * DAY).date()))
    above = look(connection, LATER + 2 * DAY)[0]

    assert codes == [
        *("payouts.run_takes_two", "payouts.operator_only", "done", "payouts.unknown_run_limit"),
    ]
    assert (within.state, within.approved_by) == (RunState.EXECUTING, None)
    assert above.state is RunState.PREPARED
    planned = store_runs.list_items(connection, above.id, limit=10, state="planned")
    assert [item.payee_id for item in planned] == [ready_more]
    assert all(item.state is ItemState.PLANNED for item in planned)


def test_a_limit_is_never_approved_by_its_author_in_the_database(
    owner_connection: Connection,
) -> None:
    """Four eyes are a CHECK, for the owner too; an approved limit stands."""
    limit = PrepareLimit(actor=OPERATOR, limit_id=new_id(), currency="EUR", limit_minor=1)
    service_schedules.prepare_limits(owner_connection, [limit], at=LATER)
    statement = "UPDATE payout_run_limit SET approved_by = prepared_by, approved_at = now()"

    with pytest.raises(IntegrityError) as refusal, owner_connection.begin_nested():
        owner_connection.exec_driver_sql(statement)
    approval = ApproveLimit(actor=OTHER, limit_id=limit.limit_id)
    service_schedules.approve_limits(owner_connection, [approval], at=LATER)
    with pytest.raises(IntegrityError) as again, owner_connection.begin_nested():
        owner_connection.exec_driver_sql("UPDATE payout_run_limit SET limit_minor = 10")

    assert isinstance(refusal.value.orig, pg.CheckViolation)
    assert refusal.value.orig.diag.constraint_name == "payout_run_limit_takes_two"
    assert isinstance(again.value.orig, pg.CheckViolation)
    assert again.value.orig.diag.constraint_name == "payout_run_limit_stands"


def test_settings_are_never_changed(connection: Connection, owner_connection: Connection) -> None:
    """A setting stands: the program has no right to change it, and the owner is refused."""
    change = "UPDATE payout_schedule SET minimum_minor = 1"

    for each in (connection, owner_connection):
        with pytest.raises(DBAPIError), each.begin_nested():
            each.exec_driver_sql(change)
    set_one(connection, wish(None))


def test_a_payee_is_told_his_next_day_and_its_worth(connection: Connection) -> None:
    """What counts for him now, the next day after today, and the sentence."""
    payee = ready(connection, 12_000, "EUR")
    set_one(connection, wish(payee, FRIDAYS))

    (shown,) = service_schedules.show(connection, payee, at=LATER)

    assert shown["next_run_on"] == "2026-03-13"
    assert shown["available"] == {"amount": "120.00", "currency": "EUR"}
    assert shown["consequence"] == "On Friday 2026-03-13, about 120.00 EUR if it stays as it is."
