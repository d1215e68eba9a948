"""What one can do now with any subject of escrow, and what happens if nobody does anything."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from escrow import (
    store,
    store_chargeback,
    store_contest,
    store_dispute,
    store_hourly,
    store_hourly_lines,
    store_hybrid,
    store_retainer,
)
from escrow.machine import CONTRACTS, FUNDINGS, REFUNDS, RELEASES, Machine, Timer, Trigger
from escrow.machine_chargeback import CHARGEBACKS
from escrow.machine_claim import CLAIMS
from escrow.machine_dispute import DISPUTES
from escrow.machine_hourly import ENTRIES, LINE_DISPUTES, RUNS, WEEKS
from escrow.machine_hybrid import TERM_AMENDMENTS
from escrow.machine_retainer import DRAWDOWNS, PERIODS, RETAINERS
from escrow.machine_slot import SLOTS
from escrow.model import Contract, Role
from escrow.rules import roles
from escrow.ways import (
    AMENDMENT_WAYS,
    CLAIM_WAYS,
    CONTRACT_WAYS,
    DRAW,
    DRAWDOWN_WAYS,
    FUNDING_WAYS,
    MORE_MILESTONES,
    PERIOD_WAYS,
    RELEASE_WAYS,
    RETAINER_WAYS,
    TIP,
)
from escrow.ways_chargeback import CHARGEBACK_WAYS
from escrow.ways_dispute import DISPUTE_WAYS
from escrow.ways_hourly import ENTRY_WAYS, LINE_WAYS, RUN_WAYS, WEEK_WAYS
from escrow.ways_slot import SLOT_WAYS
from kernel.options import Option, Way, list_options
from kernel.principals import Actor, PrincipalKind


@dataclass(frozen=True, slots=True)
class Subject:
    """A kind of thing that has a machine. `contract_of` names the contract that gives the roles.

    `births` are first steps of other machines that are asked for here: a tip on a contract.
    """

    machine: Machine
    find: Callable[[Connection, Sequence[UUID]], Sequence[Any]]
    ways: Mapping[Trigger, Way] = field(default_factory=dict)
    contract_of: Callable[[Connection, Any], UUID | None] = lambda _, row: row.contract_id
    births: Mapping[Trigger, tuple[Machine, Way]] = field(default_factory=dict)


def _of_slot(connection: Connection, row: Any) -> UUID | None:  # noqa: ANN401  a row with a slot
    return store.find_slots(connection, [row.slot_id])[0].contract_id


def _of_period(connection: Connection, row: Any) -> UUID | None:  # noqa: ANN401  a row with a period
    return store_retainer.find_periods(connection, [row.period_id])[0].contract_id


def _find_claim(connection: Connection, ids: Sequence[UUID]) -> list[Any]:
    found = [store_chargeback.find_claim(connection, each) for each in ids]
    return [each for each in found if each is not None]


SUBJECTS: Final[Mapping[str, Subject]] = MappingProxyType(
    {
        "contract": Subject(
            CONTRACTS,
            store.find_contracts,
            CONTRACT_WAYS,
            lambda _, contract: contract.id,
            {Trigger.PROPOSE: (SLOTS, MORE_MILESTONES), Trigger.CREATE: (FUNDINGS, TIP)},
        ),
        "slot": Subject(SLOTS, store.find_slots, SLOT_WAYS),
        "funding": Subject(FUNDINGS, store.find_fundings, FUNDING_WAYS),
        "release": Subject(RELEASES, store.find_releases, RELEASE_WAYS),
        "refund": Subject(REFUNDS, store.find_refunds, contract_of=_of_slot),
        "dispute": Subject(DISPUTES, store_dispute.find_disputes, DISPUTE_WAYS),
        "claim": Subject(CLAIMS, _find_claim, CLAIM_WAYS, lambda *_: None),
        "chargeback": Subject(CHARGEBACKS, store_contest.find_chargebacks, CHARGEBACK_WAYS),
        "week": Subject(WEEKS, store_hourly.find_weeks, WEEK_WAYS),
        "time_entry": Subject(ENTRIES, store_hourly.find_entries, ENTRY_WAYS),
        "time_run": Subject(RUNS, store_hourly_lines.find_runs, RUN_WAYS),
        "line_dispute": Subject(LINE_DISPUTES, store_hourly_lines.find_lines, LINE_WAYS),
        "term_amendment": Subject(TERM_AMENDMENTS, store_hybrid.find_amendments, AMENDMENT_WAYS),
        "retainer": Subject(RETAINERS, store_retainer.find_retainers, RETAINER_WAYS),
        "period": Subject(
            PERIODS,
            store_retainer.find_periods,
            PERIOD_WAYS,
            births={Trigger.DRAW: (DRAWDOWNS, DRAW)},
        ),
        "drawdown": Subject(DRAWDOWNS, store_retainer.find_drawdowns, DRAWDOWN_WAYS, _of_period),
    }
)
"""Every subject of escrow, by the name that timers and events give it."""


FIRES: Final[Mapping[str, Trigger]] = MappingProxyType(
    {
        f"escrow.{timer}": trigger
        for timer, trigger in (
            (Timer.AUTO_RELEASE, Trigger.AUTO_RELEASE),
            (Timer.REFUND_REPLY, Trigger.REFUND_UNANSWERED),
            (Timer.SECURITY_HOLD, Trigger.HOLD_ENDS),
            (Timer.FUND_INTERACTIVE, Trigger.EXPIRE),
            (Timer.FUND_BANK, Trigger.EXPIRE),
            (Timer.DRAWDOWN_REVIEW, Trigger.REVIEW_ENDS),
            (Timer.RETAINER_ENDS, Trigger.CANCEL),
        )
    }
)
"""The clocks that set off one step of their own subject, and which."""


def find(connection: Connection, kind: str, subject_id: UUID) -> Any | None:  # noqa: ANN401  a row of the kind
    """The subject as it stands, without a lock; None where there is none."""
    found = SUBJECTS[kind].find(connection, [subject_id])
    return found[0] if found else None


def options(
    connection: Connection,
    kind: str,
    row: Any,  # noqa: ANN401  as `find` gave it
    *,
    actor: Actor,
    at: datetime,
) -> list[Option]:
    """Every step from the subject's state, the caller's own with what the service would answer."""
    subject = SUBJECTS[kind]
    births = {
        (row.state, trigger): rows[None, trigger] for trigger, (rows, _) in subject.births.items()
    }
    ways = {trigger: way for trigger, (_, way) in subject.births.items()}
    return list_options(
        connection,
        {**subject.machine, **births},
        {**subject.ways, **ways},
        row,
        mine=mine(connection, kind, row, actor),
        actor=actor,
        at=at,
    )


def contract_of(connection: Connection, kind: str, row: Any) -> Contract | None:  # noqa: ANN401  as `find` gave it
    """The contract that gives the roles; None of what a payee alone has to do with."""
    contract_id = SUBJECTS[kind].contract_of(connection, row)
    return store.find_contracts(connection, [contract_id])[0] if contract_id else None


def mine(
    connection: Connection,
    kind: str,
    row: Any,  # noqa: ANN401  as `find` gave it
    actor: Actor,
) -> tuple[Role, ...]:
    """The roles in which an actor meets this subject."""
    contract = contract_of(connection, kind, row)
    if contract is not None:
        return roles(actor, contract)
    if actor.kind in {PrincipalKind.SYSTEM, PrincipalKind.RAIL}:
        return (Role(actor.kind.value),)
    operator = (Role.OPERATOR,) if actor.is_operator else ()
    return (Role.PAYEE, *operator) if actor.party_id == row.payee_id else operator
