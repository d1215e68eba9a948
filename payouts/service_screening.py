"""Screening: a second person's word above the limit, and what a sanctions match does to a payout.

Where the policy asks for nobody a payout goes through screening when it is submitted; here is what
people and the engine do with the others.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from kernel.commands import Outcome
from kernel.principals import SYSTEM
from ledger import parties
from payouts import service_blocked, store, store_policy
from payouts.commands import PayoutCommand
from payouts.desk import Desk, Move, lay_out, run, save
from payouts.machine import Trigger
from payouts.refusals import ReasonMissing
from payouts.steps import advance

_UNNAMED_LIST: Final = "a match that was not named"


def approve(
    connection: Connection, commands: Sequence[PayoutCommand], *, at: datetime
) -> list[Outcome]:
    """Let payouts above the limit go; another person than who asked, and never his own money.

    Refuses with `payouts.unknown_payout`, `wrong_state`, `not_yours`, `second_person`, and where
    the payee is not clear as `service.request` does.
    """
    return _step(connection, commands, Trigger.APPROVE, at)


def refuse(
    connection: Connection, commands: Sequence[PayoutCommand], *, at: datetime
) -> list[Outcome]:
    """Say no to payouts above the limit: money and fee return to the payee (P39).

    Refuses with `payouts.unknown_payout`, `wrong_state`, `not_yours`, `reason_missing`.
    """
    return _step(connection, commands, Trigger.REFUSE, at)


def block(
    connection: Connection, commands: Sequence[PayoutCommand], *, at: datetime
) -> list[Outcome]:
    """Stop payouts of payees on a sanctions list, and block all that these have (P39, then P43).

    Refuses with `payouts.unknown_payout`, `wrong_state`, `not_yours`, `not_sanctioned`.

    Source: domain/escrow.md 2.11, edge case 39.
    """
    seen = store.find_payouts(connection, [command.payout_id for command in commands])
    parties.lock(connection, {payout.payee_id for payout in seen.values()})
    outcomes = _step(connection, commands, Trigger.BLOCK, at)
    for command, outcome in zip(commands, outcomes, strict=True):
        if outcome.is_done:
            service_blocked.block(
                connection,
                {seen[command.payout_id].payee_id},
                actor=command.actor,
                list_name=command.reason or _UNNAMED_LIST,
                at=at,
            )
    return outcomes


def screen(
    connection: Connection, commands: Sequence[PayoutCommand], *, at: datetime
) -> list[Outcome]:
    """Put payouts before a second person that a limit has caught after they were requested.

    Refuses with `payouts.unknown_payout`, `wrong_state`, `not_yours`, `needs_no_approval`.
    """
    return _step(connection, commands, Trigger.SCREEN, at)


def screen_due(connection: Connection, *, at: datetime, limit: int = 10_000) -> list[Outcome]:
    """Look at what is not sent yet: stop what a sanctions match stops, hold up what a limit asks.

    One outcome for each payout that was looked at; run before `service.submit_due`.
    """
    hits = store.list_of_sanctioned(connection, limit=limit)
    outcomes = block(connection, [_by_engine(id_) for id_ in hits], at=at) if hits else []
    limits = store_policy.find_in_force(connection, at).limits
    above = {
        currency: each.approval_above_minor
        for currency, each in limits.items()
        if each.approval_above_minor is not None
    }
    over = store.list_requested_over(connection, above, limit=limit) if above else []
    if over:
        outcomes += screen(connection, [_by_engine(id_) for id_ in over], at=at)
    return outcomes


def _by_engine(payout_id: UUID) -> PayoutCommand:
    return PayoutCommand(actor=SYSTEM, payout_id=payout_id)


def _step(
    connection: Connection, commands: Sequence[PayoutCommand], trigger: Trigger, at: datetime
) -> list[Outcome]:
    desk = lay_out(connection, commands, at)
    outcomes, moves = run(connection, commands, lambda command: _decide(command, trigger, desk))
    save(connection, moves)
    return outcomes


def _decide(command: PayoutCommand, trigger: Trigger, desk: Desk) -> Move:
    move = advance(command, trigger, desk)
    if trigger is Trigger.REFUSE and not command.reason.strip():
        raise ReasonMissing(payout_id=str(command.payout_id))
    return move
