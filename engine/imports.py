"""An import from end to end: all of the export is checked, then posted block by block.

Each group of blocks is a transaction of its own, so a broken-off import goes on where it was.
"""

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from sqlalchemy import Engine

from kernel.database import Tenant, transaction
from ledger import imports, log_file
from ledger.imports import Checked, Folder, Progress

_ACCOUNTS_AT_ONCE: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What an import did. `began_at` events were there from an earlier one that broke off.

    `is_complete` is False after a dry run, or where it was asked to stop. `not_open` are the
    periods that were not open in the export: they came in open, and people close them.
    """

    checked: Checked
    began_at: int
    size: int
    is_complete: bool
    not_open: tuple[str, ...]


def bring_in(
    engine: Engine,
    tenant: Tenant,
    path: Path,
    *,
    dry_run: bool,
    progress: Progress,
    stop: threading.Event,
) -> Imported:
    """Check the export at `path` and post it into the tenant, unless this is a dry run.

    Refuses: `export.unreadable`, `import.other_tenant`, `import.altered`, `import.not_empty`,
    `import.not_postable`.
    """
    with log_file.opened(path) as folder:
        checked = imports.check(folder, tenant.name, progress)
        with transaction(engine, tenant) as connection:
            began_at = imports.begin(connection, folder, checked.manifest)
            if dry_run:
                connection.rollback()
        size = began_at
        if not dry_run:
            for size in _posted(engine, tenant, folder, checked, began_at):
                progress("posting", size, checked.manifest.size)
                if stop.is_set():
                    break
        is_complete = not dry_run and size == checked.manifest.size
        if is_complete:
            for rows in _chunks(folder):
                with transaction(engine, tenant) as connection:
                    imports.finish(connection, rows)
        not_open = tuple(
            f"{row['from'][:10]} to {row['until'][:10]}: {row['state']}"
            for row in log_file.read_rows(folder, log_file.PERIODS)
            if row["state"] != "open"
        )
    return Imported(
        checked=checked, began_at=began_at, size=size, is_complete=is_complete, not_open=not_open
    )


def _posted(
    engine: Engine, tenant: Tenant, folder: Folder, checked: Checked, began_at: int
) -> Iterator[int]:
    """Post what is not there yet; the journal's size after each transaction."""
    manifest = checked.manifest
    missing = (
        piece
        for piece in imports.pieces(folder, manifest)
        if piece.events[-1].journal_no > began_at
    )
    for group in imports.groups(missing):
        with transaction(engine, tenant) as connection:
            size = imports.write_group(connection, tenant.name, group)
        yield size


def _chunks(folder: Folder) -> Iterator[list[Mapping[str, str]]]:
    rows = log_file.read_rows(folder, log_file.ACCOUNTS)
    while chunk := list(islice(rows, _ACCOUNTS_AT_ONCE)):
        yield [*chunk]
