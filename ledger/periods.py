"""Use cases of accounting periods: close softly, close, ask to reopen, reopen, and what is late.

Acts on periods take turns. A soft close ends the stream of posters without waiting for them; a
closing takes the period's row FOR UPDATE, so that it waits for whoever still posts into it and
they for it. What it stores is read in later statements, when all that counts before the end is
sealed and nothing can follow (docs/periods.md).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import Any, TypeVar

import orjson
from sqlalchemy import Connection

from kernel import timers
from kernel.commands import Command, Outcome, done, refused
from kernel.errors import Broken, Refusal
from ledger import rules_periods as rules
from ledger import store_journals
from ledger import store_periods as store
from ledger.model import Draft
from ledger.model_periods import (
    Act,
    Closing,
    Done,
    Period,
    TrialLine,
    as_json,
    closing_as_json,
    closing_balances,
    document,
)
from ledger.proof import Proof, prove
from ledger.rules_periods import Obstacles
from ledger.service import post


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodCommand(Command):
    """Act on one period: close it softly, ask to reopen it, reopen it."""

    period_id: int
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosePeriod(PeriodCommand):
    """Close a period for good, or for good again.

    `findings` is what a proof of the books found just before, in words; None: it is proven here,
    before anything is locked.
    """

    findings: tuple[str, ...] | None = None


Given = TypeVar("Given", bound=PeriodCommand)
Take = Callable[[Connection, Given, datetime], Outcome]


def soft_close(
    connection: Connection, commands: Sequence[PeriodCommand], *, at: datetime
) -> list[Outcome]:
    """From now on finance people alone post into the periods, by manual journal.

    Refuses `period.finance_only`, `period.unknown`, `period.wrong_state`, `period.not_over`.
    """
    return [_outcome(_soft_close, connection, command, at) for command in commands]


def close(
    connection: Connection, commands: Sequence[ClosePeriod], *, at: datetime
) -> list[Outcome]:
    """Close periods with their trial balance; nothing counts in them any more.

    Refuses what `soft_close` does, and `period.earlier_not_closed`, `period.not_proven`,
    `period.journals_open`, `period.timers_due`, `period.not_sealed`, `period.not_tied` and
    `period.conversion_open`, each with a list of what stands open.
    """
    return [_outcome(_close, connection, command, at) for command in commands]


def ask_reopening(
    connection: Connection, commands: Sequence[PeriodCommand], *, at: datetime
) -> list[Outcome]:
    """The first of two people wants the periods open again; it takes a second to reopen them."""
    return [_outcome(_ask_reopening, connection, command, at) for command in commands]


def reopen(
    connection: Connection, commands: Sequence[PeriodCommand], *, at: datetime
) -> list[Outcome]:
    """Another person than the one who asked opens the periods again, for finance people alone.

    The old closings stay. Refuses `period.reopening_not_asked`, `period.same_person`,
    `period.later_closed`, `period.reason_missing`, and what `soft_close` does.
    """
    return [_outcome(_reopen, connection, command, at) for command in commands]


def check_closable(connection: Connection, command: ClosePeriod, *, at: datetime) -> Period:
    """The period, if nothing that shows without a lock and a recount stands against closing it."""
    rules.check_actor(command.actor)
    period = store.find_period(connection, command.period_id)
    if period is None:
        raise rules.UnknownPeriod(period_id=str(command.period_id))
    rules.step(period.state, Act.CLOSE)
    rules.check_over(period, at)
    return period


def redated(connection: Connection, drafts: Sequence[Draft]) -> list[Draft]:
    """The drafts, those that count too late at the first instant that takes them.

    Their detail shows the original time. Call it before `ledger.service.post`.
    """
    times = [draft.effective_at for draft in drafts if draft.entries]
    if not times:
        return list(drafts)
    spans = store.list_not_open(connection, after=min(times))
    return [
        rules.late(draft, rules.open_from(draft.effective_at, spans)) if draft.entries else draft
        for draft in drafts
    ]


def recount(connection: Connection, period: Period, closing: Closing) -> str:
    """The trial balance of a closing, reckoned again from the journal up to its last number."""
    rows = store.trial_balance(connection, period, last_journal_no=closing.last_journal_no)
    return document(
        period, rows, version=closing.version, last_journal_no=closing.last_journal_no
    ).decode()


def check_closings(connection: Connection) -> list[str]:
    """A sentence for each closing whose stored trial balance does not tie with its recount."""
    broken = []
    after = 0
    while periods := store.list_periods(connection, after=after):
        after = periods[-1].id
        broken += [
            f"closing {closing.version} of period {period.id} does not tie with its recount"
            for period in periods
            for closing in store.list_closings(connection, period.id)
            if recount(connection, period, closing) != closing.trial_balance
            or sha256(closing.trial_balance.encode()).digest() != closing.trial_balance_sha256
        ]
    return broken


def told(proof: Proof) -> tuple[str, ...]:
    """What a proof found, in words."""
    return tuple(
        f"{each.promise} is broken by {each.count} rows: {'; '.join(each.examples)}"
        for each in proof.findings
    )


def _outcome(
    take: Callable[[Connection, Given, datetime], Outcome],
    connection: Connection,
    command: Given,
    at: datetime,
) -> Outcome:
    try:
        rules.check_actor(command.actor)
        return take(connection, command, at)
    except Refusal as refusal:
        return refused(refusal)


def _soft_close(connection: Connection, command: PeriodCommand, at: datetime) -> Outcome:
    period = _lock(connection, command)
    rules.step(period.state, Act.SOFT_CLOSE)
    rules.check_over(period, at)
    moved, _ = _act(connection, command, period, at, act=Act.SOFT_CLOSE, detail={})
    return done(**as_json(moved))


def _close(connection: Connection, command: ClosePeriod, at: datetime) -> Outcome:
    store.take_turns(connection)
    period = check_closable(connection, command, at=at)
    findings = told(prove(connection)) if command.findings is None else command.findings
    period = store.lock_out_posters(connection, command.period_id) or period
    unsealed, last_journal_no = store.look_at_seals(connection, period.end)
    rules.check_obstacles(
        period,
        Obstacles(
            earlier=store.list_earlier(connection, period.start),
            findings=findings,
            journals=store_journals.list_waiting(connection, before=period.end),
            timer_due_at=timers.find_next_due_at(connection),
            unsealed=unsealed,
        ),
    )
    rows = store.trial_balance(connection, period)
    rules.check_trial(
        rows, _before(connection, period), store.sum_conversions(connection, period.end)
    )
    return _write_closing(connection, command, period, at, (rows, last_journal_no))


def _write_closing(
    connection: Connection,
    command: ClosePeriod,
    period: Period,
    at: datetime,
    found: tuple[Sequence[TrialLine], int],
) -> Outcome:
    rows, last_journal_no = found
    version = period.version + 1
    text = document(period, rows, version=version, last_journal_no=last_journal_no)
    hashed = sha256(text).digest()
    noted = rules.warnings(rows)
    log_root, checkpoint_size, checkpoint_root = store.find_log(connection, last_journal_no)
    detail = {
        "version": version,
        "last_journal_no": str(last_journal_no),
        "trial_balance_sha256": hashed.hex(),
        "log_root": log_root.hex() if log_root else None,
        "warnings": noted,
    }
    event_id = _post(connection, command, period, at, act=Act.CLOSE, detail=detail)
    closing = Closing(
        period_id=period.id,
        version=version,
        act_no=period.act_no + 1,
        last_journal_no=last_journal_no,
        trial_balance=text.decode(),
        trial_balance_sha256=hashed,
        log_root=log_root,
        checkpoint_size=checkpoint_size,
        checkpoint_root=checkpoint_root,
        checks=orjson.dumps(["sealed", "proof", "journals", "timers", "tied"]).decode(),
        warnings=orjson.dumps(noted).decode(),
        closed_by=command.actor.principal_id,
        closed_at=at,
    )
    _add_act(connection, command, period, at, act=Act.CLOSE, event_id=event_id)
    store.add_closing(connection, closing)
    moved = _save(connection, period, Act.CLOSE)
    return done(**as_json(moved), closing=closing_as_json(closing))


def _ask_reopening(connection: Connection, command: PeriodCommand, at: datetime) -> Outcome:
    period = _lock_to_reopen(connection, command, Act.ASK_REOPENING)
    detail = {"version": period.version}
    moved, _ = _act(connection, command, period, at, act=Act.ASK_REOPENING, detail=detail)
    good_until = (at + rules.ASKED_FOR).isoformat()
    return done(**as_json(moved), asked_by=str(command.actor.principal_id), good_until=good_until)


def _reopen(connection: Connection, command: PeriodCommand, at: datetime) -> Outcome:
    period = _lock_to_reopen(connection, command, Act.REOPEN)
    acts = store.list_acts(connection, [period.id]).get(period.id, [])
    question = rules.asked(period, acts, command.actor, at)
    detail = {"version": period.version, "asked_by": str(question.actor_id)}
    moved, _ = _act(
        connection, command, period, at, act=Act.REOPEN, detail=detail, question=question
    )
    return done(**as_json(moved), asked_by=str(question.actor_id))


def _lock(connection: Connection, command: PeriodCommand) -> Period:
    store.take_turns(connection)
    period = store.lock_period(connection, command.period_id)
    if period is None:
        raise rules.UnknownPeriod(period_id=str(command.period_id))
    return period


def _lock_to_reopen(connection: Connection, command: PeriodCommand, act: Act) -> Period:
    period = _lock(connection, command)
    rules.step(period.state, act)
    if not command.reason.strip():
        raise rules.ReasonMissing(period_id=str(period.id))
    later = store.list_later_closed(connection, period.end)
    if later:
        raise rules.LaterClosed(periods=[str(each) for each in later])
    return period


def _before(connection: Connection, period: Period) -> dict[tuple[str, str], int] | None:
    text = store.find_closed_before(connection, period.start)
    return None if text is None else closing_balances(orjson.loads(text)["rows"])


def _act(
    connection: Connection,
    command: PeriodCommand,
    period: Period,
    at: datetime,
    *,
    act: Act,
    detail: dict[str, Any],
    question: Done | None = None,
) -> tuple[Period, int]:
    """Write the event, the act, and the state that it leads to."""
    event_id = _post(connection, command, period, at, act=act, detail=detail)
    _add_act(connection, command, period, at, act=act, event_id=event_id, question=question)
    return _save(connection, period, act), event_id


def _post(
    connection: Connection,
    command: PeriodCommand,
    period: Period,
    at: datetime,
    *,
    act: Act,
    detail: dict[str, Any],
) -> int:
    kind = rules.step(period.state, act).event_kind
    draft = Draft(kind, period.subject, command.actor, at, (), command.reason, detail)
    (answer,) = post(connection, [draft])
    if isinstance(answer, Refusal):
        raise Broken("an event without entries was refused", code=answer.code)
    return answer.event_id


def _add_act(
    connection: Connection,
    command: PeriodCommand,
    period: Period,
    at: datetime,
    *,
    act: Act,
    event_id: int,
    question: Done | None = None,
) -> None:
    each = Done(
        act_no=period.act_no + 1,
        act=act,
        version=period.version + (act is Act.CLOSE),
        actor_id=command.actor.principal_id,
        asked_by=question.actor_id if question else None,
        asked_act_no=question.act_no if question else None,
        reason=command.reason,
        acted_at=at,
        event_id=event_id,
    )
    store.add_act(connection, period.id, each)


def _save(connection: Connection, period: Period, act: Act) -> Period:
    moved = replace(
        period,
        state=rules.step(period.state, act).to,
        version=period.version + (act is Act.CLOSE),
        act_no=period.act_no + 1,
    )
    store.save_state(connection, was=period, now=moved)
    return moved
