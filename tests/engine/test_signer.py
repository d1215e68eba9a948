"""The signer signs only a log that goes on from the one that it signed last, and remembers it."""

import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from engine.signer import (
    BadRequest,
    Forgotten,
    Inconsistent,
    Shrunk,
    Signer,
    SignerAway,
    ask,
    open_signer,
    serve,
)
from kernel.settings import CannotStart
from ledger import merkle, notes
from ledger.merkle import Span
from ledger.notes import BadNote, Checkpoint

ORIGIN = "holdfast/test"
LEAVES = [sha256(b"\0%d" % each).digest() for each in range(40)]


def proof(old: int, new: int) -> list[bytes]:
    spans: Sequence[Span] = merkle.consistency_spans(old=old, new=new) if old <= new else []
    return [merkle.root(LEAVES[span.start : span.end]) for span in spans]


def at(size: int, root: bytes | None = None) -> Checkpoint:
    return Checkpoint(ORIGIN, size, root or merkle.root(LEAVES[:size]))


def sign_request(size: int, *, old: int = 0, **other: Any) -> dict[str, Any]:
    hashes = [each.hex() for each in proof(old, size)]
    root = merkle.root(LEAVES[:size]).hex()
    right = {"do": "sign", "origin": ORIGIN, "size": size, "root": root, "proof": hashes}
    return right | other


@contextmanager
def serving(directory: Path) -> Iterator[Path]:
    """A signer at work in a thread; where to reach it."""
    stop, path = threading.Event(), directory / "socket"
    thread = threading.Thread(target=serve, args=(directory, stop), kwargs={"path": path})
    thread.start()
    try:
        while True:
            try:
                ask(path, {"do": "last", "origin": ORIGIN})
                break
            except SignerAway:
                assert thread.is_alive()
        yield path
    finally:
        stop.set()
        thread.join()


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return open_signer(tmp_path / "signer")


def test_a_note_is_verified_by_the_public_key(signer: Signer) -> None:
    """What is signed is origin, size and root; a byte of it changed is not signed any more."""
    note = signer.sign(at(3), [])

    assert notes.parse(note) == at(3)
    assert notes.is_signed(note, signer.key.public_key())
    assert not notes.is_signed(note, Ed25519PrivateKey.generate().public_key())
    assert not notes.is_signed(note.replace("\n3\n", "\n4\n"), signer.key.public_key())
    assert not notes.is_signed(
        note.replace(f"{ORIGIN}\n", "holdfast/other\n"), signer.key.public_key()
    )


def test_a_note_has_the_form_of_its_specification() -> None:
    """C2SP signed-note and tlog-checkpoint, with the key and signature of RFC 8032, test 1."""
    seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(seed))

    note = notes.sign(Checkpoint("holdfast/test", 1, bytes(32)), key)
    verifier = notes.verifier_key("holdfast/test", key.public_key())

    text, _, below = note.partition("\n\n")
    assert text == "holdfast/test\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
    assert below.startswith("— holdfast/test ")
    name, key_id, raw = verifier.split("+", 2)
    assert (name, len(key_id)) == ("holdfast/test", 8)
    assert raw == "AddamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "holdfast/test\n1\n",
        "holdfast/test\n01\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n— x y\n",
        "holdfast/test\n1\nAAAA\n\n— x y\n",
        "UPPER\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n— x y\n",
    ],
)
def test_what_is_no_note_is_refused(text: str) -> None:
    """A note is read strictly."""
    with pytest.raises(BadNote):
        notes.parse(text)


def test_a_log_that_goes_on_is_signed(signer: Signer) -> None:
    """From nothing to 3, to 10, to 10 again, to 40."""
    for old, new in ((0, 3), (3, 10), (10, 10), (10, 40)):
        signer.sign(at(new), proof(old, new))

    assert signer.last(ORIGIN) == at(40)


def test_a_cut_tail_is_refused(signer: Signer) -> None:
    """A log shorter than the one that was signed is refused, whatever its root, and forgotten."""
    signer.sign(at(10), [])

    with pytest.raises(Shrunk):
        signer.sign(at(9), proof(9, 10))

    assert signer.last(ORIGIN) == at(10)


def test_another_past_is_refused(signer: Signer) -> None:
    """A log with another root of the same size, or with no proof from there, is refused."""
    signer.sign(at(10), [])

    for checkpoint, given in (
        (at(10, bytes(32)), []),
        (at(20), []),
        (at(20, bytes(32)), proof(10, 20)),
        (at(20), proof(9, 20)),
    ):
        with pytest.raises(Inconsistent):
            signer.sign(checkpoint, given)
    assert signer.last(ORIGIN) == at(10)


def test_logs_do_not_mix(signer: Signer) -> None:
    """Each log has a memory of its own."""
    signer.sign(at(10), [])

    signer.sign(Checkpoint("holdfast/other", 2, bytes(32)), [])

    assert signer.last(ORIGIN) == at(10)


def test_a_restart_keeps_key_and_memory(tmp_path: Path) -> None:
    """Started anew it has the same key, and still refuses what it refused before."""
    first = open_signer(tmp_path)
    first.sign(at(10), [])

    second = open_signer(tmp_path)

    origin_key = notes.verifier_key(ORIGIN, first.key.public_key())
    assert notes.verifier_key(ORIGIN, second.key.public_key()) == origin_key
    with pytest.raises(Shrunk):
        second.sign(at(9), [])


def test_a_lost_memory_is_noticed(tmp_path: Path) -> None:
    """With the key alone, what was signed before being gone, no log looks new; others go on."""
    first = open_signer(tmp_path)
    first.sign(at(10), [])
    first.sign(Checkpoint("holdfast/other", 2, bytes(32)), [])

    next((tmp_path / "signed").glob("*test.note")).unlink()

    second = open_signer(tmp_path)
    for ask_again in (lambda: second.last(ORIGIN), lambda: second.sign(at(9), [])):
        with pytest.raises(Forgotten):
            ask_again()
    assert second.last("holdfast/other").size == 2


def test_the_key_is_for_its_user_alone(tmp_path: Path) -> None:
    """The key is made with mode 0600; readable by others, or lost after use, it is refused."""
    open_signer(tmp_path).sign(at(1), [])
    path = tmp_path / "key.pem"
    assert path.stat().st_mode & 0o777 == 0o600

    path.chmod(0o640)
    with pytest.raises(CannotStart, match="may be read by others"):
        open_signer(tmp_path)
    path.unlink()
    with pytest.raises(CannotStart, match="is gone"):
        open_signer(tmp_path)


def test_it_answers_at_its_socket(tmp_path: Path) -> None:
    """One question a line; a refusal comes back as itself, and nonsense harms nobody."""
    with serving(tmp_path) as path:
        assert path.stat().st_mode & 0o777 == 0o600
        signed = ask(path, sign_request(10))
        assert notes.parse(signed["note"]) == at(10)
        assert ask(path, {"do": "last", "origin": ORIGIN})["size"] == 10
        with pytest.raises(Inconsistent):
            ask(path, sign_request(20))
        with pytest.raises(Shrunk):
            ask(path, sign_request(5))
        for nonsense in (
            {},
            {"do": "forget", "origin": ORIGIN},
            {"do": "last", "origin": "../key"},
            sign_request(11, old=10) | {"size": "11"},
            sign_request(11, old=10) | {"size": 0},
            sign_request(11, old=10, root="00"),
            sign_request(11, old=10, proof="00"),
            sign_request(11, old=10, proof=[1]),
        ):
            with pytest.raises(BadRequest):
                ask(path, nonsense)
        assert ask(path, sign_request(20, old=10))["note"]


def test_a_directory_has_one_signer(tmp_path: Path) -> None:
    """A second one would forget what the first signs, and does not start."""
    with serving(tmp_path), pytest.raises(CannotStart, match="Another signer"):
        serve(tmp_path, threading.Event(), path=tmp_path / "other")


def test_nobody_at_the_socket_is_said(tmp_path: Path) -> None:
    """Without a signer whoever asks is told that it is away."""
    with pytest.raises(SignerAway):
        ask(tmp_path / "socket", orjson.loads(b"{}"))


def test_the_public_key_is_printed(tmp_path: Path) -> None:
    """`holdfast signer --public-key` names the tenant's log and its key."""
    said = subprocess.run(
        [
            *(sys.executable, "-m", "engine", "signer", "--public-key"),
            *("--tenant", "test", "--dir", str(tmp_path)),
        ],
        check=True,
        capture_output=True,
        text=True,
    )

    key = open_signer(tmp_path).key.public_key()
    assert said.stdout.strip() == notes.verifier_key(ORIGIN, key)
