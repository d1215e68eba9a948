"""The signer: a process of its own that signs checkpoints, and the first witness of the log.

It has a key and a state directory that nobody else needs to read; best run as a user of its own.
Per log it remembers the last checkpoint that it signed, and signs another one only with a proof
that the log went on from there. Who owns the database, but not this process, cannot have another
history signed.

It speaks over a Unix socket: one line of JSON in, one out. `{"do": "last", "origin": ...}` answers
`{"size": ..., "root": <hex>, "key": <verifier key>}`; `{"do": "sign", "origin", "size", "root",
"proof"}` answers `{"note": ..., "key": ...}`; a refusal is `{"refused": <code>, "facts": {...}}`.
"""

import contextlib
import fcntl
import os
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from kernel.errors import RailTrouble, Refusal
from kernel.settings import CannotStart
from ledger import merkle, notes
from ledger.notes import Checkpoint

LONGEST_REQUEST_BYTES: Final = 65_536
_TALK_WITHIN_S: Final = 5.0
_LOOK_UP_S: Final = 0.5
_BACKLOG: Final = 64

_log = structlog.get_logger(__name__)


class BadRequest(Refusal):
    """The signer was asked for something that it does not do."""

    code = "signer.bad_request"


class Shrunk(Refusal):
    """The log is shorter than the one that was signed last: its tail was cut."""

    code = "signer.shrunk"


class Inconsistent(Refusal):
    """The log does not go on from the one that was signed last: its past was altered."""

    code = "signer.inconsistent"


class Forgotten(Refusal):
    """What was signed last of the log is lost: any log, a shorter one too, would look right."""

    code = "signer.forgotten"


class SignerAway(RailTrouble):
    """The signer does not answer; what is sealed meanwhile is signed when it is back."""


@dataclass(frozen=True, slots=True)
class Signer:
    """A key, and the last checkpoint signed of each log."""

    key: Ed25519PrivateKey
    state_dir: Path

    def answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Do what is asked; refuses with `signer.*`."""
        origin = request.get("origin")
        if not isinstance(origin, str) or not notes.is_origin(origin):
            raise BadRequest(why="origin")
        key = notes.verifier_key(origin, self.key.public_key())
        if request.get("do") == "last":
            last = self.last(origin)
            return {"size": last.size, "root": last.root.hex(), "key": key}
        if request.get("do") != "sign":
            raise BadRequest(why="do")
        checkpoint = _checkpoint(origin, request)
        return {"note": self.sign(checkpoint, _hashes(request.get("proof"))), "key": key}

    def last(self, origin: str) -> Checkpoint:
        """What was signed last of this log; the empty tree before the first time."""
        try:
            return notes.parse(self._file(origin).read_text(encoding="utf-8"))
        except FileNotFoundError:
            if origin in self._ever_signed():
                raise Forgotten(log=origin) from None
            return Checkpoint(origin, 0, merkle.EMPTY_ROOT)

    def sign(self, checkpoint: Checkpoint, proof: Sequence[bytes]) -> str:
        """The note, once it is on disk that it was signed."""
        last = self.last(checkpoint.origin)
        if checkpoint.size < last.size:
            raise Shrunk(size=checkpoint.size, signed=last.size)
        if not merkle.is_consistent(
            old=last.size,
            new=checkpoint.size,
            old_root=last.root,
            new_root=checkpoint.root,
            proof=proof,
        ):
            raise Inconsistent(size=checkpoint.size, signed=last.size)
        note = notes.sign(checkpoint, self.key)
        if checkpoint != last:
            _write_whole(self._file(checkpoint.origin), note.encode())
        if checkpoint.origin not in (signed := self._ever_signed()):
            _write_whole(self._names, _lines({*signed, checkpoint.origin}))
        return note

    @property
    def _names(self) -> Path:
        """The logs that were ever signed, beside the key: what is lost of `signed` is noticed."""
        return self.state_dir.with_name("logs")

    def _ever_signed(self) -> set[str]:
        try:
            return set(self._names.read_text(encoding="utf-8").splitlines())
        except FileNotFoundError:
            return set()

    def _file(self, origin: str) -> Path:
        return self.state_dir / f"{origin.replace('/', '+')}.note"


def open_signer(directory: Path) -> Signer:
    """The signer of a directory; its key is made at the first start, readable by its user alone.

    CannotStart where the key may be read by others, or is gone while there is something signed.
    """
    state = directory / "signed"
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = directory / "key.pem"
    if not path.exists():
        if any(state.iterdir()):
            raise CannotStart(f"The signer's key {path} is gone, but {state} says it was used.")
        _write_whole(path, _pem(Ed25519PrivateKey.generate()))
    if path.stat().st_mode & 0o077:
        raise CannotStart(f"The signer's key {path} may be read by others: chmod 600.")
    key = load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise CannotStart(f"{path} holds no Ed25519 key.")
    return Signer(key, state)


def socket_path(data_dir: Path) -> Path:
    """Where signer and sealer meet; `HOLDFAST_SIGNER_SOCKET` names another place."""
    given = os.environ.get("HOLDFAST_SIGNER_SOCKET")
    return Path(given) if given else data_dir / "signer" / "socket"


def serve(directory: Path, stop: threading.Event, *, path: Path) -> None:
    """Answer at the socket until told to stop; CannotStart where another signer is at work."""
    with _alone(directory), _listening(path) as listener:
        signer = open_signer(directory)
        _log.info("signer.started", socket=str(path))
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                caller, _ = listener.accept()
                with caller:
                    _talk(signer, caller)
    _log.info("signer.ended")


def ask(path: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    """One question to the signer at this socket.

    Raises SignerAway where nobody answers; a refusal comes as its own exception.
    """
    try:
        with socket.socket(socket.AF_UNIX) as caller:
            caller.settimeout(_TALK_WITHIN_S)
            caller.connect(str(path))
            caller.sendall(orjson.dumps(request) + b"\n")
            answer: dict[str, Any] = orjson.loads(_line(caller))
    except (OSError, orjson.JSONDecodeError) as trouble:
        raise SignerAway(str(path), str(trouble)) from trouble
    if "refused" in answer:
        known = {each.code: each for each in (BadRequest, Shrunk, Inconsistent, Forgotten)}
        raise known.get(answer["refused"], BadRequest)(**answer["facts"])
    return answer


def _talk(signer: Signer, caller: socket.socket) -> None:
    """Hear one caller out; whoever is slow or talks nonsense loses his call, not our time."""
    caller.settimeout(_TALK_WITHIN_S)
    try:
        request = orjson.loads(_line(caller))
        if not isinstance(request, dict):
            raise BadRequest(why="no object")
        answer = signer.answer(request)
    except Refusal as refusal:
        _log.warning("signer.refused", code=refusal.code, **refusal.facts)
        answer = {"refused": refusal.code, "facts": dict(refusal.facts)}
    except orjson.JSONDecodeError:
        answer = {"refused": BadRequest.code, "facts": {"why": "no JSON"}}
    except OSError:
        return
    with contextlib.suppress(OSError):
        caller.sendall(orjson.dumps(answer) + b"\n")


def _line(talker: socket.socket) -> bytes:
    heard = b""
    while b"\n" not in heard and len(heard) <= LONGEST_REQUEST_BYTES:
        part = talker.recv(LONGEST_REQUEST_BYTES)
        if not part:
            break
        heard += part
    return heard.partition(b"\n")[0]


def _checkpoint(origin: str, request: Mapping[str, Any]) -> Checkpoint:
    size, root = request.get("size"), _hashes([request.get("root")])
    if type(size) is not int or not 0 < size < 2**63:
        raise BadRequest(why="size")
    return Checkpoint(origin, size, root[0])


def _hashes(given: object) -> list[bytes]:
    if not isinstance(given, list) or len(given) > 128:
        raise BadRequest(why="hashes")
    try:
        found = [bytes.fromhex(each) for each in given]
    except (TypeError, ValueError):
        raise BadRequest(why="hashes") from None
    if any(len(each) != 32 for each in found):
        raise BadRequest(why="hashes")
    return found


def _lines(names: set[str]) -> bytes:
    return "".join(f"{name}\n" for name in sorted(names)).encode()


def _pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write_whole(path: Path, content: bytes) -> None:
    """Write a file of mode 0600 so that after a crash it is the old one or the new one."""
    aside = path.with_name(f"{path.name}.new")
    aside.unlink(missing_ok=True)
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextlib.contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Two signers of one directory would each forget what the other signed."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (directory / "lock").open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CannotStart(f"Another signer works in {directory}.") from None
        yield


@contextlib.contextmanager
def _listening(path: Path) -> Iterator[socket.socket]:
    """The socket, for our own user; what a killed signer left there is cleared away."""
    if len(os.fsencode(path)) > 100:
        raise CannotStart(f"{path} is too long for a socket: set HOLDFAST_SIGNER_SOCKET.")
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        before = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        listener.listen(_BACKLOG)
        listener.settimeout(_LOOK_UP_S)
        try:
            yield listener
        finally:
            path.unlink(missing_ok=True)
