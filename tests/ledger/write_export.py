"""An export of a tenant's sealed books, written for tests by a second hand: from rows."""

from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Connection, text

from ledger import log_file
from ledger.log_file import File, Manifest, written
from tests.ledger.leaf import read_events

_SEALS = "SELECT event_id, journal_no, custody_entries, platform_entries FROM seal"
_ACCOUNTS = """
SELECT code, book, kind, subject, currency, state, line_count, balance_minor FROM account
ORDER BY code
"""
_PERIODS = """
SELECT to_char(lower(during) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
       to_char(upper(during) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), state
FROM period ORDER BY during
"""
_BLOCKS = """
SELECT no, first_journal_no, last_journal_no, encode(root, 'hex'), custody_entries,
       platform_entries, to_char(sealed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
FROM block ORDER BY no
"""


def write_export(connection: Connection, tenant: str, folder: Path) -> Manifest:
    """The whole sealed journal with its lists; the folder must not be there yet."""
    folder.mkdir()
    files = [
        _log(connection, tenant, folder),
        _list(connection, folder, log_file.ACCOUNTS, log_file.ACCOUNT_COLUMNS, _ACCOUNTS),
        _list(connection, folder, log_file.PERIODS, log_file.PERIOD_COLUMNS, _PERIODS),
        _list(connection, folder, log_file.BLOCKS, log_file.BLOCK_COLUMNS, _BLOCKS),
    ]
    size, root = connection.execute(
        text("SELECT last_journal_no, root FROM block ORDER BY no DESC LIMIT 1")
    ).one()
    manifest = Manifest(tenant, size, bytes(root), {}, tuple(files))
    (folder / log_file.MANIFEST).write_bytes(manifest.as_bytes())
    return manifest


def alter(folder: Path, name: str, old: bytes, new: bytes) -> None:
    """Change the first place where `old` stands in a file, and leave its hash as it was."""
    path = folder / name
    octets = path.read_bytes()
    assert old in octets
    path.write_bytes(octets.replace(old, new, 1))


def rehash(folder: Path) -> None:
    """Give the manifest the hashes of the files as they are: a forger who is careful."""
    manifest = log_file.read_manifest(folder)
    files = []
    for file in manifest.files:
        octets = (folder / file.name).read_bytes()
        (folder / file.name).unlink()
        with written(folder, file.name) as out:
            out.write(octets, rows=file.rows)
        files.append(out.file())
    same = (manifest.tenant, manifest.size, manifest.root, manifest.arguments)
    (folder / log_file.MANIFEST).write_bytes(Manifest(*same, tuple(files)).as_bytes())


def _log(connection: Connection, tenant: str, folder: Path) -> File:
    seals = {row.event_id: row for row in connection.execute(text(_SEALS))}
    known = [(seals[event["id"]], event, leaf) for event, leaf in read_events(connection, tenant)]
    known.sort(key=lambda each: int(each[0].journal_no))
    with written(folder, log_file.LOG) as out:
        for seal, event, leaf in known:
            out.write(orjson.dumps(_logged(seal, event, leaf)) + b"\n", rows=1)
    return out.file()


def _logged(seal: Any, event: dict[str, Any], leaf: str) -> dict[str, Any]:
    counts = {"custody": seal.custody_entries, "platform": seal.platform_entries}
    for entry in reversed(event["entries"]):
        entry["book_no"] = counts[entry["book"]]
        counts[entry["book"]] -= 1
        entry["line_count"] = len(entry["lines"])
        for line in entry["lines"]:
            for name in ("amount_minor", "balance_after_minor"):
                line[name] = str(line[name])
    times = {at: event[at].replace("+00:00", "Z") for at in ("effective_at", "recorded_at")}
    numbers = {"journal_no": seal.journal_no, "version": 1, "leaf_hash": leaf}
    return event | times | numbers | {"entry_count": len(event["entries"])}


def _list(
    connection: Connection, folder: Path, name: str, columns: list[str], statement: str
) -> File:
    with written(folder, name) as out:
        out.write_csv([columns], is_header=True)
        out.write_csv([tuple(row) for row in connection.execute(text(statement))])
    return out.file()
