"""Hours and retainers in every state; the list of scenes is in `tests.escrow.scenes`."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from escrow import service, timers
from escrow.commands import SlotCommand
from escrow.model_hourly import Source
from escrow.model_retainer import Every, Overage, RetainerKind, RetainerTerms
from kernel.principals import Actor
from rails.model import RailOutcome
from tests.escrow.scenes import Scene, of, scene
from tests.escrow.stage import person
from tests.escrow.stage_hourly import MONDAY, HourlyStage, hours
from tests.escrow.stage_retainer import Lease

APRIL: Final = date(2026, 4, 1)
ACCESS: Final = RetainerTerms(
    kind=RetainerKind.ACCESS_FEE, amount_minor=300_000, every=Every.MONTH, anchor_on=APRIL
)
DRAWN: Final = RetainerTerms(
    kind=RetainerKind.HOURS_DRAWDOWN,
    amount_minor=300_000,
    every=Every.MONTH,
    anchor_on=APRIL,
    hourly_minor=10_000,
)


@scene
def hours_logged(connection: Connection) -> Scene:
    stage = HourlyStage(connection).ready()
    assert stage.log(hours(0, 8, 12)).is_done
    return of(stage)


@scene
def hours_deleted(connection: Connection) -> Scene:
    stage = HourlyStage(connection).ready()
    logged = stage.log(hours(0, 8, 12), hours(1, 8, 9))
    assert logged.is_done
    entry = str(stage.entries()[0].id)
    assert stage.on_entry("delete_time", stage.payee, entry).is_done
    return of(stage)


@scene
def hours_locked(connection: Connection) -> Scene:
    stage = HourlyStage(connection).ready()
    stage.log(hours(0, 8, 12))
    stage.pass_to(MONDAY + timedelta(days=7, hours=1))
    return of(stage)


@scene
def hours_came_late(connection: Connection) -> Scene:
    stage = HourlyStage(connection).ready().invoiced()
    stage.pass_to(MONDAY + timedelta(days=8))
    assert stage.log(hours(1, 20, 22)).is_done
    return of(stage)


@scene
def late_hours_approved(connection: Connection) -> Scene:
    stage = HourlyStage(connection).ready().invoiced()
    stage.pass_to(MONDAY + timedelta(days=8))
    stage.log(hours(1, 20, 22))
    late = connection.exec_driver_sql("SELECT id FROM time_entry WHERE state = 'late'")
    assert stage.on_entry("approve_late", stage.client, late.scalar_one()).is_done
    return of(stage)


@scene
def week_without_hours(connection: Connection) -> Scene:
    stage = HourlyStage(connection).ready()
    stage.log(hours(0, 8, 12))
    entry = str(stage.entries()[0].id)
    stage.on_entry("delete_time", stage.payee, entry)
    stage.pass_to(MONDAY + timedelta(days=7, hours=13))
    return of(stage)


@scene
def week_invoiced(connection: Connection) -> Scene:
    return of(HourlyStage(connection).ready().invoiced())


@scene
def week_in_review(connection: Connection) -> Scene:
    stage = HourlyStage(connection).ready().invoiced()
    assert stage.hear().is_done
    return of(stage)


@scene
def week_released(connection: Connection) -> Scene:
    stage = HourlyStage(connection).ready().invoiced()
    stage.hear()
    stage.wait(days=6)
    return of(stage)


@scene
def week_given_back(connection: Connection) -> Scene:
    stage = HourlyStage(connection).ready().invoiced()
    stage.hear()
    _week_slot(stage, "give_back", stage.payee)
    stage.pass_to(stage.week().review_ends_at)
    return of(stage)


@scene
def week_not_charged(connection: Connection) -> Scene:
    stage = HourlyStage(connection).ready().invoiced()
    assert stage.hear(RailOutcome.REFUSED).is_done
    return of(stage)


@scene
def week_advanced(connection: Connection) -> Scene:
    return of(_advanced(connection))


@scene
def week_half_written_off(connection: Connection) -> Scene:
    stage = _advanced(connection)
    assert stage.write_off(stage.operator).is_done
    return of(stage, second=person(None, is_operator=True))


@scene
def week_written_off(connection: Connection) -> Scene:
    stage = _advanced(connection)
    stage.write_off(stage.operator)
    assert stage.write_off(person(None, is_operator=True)).is_done
    return of(stage)


@scene
def week_unpaid(connection: Connection) -> Scene:
    stage = HourlyStage(connection).ready()
    stage.log(hours(1, 8, 12), source=Source.MANUAL)
    stage.pass_to(MONDAY + timedelta(days=7, hours=12))
    stage.hear(RailOutcome.REFUSED)
    stage.pass_to(stage.week().review_ends_at)
    return of(stage)


@scene
def retainer_offered(connection: Connection) -> Scene:
    lease = Lease(connection, ACCESS)
    assert lease.offer().is_done
    return of(lease.stage)


@scene
def retainer_running(connection: Connection) -> Scene:
    return of(Lease(connection, ACCESS).agreed().stage)


@scene
def retainer_without_notice(connection: Connection) -> Scene:
    return of(Lease(connection, replace(ACCESS, notice_days=0)).agreed().stage)


@scene
def retainer_being_charged(connection: Connection) -> Scene:
    lease = Lease(connection, ACCESS).agreed()
    due = lease.next_due(datetime(2026, 3, 30, tzinfo=MONDAY.tzinfo))
    assert due is not None
    _ring(lease, due.due_at)
    return of(lease.stage)


@scene
def retainer_funded(connection: Connection) -> Scene:
    lease = Lease(connection, ACCESS).agreed()
    lease.until(date(2026, 3, 30))
    return of(lease.stage)


@scene
def retainer_active(connection: Connection) -> Scene:
    lease = Lease(connection, ACCESS).agreed()
    lease.until(date(2026, 4, 11))
    return of(lease.stage)


@scene
def retainer_active_and_held(connection: Connection) -> Scene:
    lease = Lease(connection, ACCESS).agreed()
    lease.until(date(2026, 4, 11))
    lease.stage.hold(f"contract:{lease.stage.contract_id}")
    return of(lease.stage)


@scene
def retainer_drawn(connection: Connection) -> Scene:
    lease = Lease(connection, DRAWN).agreed()
    lease.until(date(2026, 4, 11))
    assert lease.draw(1, 14 * 60).is_done
    return of(lease.stage)


@scene
def drawdown_approved(connection: Connection) -> Scene:
    lease = Lease(connection, DRAWN).agreed()
    lease.until(date(2026, 4, 11))
    lease.draw(1, 14 * 60)
    assert lease.on_drawdown("approve_drawdown", lease.stage.client).is_done
    return of(lease.stage)


@scene
def drawdown_rejected(connection: Connection) -> Scene:
    lease = Lease(connection, DRAWN).agreed()
    lease.until(date(2026, 4, 11))
    lease.draw(1, 14 * 60)
    assert lease.on_drawdown("reject_drawdown", lease.stage.client, reason="no").is_done
    return of(lease.stage)


@scene
def drawdown_withdrawn(connection: Connection) -> Scene:
    lease = Lease(connection, DRAWN).agreed()
    lease.until(date(2026, 4, 11))
    lease.draw(1, 14 * 60)
    assert lease.on_drawdown("withdraw_drawdown", lease.stage.payee).is_done
    return of(lease.stage)


@scene
def retainer_asked_to_pause(connection: Connection) -> Scene:
    lease = Lease(connection, ACCESS).agreed()
    lease.until(date(2026, 4, 11))
    assert lease.pause(lease.stage.client).is_done
    return of(lease.stage)


@scene
def retainer_paused(connection: Connection) -> Scene:
    lease = Lease(connection, ACCESS).agreed()
    lease.until(date(2026, 4, 11))
    lease.pause(lease.stage.client)
    assert lease.pause(lease.stage.payee).is_done
    return of(lease.stage)


@scene
def overage_drawn(connection: Connection) -> Scene:
    return of(_exceeding(connection).stage)


@scene
def overage_billed(connection: Connection) -> Scene:
    lease = _exceeding(connection)
    assert lease.on_drawdown(
        "approve_drawdown", lease.stage.client, drawdown_id=lease.over_id
    ).is_done
    return of(lease.stage)


@scene
def overage_lapsed(connection: Connection) -> Scene:
    lease = _exceeding(connection)
    lease.until(date(2026, 4, 20))
    return of(lease.stage)


@scene
def overage_unpaid(connection: Connection) -> Scene:
    lease = _exceeding(connection)
    lease.on_drawdown("approve_drawdown", lease.stage.client, drawdown_id=lease.over_id)
    lease.until(date(2026, 4, 20), pays=False)
    return of(lease.stage)


@scene
def overage_given_back(connection: Connection) -> Scene:
    lease = _exceeding(connection)
    lease.on_drawdown("approve_drawdown", lease.stage.client, drawdown_id=lease.over_id)
    _ring(lease, lease.stage.now)
    lease.pay()
    command = SlotCommand(actor=lease.stage.payee, slot_id=lease.over_slot())
    (given,) = service.give_back(connection, [command], at=lease.stage.now)
    assert given.is_done, given
    return of(lease.stage)


@scene
def retainer_closing(connection: Connection) -> Scene:
    lease = Lease(connection, DRAWN).agreed()
    lease.until(date(2026, 4, 29))
    lease.draw(1, 14 * 60)
    lease.until(date(2026, 5, 1))
    return of(lease.stage)


@scene
def retainer_settled(connection: Connection) -> Scene:
    lease = Lease(connection, ACCESS).agreed()
    lease.until(date(2026, 5, 2))
    return of(lease.stage)


@scene
def retainer_ending(connection: Connection) -> Scene:
    lease = Lease(connection, replace(ACCESS, notice_days=30)).agreed()
    lease.until(date(2026, 4, 2))
    assert lease.cancel(lease.stage.client).is_done
    return of(lease.stage)


@scene
def retainer_ended(connection: Connection) -> Scene:
    lease = Lease(connection, ACCESS).agreed()
    assert lease.cancel(lease.stage.operator).is_done
    return of(lease.stage)


@scene
def retainer_lapsed(connection: Connection) -> Scene:
    lease = Lease(connection, ACCESS).agreed()
    lease.until(date(2026, 5, 1), pays=False)
    return of(lease.stage)


def _exceeding(connection: Connection) -> Lease:
    """28 of 30 hours paid, and 4 more drawn: 2 of them exceed the period."""
    terms = replace(DRAWN, overage=Overage.APPROVE)
    lease = Lease(connection, terms).agreed()
    lease.until(date(2026, 4, 11))
    lease.draw(1, 28 * 60)
    lease.on_drawdown("approve_drawdown", lease.stage.client)
    assert lease.draw(1, 4 * 60).is_done
    return lease


def _advanced(connection: Connection) -> HourlyStage:
    stage = HourlyStage(connection).ready().invoiced()
    stage.pass_to(stage.week().review_ends_at + timedelta(days=10))
    return stage


def _week_slot(stage: HourlyStage, verb: str, actor: Actor) -> None:
    command = SlotCommand(actor=actor, slot_id=stage.slot().id)
    (outcome,) = getattr(service, verb)(stage.connection, [command], at=stage.now)
    assert outcome.is_done, outcome


def _ring(lease: Lease, until: datetime) -> None:
    due = lease.next_due(until)
    assert due is not None
    lease.stage.now = due.due_at
    timers.HANDLERS[due.kind](lease.connection, [due], due.due_at)
