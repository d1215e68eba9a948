"""The evidence bundle: an export, proofs of single events, the verifier, and how to use them.

A zip that a stranger checks without us, without a network and without this program.
"""

import zipfile
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import orjson
from sqlalchemy import Connection

from kernel.database import Tenant
from kernel.errors import Broken
from ledger import seal, store_log, verify
from ledger.export_folder import Asked, FolderNotEmpty, Progress, as_json, write_into
from ledger.known import Known, UnknownJournalNo
from ledger.log_file import File, Manifest, written

VERIFIER: Final = "verify.py"
README: Final = "README.txt"

# A zip's clock begins here; with a time of its own the same books would give other bytes.
_NO_TIME: Final = (1980, 1, 1, 0, 0, 0)

_GUIDE: Final = """\
The books of {tenant}, {size:,} events, and what you need to check them
{rule}

You need Python 3.11 or newer. You need no network, no database and nothing of ours.

1. Unpack the zip into an empty folder, open a terminal there, and run

       python -I verify.py .

   It reads every event again and prints what it checked. The last line says "Nothing was altered"
   (exit code 0), or the first lines name the first journal number that was (exit code 1). A
   million events take about a minute.

2. You may have got verify.py from us, too. Take it from where the program itself is published, or
   read it: it is one file. It follows docs/verify.md and docs/canonical-bytes.md of the program.

3. What step 1 cannot see: that somebody wrote the *whole* history anew, with all its checkpoints.
   For this, give it a checkpoint that was kept elsewhere (you were sent some, or an earlier bundle
   holds them as checkpoints.txt):

       python -I verify.py . --checkpoint checkpoint-kept-elsewhere.txt

   The log may have grown since; it may not have changed, and it may not have become shorter.

4. Checkpoints are signed. To check that the signer of {tenant} signed them, get his public key
   from him, not from here, install the package `cryptography`, and add

       --public-key "name+0123abcd+..."

5. A single event can be shown to a third person without the rest. Each file of the folder proofs
   holds one event, its path to the root of the log, and the signed checkpoint with that root, if
   there was one:

       python -I verify.py proofs/{example}.json --public-key "name+0123abcd+..."

   The paths of all of them are checked in step 1.

What the files are
    manifest.json     what this is: {size:,} events, root {root}
    log.jsonl         every event with its journal entries and lines, one event a line
    accounts.csv      every account, how many lines it has, and its balance in minor units
    periods.csv       accounting periods and whether they are closed
    blocks.csv        what was sealed when, with the root of the log at that time
    checkpoints.txt   the signed checkpoints that we have
    proofs/           the events that were asked for, each with its path

Amounts are whole minor units (cents): debit positive, credit negative.
To see an event, look for its number: grep '"journal_no":{example},' log.jsonl
"""


def write_bundle(
    connection: Connection,
    *,
    tenant: Tenant,
    asked: Asked,
    proofs: Sequence[int],
    target: Path,
    progress: Progress = lambda _what, _done, _of: None,
) -> Manifest:
    """Write a bundle as a new zip; run it in `kernel.database.snapshot`.

    `proofs` are journal numbers of events to prove one by one; without any it is the newest. At
    `target`, the zip, nothing may stand.

    Refuses: `export.folder_not_empty`, `ledger.unknown_journal_no`, and what
    `ledger.export_folder.write_export` refuses.
    """
    if target.exists() or target.is_symlink():
        raise FolderNotEmpty(folder=str(target))
    target.parent.mkdir(parents=True, exist_ok=True)

    def beside(known: Known, folder: Path) -> list[File]:
        numbers = sorted(set(proofs)) or [known.journal_no]
        proven = [_write_proof(connection, folder, tenant, known, each) for each in numbers]
        return [*proven, *_write_guide(connection, folder, tenant, known, numbers[0])]

    with TemporaryDirectory(prefix=f".{target.name}.unfinished-", dir=target.parent) as held:
        folder = Path(held) / "export"
        folder.mkdir()
        manifest = write_into(
            connection, tenant=tenant, asked=asked, folder=folder, progress=progress, beside=beside
        )
        packed = Path(held) / "bundle.zip"
        _pack(packed, folder, manifest, progress)
        # A link fails where something has come to stand; a rename would overwrite it.
        try:
            target.hardlink_to(packed)
        except FileExistsError as taken:
            raise FolderNotEmpty(folder=str(target)) from taken
    return manifest


def proof_of(
    connection: Connection, *, tenant: Tenant, journal_no: int, size: int
) -> dict[str, Any]:
    """One event with its path to the root of the newest checkpoint up to `size`, or of `size`.

    Refuses: `ledger.unknown_journal_no`.
    """
    if not 1 <= journal_no <= size:
        raise UnknownJournalNo(journal_no=journal_no, newest=size)
    noted = store_log.find_newest_note(connection, journal_no=journal_no, size=size)
    at = size if noted is None else noted[0]
    row = next(store_log.list_events(connection, journal_no, after=journal_no - 1))
    if row.event_id is None:
        raise Broken("a sealed event is not in the books", journal_no=journal_no)
    return {
        "tenant": tenant.name,
        "journal_no": journal_no,
        "size": at,
        "root": seal.root_at(connection, at).hex(),
        "leaf_hash": row.leaf_hash.hex(),
        "proof": [
            each.hex() for each in seal.inclusion(connection, journal_no=journal_no, size=at)
        ],
        "checkpoint": None if noted is None else noted[1],
        "event": as_json(row, tenant=tenant.name),
    }


def _write_proof(
    connection: Connection, folder: Path, tenant: Tenant, known: Known, journal_no: int
) -> File:
    proof = proof_of(connection, tenant=tenant, journal_no=journal_no, size=known.journal_no)
    with written(folder, f"proofs/{journal_no}.json") as out:
        out.write(orjson.dumps(proof, option=orjson.OPT_INDENT_2) + b"\n", rows=1)
    return out.file()


def _write_guide(
    connection: Connection, folder: Path, tenant: Tenant, known: Known, example: int
) -> list[File]:
    title = (
        f"The books of {tenant.name}, {known.journal_no:,} events, and what you need to check them"
    )
    guide = _GUIDE.format(
        tenant=tenant.name,
        size=known.journal_no,
        rule="=" * len(title),
        root=seal.root_at(connection, known.journal_no).hex(),
        example=example,
    )
    with written(folder, README) as readme:
        readme.write(guide.encode())
    with written(folder, VERIFIER) as verifier:
        verifier.write(Path(verify.__file__).read_bytes())
    return [readme.file(), verifier.file()]


def _pack(packed: Path, folder: Path, manifest: Manifest, progress: Progress) -> None:
    """The folder as a zip: what a reader wants first stands first."""
    names = ["README.txt", "manifest.json", *(file.name for file in manifest.files)]
    with zipfile.ZipFile(packed, "x", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for done, name in enumerate(dict.fromkeys(names), 1):
            entry = zipfile.ZipInfo(name, _NO_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            with (
                (folder / name).open("rb") as file,
                archive.open(entry, "w", force_zip64=True) as out,
            ):
                while octets := file.read(1 << 20):
                    out.write(octets)
            progress("files packed", done, len(manifest.files) + 1)
