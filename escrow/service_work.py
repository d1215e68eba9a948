"""Use cases on a slot that move no money: cancel, submit, withdraw, ask for changes or a refund."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from sqlalchemy import Connection

from escrow import rules_deal, rules_work, store_flags
from escrow.commands import SlotCommand, Submit
from escrow.model import Plan
from escrow.rules import Deal
from escrow.service_batch import TIMER_ROOM, get_deal, lock_deals, once_each, run
from escrow.service_price import price_deals
from escrow.service_shown import show_quotes
from kernel import timers
from kernel.commands import Outcome

S = TypeVar("S", bound=SlotCommand)


def cancel(
    connection: Connection, commands: Sequence[SlotCommand], *, at: datetime
) -> list[Outcome]:
    """Drop slots that hold no money; by either party."""
    return on_slots(connection, commands, rules_deal.cancel, at=at)


def submit(connection: Connection, commands: Sequence[Submit], *, at: datetime) -> list[Outcome]:
    """Show work; by the payee. The answer names the submission and when it releases by itself."""
    return on_slots(connection, commands, rules_work.submit, at=at)


def withdraw_submission(
    connection: Connection, commands: Sequence[SlotCommand], *, at: datetime
) -> list[Outcome]:
    """Take back the submission that lies before the client; by the payee."""
    return on_slots(connection, commands, rules_work.withdraw_submission, at=at)


def ask_refund(
    connection: Connection, commands: Sequence[SlotCommand], *, at: datetime
) -> list[Outcome]:
    """Ask for all that is not released; by the client. Silence will grant it."""
    return on_slots(connection, commands, rules_work.ask_refund, at=at)


def request_changes(
    connection: Connection, commands: Sequence[SlotCommand], *, at: datetime
) -> list[Outcome]:
    """Send work back with a reason, while the review runs; by the client."""
    return _on_reviews(connection, commands, rules_work.request_changes, at=at)


def flag_empty(
    connection: Connection, commands: Sequence[SlotCommand], *, at: datetime
) -> list[Outcome]:
    """Say that nothing was delivered; by the client. The review gets a day more, once for each.

    Refuses `escrow.already_flagged`, `escrow.reason_required`, `escrow.review_is_over`.
    """
    outcomes = _on_reviews(connection, commands, rules_work.flag_empty, at=at)
    ended = zip(commands, outcomes, strict=True)
    store_flags.add_flags(connection, [c for c, outcome in ended if outcome.is_done], at)
    return outcomes


def _on_reviews(
    connection: Connection,
    commands: Sequence[SlotCommand],
    decide: Callable[[Deal, SlotCommand, datetime], Plan],
    *,
    at: datetime,
) -> list[Outcome]:
    """Run commands that look at one slot each and at its running review."""

    def serve(alone: Sequence[SlotCommand]) -> list[Outcome]:
        deals = lock_deals(connection, [command.slot_id for command in alone])
        flagged = store_flags.list_flagged(connection, list(deals))
        ends = {
            timer.subject: timer.due_at
            for timer in timers.list_of(connection, [f"slot:{each}" for each in deals])
            if timer.kind == f"{TIMER_ROOM}auto_release" and timer.paused_remaining is None
        }

        def choose(command: SlotCommand) -> Plan:
            deal = get_deal(deals, command.slot_id)
            timed = replace(
                deal,
                review_ends_at=ends.get(f"slot:{command.slot_id}"),
                is_flagged=command.slot_id in flagged,
            )
            return decide(timed, command, at)

        return run(connection, alone, choose, at=at)

    return once_each(commands, lambda command: (command.slot_id,), serve)


def on_slots(
    connection: Connection,
    commands: Sequence[S],
    decide: Callable[[Deal, S, datetime], Plan],
    *,
    at: datetime,
    is_priced: bool = False,
) -> list[Outcome]:
    """Run commands that look at one slot each, and, if it is priced, may pay its payee.

    A quote of exchange is used by one of them (`escrow.subject_twice`).
    """

    def named(command: S) -> tuple[UUID, ...]:
        return tuple(each for each in (command.slot_id, command.quote_id) if each)

    def serve(alone: Sequence[S]) -> list[Outcome]:
        deals = lock_deals(connection, [command.slot_id for command in alone])
        if is_priced:
            price_deals(connection, deals.values(), at=at)
            show_quotes(connection, alone, deals, at=at)
        return run(
            connection,
            alone,
            lambda command: decide(get_deal(deals, command.slot_id), command, at),
            at=at,
        )

    return once_each(commands, named, serve)
