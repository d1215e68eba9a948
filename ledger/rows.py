"""How accepted drafts become rows: packed for COPY, events with their leaf hash.

Pure. Every line of a batch passes here, so the loops are plain and the packing is done by
`struct`; what it costs stands in decision 0002.
"""

import struct
from collections.abc import Iterator, Sequence
from typing import Final

import orjson

from kernel.copying import NULL, PG_EPOCH_US, bytes_cell, text_cell
from kernel.principals import Actor
from ledger.canonical import VERSION, field, leaf_hash
from ledger.model import Book, Draft, Entry
from ledger.rules import Accepted, Move

EVENT_COLUMNS: Final = (
    "id effective_at recorded_at entry_count actor_id party_id actor_kind kind subject reason"
    " detail leaf_hash"
).split()
ENTRY_COLUMNS: Final = (
    "event_id reverses_event_id entry_no line_count reverses_entry_no book currency"
).split()
LINE_COLUMNS: Final = (
    "account_id account_seq event_id amount_minor balance_after_minor effective_at recorded_at"
    " entry_no line_no"
).split()

EVENT_TYPES: Final = (
    "bigint timestamptz timestamptz smallint uuid uuid text text text text text bytea"
).split()
ENTRY_TYPES: Final = "bigint bigint smallint smallint smallint text text".split()
LINE_TYPES: Final = (
    "bigint bigint bigint bigint bigint timestamptz timestamptz smallint smallint"
).split()

_EVENT: Final = struct.Struct(">hiqiqiqih")
_ENTRY: Final = struct.Struct(">hiq")
_BIGINT: Final = struct.Struct(">iq")
_SMALLINT: Final = struct.Struct(">ih")
_LINE: Final = struct.Struct(">hiqiqiqiqiqiqiqihih")
_HASH_LENGTH: Final = struct.pack(">i", 32)


def pack_lines(accepted: Sequence[Accepted]) -> Iterator[bytes]:
    """The rows of table `line`, in the order of LINE_COLUMNS."""
    pack = _LINE.pack
    for draft, event_id, effective_us, recorded_us, moves in accepted:
        effective, recorded = effective_us - PG_EPOCH_US, recorded_us - PG_EPOCH_US
        at = iter(moves)
        for entry_no, entry in enumerate(draft.entries, 1):
            for line_no in range(1, len(entry.lines) + 1):
                standing, amount, seq, after = next(at)
                yield pack(  # length and value of each of the nine cells
                    *(9, 8, standing.account_id, 8, seq, 8, event_id, 8, amount, 8, after),
                    *(8, effective, 8, recorded, 2, entry_no, 2, line_no),
                )


def pack_entries(accepted: Sequence[Accepted]) -> Iterator[bytes]:
    """The rows of table `entry`, in the order of ENTRY_COLUMNS."""
    tails: dict[tuple[str, str], bytes] = {}
    for draft, event_id, _, _, _ in accepted:
        for entry_no, entry in enumerate(draft.entries, 1):
            name = (entry.book, entry.currency)
            tail = tails.get(name)
            if tail is None:
                tail = tails[name] = text_cell(entry.book.value) + text_cell(entry.currency)
            yield _pack_entry(entry, event_id, entry_no, tail)


def _pack_entry(entry: Entry, event_id: int, entry_no: int, tail: bytes) -> bytes:
    reverses = entry.reverses
    return (
        _ENTRY.pack(7, 8, event_id)
        + (NULL if reverses is None else _BIGINT.pack(8, reverses.event_id))
        + _SMALLINT.pack(2, entry_no)
        + _SMALLINT.pack(2, len(entry.lines))
        + (NULL if reverses is None else _SMALLINT.pack(2, reverses.entry_no))
        + tail
    )


class _Words(dict[str, tuple[str, bytes]]):
    """The canonical field and the cell of a text; kinds and reasons come again and again."""

    def __missing__(self, text: str) -> tuple[str, bytes]:
        made = self[text] = (field(text), text_cell(text))
        return made


class _Heads(dict[tuple[int, Book, str, int], str]):
    """The canonical fields of an entry that reverses nothing, up to its lines."""

    def __missing__(self, key: tuple[int, Book, str, int]) -> str:
        entry_no, book, currency, lines = key
        made = self[key] = (
            f"{field(entry_no)}{field(book.value)}{field(currency)}-,-,{field(lines)}"
        )
        return made


def pack_events(accepted: Sequence[Accepted], tenant: str) -> list[bytes]:
    """The rows of table `event`, in the order of EVENT_COLUMNS, each with its leaf hash.

    What comes again within a batch is spelled once: it takes a third off the time of a batch of
    8,000 (decision 0002).
    """
    head = field(VERSION) + field(tenant)
    words, heads, codes = _Words(), _Heads(), _Words()
    actors: dict[int, tuple[str, bytes]] = {}
    rows = []
    for draft, event_id, effective_us, recorded_us, moves in accepted:
        known = actors.get(id(draft.actor))
        if known is None:
            known = actors[id(draft.actor)] = _name_actor(draft.actor)
        kind, reason = words[draft.kind], words[draft.reason]
        detail = _detail(draft)
        about = words[detail] if detail == "" else (field(detail), text_cell(detail))
        subject = field(draft.subject)
        hashed = leaf_hash(
            f"{head}{field(event_id)}{kind[0]}{subject}{known[0]}{words[str(effective_us)][0]}"
            f"{field(recorded_us)}{reason[0]}{about[0]}"
            f"{_entry_fields(draft, moves, heads, codes)}"
        )
        effective, recorded = effective_us - PG_EPOCH_US, recorded_us - PG_EPOCH_US
        cells = _EVENT.pack(12, 8, event_id, 8, effective, 8, recorded, 2, len(draft.entries))
        rows.append(
            b"".join(
                (
                    *(cells, known[1], kind[1], text_cell(draft.subject), reason[1], about[1]),
                    *(_HASH_LENGTH, hashed),
                )
            )
        )
    return rows


def _detail(draft: Draft) -> str:
    if not draft.detail:
        return ""
    return orjson.dumps(draft.detail, option=orjson.OPT_SORT_KEYS).decode()


def _name_actor(actor: Actor) -> tuple[str, bytes]:
    party = actor.party_id
    return (
        field(actor.kind.value)
        + field(str(actor.principal_id))
        + field(None if party is None else str(party)),
        bytes_cell(actor.principal_id.bytes)
        + bytes_cell(None if party is None else party.bytes)
        + text_cell(actor.kind.value),
    )


def _entry_fields(draft: Draft, moves: Sequence[Move], heads: _Heads, codes: _Words) -> str:
    """The canonical fields of all entries and lines: the count first, then each in order."""
    fields = field(len(draft.entries))
    at = iter(moves)
    for entry_no, entry in enumerate(draft.entries, 1):
        if entry.reverses is None:
            fields += heads[entry_no, entry.book, entry.currency, len(entry.lines)]
        else:
            fields += (
                f"{field(entry_no)}{field(entry.book.value)}{field(entry.currency)}"
                f"{field(entry.reverses.event_id)}{field(entry.reverses.entry_no)}"
                f"{field(len(entry.lines))}"
            )
        for key, _ in entry.lines:
            _, amount, seq, after = next(at)
            a, b, c = str(amount), str(seq), str(after)
            fields += f"{codes[key][0]}{len(a)}:{a},{len(b)}:{b},{len(c)}:{c},"
    return fields
