"""Bringing the books of an export into an empty tenant of the same name: checked, then posted.

An export is read block by block, as it was sealed, and never held whole. First all of it is
checked: hashes of its files, leaf hashes, the gapless order, the root of every block. Then each
block is posted, batch by batch with the numbers and times of the export, past every guard of the
database, and sealed in the same transaction: what is there is always a beginning of the export's
journal, from which a broken-off import goes on.

What an export does not hold does not come back: contracts, reservations, the acts of periods. It
is the books, and they are right by themselves.
"""

import struct
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import Any, Final, cast

import orjson
from sqlalchemy import Connection

from kernel.errors import Refusal
from kernel.money import EXPONENTS
from kernel.principals import Actor, PrincipalKind
from ledger import log_file, seal, store, store_imports
from ledger.chart import CHART
from ledger.log_file import LoggedEvent, Manifest
from ledger.merkle import Frontier
from ledger.model import AccountKey, Book, Draft, Entry, Line
from ledger.rows import pack_events
from ledger.rules import Accepted, Batch, Move, Standing, microseconds
from ledger.store_seal import find_head, lock_log

Folder = Path | zipfile.Path
Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""

GROUP_EVENTS: Final = 4_000
"""Events of one transaction, about: several small blocks, or one large one."""

_MOST_UNBLOCKED: Final = 100_000
_CHUNK: Final = 1 << 20
_HASH_LENGTH: Final = 32


class OtherTenant(Refusal):
    """The leaf hash covers the tenant's name: an export goes into a tenant of the same name."""

    code = "import.other_tenant"


class Altered(Refusal):
    """The export is not what was sealed: a hash, a root or the order does not hold."""

    code = "import.altered"


class NotEmpty(Refusal):
    """The tenant has books that are no beginning of this export."""

    code = "import.not_empty"


class NotPostable(Refusal):
    """The database refuses what stands in the export; nothing of that block was written."""

    code = "import.not_postable"


@dataclass(frozen=True, slots=True)
class SealedBlock:
    """One block as `blocks.csv` has it; the root is that of the tree up to its last event."""

    no: int
    first: int
    last: int
    root: bytes
    custody_entries: int
    platform_entries: int
    sealed_at: datetime


@dataclass(frozen=True, slots=True)
class Piece:
    """The events of one block in journal order; `block` is None behind the last block."""

    block: SealedBlock | None
    events: Sequence[LoggedEvent]

    @property
    def batches(self) -> dict[int, list[LoggedEvent]]:
        """The events by the number of their batch, both in order."""
        ordered = sorted(self.events, key=lambda event: event.event_id)
        return {number: list(some) for number, some in groupby(ordered, lambda e: e.event_id >> 14)}


@dataclass(slots=True, kw_only=True)
class Checked:
    """What an export holds, once all of it was found sound."""

    manifest: Manifest
    events: int = 0
    entries: int = 0
    lines: int = 0


def check(folder: Folder, tenant: str, progress: Progress) -> Checked:
    """Read all of an export and hold it against its hashes; nothing is written.

    Refuses: `export.unreadable`, `import.other_tenant`, `import.altered`.
    """
    manifest = log_file.read_manifest(folder)
    if manifest.tenant != tenant:
        raise OtherTenant(export=manifest.tenant, tenant=tenant)
    _check_files(folder, manifest)
    log_file.check_periods(folder)
    checked, tree = Checked(manifest=manifest), Frontier()
    entries = {Book.CUSTODY: 0, Book.PLATFORM: 0}
    for piece in pieces(folder, manifest):
        _check_piece(piece, tree, entries, tenant)
        checked.events += len(piece.events)
        for event in piece.events:
            checked.entries += len(event.entries)
            checked.lines += sum(len(entry.lines) for entry in event.entries)
        progress("checking", checked.events, manifest.size)
    if tree.size != manifest.size or tree.root() != manifest.root:
        raise Altered(field="root", journal_no=tree.size)
    return checked


def pieces(folder: Folder, manifest: Manifest) -> Iterator[Piece]:
    """The export block by block; refuses blocks that do not follow one another."""
    events = log_file.read_log(folder)
    last, sealed_at = 0, datetime.min.replace(tzinfo=UTC)
    for block in _blocks(folder):
        if block.last > manifest.size:
            break
        follows = block.first == last + 1 <= block.last and sealed_at < block.sealed_at
        if not follows or block.sealed_at > datetime.now(UTC):
            raise Altered(field="blocks", journal_no=block.first)
        found = [event for _, event in zip(range(block.last - last), events, strict=False)]
        if len(found) != block.last - last:
            raise Altered(field="log", journal_no=last + len(found) + 1)
        yield Piece(block, found)
        last, sealed_at = block.last, block.sealed_at
    rest = [event for _, event in zip(range(_MOST_UNBLOCKED), events, strict=False)]
    if last + len(rest) != manifest.size:
        raise Altered(field="log", journal_no=last + len(rest))
    if rest:
        yield Piece(None, rest)


def groups(given: Iterable[Piece]) -> Iterator[list[Piece]]:
    """Pieces that are written in one transaction: whole blocks, their batches in rising numbers.

    The guards of the books ask for the rising numbers; within one round of the sealer, and from
    one to the next, they rise but for what was committed late.
    """
    group: list[Piece] = []
    events = newest = 0
    for piece in given:
        numbers = [event.event_id >> 14 for event in piece.events]
        if group and (events >= GROUP_EVENTS or min(numbers) <= newest):
            yield group
            group, events, newest = [], 0, 0
        group.append(piece)
        events += len(piece.events)
        newest = max(newest, *numbers)
    if group:
        yield group


def begin(connection: Connection, folder: Folder, manifest: Manifest) -> int:
    """How much of the export is there already, 0 for an empty tenant; its periods are opened.

    Refuses `import.not_empty` where the tenant's books are no beginning of the export.
    """
    head, said = find_head(connection), store_imports.find_imported(connection)
    events, accounts = store_imports.count_books(connection)
    if said is None:
        if events or accounts:
            raise NotEmpty(events=events, accounts=accounts)
        store_imports.add_imported(connection, manifest.size, manifest.root)
        spans = [
            (row["from"], row["until"]) for row in log_file.read_rows(folder, log_file.PERIODS)
        ]
        store_imports.open_periods(connection, spans)
        return 0
    if said != (manifest.size, manifest.root) or head.size > manifest.size or events != head.size:
        raise NotEmpty(events=events, accounts=accounts)
    return head.size


def write_group(connection: Connection, tenant: str, group: Sequence[Piece]) -> int:
    """Post the batches of some blocks and seal them as they were sealed; the journal's new size.

    Refuses `import.not_postable`, `import.altered`.
    """
    lock_log(connection)
    keys = {code: account_of(code) for piece in group for code in _codes(piece.events)}
    size = 0
    with store_imports.told_why(NotPostable):
        standings = store.lock_accounts(connection, list(keys.values())) if keys else {}
        for piece in group:
            for number, events in piece.batches.items():
                _write_batch(connection, tenant, number, events, keys, standings)
            size = _seal(connection, piece)
        store_imports.go_on_with_numbers(connection)
        store_imports.check_now(connection)
    return size


def finish(connection: Connection, rows: Sequence[Mapping[str, str]]) -> None:
    """Hold some accounts against the export, and freeze or close those that were.

    Accounts that never had a line are opened. Refuses `import.altered`.
    """
    keys = {row["code"]: account_of(row["code"]) for row in rows}
    standings = store.lock_accounts(connection, list(keys.values()))
    for row in rows:
        standing = standings[row["code"]]
        if (str(standing.balance_minor), str(standing.line_count)) != (
            row["balance_minor"],
            row["lines"],
        ):
            raise Altered(field="accounts", account=row["code"])
    states = {row["code"]: row["state"] for row in rows if row["state"] != "open"}
    if states:
        store_imports.save_states(connection, states)


def account_of(code: str) -> AccountKey:
    """The account that a name names; refuses one that the chart does not know."""
    kind, _, rest = code.partition("[")
    subject, closed, currency = rest.rpartition("] ")
    if kind not in CHART or not closed or currency not in EXPONENTS:
        raise Altered(field="account", account=code)
    return AccountKey(kind, subject, currency)


def _blocks(folder: Folder) -> Iterator[SealedBlock]:
    for row in log_file.read_rows(folder, log_file.BLOCKS):
        try:
            yield SealedBlock(
                *(int(row["no"]), int(row["first_journal_no"]), int(row["last_journal_no"])),
                *(bytes.fromhex(row["root"]), int(row["custody_entries"])),
                *(int(row["platform_entries"]), log_file.time_of(row["sealed_at"])),
            )
        except (KeyError, ValueError, TypeError) as trouble:
            raise log_file.NotAnExport(why=f"{log_file.BLOCKS}: {trouble!r}") from trouble


def _check_files(folder: Folder, manifest: Manifest) -> None:
    named = {file.name for file in manifest.files}
    for name in (log_file.ACCOUNTS, log_file.PERIODS, log_file.BLOCKS):
        if name not in named:
            raise log_file.NotAnExport(why=f"{name} is not in the manifest")
    if not named & {log_file.LOG, log_file.LOG_GZ}:
        raise log_file.NotAnExport(why=f"{log_file.LOG} is not in the manifest")
    for file in manifest.files:
        path = folder.joinpath(file.name)
        if not path.exists():
            raise log_file.NotAnExport(why=f"{file.name} is missing")
        digest = sha256()
        with path.open("rb") as octets:
            while chunk := octets.read(_CHUNK):
                digest.update(chunk)
        if digest.hexdigest() != file.sha256:
            raise Altered(field=file.name)


def _check_piece(piece: Piece, tree: Frontier, entries: dict[Book, int], tenant: str) -> None:
    before, first = None, tree.size + 1
    leaves = _leaves_of(piece.events, tenant)
    for journal_no, (event, leaf) in enumerate(zip(piece.events, leaves, strict=True), first):
        wrong = _wrong(event, journal_no, before, entries)
        if wrong or leaf != event.leaf_hash:
            raise Altered(field=wrong or "leaf_hash", journal_no=journal_no)
        before = (event.recorded_at, event.event_id)
    tree.extend(leaves)
    if piece.block is not None:
        counts = (piece.block.custody_entries, piece.block.platform_entries)
        if piece.block.root != tree.root() or counts != tuple(entries.values()):
            raise Altered(field="block", block=piece.block.no, journal_no=piece.block.last)
    for number, events in piece.batches.items():
        if [event.event_id & 0x3FFF for event in events] != list(range(len(events))):
            raise Altered(field="batch", batch=number, journal_no=events[0].journal_no)


def _wrong(
    event: LoggedEvent,
    journal_no: int,
    before: tuple[datetime, int] | None,
    entries: dict[Book, int],
) -> str | None:
    """The first field of an event that is not what it must be; counts its entries."""
    if event.journal_no != journal_no:
        return "journal_no"
    if before is not None and (event.recorded_at, event.event_id) <= before:
        return "recorded_at"
    for number, entry in enumerate(event.entries, start=1):
        book = Book(entry.book)
        entries[book] += 1
        if entry.entry_no != number:
            return "entry_no"
        if entry.book_no != entries[book]:
            return "book_no"
    return None


def _leaves_of(events: Sequence[LoggedEvent], tenant: str) -> list[bytes]:
    """The leaf hashes that the fields of these events give, by the code that posts."""
    keys = {code: account_of(code) for code in _codes(events)}
    nowhere = {code: Standing(code, 0, 0, 0, 0, 0, 0, is_open=True) for code in keys}
    try:
        rows = pack_events([_accepted(event, keys, nowhere) for event in events], tenant)
    except (ValueError, struct.error, TypeError) as trouble:
        # Another kind of actor or book than there is, or a number that no column holds.
        first = events[0].journal_no if events else 0
        raise Altered(field="event", journal_no=first, why=str(trouble)[:200]) from trouble
    return [row[-_HASH_LENGTH:] for row in rows]


def _codes(events: Iterable[LoggedEvent]) -> set[str]:
    return {line.account for event in events for entry in event.entries for line in entry.lines}


def _accepted(
    event: LoggedEvent, keys: Mapping[str, AccountKey], standings: Mapping[str, Standing]
) -> Accepted:
    """The event as the posting path writes it, its accounts moved on; detail is kept as text."""
    moves: list[Move] = []
    recorded_us = microseconds(event.recorded_at)
    for entry in event.entries:
        for line in entry.lines:
            standing = standings[line.account]
            standing.balance_minor = line.balance_after_minor
            standing.line_count = line.account_seq
            standing.newest_us = recorded_us
            moves.append((standing, line.amount_minor, line.account_seq, line.balance_after_minor))
    entries = tuple(
        Entry(
            Book(entry.book),
            entry.currency,
            tuple(Line(keys[line.account], line.amount_minor) for line in entry.lines),
            entry.reverses,
        )
        for entry in event.entries
    )
    detail = orjson.Fragment(event.detail) if event.detail else {}
    draft = Draft(
        event.kind,
        event.subject,
        Actor(event.actor_id, PrincipalKind(event.actor_kind), event.party_id),
        event.effective_at,
        entries,
        event.reason,
        cast(Mapping[str, Any], detail),
    )
    return draft, event.event_id, microseconds(event.effective_at), recorded_us, moves


def _write_batch(
    connection: Connection,
    tenant: str,
    number: int,
    events: Sequence[LoggedEvent],
    keys: Mapping[str, AccountKey],
    standings: Mapping[str, Standing],
) -> None:
    moved = {code: standings[code] for code in _codes(events)}
    for standing in moved.values():
        standing.was_line_count = standing.line_count
    accepted = [_accepted(event, keys, standings) for event in events]
    batch = Batch(number, tenant, microseconds(events[0].recorded_at) - 1)
    store.write_batch(connection, batch, accepted, moved.values())


def _seal(connection: Connection, piece: Piece) -> int:
    """Seal what was just posted: the same events in the same order, at the same time."""
    at = piece.block.sealed_at if piece.block else datetime.now(UTC)
    sealed = seal.seal(connection, at=at, limit=len(piece.events))
    last = piece.events[-1].journal_no
    if sealed.size != last or (piece.block and piece.block.root != sealed.root):
        raise Altered(field="root", journal_no=last)
    return sealed.size
