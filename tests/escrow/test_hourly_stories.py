"""Worked weeks told from log to pay: charged, released, advanced, paid late, never paid."""

from datetime import timedelta

from sqlalchemy import Connection

from escrow import service
from escrow.commands import Fund, SlotCommand
from escrow.model import Method, SlotState
from escrow.model_hourly import Source, WeekState
from kernel.ids import new_id
from rails.model import RailOutcome
from tests.escrow.stage import check_balances, person, prove_books
from tests.escrow.stage_hourly import MONDAY, HourlyStage, hours


def test_a_week_is_invoiced_charged_reviewed_and_released(connection: Connection) -> None:
    """P26 and P07 with the figures of 2.10: 400.00 of hours, 412.00 paid, 12.25 to the rail."""
    stage = HourlyStage(connection).ready().invoiced()
    assert stage.week().state is WeekState.INVOICED
    assert stage.slot().state is SlotState.FUNDING
    assert stage.funding().asked_minor == 41_200

    assert stage.hear(fee_minor=1_225).is_done

    assert stage.week().state is WeekState.IN_REVIEW
    check_balances(
        connection,
        "USD",
        "processor pending 399.75 · due from platform 12.25 · escrow 400.00"
        " · due to platform 12.00 · deferred fees 12.00 · expense.processor 12.25",
    )
    stage.wait(days=5)
    assert stage.week().state is WeekState.RELEASED
    assert stage.slot().state is SlotState.RELEASED
    check_balances(
        connection,
        "USD",
        "escrow 0.00 · earned pending 360.00 · deferred fees 0.00"
        " · revenue.commission 40.00 · revenue.client_fee 12.00",
    )
    stage.wait(days=5)
    check_balances(connection, "USD", "earned pending 0.00 · earned available 360.00")
    prove_books(connection)


def test_protected_hours_are_advanced_and_the_client_pays_later(connection: Connection) -> None:
    """P28, then P29: the card fails, the payee has his 360.00, the claim of 412.00 is paid."""
    stage = HourlyStage(connection).ready().invoiced()
    assert stage.hear(RailOutcome.REFUSED).is_done
    assert stage.week().state is WeekState.CHARGE_FAILED

    stage.pass_to(stage.week().review_ends_at)

    assert stage.week().state is WeekState.ADVANCED
    check_balances(
        connection,
        "USD",
        "due from platform 360.00 · earned pending 360.00 · claim on client 412.00"
        " · due to custody 360.00 · revenue.commission 40.00 · revenue.client_fee 12.00",
    )
    command = Fund(actor=stage.client, slot_id=stage.slot().id, funding_id=new_id())
    assert service.fund(connection, [command], at=stage.now)[0].is_done
    assert stage.hear(fee_minor=1_225).is_done
    assert stage.week().state is WeekState.RELEASED
    assert stage.slot().state is SlotState.RELEASED
    check_balances(
        connection,
        "USD",
        "processor pending 399.75 · due from platform 372.25 · due to platform 412.00"
        " · claim on client 0.00 · due to custody 372.25 · expense.processor 12.25"
        " · escrow 0.00 · deferred fees 0.00 · earned pending 360.00",
    )
    stage.wait(days=7)
    check_balances(connection, "USD", "earned available 360.00 · earned pending 0.00")
    prove_books(connection)


def test_a_client_who_never_pays_is_written_off_by_two(connection: Connection) -> None:
    """P30: one operator proposes, another approves; the protection costs 360.00, the fees none."""
    stage = HourlyStage(connection).ready().invoiced()
    stage.pass_to(stage.week().review_ends_at + timedelta(days=10))
    assert stage.week().state is WeekState.ADVANCED
    other = person(None, is_operator=True)

    assert stage.write_off(stage.client).code == "escrow.not_yours"
    assert stage.write_off(stage.operator).facts["write_off"] == "proposed"
    assert stage.write_off(stage.operator).code == "escrow.other_party_must_sign"
    assert stage.write_off(other).is_done

    assert stage.week().state is WeekState.WRITTEN_OFF
    assert stage.slot().state is SlotState.CANCELLED
    check_balances(
        connection,
        "USD",
        "expense.protection 360.00 · revenue.commission 0.00 · revenue.client_fee 0.00"
        " · claim on client 0.00 · earned available 360.00 · escrow 0.00",
    )
    prove_books(connection)


def test_of_a_week_only_the_protected_hours_are_advanced(connection: Connection) -> None:
    """6 tracked hours are advanced, 4 by hand are not; paid late, those are released as well."""
    stage = HourlyStage(connection).ready()
    assert stage.log(hours(1, 8, 12), source=Source.MANUAL).is_done
    stage.invoiced(hours(2, 8, 14))
    stage.pass_to(stage.week().review_ends_at)
    assert stage.week().advanced_minor == 24_000
    check_balances(connection, "USD", "earned pending 216.00 · claim on client 247.20")

    command = Fund(actor=stage.client, slot_id=stage.slot().id, funding_id=new_id())
    assert service.fund(connection, [command], at=stage.now)[0].is_done
    assert stage.hear().is_done

    assert stage.slot().released_minor == 40_000
    check_balances(
        connection,
        "USD",
        "escrow 0.00 · claim on client 0.00 · earned pending 360.00 · deferred fees 0.00"
        " · revenue.commission 40.00 · revenue.client_fee 12.00",
    )
    prove_books(connection)


def test_unprotected_hours_stay_unpaid_without_a_posting(connection: Connection) -> None:
    """Nobody paid and nothing is protected: the week says so; paid late, it is released."""
    stage = HourlyStage(connection).ready()
    assert stage.log(hours(0, 8, 18), memo="").is_done
    stage.pass_to(MONDAY + timedelta(days=7, hours=12))
    stage.pass_to(stage.week().review_ends_at)
    assert stage.week().state is WeekState.UNPAID
    check_balances(connection, "USD", "earned pending 0.00 · claim on client 0.00")

    command = Fund(actor=stage.client, slot_id=stage.slot().id, funding_id=new_id())
    assert service.fund(connection, [command], at=stage.now)[0].is_done
    assert stage.hear().is_done

    assert stage.week().state is WeekState.RELEASED
    check_balances(connection, "USD", "earned pending 360.00 · escrow 0.00")
    prove_books(connection)


def test_a_failed_charge_is_tried_again_and_takes_protection_meanwhile(
    connection: Connection,
) -> None:
    """A day later the card is charged once more; hours logged in between are not protected."""
    stage = HourlyStage(connection).ready().invoiced()
    first = stage.funding().id
    assert stage.hear(RailOutcome.REFUSED).is_done
    (entry,) = stage.log(hours(7, 11, 12)).facts["entries"]
    assert entry["unprotected_because"] == "client_method_not_verified"
    assert stage.log(hours(7, 12, 13)).code == "escrow.logging_paused"

    stage.pass_to(MONDAY + timedelta(days=8, hours=12))

    assert stage.funding().id != first
    assert stage.hear().is_done
    assert stage.week().state is WeekState.IN_REVIEW
    (entry,) = stage.log(hours(8, 14, 15)).facts["entries"]
    assert entry["protected"] is True


def test_a_week_paid_from_the_wallet_needs_no_rail(connection: Connection) -> None:
    """P05: the wallet is charged at noon; one that is empty is a failed charge."""
    stage = HourlyStage(connection, method=Method.WALLET).ready().invoiced()

    assert (stage.week().state, stage.week().code) == (
        WeekState.CHARGE_FAILED,
        "ledger.insufficient_funds",
    )


def test_uncleared_money_and_holds_keep_a_week_from_release(connection: Connection) -> None:
    """Friday night passes; the week is looked at again each day, and released once it may be."""
    stage = HourlyStage(connection).ready().invoiced()
    assert stage.hear(cleared=False).is_done

    stage.pass_to(stage.week().review_ends_at + timedelta(hours=1))

    assert stage.week().state is WeekState.IN_REVIEW
    assert stage.hear().is_done
    stage.wait(days=1)
    assert stage.week().state is WeekState.RELEASED
    prove_books(connection)


def test_hours_given_back_by_the_payee_end_the_week_as_refunded(connection: Connection) -> None:
    """The week's slot is refunded like any other, fee included; the week follows on Friday."""
    stage = HourlyStage(connection).ready().invoiced()
    assert stage.hear().is_done
    command = SlotCommand(actor=stage.payee, slot_id=stage.slot().id)
    assert service.give_back(connection, [command], at=stage.now)[0].is_done

    stage.pass_to(stage.week().review_ends_at)

    assert stage.week().state is WeekState.REFUNDED
    check_balances(connection, "USD", "refund in transit 412.00 · escrow 0.00")
    prove_books(connection)
