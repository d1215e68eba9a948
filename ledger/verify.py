"""Check an export of Holdfast's books, or the books themselves: was anything altered?

    python verify.py EXPORT [--checkpoint FILE ...] [--public-key KEY ...] [--json]
    python verify.py --dsn DSN --tenant NAME [--checkpoint FILE ...] [--public-key KEY ...]
    python verify.py PROOF.json [--checkpoint FILE ...] [--public-key KEY ...]

EXPORT is a folder or a zip. This one file needs Python 3.11 or newer and nothing else;
`cryptography` if signatures are to be checked, `psycopg` to read a database. It shares no code
with the program that wrote the books: it follows docs/canonical-bytes.md, RFC 6962 (the Merkle
tree) and the form of signed notes by itself.

Exit codes: 0 nothing was altered; 1 something was, and the first journal number is named; 2 could
not tell. Without a checkpoint that was kept elsewhere nobody can see that a whole history was
written anew.
"""

import argparse
import base64
import binascii
import csv
import gzip
import io
import json
import os
import re
import sys
import zipfile
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from typing import IO, Any, Final, NamedTuple, Protocol

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
except ImportError:
    HAS_ED25519 = False
else:
    HAS_ED25519 = True
try:
    import psycopg
except ImportError:
    HAS_PSYCOPG = False
else:
    HAS_PSYCOPG = True

CLEAN, ALTERED, COULD_NOT_TELL = 0, 1, 2
FORMAT: Final = "holdfast-export/1"
BOOKS: Final = ("custody", "platform")
_CHUNK: Final = 1 << 22  # bytes of the log that one process takes at a time
_LONGEST: Final = 1 << 26  # bytes of a line; a packed file may unpack to any length
_SHOWN: Final = 20  # findings of one kind; a torn file has millions
_EVENT: Final = frozenset(
    "journal_no version tenant id kind subject actor effective_at recorded_at reason detail"
    " entry_count entries leaf_hash".split()
)
_ENTRY: Final = frozenset("entry_no book_no book currency reverses line_count lines".split())
_LINE: Final = frozenset("account amount_minor account_seq balance_after_minor line_no".split())
_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00")
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)


class CannotTell(Exception):  # noqa: N818  an answer, not an error
    """What was given does not suffice for an answer."""


class Finding(NamedTuple):
    """One thing that does not hold. A number and `journal_no_last` enclose it; None: no event."""

    promise: str
    journal_no: int | None
    journal_no_last: int | None
    field: str
    sentence: str


def _found(promise: str, journal_no: int | None, field: str, sentence: str) -> Finding:
    """A finding at exactly one journal number, or at none."""
    return Finding(promise, journal_no, journal_no, field, sentence)


# --- The canonical bytes of an event, and its leaf ------------------------------------------------


def octets(value: object) -> str:
    """One field: length in bytes of UTF-8, colon, text, comma; what is absent is `-,`."""
    if value is None:
        return "-,"
    text = str(value)
    return f"{len(text) if text.isascii() else len(text.encode())}:{text},"


@lru_cache(maxsize=1_000)
def microseconds(text: str) -> int:
    """Microseconds since 1970 of a time written with six digits and `Z`."""
    if not _TIME.fullmatch(text):
        raise ValueError(f"{text!r} is no time")
    since = datetime.fromisoformat(text[:-1]) - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def leaf_of(event: Mapping[str, Any]) -> bytes:
    """The leaf hash of an event, from its fields alone."""
    actor = event["actor"]
    parts = [
        octets(value)
        for value in (
            *(event["version"], event["tenant"], event["id"], event["kind"], event["subject"]),
            *(actor["kind"], actor["principal_id"], actor["party_id"]),
            *(microseconds(event["effective_at"]), microseconds(event["recorded_at"])),
            *(event["reason"], event["detail"], event["entry_count"]),
        )
    ]
    for entry in event["entries"]:
        back = entry["reverses"] or {"event_id": None, "entry_no": None}
        head = (entry["entry_no"], entry["book"], entry["currency"])
        parts += map(octets, (*head, back["event_id"], back["entry_no"], entry["line_count"]))
        for line in entry["lines"]:
            amount, after = line["amount_minor"], line["balance_after_minor"]
            seq = str(line["account_seq"])
            parts.append(
                f"{octets(line['account'])}{len(amount)}:{amount},{len(seq)}:{seq},"
                f"{len(after)}:{after},"
            )
    return sha256(b"\x00" + "".join(parts).encode()).digest()


# --- The Merkle tree of RFC 6962 ------------------------------------------------------------------


def _join(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node."""
    return sha256(b"\x01" + left + right).digest()


_STORED: Final = (8, 16, 24)


class Tree:
    """The tree over all leaves so far; only the roots of its complete subtrees are kept.

    `stored` are those that a database stores, too: by level (of 2^level leaves) and position.
    """

    def __init__(self) -> None:
        self.size = 0
        self.stored: dict[tuple[int, int], bytes] = {}
        self._whole: list[bytes] = []

    def append(self, leaf: bytes) -> None:
        """One more leaf."""
        node, size, level = leaf, self.size, 0
        while size & 1:
            node = _join(self._whole.pop(), node)
            size >>= 1
            level += 1
            if level in _STORED:
                self.stored[level, size] = node
        self._whole.append(node)
        self.size += 1

    def root(self) -> bytes:
        """The root over all leaves so far."""
        if not self._whole:
            return sha256(b"").digest()
        *lefts, node = self._whole
        for left in reversed(lefts):
            node = _join(left, node)
        return node


def root_of_path(leaf: bytes, path: Sequence[bytes], *, index: int, size: int) -> bytes | None:
    """The root that an inclusion proof leads to (RFC 9162, 2.1.3.2); None if it does not fit."""
    node, last = leaf, size - 1
    for sibling in path:
        if last == 0:
            return None
        if index & 1 or index == last:
            node = _join(sibling, node)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            node = _join(node, sibling)
        index, last = index >> 1, last >> 1
    return node if last == 0 else None


# --- Signed notes ---------------------------------------------------------------------------------


class Key(NamedTuple):
    """A public key: its name and id (empty where only the 32 bytes were given)."""

    name: str
    id: bytes
    raw: bytes


class Note(NamedTuple):
    """A checkpoint: what it says, what was signed, and the signatures by name and key id."""

    place: str
    origin: str
    size: int
    root: bytes
    signed: bytes
    signatures: tuple[tuple[str, bytes, bytes], ...]


def read_notes(text: str, *, place: str) -> list[Note]:
    """All notes of a text: some lines, an empty line, signature lines; then the next note.

    Or the file of an anchor: one JSON object a line, which holds a note.
    """
    if text.startswith("{"):
        try:
            kept = [json.loads(line)["note"] for line in text.splitlines()]
            text = "\n".join(kept)
        except (ValueError, KeyError, TypeError) as trouble:
            raise CannotTell(f"{place} holds a line that is no checkpoint") from trouble
    notes, body, signatures = [], list[str](), list[str]()
    for line in [*text.splitlines(), ""]:
        if line.startswith("\u2014 "):
            signatures.append(line)
            continue
        if signatures:
            notes.append(_note(body, signatures, place))
            body, signatures = [], []
        if line or body:
            body.append(line)
    if any(body):
        raise CannotTell(f"{place} ends with a checkpoint that nobody signed")
    return notes


def _note(body: Sequence[str], signatures: Sequence[str], place: str) -> Note:
    """One note; `body` ends with the empty line that stands before the signatures."""
    try:
        origin, size, root = body[:3]
        hashed = base64.b64decode(root, validate=True)
        signed = tuple(_signature(line) for line in signatures)
    except (ValueError, binascii.Error) as trouble:
        raise CannotTell(f"{place} holds a checkpoint that cannot be read: {trouble}") from trouble
    if body[-1] != "" or not re.fullmatch(r"0|[1-9][0-9]{0,18}", size) or len(hashed) != 32:
        raise CannotTell(f"{place} holds a checkpoint that cannot be read")
    text = "".join(f"{line}\n" for line in body[:-1]).encode()
    return Note(place, origin, int(size), hashed, text, signed)


def _signature(line: str) -> tuple[str, bytes, bytes]:
    _, name, packed = line.split(" ")
    blob = base64.b64decode(packed, validate=True)
    return name, blob[:4], blob[4:]


def read_key(given: str) -> Key:
    """A key as `name+id+base64`, as 32 bytes in base64 or hexadecimal, or a file with one."""
    text = given.strip()
    try:
        if len(text) < 1_000 and Path(text).is_file():
            text = Path(text).read_text("ascii").strip()
        key = _key(text)
    except (OSError, ValueError, binascii.Error) as trouble:
        raise CannotTell(f"the public key cannot be read: {trouble}") from trouble
    if len(key.raw) != 32:
        raise CannotTell("the public key is none of Ed25519: it has not 32 bytes")
    if key.id and key.id != sha256(f"{key.name}\n".encode() + b"\x01" + key.raw).digest()[:4]:
        raise CannotTell(f"the public key {key.name} does not fit its own id")
    return key


def _key(text: str) -> Key:
    if re.fullmatch(r"[0-9a-fA-F]{64}", text):
        return Key("", b"", bytes.fromhex(text))
    if re.fullmatch(r"[0-9A-Za-z+/]{43}=", text):
        return Key("", b"", base64.b64decode(text))
    name, key_id, packed = text.split("+", 2)
    blob = base64.b64decode(packed, validate=True)
    # The first byte tells the kind of key: 1 is Ed25519.
    return Key(name, bytes.fromhex(key_id), blob[1:] if blob[:1] == b"\x01" else b"")


def is_signed(note: Note, keys: Sequence[Key]) -> bool:
    """Whether one of the keys signed the note."""
    for key in keys:
        for name, key_id, signature in note.signatures:
            if key.id and (name, key_id) != (key.name, key.id):
                continue
            try:
                Ed25519PublicKey.from_public_bytes(key.raw).verify(signature, note.signed)
            except InvalidSignature:
                continue
            return True
    return False


# --- One stretch of the log, checked by itself ----------------------------------------------------


class Link(NamedTuple):
    """Where an account stands: place in its chain, balance, when recorded, journal number."""

    seq: int
    balance: int
    recorded: int
    journal_no: int


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object in which nothing is said twice: readers would disagree which one counts."""
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a name stands twice")
    return value


def whole(value: object) -> int:
    """A number that every reader takes for the same one: no fraction, no text, no truth value."""
    if type(value) is not int:
        raise ValueError(f"{value!r} is no whole number")
    return value


def strange(event: Mapping[str, Any]) -> str:
    """A name that an event of the log does not have: its hash does not cover what stands there."""
    found = event.keys() - _EVENT
    for entry in event["entries"]:
        found |= entry.keys() - _ENTRY
        for line in entry["lines"]:
            found |= line.keys() - _LINE
    return min(found, default="")


_DECODE: Final = json.JSONDecoder(object_pairs_hook=once).decode


@dataclass
class Stretch:
    """What one piece of the log says, and what is wrong inside it."""

    tenant: str
    first: int = 0
    last: int = 0
    leaves: list[bytes] = field(default_factory=list)
    entries: list[tuple[int, int]] = field(default_factory=list)
    before: dict[str, Link] = field(default_factory=dict)
    after: dict[str, Link] = field(default_factory=dict)
    books: dict[str, tuple[int, int]] = field(default_factory=dict)
    next_book_no: dict[str, int] = field(default_factory=dict)
    line_count: int = 0
    debits: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def say(self, promise: str, journal_no: int | None, field: str, sentence: str) -> None:
        """Keep a finding, unless there are many of its kind already."""
        if sum(each.promise == promise for each in self.findings) < _SHOWN:
            self.findings.append(_found(promise, journal_no, field, sentence))

    def take(self, line: bytes) -> None:
        """One line of the log."""
        due = self.last + 1 if self.last else None
        leaf, counts, number = bytes(32), (0, 0), due
        try:
            event = _DECODE(line.decode())
            number = whole(event["journal_no"])
        except (ValueError, KeyError, TypeError, RecursionError) as trouble:
            self.say("readable", due, "", f"a line cannot be read: {trouble!r}")
        else:
            if due is None:
                self.begin(number - len(self.leaves))
            elif number != due:
                self.say("numbering", min(due, number), "journal_no", _gap(due, number))
            try:
                leaf = leaf_of(event)
                counts = self._event(event, number, leaf)
            except (ValueError, KeyError, TypeError, AttributeError) as trouble:
                is_gone = event.get("id", 0) is None
                what = "is missing" if is_gone else f"cannot be read: {trouble!r}"
                self.say("readable", number, "", f"the event of number {number} {what}")
        self.last = number or 0
        self.leaves.append(leaf)
        self.entries.append(counts)

    def begin(self, first: int) -> None:
        """The number of the first line is known; lines before it could not be read."""
        self.first = first
        self.last = first + len(self.leaves) - 1
        self.findings = [
            each._replace(journal_no=first + place, journal_no_last=first + place)
            for place, each in enumerate(self.findings)
        ]

    def _event(self, event: Mapping[str, Any], number: int, leaf: bytes) -> tuple[int, int]:
        entries = event["entries"]
        stray = strange(event)
        if stray:
            said = f"the event has {stray!r}, which no event of the log has: no hash covers it"
            self.say("readable", number, stray, said)
        if leaf.hex() != event["leaf_hash"]:
            said = "the fields do not give the leaf hash that was stored"
            self.say("leaf", number, suspect(event), said)
        if event["tenant"] != self.tenant:
            self.say("tenant", number, "tenant", f"the event is of {event['tenant']!r}")
        if event["entry_count"] != len(entries):
            said = f"the event says {event['entry_count']} entries, there are {len(entries)}"
            self.say("counts", number, "entry_count", said)
        recorded = microseconds(event["recorded_at"])
        per_book = dict.fromkeys(BOOKS, 0)
        for place, entry in enumerate(entries, 1):
            per_book[entry["book"]] += 1
            self._entry(entry, place, number, recorded)
        custody, platform = per_book.values()
        return custody, platform

    def _entry(self, entry: Mapping[str, Any], place: int, number: int, recorded: int) -> None:
        book, currency, lines = entry["book"], entry["currency"], entry["lines"]
        at = f"entry {entry['entry_no']}"
        if entry["entry_no"] != place:
            self.say("counts", number, "entry_no", f"{at} stands in place {place}")
        if entry["line_count"] != len(lines):
            said = f"{at} says {entry['line_count']} lines, there are {len(lines)}"
            self.say("counts", number, "line_count", said)
        due = self.next_book_no.setdefault(book, whole(entry["book_no"]))
        self.books.setdefault(book, (due, number))
        if whole(entry["book_no"]) != due:
            said = f"{at} is number {entry['book_no']} of {book}, {due} was due"
            self.say("book_no", number, "book_no", said)
        self.next_book_no[book] = entry["book_no"] + 1
        total = debit = 0
        for line in lines:
            account, amount = line["account"], int(line["amount_minor"])
            total += amount
            debit += max(amount, 0)
            self._line(account, line["account_seq"], amount, line, number, recorded)
            if not (account.startswith(f"{book}.") and account.endswith(f" {currency}")):
                said = f"{at} is {book} {currency} and has a line on {account}"
                self.say("double_entry", number, "account", said)
        self.line_count += len(lines)
        name = f"debit {book} {currency}"
        self.debits[name] = self.debits.get(name, 0) + debit
        if total:
            said = f"the lines of {at} sum to {total} {currency} in minor units"
            self.say("double_entry", number, "amount_minor", said)

    def _line(
        self,
        account: str,
        seq: int,
        amount: int,
        line: Mapping[str, Any],
        number: int,
        recorded: int,
    ) -> None:
        after = int(line["balance_after_minor"])
        stood = self.after.get(account)
        self.after[account] = Link(seq, after, recorded, number)
        opening = Link(seq - 1, after - amount, recorded, number)
        if stood is None:
            self.before[account] = opening
        else:
            for broken in _broken_links(account, stood, opening):
                self.say(*broken)


def _broken_links(
    account: str, stood: Link, goes_on: Link
) -> Iterator[tuple[str, int | None, str, str]]:
    """What does not fit between two neighbouring lines of an account."""
    number = goes_on.journal_no
    if stood.seq != goes_on.seq:
        said = f"line {goes_on.seq + 1} of {account} follows line {stood.seq}"
        yield "chain", number, "account_seq", said
    elif stood.balance != goes_on.balance:
        said = f"{account} stood at {stood.balance}, its next line goes on from {goes_on.balance}"
        yield "chain", number, "balance_after_minor", said
    if stood.recorded >= goes_on.recorded and stood.journal_no != number:
        said = f"{account} has a line recorded no later than the one before it"
        yield "recorded_at", number, "recorded_at", said


def _gap(due: int, number: int) -> str:
    """What to say when another number comes than the one that was due."""
    if number > due:
        return f"number {due} is missing: {number} comes next"
    return f"number {number} comes where {due} was due"


def suspect(event: Mapping[str, Any]) -> str:
    """A field that shows by itself that it is not as we write it; empty where none does."""
    for entry in event["entries"]:
        if sum(int(line["amount_minor"]) for line in entry["lines"]):
            return "amount_minor"
    texts = {f"actor.{name}": value for name, value in event["actor"].items()}
    texts |= {name: event[name] for name in ("kind", "subject")}
    texts["account"] = "".join(line["account"] for e in event["entries"] for line in e["lines"])
    for name, text in texts.items():
        if text is not None and not re.fullmatch(r"[ -~]*", text):
            return name
    try:
        json.loads(event["detail"] or "0")
    except ValueError:
        return "detail"
    return ""


def check_stretch(tenant: str, piece: bytes) -> Stretch:
    """Check some whole lines of the log; runs in a process of its own."""
    stretch = Stretch(tenant)
    for line in piece.split(b"\n"):
        if line:
            stretch.take(line)
    return stretch


# --- Where the books are read from ----------------------------------------------------------------


class Block(NamedTuple):
    """What was sealed at once; the counts are the entries of each book up to its end."""

    no: int
    first: int
    last: int
    root: bytes
    custody: int
    platform: int


class Source(Protocol):
    """An export or a database: the same questions to both.

    `is_cut`: it says that it ends before the log does, because it was asked for as of a number.
    """

    tenant: str
    is_cut: bool

    def pieces(self) -> Iterator[bytes]:
        """The log in journal order, some whole lines at a time."""

    def blocks(self) -> Iterator[Block]:
        """The blocks in order."""

    def notes(self) -> list[Note]:
        """The checkpoints that are kept with the books."""

    def accounts(self) -> Iterator[tuple[str, int, int]]:
        """Every account with a line: its name, how many lines, its balance."""

    def findings(self, journal: "Journal") -> Iterator[Finding]:
        """What only this source can show; asked for when all of the log was read."""

    def remarks(self) -> list[str]:
        """What was not checked."""


class Hashed(io.RawIOBase):
    """A file whose bytes are hashed as they are read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = sha256()

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401  any buffer
        """Read what fits."""
        got = self._file.read(len(buffer))
        buffer[: len(got)] = got
        self.digest.update(got)
        return len(got)


class Export:
    """The folder or zip of an export."""

    def __init__(self, path: Path, held: ExitStack) -> None:
        self._torn: list[Finding] = []
        self._hashes: dict[str, str] = {}
        self._counted: dict[str, int] = {}
        self._folder: Path | zipfile.Path = path
        try:
            if not path.is_dir():
                archive = held.enter_context(zipfile.ZipFile(path))
                if len(set(archive.namelist())) != len(archive.namelist()):
                    raise CannotTell(f"{path} holds two files of one name")
                self._folder = zipfile.Path(archive)
            text = self._folder.joinpath("manifest.json").read_bytes().decode()
            said = json.loads(text, object_pairs_hook=once)
            self._said = (said["size"], said["root"])
            self._files = {str(each["name"]): each for each in said["files"]}
            self._is_listed_once = len(self._files) == len(said["files"])
            self.tenant, form = str(said["tenant"]), said["format"]
            self.is_cut = said["arguments"].get("as_of") == said["size"]
        except (
            OSError,
            zipfile.BadZipFile,
            KeyError,
            ValueError,
            TypeError,
            AttributeError,
            RecursionError,
        ) as trouble:
            raise CannotTell(f"{path} is no whole export: {trouble!r}") from trouble
        if form != FORMAT:
            raise CannotTell(f"{path} is of the form {form}; this program reads {FORMAT}")
        if any(".." in name or name.startswith("/") for name in self._files):
            raise CannotTell(f"{path} names files outside itself")

    def pieces(self) -> Iterator[bytes]:
        """The log, plain or packed."""
        name = "log.jsonl.gz" if "log.jsonl.gz" in self._files else "log.jsonl"
        rest = b""
        for got in self._read(name):
            lines, end, tail = got.rpartition(b"\n")
            if end:
                yield rest + lines
                rest = tail
            else:
                rest += tail
            if len(rest) > _LONGEST:
                self._torn.append(_found("file", None, name, f"{name} has a line without an end"))
                return
        if rest:
            yield rest

    def _read(self, name: str) -> Iterator[bytes]:
        """The bytes of a file, unpacked; whatever it really holds is hashed on the way."""
        try:
            with self._folder.joinpath(name).open("rb") as file:
                hashed = Hashed(file)
                packed = name.endswith(".gz")
                plain = gzip.GzipFile(fileobj=hashed) if packed else io.BufferedReader(hashed)
                while got := plain.read(_CHUNK):
                    yield got
                self._hashes[name] = hashed.digest.hexdigest()
        except (
            OSError,
            EOFError,
            zlib.error,
            zipfile.BadZipFile,
            KeyError,
            RuntimeError,  # a zip with a password, or packed in a way that we do not know
        ) as trouble:
            self._torn.append(_found("file", None, name, f"{name} cannot be read: {trouble}"))

    def _rows(self, name: str) -> Iterator[dict[str, str]]:
        """The rows of a list, counted."""
        count = 0
        try:
            for row in csv.DictReader(self._lines(name), strict=True):
                count += 1
                yield row
        except csv.Error as trouble:
            self._torn.append(_found("file", None, name, f"{name} cannot be read: {trouble}"))
        self._counted[name] = count

    def _lines(self, name: str) -> Iterator[str]:
        """The lines of a file with their ends; one that is not UTF-8 shows by its hash."""
        rest = b""
        for got in self._read(name):
            *lines, rest = (rest + got).split(b"\n")
            yield from (f"{line.decode(errors='replace')}\n" for line in lines)
            if len(rest) > _LONGEST:
                self._torn.append(_found("file", None, name, f"{name} has a line without an end"))
                return
        if rest:
            yield rest.decode(errors="replace")

    def _spoiled(self, name: str, row: Mapping[str, str], why: str = "cannot be read") -> None:
        said = f"a row of {name} {why}: {row}"
        self._torn.append(_found("file", None, name, said))

    def blocks(self) -> Iterator[Block]:
        """Out of blocks.csv; a block is sealed later than the one before."""
        names = "no first_journal_no last_journal_no root custody_entries platform_entries".split()
        before: int | None = None
        for row in self._rows("blocks.csv"):
            try:
                no, first, last, root, custody, platform = (row[name] for name in names)
                sealed_at = microseconds(row["sealed_at"])
                block = Block(
                    *(int(no), int(first), int(last), bytes.fromhex(root)),
                    *(int(custody), int(platform)),
                )
            except (KeyError, ValueError, TypeError):
                self._spoiled("blocks.csv", row)
                continue
            if before is not None and sealed_at <= before:
                self._spoiled("blocks.csv", row, "is sealed no later than the one before")
            before = sealed_at
            yield block

    def notes(self) -> list[Note]:
        """Out of checkpoints.txt."""
        name = "checkpoints.txt"
        if name not in self._files:
            return []
        try:
            notes = read_notes(b"".join(self._read(name)).decode(), place=name)
        except UnicodeDecodeError as trouble:
            raise CannotTell(f"{name} cannot be read: {trouble}") from trouble
        self._counted[name] = len(notes)
        return notes

    def accounts(self) -> Iterator[tuple[str, int, int]]:
        """Out of accounts.csv; the parts of a name are those of the columns beside it."""
        for row in self._rows("accounts.csv"):
            try:
                code, lines, balance = row["code"], int(row["lines"]), int(row["balance_minor"])
                is_named = code == f"{row['kind']}[{row['subject']}] {row['currency']}"
                if not is_named or not row["kind"].startswith(f"{row['book']}."):
                    self._spoiled("accounts.csv", row, "is not of the account that it names")
            except (KeyError, ValueError, TypeError, AttributeError):
                self._spoiled("accounts.csv", row)
                continue
            yield code, lines, balance

    def remarks(self) -> list[str]:
        """What the log does not give, so that nobody can tell here who altered it."""
        read = {"log.jsonl", "log.jsonl.gz", "accounts.csv", "blocks.csv", "periods.csv"}
        others = sorted(self._files.keys() - read - {"checkpoints.txt", "README.txt", "verify.py"})
        others = [name for name in others if not name.startswith("proofs/")]
        said = "By the manifest alone, which nobody signed, and not against the log:"
        left = [name for name in sorted(_names(self._folder)) if name not in self._files]
        stray = [name for name in left if name not in {"manifest.json", "README.txt", "verify.py"}]
        told = [f"{said} {_some(others)}"] if others else []
        if stray:
            told.append(f"Not looked at, as no file of this export: {_some(stray)}")
        return told

    def proofs(self) -> list[dict[str, Any]]:
        """The proofs of single events, where there are some; one that is spoiled is a finding."""
        proofs = []
        for name in self._files:
            if re.fullmatch(r"proofs/[0-9]+\.json", name):
                text = b"".join(self._read(name))
                try:
                    proofs.append(json_of(text))
                except CannotTell as trouble:
                    self._torn.append(_found("proof", None, name, f"{name}: {trouble}"))
        return proofs

    def findings(self, journal: "Journal") -> Iterator[Finding]:
        """Whether the files are those of the manifest, and its root and proofs those of the log."""
        self._check_periods()
        yield from self._missing()
        for name, said in self._files.items():
            if name not in self._hashes:
                deque(self._read(name), maxlen=0)
            if self._hashes.get(name, said.get("sha256")) != said.get("sha256"):
                told = f"{name} is not the file that the manifest was written for"
                yield _found("file", None, name, told)
        yield from self._torn
        yield from self._miscounted(journal)
        is_so = (journal.tree.size, journal.tree.root().hex())
        if self._said != is_so:
            told = f"manifest.json says size {self._said[0]} and root {self._said[1]}"
            yield _found("manifest", None, "root", f"{told}; the log gives {is_so[0]}, {is_so[1]}")

    def _missing(self) -> Iterator[Finding]:
        """What the manifest must list, each once, and one log only."""
        if not self._is_listed_once:
            yield _found("manifest", None, "files", "manifest.json lists a file twice")
        if {"log.jsonl", "log.jsonl.gz"} <= self._files.keys():
            told = "there is a plain and a packed log: readers would disagree which one counts"
            yield _found("manifest", None, "files", told)
        due = {"accounts.csv", "blocks.csv", "periods.csv"}
        if "log.jsonl.gz" not in self._files:
            due.add("log.jsonl")
        for name in sorted(due - self._files.keys()):
            yield _found("manifest", None, name, f"manifest.json does not list {name}")

    def _miscounted(self, journal: "Journal") -> Iterator[Finding]:
        """Rows and control totals that the manifest says, against those that are there."""
        lines = {"entries": journal.counts["entries"], "lines": journal.counts["lines"]}
        totals = {name: str(total) for name, total in {**lines, **journal.debits}.items()}
        for log in ("log.jsonl", "log.jsonl.gz"):
            self._counted[log] = journal.tree.size
            for name, said in dict(self._files.get(log, {}).get("sums") or {}).items():
                if said != totals.get(name):
                    told = f"manifest.json says {name} {said} of {log}, it is {totals.get(name)}"
                    yield _found("manifest", None, "sums", told)
        for name, count in self._counted.items():
            said = self._files.get(name, {}).get("rows", count)
            if said != count:
                told = f"manifest.json says {said} rows of {name}, there are {count}"
                yield _found("manifest", None, "rows", told)

    def _check_periods(self) -> None:
        """Whether the periods can be read, begin before they end, and follow one another."""
        name, until = "periods.csv", -(1 << 63)
        for row in self._rows(name):
            try:
                since, before, until = microseconds(row["from"]), until, microseconds(row["until"])
                is_state = row["state"] in {"open", "soft_closed", "closed", "reopened"}
            except (KeyError, ValueError, TypeError):
                self._spoiled(name, row)
                continue
            if not before <= since < until or not is_state:
                self._spoiled(name, row, "is no period after the one before")


def _names(folder: Path | zipfile.Path) -> Iterator[str]:
    """All files of an export by their names."""
    if isinstance(folder, zipfile.Path):
        yield from (name for name in folder.root.namelist() if not name.endswith("/"))
        return
    for place, _, names in os.walk(folder):
        at = Path(place).relative_to(folder)
        yield from ((at / name).as_posix() for name in names)


def _some(names: Sequence[str]) -> str:
    """A few names, and how many more."""
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more


# The rows of a database, written as the lines of a log. An event that is gone leaves its number.
_LOG: Final = """
SELECT row_to_json(r)::text FROM (
    SELECT s.journal_no, 1 AS version, %(tenant)s::text AS tenant, e.id, e.kind, e.subject,
           (SELECT row_to_json(x) FROM (
                SELECT e.actor_kind AS kind, e.actor_id AS principal_id, e.party_id) x) AS actor,
           to_char(e.effective_at AT TIME ZONE 'UTC', {iso}) AS effective_at,
           to_char(e.recorded_at AT TIME ZONE 'UTC', {iso}) AS recorded_at,
           e.reason, e.detail, e.entry_count,
           coalesce((SELECT json_agg(row_to_json(n) ORDER BY n.entry_no) FROM (
                SELECT n.entry_no,
                       CASE n.book WHEN 'custody' THEN s.custody_entries
                           ELSE s.platform_entries END
                       - count(*) OVER (PARTITION BY n.book)
                       + row_number() OVER (PARTITION BY n.book ORDER BY n.entry_no) AS book_no,
                       n.book, n.currency,
                       CASE WHEN n.reverses_event_id IS NOT NULL THEN (SELECT row_to_json(x) FROM (
                            SELECT n.reverses_event_id AS event_id,
                                   n.reverses_entry_no AS entry_no) x) END AS reverses,
                       n.line_count,
                       coalesce((SELECT json_agg(row_to_json(x) ORDER BY x.line_no) FROM (
                            SELECT a.code AS account, l.amount_minor::text AS amount_minor,
                                   l.account_seq,
                                   l.balance_after_minor::text AS balance_after_minor, l.line_no
                            FROM {schema}.line l
                            LEFT JOIN {schema}.account a ON a.id = l.account_id
                            WHERE l.event_id = n.event_id AND l.entry_no = n.entry_no
                       ) x), '[]') AS lines
                FROM {schema}.entry n WHERE n.event_id = e.id
           ) n), '[]') AS entries,
           encode(e.leaf_hash, 'hex') AS leaf_hash
    FROM {schema}.seal s LEFT JOIN {schema}.event e ON e.id = s.event_id
    ORDER BY s.journal_no
) r
"""
_BLOCKS: Final = """
SELECT no, first_journal_no, last_journal_no, root, custody_entries, platform_entries
FROM {schema}.block ORDER BY no
"""
_NODES: Final = "SELECT level, position, hash FROM {schema}.tree_node"
_WAITING: Final = "SELECT count(*) FROM {schema}.unsealed"
_NOTES: Final = "SELECT note FROM {schema}.checkpoint ORDER BY size"
# What is not sealed yet counts for no account.
_ACCOUNTS: Final = """
SELECT a.code, a.line_count - coalesce(n.lines, 0),
       (a.balance_minor - coalesce(n.amount, 0))::bigint
FROM {schema}.account a LEFT JOIN (
    SELECT l.account_id, count(*) AS lines, sum(l.amount_minor) AS amount
    FROM {schema}.unsealed u
    JOIN {schema}.event e ON e.id BETWEEN u.batch_id << 14 AND (u.batch_id << 14) + 16383
    JOIN {schema}.line l ON l.event_id = e.id
    WHERE NOT EXISTS (SELECT FROM {schema}.seal s WHERE s.event_id = e.id)
    GROUP BY l.account_id
) n ON n.account_id = a.id
WHERE a.line_count - coalesce(n.lines, 0) <> 0 OR a.balance_minor - coalesce(n.amount, 0) <> 0
"""
# What stands beside the log, each with the number that it concerns, a field, and a sentence.
_BESIDE: Final = {
    "unsealed": """
SELECT (SELECT min(s.journal_no) FROM {schema}.seal s JOIN {schema}.event o ON o.id = s.event_id
        WHERE (o.recorded_at, o.id) > (e.recorded_at, e.id)),
       'event', 'event ' || e.id || ' is in the books and not in the log; it claims this place'
FROM {schema}.event e
WHERE NOT EXISTS (SELECT FROM {schema}.seal s WHERE s.event_id = e.id)
  AND NOT EXISTS (SELECT FROM {schema}.unsealed u WHERE u.batch_id = e.id >> 14)
ORDER BY e.recorded_at, e.id LIMIT 20""",
    "orphan": """
SELECT NULL, 'event_id', 'entry ' || n.entry_no || ' of event ' || n.event_id || ' has no event'
FROM {schema}.entry n
WHERE NOT EXISTS (SELECT FROM {schema}.event e WHERE e.id = n.event_id)
UNION ALL
SELECT s.journal_no, 'line', 'line ' || l.line_no || ' of event ' || l.event_id || ' has no entry'
FROM {schema}.line l LEFT JOIN {schema}.seal s ON s.event_id = l.event_id
WHERE NOT EXISTS (SELECT FROM {schema}.entry n
                  WHERE n.event_id = l.event_id AND n.entry_no = l.entry_no)
ORDER BY 1 LIMIT 20""",
    "copy": """
SELECT s.journal_no, CASE WHEN l.effective_at <> e.effective_at THEN 'effective_at'
                          ELSE 'recorded_at' END,
       'a line of event ' || e.id || ' is dated otherwise than its event'
FROM {schema}.line l JOIN {schema}.event e ON e.id = l.event_id
JOIN {schema}.seal s ON s.event_id = e.id
WHERE (l.effective_at, l.recorded_at) <> (e.effective_at, e.recorded_at)
ORDER BY 1 LIMIT 20""",
    "chart": """
SELECT NULL, 'account', 'the account ' || a.code || ' is kept as another one'
FROM {schema}.account a LEFT JOIN {schema}.account_kind k ON k.kind = a.kind AND k.book = a.book
WHERE a.code <> a.kind || '[' || a.subject || '] ' || a.currency OR k.kind IS NULL
   OR NOT starts_with(a.kind, a.book || '.')
LIMIT 20""",
    "guard": """
SELECT NULL, t.tgname,
       'the guard ' || t.tgname || ' of ' || t.tgrelid::regclass || ' is switched off'
FROM pg_trigger t WHERE NOT t.tgisinternal AND t.tgenabled <> 'O'
  AND t.tgrelid IN (SELECT oid FROM pg_class WHERE relnamespace = %(schema)s::regnamespace)
LIMIT 20""",
}
_ENTER: Final = """
SELECT has_schema_privilege(%(schema)s, 'USAGE'),
       coalesce((SELECT pg_has_role(oid, 'MEMBER') FROM pg_roles WHERE rolname = %(role)s), false)
FROM pg_namespace WHERE nspname = %(schema)s
"""
_SEES_TABLES: Final = "SELECT has_table_privilege(%(schema)s || '.event', 'SELECT')"
# An auditor's login sees views instead of the tables.
_VIEWS: Final = """
WITH event AS NOT MATERIALIZED (
    SELECT event_id AS id, event_kind AS kind, event_subject AS subject, actor_kind, actor_id,
           acts_for_party_id AS party_id, effective_at, recorded_at, reason, detail, entry_count,
           decode(leaf_hash, 'hex') AS leaf_hash
    FROM {schema}.audit_event
), entry AS NOT MATERIALIZED (
    SELECT event_id, entry_no, book, currency, reverses_event_id, reverses_entry_no, line_count
    FROM {schema}.audit_entry
), line AS NOT MATERIALIZED (
    SELECT event_id, entry_no, line_no, account_id, amount_minor, account_seq,
           balance_after_minor, effective_at, recorded_at
    FROM {schema}.audit_line
), account AS NOT MATERIALIZED (
    SELECT account_id AS id, account_code AS code, book, account_kind AS kind,
           account_subject AS subject, currency, line_count, balance_minor
    FROM {schema}.audit_account
), account_kind AS NOT MATERIALIZED (
    SELECT account_kind AS kind, book FROM {schema}.audit_account_kind
), seal AS NOT MATERIALIZED (
    SELECT journal_no, event_id, custody_entries, platform_entries FROM {schema}.audit_seal
), block AS NOT MATERIALIZED (
    SELECT block_no AS no, first_journal_no, last_journal_no, decode(root, 'hex') AS root,
           custody_entries, platform_entries
    FROM {schema}.audit_block
), checkpoint AS NOT MATERIALIZED (
    SELECT size, note FROM {schema}.audit_checkpoint
), unsealed AS NOT MATERIALIZED (
    SELECT batch_id FROM {schema}.audit_batch WHERE NOT is_sealed
)
"""


class Books:
    """The books of a tenant in a database, seen in one read-only snapshot."""

    def __init__(self, dsn: str, tenant: str, held: ExitStack) -> None:
        if not HAS_PSYCOPG:
            raise CannotTell("a database cannot be read without the package psycopg")
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,30}", tenant):
            raise CannotTell(f"{tenant!r} is no name of a tenant")
        self.tenant = tenant
        self.is_cut = False
        self._names = {"tenant": tenant, "schema": f"tenant_{tenant}"}
        self._names["role"] = f"holdfast_tenant_{tenant}"
        try:
            self._connection = held.enter_context(psycopg.connect(_plain(dsn)))
            self._connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            self._connection.read_only = True
            may = self._connection.execute(_ENTER, self._names).fetchone()
            if may is None:
                raise CannotTell(f"there is no tenant {tenant} in this database")
            if not may[0] and may[1]:
                self._connection.execute(f"SET LOCAL ROLE {self._names['role']}")
            sees = self._connection.execute(_SEES_TABLES, self._names).fetchone()
            self._sees_tables = sees is not None and sees[0]
        except psycopg.Error as trouble:
            raise CannotTell(f"the database cannot be read: {trouble}") from trouble

    def _rows(self, statement: str, name: str = "") -> Iterator[tuple[Any, ...]]:
        """The rows, a few thousand at a time."""
        iso = """'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'"""
        if not self._sees_tables:
            statement = _VIEWS + statement.replace("{schema}.", "")
        text = statement.replace("{schema}", self._names["schema"]).replace("{iso}", iso)
        try:
            with self._connection.cursor(name=name or "rows") as cursor:
                cursor.itersize = 2_000
                yield from cursor.execute(text.encode(), self._names)
        except psycopg.Error as trouble:
            raise CannotTell(f"the database cannot be read: {trouble}") from trouble

    def pieces(self) -> Iterator[bytes]:
        """The log, out of the rows."""
        lines, length = list[str](), 0
        for (line,) in self._rows(_LOG, "log"):
            lines.append(line.replace("\n", ""))
            length += len(line)
            if length > _CHUNK:
                yield "\n".join(lines).encode()
                lines, length = [], 0
        if lines:
            yield "\n".join(lines).encode()

    def blocks(self) -> Iterator[Block]:
        """Out of the table."""
        for no, first, last, root, custody, platform in self._rows(_BLOCKS, "blocks"):
            yield Block(no, first, last, bytes(root), custody, platform)

    def notes(self) -> list[Note]:
        """Out of the table."""
        rows = self._rows(_NOTES)
        return [note for (text,) in rows for note in read_notes(text, place="the database")]

    def accounts(self) -> Iterator[tuple[str, int, int]]:
        """Out of the table."""
        for row in self._rows(_ACCOUNTS):
            code, lines, balance = row
            yield code, lines, balance

    def findings(self, journal: "Journal") -> Iterator[Finding]:
        """What stands beside the log: unsealed events, orphans, copies, guards switched off."""
        tree = journal.tree
        if self._sees_tables:
            yield from self._stored_nodes(tree)
        for promise, statement in _BESIDE.items():
            for number, name, said in self._rows(statement):
                is_number = promise in {"unsealed", "copy"} or number is not None
                at = (number or tree.size + 1) if is_number else None
                yield _found(promise, at, str(name), str(said))

    def _stored_nodes(self, tree: Tree) -> Iterator[Finding]:
        """The subtrees from which proofs are drawn and the next roots are reckoned."""
        rows = {(level, at): bytes(node) for level, at, node in self._rows(_NODES)}
        for level, at in sorted(rows.keys() | tree.stored.keys()):
            if rows.get((level, at)) != tree.stored.get((level, at)):
                said = f"the subtree {at} of level {level} is not stored as the events give it"
                first, last = (at << level) + 1, min((at + 1) << level, tree.size)
                yield Finding("tree", first, max(first, last), "hash", said)
                return

    def remarks(self) -> list[str]:
        """How much waits for its seal."""
        ((count,),) = self._rows(_WAITING)
        said = f"What is not sealed yet was not checked: {count} postings wait for it"
        return [said] if count else []


def _plain(dsn: str) -> str:
    """The address as libpq takes it: SQLAlchemy names the driver in it, too."""
    return re.sub(r"^postgresql\+[a-z0-9]+:", "postgresql:", dsn)


# --- The whole journal, strung together -----------------------------------------------------------


class Journal:
    """The journal so far: the tree, where each account stands, what blocks and checkpoints say."""

    def __init__(
        self, blocks: Iterator[Block], notes: Iterable[Note], sizes: Iterable[int]
    ) -> None:
        self.tree = Tree()
        self.roots: dict[int, bytes] = {0: self.tree.root()}
        self.chains: dict[str, Link] = {}
        self.findings: list[Finding] = []
        self.counts = dict.fromkeys(("events", "entries", "lines", "blocks"), 0)
        self.debits: dict[str, int] = {}
        self._blocks = blocks
        self._block = next(blocks, None)
        self._agreed = 0
        self._is_block_wrong = False
        self._sizes = {note.size for note in notes} | set(sizes)
        self._books = dict.fromkeys(BOOKS, 0)
        self._next_book_no = dict.fromkeys(BOOKS, 1)
        self._last = 0

    def take(self, stretch: Stretch) -> None:
        """The next piece of the log."""
        if not stretch.first:
            stretch.begin(self._last + 1)
        if stretch.first != self._last + 1:
            due = self._last + 1
            number = min(due, stretch.first)
            self.findings.append(
                _found("numbering", number, "journal_no", _gap(due, stretch.first))
            )
        self._last = stretch.last
        for book, (book_no, number) in stretch.books.items():
            due = self._next_book_no[book]
            if book_no != due:
                said = f"an entry is number {book_no} of {book}, {due} was due"
                self.findings.append(_found("book_no", number, "book_no", said))
        self._next_book_no |= stretch.next_book_no
        for account, opening in stretch.before.items():
            stood = self.chains.get(account, _UNUSED)
            self.findings += [_found(*each) for each in _broken_links(account, stood, opening)]
        self.chains |= stretch.after
        self.findings += stretch.findings
        self.counts["lines"] += stretch.line_count
        for name, total in stretch.debits.items():
            self.debits[name] = self.debits.get(name, 0) + total
        for leaf, (custody, platform) in zip(stretch.leaves, stretch.entries, strict=True):
            self._append(leaf, custody, platform)

    def _append(self, leaf: bytes, custody: int, platform: int) -> None:
        self.tree.append(leaf)
        self._books["custody"] += custody
        self._books["platform"] += platform
        size = self.tree.size
        if size in self._sizes:
            self.roots[size] = self.tree.root()
        while self._block is not None and self._block.last <= size:
            self._check_block(self._block)

    def _check_block(self, block: Block) -> None:
        size = self.tree.size
        number = self.counts["blocks"] + 1
        if (block.no, block.first) != (number, self._agreed + 1) or block.last != size:
            said = f"block {block.no} goes from {block.first} to {block.last}"
            due = f"block {number} from {self._agreed + 1} was due"
            self.findings.append(_found("block", min(block.first, size), "block", f"{said}; {due}"))
        if block.root != self.tree.root() and not self._is_block_wrong:
            self._is_block_wrong = True
            said = f"the events up to {size} do not give the root of block {block.no}"
            self.findings.append(Finding("block", self._agreed + 1, size, "root", said))
        if (block.custody, block.platform) != tuple(self._books.values()):
            said = f"block {block.no} counts {block.custody} and {block.platform} entries"
            due = f"there are {' and '.join(map(str, self._books.values()))}"
            self.findings.append(_found("block", size, "entries", f"{said}; {due}"))
        self._agreed = block.last
        self.counts["blocks"] = number
        self._block = next(self._blocks, None)

    def end(self, *, is_cut: bool) -> None:
        """All of the log was taken; one that is cut may end amid a block."""
        size = self.tree.size
        self.roots[size] = self.tree.root()
        self.counts["events"] = size
        self.counts["entries"] = sum(self._books.values())
        if self._block is not None:
            *_, newest = self._block, *self._blocks
            said = f"the log ends at {size}, block {newest.no} goes to {newest.last}"
            self.findings.append(Finding("tail", size + 1, newest.last, "", said))
        elif self._agreed < size and not is_cut:
            said = f"the newest block ends at {self._agreed}, the log at {size}"
            self.findings.append(_found("block", self._agreed + 1, "block", said))

    def check_accounts(self, accounts: Iterable[tuple[str, int, int]]) -> None:
        """Whether every account stands where its chain ends."""
        seen = set[str]()
        for code, lines, balance in accounts:
            stood = self.chains.get(code)
            if code in seen:
                said = f"the account {code} is listed twice"
                self.findings.append(_found("account", None, "code", said))
            seen.add(code)
            for name, says, is_so in (
                ("lines", lines, stood.seq if stood else 0),
                ("balance_minor", balance, stood.balance if stood else 0),
            ):
                if says != is_so:
                    said = f"the account {code} says {name} {says}, its lines say {is_so}"
                    self.findings.append(_found("account", None, name, said))
        listed = len(seen & self.chains.keys())
        if listed != len(self.chains):
            said = f"{len(self.chains)} accounts have lines, {listed} are listed"
            self.findings.append(_found("account", None, "code", said))


_UNUSED: Final = Link(0, 0, -(1 << 63), 0)


def check_notes(
    journal: Journal, notes: Sequence[Note], keys: Sequence[Key], origin: str
) -> tuple[list[Finding], int]:
    """The first checkpoint that does not hold, and the size of the last one before that held."""
    agreed = 0
    for note in sorted(notes, key=lambda note: note.size):
        at = f"the checkpoint of size {note.size} in {note.place}"
        size = journal.tree.size
        if note.origin != origin:
            said = f"{at} is of the log {note.origin!r}"
            return [_found("checkpoint", None, "origin", said)], agreed
        if keys and HAS_ED25519 and not is_signed(note, keys):
            said = f"{at} is not signed by the key that was given"
            return [_since(agreed, min(note.size, size), "signature", said)], agreed
        if note.size > size:
            newest = max(each.size for each in notes)
            said = f"the log ends at {size}, {at} has seen more of it, the newest {newest} events"
            return [Finding("tail", size + 1, newest, "", said)], agreed
        if journal.roots[note.size] != note.root:
            said = f"the first {note.size} events do not give the root of {at}"
            return [_since(agreed, note.size, "root", said)], agreed
        agreed = note.size
    return [], agreed


def _since(agreed: int, size: int, field: str, sentence: str) -> Finding:
    return Finding("checkpoint", min(agreed + 1, size), size, field, sentence)


# --- Proofs of single events ----------------------------------------------------------------------


def check_proof(proof: Mapping[str, Any], notes: Sequence[Note]) -> Iterator[Finding]:
    """Whether an event with its path leads to the root that a checkpoint states."""
    try:
        number, size = int(proof["journal_no"]), int(proof["size"])
        leaf, root = bytes.fromhex(proof["leaf_hash"]), bytes.fromhex(proof["root"])
        event = proof.get("event")
        hashes = [bytes.fromhex(each) for each in proof["proof"]]
        reached = root_of_path(leaf, hashes, index=number - 1, size=size)
        if event is not None and (leaf_of(event), event["journal_no"]) != (leaf, number):
            yield _found("leaf", number, suspect(event), "the fields do not give the leaf hash")
    except (KeyError, TypeError, ValueError, AttributeError) as trouble:
        raise CannotTell(f"a proof cannot be read: {trouble!r}") from trouble
    if reached != root:
        yield _found("proof", number, "proof", f"the path of {number} does not lead to its root")
    tenants = {str(each["tenant"]) for each in (proof, event) if each and "tenant" in each}
    origins = {f"holdfast/{each}" for each in tenants}
    if len(tenants) > 1:
        said = f"the proof of {number} is of one tenant, its event of another"
        yield _found("proof", number, "tenant", said)
    for note in notes:
        if note.size == size and note.root != root:
            said = f"the proof of {number} is not of the log of {note.place}"
            yield _found("proof", number, "root", said)
        elif note.size == size and origins and note.origin not in origins:
            said = f"the proof of {number} rests on a checkpoint of the log {note.origin!r}"
            yield _found("proof", number, "origin", said)


# --- The verdict ----------------------------------------------------------------------------------


_SINGULAR: Final = {"entries": "entry"}


@dataclass
class Report:
    """What was checked, what was found, and why something could not be told."""

    tenant: str
    counts: dict[str, int]
    size: int = 0
    root: str = ""
    agreed: int = 0
    findings: list[Finding] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0 clean, 1 altered, 2 could not tell."""
        return ALTERED if self.findings else COULD_NOT_TELL if self.reasons else CLEAN

    @property
    def first(self) -> Finding | None:
        """The first alteration: an exact number before a stretch that ends at or after it."""
        numbered = [each for each in self.findings if each.journal_no is not None]
        order = sorted(
            numbered, key=lambda f: (f.journal_no_last, f.journal_no != f.journal_no_last)
        )
        return next(iter([*order, *self.findings]), None)

    def as_json(self) -> dict[str, Any]:
        """The report with stable keys."""
        first = self.first
        return {
            "result": ("clean", "altered", "could_not_tell")[self.exit_code],
            "tenant": self.tenant,
            "size": self.size,
            "root": self.root,
            "checked": self.counts,
            "checkpoints_agree_up_to": self.agreed,
            "first": None if first is None else first._asdict(),
            "findings": [each._asdict() for each in self.findings],
            "reasons": self.reasons,
            "remarks": self.remarks,
        }

    def as_text(self) -> Iterator[str]:
        """The report for people."""
        counted = ", ".join(
            f"{number:,} {name if number > 1 else _SINGULAR.get(name, name[:-1])}"
            for name, number in self.counts.items()
            if number
        )
        yield f"{self.tenant}: {counted or 'nothing'} checked."
        first = self.first
        if first is not None:
            yield f"ALTERED, {where(first)}{first.field and f', {first.field}'}."
        for each in self.findings[:_SHOWN]:
            yield f"  {each.promise} ({where(each)}): {each.sentence}"
        if len(self.findings) > _SHOWN:
            yield f"  ... {len(self.findings) - _SHOWN:,} more; --json lists them."
        yield from (f"COULD NOT TELL: {each}." for each in self.reasons)
        yield from (f"{each}." for each in self.remarks)
        if self.exit_code == CLEAN:
            yield f"Nothing was altered. Root of the {self.size:,} events: {self.root}"


def where(each: Finding) -> str:
    """The journal number of a finding in words."""
    if each.journal_no is None:
        return "no journal number"
    if each.journal_no == each.journal_no_last:
        return f"journal number {each.journal_no}"
    return f"journal numbers {each.journal_no} to {each.journal_no_last}"


def check(
    source: Source,
    *,
    outside: Sequence[Note] = (),
    keys: Sequence[Key] = (),
    proofs: Sequence[Mapping[str, Any]] = (),
    jobs: int = 1,
    on_events: Callable[[int], None] = lambda _size: None,
) -> Report:
    """Check all of it; `outside` are checkpoints that were kept elsewhere."""
    origin = f"holdfast/{source.tenant}"
    ours = [note for note in outside if note.origin == origin]
    notes = [*ours, *source.notes()]
    sizes = [proof["size"] for proof in proofs if isinstance(proof.get("size"), int)]
    journal = Journal(source.blocks(), notes, sizes)
    for stretch in in_order(source, jobs):
        journal.take(stretch)
        on_events(journal.tree.size)
    journal.end(is_cut=source.is_cut)
    journal.check_accounts(source.accounts())
    size, root = journal.tree.size, journal.tree.root()
    beyond = [note for note in notes if source.is_cut and note.size > size]
    wrong, agreed = check_notes(journal, [n for n in notes if n not in beyond], keys, origin)
    for proof in proofs:
        try:
            wrong += check_proof(proof, notes)
        except CannotTell as trouble:
            wrong.append(_found("proof", None, "proof", str(trouble)))
            continue
        if journal.roots.get(proof["size"], b"").hex() != proof["root"]:
            said = f"the proof of {proof['journal_no']} is not of this log"
            wrong.append(_found("proof", None, "root", said))
    wrong += source.findings(journal)
    counts = {**journal.counts, "accounts": len(journal.chains), "checkpoints": len(notes)}
    report = Report(source.tenant, counts, size, root.hex(), agreed, journal.findings + wrong)
    if not size:
        report.reasons.append("no event is sealed")
    report.remarks += source.remarks()
    if beyond:
        said = f"by its manifest the export was cut at {size} as asked; a checkpoint has seen more"
        report.reasons.append(said)
    if outside and not ours:
        report.reasons.append(f"none of the checkpoints that were given is of the log {origin}")
    _say_what_is_missing(report, notes, outside, keys)
    return report


def _say_what_is_missing(
    report: Report, notes: Sequence[Note], outside: Sequence[Note], keys: Sequence[Key]
) -> None:
    if keys and not HAS_ED25519:
        report.reasons.append(
            "signatures were asked for, and cannot be checked without the package cryptography"
        )
    elif keys and not notes:
        report.reasons.append("signatures were asked for, and there is no checkpoint")
    if notes and 0 < report.agreed < report.size:
        since = "" if report.size == report.agreed + 1 else f" to {report.size:,}"
        report.remarks.append(
            f"No checkpoint covers the events from {report.agreed + 1:,}{since}: were they written"
            " anew with their hashes by anybody, they would look like this, too"
        )
    report.counts["signatures"] = len(notes) if keys and HAS_ED25519 else 0
    if not outside:
        who = "by the holder of the key" if keys else "with all its checkpoints"
        report.remarks.append(
            "No checkpoint from elsewhere was given (--checkpoint): a log that was cut, or written"
            f" anew {who}, would look like this, too"
        )


def in_order(source: Source, jobs: int) -> Iterator[Stretch]:
    """The log checked piece by piece, in `jobs` processes if it has more than one piece."""
    pieces = source.pieces()
    head = [piece for _, piece in zip(range(2), pieces, strict=False)]
    if len(head) < 2 or jobs < 2:
        for piece in chain(head, pieces):
            yield check_stretch(source.tenant, piece)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        waiting: deque[Future[Stretch]] = deque()
        for piece in chain(head, pieces):
            waiting.append(pool.submit(check_stretch, source.tenant, piece))
            if len(waiting) > jobs + 1:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


# --- The command line -----------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as a program; the exit code."""
    asked = _parser().parse_args(arguments)
    try:
        report = run(asked)
    except CannotTell as trouble:
        if asked.as_json:
            told = {"result": "could_not_tell", "reasons": [str(trouble)]}
            sys.stdout.write(json.dumps(told, indent=2) + "\n")
        else:
            sys.stderr.write(f"COULD NOT TELL: {trouble}.\n")
        return COULD_NOT_TELL
    if asked.as_json:
        sys.stdout.write(json.dumps(report.as_json(), indent=2) + "\n")
    else:
        sys.stdout.writelines(f"{line}\n" for line in report.as_text())
    return report.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="verify",
        description="Was anything in the books altered? Exit 0: no; 1: yes; 2: could not tell.",
    )
    parser.add_argument("export", nargs="?", type=Path, help="folder or zip, or a proof (.json)")
    parser.add_argument("--dsn", help="read the books of a database instead, in a snapshot")
    parser.add_argument("--tenant", help="whose books, with --dsn")
    parser.add_argument(
        "--checkpoint",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="signed notes that were kept elsewhere; may be given more than once",
    )
    parser.add_argument(
        "--public-key",
        action="append",
        default=[],
        metavar="KEY",
        help="check signatures: a key (name+id+base64, or 32 bytes), or a file with one",
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--json", dest="as_json", action="store_true", help="stable keys")
    return parser


def run(asked: argparse.Namespace) -> Report:
    """Check what was asked for; CannotTell where that cannot be read."""
    if (asked.export is None) == (asked.dsn is None) or (asked.dsn and not asked.tenant):
        raise CannotTell("give an export, or --dsn with --tenant")
    keys = [read_key(each) for each in asked.public_key]
    outside = [
        note for path in asked.checkpoint for note in read_notes(_text(path), place=str(path))
    ]
    with ExitStack() as held:
        if asked.dsn:
            books = Books(asked.dsn, asked.tenant, held)
            return check(books, outside=outside, keys=keys, jobs=asked.jobs, on_events=_count)
        if asked.export.suffix == ".json":
            return _check_one(json_of(_text(asked.export)), outside, keys)
        export = Export(asked.export, held)
        proofs = export.proofs()
        return check(
            export, outside=outside, keys=keys, proofs=proofs, jobs=asked.jobs, on_events=_count
        )


def _check_one(proof: Mapping[str, Any], outside: Sequence[Note], keys: Sequence[Key]) -> Report:
    """One proof by itself: its own checkpoint, and others of the same size."""
    notes = [*outside]
    if proof.get("checkpoint"):
        notes += read_notes(proof["checkpoint"], place="the proof")
    report = Report(str(proof.get("tenant", "")), {"proofs": 1, "checkpoints": len(notes)})
    report.size, report.root = int(proof.get("size", 0)), str(proof.get("root", ""))
    report.findings += check_proof(proof, notes)
    fitting = [note for note in notes if (note.size, note.root.hex()) == (report.size, report.root)]
    if keys and HAS_ED25519 and fitting and not any(is_signed(note, keys) for note in fitting):
        said = "the checkpoint of the proof is not signed by the key that was given"
        report.findings.append(_found("checkpoint", proof["journal_no"], "signature", said))
    if not fitting:
        report.reasons.append(f"no checkpoint of size {report.size} and this root is there")
    _say_what_is_missing(report, notes, outside or (notes if keys else ()), keys)
    return report


def json_of(text: str | bytes) -> dict[str, Any]:
    """The JSON object of a small file."""
    try:
        value = json.loads(text, object_pairs_hook=once)
    except (ValueError, RecursionError) as trouble:
        raise CannotTell(f"a proof cannot be read: {trouble}") from trouble
    if not isinstance(value, dict):
        raise CannotTell("a proof cannot be read: it is no JSON object")
    return value


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, ValueError) as trouble:
        raise CannotTell(f"{path} cannot be read: {trouble}") from trouble


def _count(size: int) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{size:,} events\r")


if __name__ == "__main__":
    sys.exit(main())
