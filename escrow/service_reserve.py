"""Use cases of reserves and of the limits of rails, and what their clocks set off."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from escrow import rules_clock, rules_reserve, store, store_reserve
from escrow.clocks import MAX_HOLD, RESERVE_RELEASE, ROOM
from escrow.model import Plan
from escrow.model_clocks import GiveReserve, ReserveRule, ReserveState, SetHoldLimit, SetReserveRule
from escrow.refusals import Held
from escrow.service_batch import held_by, list_holds, run, share_people
from kernel import timers
from kernel.commands import Outcome
from kernel.principals import SYSTEM
from kernel.timers import Arm, DueTimer
from ledger import parties
from ledger.model import Draft
from ledger.service import post
from rails.capabilities import CAPABILITIES, rail_of
from rails.model import RailResult

AGAIN: Final = timedelta(days=1)
_ALARMS: Final = 3
_PER_ALARM: Final = 1_000_000
_MARKS: Final = MappingProxyType({3: (2, 3), 2: (5, 6), 1: (17, 18), 0: (1, 1)})
"""By the alarms that are left with it: after which part of the limit the clock rings."""

Settle = Callable[[Connection, str, datetime], int]
"""Moves what lies with a rail account to the bank; how many transfers were asked for."""


def set_reserve_rule(
    connection: Connection, commands: Sequence[SetReserveRule], *, at: datetime
) -> list[Outcome]:
    """Set what part of a payee's releases is kept back; by an operator in person."""
    known = frozenset(parties.find_many(connection, [each.payee_id for each in commands]))
    outcomes = run(
        connection, commands, lambda each: rules_clock.set_reserve_rule(each, known, at), at=at
    )
    for command, outcome in zip(commands, outcomes, strict=True):
        if outcome.is_done:
            rule = ReserveRule(command.payee_id, command.reserve_bps, command.reserve_days)
            store_reserve.save_rule(connection, rule, reason=command.reason)
    return outcomes


def set_hold_limit(
    connection: Connection, commands: Sequence[SetHoldLimit], *, at: datetime
) -> list[Outcome]:
    """Set how long a rail account may keep client money; by an operator in person."""
    outcomes = run(connection, commands, lambda each: rules_clock.set_hold_limit(each, at), at=at)
    for command, outcome in zip(commands, outcomes, strict=True):
        if outcome.is_done:
            store_reserve.save_limit(connection, command.rail_account, most_days=command.most_days)
    return outcomes


def reserve_release(connection: Connection, due: Sequence[DueTimer], at: datetime) -> int:
    """Reserves whose time is over: given, or looked at again in a day while a hold stands."""
    ids = [_id(each) for each in due]
    known = store.find_contracts(connection, store_reserve.find_contract_ids(connection, ids))
    share_people(connection, known)
    contracts = {
        each.id: each for each in store.share_contracts(connection, [each.id for each in known])
    }
    locked = {kept.id: (kept, slot) for kept, slot in store_reserve.lock_reserves(connection, ids)}
    claimed = timers.claim(connection, [each for each in due if _id(each) in locked])
    slots = [f"slot:{slot}" for _, slot in locked.values() if slot]
    open_holds = list_holds(connection, contracts.values(), slots)

    def decide(command: GiveReserve) -> Plan:
        kept, slot = locked[command.reserve_id]
        contract = contracts[kept.contract_id]
        blocked = held_by(open_holds, contract, f"slot:{slot}")
        return rules_reserve.give(kept, contract, blocked, command, at)

    commands = [GiveReserve(actor=SYSTEM, reserve_id=_id(each)) for each in claimed]
    outcomes = run(connection, commands, decide, at=at)
    given = [
        command.reserve_id
        for command, outcome in zip(commands, outcomes, strict=True)
        if outcome.is_done and locked[command.reserve_id][0].state is ReserveState.KEPT
    ]
    store_reserve.save_given(connection, given)
    again = [
        Arm(timer.subject, timer.kind, at + AGAIN, timer.subject_version)
        for timer, outcome in zip(claimed, outcomes, strict=True)
        if outcome.code == Held.code
    ]
    timers.arm(connection, again, at=at)
    return len(claimed)


def watch_limits(connection: Connection, results: Sequence[RailResult], at: datetime) -> None:
    """Start the clock of money that has just come in by a rail that limits how long it keeps it.

    What an operator set for the rail account counts before the limit that the rail itself has.
    """
    arrived = store_reserve.list_arrived(connection, [each.operation_id for each in results])
    limited = [
        (funding_id, most)
        for funding_id, rail_account, set_days in arrived
        if (most := set_days or rail_limit(rail_account))
    ]
    timers.arm(
        connection,
        [
            Arm(f"funding:{funding_id}", ROOM + MAX_HOLD, at + _until(most, _ALARMS), _stage(most))
            for funding_id, most in limited
        ],
        at=at,
    )


def rail_limit(rail_account: str) -> int | None:
    """The days for which a rail keeps money at most, where its country says nothing else."""
    able = CAPABILITIES.get(rail_of(rail_account))
    return able.hold_deadline_days.get("") if able else None


def _stage(most_days: int, *, alarms_left: int = 3) -> int:
    """The row's version: the limit, and how many alarms are still to come; 0 for none."""
    return alarms_left * _PER_ALARM + most_days if alarms_left else 0


def _read_stage(version: int) -> tuple[int, int]:
    alarms_left, most_days = divmod(version, _PER_ALARM)
    return alarms_left, most_days


def _until(most_days: int, alarms_left: int) -> timedelta:
    """How far into the limit an alarm rings; 0 left: its end."""
    part, of = _MARKS[alarms_left]
    return days(most_days) * part / of


def days(count: int) -> timedelta:
    """So many days."""
    return timedelta(days=count)


def max_hold(settle: Settle) -> Callable[[Connection, Sequence[DueTimer], datetime], int]:
    """What the clock of a rail's limit sets off: three alarms, then a settlement.

    The alarms ring after 60, 75 and 85 of 90 days (2/3, 5/6 and 17/18 of any limit). The row's
    version says which of them is next, and 0 that the limit is over.
    """

    def ring(connection: Connection, due: Sequence[DueTimer], at: datetime) -> int:
        claimed = timers.claim(connection, due)
        near = [each for each in claimed if each.subject_version]
        over = [each for each in claimed if not each.subject_version]
        ends: dict[str, datetime] = {}
        again: list[Arm] = []
        for each in near:
            alarms_left, most = _read_stage(each.subject_version)
            start = each.due_at - _until(most, alarms_left)
            left = alarms_left - 1
            ends[each.subject] = start + days(most)
            again.append(
                Arm(
                    each.subject,
                    each.kind,
                    start + _until(most, left),
                    _stage(most, alarms_left=left),
                )
            )
        timers.arm(connection, again, at=at)
        fundings = {
            f"funding:{each.id}": each
            for each in store.find_fundings(connection, [_id(each) for each in claimed])
        }
        accounts = sorted({fundings[each.subject].rail_account for each in over})
        asked = {account: settle(connection, account, at) for account in accounts}
        drafts = [
            _told("funding.max_hold_near", each, {"ends_at": ends[each.subject].isoformat()}, at)
            for each in near
        ]
        for each in over:
            account = fundings[each.subject].rail_account
            detail = {"rail_account": account, "transfers_asked": asked[account]}
            drafts.append(_told("funding.max_hold_over", each, detail, at))
        if drafts:
            post(connection, drafts)
        return len(claimed)

    return ring


RESERVE_HANDLERS: Final = MappingProxyType({ROOM + RESERVE_RELEASE: reserve_release})
"""The clock of a reserve, for the table of timers; that of a rail's limit needs the settlement."""


def _told(kind: str, timer: DueTimer, detail: Mapping[str, object], at: datetime) -> Draft:
    return Draft(kind, timer.subject, SYSTEM, at, detail=dict(detail))


def _id(timer: DueTimer) -> UUID:
    return UUID(timer.subject.partition(":")[2])
