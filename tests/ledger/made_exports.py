"""Exports made by hand, without a database: sealed, signed, and as large as is asked for.

The tree is the recursive definition of RFC 6962 section 2.1, the notes are spelled out.
"""

import base64
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ledger import log_file
from ledger.log_file import File, FileWriter, Manifest, written
from tests.ledger.leaf import leaf_of

TENANT: Final = "test"
ORIGIN: Final = "holdfast/test"
KEY: Final = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER_KEY: Final = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
_START: Final = datetime(2026, 3, 2, 12, tzinfo=UTC)
_SYSTEM: Final = "00000000-0000-0000-0000-000000000001"

Event = dict[str, Any]


def roots_of(leaves: Sequence[bytes]) -> Callable[[int], bytes]:
    """The roots of the first so many leaves, as RFC 6962 defines them."""

    @cache
    def complete(low: int, high: int) -> bytes:
        return root(low, high)

    def root(low: int, high: int) -> bytes:
        if high - low == 1:
            return leaves[low]
        split = low + (1 << (high - low - 1).bit_length() - 1)
        return sha256(b"\x01" + complete(low, split) + root(split, high)).digest()

    return lambda size: root(0, size) if size else sha256(b"").digest()


def key_text(key: Ed25519PrivateKey = KEY, name: str = ORIGIN) -> str:
    """The public key as `name+id+base64`."""
    raw = b"\x01" + key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return f"{name}+{_key_id(key, name).hex()}+{base64.b64encode(raw).decode()}"


def note_of(size: int, root: bytes, *, key: Ed25519PrivateKey = KEY, origin: str = ORIGIN) -> str:
    """A signed checkpoint."""
    text = f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n"
    signature = base64.b64encode(_key_id(key, origin) + key.sign(text.encode())).decode()
    return f"{text}\n\u2014 {origin} {signature}\n"


def _key_id(key: Ed25519PrivateKey, name: str) -> bytes:
    raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return sha256(f"{name}\n".encode() + b"\x01" + raw).digest()[:4]


class MadeBooks:
    """Events of a small market, each right by itself and after the one before."""

    def __init__(self, *, tenant: str = TENANT, wallets: int = 50) -> None:
        self.tenant = tenant
        self._wallets = [f"custody.wallet[w{number:05}] EUR" for number in range(wallets)]
        self._stood: dict[str, tuple[int, int]] = {}
        self._book_no = {"custody": 0, "platform": 0}
        self._number = 0

    def event(self) -> Event:
        """The next one: two of three fund a wallet, each third takes a fee out of one."""
        self._number += 1
        number = self._number
        wallet = self._wallets[number * 7 % len(self._wallets)]
        if number % 3:
            entries = [self._entry("custody", ("custody.bank[] EUR", 700), (wallet, -700))]
        else:
            to_platform = ("custody.due_to_platform[] EUR", -30)
            earned = ("custody.earned_pending[p1] EUR", -70)
            commission = ("platform.revenue.commission[] EUR", -30)
            entries = [
                self._entry("custody", (wallet, 100), to_platform, earned),
                self._entry("platform", ("platform.due_from_custody[] EUR", 30), commission),
            ]
        for place, entry in enumerate(entries, 1):
            entry["entry_no"] = place
        at = _START + timedelta(seconds=number)
        event: Event = {
            "journal_no": number,
            "version": 1,
            "tenant": self.tenant,
            "id": number << 14,
            "kind": "wallet.funded" if number % 3 else "slot.released",
            "subject": f"slot:{number:08}",
            "actor": {"kind": "system", "principal_id": _SYSTEM, "party_id": None},
            "effective_at": _written(at - timedelta(seconds=5)),
            "recorded_at": _written(at),
            "reason": "as agreed",
            "detail": f'{{"order":{number},"memo":"caf\u00e9"}}',
            "entry_count": len(entries),
            "entries": entries,
        }
        return event | {"leaf_hash": leaf_of(event)}

    def _entry(self, book: str, *legs: tuple[str, int]) -> Event:
        self._book_no[book] += 1
        return {
            "entry_no": 1,
            "book_no": self._book_no[book],
            "book": book,
            "currency": "EUR",
            "reverses": None,
            "line_count": len(legs),
            "lines": [self._line(account, amount) for account, amount in legs],
        }

    def _line(self, account: str, amount: int) -> Event:
        seq, balance = self._stood.get(account, (0, 0))
        self._stood[account] = seq + 1, balance + amount
        return {
            "account": account,
            "amount_minor": str(amount),
            "account_seq": seq + 1,
            "balance_after_minor": str(balance + amount),
        }

    def accounts(self) -> Iterator[tuple[object, ...]]:
        """The rows of accounts.csv."""
        for code, (lines, balance) in sorted(self._stood.items()):
            kind, _, rest = code.partition("[")
            subject, _, currency = rest.partition("] ")
            yield code, code.split(".")[0], kind, subject, currency, "open", lines, balance


def make(folder: Path, events: int, *, per_block: int = 10, wallets: int = 50) -> str:
    """Write an export of so many events, with a checkpoint at each tenth block; the newest note."""
    folder.mkdir(parents=True, exist_ok=True)
    books = MadeBooks(wallets=wallets)
    leaves: list[bytes] = []
    files = []
    with written(folder, log_file.LOG) as out:
        for _ in range(events):
            event = books.event()
            leaves.append(bytes.fromhex(event["leaf_hash"]))
            out.write(orjson.dumps(event) + b"\n", rows=1)
    files.append(out.file())
    files.append(_listed(folder, log_file.ACCOUNTS, log_file.ACCOUNT_COLUMNS, books.accounts()))
    month = ("2026-03-01T00:00:00.000000Z", "2026-04-01T00:00:00.000000Z", "open")
    files.append(_listed(folder, log_file.PERIODS, log_file.PERIOD_COLUMNS, [month]))
    blocks = list(_blocks(leaves, per_block))
    files.append(_listed(folder, log_file.BLOCKS, log_file.BLOCK_COLUMNS, blocks))
    noted = [block for block in blocks if block[0] % 10 == 0 or block is blocks[-1]]
    notes = [note_of(block[2], bytes.fromhex(block[3])) for block in noted]
    with written(folder, log_file.CHECKPOINTS) as out:
        out.write("\n".join(notes).encode(), rows=len(notes))
    files.append(out.file())
    write_manifest(folder, events, roots_of(leaves)(events), files)
    return notes[-1] if notes else ""


def write_manifest(folder: Path, size: int, root: bytes, files: Sequence[File]) -> None:
    """The manifest of files that stand there."""
    manifest = Manifest(TENANT, size, root, {}, tuple(files))
    (folder / log_file.MANIFEST).write_bytes(manifest.as_bytes())


def _blocks(leaves: Sequence[bytes], per_block: int) -> Iterator[tuple[Any, ...]]:
    root = roots_of(leaves)
    for no, first in enumerate(range(1, len(leaves) + 1, per_block), 1):
        last = min(first + per_block - 1, len(leaves))
        at = _written(_START + timedelta(days=1, seconds=no))
        yield no, first, last, root(last).hex(), last, last // 3, at


def _listed(
    folder: Path, name: str, columns: Sequence[str], rows: Iterator[Any] | Sequence[Any]
) -> File:
    out: FileWriter
    with written(folder, name) as out:
        out.write_csv([columns], is_header=True)
        out.write_csv(list(rows))
    return out.file()


def _written(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
