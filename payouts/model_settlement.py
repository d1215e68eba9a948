"""What the daily settlement looks at and comes to: where money lies, per currency and processor."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from rails.model import RailAccount

Way = tuple[str, str, str]
"""From, to, and the rail account at the processor's end; empty between banks."""

_PROCESSOR = RailAccount.PROCESSOR_AVAILABLE.value


class Mode(StrEnum):
    """What becomes of money at a processor that nothing promised needs."""

    LAND = "land"
    STAY = "stay"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessorPosition:
    """What lies at one rail account of the platform's own, and what it must keep.

    `available_minor` may be below zero. `refunds_minor` and `payouts_minor` are promised by this
    rail and not gone. `floor_minor` is kept beyond them, as far as it is there.
    """

    rail_account: str
    available_minor: int = 0
    refunds_minor: int = 0
    payouts_minor: int = 0
    floor_minor: int = 0
    mode: Mode = Mode.LAND

    @property
    def promised_minor(self) -> int:
        """What must be there for refunds and payouts."""
        return self.refunds_minor + self.payouts_minor


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """One currency before its settlement, in minor units as people say them: never signed lines.

    `due_to_platform_minor` is earned fees still in client money, `due_from_platform_minor` what
    the platform owes it. `payouts_minor` are promised by the custody bank and not gone. `under_way`
    is what settlements moved earlier and no rail has confirmed.
    """

    currency: str
    due_to_platform_minor: int = 0
    due_from_platform_minor: int = 0
    processors: tuple[ProcessorPosition, ...] = ()
    bank_minor: int = 0
    platform_bank_minor: int = 0
    payouts_minor: int = 0
    under_way: Mapping[Way, int] = field(default_factory=dict)

    def leaving(self, account: str, rail_account: str | None = None) -> int:
        """What is under way out of an account; of one processor where it is named."""
        return sum(
            minor
            for (source, _, at), minor in self.under_way.items()
            if source == account and rail_account in {None, at}
        )

    def coming(self, rail_account: str) -> int:
        """What is under way to a processor."""
        return sum(
            minor
            for (_, target, at), minor in self.under_way.items()
            if target == _PROCESSOR and at == rail_account
        )


@dataclass(frozen=True, slots=True)
class Transfer:
    """Real money to be moved between two accounts (RailAccount values, or the owner).

    `rail_account` says which processor, where one of both ends is a processor.
    """

    source: str
    target: str
    amount_minor: int
    rail_account: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What one settlement of one currency comes to.

    `set_off_minor` is booked at once; `transfers` are asked of rails, in this order, and booked
    when they confirm. `shortfall_minor` is what the platform owes and has no money for;
    `postponed_minor` is earned fees that wait for cash in the custody bank; `short_at` what
    processors lack for what they promised and no bank can bring.
    """

    currency: str
    set_off_minor: int
    transfers: tuple[Transfer, ...]
    shortfall_minor: int
    postponed_minor: int
    short_at: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to settle."""
        return not (self.set_off_minor or self.transfers)
