"""Taking over another system's books: parties, opening balances and control totals of a file.

Pure. Every fault of a file is found and named with its line; a file with one fault is not posted.
Custody balances by itself, in every currency: money at banks and processors against what is owed
to clients. What is left over in the platform's book is its capital.
"""

import re
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Final

from kernel.errors import Refusal
from kernel.money import format_minor, parse_minor
from ledger.chart import CHART, MIRRORS, account
from ledger.model import AccountKey, Book, Entry, Line
from ledger.model_parties import KycState, PartyKind
from ledger.rules import MAX_LINES

FORMAT: Final = "holdfast-adoption/1"

_COUNTED: Final = MappingProxyType(
    {"parties": "party", "balances": "balance", "contracts": "contract", "milestones": "milestone"}
)
MOST_ACCOUNTS: Final = 200_000
"""Accounts that one file may open: they are one event, posted in one piece."""

_OF_ESCROW: Final = frozenset({"contract", "milestone"})
_PEOPLE: Final = frozenset({"party", "payee", "client"})
_MACHINES: Final = frozenset({"slot", "payout", "refund"})
_NOT_OPENED: Final = MappingProxyType(
    {
        "custody.fx": "a conversion under way cannot be taken over",
        "custody.due_from_platform": "pay client money what the platform owes it first",
        "platform.due_to_custody": "pay client money what the platform owes it first",
        "platform.deferred_fees": "it comes with the fee of each milestone",
    }
)
_SUBJECT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)
_REFERENCE: Final = re.compile(r"[^\x00-\x1f\x7f]{1,255}")
_ZERO: Final = re.compile(r"0(?:\.0{1,8})?", re.ASCII)
_COUNTRY: Final = re.compile(r"[A-Z]{2}", re.ASCII)

Leg = tuple[AccountKey, int]
"""One account and what stands on it: debit positive, minor units."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one line of a file; line 0 means the file as a whole."""

    line: int
    field: str
    why: str

    def __str__(self) -> str:
        where = f"line {self.line}" if self.line else "the file"
        return f"{where}, {self.field}: {self.why}"


@dataclass(frozen=True, slots=True)
class Record:
    """One line of a file: its number and its fields, none of them empty."""

    line: int
    cells: Mapping[str, str]

    @property
    def kind(self) -> str:
        """What the record says that it is."""
        return self.cells.get("record", "")


@dataclass(frozen=True, slots=True)
class OpeningParty:
    """A party of the file, by the reference that the marketplace knows it by."""

    line: int
    reference: str
    kind: PartyKind
    country: str | None
    kyc_state: KycState


@dataclass(frozen=True, slots=True)
class OpeningBalance:
    """What stands on one account. `subject` of a party's account is the party's reference."""

    line: int
    kind: str
    subject: str
    currency: str
    amount_minor: int

    @property
    def of_party(self) -> bool:
        """Whether the subject is a party's reference."""
        return CHART[self.kind].subject in _PEOPLE


@dataclass(slots=True)
class Reading:
    """A file while it is read: what was understood, and every fault so far."""

    source: str = ""
    as_of: datetime | None = None
    parties: dict[str, OpeningParty] = field(default_factory=dict)
    balances: dict[tuple[str, str, str], OpeningBalance] = field(default_factory=dict)
    totals: dict[tuple[Book, str], tuple[int, int, int]] = field(default_factory=dict)
    counts: dict[str, tuple[int, int]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def fault(self, record: Record, name: str, why: str) -> None:
        """Note what is wrong with a record."""
        self.faults.append(Fault(record.line, name, why))

    def text(self, record: Record, name: str, *, pattern: re.Pattern[str] = _REFERENCE) -> str:
        """A text that must be there; empty after noting that it is not, or is malformed."""
        value = record.cells.get(name, "")
        if pattern.fullmatch(value) is None:
            self.fault(record, name, f"{value[:40]!r} will not do" if value else "is missing")
            return ""
        return value

    def amount(self, record: Record, name: str, currency: str) -> int:
        """An amount above zero in minor units; 0 where it is absent or was found faulty."""
        value = record.cells.get(name)
        if value is None or not currency:
            return 0
        try:
            return parse_minor(value, currency)
        except Refusal as refusal:
            self.fault(record, name, f"{value[:40]!r}: {refusal.code}")
            return 0

    def number(self, record: Record, name: str, default: int) -> int:
        """A whole number that is not negative."""
        value = record.cells.get(name)
        if value is None:
            return default
        if not (value.isascii() and value.isdigit() and len(value) <= 15):
            self.fault(record, name, f"{value[:40]!r} is no whole number")
            return default
        return int(value)

    def time(self, record: Record, name: str) -> datetime | None:
        """An instant with its zone; None where it is absent or was found faulty."""
        value = record.cells.get(name)
        if value is None:
            return None
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            at = None
        if at is None or at.tzinfo is None:
            self.fault(record, name, f"{value[:40]!r} is no instant: write 2026-01-01T00:00:00Z")
            return None
        return at


def read(records: Iterable[Record], faults: Iterable[Fault], *, at: datetime) -> Reading:
    """Understand header, parties, balances and totals; contracts are read by escrow."""
    reading = Reading(faults=list(faults))
    seen: Counter[str] = Counter()
    for record in records:
        seen[record.kind] += 1
        if record.kind == "header":
            _header(reading, record, at)
        elif record.kind in _READERS:
            _READERS[record.kind](reading, record)
        elif record.kind not in _OF_ESCROW:
            reading.fault(record, "record", f"{record.kind[:40]!r} is no kind of record")
    if seen["header"] != 1:
        reading.faults.append(Fault(0, "header", f"there are {seen['header']}, one is wanted"))
    for name, kind in _COUNTED.items():
        line, said = reading.counts.get(name, (0, 0))
        if said != seen[kind]:
            why = f"the file has {seen[kind]}, its count says {said}"
            reading.faults.append(Fault(line, name, why))
    return reading


def check(reading: Reading, legs: Sequence[Leg]) -> None:
    """Hold the legs against the file's totals, custody against itself, and debts between books."""
    sums: dict[tuple[Book, str], list[int]] = {}
    stands: dict[tuple[str, str], int] = {}
    for key, amount in legs:
        both = sums.setdefault((CHART[key.kind].book, key.currency), [0, 0])
        both[amount < 0] += abs(amount)
        stands[key.kind, key.currency] = stands.get((key.kind, key.currency), 0) + amount
    _check_totals(reading, sums)
    for one, other in MIRRORS:
        for currency in sorted({c for kind, c in stands if kind in {one, other}}):
            if stands.get((one, currency), 0) + stands.get((other, currency), 0) != 0:
                why = f"{one} and {other} do not show the same debt in {currency}"
                reading.faults.append(Fault(0, "balance", why))
    if len(legs) > MOST_ACCOUNTS:
        reading.faults.append(Fault(0, "balance", f"{len(legs)} accounts, {MOST_ACCOUNTS} at most"))
    if not legs:
        reading.faults.append(Fault(0, "balance", "there is nothing to take over"))


def _check_totals(reading: Reading, sums: Mapping[tuple[Book, str], list[int]]) -> None:
    for (book, currency), (debit, credit) in sorted(sums.items()):
        line, *said = reading.totals.get((book, currency), (0, 0, 0))
        if said != [debit, credit]:
            _off(reading, line, f"total of {book} {currency}", currency, [debit, credit], said)
        if book is Book.CUSTODY and debit != credit:
            there, owed = format_minor(debit, currency), format_minor(credit, currency)
            why = f"{there} {currency} are there and {owed} {currency} are owed"
            reading.faults.append(Fault(0, "custody", why))
    for (book, currency), (line, _, _) in sorted(reading.totals.items()):
        if (book, currency) not in sums:
            reading.faults.append(Fault(line, "total", f"nothing stands in {book} {currency}"))


def legs_of(balances: Iterable[OpeningBalance], party_ids: Mapping[str, str]) -> list[Leg]:
    """The accounts of the balances; `party_ids` gives the id of a party's reference."""
    return [
        (
            account(
                each.kind,
                each.currency,
                party_ids[each.subject] if each.of_party else each.subject,
            ),
            each.amount_minor,
        )
        for each in balances
    ]


def entries_of(legs: Iterable[Leg]) -> tuple[Entry, ...]:
    """Balanced entries of at most a thousand lines; what is left of the platform is its capital.

    An account whose counterparts fill more than one entry has a line in each of them.
    """
    stands: dict[AccountKey, int] = {}
    for key, amount in legs:
        stands[key] = stands.get(key, 0) + amount
    rest: dict[str, int] = {}
    for key, amount in stands.items():
        if CHART[key.kind].book is Book.PLATFORM:
            rest[key.currency] = rest.get(key.currency, 0) + amount
    for currency, left in rest.items():
        capital = account("platform.capital", currency)
        stands[capital] = stands.get(capital, 0) - left
    groups: dict[tuple[Book, str], list[Leg]] = {}
    for key, amount in stands.items():
        if amount:
            groups.setdefault((CHART[key.kind].book, key.currency), []).append((key, amount))
    return tuple(
        Entry(book, currency, lines)
        for (book, currency), some in sorted(groups.items())
        for lines in _balanced(some)
    )


def _balanced(legs: Sequence[Leg]) -> Iterable[tuple[Line, ...]]:
    debits = deque((key, amount) for key, amount in legs if amount > 0)
    owing = deque((key, -amount) for key, amount in legs if amount < 0)
    lines: dict[AccountKey, int] = {}
    while debits and owing:
        (debit, there), (credit, owed) = debits.popleft(), owing.popleft()
        if len(lines) + (debit not in lines) + (credit not in lines) > MAX_LINES:
            yield tuple(Line(*each) for each in lines.items())
            lines = {}
        moved = min(there, owed)
        lines[debit] = lines.get(debit, 0) + moved
        lines[credit] = lines.get(credit, 0) - moved
        if there > moved:
            debits.appendleft((debit, there - moved))
        if owed > moved:
            owing.appendleft((credit, owed - moved))
    assert not debits
    assert not owing
    if lines:
        yield tuple(Line(*each) for each in lines.items())


def _header(reading: Reading, record: Record, at: datetime) -> None:
    if record.cells.get("format") != FORMAT:
        reading.fault(record, "format", f"{FORMAT} is wanted")
    reading.source = reading.text(record, "source")
    reading.as_of = reading.time(record, "as_of")
    if "as_of" not in record.cells:
        reading.fault(record, "as_of", "is missing")
    if reading.as_of is not None and reading.as_of > at:
        reading.fault(record, "as_of", "lies in the future")


def _party(reading: Reading, record: Record) -> None:
    reference = reading.text(record, "ref")
    kinds, states = {k.value for k in PartyKind}, {k.value for k in KycState}
    kind, kyc = record.cells.get("kind", ""), record.cells.get("kyc", "none")
    country = record.cells.get("country")
    if kind not in kinds:
        reading.fault(record, "kind", f"one of {', '.join(sorted(kinds))} is wanted")
    if kyc not in states:
        reading.fault(record, "kyc", f"one of {', '.join(sorted(states))} is wanted")
    if country is not None and _COUNTRY.fullmatch(country) is None:
        reading.fault(record, "country", "two capital letters are wanted")
    if reference in reading.parties:
        reading.fault(record, "ref", f"{reference!r} stands in the file twice")
    if reference and kind in kinds and kyc in states:
        reading.parties[reference] = OpeningParty(
            record.line, reference, PartyKind(kind), country, KycState(kyc)
        )


def _balance(reading: Reading, record: Record) -> None:
    kind, currency = record.cells.get("account", ""), record.cells.get("currency", "")
    subject = record.cells.get("subject", "")
    trouble = _bad_account(kind, subject)
    if trouble is not None:
        reading.fault(record, "account", trouble)
        return
    sides = [name for name in ("debit", "credit") if name in record.cells]
    if len(sides) != 1:
        reading.fault(record, "debit", "either a debit or a credit is wanted")
        return
    minor = reading.amount(record, sides[0], currency or "?")
    if not minor:
        return
    signed = minor if sides[0] == "debit" else -minor
    if not CHART[kind].lowest_minor <= signed <= CHART[kind].highest_minor:
        reading.fault(record, sides[0], f"{kind} cannot stand there: nobody owes us that money")
    name = (kind, subject, currency)
    if name in reading.balances:
        reading.fault(record, "account", f"stands in line {reading.balances[name].line} already")
        return
    reading.balances[name] = OpeningBalance(record.line, kind, subject, currency, signed)


def _bad_account(kind: str, subject: str) -> str | None:
    """Why no opening balance can stand on this account; None where it can."""
    row = CHART.get(kind)
    if row is None:
        return f"the chart has no {kind[:60]!r}"
    if kind in _NOT_OPENED:
        return f"{kind}: {_NOT_OPENED[kind]}"
    if row.subject in _MACHINES:
        return f"{kind}: held money comes with its milestone; what is in transit must arrive first"
    if bool(subject) is not bool(row.subject):
        return f"{kind} is kept per {row.subject or 'nothing'}, not {subject[:40]!r}"
    if subject and row.subject not in _PEOPLE and _SUBJECT.fullmatch(subject) is None:
        return f"{kind} is not kept per {subject[:40]!r}"
    return None


def _total(reading: Reading, record: Record) -> None:
    book, currency = record.cells.get("book", ""), record.cells.get("currency", "")
    if book not in set(Book):
        reading.fault(record, "book", "custody or platform is wanted")
        return
    name = (Book(book), currency)
    if name in reading.totals:
        reading.fault(record, "total", f"{book} {currency} has two totals")
    sides = [
        0
        if _ZERO.fullmatch(record.cells.get(side, "0"))
        else reading.amount(record, side, currency or "?")
        for side in ("debit", "credit")
    ]
    reading.totals[name] = (record.line, sides[0], sides[1])


def _count(reading: Reading, record: Record) -> None:
    of = record.cells.get("of", "")
    if of not in _COUNTED:
        reading.fault(record, "of", f"one of {', '.join(_COUNTED)} is wanted")
        return
    reading.counts[of] = (record.line, reading.number(record, "number", 0))


def _off(
    reading: Reading, line: int, name: str, currency: str, found: list[int], said: list[int]
) -> None:
    shown = [f"{format_minor(d, currency)} / {format_minor(c, currency)}" for d, c in (found, said)]
    why = f"debit / credit are {shown[0]}, the file's total says {shown[1]}"
    reading.faults.append(Fault(line, name, why))


_READERS: Final[Mapping[str, Callable[[Reading, Record], None]]] = MappingProxyType(
    {"party": _party, "balance": _balance, "total": _total, "count": _count}
)
