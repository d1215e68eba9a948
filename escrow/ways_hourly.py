"""How the steps of hours are asked for: weeks, entries, running time, disputed lines."""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection

from escrow import service
from escrow.commands_hourly import EditTime, EntryCommand, WeekCommand
from escrow.machine import Trigger
from escrow.model_hourly import TimeEntry, Week
from escrow.model_lines import DisputeLine, LineCommand, LineDispute, ProposeLine, ServeLine
from escrow.model_runs import RunCommand, TimeRun
from escrow.ways_slot import SAMPLE
from kernel.commands import Command
from kernel.ids import new_id
from kernel.options import Way
from kernel.principals import Actor

_T = Trigger
_REASON: Final = ("a reason",)


def _week(_connection: Connection, actor: Actor, week: Week) -> Command:
    return WeekCommand(actor=actor, week_id=week.id)


def _dispute_line(_connection: Connection, actor: Actor, week: Week) -> Command:
    return DisputeLine(
        actor=actor, line_dispute_id=new_id(), week_id=week.id, line_no=1, reason=SAMPLE
    )


def _entry(_connection: Connection, actor: Actor, entry: TimeEntry) -> Command:
    return EntryCommand(actor=actor, entry_id=entry.id)


def _edit(_connection: Connection, actor: Actor, entry: TimeEntry) -> Command:
    return EditTime(actor=actor, entry_id=entry.id, memo=SAMPLE)


def _run(_connection: Connection, actor: Actor, run: TimeRun) -> Command:
    return RunCommand(actor=actor, run_id=run.id)


def _line(_connection: Connection, actor: Actor, line: LineDispute) -> Command:
    return LineCommand(actor=actor, line_dispute_id=line.id, version=line.version, reason=SAMPLE)


def _serve(_connection: Connection, actor: Actor, line: LineDispute) -> Command:
    return ServeLine(actor=actor, line_dispute_id=line.id, channel=SAMPLE, proof=SAMPLE)


def _propose(_connection: Connection, actor: Actor, line: LineDispute) -> Command:
    half = line.amount_minor // 2
    return ProposeLine(actor=actor, line_dispute_id=line.id, refund_minor=half)


def _gives_back(_connection: Connection, line: LineDispute, _actor: Actor) -> bool:
    """Whether what is proposed gives something back; else the line would be upheld."""
    return bool(line.proposed_refund_minor)


WEEK_WAYS: Final[Mapping[Trigger, Way]] = {
    _T.WRITE_OFF: Way(service.write_off, _week, ("a second person",), is_half=lambda _: True),
    _T.DISPUTE_LINE: Way(service.dispute_line, _dispute_line, ("the line", *_REASON)),
}

ENTRY_WAYS: Final[Mapping[Trigger, Way]] = {
    _T.EDIT_TIME: Way(service.edit_time, _edit, ("other times, or a memo",)),
    _T.DELETE_TIME: Way(service.delete_time, _entry),
    _T.APPROVE_LATE: Way(service.approve_late, _entry),
}

RUN_WAYS: Final[Mapping[Trigger, Way]] = {
    _T.STOP_TIME: Way(service.stop_time, _run),
    _T.DISCARD_TIME: Way(service.discard_time, _run),
}

LINE_WAYS: Final[Mapping[Trigger, Way]] = {
    _T.SERVE: Way(service.serve_line, _serve, ("channel and proof of the notice",)),
    _T.REPLY: Way(service.reply_line, _line, _REASON),
    _T.CONCEDE: Way(service.concede_line, _line),
    _T.WITHDRAW_DISPUTE: Way(service.withdraw_line, _line),
    _T.PROPOSE_DECISION: Way(service.propose_line, _propose, ("what goes back",)),
    _T.UPHOLD_LINE: Way(
        service.approve_line, _line, applies=lambda *given: not _gives_back(*given)
    ),
    _T.REFUND_LINE: Way(service.approve_line, _line, applies=_gives_back),
}
