"""Chargebacks of a retainer's period and of a worked week: they wait, and go on or lose it."""

from datetime import date, timedelta
from uuid import UUID

from sqlalchemy import Connection

from escrow.model_hourly import Collect, Unused, WeekState
from tests.escrow.stage import check_balances
from tests.escrow.stage_chargeback import Bank, prove
from tests.escrow.stage_hourly import MONDAY, HourlyStage, hours
from tests.escrow.stage_retainer import Lease
from tests.escrow.test_retainer_stories import FEE


def bank_of(lease: Lease, slot_id: UUID, amount: int) -> Bank:
    """The bank of the client who paid for a period."""
    stage = lease.stage
    stage.slot_id = slot_id
    stage.funding_id = lease.connection.exec_driver_sql(
        "SELECT id FROM funding WHERE slot_id = %s", (slot_id,)
    ).scalar_one()
    return Bank(stage, amount_minor=amount)


def test_a_periods_end_waits_for_the_bank(connection: Connection) -> None:
    """Its money is away at its end: not settled, not cancelled; won, it is earned a day later."""
    lease = Lease(connection, FEE).agreed()
    lease.until(date(2026, 4, 2))
    bank = bank_of(lease, lease.period(1).id, 300_000).opened(days=60)

    lease.until(date(2026, 5, 3))
    assert lease.period(1).state == "closing"
    assert lease.cancel(lease.stage.operator).code == "retainer.period_before_open"
    prove(lease.stage)
    assert bank.gives().is_done
    assert bank.says("won").is_done
    lease.until(date(2026, 5, 5))

    assert lease.period(1).state == "settled"
    check_balances(connection, "EUR", "commission 300.00")
    prove(lease.stage)


def test_a_periods_end_after_a_loss_earns_nothing(connection: Connection) -> None:
    """Lost: there is nothing to settle, and the period is over."""
    lease = Lease(connection, FEE).agreed()
    lease.until(date(2026, 4, 2))
    bank = bank_of(lease, lease.period(1).id, 300_000).opened(days=60)

    assert bank.says("lost").is_done
    lease.until(date(2026, 5, 3))

    assert lease.period(1).state == "settled"
    check_balances(connection, "EUR", "commission 0.00")
    prove(lease.stage)


def test_a_reviewed_week_waits_for_the_bank(connection: Connection) -> None:
    """Its money is away on Friday: not released; won, it is released when it is looked at again."""
    stage = HourlyStage(connection).ready().invoiced()
    assert stage.hear(fee_minor=1_225).is_done
    paid = stage.funding()
    bank = Bank(stage, amount_minor=41_200, funding_id=paid.id)  # type: ignore[arg-type]
    assert bank.says("needs_response").is_done
    assert bank.takes().is_done

    stage.pass_to(stage.week().review_ends_at + timedelta(days=2))
    assert stage.week().state is WeekState.IN_REVIEW
    assert bank.gives().is_done
    assert bank.says("won").is_done
    stage.pass_to(stage.now + timedelta(days=2))

    assert stage.week().state is WeekState.RELEASED
    check_balances(connection, "USD", "commission 40.00 · escrow 0.00")


def test_a_deposit_that_the_bank_has_taken_is_not_billed_from(connection: Connection) -> None:
    """On Monday its money is away: the invoice waits a day and a day; won, it is billed from it."""
    stage = HourlyStage(
        connection, limit_minutes=600, collect=Collect.PREFUND, unused=Unused.RETURN
    ).ready()
    stage.wait(minutes=1)
    assert stage.hear(fee_minor=1_225).is_done
    assert stage.log(hours(0, 8, 12)).is_done
    bank = Bank(stage, amount_minor=41_200, funding_id=stage.funding().id)  # type: ignore[arg-type]
    assert bank.says("needs_response").is_done
    assert bank.takes().is_done

    stage.pass_to(MONDAY + timedelta(days=9))
    assert stage.week().state is WeekState.PAYEE_REVIEW
    assert bank.gives().is_done
    assert bank.says("won").is_done
    stage.pass_to(stage.now + timedelta(days=2))

    assert [line.minutes for line in stage.lines()] == [240]
    assert stage.week().state in {WeekState.IN_REVIEW, WeekState.RELEASED}
