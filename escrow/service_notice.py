"""Use cases of notices: recording that a party was told, and no default where nobody was.

A clock whose default costs a silent party money rings only if that party was told, in contracts
whose tenant requires the proof. Otherwise it starts anew, whole, and an alert goes into the log.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from escrow import rules_clock, store_clocks
from escrow.clocks import NOTICED, ROOM
from escrow.model import Plan
from escrow.model_clocks import Notice, RecordNotice, SetClockRules, Untold
from escrow.service_batch import run
from kernel import timers
from kernel.commands import Outcome
from kernel.principals import SYSTEM
from kernel.timers import DueTimer
from ledger.model import Draft
from ledger.service import post

Handler = Callable[[Connection, Sequence[DueTimer], datetime], int]


def record_notice(
    connection: Connection, commands: Sequence[RecordNotice], *, at: datetime
) -> list[Outcome]:
    """Keep the proof that parties were told of clocks; by operators, programs, or themselves."""
    subjects = [each.subject for each in commands]
    concerned = store_clocks.find_concerned(connection, subjects)
    notices: dict[UUID, Notice] = {}

    def decide(command: RecordNotice) -> Plan:
        found = concerned.get(command.subject)
        plan, notices[command.notice_id] = rules_clock.record_notice(command, found, at)
        return plan

    outcomes = run(connection, commands, decide, at=at)
    store_clocks.add_notices(
        connection,
        [
            notices[command.notice_id]
            for command, outcome in zip(commands, outcomes, strict=True)
            if outcome.is_done
        ],
    )
    return outcomes


def set_clock_rules(
    connection: Connection, commands: Sequence[SetClockRules], *, at: datetime
) -> list[Outcome]:
    """Set how clocks run from now on; by an operator in person."""
    outcomes = run(connection, commands, lambda each: rules_clock.set_rules(each, at), at=at)
    for command, outcome in zip(commands, outcomes, strict=True):
        if outcome.is_done:
            by = command.actor.principal_id
            store_clocks.add_rules(connection, command.rules, by=by, at=at)
    return outcomes


def after_notice(handler: Handler, kind: str) -> Handler:
    """The handler, which is given only clocks whose silent party is known to have been told.

    The others start anew in a transaction of their own, so that no timer is locked before the
    subjects that the handler locks.
    """
    if kind.removeprefix(ROOM) not in NOTICED:
        return handler

    def ring(connection: Connection, due: Sequence[DueTimer], at: datetime) -> int:
        untold = _list_untold(connection, kind, due)
        if untold:
            return _start_anew(connection, untold, at)
        return handler(connection, due, at)

    return ring


def _list_untold(
    connection: Connection, kind: str, due: Sequence[DueTimer]
) -> list[tuple[DueTimer, Untold]]:
    if not store_clocks.asks_proof(connection):
        return []
    ids = [UUID(each.subject.partition(":")[2]) for each in due]
    found = store_clocks.list_untold(connection, kind.removeprefix(ROOM), ids)
    by_subject = {each.subject: each for each in found}
    return [(each, by_subject[each.subject]) for each in due if each.subject in by_subject]


def _start_anew(
    connection: Connection, untold: Sequence[tuple[DueTimer, Untold]], at: datetime
) -> int:
    """A whole length more for each, and an alert; nothing where the clock is gone meanwhile."""
    whole = [(timer, at + who.length) for timer, who in untold]
    moved = {each.subject: each.due_at for each in timers.postpone(connection, whole, at=at)}
    drafts = [
        Draft(
            "clock.notice_missing",
            timer.subject,
            SYSTEM,
            at,
            detail={
                "clock": timer.kind,
                "party_id": str(who.party_id),
                "was_due_at": timer.due_at.isoformat(),
                "due_at": moved[timer.subject].isoformat(),
            },
        )
        for timer, who in untold
        if timer.subject in moved
    ]
    if drafts:
        post(connection, drafts)
    return len(drafts)
