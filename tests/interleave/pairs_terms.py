"""Pairs on hours and retainers: entries, weeks, charges, periods, drawdowns, ends."""

from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection

from escrow import service
from escrow.commands import ContractCommand, Fund, SlotCommand
from escrow.commands_hourly import Interval, LogTime
from escrow.model_retainer import Every, RetainerKind, RetainerTerms
from kernel.commands import Outcome
from kernel.ids import new_id
from rails.model import RailOutcome
from tests.escrow.stage import person
from tests.escrow.stage_hourly import MONDAY, HourlyStage, hours
from tests.escrow.stage_retainer import Lease
from tests.interleave.scenes import Pair, rings

_WEEK: Final = timedelta(days=7)


def logged(connection: Connection) -> HourlyStage:
    """Hours of the first week."""
    stage = HourlyStage(connection).ready()
    outcome = stage.log(hours(0, 8, 18))
    stage.entry_id = outcome.facts["entries"][0]["entry_id"]  # type: ignore[attr-defined]
    stage.pass_to(MONDAY + timedelta(days=3))
    return stage


def week_over(connection: Connection) -> HourlyStage:
    stage = logged(connection)
    stage.now = MONDAY + _WEEK
    return stage


def locked(connection: Connection) -> HourlyStage:
    """The week is closed and its invoice is due."""
    stage = logged(connection)
    stage.pass_to(MONDAY + _WEEK)
    stage.now = stage.week().invoice_at
    return stage


def invoiced(connection: Connection) -> HourlyStage:
    return logged(connection).invoiced(hours(1, 8, 9))


def in_review(connection: Connection) -> HourlyStage:
    stage = invoiced(connection)
    assert stage.hear(fee_minor=1_225).is_done
    stage.now = stage.week().review_ends_at
    return stage


def declined(connection: Connection) -> HourlyStage:
    """The charge failed, and the review is over."""
    stage = invoiced(connection)
    assert stage.hear(RailOutcome.REFUSED).is_done
    stage.now = stage.week().review_ends_at
    return stage


def retried(connection: Connection) -> HourlyStage:
    """The charge failed, and it is time to try again."""
    stage = invoiced(connection)
    assert stage.hear(RailOutcome.REFUSED).is_done
    stage.now += timedelta(days=1)
    return stage


def advanced(connection: Connection) -> HourlyStage:
    stage = invoiced(connection)
    assert stage.hear(RailOutcome.REFUSED).is_done
    stage.pass_to(stage.week().review_ends_at)
    return stage


def given_up(connection: Connection) -> HourlyStage:
    stage = advanced(connection)
    assert stage.write_off(stage.operator).is_done
    return stage


def edit(stage: Any) -> Outcome:
    return stage.edit(stage.entry_id, memo="another")  # type: ignore[no-any-return]


def delete(stage: Any) -> Outcome:
    return stage.on_entry("delete_time", stage.payee, stage.entry_id)  # type: ignore[no-any-return]


def log_more(stage: HourlyStage) -> Outcome:
    return log(stage, *hours(2, 8, 10))


def log_across(stage: HourlyStage) -> Outcome:
    return log(stage, *hours(2, 9, 11))


def log(stage: HourlyStage, started_at: datetime, ended_at: datetime) -> Outcome:
    """Log hours, and let no clock ring before."""
    entry = Interval(entry_id=new_id(), started_at=started_at, ended_at=ended_at, memo="work")
    command = LogTime(actor=stage.payee, term_id=stage.term_id, entries=(entry,))
    return service.log_time(stage.connection, [command], at=stage.now)[0]


def raise_rate(stage: HourlyStage) -> Outcome:
    return stage.change(rate_minor=5_000)


def lower_limit(stage: HourlyStage) -> Outcome:
    return stage.change(limit_minutes=60)


def paid(stage: HourlyStage) -> Outcome:
    return stage.hear(fee_minor=1_225)


def pay_by_hand(stage: HourlyStage) -> Outcome:
    command = Fund(actor=stage.client, slot_id=stage.slot().id, funding_id=new_id())
    return service.fund(stage.connection, [command], at=stage.now)[0]


def give_week_back(stage: HourlyStage) -> Outcome:
    command = SlotCommand(actor=stage.payee, slot_id=stage.slot().id)
    return service.give_back(stage.connection, [command], at=stage.now)[0]


def write_off(stage: HourlyStage) -> Outcome:
    return stage.write_off(person(None, is_operator=True))


def pause_hours(stage: HourlyStage) -> Outcome:
    command = ContractCommand(actor=stage.client, contract_id=stage.contract_id)
    return service.pause(stage.connection, [command], at=stage.now)[0]


_HOURS: Final = RetainerTerms(
    kind=RetainerKind.HOURS_DRAWDOWN,
    amount_minor=300_000,
    every=Every.MONTH,
    anchor_on=date(2026, 4, 1),
    hourly_minor=10_000,
)


def running(connection: Connection) -> Lease:
    """April is paid and has begun."""
    lease = Lease(connection, _HOURS).agreed()
    lease.until(date(2026, 4, 11))
    return lease


def drawn(connection: Connection) -> Lease:
    lease = running(connection)
    assert lease.draw(1, 14 * 60).is_done
    return lease


def drawn_late(connection: Connection) -> Lease:
    """The client's time to look at a drawdown is over."""
    return at(drawn(connection), datetime(2026, 4, 19, tzinfo=UTC))


def month_over(connection: Connection) -> Lease:
    """April is over and something was drawn in its last days."""
    lease = Lease(connection, _HOURS).agreed()
    lease.until(date(2026, 4, 29))
    assert lease.draw(1, 14 * 60).is_done
    return at(lease, datetime(2026, 5, 1, tzinfo=UTC))


def charging(connection: Connection) -> Lease:
    """The charge for April is due, or under way."""
    return at(Lease(connection, _HOURS).agreed(), datetime(2026, 3, 29, tzinfo=UTC))


def offered(connection: Connection) -> Lease:
    lease = Lease(connection, _HOURS)
    assert lease.offer().is_done
    return lease


def asked_to_end(connection: Connection) -> Lease:
    lease = running(connection)
    assert lease.cancel(lease.stage.client).is_done
    return lease


def at(lease: Lease, moment: datetime) -> Lease:
    lease.stage.now = moment
    return lease


def draw(lease: Lease) -> Outcome:
    return lease.draw(1, 20 * 60)


def approve(lease: Lease) -> Outcome:
    return lease.on_drawdown("approve_drawdown", lease.stage.client)


def reject(lease: Lease) -> Outcome:
    return lease.on_drawdown("reject_drawdown", lease.stage.client, reason="not done")


def withdraw(lease: Lease) -> Outcome:
    return lease.on_drawdown("withdraw_drawdown", lease.stage.payee)


def accept(lease: Lease) -> Outcome:
    return lease.on_retainer("accept_retainer", lease.stage.client)


def decline(lease: Lease) -> Outcome:
    return lease.cancel(lease.stage.payee)


def cancel(lease: Lease) -> Outcome:
    return lease.cancel(lease.stage.operator)


def agree_to_end(lease: Lease) -> Outcome:
    return lease.cancel(lease.stage.payee)


def give_period_back(lease: Lease) -> Outcome:
    lease.stage.slot_id = lease.period(1).id
    return lease.stage.on_slot("give_back", lease.stage.payee)


def pause(lease: Lease) -> Outcome:
    return lease.stage.on_contract("pause", lease.stage.client)


_RING_PERIOD: Final = rings("escrow.period_open", "escrow.period_start", "escrow.period_close")
_RING_DRAW: Final = rings("escrow.drawdown_review")

PAIRS: Final = (
    Pair("entry edited / entry deleted", logged, edit, delete),
    Pair("week close / entry edit", week_over, rings("escrow.week_close"), edit),
    Pair("week close / entry deleted", week_over, rings("escrow.week_close"), delete),
    Pair("week close / hours logged", week_over, rings("escrow.week_close"), log_more),
    Pair("week close / rate raised", week_over, rings("escrow.week_close"), raise_rate),
    Pair("week invoice / hours logged", locked, rings("escrow.week_invoice"), log_more),
    Pair("week invoice / limit lowered", locked, rings("escrow.week_invoice"), lower_limit),
    Pair("week invoice / pause", locked, rings("escrow.week_invoice"), pause_hours),
    Pair("hours / hours across", logged, log_more, log_across),
    Pair("limit lowered / hours", logged, lower_limit, log_more),
    Pair("week paid / paid twice", invoiced, paid, paid),
    Pair("review end / given back", in_review, rings("escrow.week_review_end"), give_week_back),
    Pair("advance / client pays", declined, rings("escrow.week_review_end"), pay_by_hand),
    Pair("charge again / client pays", retried, rings("escrow.week_charge"), pay_by_hand),
    Pair("week written off / client pays", given_up, write_off, pay_by_hand),
    Pair("week written off / itself", given_up, write_off, write_off),
    Pair("retainer accepted / declined", offered, accept, decline),
    Pair("draw / draw", running, draw, draw),
    Pair("draw / cancel retainer", running, draw, cancel),
    Pair("draw / period given back", running, draw, give_period_back),
    Pair("approve drawdown / reject", drawn, approve, reject),
    Pair("approve drawdown / withdraw", drawn, approve, withdraw),
    Pair("approve drawdown / cancel", drawn, approve, cancel),
    Pair("drawdown clock / reject", drawn_late, _RING_DRAW, reject),
    Pair("drawdown clock / approve", drawn_late, _RING_DRAW, approve),
    Pair("period close / drawdown approve", month_over, _RING_PERIOD, approve),
    Pair("period close / cancel", month_over, _RING_PERIOD, cancel),
    Pair("period open / cancel", charging, _RING_PERIOD, cancel),
    Pair("period open / pause", charging, _RING_PERIOD, pause),
    Pair("retainer ended / agreed to end", asked_to_end, cancel, agree_to_end),
)
