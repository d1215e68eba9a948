"""The three-way certificate of one currency and day: ledger, processors, bank. Pure.

    B processor + C bank + D in transit + X being exchanged + breaks
        = A owed to clients and payees + E suspense + F the platform's own, not yet swept

B and C are what statements say, A, E, F and X what the books say. D and the breaks are what is
between the two, each item by itself; what no item explains is shown as unexplained. For the test of
client money assets (CASS 15): resource = B + C + D - F, requirement = A + E.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from typing import Any, Final

import orjson

from kernel.money import to_json
from reconciliation.model_breaks import Kind

FORMAT: Final = "holdfast.certificate/1"

SUSPENSE: Final = "custody.suspense"
TO_PLATFORM: Final = "custody.due_to_platform"
FROM_PLATFORM: Final = "custody.due_from_platform"
BRIDGE: Final = "custody.fx"


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One place at the end of the day: what its statement says and what the books say.

    `stated_minor` is None where no statement ever came: then the books are taken as told, and the
    certificate says that it could not tell. `source` says where the figure is from.
    """

    place: str
    rail_account: str
    stated_minor: int | None
    booked_minor: int
    source: str

    @property
    def minor(self) -> int:
        """What counts."""
        return self.booked_minor if self.stated_minor is None else self.stated_minor


@dataclass(frozen=True, slots=True, kw_only=True)
class Between:
    """One thing that is on one side alone; `gap_minor` is what the books have more because of it.

    `kind` is `timing` for what is on its way, the kind of the break for all else.
    """

    place: str
    rail_account: str
    kind: Kind
    on: date
    gap_minor: int
    told: str
    key: str
    age_days: int = 0
    break_state: str = ""

    @property
    def is_transit(self) -> bool:
        """Whether it is money on its way, and no break."""
        return self.kind is Kind.TIMING


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """All figures of one currency at the end of one day (UTC); amounts as people say them."""

    tenant: str
    currency: str
    on: date
    rules_version: str
    liabilities: tuple[tuple[str, int], ...]
    suspense_minor: int
    due_to_platform_minor: int
    due_from_platform_minor: int
    bridge_minor: int
    held: tuple[Held, ...]
    between: tuple[Between, ...]

    @property
    def liability_minor(self) -> int:
        """A: owed to clients, payees, authorities and states."""
        return sum(minor for _, minor in self.liabilities)

    @property
    def processor_minor(self) -> int:
        """B: at processors, by their own statements."""
        return sum(each.minor for each in self.held if each.place == "processor")

    @property
    def bank_minor(self) -> int:
        """C: in the custody bank, by its statement."""
        return sum(each.minor for each in self.held if each.place == "custody_bank")

    @property
    def transit_minor(self) -> int:
        """D: booked and not on a statement yet, less what a statement has before the books."""
        return sum(each.gap_minor for each in self.between if each.is_transit)

    @property
    def platform_minor(self) -> int:
        """F: the platform's own money not yet swept, less what it owes."""
        return self.due_to_platform_minor - self.due_from_platform_minor

    @property
    def breaks(self) -> list[Between]:
        """What explains the difference."""
        return [each for each in self.between if not each.is_transit]

    @property
    def break_minor(self) -> int:
        """What the breaks explain."""
        return sum(each.gap_minor for each in self.breaks)

    @property
    def difference_minor(self) -> int:
        """What the books say is owed beyond what is there, in transit or being exchanged."""
        return self.requirement_minor + self.platform_minor - self.there_minor

    @property
    def there_minor(self) -> int:
        """B + C + D + X."""
        return self.processor_minor + self.bank_minor + self.transit_minor + self.bridge_minor

    @property
    def unexplained_minor(self) -> int:
        """What no break explains: must be zero."""
        return self.difference_minor - self.break_minor

    @property
    def resource_minor(self) -> int:
        """CASS 15: B + C + D - F."""
        return self.processor_minor + self.bank_minor + self.transit_minor - self.platform_minor

    @property
    def requirement_minor(self) -> int:
        """CASS 15: A + E."""
        return self.liability_minor + self.suspense_minor

    @property
    def shortfall_minor(self) -> int:
        """What client money falls short by, once open conversions are filled."""
        return max(0, self.requirement_minor - self.resource_minor - self.bridge_minor)

    @property
    def untold(self) -> list[Held]:
        """Places with money of which no statement ever came."""
        return [each for each in self.held if each.stated_minor is None and each.booked_minor]

    @property
    def state(self) -> str:
        """`clean`, `breaks`, or `untold` where a place has no statement."""
        if self.breaks or self.unexplained_minor:
            return "breaks"
        return "untold" if self.untold else "clean"

    def as_json(self) -> dict[str, Any]:
        """The certificate as it is stored, sent and printed; the same for the same figures."""

        def told(minor: int) -> dict[str, str]:
            return to_json(minor, self.currency)

        return {
            "format": FORMAT,
            "tenant": self.tenant,
            "currency": self.currency,
            "on": self.on.isoformat(),
            "rules_version": self.rules_version,
            "state": self.state,
            "figures": {
                "a_liability": told(self.liability_minor),
                "b_processor": told(self.processor_minor),
                "c_bank": told(self.bank_minor),
                "d_transit": told(self.transit_minor),
                "e_suspense": told(self.suspense_minor),
                "f_platform": told(self.platform_minor),
                "x_exchanging": told(self.bridge_minor),
                "difference": told(self.difference_minor),
                "breaks": told(self.break_minor),
                "unexplained": told(self.unexplained_minor),
                "resource": told(self.resource_minor),
                "requirement": told(self.requirement_minor),
                "shortfall": told(self.shortfall_minor),
                "due_to_platform": told(self.due_to_platform_minor),
                "due_from_platform": told(self.due_from_platform_minor),
            },
            "liabilities": [
                {"kind": kind, "amount": told(minor)} for kind, minor in self.liabilities
            ],
            "held": [_held(each, self.currency) for each in self.held],
            "in_transit": _items([e for e in self.between if e.is_transit], self.currency),
            "breaks": _items(self.breaks, self.currency),
        }

    def body(self) -> bytes:
        """The bytes that are stored and signed: keys sorted, so that nothing else decides them."""
        return orjson.dumps(self.as_json(), option=orjson.OPT_SORT_KEYS)

    def digest(self) -> bytes:
        """SHA-256 of the body."""
        return sha256(self.body()).digest()


def _held(each: Held, currency: str) -> dict[str, Any]:
    stated = each.stated_minor
    return {
        "place": each.place,
        "rail_account": each.rail_account,
        "statement": None if stated is None else to_json(stated, currency),
        "books": to_json(each.booked_minor, currency),
        "source": each.source,
    }


def _items(between: Sequence[Between], currency: str) -> list[dict[str, Any]]:
    return [
        {
            "place": each.place,
            "rail_account": each.rail_account,
            "kind": each.kind.value,
            "on": each.on.isoformat(),
            "amount": to_json(each.gap_minor, currency),
            "age_days": each.age_days,
            "what": each.told,
            "key": each.key,
            "state": each.break_state,
        }
        for each in between
    ]
