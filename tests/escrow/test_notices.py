"""No default without proof of notice, where the tenant's rules required it at acceptance."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson
import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from escrow import service_notice, store_clocks
from escrow.model import ReleaseRule, SlotState, Terms
from escrow.model_clocks import ClockRules, NoticePolicy, RecordNotice, SetClockRules
from escrow.timers import HANDLERS
from kernel import timers as clock_rows
from kernel.commands import Outcome
from kernel.ids import new_id
from kernel.principals import Actor
from tests.escrow.stage import START, Stage, prove_books

REQUIRED = ClockRules(notice=NoticePolicy.REQUIRED)


def set_rules(stage: Stage, rules: ClockRules = REQUIRED, actor: Actor | None = None) -> Outcome:
    command = SetClockRules(actor=actor or stage.operator, rules=rules)
    return service_notice.set_clock_rules(stage.connection, [command], at=stage.now)[0]


def tell(
    stage: Stage,
    kind: str = "escrow.auto_release",
    actor: Actor | None = None,
    *,
    told_at: datetime | None = None,
    **changes: Any,
) -> Outcome:
    """Record that the client was told by e-mail; fields may be others."""
    fields = {
        "subject": f"slot:{stage.slot_id}",
        "party_id": stage.client.party_id,
        "channel": "email",
        "proof": "delivery:1",
        **changes,
    }
    command = RecordNotice(
        actor=actor or stage.operator_key,
        notice_id=new_id(),
        kind=kind,
        told_at=told_at,
        **fields,
    )
    return service_notice.record_notice(stage.connection, [command], at=stage.now)[0]


def strict(connection: Connection, terms: Terms | None = None) -> Stage:
    """A deal that was accepted while proof was required, with work shown."""
    stage = Stage(connection, terms=terms or Terms())
    assert set_rules(stage).is_done
    return stage.submitted()


def events(connection: Connection, kind: str) -> Sequence[Any]:
    statement = "SELECT subject, detail FROM event WHERE kind = %s ORDER BY id"
    rows = connection.exec_driver_sql(statement, (kind,))
    return [(row.subject, orjson.loads(row.detail)) for row in rows]


def due_at(stage: Stage, kind: str = "escrow.auto_release") -> datetime:
    found = clock_rows.list_of(stage.connection, [f"slot:{stage.slot_id}"])
    return next(timer.due_at for timer in found if timer.kind == kind)


def test_without_rules_silence_releases_as_ever(connection: Connection) -> None:
    """`assumed` is the standard: the event in the log is the notice."""
    stage = Stage(connection).submitted()

    stage.wait(days=14)

    assert stage.slot().state is SlotState.RELEASED


def test_nobody_was_told_so_the_review_starts_anew(connection: Connection) -> None:
    """2.2, `auto_release`: a whole length more, and an alert in the log."""
    stage = strict(connection)

    stage.wait(days=14, hours=1)

    assert stage.slot().state is SlotState.SUBMITTED
    assert due_at(stage) == START + timedelta(days=28)
    ((subject, detail),) = events(connection, "clock.notice_missing")
    assert subject == f"slot:{stage.slot_id}"
    assert detail["party_id"] == str(stage.client.party_id)
    assert detail["due_at"] == (START + timedelta(days=28)).isoformat()
    prove_books(connection)


def test_told_in_time_silence_releases(connection: Connection) -> None:
    """With the proof the clock rings at its first end."""
    stage = strict(connection)
    stage.wait(days=3)
    assert tell(stage).is_done

    stage.wait(days=11)

    assert stage.slot().state is SlotState.RELEASED
    prove_books(connection)


def test_told_late_silence_releases_at_the_end_of_the_new_time(connection: Connection) -> None:
    """A notice in the second round counts for its end."""
    stage = strict(connection)
    stage.wait(days=20)
    assert stage.slot().state is SlotState.SUBMITTED
    assert tell(stage).is_done

    stage.wait(days=8)

    assert stage.slot().state is SlotState.RELEASED


def test_a_notice_of_an_earlier_submission_proves_nothing(connection: Connection) -> None:
    """E17: what was shown again must be told again."""
    stage = strict(connection)
    assert tell(stage).is_done
    stage.wait(days=13)
    assert stage.submit("message:2").is_done

    stage.wait(days=14, hours=1)

    assert stage.slot().state is SlotState.SUBMITTED


def test_a_refund_is_not_granted_by_a_payee_who_was_not_told(connection: Connection) -> None:
    """2.2, `refund_reply`: the same for the payee's silence."""
    stage = strict(connection)
    assert stage.on_slot("ask_refund", stage.client).is_done
    stage.wait(days=7, hours=1)
    assert stage.slot().state is SlotState.REFUND_REQUESTED
    told = tell(stage, "escrow.refund_reply", party_id=stage.payee.party_id)
    assert told.is_done

    stage.wait(days=7)

    assert stage.slot().state is SlotState.REFUNDED
    prove_books(connection)


def test_the_party_vouches_for_itself(connection: Connection) -> None:
    """Who confirms that he has seen it was told; nobody confirms for another."""
    stage = strict(connection)

    assert tell(stage, actor=stage.payee).code == "clock.not_yours"
    assert tell(stage, actor=stage.client, channel="seen").is_done
    stage.wait(days=14)

    assert stage.slot().state is SlotState.RELEASED


def test_the_rules_of_the_acceptance_stay(connection: Connection) -> None:
    """Pinned at acceptance: later rules neither bind nor free a running contract."""
    before = Stage(connection).submitted()
    before.wait(minutes=1)
    assert set_rules(before).is_done
    after = Stage(connection, now=before.now + timedelta(hours=1)).submitted()
    after.wait(minutes=1)
    assert set_rules(after, ClockRules()).is_done

    before.wait(days=14, hours=2)

    assert before.slot().state is SlotState.RELEASED
    assert after.slot().state is SlotState.SUBMITTED


def test_a_review_that_only_both_may_end_needs_no_notice_to_stand(connection: Connection) -> None:
    """With `client_only` there is no clock, and nothing to be told."""
    stage = strict(connection, Terms(release_rule=ReleaseRule.CLIENT_ONLY))

    stage.wait(days=30)

    assert stage.slot().state is SlotState.SUBMITTED
    assert not events(connection, "clock.notice_missing")


def test_many_at_once_part_with_those_who_were_told(connection: Connection) -> None:
    """Of one chunk of the scanner the untold start anew, and the others ring in the next round."""
    told, untold = strict(connection), Stage(connection).submitted()
    assert tell(told).is_done
    at = START + timedelta(days=14)
    due = clock_rows.list_due(connection, at=at, limit=10, grace=timedelta())
    handler = HANDLERS["escrow.auto_release"]

    first = handler(connection, due, at)
    again = clock_rows.list_due(connection, at=at, limit=10, grace=timedelta())
    second = handler(connection, again, at)

    assert (first, second) == (1, 1)
    assert told.slot().state is SlotState.RELEASED
    assert untold.slot().state is SlotState.SUBMITTED


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"kind": "escrow.no_such_clock"}, "clock.unknown"),
        ({"kind": "escrow.week_review_end"}, "clock.unknown"),
        ({"subject": "slot:not-an-id"}, "clock.unknown"),
        ({"subject": f"slot:{new_id()}"}, "clock.unknown"),
        ({"subject": f"elephant:{new_id()}"}, "clock.unknown"),
        ({"party_id": new_id()}, "clock.unknown"),
        ({"channel": " "}, "clock.bad_notice"),
        ({"proof": ""}, "clock.bad_notice"),
        ({"proof": "x" * 501}, "escrow.bad_text"),
        ({"told_at": START + timedelta(days=1)}, "clock.bad_notice"),
    ],
)
def test_what_is_no_notice_is_refused(
    connection: Connection, changes: dict[str, Any], code: str
) -> None:
    """Nothing is written of a notice that names no clock, no party of it, or no proof."""
    stage = strict(connection)
    kind = changes.pop("kind", "escrow.auto_release")

    outcome = tell(stage, kind, **changes)

    assert outcome.code == code
    assert not store_clocks.list_notices(connection, [f"slot:{stage.slot_id}"])
    assert not events(connection, "clock.notice")


@pytest.mark.parametrize(
    ("rules", "code"),
    [
        (ClockRules(outage_after=timedelta(seconds=59)), "clock.bad_rules"),
        (ClockRules(courtesy=timedelta(days=8)), "clock.bad_rules"),
        (ClockRules(drain_per_s=0), "clock.bad_rules"),
    ],
)
def test_rules_out_of_range_are_refused(
    connection: Connection, rules: ClockRules, code: str
) -> None:
    """What clocks could not keep is not written."""
    stage = Stage(connection)

    assert set_rules(stage, rules).code == code
    assert store_clocks.find_rules(connection) == ClockRules()


def test_only_an_operator_in_person_sets_rules(connection: Connection) -> None:
    """Neither a party nor a program says how clocks run."""
    stage = Stage(connection)

    assert set_rules(stage, actor=stage.client).code == "clock.not_yours"
    assert set_rules(stage, actor=stage.operator_key).code == "clock.in_person_only"


@pytest.mark.parametrize("table", ["clock_rule", "clock_notice", "timer_outage"])
def test_what_was_said_stands(
    connection: Connection, owner_connection: Connection, table: str
) -> None:
    """Rules, notices and outages are lists that only grow, for the program and for the owner."""
    for each in (connection, owner_connection):
        with pytest.raises(DBAPIError), each.begin_nested():
            each.exec_driver_sql(f"DELETE FROM {table}")


def test_a_rule_never_comes_before_another(connection: Connection) -> None:
    """The database keeps the list in order, or a policy could be slipped in afterwards."""
    stage = Stage(connection)
    assert set_rules(stage).is_done

    with pytest.raises(DBAPIError, match="does not follow"), connection.begin_nested():
        store_clocks.add_rules(
            connection, ClockRules(), by=new_id(), at=stage.now - timedelta(days=1)
        )
