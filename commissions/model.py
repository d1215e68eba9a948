"""What a fee schedule is: bands, flat parts, bounds, and where and when it holds."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cached_property
from itertools import accumulate
from types import MappingProxyType
from typing import Final, NamedTuple
from uuid import UUID


class Side(StrEnum):
    """Who bears the fee: taken from what the payee earns, or added to what the client pays."""

    PAYEE = "payee"
    CLIENT = "client"


class Mode(StrEnum):
    """How the bands are read.

    `marginal`: each part of the sum billed pays the rate of the band that it lies in.
    `whole_amount`: all of a closed period's total pays the rate of the band that it ends in.
    """

    MARGINAL = "marginal"
    WHOLE_AMOUNT = "whole_amount"


class Basis(StrEnum):
    """What a schedule is for: a kind of term, a tip, or all of them."""

    ANY = "any"
    MILESTONE = "milestone"
    HOURLY = "hourly"
    RETAINER = "retainer"
    BONUS = "bonus"


class Band(NamedTuple):
    """A rate (basis points) up to a sum billed, in minor units; the last band has no end."""

    up_to_minor: int | None
    rate_bps: int


@dataclass(frozen=True)
class Tariff:
    """The prices of one schedule in one currency; minor units.

    `per_transaction_minor` is added to every payment, and comes back with all of it alone.
    `floor_minor` and `cap_minor` bound the fee of a payment, `cap_month_minor` that of all
    payments of a pair in a calendar month (UTC). Bands rise, and the last has no end.
    """

    currency: str
    bands: tuple[Band, ...]
    per_transaction_minor: int = 0
    floor_minor: int = 0
    cap_minor: int | None = None
    cap_month_minor: int | None = None

    @cached_property
    def ends(self) -> Sequence[int]:
        """Where each band but the last ends."""
        return [band.up_to_minor for band in self.bands if band.up_to_minor is not None]

    @cached_property
    def before(self) -> Sequence[int]:
        """What all bands before each one come to, minor units times basis points."""
        ends = [0, *self.ends]
        full = (
            (end - start) * band.rate_bps
            for band, start, end in zip(self.bands, ends, ends[1:], strict=False)
        )
        return [0, *accumulate(full)]

    def bps_minor(self, billed_minor: int) -> int:
        """The fee of all that was billed, unrounded: minor units times basis points."""
        at = bisect_left(self.ends, billed_minor)
        start = self.ends[at - 1] if at else 0
        return self.before[at] + (billed_minor - start) * self.bands[at].rate_bps


class Level(StrEnum):
    """Where a schedule comes from, strongest first."""

    CONTRACT = "contract"
    PROMOTION = "promotion"
    AGREEMENT = "agreement"
    PLAN = "plan"
    EXPERIMENT = "experiment"
    CATEGORY = "category"
    DEFAULT = "default"


STRENGTH: Final = MappingProxyType({level: place for place, level in enumerate(Level)})
"""Level -> its place; the least wins. Source: domain/escrow.md 3.2, resolution order."""

_NEVER: Final = datetime.max.replace(tzinfo=UTC)

DIMENSIONS: Final = (
    "contract_id", "promotion", "client_id", "plan", "client_plan", "arm", "category", "origin",
    "country", "basis",
)  # fmt: skip


@dataclass(frozen=True)
class Scope:
    """Which deals a schedule is for; what is None does not matter.

    `plan` is the payee's subscription, `client_plan` the client's, `country` the payee's, `arm`
    an experiment and its arm as `name/arm`, `basis` None or a kind of term.
    """

    contract_id: str | None = None
    promotion: str | None = None
    client_id: str | None = None
    plan: str | None = None
    client_plan: str | None = None
    arm: str | None = None
    category: str | None = None
    origin: str | None = None
    country: str | None = None
    basis: str | None = None

    @cached_property
    def level(self) -> Level:
        """The strongest of its dimensions says where it comes from."""
        if self.contract_id is not None:
            return Level.CONTRACT
        if self.promotion is not None:
            return Level.PROMOTION
        if self.client_id is not None:
            return Level.AGREEMENT
        if self.plan is not None or self.client_plan is not None:
            return Level.PLAN
        if self.arm is not None:
            return Level.EXPERIMENT
        return Level.DEFAULT if self.named == () else Level.CATEGORY

    @cached_property
    def named(self) -> tuple[str, ...]:
        """The dimensions that matter."""
        return tuple(name for name in DIMENSIONS if getattr(self, name) is not None)

    @cached_property
    def wanted(self) -> tuple[tuple[str, str], ...]:
        """The dimensions that matter, each with what it has to be."""
        return tuple((name, getattr(self, name)) for name in self.named)


@dataclass(frozen=True)
class Schedule:
    """One version of a fee schedule: immutable once approved.

    It is in force from `valid_from` until before `valid_to` (None: until further notice), and was
    written down at `recorded_at`.
    """

    id: UUID
    name: str
    version: int
    side: Side
    mode: Mode
    scope: Scope
    priority: int
    tariffs: tuple[Tariff, ...]
    valid_from: datetime
    valid_to: datetime | None
    recorded_at: datetime
    tax_code: str = "standard"

    def tariff(self, currency: str) -> Tariff | None:
        """Its prices in a currency, or None."""
        return self._by_currency.get(currency)

    @cached_property
    def id_text(self) -> str:
        """Its id as it is written."""
        return str(self.id)

    @cached_property
    def told(self) -> tuple[str, str, tuple[str, ...], int, datetime]:
        """What a trace says of it: id, level, dimensions, priority and first day."""
        scope = self.scope
        return (self.id_text, scope.level.value, scope.named, self.priority, self.valid_from)

    @cached_property
    def _by_currency(self) -> Mapping[str, Tariff]:
        return {each.currency: each for each in reversed(self.tariffs)}

    @cached_property
    def strength(self) -> tuple[int, int, int, timedelta]:
        """What decides between schedules that fit a deal, in order: the least is strongest."""
        scope = self.scope
        return (
            STRENGTH[scope.level],
            -len(scope.named),
            -self.priority,
            _NEVER - self.valid_from,
        )

    def is_in_force(self, at: datetime) -> bool:
        """Whether it holds at an instant."""
        return self.valid_from <= at and (self.valid_to is None or at < self.valid_to)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a deal when its fees are chosen; the same names as in Scope."""

    contract_id: str | None = None
    promotion: str | None = None
    client_id: str | None = None
    plan: str | None = None
    client_plan: str | None = None
    arms: frozenset[str] = field(default_factory=frozenset)
    category: str | None = None
    origin: str | None = None
    country: str | None = None
    basis: str | None = None
