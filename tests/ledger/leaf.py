"""A second implementation of docs/canonical-bytes.md, of rows or plain JSON; imports no ledger."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, text

Json = Mapping[str, Any]

_EVENTS = """
SELECT id, kind, subject, actor_kind, actor_id, party_id, effective_at, recorded_at, reason, detail,
       leaf_hash
FROM event ORDER BY id
"""
_ENTRIES = """
SELECT event_id, entry_no, book, currency, reverses_event_id, reverses_entry_no
FROM entry ORDER BY event_id, entry_no
"""
_LINES = """
SELECT l.event_id, l.entry_no, a.code, l.amount_minor, l.account_seq, l.balance_after_minor
FROM line l JOIN account a ON a.id = l.account_id
ORDER BY l.event_id, l.entry_no, l.line_no
"""


def netstring(value: object) -> bytes:
    if value is None:
        return b"-,"
    octets = str(value).encode("utf-8")
    return b"%d:%b," % (len(octets), octets)


def unix_us(at: datetime) -> int:
    """Microseconds since 1970, by the calendar and never by floating seconds."""
    utc = at.astimezone(UTC)
    days = utc.toordinal() - datetime(1970, 1, 1, tzinfo=UTC).toordinal()
    seconds = ((days * 24 + utc.hour) * 60 + utc.minute) * 60 + utc.second
    return seconds * 1_000_000 + utc.microsecond


def fields_of(event: Json) -> bytes:
    """The canonical fields of an event in plain JSON."""
    actor = event["actor"]
    head = [
        *("1", event["tenant"], event["id"], event["kind"], event["subject"]),
        *(actor["kind"], actor["principal_id"], actor["party_id"]),
        *(unix_us(datetime.fromisoformat(event[at])) for at in ("effective_at", "recorded_at")),
        *(event["reason"], event["detail"], len(event["entries"])),
    ]
    written = [netstring(value) for value in head]
    for entry in event["entries"]:
        back = entry["reverses"] or {"event_id": None, "entry_no": None}
        middle = [entry["entry_no"], entry["book"], entry["currency"]]
        middle += [back["event_id"], back["entry_no"], len(entry["lines"])]
        written += [netstring(value) for value in middle]
        for line in entry["lines"]:
            names = ("account", "amount_minor", "account_seq", "balance_after_minor")
            written += [netstring(line[name]) for name in names]
    return b"".join(written)


def leaf_of(event: Json) -> str:
    """The leaf hash of an event in plain JSON, in hexadecimal."""
    return sha256(b"\x00" + fields_of(event)).hexdigest()


def read_events(connection: Connection, tenant: str) -> list[tuple[dict[str, Any], str]]:
    """Every event of the database in plain JSON, with the leaf hash stored beside it."""
    lines: dict[tuple[int, int], list[Json]] = {}
    for event_id, entry_no, code, amount, seq, after in connection.execute(text(_LINES)):
        line = {"account": code, "amount_minor": amount, "account_seq": seq}
        lines.setdefault((event_id, entry_no), []).append(line | {"balance_after_minor": after})
    entries: dict[int, list[Json]] = {}
    for row in connection.execute(text(_ENTRIES)):
        back = {"event_id": row.reverses_event_id, "entry_no": row.reverses_entry_no}
        entry = {
            "entry_no": row.entry_no,
            "book": row.book,
            "currency": row.currency,
            "reverses": back if row.reverses_event_id is not None else None,
            "lines": lines.get((row.event_id, row.entry_no), []),
        }
        entries.setdefault(row.event_id, []).append(entry)
    return [
        (_event(row._mapping, tenant, entries.get(row.id, [])), bytes(row.leaf_hash).hex())
        for row in connection.execute(text(_EVENTS))
    ]


def _event(row: Mapping[Any, Any], tenant: str, entries: Sequence[Json]) -> dict[str, Any]:
    party = row["party_id"]
    actor = {
        "kind": row["actor_kind"],
        "principal_id": str(row["actor_id"]),
        "party_id": None if party is None else str(party),
    }
    same = {name: row[name] for name in ("id", "kind", "subject", "reason", "detail")}
    times = {
        at: row[at].isoformat(timespec="microseconds") for at in ("effective_at", "recorded_at")
    }
    return {"tenant": tenant, **same, "actor": actor, **times, "entries": list(entries)}
