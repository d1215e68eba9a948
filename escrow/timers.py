"""What the clocks of a deal set off: each handler fires what it can of the due timers of its kind.

A handler locks the subjects in order, leaves those alone that another transaction holds, takes
the timers, and runs the batch service that the API calls. A timer whose subject is held is
paused until the hold is lifted, also one that is set under the hold; one whose money has not
cleared is looked at again in a day.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from escrow import rules_work, store
from escrow.commands import ContractCommand, FundingCommand, ReleaseCommand, SlotCommand
from escrow.machine_slot import WORKING
from escrow.model import SlotState
from escrow.refusals import AboveLimit, Held, NotCleared, NotSettled
from escrow.rules import Deal
from escrow.service_batch import get_deal, lock_deals, run
from escrow.service_clocks import pause_clocks, resume_clocks
from escrow.service_deal import close
from escrow.service_dispute_clocks import DISPUTE_HANDLERS
from escrow.service_funding import lock_payments
from escrow.service_hourly_deposit import DEPOSIT_HANDLERS
from escrow.service_hourly_lines import LINE_HANDLERS
from escrow.service_hourly_money import expire_funding
from escrow.service_hourly_weeks import HANDLERS as WEEKS
from escrow.service_notice import after_notice
from escrow.service_price import price_deals
from escrow.service_refund import refund_unanswered, settle_dormant
from escrow.service_release import (
    auto_release_locked,
    end_security_hold_locked,
    lock_releases,
)
from escrow.service_reserve import RESERVE_HANDLERS
from escrow.service_retainer_clocks import RETAINER_HANDLERS
from kernel import timers
from kernel.commands import Outcome
from kernel.principals import SYSTEM
from kernel.timers import Arm, DueTimer

__all__ = ["HANDLERS", "pause_clocks", "resume_clocks"]

AGAIN: Final = timedelta(days=1)


def auto_release(connection: Connection, due: Sequence[DueTimer], at: datetime) -> int:
    """Reviews that ran out: release, if it is still this submission (row 8)."""
    deals = lock_deals(connection, [_id(each) for each in due], skip_locked=True)
    price_deals(connection, deals.values(), at=at)
    claimed = _claim(connection, due, deals)
    commands = [
        SlotCommand(actor=SYSTEM, slot_id=_id(each), submission_no=each.subject_version)
        for each in claimed
    ]
    outcomes = auto_release_locked(connection, deals, commands, at=at)
    _set_again(connection, claimed, outcomes, at)
    return len(claimed)


def security_hold(connection: Connection, due: Sequence[DueTimer], at: datetime) -> int:
    """Security holds that are over: the payee may withdraw (P09)."""
    locked = lock_releases(connection, [_id(each) for each in due], skip_locked=True)
    claimed = _claim(connection, due, locked)
    commands = [ReleaseCommand(actor=SYSTEM, release_id=_id(each)) for each in claimed]
    outcomes = end_security_hold_locked(connection, locked, commands, at=at)
    _set_again(connection, claimed, outcomes, at)
    return len(claimed)


def refund_reply(connection: Connection, due: Sequence[DueTimer], at: datetime) -> int:
    """Refund requests without an answer: refund (row 10)."""
    deals = lock_deals(connection, [_id(each) for each in due], skip_locked=True)
    claimed = _claim(connection, due, deals)
    commands = [SlotCommand(actor=SYSTEM, slot_id=_id(each)) for each in claimed]
    outcomes = refund_unanswered(connection, commands, at=at)
    _set_again(connection, claimed, outcomes, at)
    return len(claimed)


def fund_expiry(connection: Connection, due: Sequence[DueTimer], at: datetime) -> int:
    """Payments that nobody completed: expired; for `fund_interactive` and `fund_bank`."""
    payments = lock_payments(connection, [_id(each) for each in due], skip_locked=True)
    claimed = _claim(connection, due, payments)
    commands = [FundingCommand(actor=SYSTEM, funding_id=_id(each)) for each in claimed]
    expire_funding(connection, commands, at=at)
    return len(claimed)


def dormant(connection: Connection, due: Sequence[DueTimer], at: datetime) -> int:
    """Silent slots: notices, then dormancy, then release or refund up to the limit (row 18).

    What is dormant but may not be settled yet keeps its clock, and is settled when that rings.
    """
    deals = lock_deals(connection, [_id(each) for each in due], skip_locked=True)
    claimed = _claim(connection, due, deals)
    silent = [each for each in claimed if deals[_id(each)].slot.state in WORKING]
    asleep = [each for each in claimed if deals[_id(each)].slot.state is SlotState.DORMANT]
    commands = [SlotCommand(actor=SYSTEM, slot_id=_id(each)) for each in silent]
    outcomes = run(
        connection,
        commands,
        lambda command: rules_work.fall_silent(get_deal(deals, command.slot_id), command, at),
        at=at,
    )
    asleep += [
        each
        for each, outcome in zip(silent, outcomes, strict=True)
        if outcome.facts.get("state") == SlotState.DORMANT
    ]
    _settle(connection, asleep, deals, at)
    return len(claimed)


def close_contract(connection: Connection, due: Sequence[DueTimer], at: datetime) -> int:
    """Ending contracts: closed once all is settled, looked at again tomorrow if not."""
    claimed_later = {_id(each): each for each in due}
    store.lock_contracts(connection, sorted(claimed_later))
    claimed = timers.claim(connection, due)
    commands = [ContractCommand(actor=SYSTEM, contract_id=_id(each)) for each in claimed]
    outcomes = close(connection, commands, at=at)
    _set_again(connection, claimed, outcomes, at)
    return len(claimed)


_HANDLERS: Final = MappingProxyType(
    {
        "escrow.auto_release": auto_release,
        "escrow.security_hold": security_hold,
        "escrow.refund_reply": refund_reply,
        "escrow.fund_interactive": fund_expiry,
        "escrow.fund_bank": fund_expiry,
        "escrow.dormant": dormant,
        "escrow.close_contract": close_contract,
        **WEEKS,
        **LINE_HANDLERS,
        **DEPOSIT_HANDLERS,
        **DISPUTE_HANDLERS,
        **RETAINER_HANDLERS,
        **RESERVE_HANDLERS,
    }
)

HANDLERS: Final = MappingProxyType(
    {kind: after_notice(handler, kind) for kind, handler in _HANDLERS.items()}
)
"""The kinds of timers that this room fires, for the engine's table of handlers."""


def _id(timer: DueTimer) -> UUID:
    return UUID(timer.subject.partition(":")[2])


def _claim(
    connection: Connection, due: Sequence[DueTimer], locked: Mapping[UUID, object]
) -> list[DueTimer]:
    return timers.claim(connection, [each for each in due if _id(each) in locked])


def _settle(
    connection: Connection,
    asleep: Sequence[DueTimer],
    deals: Mapping[UUID, Deal],
    at: datetime,
) -> None:
    """Release or refund what is dormant, within the limit; above it an operator decides."""
    small = [each for each in asleep if _is_small(deals[_id(each)])]
    commands = [SlotCommand(actor=SYSTEM, slot_id=_id(each)) for each in small]
    if commands:
        _set_again(connection, small, settle_dormant(connection, commands, at=at), at)


def _is_small(deal: Deal) -> bool:
    return deal.slot.held_minor <= deal.contract.terms.dormant_limit_minor


def _set_again(
    connection: Connection, claimed: Sequence[DueTimer], outcomes: Sequence[Outcome], at: datetime
) -> None:
    """Keep the clocks of what was refused for a reason that passes."""
    held = [t for t, o in zip(claimed, outcomes, strict=True) if o.code == Held.code]
    later = [
        t
        for t, o in zip(claimed, outcomes, strict=True)
        if o.code in {NotCleared.code, NotSettled.code, AboveLimit.code}
    ]
    if held:
        timers.arm(connection, [_anew(each, each.due_at) for each in held])
        for kind in {each.kind for each in held}:
            subjects = [each.subject for each in held if each.kind == kind]
            timers.pause(connection, subjects, at=at, kinds=[kind])
    timers.arm(connection, [_anew(each, at + AGAIN) for each in later])


def _anew(timer: DueTimer, due_at: datetime) -> Arm:
    return Arm(timer.subject, timer.kind, due_at, timer.subject_version)
