"""The evidence bundle: what a stranger does with it, with a bare Python and nothing of ours."""

import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from sqlalchemy import Engine

from kernel.database import Tenant, connect, snapshot
from kernel.embedded import EmbeddedServer
from ledger.bundle import proof_of, write_bundle
from ledger.export_folder import Asked, FolderNotEmpty
from ledger.known import UnknownJournalNo
from tests.fixtures.databases import cloned_database
from tests.ledger.made_exports import OTHER_KEY, key_text, note_of
from tests.ledger.tampering import SIZE, build

Sealed = tuple[Engine, list[str]]


@pytest.fixture(scope="module")
def sealed(server: EmbeddedServer, tenant: Tenant) -> Iterator[Sealed]:
    with cloned_database(server) as database:
        notes = build(database, tenant)
        engine = connect(database.app_url)
        yield engine, notes
        engine.dispose()


@pytest.fixture
def bundle(sealed: Sealed, tenant: Tenant, tmp_path: Path) -> Path:
    """A bundle with proofs of two events, unpacked in an empty folder."""
    write(sealed, tenant, tmp_path / "bundle.zip")
    with zipfile.ZipFile(tmp_path / "bundle.zip") as archive:
        archive.extractall(tmp_path / "unpacked")
    return tmp_path / "unpacked"


def write(
    sealed: Sealed, tenant: Tenant, target: Path, *, proofs: tuple[int, ...] = (7, 60)
) -> None:
    with snapshot(sealed[0], tenant) as connection:
        write_bundle(connection, tenant=tenant, asked=Asked(), proofs=proofs, target=target)


def stranger(folder: Path, *arguments: str, bare: bool = True) -> subprocess.CompletedProcess[str]:
    """Run the verifier of the bundle, in the bundle, by a Python that knows no package."""
    alone = ["-I", "-S"] if bare else ["-I"]
    command = [sys.executable, *alone, "verify.py", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env={})


def test_a_stranger_checks_the_bundle(bundle: Path) -> None:
    """Unpacked in an empty folder, its own verifier says that nothing was altered."""
    done = stranger(bundle, ".")

    assert done.returncode == 0, done.stderr
    assert "Nothing was altered" in done.stdout
    assert {path.name for path in bundle.iterdir()} == {
        *("README.txt", "manifest.json", "log.jsonl", "accounts.csv", "periods.csv"),
        *("blocks.csv", "checkpoints.txt", "proofs", "verify.py"),
    }


def test_one_byte_of_the_bundle_is_found(bundle: Path) -> None:
    """Exit 1, and the number of the event whose byte it was."""
    log = bundle / "log.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    lines[41] = lines[41].replace(b'"700"', b'"701"')
    log.write_bytes(b"".join(lines))

    done = stranger(bundle, ".", "--json")

    assert done.returncode == 1
    assert json.loads(done.stdout)["first"]["journal_no"] == 42


def test_the_zip_is_checked_as_it_is(
    sealed: Sealed, tenant: Tenant, bundle: Path, tmp_path: Path
) -> None:
    """The verifier reads the zip unpacked or not; a byte of the zip is no crash."""
    packed = bundle.parent / "bundle.zip"
    torn = bytearray(packed.read_bytes())
    torn[len(torn) // 3] ^= 0xFF
    (tmp_path / "torn.zip").write_bytes(torn)

    assert stranger(bundle, str(packed)).returncode == 0
    assert stranger(bundle, str(tmp_path / "torn.zip")).returncode == 1
    write(sealed, tenant, tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == packed.read_bytes()


def test_a_proof_is_checked_with_only_the_public_key(bundle: Path) -> None:
    """One file shows one event to a third person; less than 1 kB of it are hashes."""
    right = f"--public-key={key_text()}"
    wrong = f"--public-key={key_text(OTHER_KEY)}"
    proof = bundle / "proofs" / "7.json"

    assert stranger(bundle, "proofs/7.json", right, bare=False).returncode == 0
    assert stranger(bundle, "proofs/7.json", wrong, bare=False).returncode == 1
    assert stranger(bundle, "proofs/7.json", right).returncode == 2
    value = orjson.loads(proof.read_bytes())
    assert sum(len(each) // 2 for each in value["proof"]) <= 1_000
    value["event"]["reason"] = "as told"
    proof.write_bytes(orjson.dumps(value))
    assert stranger(bundle, "proofs/7.json", right, bare=False).returncode == 1


def test_a_proof_of_another_log_is_found(bundle: Path) -> None:
    """The proofs of a bundle are of its own log; a foreign one is named."""
    proof = bundle / "proofs" / "60.json"
    value = orjson.loads(proof.read_bytes())
    value["root"] = "00" * 32
    proof.write_bytes(orjson.dumps(value))

    done = stranger(bundle, ".", "--json")

    assert done.returncode == 1
    promises = {
        (each["promise"], each["journal_no"]) for each in json.loads(done.stdout)["findings"]
    }
    assert ("proof", 60) in promises


def test_a_checkpoint_kept_elsewhere_meets_the_bundle(sealed: Sealed, bundle: Path) -> None:
    """A note that somebody kept agrees; one with another root does not."""
    (bundle.parent / "kept.txt").write_text(sealed[1][5])
    (bundle.parent / "forged.txt").write_text(note_of(24, bytes(32)))

    assert stranger(bundle, ".", "--checkpoint", "../kept.txt").returncode == 0
    done = stranger(bundle, ".", "--checkpoint", "../forged.txt", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["first"]["journal_no_last"] == 24


def test_the_guide_names_files_that_are_there(bundle: Path) -> None:
    """Each command of README.txt can be run as it stands."""
    guide = (bundle / "README.txt").read_text(encoding="utf-8")

    assert "python -I verify.py ." in guide
    assert "proofs/7.json" in guide
    assert f"{SIZE:,} events" in guide
    assert "{" not in guide


def test_a_bundle_is_whole_or_not_there(sealed: Sealed, tenant: Tenant, tmp_path: Path) -> None:
    """An event that is not sealed cannot be proven, and nothing is left; a zip is not replaced."""
    with pytest.raises(UnknownJournalNo):
        write(sealed, tenant, tmp_path / "bundle.zip", proofs=(SIZE + 1,))
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "bundle.zip").write_text("mine")
    with pytest.raises(FolderNotEmpty):
        write(sealed, tenant, tmp_path / "bundle.zip")
    assert (tmp_path / "bundle.zip").read_text() == "mine"


def test_a_proof_holds_the_newest_checkpoint(sealed: Sealed, tenant: Tenant) -> None:
    """The tree it is of is that of the newest checkpoint which the asked size allows."""
    with snapshot(sealed[0], tenant) as connection:
        proof = proof_of(connection, tenant=tenant, journal_no=7, size=22)
        bare = proof_of(connection, tenant=tenant, journal_no=22, size=22)

    assert (proof["size"], proof["checkpoint"]) == (20, sealed[1][4])
    assert (bare["size"], bare["checkpoint"]) == (22, None)
