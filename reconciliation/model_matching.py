"""Candidates of both sides, the arguments of the rules, matches and proposals. Pure."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from hashlib import sha256
from typing import Final

VERSION: Final = "1"
"""The version of the rules, kept with every match that they make."""

ROUNDING: Final = "platform.expense.rounding"
"""Where the difference of an automatic R4 goes (P46)."""

PROCESSOR_FEE: Final = "platform.expense.processor"
"""Where the difference of a larger R4 goes, if a person accepts it."""

PREFIX: Final = 16
"""Banks cut references short: so many signs of one are enough to know it by, with the amount."""

_TOKEN: Final = re.compile(r"[A-Z0-9]{8,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A statement line, or an item of the books, on its way to a match.

    `key` names it and never changes. `names` are ids of this very movement, best first: the rail's
    own, the end-to-end id. `others` are names of what it belongs to (a charge, a payout), `groups`
    of the batch or payout it is part of, or is. All of them are plain (`plain`).
    """

    key: str
    amount_minor: int
    on: date
    names: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    text: str = ""

    @property
    def order(self) -> tuple[date, str]:
        """The place in which it is looked at."""
        return self.on, self.key


Items = Sequence[Candidate]
"""Candidates of the books."""

Day = date


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The arguments of matching; amounts in minor units, days are business days (no holidays).

    Args:
        window_days: how far apart the two dates of R1 and R5 may be.
        tolerance_minor: the largest difference that R4 takes by itself.
        tolerance_bps: the largest share of the amount that R4 proposes beyond that.
        posts_differences: whether someone is there to post what R4 finds; else it proposes.
        most_sums: how many lines R6 tries to make of several items, and the other way round.
        barred: pairs of line and item that a person took apart; no rule brings them together.
    """

    window_days: int = 5
    tolerance_minor: int = 2
    tolerance_bps: int = 300
    posts_differences: bool = False
    most_sums: int = 200
    barred: frozenset[tuple[str, str]] = frozenset()

    def bars(self, lines: Iterable[Candidate], items: Sequence[Candidate]) -> bool:
        """Whether a person took any of these apart."""
        return bool(self.barred) and any(
            (line.key, item.key) in self.barred for line in lines for item in items
        )


@dataclass(frozen=True, slots=True)
class Found:
    """A match, or a proposal of one. `score` is 1000 for certain.

    `difference_minor` is what the statement has more than the books; not zero with R4 alone.
    `amounts` are those of the lines, then of the items.
    """

    rule: str
    score: int
    lines: tuple[str, ...]
    items: tuple[str, ...]
    difference_minor: int = 0
    is_proposal: bool = False
    amounts: tuple[int, ...] = ()

    @property
    def stated(self) -> list[tuple[str, int]]:
        """Its lines, each with its amount."""
        return list(zip(self.lines, self.amounts, strict=False))

    @property
    def booked(self) -> list[tuple[str, int]]:
        """Its items, each with its amount."""
        return list(zip(self.items, self.amounts[len(self.lines) :], strict=True))

    @property
    def members_hash(self) -> bytes:
        """SHA-256 of who is in it."""
        return sha256(f"{','.join(self.lines)}|{','.join(self.items)}".encode()).digest()

    @property
    def difference_account(self) -> str:
        """Where the difference goes if it is posted."""
        if not self.difference_minor:
            return ""
        return PROCESSOR_FEE if self.is_proposal and self.score < 900 else ROUNDING


def found_of(
    rule: str,
    lines: Sequence[Candidate],
    items: Items,
    *,
    score: int = 1000,
    difference_minor: int = 0,
    is_proposal: bool = False,
) -> Found:
    """A match of these, its members in the order of their keys."""
    some_lines = sorted(lines, key=lambda each: each.key)
    some_items = sorted(items, key=lambda each: each.key)
    return Found(
        rule,
        score,
        tuple(line.key for line in some_lines),
        tuple(item.key for item in some_items),
        difference_minor,
        is_proposal,
        tuple(each.amount_minor for each in (*some_lines, *some_items)),
    )


def plain(name: str) -> str:
    """A name as it is compared: capital letters and digits, since banks change all others."""
    return "".join(sign for sign in name.upper() if sign.isascii() and sign.isalnum())


def plain_names(names: Sequence[str]) -> tuple[str, ...]:
    """Names as they are compared, each once, those too short to mean anything left out."""
    found = (plain(name) for name in names)
    return tuple(dict.fromkeys(name for name in found if len(name) >= 4))


def references(candidate: Candidate) -> set[str]:
    """All that it may be known by, each cut to what a bank leaves of it, and words of its text."""
    told = {*candidate.names, *candidate.others, *candidate.groups}
    told |= {word for word in _TOKEN.findall(candidate.text.upper()) if not word.isalpha()}
    return {name[:PREFIX] for name in told if len(name) >= 8}


def business_days(one: date, other: Day) -> int:
    """Days from Monday to Friday between two dates, whichever is earlier."""
    first, last = min(one, other), max(one, other)
    weeks, rest = divmod((last - first).days, 7)
    behind = (first + timedelta(days=day) for day in range(1, rest + 1))
    return weeks * 5 + sum(1 for day in behind if day.weekday() < 5)


@dataclass(slots=True)
class Digest:
    """A digest of all that was found, whatever its order: the sum of each one's own."""

    total: int = 0

    def add(self, found: Found) -> None:
        """Count one in."""
        told = (
            f"{found.rule}|{found.score}|{found.difference_minor}|{found.is_proposal:d}"
            f"|{','.join(found.lines)}|{','.join(found.items)}"
        )
        self.total += int.from_bytes(sha256(told.encode()).digest())

    def value(self) -> bytes:
        """32 bytes: the same for the same findings."""
        return sha256(self.total.to_bytes(64)).digest()


def digest(found: Iterable[Found]) -> bytes:
    """The digest of findings."""
    whole = Digest()
    for each in found:
        whole.add(each)
    return whole.value()
