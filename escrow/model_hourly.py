"""What worked hours are made of: the hourly term, its rates, time entries, weeks, lines, claims.

Rows are frozen and in the order of their tables' columns. Times are instants; minutes are whole;
a rate is minor units per hour of the contract's currency.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from escrow.model import Method, Plan, Role
from escrow.model_lines import LineDispute
from escrow.model_runs import TimeRun


class TermState(StrEnum):
    """An hourly term is offered by one side, and runs once the other has signed."""

    PROPOSED = "proposed"
    ACTIVE = "active"


class WeekState(StrEnum):
    """The life of a worked week (domain/escrow.md 2.5).

    `in_review`: charged, and the client may still speak. `advanced`: the platform paid the
    protected hours and has a claim on the client. `unpaid`: nobody paid, none was protected.
    `lines_disputed`: the review is over, what is undisputed is released, some lines are not yet.
    """

    OPEN = "open"
    PAYEE_REVIEW = "payee_review"
    INVOICED = "invoiced"
    CHARGE_FAILED = "charge_failed"
    IN_REVIEW = "in_review"
    LINES_DISPUTED = "lines_disputed"
    RELEASED = "released"
    REFUNDED = "refunded"
    ADVANCED = "advanced"
    UNPAID = "unpaid"
    WRITTEN_OFF = "written_off"
    CLOSED = "closed"


class EntryState(StrEnum):
    """The life of a time entry; a late one needs the client's approval before it is billed."""

    LOGGED = "logged"
    LOCKED = "locked"
    LATE = "late"
    LATE_APPROVED = "late_approved"
    BILLED = "billed"
    DELETED = "deleted"


class Source(StrEnum):
    """Who says that the hours were worked: the tracker, or the payee by hand."""

    TRACKED = "tracked"
    MANUAL = "manual"


class Collect(StrEnum):
    """When the client pays: after the week, or a deposit before it."""

    ARREARS = "arrears"
    PREFUND = "prefund"


class Unused(StrEnum):
    """What becomes of a deposit beyond what was worked: it rolls on, or goes back to the client."""

    ROLL = "roll"
    RETURN = "return"


class Unprotected(StrEnum):
    """Why an entry is not protected, in the order in which the reasons are looked at."""

    NONE = ""
    METHOD_FAILED = "client_method_not_verified"
    IDENTITY = "identity_not_verified"
    PAYEE_HELD = "payee_under_hold"
    LATE = "late"
    NOT_DEPOSITED = "not_deposited"
    MANUAL = "manual"
    NO_MEMO = "no_memo"
    LOW_ACTIVITY = "low_activity"
    OVER_LIMIT = "over_limit"


@dataclass(frozen=True, slots=True)
class HourlyTerm:
    """What the two agreed on hours; all but the limit and the method's good standing is pinned.

    `week_zone` is an IANA name; weeks begin there on Monday at 00:00. `activity_floor` is the
    least activity, in percent, of a protected entry. `method_failed`: the last charge failed and
    none has succeeded since; nothing is logged for what was worked after `paused_at` meanwhile.
    `ended_at`: the contract was ended then.
    """

    term_id: UUID
    contract_id: UUID
    payee_id: UUID
    currency: str
    state: TermState
    version: int
    proposed_by: Role
    week_zone: str
    activity_floor: int
    method: Method
    method_token: str
    rail_account: str
    limit_minutes: int
    method_failed: bool
    created_at: datetime
    accepted_at: datetime | None = None
    collect: Collect = Collect.ARREARS
    unused: Unused = Unused.ROLL
    paused_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Rate:
    """Minor units per hour, for entries that start at or after `from_at`."""

    term_id: UUID
    seq: int
    rate_minor: int
    from_at: datetime


@dataclass(frozen=True, slots=True)
class Week:
    """One worked week of a term: half-open, in instants. `amount_minor` is that of its invoice.

    `advanced_minor` is the gross of the protected hours that the platform paid in advance.
    """

    id: UUID
    term_id: UUID
    contract_id: UUID
    slot_id: UUID | None
    starts_at: datetime
    ends_at: datetime
    invoice_at: datetime
    review_ends_at: datetime
    state: WeekState
    version: int
    limit_minutes: int
    amount_minor: int = 0
    protected_minor: int = 0
    advanced_minor: int = 0
    charge_attempts: int = 0
    code: str = ""

    @property
    def is_prefunded(self) -> bool:
        """Whether it has a slot of its own before it is invoiced, for its deposit."""
        return self.slot_id is not None and self.state in {WeekState.OPEN, WeekState.PAYEE_REVIEW}


@dataclass(frozen=True, slots=True)
class TimeEntry:
    """Hours that the payee worked, within one week. What protects them was noted when logged.

    `week_starts_at` is the week in which they were worked, `week_id` the one that bills them;
    None while a late entry waits. `billed_minutes` and `line_no` are set by the invoice.
    """

    id: UUID
    term_id: UUID
    contract_id: UUID
    payee_id: UUID
    week_starts_at: datetime
    week_id: UUID | None
    started_at: datetime
    ended_at: datetime
    source: Source
    memo: str
    activity: int
    rate_minor: int
    state: EntryState
    version: int
    method_verified: bool
    identity_verified: bool
    payee_clear: bool
    logged_at: datetime
    billed_minutes: int = 0
    over_limit: bool = False
    is_protected: bool = False
    reason: Unprotected = Unprotected.NONE
    line_no: int | None = None

    @property
    def minutes(self) -> int:
        """How long it lasted."""
        return int((self.ended_at - self.started_at).total_seconds()) // 60

    @property
    def is_late(self) -> bool:
        """Whether it came after the invoice of its week."""
        return self.state in {EntryState.LATE, EntryState.LATE_APPROVED} or (
            self.reason is Unprotected.LATE
        )


@dataclass(frozen=True, slots=True)
class WeekLine:
    """One line of an invoice: all minutes of one rate, rounded once.

    `protected_minor` is the part of the amount that stands for protected minutes.
    """

    week_id: UUID
    line_no: int
    rate_minor: int
    is_late: bool
    minutes: int
    amount_minor: int
    protected_minutes: int
    protected_minor: int


@dataclass(frozen=True, slots=True)
class ClientClaim:
    """What a client owes for hours that the platform paid in advance (P28).

    `proposed_by` and `approved_by` are the two people who give it up.
    """

    week_id: UUID
    client_id: UUID
    currency: str
    gross_minor: int
    commission_minor: int
    fee_minor: int
    state: str
    version: int
    made_at: datetime
    proposed_by: UUID | None = None
    approved_by: UUID | None = None

    @property
    def net_minor(self) -> int:
        """What the payee was paid in advance."""
        return self.gross_minor - self.commission_minor

    @property
    def total_minor(self) -> int:
        """What the client owes: the hours and his fee."""
        return self.gross_minor + self.fee_minor


@dataclass(frozen=True, slots=True)
class Judged:
    """One entry as it would be billed: how many of its minutes, and whether they are protected."""

    entry: TimeEntry
    billed_minutes: int
    over_limit: bool
    is_protected: bool
    reason: Unprotected


@dataclass(frozen=True, slots=True, kw_only=True)
class Worked:
    """What a decided command writes of hours, beside its plan; `moved_*` as in `Plan`."""

    terms: tuple[HourlyTerm, ...] = ()
    moved_terms: tuple[tuple[HourlyTerm, HourlyTerm], ...] = ()
    rates: tuple[Rate, ...] = ()
    weeks: tuple[Week, ...] = ()
    moved_weeks: tuple[tuple[Week, Week], ...] = ()
    lines: tuple[WeekLine, ...] = ()
    entries: tuple[TimeEntry, ...] = ()
    moved_entries: tuple[tuple[TimeEntry, TimeEntry], ...] = ()
    claims: tuple[ClientClaim, ...] = ()
    moved_claims: tuple[tuple[ClientClaim, ClientClaim], ...] = ()
    disputes: tuple[LineDispute, ...] = ()
    moved_disputes: tuple[tuple[LineDispute, LineDispute], ...] = ()
    runs: tuple[TimeRun, ...] = ()
    moved_runs: tuple[tuple[TimeRun, TimeRun], ...] = ()


class Step(NamedTuple):
    """What one decided command writes: the plan of every deal, and its hours."""

    plan: Plan
    worked: Worked
