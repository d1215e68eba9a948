"""Use cases of disputed lines: open, serve, answer, decide; and silence after three days."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Final, TypeVar
from uuid import UUID

from sqlalchemy import Connection

from escrow import rules_hourly_lines as lines
from escrow import rules_hourly_lines_end as ends
from escrow import store, store_hourly, store_hourly_lines
from escrow.machine import Timer
from escrow.model_hourly import Step, Week
from escrow.model_lines import DisputeLine, LineCommand, ProposeLine, ServeLine
from escrow.refusals import Held, IdTaken, NotCleared
from escrow.refusals_hourly import (
    LineDisputedAlready,
    UnknownLine,
    UnknownLineDispute,
    UnknownWeek,
)
from escrow.rules_hourly_lines import LineCase
from escrow.rules_hourly_step import week_step, week_subject
from escrow.rules_hourly_weeks import PAUSE
from escrow.service_batch import once_each
from escrow.service_hourly import run_hours
from escrow.service_price import price_deals
from escrow.service_refund import lock_with_lots
from escrow.triggers import Trigger
from kernel import timers
from kernel.commands import Outcome
from kernel.ids import new_id
from kernel.principals import SYSTEM
from kernel.timers import Arm, DueTimer

L = TypeVar("L", bound=LineCommand)


def dispute_line(
    connection: Connection, commands: Sequence[DisputeLine], *, at: datetime
) -> list[Outcome]:
    """Dispute one line each of weeks under review; by the client (P12)."""

    def serve(alone: Sequence[DisputeLine]) -> list[Outcome]:
        known = store_hourly.find_weeks(connection, [c.week_id for c in alone])
        lock_with_lots(connection, [week.slot_id for week in known if week.slot_id])
        store_hourly.lock_weeks(connection, [week.id for week in known])
        return [
            run_hours(connection, [command], lambda c: _open(connection, c, at), at=at)[0]
            for command in alone
        ]

    return once_each(commands, lambda c: (c.line_dispute_id,), serve)


def serve_line(
    connection: Connection, commands: Sequence[ServeLine], *, at: datetime
) -> list[Outcome]:
    """Record, with proof, that the payee was told; by an operator. Three days run."""
    return _on_lines(connection, commands, lambda case, c: lines.serve(case, c, at), at=at)


def reply_line(
    connection: Connection, commands: Sequence[LineCommand], *, at: datetime
) -> list[Outcome]:
    """Stand by the hours, and say why; by the payee. A specialist decides."""
    return _on_lines(connection, commands, lambda case, c: lines.reply(case, c, at), at=at)


def concede_line(
    connection: Connection, commands: Sequence[LineCommand], *, at: datetime
) -> list[Outcome]:
    """Give a line back; by the payee (P27)."""
    return _on_lines(connection, commands, lambda case, c: ends.concede(case, c, at, new_id), at=at)


def withdraw_line(
    connection: Connection, commands: Sequence[LineCommand], *, at: datetime
) -> list[Outcome]:
    """Dispute a line no longer; by the client."""
    return _on_lines(
        connection, commands, lambda case, c: ends.withdraw(case, c, at, new_id), at=at
    )


def propose_line(
    connection: Connection, commands: Sequence[ProposeLine], *, at: datetime
) -> list[Outcome]:
    """Propose what of a contested line goes back; by an operator in person."""
    return _on_lines(connection, commands, lambda case, c: lines.propose(case, c, at), at=at)


def approve_line(
    connection: Connection, commands: Sequence[LineCommand], *, at: datetime
) -> list[Outcome]:
    """Approve what another operator proposed, and carry it out; in person (P12, P27)."""
    return _on_lines(connection, commands, lambda case, c: ends.approve(case, c, at, new_id), at=at)


def line_reply(connection: Connection, due: Sequence[DueTimer], at: datetime) -> int:
    """Three days of silence: protected hours are upheld, the others go back.

    What a hold stops is looked at again in a day.
    """
    known = store_hourly_lines.find_lines(connection, [_id(each) for each in due])
    slot_of = {each.id: each.slot_id for each in known}
    locked, _ = lock_with_lots(connection, list(slot_of.values()), skip_locked=True)
    ours = [each for each in due if slot_of.get(_id(each)) in locked]
    weeks = {each.week_id for each in known if each.slot_id in locked}
    store_hourly.lock_weeks(connection, weeks)
    claimed = timers.claim(connection, ours)
    for timer in claimed:
        command = LineCommand(actor=SYSTEM, line_dispute_id=_id(timer))
        (outcome,) = run_hours(
            connection,
            [command],
            lambda c: ends.default(_case(connection, c.line_dispute_id, at), c, at, new_id),
            at=at,
        )
        if outcome.code in {Held.code, NotCleared.code}:
            timers.arm(connection, [Arm(timer.subject, timer.kind, at + PAUSE, 0)])
    return len(claimed)


LINE_HANDLERS: Final = MappingProxyType({f"escrow.{Timer.LINE_REPLY}": line_reply})
"""The clock of a disputed line, for the table of timers."""


def _open(connection: Connection, command: DisputeLine, at: datetime) -> Step:
    weeks = store_hourly.lock_weeks(connection, [command.week_id])
    if not weeks:
        raise UnknownWeek(week_id=str(command.week_id))
    (week,) = weeks
    (contract,) = store.find_contracts(connection, [week.contract_id])
    week_step(week, contract, Trigger.DISPUTE_LINE, command)
    if store_hourly_lines.find_lines(connection, [command.line_dispute_id]):
        raise IdTaken(id=str(command.line_dispute_id))
    for known in store_hourly_lines.list_week_lines(connection, week.id):
        if known.line_no == command.line_no:
            raise LineDisputedAlready(line_dispute_id=str(known.id))
    for line in store_hourly.list_lines(connection, week.id):
        if line.line_no == command.line_no and week.slot_id is not None:
            deals, _ = lock_with_lots(connection, [week.slot_id])
            frozen = store_hourly_lines.sum_frozen(connection, [week.slot_id])
            shown = replace(week, review_ends_at=_review_end(connection, week))
            return lines.open_line(
                deals[week.slot_id], shown, line, frozen.get(week.slot_id, 0), command, at
            )
    raise UnknownLine(week_id=str(week.id), line_no=command.line_no)


def _review_end(connection: Connection, week: Week) -> datetime:
    """Until when lines may be disputed: an outage, or a notice that is missing, moves the review.

    A clock that merely looks again each day under a hold reminds nobody, and gives no time.
    """
    return max(
        (
            clock.due_at
            for clock in timers.list_of(connection, [week_subject(week)])
            if clock.kind == f"escrow.{Timer.WEEK_REVIEW_END}" and clock.remind_length
        ),
        default=week.review_ends_at,
    )


def _on_lines(
    connection: Connection,
    commands: Sequence[L],
    decide: Callable[[LineCase, L], Step],
    *,
    at: datetime,
) -> list[Outcome]:
    """Steps of disputed lines, one after the other: lines of one week share its slot."""

    def serve(alone: Sequence[L]) -> list[Outcome]:
        known = store_hourly_lines.find_lines(connection, [c.line_dispute_id for c in alone])
        lock_with_lots(connection, [each.slot_id for each in known])
        store_hourly.lock_weeks(connection, {each.week_id for each in known})
        return [
            run_hours(
                connection,
                [command],
                lambda c: decide(_case(connection, c.line_dispute_id, at), c),
                at=at,
            )[0]
            for command in alone
        ]

    return once_each(commands, lambda c: (c.line_dispute_id,), serve)


def _case(connection: Connection, line_dispute_id: UUID, at: datetime) -> LineCase:
    """The line as it stands; its slot and its week are locked already."""
    locked = store_hourly_lines.lock_lines(connection, [line_dispute_id])
    if not locked:
        raise UnknownLineDispute(line_dispute_id=str(line_dispute_id))
    (dispute,) = locked
    deals, fundings = lock_with_lots(connection, [dispute.slot_id])
    (week,) = store_hourly.lock_weeks(connection, [dispute.week_id])
    price_deals(connection, deals.values(), at=at, with_lines=True)
    return LineCase(deals[dispute.slot_id], week, dispute, fundings)


def _id(timer: DueTimer) -> UUID:
    return UUID(timer.subject.partition(":")[2])
