"""Edge cases 27 to 30 of domain/escrow.md 2.11, limits, overlaps, and what protects hours."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from escrow import service
from escrow.commands import ContractCommand
from escrow.model_hourly import EntryState, Source, Unprotected, WeekState
from kernel.ids import new_id
from rails.model import RailOutcome
from tests.escrow.stage import prove_books
from tests.escrow.stage_hourly import MONDAY, HourlyStage, hours


@pytest.mark.parametrize(
    ("start", "length"),
    [(datetime(2026, 3, 23, 1, tzinfo=UTC), 167), (datetime(2026, 10, 19, 1, tzinfo=UTC), 169)],
)
def test_27_a_week_of_a_changed_clock_is_plain_instants(
    connection: Connection, start: datetime, length: int
) -> None:
    """Berlin's weeks of March and October last 167 and 169 hours; the limit stays 40 worked."""
    stage = HourlyStage(connection, week_zone="Europe/Berlin", now=start).ready()
    week = stage.week()

    assert week.ends_at - week.starts_at == timedelta(hours=length)

    long_days = [
        (
            week.starts_at + timedelta(days=day, hours=6),
            week.starts_at + timedelta(days=day, hours=16),
        )
        for day in range(1, 6)
    ]
    assert stage.log(*long_days).is_done
    stage.pass_to(week.invoice_at)
    assert [line.minutes for line in stage.lines()] == [2_400]
    assert stage.week(1).starts_at == week.ends_at


@pytest.mark.parametrize("zone", ["localtime", "Factory", "right/Europe/Berlin", "Mars/Olympus"])
def test_weeks_begin_in_a_zone_that_is_the_same_everywhere(
    connection: Connection, zone: str
) -> None:
    """What each machine has of its own, or counts with leap seconds, is pinned by no term."""
    assert HourlyStage(connection, week_zone=zone).propose().code == "escrow.bad_hours"


def test_28_an_entry_over_sunday_midnight_is_split(connection: Connection) -> None:
    """23:20 to 00:50 gives 40 minutes and 50, each with its week."""
    stage = HourlyStage(connection).ready()
    stage.pass_to(MONDAY + timedelta(days=7))

    logged = stage.log(
        (MONDAY + timedelta(days=7, minutes=-40), MONDAY + timedelta(days=7, minutes=50))
    )

    assert [each["minutes"] for each in logged.facts["entries"]] == [40, 50]
    assert [each.minutes for number in (0, 1) for each in stage.entries(number)] == [40, 50]
    assert stage.week(0).ends_at == stage.week(1).starts_at


def test_29_a_rate_raised_mid_week_makes_two_lines(connection: Connection) -> None:
    """The rate is pinned when an entry starts: 10 h at 40.00 and 5 h at 50.00."""
    stage = HourlyStage(connection).ready()
    assert stage.log(hours(0, 8, 18)).is_done
    assert stage.change(rate_minor=5_000).is_done

    stage.invoiced(hours(2, 8, 13))

    assert [(line.minutes, line.amount_minor) for line in stage.lines()] == [
        (300, 25_000),
        (600, 40_000),
    ]
    assert stage.week().amount_minor == 65_000


def test_30_hours_that_come_after_the_invoice_are_late(connection: Connection) -> None:
    """Tuesday's upload goes on the next invoice, unprotected, once the client agrees."""
    stage = HourlyStage(connection).ready().invoiced(hours(0, 8, 10))
    assert stage.hear().is_done
    stage.wait(days=1)

    logged = stage.log(hours(1, 8, 10))

    (late,) = logged.facts["entries"]
    assert (late["state"], late["unprotected_because"]) == ("late", Unprotected.LATE)
    assert stage.on_entry("approve_late", stage.payee, late["entry_id"]).code == "escrow.not_yours"
    assert stage.on_entry("approve_late", stage.client, late["entry_id"]).is_done
    assert stage.log(hours(9, 8, 9)).is_done
    stage.pass_to(MONDAY + timedelta(days=14, hours=12))
    assert [(x.is_late, x.minutes, x.protected_minutes) for x in stage.lines(1)] == [
        (False, 60, 60),
        (True, 120, 0),
    ]


def test_late_hours_wait_for_the_client(connection: Connection) -> None:
    """What the client has not approved is not billed."""
    stage = HourlyStage(connection).ready().invoiced(hours(0, 8, 10))
    assert stage.log(hours(1, 8, 10)).is_done

    stage.pass_to(MONDAY + timedelta(days=14, hours=12))

    assert stage.week(1).state is WeekState.CLOSED
    assert stage.lines(1) == []


def test_offline_hours_are_taken_until_the_invoice(connection: Connection) -> None:
    """After the week closed its entries are locked; a segment that was offline still comes in."""
    stage = HourlyStage(connection).ready()
    logged = stage.log(hours(0, 8, 10))
    stage.pass_to(MONDAY + timedelta(days=7, hours=6))
    entry_id = logged.facts["entries"][0]["entry_id"]

    assert stage.edit(entry_id, memo="other").code == "escrow.wrong_state"
    assert stage.on_entry("delete_time", stage.payee, entry_id).code == "escrow.wrong_state"
    assert stage.log(hours(1, 8, 10)).facts["entries"][0]["state"] == "logged"

    stage.pass_to(MONDAY + timedelta(days=7, hours=12))
    assert [line.minutes for line in stage.lines()] == [240]


def test_the_entry_that_crosses_the_limit_is_cut(connection: Connection) -> None:
    """In time order: 5 of 6 hours fit into 15; the rest is flagged and not billed."""
    stage = HourlyStage(connection, limit_minutes=900).ready()

    stage.invoiced(hours(3, 8, 14), hours(0, 8, 18), hours(4, 8, 9))

    assert [(e.billed_minutes, e.over_limit, e.is_protected) for e in stage.entries()] == [
        (600, False, True),
        (300, True, True),
        (0, True, False),
    ]
    assert stage.entries()[2].reason is Unprotected.OVER_LIMIT
    assert [line.minutes for line in stage.lines()] == [900]


def test_a_raised_limit_acts_at_once_and_a_lower_one_from_the_next_segment(
    connection: Connection,
) -> None:
    """What was logged under the old limit stays billable."""
    stage = HourlyStage(connection, limit_minutes=600).ready()
    assert stage.change(limit_minutes=900).is_done
    assert stage.week().limit_minutes == 900
    assert stage.log(hours(0, 8, 20)).is_done

    assert stage.change(limit_minutes=60).is_done

    assert stage.week().limit_minutes == 720
    stage.invoiced(hours(2, 8, 10))
    assert [line.minutes for line in stage.lines()] == [720]
    assert stage.week(1).limit_minutes == 60
    assert stage.change(stage.payee, limit_minutes=900).code == "escrow.not_yours"
    assert stage.change(rate_minor=3_000).code == "escrow.rate_only_rises"


def test_one_hour_is_not_billed_by_two_contracts(connection: Connection) -> None:
    """The payee's overlapping hours are refused under any term; adjoining ones are not."""
    stage = HourlyStage(connection).ready()
    other = HourlyStage(connection)
    other.payee = stage.payee
    other.ready()
    assert stage.log(hours(0, 8, 10)).is_done

    refused = other.log(hours(0, 9, 11))

    assert refused.code == "escrow.hours_overlap"
    assert other.entries() == []
    assert other.log(hours(0, 10, 11)).is_done
    assert stage.log(hours(0, 11, 12), hours(0, 11.5, 13)).code == "escrow.hours_overlap"


def test_the_database_refuses_an_hour_twice_and_a_change_of_what_is_locked(
    connection: Connection,
) -> None:
    """Overlaps and edits of locked entries are barred below Python."""
    stage = HourlyStage(connection).ready()
    assert stage.log(hours(0, 8, 10)).is_done
    columns = (
        "term_id, contract_id, payee_id, week_starts_at, week_id, started_at, ended_at, source,"
        " memo, activity, rate_minor, state, version, method_verified, identity_verified,"
        " payee_clear, logged_at, billed_minutes, over_limit, is_protected, reason, line_no"
    )

    nested = connection.begin_nested()
    with pytest.raises(IntegrityError, match="time_entry_no_hour_twice"):
        connection.exec_driver_sql(
            f"INSERT INTO time_entry (id, {columns}) SELECT %s, {columns} FROM time_entry",
            (new_id(),),
        )
    nested.rollback()
    stage.pass_to(MONDAY + timedelta(days=7))
    nested = connection.begin_nested()
    with pytest.raises(IntegrityError, match="keeps what it says"):
        connection.exec_driver_sql(
            "UPDATE time_entry SET ended_at = ended_at + interval '1 hour', version = version + 1"
        )
    nested.rollback()


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, Unprotected.NONE),
        ({"source": Source.MANUAL}, Unprotected.MANUAL),
        ({"memo": " "}, Unprotected.NO_MEMO),
        ({"activity": 9}, Unprotected.LOW_ACTIVITY),
    ],
)
def test_protection_is_told_when_logged_and_stored_at_the_lock(
    connection: Connection, fields: dict[str, object], reason: Unprotected
) -> None:
    """The failing reason is shown live, and kept with the entry."""
    stage = HourlyStage(connection).ready()

    logged = stage.log(hours(0, 8, 10), **fields)  # type: ignore[arg-type]

    (entry,) = logged.facts["entries"]
    assert (entry["protected"], entry["unprotected_because"]) == (not reason, reason)
    stage.pass_to(MONDAY + timedelta(days=7))
    (locked,) = stage.entries()
    assert (locked.state, locked.is_protected, locked.reason) == (
        EntryState.LOCKED,
        not reason,
        reason,
    )


def test_hours_of_an_unverified_payee_are_not_protected(connection: Connection) -> None:
    """Identity counts when the hours are logged."""
    stage = HourlyStage(connection).ready()
    connection.exec_driver_sql(
        "UPDATE party SET kyc_state = 'pending', version = version + 1 WHERE id = %s",
        (stage.payee.party_id,),
    )

    (entry,) = stage.log(hours(0, 8, 10)).facts["entries"]

    assert entry["unprotected_because"] == Unprotected.IDENTITY


def test_a_fraud_of_the_client_takes_no_protection_away(connection: Connection) -> None:
    """A hold on the client's party is no reason: it is the platform's risk."""
    stage = HourlyStage(connection).ready()
    connection.exec_driver_sql(
        "INSERT INTO hold (id, subject, kind, reason, placed_by, placed_at)"
        " VALUES (%s, %s, 'compliance', 'fraud', %s, %s)",
        (new_id(), f"party:{stage.client.party_id}", new_id(), stage.now),
    )

    (entry,) = stage.log(hours(0, 8, 10)).facts["entries"]

    assert entry["protected"] is True


def test_what_cannot_be_logged_is_refused_and_nothing_is_written(connection: Connection) -> None:
    """Seconds, hours backwards or too long, none at all, another's, and an unknown term."""
    stage = HourlyStage(connection).ready()
    stage.wait(hours=30)
    start, end = hours(0, 8, 10)
    client = stage.client

    codes = [
        stage.log((start, end + timedelta(seconds=1))).code,
        stage.log((end, start)).code,
        stage.log((start - timedelta(days=1), end)).code,
        stage.log().code,
        stage.log((start, end), actor=client).code,
        stage.log((start, end), term_id=new_id()).code,
    ]

    assert codes == [*["escrow.bad_entry"] * 4, "escrow.not_yours", "escrow.unknown_term"]
    assert stage.entries() == []


def test_no_hour_from_before_the_signature_is_billed(connection: Connection) -> None:
    """Signed on Wednesday at 12:00:30: hours begin at 12:00, logged or edited."""
    signed_at = MONDAY + timedelta(days=2, hours=12, seconds=30)
    stage = HourlyStage(connection, now=signed_at).ready()
    start = signed_at.replace(second=0)
    stage.wait(hours=2)

    before = stage.log((start - timedelta(minutes=1), start + timedelta(hours=1)))
    logged = stage.log((start, start + timedelta(hours=1)))

    assert before.code == "escrow.bad_entry"
    (entry,) = logged.facts["entries"]
    earlier = stage.edit(entry["entry_id"], started_at=start - timedelta(minutes=1))
    assert earlier.code == "escrow.bad_entry"
    assert [each.minutes for each in stage.entries()] == [60]


def test_an_entry_is_edited_and_deleted_until_the_lock(connection: Connection) -> None:
    """Shortened hours stay tracked, longer ones become manual; a deleted hour is free again."""
    stage = HourlyStage(connection).ready()
    entry_id = stage.log(hours(0, 8, 10)).facts["entries"][0]["entry_id"]
    start, end = hours(0, 8, 9)

    assert stage.edit(entry_id, ended_at=end).facts["source"] == "tracked"
    assert stage.edit(entry_id, ended_at=end + timedelta(minutes=30)).facts["source"] == "manual"
    assert stage.on_entry("delete_time", stage.client, entry_id).code == "escrow.not_yours"
    assert stage.on_entry("delete_time", stage.payee, entry_id).is_done
    assert stage.log((start, end)).is_done
    assert [each.minutes for each in stage.entries()] == [60]


def test_an_edit_brings_no_hours_that_could_not_be_logged(connection: Connection) -> None:
    """In a paused contract other times are refused, after its end later ones; a memo is not."""
    stage = HourlyStage(connection).ready()
    entry_id = stage.log(hours(0, 8, 9)).facts["entries"][0]["entry_id"]
    order = ContractCommand(actor=stage.client, contract_id=stage.contract_id)
    stage.pass_to(MONDAY + timedelta(hours=10))
    assert service.pause(connection, [order], at=stage.now)[0].is_done
    stage.wait(hours=12)

    longer = stage.edit(entry_id, ended_at=MONDAY + timedelta(hours=22))

    assert longer.code == "escrow.contract_not_running"
    assert stage.edit(entry_id, memo="other").is_done
    assert service.resume(connection, [order], at=stage.now)[0].is_done
    assert service.end(connection, [order], at=stage.now)[0].is_done
    stage.wait(hours=2)
    late_id = stage.log(hours(0, 9, 10)).facts["entries"][0]["entry_id"]
    assert stage.edit(late_id, ended_at=MONDAY + timedelta(hours=23)).code == "escrow.bad_entry"
    assert [each.minutes for each in stage.entries()] == [60, 60]


def test_an_edit_brings_no_hours_while_the_payment_fails(connection: Connection) -> None:
    """Logging rests from the failed charge on; an entry of before is not made to reach past it."""
    stage = HourlyStage(connection).ready()
    assert stage.log(hours(0, 8, 18)).is_done
    entry_id = stage.log(hours(7, 10, 11)).facts["entries"][0]["entry_id"]
    stage.pass_to(MONDAY + timedelta(days=7, hours=12))
    assert stage.hear(RailOutcome.REFUSED).is_done
    stage.wait(hours=8)

    longer = stage.edit(entry_id, ended_at=MONDAY + timedelta(days=7, hours=20))

    assert longer.code == "escrow.logging_paused"
    assert stage.edit(entry_id, ended_at=MONDAY + timedelta(days=7, hours=10.5)).is_done


def test_a_week_without_hours_closes_and_a_paused_contract_opens_none(
    connection: Connection,
) -> None:
    """Zero hours make no invoice; a paused contract logs nothing and opens no week."""
    stage = HourlyStage(connection).ready()
    connection.exec_driver_sql(
        "UPDATE contract SET state = 'paused', version = version + 1 WHERE id = %s",
        (stage.contract_id,),
    )
    assert stage.log(hours(0, 8, 10)).code == "escrow.contract_not_running"

    stage.pass_to(MONDAY + timedelta(days=8))

    assert [week.state for week in stage.weeks()] == [WeekState.CLOSED]
    prove_books(connection)


def test_two_terms_of_one_contract_have_weeks_of_their_own(connection: Connection) -> None:
    """A second hourly term is offered and accepted beside the first; both are invoiced at noon."""
    stage = HourlyStage(connection).ready()
    second = new_id()
    assert stage.add(second).is_done
    assert stage.accept(stage.payee, second).code == "escrow.other_party_must_sign"
    assert stage.accept(term_id=second).is_done
    assert stage.log(hours(0, 8, 10)).is_done
    assert stage.log(hours(0, 10, 13), term_id=second).is_done

    stage.pass_to(MONDAY + timedelta(days=7, hours=12))

    amounts = connection.exec_driver_sql(
        "SELECT amount_minor FROM slot WHERE contract_id = %s ORDER BY amount_minor",
        (stage.contract_id,),
    )
    assert list(amounts.scalars()) == [8_000, 12_000]
