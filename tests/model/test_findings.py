"""What comparing the services with domain/escrow.md has found, each told as it was found."""

from datetime import timedelta

from sqlalchemy import Connection

from escrow.model import Method, SlotState
from kernel import timers
from rails.model import RailOutcome
from tests.escrow.stage import Stage


def test_a_review_that_starts_under_a_hold_has_72_hours_after_it(connection: Connection) -> None:
    """Any hold stops `auto_release`; when it is lifted the client has 72 hours left (2.2)."""
    stage = Stage(connection).ready()
    subject = f"slot:{stage.slot_id}"
    stage.hold(subject)
    assert stage.submit().is_done
    stage.wait(days=13, hours=23)

    stage.lift(subject)

    (review,) = [
        timer
        for timer in timers.list_of(connection, [subject])
        if timer.kind == "escrow.auto_release"
    ]
    assert review.due_at - stage.now >= timedelta(hours=72)


def test_a_dormant_slot_is_settled_once_nothing_speaks_against_it(connection: Connection) -> None:
    """Row 18: dormant before its money cleared, then held, it is refunded after both."""
    stage = Stage(connection, method=Method.BANK_DEBIT)
    subject = f"slot:{stage.slot_id}"
    assert stage.propose().is_done
    assert stage.accept().is_done
    assert stage.start_funding().is_done
    assert stage.hear(stage.result(cleared=False)).is_done
    stage.wait(days=91)
    assert stage.slot().state is SlotState.DORMANT
    stage.hold(subject)
    assert stage.hear(stage.result(RailOutcome.DONE)).is_done
    stage.wait(days=30)
    assert stage.slot().state is SlotState.DORMANT

    stage.lift(subject)
    stage.wait(days=1)

    assert stage.slot().state is SlotState.REFUNDED
