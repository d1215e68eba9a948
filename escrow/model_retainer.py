"""What a retainer keeps: its terms, its periods, what was drawn from them, what is carried over.

Amounts are minor units of the contract's currency. A period's money lies in the slot of the same
id, with the machine and the checks of every slot.
"""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from escrow.model import Contract, Method, Plan, Role, Terms
from kernel.commands import Command


class RetainerState(StrEnum):
    """The life of a retainer: offered, running, ending after notice, over."""

    OFFERED = "offered"
    RUNNING = "running"
    ENDING = "ending"
    ENDED = "ended"


class PeriodState(StrEnum):
    """The life of a period (domain/escrow.md 2.6)."""

    SCHEDULED = "scheduled"
    FUNDING = "funding"
    FUNDED = "funded"
    ACTIVE = "active"
    PAUSED = "paused"
    CLOSING = "closing"
    SETTLED = "settled"
    LAPSED = "lapsed"
    CANCELLED = "cancelled"


class DrawdownState(StrEnum):
    """What the payee drew waits for the client, or for its clock.

    What exceeds the period is `charging` until its own payment is there; `unpaid` if that never
    came, `lapsed` if the client never said yes, `settled` if its slot was closed another way.
    """

    SUBMITTED = "submitted"
    APPROVED = "approved"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    CHARGING = "charging"
    LAPSED = "lapsed"
    UNPAID = "unpaid"
    SETTLED = "settled"


class RetainerKind(StrEnum):
    """What the client pays for: being there, hours, or pieces of work."""

    ACCESS_FEE = "access_fee"
    HOURS_DRAWDOWN = "hours_drawdown"
    DELIVERABLE_QUOTA = "deliverable_quota"


class Every(StrEnum):
    """How long a period is."""

    WEEK = "week"
    TWO_WEEKS = "two_weeks"
    MONTH = "month"
    QUARTER = "quarter"


class Unused(StrEnum):
    """Whose the money is that nobody drew: it rolls, or is one party's; never the platform's."""

    ROLL = "roll"
    TO_PAYEE = "to_payee"
    TO_CLIENT = "to_client"


class Overage(StrEnum):
    """What becomes of a drawdown above what the period holds.

    It is refused; or charged once the client has said yes; or charged unless he says no.
    """

    BLOCK = "block"
    APPROVE = "approve"
    BILL = "bill"


class OnPause(StrEnum):
    """What a pause does: the end moves by its days, or they are not paid for."""

    EXTEND = "extend"
    PRORATE = "prorate"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetainerTerms:
    """What the proposer sets and acceptance pins.

    `hourly_minor` prices the minutes of an hours drawdown, `quota` is the number of pieces that
    the amount pays for. `roll_cap_minor` bounds what is carried into one period, `roll_periods`
    for how many further periods money may be used; what exceeds either goes to `rest`, which is
    never ROLL. The method is charged for each period by the engine. `overage_minor` prices an
    hour or a piece above what the period holds; 0: as those within.
    """

    kind: RetainerKind
    amount_minor: int
    every: Every
    anchor_on: date
    zone: str = "UTC"
    unused: Unused = Unused.TO_CLIENT
    rest: Unused = Unused.TO_CLIENT
    roll_cap_minor: int = 0
    roll_periods: int = 1
    hourly_minor: int = 0
    quota: int = 0
    overage: Overage = Overage.BLOCK
    overage_minor: int = 0
    on_pause: OnPause = OnPause.EXTEND
    notice_days: int = 14
    method: Method = Method.CARD
    method_token: str = ""
    rail_account: str = "simulated"


@dataclass(frozen=True, slots=True)
class Retainer:
    """A term of kind `retainer`; `cancel_asked_by` gave notice, and it ends at `ends_at`.

    `pause_asked_by` waits for the other side to agree. `shift_days` is by how much pauses have
    moved the periods from the calendar of the anchor.
    """

    id: UUID
    contract_id: UUID
    proposed_by: Role
    state: RetainerState
    version: int
    terms: RetainerTerms
    created_at: datetime
    accepted_at: datetime | None = None
    cancel_asked_by: Role | None = None
    ends_at: datetime | None = None
    pause_asked_by: Role | None = None
    shift_days: int = 0


@dataclass(frozen=True, slots=True)
class Period:
    """One period; its id is its slot's. `attempts` counts the charges since `opened_at`.

    `paused_days` were days of pauses that are over and are not paid for.
    """

    id: UUID
    retainer_id: UUID
    contract_id: UUID
    number: int
    first_on: date
    next_on: date
    starts_at: datetime
    ends_at: datetime
    state: PeriodState
    version: int
    attempts: int = 0
    opened_at: datetime | None = None
    paused_at: datetime | None = None
    paused_days: int = 0


@dataclass(frozen=True, slots=True)
class Drawdown:
    """Work that the payee charges against a period: minutes or pieces, and their worth.

    `exceeds`: more than the period held; once charged it has a slot of its own, `slot_id`, and
    `attempts` counts the charges since `opened_at`.
    """

    id: UUID
    period_id: UUID
    seq: int
    units: int
    amount_minor: int
    message_ref: str
    state: DrawdownState
    version: int
    submitted_at: datetime
    due_at: datetime
    release_id: UUID | None = None
    exceeds: bool = False
    slot_id: UUID | None = None
    attempts: int = 0
    opened_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Worked:
    """When the hours of a drawdown were worked; no other hour of the payee may touch them.

    `is_void`: the drawdown was not paid and will not be, so that the hours are free again.
    """

    drawdown_id: UUID
    seq: int
    payee_id: UUID
    started_at: datetime
    ended_at: datetime
    is_void: bool = False


@dataclass(frozen=True, slots=True)
class Carried:
    """A lot that was rolled into a period's slot, and the last period in which it may be used."""

    slot_id: UUID
    seq: int
    expires_no: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Moves:
    """What one decided step of a retainer will write, beside the plan of the deal."""

    plan: Plan
    retainers: tuple[Retainer, ...] = ()
    moved_retainers: tuple[tuple[Retainer, Retainer], ...] = ()
    periods: tuple[Period, ...] = ()
    moved_periods: tuple[tuple[Period, Period], ...] = ()
    drawdowns: tuple[Drawdown, ...] = ()
    moved_drawdowns: tuple[tuple[Drawdown, Drawdown], ...] = ()
    carried: tuple[Carried, ...] = ()
    worked: tuple[Worked, ...] = ()
    voided: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferRetainer(Command):
    """Offer a retainer: under a contract there is, or with the contract that `new` describes."""

    contract_id: UUID
    retainer_id: UUID
    terms: RetainerTerms
    new: "NewContract | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewContract:
    """The contract that comes into being with a retainer."""

    client_id: UUID
    payee_id: UUID
    currency: str
    terms: Terms


@dataclass(frozen=True, slots=True, kw_only=True)
class RetainerCommand(Command):
    """A command on a retainer: accept, cancel, pause, resume."""

    retainer_id: UUID
    version: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw(Command):
    """Charge work against a period: `units` pieces of a quota, or the hours that were worked.

    `over_id` is the id of what exceeds the period, if anything does.
    """

    period_id: UUID
    drawdown_id: UUID
    message_ref: str
    over_id: UUID | None = None
    units: int = 0
    hours: tuple[tuple[datetime, datetime], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawdownCommand(Command):
    """A command on a drawdown: approve, reject, withdraw."""

    drawdown_id: UUID
    version: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Ground:
    """A retainer with its contract, as locked."""

    retainer: Retainer
    contract: Contract
