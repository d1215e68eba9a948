"""Payout runs: list whom to pay, have a second person approve it, and pay chunk by chunk.

A preview is the very function that prepares, rehearsed. Each planned payee becomes a payout whose
id follows from run and payee, in the transaction that marks his item: whoever dies in between has
done neither, so that nobody is paid twice and nobody is forgotten.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from kernel.commands import Command, Outcome, done, refused
from kernel.errors import Refusal
from kernel.money import exponent
from kernel.principals import SYSTEM, Actor, PrincipalKind
from kernel.rehearsal import rehearse_step
from ledger.model import Draft
from payouts import store, store_policy, store_runs, store_schedules
from payouts.commands_runs import ApproveRun, PrepareRun, RunCommand
from payouts.desk import lock_standings, post_facts
from payouts.machine_runs import RunTrigger, run_step
from payouts.model_runs import (
    Item,
    ItemState,
    Run,
    progress_of,
    run_json,
)
from payouts.refusals import OperatorOnly, SubjectTwice
from payouts.refusals_runs import (
    BadCutOff,
    RunChanged,
    RunEmpty,
    RunExists,
    RunInPerson,
    RunIsOpen,
    RunTakesTwo,
    RunWrongState,
    UnknownRun,
)
from payouts.rules import check_method
from payouts.rules_runs import Candidate, RunTerms, content_of, is_about, item_of
from payouts.rules_schedules import timeline

MOST_DAYS: Final = timedelta(days=366)

Shown = list[tuple[Run, list[Item]]]
"""Where a rehearsal leaves what would have been written."""


def prepare(
    connection: Connection,
    commands: Sequence[PrepareRun],
    *,
    at: datetime,
    shown: Shown | None = None,
) -> list[Outcome]:
    """List whom runs would pay, with amount and fee, or the reason why not.

    Refuses with `payouts.operator_only`, `bad_cut_off`, `run_exists`, `run_is_open`,
    `run_is_empty`, `money.unknown_currency`.
    """
    outcomes: list[Outcome] = []
    for command in commands:
        try:
            _check_prepare(connection, command, at)
            run, items = _draw_up(connection, command, at)
            if shown is not None:
                shown.append((run, items))
            if not run.planned_count:
                raise RunEmpty(currency=run.currency, left_out=run.item_count)
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        told = run_json(run, progress_of(items))
        post_facts(connection, [_draft(run, "payout_run.prepared", command, at, told)])
        store_runs.add_run(connection, run, items)
        outcomes.append(done(**told))
    return outcomes


def preview(
    connection: Connection, command: PrepareRun, *, at: datetime
) -> tuple[Outcome, Run | None, list[Item]]:
    """What `prepare` would write now, and what it would answer; nothing is locked or written."""
    shown: Shown = []
    outcome = rehearse_step(
        connection, lambda: prepare(connection, [command], at=at, shown=shown)[0]
    )
    run, items = shown[0] if shown else (None, [])
    return outcome, run, items


def approve(
    connection: Connection, commands: Sequence[ApproveRun], *, at: datetime
) -> list[Outcome]:
    """A second person's word on exactly the items that he has seen.

    Refuses with `payouts.run_in_person`, `operator_only`, `unknown_run`, `run_wrong_state`,
    `run_takes_two`, `run_changed`.
    """

    def fields(run: Run, command: ApproveRun) -> dict[str, Any]:
        if command.actor.kind is not PrincipalKind.PERSON:
            raise RunInPerson(run_id=str(run.id))
        if command.actor.principal_id == run.prepared_by:
            raise RunTakesTwo(run_id=str(run.id))
        if command.content != run.content_sha256.hex():
            raise RunChanged(run_id=str(run.id))
        _check_content(connection, run)
        return {"approved_by": command.actor.principal_id, "approved_at": at}

    return _move_all(connection, commands, RunTrigger.APPROVE, fields, at)


def start(connection: Connection, commands: Sequence[RunCommand], *, at: datetime) -> list[Outcome]:
    """Let workers pay an approved run, or go on with a stopped one.

    Refuses with `payouts.operator_only`, `unknown_run`, `run_wrong_state`, `run_changed`.
    """

    def fields(run: Run, command: RunCommand) -> dict[str, Any]:
        del command
        step = run_step(run.state, RunTrigger.START)
        is_free = run.prepared_by == SYSTEM.principal_id and run.planned_minor <= run.limit_minor
        if step.needs_approval and not is_free:
            raise RunWrongState(state=run.state.value, trigger=RunTrigger.START.value)
        _check_content(connection, run)
        return {"started_at": run.started_at or at}

    return _move_all(connection, commands, RunTrigger.START, fields, at)


def stop(connection: Connection, commands: Sequence[RunCommand], *, at: datetime) -> list[Outcome]:
    """Stop a run after the chunk at hand; what is requested by then goes its way."""
    return _move_all(connection, commands, RunTrigger.STOP, lambda _run, _command: {}, at)


def withdraw(
    connection: Connection, commands: Sequence[RunCommand], *, at: datetime
) -> list[Outcome]:
    """Give up a run that has not started."""
    ended = {"ended_at": at}
    return _move_all(connection, commands, RunTrigger.WITHDRAW, lambda _run, _command: ended, at)


def _move_all(
    connection: Connection,
    commands: Sequence[Any],
    trigger: RunTrigger,
    fields: Callable[[Run, Any], dict[str, Any]],
    at: datetime,
) -> list[Outcome]:
    known = store_runs.lock_runs(connection, [command.run_id for command in commands])
    seen: set[UUID] = set()
    outcomes: list[Outcome] = []
    for command in commands:
        try:
            if command.run_id in seen:
                raise SubjectTwice(run_id=str(command.run_id))
            seen.add(command.run_id)
            _check_actor(command.actor)
            run = known.get(command.run_id)
            if run is None:
                raise UnknownRun(run_id=str(command.run_id))
            row = run_step(run.state, trigger)
            moved = replace(run, state=row.to, version=run.version + 1, **fields(run, command))
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        told = run_json(moved)
        post_facts(connection, [_draft(moved, row.event, command, at, told)])
        store_runs.save_run(connection, moved)
        outcomes.append(done(**told))
    return outcomes


def _check_prepare(connection: Connection, command: PrepareRun, at: datetime) -> None:
    _check_actor(command.actor)
    exponent(command.currency)
    span = command.cut_off_on - command.due_from_on
    if not (timedelta() <= span <= MOST_DAYS and command.cut_off_on <= at.date()):
        raise BadCutOff(
            due_from_on=command.due_from_on.isoformat(),
            cut_off_on=command.cut_off_on.isoformat(),
            today=at.date().isoformat(),
        )
    store_runs.take_turns(connection, command.currency)
    if store_runs.find_runs(connection, [command.run_id]):
        raise RunExists(run_id=str(command.run_id))
    is_open = store_runs.find_open(
        connection, currency=command.currency, cut_off_on=command.cut_off_on
    )
    if is_open is not None:
        raise RunIsOpen(run_id=str(is_open))


def _draw_up(connection: Connection, command: PrepareRun, at: datetime) -> tuple[Run, list[Item]]:
    """Whom the run is about: a handful of statements, however many payees there are."""
    currency = command.currency
    money = store_runs.list_money(connection, currency=currency)
    ids = [payee_id for payee_id, _, _ in money]
    standings = lock_standings(connection, ids)
    settings = store_schedules.list_for(connection, ids, currency=currency)
    default = settings.get(None, [])
    methods: dict[UUID, list[Any]] = {}
    for method in store.list_methods(connection, ids):
        methods.setdefault(method.party_id, []).append(method)
    terms = RunTerms(
        kind=command.kind,
        currency=currency,
        due_from_on=command.due_from_on,
        cut_off_on=command.cut_off_on,
        fee_minor=store.list_fees(connection, [currency], at).get(currency, 0),
        minimum_minor=store_policy.find_in_force(connection, at).of(currency).minimum_minor,
        check_method=lambda method: check_method(
            method, method_id=method.id, payee_id=method.party_id, at=at
        ),
    )
    by_default = timeline(own=(), default=default)
    candidates = [
        Candidate(
            payee_id=payee_id,
            available_minor=available_minor,
            standing=standings.get(payee_id),
            line=timeline(own=settings[payee_id], default=default)
            if payee_id in settings
            else by_default,
            methods=methods.get(payee_id, ()),
            is_planned=is_planned,
        )
        for payee_id, available_minor, is_planned in money
    ]
    items = [item_of(each, terms) for each in candidates if is_about(each, terms)]
    return _run_of(connection, command, items, at), items


def _run_of(
    connection: Connection, command: PrepareRun, items: Sequence[Item], at: datetime
) -> Run:
    planned = [item for item in items if item.state is ItemState.PLANNED]
    is_ours = command.actor.principal_id == SYSTEM.principal_id
    run = Run(
        id=command.run_id,
        currency=command.currency,
        kind=command.kind,
        due_from_on=command.due_from_on,
        cut_off_on=command.cut_off_on,
        item_count=len(items),
        planned_count=len(planned),
        planned_minor=sum(item.amount_minor for item in planned),
        fee_minor=sum(item.fee_minor for item in planned),
        limit_minor=store_runs.find_limit(connection, command.currency, at) if is_ours else 0,
        content_sha256=b"",
        prepared_by=command.actor.principal_id,
        prepared_at=at,
        reason=command.reason,
    )
    return replace(run, content_sha256=content_of(run, items))


def _check_content(connection: Connection, run: Run) -> None:
    if store_runs.find_content(connection, run.id) != run.content_sha256:
        raise RunChanged(run_id=str(run.id))


def _check_actor(actor: Actor) -> None:
    if not (actor.is_operator or actor.kind is PrincipalKind.SYSTEM):
        raise OperatorOnly


def _draft(run: Run, kind: str, command: Command, at: datetime, told: dict[str, Any]) -> Draft:
    detail = {
        name: told[name]
        for name in ("currency", "kind", "cut_off_on", "state", "planned_count", "planned", "fees")
    }
    reason = getattr(command, "reason", "")
    return Draft(
        kind=kind,
        subject=run.subject,
        actor=command.actor,
        effective_at=at,
        reason=reason,
        detail={**detail, "content": told["content"]},
    )


def totals(connection: Connection, run: Run) -> dict[str, Any]:
    """The run with its progress, as the API shows it."""
    return run_json(run, store_runs.count_items(connection, run.id))
