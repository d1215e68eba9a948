"""Writing an export: the log and its lists, the formats that were asked for, the manifest last.

All is written into a folder beside the one that was asked for and renamed at the end, so that
nothing half-written is ever taken for whole.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson
from sqlalchemy import Connection

from kernel.database import Tenant
from kernel.errors import Refusal
from ledger import log_file, store_log
from ledger.exports.formats import FORMATS
from ledger.exports.model import ExportedFile, Period
from ledger.known import Known, resolve
from ledger.log_file import File, FileWriter, Manifest, written
from ledger.seal import root_at
from ledger.store_log import LogRow

_PAGE: Final = 500

Progress = Callable[[str, int, int | None], None]
"""Told what is being written, how many rows of it are, and how many there will be, if known."""


class FolderNotEmpty(Refusal):
    """There is something already where the export was to be written."""

    code = "export.folder_not_empty"


class NothingSealed(Refusal):
    """No event is sealed yet, so there is no journal to export; the sealer passes in seconds."""

    code = "export.not_sealed"


class UnknownFormat(Refusal):
    """The books are not written in this format."""

    code = "export.unknown_format"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What an export shall hold.

    `as_of` is a journal number or a time, None for all that is sealed; `period` narrows the
    accounting formats only, the log is always whole.
    """

    formats: tuple[str, ...] = ()
    as_of: datetime | int | None = None
    period: Period | None = None
    is_packed: bool = False

    def as_json(self, size: int) -> dict[str, Any]:
        """As the manifest keeps them; `as_of` is the number that it came to."""
        period = None if self.period is None else [day.isoformat() for day in self.period]
        is_cut = self.as_of is not None
        return {"as_of": size if is_cut else None, "formats": list(self.formats), "period": period}


def write_export(
    connection: Connection,
    *,
    tenant: Tenant,
    asked: Asked,
    folder: Path,
    progress: Progress = lambda _what, _done, _of: None,
) -> Manifest:
    """Write the sealed journal and what belongs to it into a new folder.

    Run it in `kernel.database.snapshot`. Memory does not grow with the journal.

    Refuses: `export.folder_not_empty`, `export.not_sealed`, `export.unknown_format`, and what
    `ledger.known.resolve` refuses.
    """
    with unfinished(folder) as place:
        return write_into(connection, tenant=tenant, asked=asked, folder=place, progress=progress)


def write_into(
    connection: Connection,
    *,
    tenant: Tenant,
    asked: Asked,
    folder: Path,
    progress: Progress,
    beside: Callable[[Known, Path], Sequence[File]] = lambda _known, _folder: (),
) -> Manifest:
    """Write an export into an empty folder; `beside` writes more files of it."""
    unknown = [name for name in asked.formats if name not in FORMATS]
    if unknown:
        raise UnknownFormat(format=unknown[0], formats=", ".join(FORMATS))
    size = resolve(connection, asked.as_of).journal_no
    if not size:
        raise NothingSealed(tenant=tenant.name)
    known = Known(size, provisional=False)
    log = log_file.LOG_GZ if asked.is_packed else log_file.LOG
    files = [_write_log(connection, folder, log, tenant=tenant, size=size, progress=progress)]
    files += _write_lists(connection, folder, size)
    for name in asked.formats:
        files += _write_format(connection, folder, name, known, asked.period, progress)
    files += beside(known, folder)
    root = root_at(connection, size)
    manifest = Manifest(tenant.name, size, root, asked.as_json(size), tuple(files))
    with written(folder, log_file.MANIFEST) as out:
        out.write(manifest.as_bytes())
    return manifest


@contextmanager
def unfinished(target: Path) -> Iterator[Path]:
    """A folder beside the target that becomes the target if the block ends well."""
    refuse_if_taken(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(prefix=f".{target.name}.unfinished-", dir=target.parent))
    try:
        place.chmod(0o755)
        yield place
        try:
            place.rename(target)
        except OSError as taken:
            # Somebody was faster: what he wrote stays.
            raise FolderNotEmpty(folder=str(target)) from taken
        _sync(target.parent)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def refuse_if_taken(target: Path) -> None:
    """Refuse `export.folder_not_empty` unless nothing is there, or an empty folder."""
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise FolderNotEmpty(folder=str(target))
    if target.is_dir() and any(target.iterdir()):
        raise FolderNotEmpty(folder=str(target))


def _sync(folder: Path) -> None:
    """Have the disk know the new name."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_log(
    connection: Connection,
    folder: Path,
    name: str,
    *,
    tenant: Tenant,
    size: int,
    progress: Progress,
) -> File:
    with written(folder, name) as out:
        for row in store_log.list_events(connection, size):
            # An event that is gone leaves a gap, which is what a verifier shall see.
            if row.event_id is not None:
                event = as_json(row, tenant=tenant.name)
                _total(out, event)
                out.write(orjson.dumps(event) + b"\n", rows=1)
            if row.journal_no % _PAGE == 0 or row.journal_no == size:
                progress("events", row.journal_no, size)
    return out.file()


def as_json(row: LogRow, *, tenant: str) -> dict[str, Any]:
    """One line of the log, in the order of its fields (`docs/verify.md`)."""
    drawn = orjson.loads(row.entries) if row.entries is not None else []
    party = row.party_id
    numbers = {"custody": row.custody_entries, "platform": row.platform_entries}
    for entry in drawn:
        numbers[entry["book"]] -= 1
    entries = []
    for entry in drawn:
        numbers[entry["book"]] += 1
        entries.append(_entry_json(entry, numbers[entry["book"]]))
    return {
        "journal_no": row.journal_no,
        "version": 1,
        "tenant": tenant,
        "id": row.event_id,
        "kind": row.kind,
        "subject": row.subject,
        "actor": {
            "kind": row.actor_kind,
            "principal_id": str(row.actor_id),
            "party_id": None if party is None else str(party),
        },
        "effective_at": written_time(row.effective_at),
        "recorded_at": written_time(row.recorded_at),
        "reason": row.reason,
        "detail": row.detail,
        "entry_count": row.entry_count,
        "entries": entries,
        "leaf_hash": row.leaf_hash.hex(),
    }


def _entry_json(entry: Mapping[str, Any], book_no: int) -> dict[str, Any]:
    reverses = entry["reverses_event_id"]
    names = ("account", "amount_minor", "account_seq", "balance_after_minor")
    return {
        "entry_no": entry["entry_no"],
        "book_no": book_no,
        "book": entry["book"],
        "currency": entry["currency"],
        "reverses": None
        if reverses is None
        else {"event_id": reverses, "entry_no": entry["reverses_entry_no"]},
        "line_count": entry["line_count"],
        "lines": [dict(zip(names, line, strict=True)) for line in entry["lines"] or ()],
    }


def _total(out: FileWriter, event: Mapping[str, Any]) -> None:
    """Control totals: entries, lines, and what was debited in each book and currency."""
    for entry in event["entries"]:
        out.add("entries", 1)
        out.add("lines", len(entry["lines"]))
        amounts = [int(line["amount_minor"]) for line in entry["lines"]]
        debit_minor = sum(amount for amount in amounts if amount > 0)
        out.add(f"debit {entry['book']} {entry['currency']}", debit_minor)


def written_time(at: datetime) -> str:
    """A time as the log has it: ISO 8601 in UTC with six digits and `Z`."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _write_lists(connection: Connection, folder: Path, size: int) -> list[File]:
    with written(folder, log_file.ACCOUNTS) as accounts:
        accounts.write_csv([log_file.ACCOUNT_COLUMNS], is_header=True)
        accounts.write_csv(store_log.list_accounts(connection, size))
    with written(folder, log_file.PERIODS) as periods:
        periods.write_csv([log_file.PERIOD_COLUMNS], is_header=True)
        periods.write_csv(
            (written_time(since), written_time(until), state)
            for since, until, state in store_log.list_periods(connection)
        )
    with written(folder, log_file.BLOCKS) as blocks:
        blocks.write_csv([log_file.BLOCK_COLUMNS], is_header=True)
        blocks.write_csv(
            (*numbers, bytes(root).hex(), custody, platform, written_time(sealed_at))
            for *numbers, root, custody, platform, sealed_at in store_log.list_blocks(
                connection, size
            )
        )
    with written(folder, log_file.CHECKPOINTS) as notes:
        for note in store_log.list_notes(connection, size):
            notes.write(b"\n" * bool(notes.rows) + note.encode(), rows=1)
    return [each.file() for each in (accounts, periods, blocks, notes)]


def _write_format(
    connection: Connection,
    folder: Path,
    name: str,
    known: Known,
    period: Period | None,
    progress: Progress,
) -> list[File]:
    done = 0

    def on_lines(count: int) -> None:
        nonlocal done
        done += count
        progress(f"lines of {name}", done, None)

    exported = FORMATS[name](connection, known, folder, period=period, progress=on_lines)
    return [_listed(each) for each in exported]


def _listed(exported: ExportedFile) -> File:
    sums: dict[str, int] = {}
    for currency, (debit_minor, credit_minor) in exported.totals.items():
        sums |= {f"debit {currency}": debit_minor, f"credit {currency}": credit_minor}
    return File(exported.name, exported.rows, sums, exported.sha256)
