"""What can be asked of hours; ids of new things come from the caller (`kernel.ids.new_id`)."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from escrow.commands import STANDARD
from escrow.model import Method, Terms
from escrow.model_hourly import Collect, Source, Unused
from kernel.commands import Command


@dataclass(frozen=True, slots=True, kw_only=True)
class HourlyOffer:
    """An hourly term as it is offered. `rate_minor` is minor units per hour.

    `week_zone` is an IANA name; `activity_floor` in percent. `method_token` names the means of
    payment that each week is charged to; the client's signature is his consent to that. Where he
    pays ahead (`collect`), `unused` says what becomes of a deposit beyond what was worked.
    """

    term_id: UUID
    rate_minor: int
    limit_minutes: int
    week_zone: str = "UTC"
    activity_floor: int = 10
    method: Method = Method.CARD
    method_token: str = ""
    rail_account: str = "simulated"
    title: str = ""
    collect: Collect = Collect.ARREARS
    unused: Unused = Unused.ROLL


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposeHours(Command):
    """Offer a contract on hours to the other party."""

    contract_id: UUID
    client_id: UUID
    payee_id: UUID
    currency: str
    offer: HourlyOffer
    terms: Terms = STANDARD


@dataclass(frozen=True, slots=True, kw_only=True)
class AddHours(Command):
    """Offer hours under a running contract, beside what it has."""

    contract_id: UUID
    offer: HourlyOffer


@dataclass(frozen=True, slots=True, kw_only=True)
class TermCommand(Command):
    """A command on an hourly term that needs nothing more: accept it."""

    term_id: UUID
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeHours(TermCommand):
    """Another weekly limit, or a higher rate from now on; by the client."""

    limit_minutes: int | None = None
    rate_minor: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Hours as they are logged: whole minutes, past, at most 24 hours. `activity` in percent."""

    entry_id: UUID
    started_at: datetime
    ended_at: datetime
    source: Source = Source.TRACKED
    memo: str = ""
    activity: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class LogTime(TermCommand):
    """Log 1 to 500 intervals, all or none."""

    entries: tuple[Interval, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryCommand(Command):
    """A command on a time entry: delete it, approve a late one. `version`, where given, is its."""

    entry_id: UUID
    version: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EditTime(EntryCommand):
    """Other times, within the same week, or another memo."""

    started_at: datetime | None = None
    ended_at: datetime | None = None
    memo: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WeekCommand(Command):
    """A command on a worked week; the engine's, but for giving up a claim."""

    week_id: UUID
    reason: str = ""
