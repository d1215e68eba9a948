"""Pairs on what came beside hours and retainers: lines, time that runs, deposits, pauses, terms."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection

from engine.api.doors import DOORS
from escrow import service_hourly_run
from escrow.commands import ContractCommand
from escrow.model import Terms
from escrow.model_hourly import Collect
from escrow.model_retainer import RetainerTerms
from escrow.model_runs import RunCommand, StartTime
from kernel.commands import Outcome
from kernel.ids import new_id
from tests.escrow.stage import person
from tests.escrow.stage_hourly import MONDAY, HourlyStage
from tests.escrow.stage_hybrid import Trio
from tests.escrow.stage_lines import LineStage
from tests.interleave import pairs_terms as terms
from tests.interleave.scenes import Act, Pair, rings


def reviewed(connection: Connection) -> LineStage:
    return LineStage(connection).in_review()


def disputed(connection: Connection) -> LineStage:
    """The second line is disputed, and the payee was told."""
    stage = reviewed(connection)
    stage.dispute_id = stage.dispute(2)  # type: ignore[attr-defined]
    assert stage.serve(stage.dispute_id).is_done  # type: ignore[attr-defined]
    return stage


def unanswered(connection: Connection) -> LineStage:
    """His three days are over; nobody has looked yet."""
    stage = disputed(connection)
    stage.now += timedelta(days=3)
    return stage


def contested(connection: Connection) -> LineStage:
    """He stands by his hours, and one operator has said what shall go back."""
    stage: Any = disputed(connection)
    assert stage.on_line("reply_line", stage.payee, stage.dispute_id, "as logged").is_done
    assert stage.propose_refund(stage.dispute_id, 4_000, stage.operator).is_done
    return stage  # type: ignore[no-any-return]


def friday(connection: Connection) -> LineStage:
    """The review of a week with a disputed line is over."""
    stage = disputed(connection)
    stage.now = stage.week().review_ends_at
    return stage


def last_minute(connection: Connection) -> LineStage:
    stage = reviewed(connection)
    stage.now = stage.week().review_ends_at
    return stage


def on_line(verb: str, who: str) -> Act:
    return lambda stage: stage.on_line(verb, getattr(stage, who), stage.dispute_id, "a reason")


def dispute_second(stage: LineStage) -> Outcome:
    return stage.try_dispute(2)


def approve_line(stage: Any) -> Outcome:
    second = person(None, is_operator=True)
    return stage.on_line("approve_line", second, stage.dispute_id)  # type: ignore[no-any-return]


def propose_other(stage: Any) -> Outcome:
    return stage.propose_refund(  # type: ignore[no-any-return]
        stage.dispute_id, 1_000, person(None, is_operator=True)
    )


def running(connection: Connection) -> HourlyStage:
    """The payee works; it is Tuesday."""
    stage = HourlyStage(connection).ready()
    stage.pass_to(MONDAY + timedelta(days=1, hours=9))
    stage.run_id = new_id()  # type: ignore[attr-defined]
    run_id = stage.run_id  # type: ignore[attr-defined]
    command = StartTime(actor=stage.payee, term_id=stage.term_id, run_id=run_id)
    assert service_hourly_run.start_time(connection, [command], at=stage.now)[0].is_done
    stage.now += timedelta(hours=2)
    return stage


def resting(connection: Connection) -> HourlyStage:
    stage = HourlyStage(connection).ready()
    stage.pass_to(MONDAY + timedelta(days=1, hours=9))
    return stage


def start(stage: HourlyStage) -> Outcome:
    command = StartTime(actor=stage.payee, term_id=stage.term_id, run_id=new_id())
    return service_hourly_run.start_time(stage.connection, [command], at=stage.now)[0]


def end_run(verb: str) -> Act:
    def act(stage: Any) -> Outcome:
        command = RunCommand(actor=stage.payee, run_id=stage.run_id, memo="work")
        run = getattr(service_hourly_run, verb)
        return run(stage.connection, [command], at=stage.now)[0]  # type: ignore[no-any-return]

    return act


def over_sunday(connection: Connection) -> HourlyStage:
    """It is Monday, and the payee still works since last Tuesday."""
    stage = running(connection)
    stage.now = MONDAY + timedelta(days=7)
    return stage


def end_contract(stage: HourlyStage) -> Outcome:
    command = ContractCommand(actor=stage.client, contract_id=stage.contract_id)
    return DOORS["escrow.end"].service(stage.connection, [command], at=stage.now)[0]


def pause_contract(stage: HourlyStage) -> Outcome:
    command = ContractCommand(actor=stage.client, contract_id=stage.contract_id)
    return DOORS["escrow.pause"].service(stage.connection, [command], at=stage.now)[0]


def asked_ahead(connection: Connection) -> HourlyStage:
    """A week that is paid ahead; its deposit is asked for."""
    stage = HourlyStage(connection, limit_minutes=600, collect=Collect.PREFUND).ready()
    stage.wait(minutes=1)
    return stage


def half_limit(stage: HourlyStage) -> Outcome:
    return stage.change(limit_minutes=300)


def double_limit(stage: HourlyStage) -> Outcome:
    return stage.change(limit_minutes=1_200)


def deposited(connection: Connection) -> HourlyStage:
    stage = asked_ahead(connection)
    assert stage.hear().is_done
    stage.pass_to(MONDAY + timedelta(days=3))
    return stage


def trio(connection: Connection) -> Trio:
    """Three terms under one contract; the payee has offered to end the hours."""
    retainer: RetainerTerms = terms._HOURS
    made = Trio(connection, retainer, datetime(2026, 3, 2, tzinfo=UTC), Terms(client_fee_bps=0))
    made.agreed()
    assert made.amend(made.term_id, made.stage.payee).is_done
    return made


def on_offer(verb: str, who: str) -> Act:
    return lambda made: made.on_amendment(verb, getattr(made.stage, who))


def log_in_trio(made: Trio) -> Outcome:
    made.stage.now += timedelta(hours=3)
    return made.log((made.stage.now - timedelta(hours=2), made.stage.now))


def accept_pause(lease: Any) -> Outcome:
    return lease.pause(lease.stage.payee)  # type: ignore[no-any-return]


def ask_pause(connection: Connection) -> Any:
    lease = terms.running(connection)
    assert lease.pause(lease.stage.client).is_done
    return lease


def resume(lease: Any) -> Outcome:
    return lease.resume(lease.stage.client)  # type: ignore[no-any-return]


def paused(connection: Connection) -> Any:
    lease = ask_pause(connection)
    assert accept_pause(lease).is_done
    return lease


def pause_at_end(connection: Connection) -> Any:
    """A pause was asked for; the period is over and nobody has looked yet."""
    return terms.at(ask_pause(connection), datetime(2026, 5, 1, tzinfo=UTC))


_SIGN: Final = on_offer("sign", "client")
_RING_END: Final = rings("escrow.week_review_end")
_RING_LINE: Final = rings("escrow.line_reply")
_RING_PERIOD: Final = rings("escrow.period_close", "escrow.period_start", "escrow.period_open")

PAIRS: Final = (
    Pair("line disputed / disputed", reviewed, dispute_second, dispute_second),
    Pair("week review end / line dispute", last_minute, _RING_END, dispute_second),
    Pair("line disputed / week given back", reviewed, dispute_second, terms.give_week_back),
    Pair(
        "line withdrawn / conceded",
        disputed,
        on_line("withdraw_line", "client"),
        on_line("concede_line", "payee"),
    ),
    Pair("line clock / reply", unanswered, _RING_LINE, on_line("reply_line", "payee")),
    Pair("line clock / conceded", unanswered, _RING_LINE, on_line("concede_line", "payee")),
    Pair("line clock / withdrawn", unanswered, _RING_LINE, on_line("withdraw_line", "client")),
    Pair("line approved / approved", contested, approve_line, approve_line),
    Pair("line approved / proposed anew", contested, approve_line, propose_other),
    Pair("line approved / withdrawn", contested, approve_line, on_line("withdraw_line", "client")),
    Pair("week review end / line conceded", friday, _RING_END, on_line("concede_line", "payee")),
    Pair("time started / started", resting, start, start),
    Pair("time started / logged", resting, start, terms.log_more),
    Pair("time stopped / discarded", running, end_run("stop_time"), end_run("discard_time")),
    Pair("time stopped / pause", running, end_run("stop_time"), pause_contract),
    Pair("time stopped / contract ended", running, end_run("stop_time"), end_contract),
    Pair(
        "time stopped / week close", over_sunday, end_run("stop_time"), rings("escrow.week_close")
    ),
    Pair("deposit paid / limit lowered", asked_ahead, terms.paid, half_limit),
    Pair("deposit paid / limit raised", asked_ahead, terms.paid, double_limit),
    Pair("deposit / hours logged", deposited, double_limit, terms.log_more),
    Pair(
        "term offer signed / signed", trio, on_offer("sign", "client"), on_offer("sign", "client")
    ),
    Pair(
        "term offer signed / withdrawn",
        trio,
        on_offer("sign", "client"),
        on_offer("withdraw", "payee"),
    ),
    Pair("term ended / hours logged", trio, on_offer("sign", "client"), log_in_trio),
    Pair("retainer paused / drawn", ask_pause, accept_pause, terms.draw),
    Pair("retainer paused / cancelled", ask_pause, accept_pause, terms.cancel),
    Pair("retainer paused / period close", pause_at_end, accept_pause, _RING_PERIOD),
    Pair("retainer resumed / resumed", paused, resume, resume),
    Pair("retainer resumed / cancelled", paused, resume, terms.cancel),
)
