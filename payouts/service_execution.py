"""Paying what a run has planned: a chunk of payees in each transaction, by as many as like to.

Who was planned and may not be paid when his turn comes (a hold, a withdrawal by hand, another fee)
is dropped with the reason, and his money stays where it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from kernel.commands import Outcome
from kernel.principals import SYSTEM, Actor, PrincipalKind
from ledger.model import Draft
from payouts import service, service_screening, store_runs
from payouts.commands import PayoutCommand, RequestPayout
from payouts.desk import post_facts
from payouts.machine_runs import RunTrigger, run_step
from payouts.model import PayoutState
from payouts.model_runs import Item, ItemState, Run, RunState, payout_id_of, run_json

CHUNK: Final = 500
"""Payees of one transaction: so many wait for one another's locks, and no more."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """What one chunk came to; `is_over`: there is nothing left to be done by anybody now."""

    taken: int
    requested: int
    is_over: bool


def execute(connection: Connection, run_id: UUID, *, at: datetime, limit: int = CHUNK) -> Chunk:
    """Pay the next planned payees of a run that is executing; end it when nobody is left.

    Several may call it beside one another: no item is taken twice.
    """
    if not store_runs.has_planned(connection, run_id):
        return Chunk(0, 0, is_over=_finish(connection, run_id, at))
    run = store_runs.share_run(connection, run_id)
    if run is None or run.state is not RunState.EXECUTING:
        return Chunk(0, 0, is_over=True)
    items = store_runs.take_items(connection, run_id, limit)
    if not items:
        return Chunk(0, 0, is_over=True)
    paid = _pay(connection, run, items, at)
    store_runs.save_items(connection, run_id, paid)
    requested = sum(item.state is ItemState.REQUESTED for item in paid)
    return Chunk(len(paid), requested, is_over=False)


def _pay(connection: Connection, run: Run, items: Sequence[Item], at: datetime) -> list[Item]:
    preparer, approver = _people(run)
    commands = [
        RequestPayout(
            actor=preparer,
            payout_id=payout_id_of(run_id=run.id, payee_id=item.payee_id),
            payee_id=item.payee_id,
            method_id=item.method_id,
            amount_minor=item.amount_minor,
            currency=run.currency,
            fee_minor=item.fee_minor,
        )
        for item in items
        if item.method_id is not None
    ]
    assert len(commands) == len(items)
    outcomes = service.request(connection, commands, at=at)
    if approver is not None:
        _approve(connection, approver, run, outcomes, at)
    return [_after(run, item, outcome) for item, outcome in zip(items, outcomes, strict=True)]


def _approve(
    connection: Connection, approver: Actor, run: Run, outcomes: Sequence[Outcome], at: datetime
) -> None:
    """Who approved the run has said yes to each payout that a second person must see.

    One that he may not approve, such as his own, waits for somebody else.
    """
    waiting = [
        PayoutCommand(actor=approver, payout_id=UUID(outcome.facts["id"]), reason=run.subject)
        for outcome in outcomes
        if outcome.is_done and outcome.facts["state"] == PayoutState.SCREENING.value
    ]
    if waiting:
        service_screening.approve(connection, waiting, at=at)


def _after(run: Run, item: Item, outcome: Outcome) -> Item:
    if not outcome.is_done:
        return replace(item, state=ItemState.DROPPED, code=outcome.code)
    made = payout_id_of(run_id=run.id, payee_id=item.payee_id)
    return replace(item, state=ItemState.REQUESTED, payout_id=made)


def _people(run: Run) -> tuple[Actor, Actor | None]:
    """Who asks for the payouts of a run and who approves them: the two people behind it."""
    if run.prepared_by == SYSTEM.principal_id:
        preparer = SYSTEM
    else:
        preparer = Actor(run.prepared_by, PrincipalKind.PERSON, is_operator=True)
    if run.approved_by is None:
        return preparer, None
    return preparer, Actor(run.approved_by, PrincipalKind.PERSON, is_operator=True)


def _finish(connection: Connection, run_id: UUID, at: datetime) -> bool:
    run = store_runs.lock_runs(connection, [run_id]).get(run_id)
    if run is None or run.state is not RunState.EXECUTING:
        return True
    if store_runs.has_planned(connection, run_id):
        return False
    row = run_step(run.state, RunTrigger.FINISH)
    ended = replace(run, state=row.to, version=run.version + 1, ended_at=at)
    told = run_json(ended, store_runs.count_items(connection, run_id))
    detail = {name: told[name] for name in ("state", "progress", "reasons")}
    post_facts(connection, [Draft(row.event, run.subject, SYSTEM, at, detail=detail)])
    store_runs.save_run(connection, ended)
    return True
