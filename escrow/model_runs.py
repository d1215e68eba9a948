"""Time that runs: started and not stopped yet. Fields stand in the order of the table."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from kernel.commands import Command


class RunState(StrEnum):
    """The life of a run; what it was worth is in time entries."""

    RUNNING = "running"
    STOPPED = "stopped"
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True)
class TimeRun:
    """The payee works since `started_at`; one at a time, whatever the contract.

    `activity`, in percent, is what the tracker last said of it.
    """

    id: UUID
    term_id: UUID
    contract_id: UUID
    payee_id: UUID
    started_at: datetime
    memo: str
    activity: int
    state: RunState = RunState.RUNNING
    version: int = 1
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StartTime(Command):
    """Begin to work, now."""

    term_id: UUID
    run_id: UUID
    memo: str = ""
    activity: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCommand(Command):
    """Stop or discard what runs. At the stop memo and activity may be told anew."""

    run_id: UUID
    memo: str | None = None
    activity: int | None = None
