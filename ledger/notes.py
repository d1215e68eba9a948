"""Checkpoints as signed notes: origin, size and root of a log, with Ed25519 signatures below.

The forms are those of C2SP `signed-note` and `tlog-checkpoint`. A checkpoint is three lines, an
empty line, and one line for each signature:

    holdfast/<tenant>
    1204
    <root in base64>

    — holdfast/<tenant> <key id and signature in base64>

A key is named as its log is, and its id is the beginning of SHA-256(name, newline, 01, public key).
A *verifier key* says all that a reader needs in one word: `name+id+base64(01 public key)`.
"""

import re
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kernel.errors import Refusal

ED25519: Final = b"\x01"
_ORIGIN: Final = re.compile(r"[a-z0-9][a-z0-9._/-]{0,199}", re.ASCII)
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_ID_BYTES: Final = 4


class BadNote(Refusal):
    """What was given is no checkpoint in the form of a signed note."""

    code = "log.bad_note"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The first `size` events of the log `origin` have this Merkle root."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """What is signed."""
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n"


def origin_of(tenant: str) -> str:
    """The name of a tenant's log, which its keys have, too."""
    return f"holdfast/{tenant}"


def is_origin(text: str) -> bool:
    """Whether a log may be named so."""
    return _ORIGIN.fullmatch(text) is not None


def verifier_key(origin: str, key: Ed25519PublicKey) -> str:
    """The public key of a log in one word, for whoever checks its notes."""
    raw = ED25519 + _raw(key)
    return f"{origin}+{_key_id(origin, key).hex()}+{b64encode(raw).decode()}"


def sign(checkpoint: Checkpoint, key: Ed25519PrivateKey) -> str:
    """The checkpoint as a note with one signature."""
    signature = key.sign(checkpoint.text.encode())
    word = b64encode(_key_id(checkpoint.origin, key.public_key()) + signature).decode()
    return f"{checkpoint.text}\n\N{EM DASH} {checkpoint.origin} {word}\n"


def parse(note: str) -> Checkpoint:
    """The checkpoint of a note, its signatures unread; refuses with `log.bad_note`."""
    lines = note.split("\n")
    if len(lines) < 5 or not is_origin(lines[0]) or _SIZE.fullmatch(lines[1]) is None:
        raise BadNote(why="its first lines are no origin and size")
    try:
        root = b64decode(lines[2], validate=True)
    except NotBase64:
        root = b""
    if len(root) != 32 or "" not in lines[3:]:
        raise BadNote(why="its third line is no root of 32 bytes, or no signature follows")
    return Checkpoint(lines[0], int(lines[1]), root)


def is_signed(note: str, key: Ed25519PublicKey) -> bool:
    """Whether one of the note's signatures is by this key for the note's own origin."""
    text, _, below = note.rpartition("\n\n")
    checkpoint = parse(note)
    wanted = _key_id(checkpoint.origin, key)
    for line in below.splitlines():
        dash, _, rest = line.partition(" ")
        name, _, word = rest.partition(" ")
        if dash != "\N{EM DASH}" or name != checkpoint.origin:
            continue
        try:
            signed = b64decode(word, validate=True)
            if signed[:_ID_BYTES] == wanted:
                key.verify(signed[_ID_BYTES:], f"{text}\n".encode())
                return True
        except (NotBase64, InvalidSignature):
            continue
    return False


def _key_id(origin: str, key: Ed25519PublicKey) -> bytes:
    return sha256(origin.encode() + b"\n" + ED25519 + _raw(key)).digest()[:_ID_BYTES]


def _raw(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)
