"""Exports altered by somebody who gives the manifest its new hashes: the verifier is not fooled."""

import gzip
import json
import warnings
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from ledger import verify
from tests.ledger.made_exports import key_text, make, note_of
from tests.ledger.write_export import alter, rehash

EVENTS = 120


@pytest.fixture
def export(tmp_path: Path) -> Path:
    make(tmp_path / "export", EVENTS)
    return tmp_path / "export"


def told(capsys: pytest.CaptureFixture[str], *given: str | Path) -> tuple[int, dict[str, Any]]:
    code = verify.main([*map(str, given), "--jobs=1", "--json"])
    return code, json.loads(capsys.readouterr().out)


def say(export: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Write the manifest anew with a change."""
    manifest = json.loads((export / "manifest.json").read_text())
    change(manifest)
    (export / "manifest.json").write_text(json.dumps(manifest))


def line_of(export: Path, name: str, number: int, change: Callable[[bytes], bytes]) -> None:
    """Change one line of a file, and the manifest with it."""
    lines = (export / name).read_bytes().splitlines(keepends=True)
    changed = change(lines[number - 1])
    assert changed != lines[number - 1]
    (export / name).write_bytes(b"".join([*lines[: number - 1], changed, *lines[number:]]))
    rehash(export)


def twice(export: Path) -> None:
    lines = (export / "accounts.csv").read_bytes().splitlines(keepends=True)
    lines[3] = lines[2]
    (export / "accounts.csv").write_bytes(b"".join(lines))
    rehash(export)


def other_log(export: Path) -> None:
    """A sound packed log beside a forged plain one, both listed."""
    packed = gzip.compress((export / "log.jsonl").read_bytes())
    (export / "log.jsonl.gz").write_bytes(packed)
    file = {
        "name": "log.jsonl.gz",
        "rows": EVENTS,
        "sums": {},
        "sha256": sha256(packed).hexdigest(),
    }
    alter(export, "log.jsonl", b'"amount_minor":"700"', b'"amount_minor":"900"')
    rehash(export)
    say(export, lambda manifest: manifest["files"].append(file))


def in_csv(name: str, old: bytes, new: bytes) -> Callable[[Path], None]:
    return lambda export: line_of(export, name, 3, lambda line: line.replace(old, new, 1))


def in_log(old: bytes, new: bytes, number: int = 5) -> Callable[[Path], None]:
    return lambda export: line_of(export, "log.jsonl", number, lambda line: line.replace(old, new))


def without(name: str) -> Callable[[Path], None]:
    def change(export: Path) -> None:
        files = json.loads((export / "manifest.json").read_text())["files"]
        kept = [each for each in files if each["name"] != name]
        say(export, lambda manifest: manifest.update(files=kept))

    return change


ALTERED: dict[str, Callable[[Path], None]] = {
    "an account twice in place of another": twice,
    "an account under another book": in_csv("accounts.csv", b",custody,", b",platform,"),
    "an account under another currency": in_csv("accounts.csv", b",EUR,", b",USD,"),
    "a block at another time": in_csv("blocks.csv", b"2026-03-03", b"2031-03-03"),
    "a block at no time": in_csv("blocks.csv", b"2026-03-03", b"the third"),
    "a period that ends before it begins": lambda export: line_of(
        export, "periods.csv", 2, lambda line: line.replace(b"2026-04", b"2025-04")
    ),
    "a period of no state": lambda export: line_of(
        export, "periods.csv", 2, lambda line: line.replace(b"open", b"ajar")
    ),
    "other rows in the manifest": lambda export: say(
        export, lambda manifest: manifest["files"][0].update(rows=9)
    ),
    "other totals in the manifest": lambda export: say(
        export, lambda manifest: manifest["files"][0].update(sums={"debit custody EUR": "1"})
    ),
    "a plain and a packed log": other_log,
    "a log that is not listed": without("log.jsonl"),
    "accounts that are not listed": without("accounts.csv"),
    "periods that are not listed": without("periods.csv"),
    "a journal number with a fraction": in_log(b'"journal_no":5,', b'"journal_no":5.9,'),
    "a journal number beyond any": in_log(b'"journal_no":5,', b'"journal_no":1e999,'),
    "a journal number that is true": in_log(b'"journal_no":1,', b'"journal_no":true,', 1),
    "a number of a book with a fraction": in_log(b'"book_no":5,', b'"book_no":5.0,'),
    "a field that no hash covers": in_log(b'{"journal_no"', b'{"approved":"yes","journal_no"'),
    "a carriage return in a list": in_csv("accounts.csv", b"open", b"o\rpen"),
    "a field of a list beyond all measure": in_csv("accounts.csv", b"open", b"o" * 200_000),
}


@pytest.mark.parametrize("name", ALTERED)
def test_an_alteration_with_new_hashes_is_found(
    export: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """Exit 1 with a finding and no traceback, though the manifest was written anew."""
    ALTERED[name](export)

    code, report = told(capsys, export)

    assert code == 1, report
    assert report["findings"]


UNREADABLE: dict[str, Callable[[Path], object]] = {
    "a manifest that says a name twice": lambda export: alter(
        export, "manifest.json", b"{", b'{"tenant": "other",'
    ),
    "a manifest without end": lambda export: (export / "manifest.json").write_bytes(b"[" * 99_999),
    "checkpoints in no letters": lambda export: line_of(
        export, "checkpoints.txt", 1, lambda line: b"\xff\xfe" + line
    ),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_read_is_exit_2(
    export: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """Could not tell, in a sentence."""
    UNREADABLE[name](export)

    code, report = told(capsys, export)

    assert (code, report["result"]) == (2, "could_not_tell")


def test_a_zip_with_two_files_of_one_name_is_not_read(
    export: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Unpacking programs disagree which of the two counts: the forged one must not hide."""
    packed = tmp_path / "two.zip"
    with warnings.catch_warnings(), zipfile.ZipFile(packed, "w") as archive:
        warnings.simplefilter("ignore")
        archive.writestr("log.jsonl", b"forged")
        for path in export.iterdir():
            archive.write(path, path.name)

    code, report = told(capsys, packed)

    assert code == 2
    assert "two files of one name" in report["reasons"][0]


def test_a_packed_line_without_end_is_not_held_whole(
    export: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small packed file may unpack to more than any machine holds: reading stops in time."""
    monkeypatch.setattr(verify, "_LONGEST", 1 << 20)
    packed = gzip.compress(b" " * (64 << 20))
    (export / "log.jsonl.gz").write_bytes(packed)
    file = {"name": "log.jsonl.gz", "rows": 1, "sums": {}, "sha256": sha256(packed).hexdigest()}
    say(export, lambda manifest: manifest.update(files=[*manifest["files"][1:], file]))

    code, report = told(capsys, export)

    assert code == 1
    assert any("a line without an end" in each["sentence"] for each in report["findings"])


def test_events_that_no_checkpoint_covers_are_named(
    export: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An old checkpoint and the key say nothing of what came later: the report says so."""
    _, report = told(capsys, export)
    first = [line for line in (export / "blocks.csv").read_text().splitlines() if line[:2] == "1,"]
    root = bytes.fromhex(first[0].split(",")[3])
    (tmp_path / "kept.txt").write_text(note_of(10, root))
    (export / "checkpoints.txt").write_bytes(b"")
    rehash(export)
    say(export, lambda manifest: manifest["files"][-1].update(rows=0))

    code, again = told(
        capsys, export, "--checkpoint", tmp_path / "kept.txt", "--public-key", key_text()
    )

    assert not any("No checkpoint covers" in each for each in report["remarks"])
    assert (code, again["checkpoints_agree_up_to"]) == (0, 10)
    assert any(
        "No checkpoint covers the events from 11 to 120" in each for each in again["remarks"]
    )


def test_files_that_the_log_does_not_give_are_named(
    export: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What rests on an unsigned manifest alone, or stands beside it, is not called sound."""
    (export / "csv").mkdir()
    (export / "csv" / "lines.csv").write_text("forged\n")
    (export / "csv" / "entries.csv").write_bytes(b"")
    file = {"name": "csv/entries.csv", "rows": 0, "sums": {}, "sha256": sha256(b"").hexdigest()}
    say(export, lambda manifest: manifest["files"].append(file))

    code, report = told(capsys, export)

    assert code == 0
    assert any("csv/entries.csv" in each and "manifest alone" in each for each in report["remarks"])
    assert any("csv/lines.csv" in each for each in report["remarks"])


@pytest.mark.parametrize("spoiled", [b"", b"{}", b"\xff", b'{"journal_no": 1, "size": []}'])
def test_a_spoiled_proof_does_not_turn_altered_into_could_not_tell(
    export: Path, capsys: pytest.CaptureFixture[str], spoiled: bytes
) -> None:
    """Whoever alters an export cannot hide it behind a proof that nobody can read."""
    (export / "proofs").mkdir()
    (export / "proofs" / "5.json").write_bytes(spoiled)
    file = {"name": "proofs/5.json", "rows": 1, "sums": {}, "sha256": sha256(spoiled).hexdigest()}
    in_log(b"as agreed", b"as I wish")(export)
    say(export, lambda manifest: manifest["files"].append(file))

    code, report = told(capsys, export)

    assert code == 1
    assert report["first"]["journal_no"] == 5
    assert "proof" in {each["promise"] for each in report["findings"]}
