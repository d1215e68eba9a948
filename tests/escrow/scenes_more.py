"""Chargebacks, disputed lines, running time and term amendments in every state."""

from dataclasses import replace
from datetime import date, timedelta

from sqlalchemy import Connection

from escrow import service, service_hybrid
from escrow.model_hybrid import ProposeTermAmendment, TermAmendmentCommand
from escrow.model_runs import RunCommand, StartTime
from kernel.ids import new_id
from kernel.principals import Actor
from tests.escrow.scenes import Scene, of, scene
from tests.escrow.scenes_terms import ACCESS
from tests.escrow.stage import Stage, person
from tests.escrow.stage_chargeback import Bank
from tests.escrow.stage_hourly import MONDAY, HourlyStage
from tests.escrow.stage_lines import LineStage
from tests.escrow.stage_retainer import Lease


def _bank(connection: Connection) -> Bank:
    return Bank(Stage(connection).submitted())


@scene
def bank_asks(connection: Connection) -> Scene:
    bank = _bank(connection)
    assert bank.says("warning").is_done
    return of(bank.stage)


@scene
def bank_asked_and_is_content(connection: Connection) -> Scene:
    bank = _bank(connection)
    bank.says("warning")
    assert bank.says("closed").is_done
    return of(bank.stage)


@scene
def bank_waits_for_an_answer(connection: Connection) -> Scene:
    return of(_bank(connection).opened().stage)


@scene
def bank_waits_and_the_payee_was_told(connection: Connection) -> Scene:
    bank = _bank(connection).opened()
    assert bank.tell().is_done
    return of(bank.stage)


@scene
def bank_waits_and_the_payee_answered(connection: Connection) -> Scene:
    bank = _bank(connection).opened()
    assert bank.tell().is_done
    assert bank.file(bank.stage.payee).is_done
    return of(bank.stage)


@scene
def bank_waited_too_long(connection: Connection) -> Scene:
    bank = _bank(connection).opened(days=1)
    bank.tell()
    bank.file(bank.stage.payee)
    bank.stage.now += timedelta(days=2)
    return of(bank.stage)


@scene
def bank_reviews(connection: Connection) -> Scene:
    bank = _bank(connection).opened()
    assert bank.says("under_review").is_done
    return of(bank.stage)


@scene
def bank_gave_back(connection: Connection) -> Scene:
    bank = _bank(connection).opened()
    assert bank.says("won").is_done
    assert bank.gives().is_done
    return of(bank.stage)


@scene
def bank_kept_it(connection: Connection) -> Scene:
    bank = _bank(connection).opened()
    assert bank.says("lost").is_done
    return of(bank.stage)


@scene
def paid_back_without_a_case(connection: Connection) -> Scene:
    bank = _bank(connection).opened()
    assert bank.says("prevented").is_done
    return of(bank.stage)


@scene
def bank_hears_an_appeal(connection: Connection) -> Scene:
    bank = _bank(connection).opened()
    bank.says("lost")
    assert bank.says("appeal_open").is_done
    return of(bank.stage)


@scene
def bank_reviews_an_appeal(connection: Connection) -> Scene:
    bank = _bank(connection).opened()
    bank.says("lost")
    assert bank.says("appeal_under_review").is_done
    return of(bank.stage)


@scene
def appeal_won(connection: Connection) -> Scene:
    bank = _bank(connection).opened()
    bank.says("lost")
    assert bank.says("appeal_won").is_done
    assert bank.gives().is_done
    return of(bank.stage)


@scene
def appeal_lost(connection: Connection) -> Scene:
    bank = _bank(connection).opened()
    bank.says("lost")
    assert bank.says("appeal_lost").is_done
    return of(bank.stage)


@scene
def charged_back_after_release(connection: Connection) -> Scene:
    stage = Stage(connection).submitted()
    assert stage.approve().is_done
    return of(Bank(stage).opened().stage)


@scene
def line_disputed(connection: Connection) -> Scene:
    stage = LineStage(connection).in_review()
    stage.dispute(2)
    return of(stage)


@scene
def line_served(connection: Connection) -> Scene:
    stage = LineStage(connection).in_review()
    assert stage.serve(stage.dispute(2)).is_done
    return of(stage)


@scene
def line_contested(connection: Connection) -> Scene:
    stage = LineStage(connection).in_review()
    line = stage.dispute(2)
    assert stage.on_line("reply_line", stage.payee, line, "I worked").is_done
    return of(stage)


@scene
def line_to_be_refunded(connection: Connection) -> Scene:
    stage = LineStage(connection).in_review()
    line = stage.dispute(2)
    stage.on_line("reply_line", stage.payee, line, "I worked")
    assert stage.propose_refund(line, 2_500, stage.operator).is_done
    return of(stage, second=person(None, is_operator=True))


@scene
def line_to_be_upheld(connection: Connection) -> Scene:
    stage = LineStage(connection).in_review()
    line = stage.dispute(2)
    stage.on_line("reply_line", stage.payee, line, "I worked")
    assert stage.propose_refund(line, 0, stage.operator).is_done
    return of(stage, second=person(None, is_operator=True))


@scene
def line_refunded(connection: Connection) -> Scene:
    stage = LineStage(connection).in_review()
    assert stage.on_line("concede_line", stage.payee, stage.dispute(2)).is_done
    return of(stage)


@scene
def line_upheld(connection: Connection) -> Scene:
    stage = LineStage(connection).in_review()
    assert stage.on_line("withdraw_line", stage.client, stage.dispute(2)).is_done
    return of(stage)


@scene
def week_over_but_for_a_line(connection: Connection) -> Scene:
    stage = LineStage(connection).in_review()
    stage.dispute(2)
    stage.to_friday()
    return of(stage)


@scene
def time_runs(connection: Connection) -> Scene:
    return of(_running(connection)[0])


@scene
def time_stopped(connection: Connection) -> Scene:
    stage, command = _running(connection)
    assert service.stop_time(connection, [command], at=stage.now)[0].is_done
    return of(stage)


@scene
def time_discarded(connection: Connection) -> Scene:
    stage, command = _running(connection)
    assert service.discard_time(connection, [command], at=stage.now)[0].is_done
    return of(stage)


@scene
def end_of_a_term_offered(connection: Connection) -> Scene:
    return of(_offered(connection)[0].stage)


@scene
def end_of_a_term_signed(connection: Connection) -> Scene:
    return _answered(connection, "sign_term_amendment", "client")


@scene
def end_of_a_term_rejected(connection: Connection) -> Scene:
    return _answered(connection, "reject_term_amendment", "client")


@scene
def end_of_a_term_withdrawn(connection: Connection) -> Scene:
    return _answered(connection, "withdraw_term_amendment", "payee")


def _running(connection: Connection) -> tuple[HourlyStage, RunCommand]:
    stage = HourlyStage(connection).ready()
    stage.pass_to(MONDAY + timedelta(hours=8))
    run_id = new_id()
    start = StartTime(actor=stage.payee, term_id=stage.term_id, run_id=run_id, memo="work")
    assert service.start_time(connection, [start], at=stage.now)[0].is_done
    stage.pass_to(MONDAY + timedelta(hours=10))
    return stage, RunCommand(actor=stage.payee, run_id=run_id)


def _offered(connection: Connection) -> tuple[Lease, TermAmendmentCommand]:
    lease = Lease(connection, replace(ACCESS)).agreed()
    lease.until(date(2026, 4, 11))
    command = ProposeTermAmendment(
        actor=lease.stage.payee, amendment_id=new_id(), term_id=lease.retainer_id
    )
    (made,) = service_hybrid.propose_term_amendment(connection, [command], at=lease.stage.now)
    assert made.is_done, made
    return lease, TermAmendmentCommand(
        actor=lease.stage.client, amendment_id=command.amendment_id, reason="agreed"
    )


def _answered(connection: Connection, verb: str, who: str) -> Scene:
    lease, command = _offered(connection)
    actor: Actor = getattr(lease.stage, who)
    given = replace(command, actor=actor)
    (outcome,) = getattr(service_hybrid, verb)(connection, [given], at=lease.stage.now)
    assert outcome.is_done, outcome
    return of(lease.stage)
