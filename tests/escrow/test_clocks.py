"""Clocks that start under a hold, and the clock of a dormant slot that may not be settled yet."""

from datetime import timedelta

import pytest
from sqlalchemy import Connection

from escrow import service
from escrow.commands import SlotCommand
from escrow.model import Method, SlotState, Terms
from kernel import timers as clock_rows
from kernel.ids import new_id
from kernel.timers import Timer
from tests.escrow.stage import Stage, prove_books

SHORT_REVIEW = timedelta(hours=2)


def clock(stage: Stage, kind: str, subject: str = "") -> Timer | None:
    """The subject's clock of this kind; the slot's, where no subject is named."""
    found = clock_rows.list_of(stage.connection, [subject or f"slot:{stage.slot_id}"])
    return next((timer for timer in found if timer.kind == f"escrow.{kind}"), None)


def left(stage: Stage, kind: str, subject: str = "") -> timedelta | None:
    """What a stopped clock has left; None if it runs."""
    found = clock(stage, kind, subject)
    assert found is not None
    return found.paused_remaining


def funded_uncleared(stage: Stage) -> Stage:
    """Funded by a debit that the bank may still take back."""
    assert stage.propose().is_done
    assert stage.accept().is_done
    assert stage.start_funding(Method.BANK_DEBIT).is_done
    assert stage.hear(stage.result(cleared=False)).is_done
    return stage


def dormant_uncleared(stage: Stage) -> Stage:
    """The same, and silent until dormant."""
    funded_uncleared(stage).wait(days=90)
    assert stage.slot().state is SlotState.DORMANT
    return stage


@pytest.mark.parametrize("whose", ["slot", "contract", "client", "payee"])
def test_a_review_set_under_a_hold_stands_until_it_is_lifted(
    connection: Connection, whose: str
) -> None:
    """2.2, `auto_release`: nobody's time runs while his money is held, whoever is held."""
    stage = Stage(connection).ready()
    subject = {
        "slot": f"slot:{stage.slot_id}",
        "contract": f"contract:{stage.contract_id}",
        "client": f"party:{stage.client.party_id}",
        "payee": f"party:{stage.payee.party_id}",
    }[whose]
    stage.hold(subject)

    assert stage.submit().is_done

    assert left(stage, "auto_release") == timedelta(days=14)
    stage.wait(days=30)
    stage.lift(subject)
    stage.wait(days=13, hours=23)
    assert stage.slot().state is SlotState.SUBMITTED
    stage.wait(hours=1)
    assert stage.slot().state is SlotState.RELEASED
    prove_books(connection)


def test_a_short_review_set_under_a_hold_has_its_full_length(connection: Connection) -> None:
    """2.2, `auto_release`: 72 hours or the full length, if that is shorter."""
    stage = Stage(connection, terms=Terms(auto_release_after=SHORT_REVIEW)).ready()
    stage.hold(f"slot:{stage.slot_id}")
    assert stage.submit().is_done

    stage.lift(f"slot:{stage.slot_id}")

    review = clock(stage, "auto_release")
    assert review is not None
    assert review.due_at == stage.now + SHORT_REVIEW


def test_work_shown_again_under_a_hold_has_a_whole_review_left(connection: Connection) -> None:
    """E17: the resubmission restarts the review, and the hold stops it anew."""
    stage = Stage(connection).submitted()
    stage.wait(days=13)
    stage.hold(f"slot:{stage.slot_id}")
    assert left(stage, "auto_release") == timedelta(days=1)

    assert stage.submit("message:2").is_done

    assert left(stage, "auto_release") == timedelta(days=14)


def test_a_review_set_under_two_holds_runs_when_both_are_lifted(connection: Connection) -> None:
    """Holds may overlap: the last one to go lets the clock run."""
    stage = Stage(connection).ready()
    stage.hold(f"slot:{stage.slot_id}")
    stage.hold(f"contract:{stage.contract_id}")
    assert stage.submit().is_done

    stage.lift(f"slot:{stage.slot_id}")
    assert left(stage, "auto_release") == timedelta(days=14)
    stage.lift(f"contract:{stage.contract_id}")

    assert left(stage, "auto_release") is None


def test_a_clock_set_beside_a_held_slot_runs(connection: Connection) -> None:
    """Of two slots in one batch, a hold on the one stops no clock of the other."""
    stage = Stage(connection, amounts=(10_000, 5_000))
    held, free = stage.slot_ids
    assert stage.propose().is_done
    assert stage.accept().is_done
    assert stage.fund().is_done
    stage.slot_id = free
    assert stage.fund().is_done
    stage.hold(f"slot:{held}")

    asked = [SlotCommand(actor=stage.client, slot_id=each) for each in stage.slot_ids]
    outcomes = service.ask_refund(connection, asked, at=stage.now)

    assert all(outcome.is_done for outcome in outcomes)
    assert left(stage, "refund_reply", f"slot:{held}") == timedelta(days=7)
    assert left(stage, "refund_reply", f"slot:{free}") is None


def test_a_tip_that_comes_under_a_hold_stays_pending(connection: Connection) -> None:
    """The security hold of a tip, which has no slot, stands while a party is held."""
    stage = Stage(connection).ready()
    assert stage.tip(500).is_done
    stage.hold(f"party:{stage.payee.party_id}", "tax")

    assert stage.hear(stage.result()).is_done

    (subject,) = connection.exec_driver_sql("SELECT 'release:' || id FROM release").scalars()
    assert left(stage, "security_hold", subject) == timedelta(days=5)


def test_no_slot_falls_dormant_under_the_hold_it_was_funded_under(connection: Connection) -> None:
    """2.2, `dormant`: the 90 days begin when the hold is lifted."""
    stage = Stage(connection)
    subject = f"slot:{stage.slot_id}"
    assert stage.propose().is_done
    assert stage.accept().is_done
    stage.hold(subject)
    assert stage.fund().is_done
    stage.wait(days=200)
    assert stage.slot().notices == 0

    stage.lift(subject)
    stage.wait(days=90)

    assert stage.slot().state is SlotState.REFUNDED
    prove_books(connection)


def test_a_dormant_slot_is_refunded_the_day_after_its_money_cleared(
    connection: Connection,
) -> None:
    """Row 18: what has not cleared is looked at again each day."""
    stage = dormant_uncleared(Stage(connection))
    stage.wait(days=10)
    assert stage.slot().state is SlotState.DORMANT

    assert stage.hear(stage.result()).is_done
    stage.wait(days=1)

    assert stage.slot().state is SlotState.REFUNDED
    assert clock(stage, "dormant") is None
    prove_books(connection)


def test_a_dormant_slot_with_work_is_released_once_its_money_cleared(
    connection: Connection,
) -> None:
    """Row 18: what was submitted goes to the payee."""
    stage = funded_uncleared(Stage(connection))
    assert stage.submit().is_done
    stage.wait(days=100)
    assert stage.slot().state is SlotState.DORMANT

    assert stage.hear(stage.result()).is_done
    stage.wait(days=1)

    assert stage.slot().state is SlotState.RELEASED
    prove_books(connection)


def test_a_slot_that_fell_dormant_as_a_hold_came_waits_for_its_lifting(
    connection: Connection,
) -> None:
    """Row 18: a hold that stopped no clock still blocks the settling, and its lifting frees it."""
    stage = Stage(connection).ready()
    subject = f"slot:{stage.slot_id}"
    stage.wait(days=86)
    connection.exec_driver_sql(
        "INSERT INTO hold (id, subject, kind, reason, placed_by, placed_at)"
        " VALUES (%s, %s, 'compliance', 'a reason', %s, %s)",
        (new_id(), subject, new_id(), stage.now),
    )
    stage.wait(days=30)
    assert stage.slot().state is SlotState.DORMANT
    assert left(stage, "dormant") == timedelta()

    stage.lift(subject)
    stage.wait(seconds=1)

    assert stage.slot().state is SlotState.REFUNDED
    prove_books(connection)


def test_a_dormant_slot_that_is_held_is_settled_when_the_hold_is_lifted(
    connection: Connection,
) -> None:
    """Row 18: a hold on a dormant slot stops its daily look, and the lifting brings it back."""
    stage = dormant_uncleared(Stage(connection))
    subject = f"slot:{stage.slot_id}"
    stage.hold(subject)
    assert stage.hear(stage.result()).is_done
    stage.wait(days=30)
    assert stage.slot().state is SlotState.DORMANT

    stage.lift(subject)
    stage.wait(days=1)

    assert stage.slot().state is SlotState.REFUNDED
    prove_books(connection)


@pytest.mark.parametrize("verb", ["settle_dormant", "approve", "give_back"])
def test_a_dormant_slot_that_somebody_settles_keeps_no_clock(
    connection: Connection, verb: str
) -> None:
    """A clock that looks each day whether it can settle a slot ends with the slot."""
    stage = dormant_uncleared(Stage(connection))
    assert clock(stage, "dormant") is not None
    assert stage.hear(stage.result()).is_done
    actor = {"settle_dormant": stage.operator, "approve": stage.client, "give_back": stage.payee}

    assert stage.on_slot(verb, actor[verb]).is_done

    assert clock(stage, "dormant") is None


def test_above_the_limit_a_dormant_slot_waits_without_a_clock(connection: Connection) -> None:
    """Row 18: what only an operator may settle is not looked at each day."""
    stage = dormant_uncleared(Stage(connection, terms=Terms(dormant_limit_minor=9_999)))

    assert clock(stage, "dormant") is None
