"""The verifier by itself: exports made by hand, spoiled in the file, and what cannot be told."""

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kernel.database import Tenant, connect
from kernel.embedded import EmbeddedServer
from ledger import auditors, merkle, verify
from tests.fixtures.databases import TestDatabase, cloned_database
from tests.ledger.leaf import leaf_of
from tests.ledger.made_exports import KEY, OTHER_KEY, key_text, make, note_of
from tests.ledger.sealing import post_some, seal_everything
from tests.ledger.tampering import SIZE, attacking, build
from tests.ledger.write_export import alter, rehash

VECTORS = sorted((Path(__file__).parent / "vectors").glob("*.json"))
EVENTS = 120
NOTED = 24


@pytest.fixture
def export(tmp_path: Path) -> Path:
    make(tmp_path / "export", EVENTS)
    return tmp_path / "export"


def told(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, dict[str, Any]]:
    code = verify.main([*map(str, arguments), "--jobs=1", "--json"])
    return code, json.loads(capsys.readouterr().out)


def rewrite(export: Path, number: int, **changes: Any) -> dict[str, Any]:
    """Change fields of one event in the file, and the manifest's hashes with it."""
    log = export / "log.jsonl"
    lines = log.read_bytes().splitlines()
    event = json.loads(lines[number - 1]) | changes
    lines[number - 1] = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
    log.write_bytes(b"\n".join(lines) + b"\n")
    rehash(export)
    return dict(event)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda path: str(path.stem))
def test_the_verifier_reads_the_page_as_the_vectors_do(vector: Path) -> None:
    """Its own reading of docs/canonical-bytes.md gives the leaf hash of every test vector."""
    value = json.loads(vector.read_text(encoding="utf-8"))
    event = value["event"] | {"version": 1, "entry_count": len(value["event"]["entries"])}
    for at in ("effective_at", "recorded_at"):
        event[at] = event[at].replace("+00:00", "Z")
    for entry in event["entries"]:
        entry["line_count"] = len(entry["lines"])

    assert verify.leaf_of(event).hex() == value["leaf_hash"]


def test_the_verifiers_tree_is_that_of_the_program() -> None:
    """Two trees written apart agree at every size, and the one takes the other's proofs."""
    leaves = [bytes([number]) * 32 for number in range(70)]
    tree = verify.Tree()
    for size, leaf in enumerate(leaves, 1):
        tree.append(leaf)
        assert tree.root() == merkle.root(leaves[:size])
        for index in range(size):
            spans = merkle.inclusion_spans(index=index, size=size)
            path = [merkle.root(leaves[span.start : span.end]) for span in spans]
            reached = verify.root_of_path(leaves[index], path, index=index, size=size)
            assert reached == tree.root()
            other = verify.root_of_path(leaves[index], path[1:], index=index, size=size)
            assert size == 1 or other != tree.root()


def test_a_clean_export_is_clean(export: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 0, all counted, with stable keys."""
    code, report = told(capsys, export)

    assert code == 0
    assert set(report) == {
        *("result", "tenant", "size", "root", "checked", "checkpoints_agree_up_to", "first"),
        *("findings", "reasons", "remarks"),
    }
    assert report["checked"] == {
        "events": EVENTS,
        "entries": EVENTS + EVENTS // 3,
        "lines": 3 * EVENTS,
        "blocks": 12,
        "accounts": 55,
        "checkpoints": 2,
        "signatures": 0,
    }


def test_a_file_in_many_pieces_says_the_same(
    export: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chains, numbers and roots hold across the pieces that several processes take."""
    whole = told(capsys, export)
    rewrite(export, 77, reason="as told")
    spoiled = told(capsys, export)

    monkeypatch.setattr(verify, "_CHUNK", 3_000)
    in_pieces = told(capsys, export)

    assert whole[0] == 0
    assert spoiled[0] == in_pieces[0] == 1
    assert in_pieces[1]["first"] == spoiled[1]["first"]
    assert in_pieces[1]["findings"] == spoiled[1]["findings"]


def test_processes_share_the_work(export: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With two processes the pieces come back in order."""
    monkeypatch.setattr(verify, "_CHUNK", 20_000)

    assert verify.main([str(export), "--jobs=2"]) == 0


@pytest.mark.parametrize(
    ("changes", "promise"),
    [
        ({"journal_no": 78}, "numbering"),
        ({"reason": "as told"}, "leaf"),
        ({"tenant": "other"}, "tenant"),
        ({"entry_count": 3}, "counts"),
        ({"recorded_at": "2026-03-02T12:00:01.000000Z"}, "recorded_at"),
        ({"recorded_at": "2026-03-02 12:00:01"}, "readable"),
        ({"detail": None}, "leaf"),
        ({"actor": None}, "readable"),
        ({"entries": [{}]}, "readable"),
    ],
)
def test_a_spoiled_event_is_named(
    export: Path, changes: dict[str, Any], promise: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever is changed in a line of the log, its number is the first that is named."""
    rewrite(export, 77, **changes)

    code, report = told(capsys, export)

    assert code == 1
    assert report["first"]["journal_no"] == report["first"]["journal_no_last"] == 77
    assert promise in {each["promise"] for each in report["findings"]}


def test_a_wrong_sum_is_told_even_under_a_right_hash(
    export: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Double entry, books and chains are reckoned apart from the hashes."""
    event = rewrite(export, 76)
    line = event["entries"][0]["lines"][0]
    line["amount_minor"] = str(int(line["amount_minor"]) + 1)
    rewrite(export, 76, entries=event["entries"], leaf_hash=leaf_of(event))

    _, report = told(capsys, export)

    kinds = {(each["promise"], each["field"], each["journal_no"]) for each in report["findings"]}
    assert ("double_entry", "amount_minor", 76) in kinds
    assert ("chain", "balance_after_minor", 76) in kinds
    assert report["first"]["journal_no"] == 76


def test_a_name_that_stands_twice_is_refused(
    export: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Readers of JSON disagree which of two values counts, so a line has neither."""
    alter(export, "log.jsonl", b'"reason":"as agreed"', b'"reason":"other","reason":"as agreed"')
    rehash(export)

    code, report = told(capsys, export)

    assert code == 1
    assert report["first"]["journal_no"] == 1
    assert report["first"]["promise"] == "readable"


def test_lists_beside_the_log_must_fit_it(export: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A balance, a block and a file that the manifest does not know are each found."""
    alter(export, "accounts.csv", b",EUR,open,", b",EUR,open,9")
    alter(export, "blocks.csv", b"\n3,21,30,", b"\n3,22,30,")

    code, report = told(capsys, export)

    assert code == 1
    kinds = {(each["promise"], each["field"]) for each in report["findings"]}
    assert {("file", "accounts.csv"), ("file", "blocks.csv"), ("block", "block")} <= kinds
    assert "account" in {each["promise"] for each in report["findings"]}


@pytest.mark.parametrize("name", ["accounts.csv", "log.jsonl", "periods.csv"])
def test_a_missing_file_is_found(
    export: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the manifest lists must be there."""
    (export / name).unlink()

    code, report = told(capsys, export)

    assert code == 1
    assert ("file", name) in {(each["promise"], each["field"]) for each in report["findings"]}


def test_without_a_manifest_nothing_can_be_told(
    export: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder that was never finished is neither clean nor altered: exit 2, one sentence."""
    (export / "manifest.json").unlink()

    code = verify.main([str(export)])

    said = capsys.readouterr()
    assert code == 2
    assert said.out == ""
    assert "no whole export" in said.err


def test_a_packed_log_is_read_and_a_torn_one_found(
    export: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """log.jsonl.gz is checked like the plain file; half of it is an alteration, not a crash."""
    octets = (export / "log.jsonl").read_bytes()
    manifest = json.loads((export / "manifest.json").read_bytes())
    packed = gzip.compress(octets, mtime=0)
    manifest["files"][0] |= {"name": "log.jsonl.gz", "sha256": sha256(packed).hexdigest()}
    (export / "log.jsonl").unlink()
    (export / "log.jsonl.gz").write_bytes(packed)
    (export / "manifest.json").write_text(json.dumps(manifest))

    whole = told(capsys, export)
    (export / "log.jsonl.gz").write_bytes(packed[: len(packed) // 2])
    torn = told(capsys, export)

    assert whole[0] == 0
    assert torn[0] == 1


def test_signatures_by_the_key_and_by_no_other(
    export: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A key is taken as one word, in hexadecimal or from a file; another one is not the signer."""
    raw = KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    (export.parent / "key.txt").write_text(key_text())

    for key in (key_text(), raw.hex(), str(export.parent / "key.txt")):
        code, report = told(capsys, export, f"--public-key={key}")
        assert (code, report["checked"]["signatures"]) == (0, 2)
    code, report = told(capsys, export, f"--public-key={key_text(OTHER_KEY)}")

    assert code == 1
    assert report["first"]["field"] == "signature"


def test_signatures_that_cannot_be_checked_are_not_passed_over(
    export: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the optional package the answer is exit 2, never 0; what is altered is still 1."""
    monkeypatch.setattr(verify, "HAS_ED25519", False)

    code, report = told(capsys, export, f"--public-key={key_text()}")
    rewrite(export, 5, reason="as told")
    altered, _ = told(capsys, export, f"--public-key={key_text()}")

    assert (code, report["result"]) == (2, "could_not_tell")
    assert "cryptography" in report["reasons"][0]
    assert altered == 1


def test_checkpoints_from_elsewhere(export: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Notes, or the lines of an anchor's file: one that fits, a larger one, one of another log."""
    root = bytes.fromhex(json.loads((export / "manifest.json").read_bytes())["root"])
    kept = export.parent / "kept.txt"

    kept.write_text(json.dumps({"note": note_of(EVENTS, root)}) + "\n")
    fits = told(capsys, export, f"--checkpoint={kept}")
    kept.write_text(note_of(EVENTS + 5, root))
    larger = told(capsys, export, f"--checkpoint={kept}")
    kept.write_text(note_of(EVENTS, root, origin="holdfast/other"))
    other = told(capsys, export, f"--checkpoint={kept}")
    kept.write_text("holdfast/test\n5\n")
    unsigned = verify.main([str(export), f"--checkpoint={kept}"])

    assert (fits[0], fits[1]["remarks"]) == (0, [])
    assert larger[0] == 1
    assert larger[1]["first"]["promise"] == "tail"
    assert (larger[1]["first"]["journal_no"], larger[1]["first"]["journal_no_last"]) == (121, 125)
    assert other[0] == 2
    assert unsigned == 2


@contextmanager
def auditor_of(database: TestDatabase, tenant: Tenant) -> Iterator[str]:
    """The address of an auditor's own login; logins belong to the server, so it is ended again."""
    engine = connect(database.owner_url)
    name = f"drill_{os.getpid()}"
    with engine.begin() as connection:
        today = datetime.now(UTC).date()
        granted = auditors.grant(connection, tenant, name, last_day=None, today=today)
    try:
        yield database.app_url.replace("holdfast_app", granted.auditor.login, 1)
    finally:
        with engine.begin() as connection:
            auditors.revoke(connection, tenant, name)
        engine.dispose()


def test_an_auditors_login_is_enough(
    server: EmbeddedServer, tenant: Tenant, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The audit views give all that the tables give; the program's own login does, too."""
    with cloned_database(server) as database:
        notes = build(database, tenant)
        with auditor_of(database, tenant) as url:
            app = told(capsys, f"--dsn={database.app_url}", "--tenant=test")
            # Letting an auditor in is an event that waits for its seal.
            read = told(capsys, f"--dsn={url}", "--tenant=test")
            with attacking(database, notes, tmp_path) as attacker:
                noted = attacker.event(NOTED)
                attacker.run("UPDATE event SET reason = 'as told' WHERE id = %s", noted)
            altered = told(capsys, f"--dsn={url}", "--tenant=test")

    assert (read[0], read[1]["size"]) == (0, SIZE), read
    assert app == read
    assert altered[0] == 1
    assert altered[1]["first"]["journal_no"] == NOTED


def test_the_stored_subtrees_are_those_of_the_events(
    own_database: TestDatabase, tenant: Tenant, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Proofs are drawn from them, so one that was altered or taken away is found."""
    engine = connect(own_database.app_url)
    post_some(engine, tenant, 600)
    seal_everything(engine, tenant)
    engine.dispose()
    books = (f"--dsn={own_database.admin_url}", "--tenant=test")

    clean = told(capsys, *books)
    with attacking(own_database, [], tmp_path) as attacker:
        attacker.run("UPDATE tree_node SET hash = sha256(hash) WHERE position = 1")
        altered = told(capsys, *books)
        attacker.run("DELETE FROM tree_node WHERE position = 0")
        gone = told(capsys, *books)

    assert clean[0] == 0, clean
    for answer, first in ((altered, 257), (gone, 1)):
        assert answer[0] == 1
        assert answer[1]["first"]["promise"] == "tree"
        assert answer[1]["first"]["journal_no"] == first


def test_a_database_that_cannot_be_read_could_not_tell(
    app_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """No such tenant, a malformed one, no server: exit 2 and a sentence."""
    assert verify.main([f"--dsn={app_url}", "--tenant=nobody"]) == 2
    assert verify.main([f"--dsn={app_url}", "--tenant=a;b"]) == 2
    assert verify.main(["--dsn=host=/nowhere", "--tenant=test"]) == 2
    assert verify.main([]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_it_runs_alone(export: Path) -> None:
    """The file runs by a bare Python: no package of ours, none of anybody's."""
    program = [sys.executable, "-I", "-S", verify.__file__, str(export)]

    done = subprocess.run(program, capture_output=True, text=True, check=False, cwd=export)

    assert done.returncode == 0, done.stderr
    assert "Nothing was altered" in done.stdout
