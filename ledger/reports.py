"""What all reports share: two axes as arguments, a header with a hash, and canonical JSON.

A report is a frozen dataclass with `as_json()`. The same arguments give the same bytes for ever,
unless the header says `provisional`. Its hash is the SHA-256 of the canonical JSON (keys sorted, no
spaces, UTF-8) of the report without the field `sha256` itself. Amounts are exact texts, times are
UTC. Run a report and `ledger.known.resolve` in one snapshot.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import orjson

from kernel.errors import Refusal
from kernel.money import to_json
from ledger.known import Known, aware

Json = dict[str, Any]


class BadSpan(Refusal):
    """A report begins before it ends."""

    code = "ledger.bad_span"


class UnknownAccount(Refusal):
    """The books have no account of this number."""

    code = "ledger.unknown_account"


@dataclass(frozen=True, slots=True)
class Span:
    """Which effective times count: from `start` (None: the beginning) up to before `end`."""

    start: datetime | None = None
    end: datetime | None = None

    def __post_init__(self) -> None:
        """Refuse times without an offset, and an end that is not behind the start."""
        times = [aware(each) for each in (self.start, self.end) if each is not None]
        if len(times) == 2 and times[0] >= times[1]:
            raise BadSpan(start=times[0].isoformat(), end=times[1].isoformat())

    def as_json(self) -> Json:
        """The bounds as arguments of a report."""
        return {"effective_from": time_text(self.start), "effective_at": time_text(self.end)}


@dataclass(frozen=True, slots=True)
class Header:
    """What was asked, of which prefix of the journal, and the hash of the answer."""

    report: str
    arguments: Mapping[str, Any]
    journal_no: int
    provisional: bool
    sha256: str | None

    def as_json(self) -> Json:
        """The header with stable keys."""
        return {**_head(self.report, self.arguments, self), "sha256": self.sha256}


def header(report: str, arguments: Mapping[str, Any], known: Known, body: Json) -> Header:
    """The header of a report with this body; a provisional one carries no hash."""
    document = {"header": _head(report, arguments, known), **body}
    digest = None if known.provisional else sha256(canonical(document)).hexdigest()
    return Header(report, arguments, known.journal_no, known.provisional, digest)


def canonical(document: Json) -> bytes:
    """A report's JSON as bytes: keys sorted, no spaces, UTF-8."""
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)


def time_text(at: datetime | None) -> str | None:
    """A time as reports write it: UTC, six digits, `Z`."""
    return None if at is None else f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def columns(name: str, amount_minor: int, *, currency: str) -> Json:
    """A signed amount in a debit and a credit column, one of which is zero."""
    return {
        f"{name}_debit": to_json(max(amount_minor, 0), currency),
        f"{name}_credit": to_json(max(-amount_minor, 0), currency),
    }


def _head(report: str, arguments: Mapping[str, Any], known: Known | Header) -> Json:
    return {
        "report": report,
        "arguments": dict(arguments),
        "journal_no": known.journal_no,
        "provisional": known.provisional,
    }
