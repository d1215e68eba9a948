"""Exports that are odd in one place: an import refuses them in words and reads nothing outside."""

import gzip
import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from kernel.errors import Refusal
from ledger import imports
from tests.ledger.made_exports import make
from tests.ledger.write_export import alter, rehash

Change = Callable[[Path], object]


@pytest.fixture
def export(tmp_path: Path) -> Path:
    make(tmp_path / "export", 30)
    return tmp_path / "export"


def say(change: Callable[[dict[str, Any]], object]) -> Change:
    def spoil(export: Path) -> None:
        manifest = json.loads((export / "manifest.json").read_text())
        change(manifest)
        (export / "manifest.json").write_text(json.dumps(manifest))

    return spoil


def list_also(name: object) -> Change:
    file = {"name": name, "rows": 0, "sums": {}, "sha256": "0" * 64}
    return say(lambda manifest: manifest["files"].append(file))


def spell(name: str, old: bytes, new: bytes) -> Change:
    def spoil(export: Path) -> None:
        alter(export, name, old, new)
        rehash(export)

    return spoil


def pack(octets: bytes | None) -> Change:
    """A packed log: torn, or the bytes given."""

    def spoil(export: Path) -> None:
        packed = octets or gzip.compress((export / "log.jsonl").read_bytes())[:-50]
        (export / "log.jsonl.gz").write_bytes(packed)
        named = {"name": "log.jsonl.gz", "sha256": sha256(packed).hexdigest()}
        say(lambda manifest: manifest["files"][0].update(named))(export)

    return spoil


ODD: dict[str, Change] = {
    "a file outside": list_also("../secret.txt"),
    "a file from the root": list_also("/etc/hostname"),
    "a file without a name": list_also(""),
    "a file with a number for a name": list_also(5),
    "a file with an endless name": list_also("a" * 5_000),
    "totals that are a list": say(lambda manifest: manifest["files"][0].update(sums=[1])),
    "a size in letters": say(lambda manifest: manifest.update(size="30")),
    "no size": say(lambda manifest: manifest.update(size=None)),
    "a torn packed log": pack(None),
    "a packed log that is none": pack(b"hello"),
    "a reason that is none": spell("log.jsonl", b'"reason":"as agreed"', b'"reason":null'),
    "an account that is a number": spell("log.jsonl", b'"custody.bank[] EUR"', b"5"),
    "a list in no letters": spell("blocks.csv", b"2026", b"\xff\xfe"),
    "a list with an open quote": spell("blocks.csv", b"2026", b'"2026'),
    "a list with an endless cell": spell("blocks.csv", b"2026", b"2" * 200_000),
    "a block at a time of no zone": spell("blocks.csv", b"Z", b""),
    "a period at no time": spell("periods.csv", b"2026-03", b"xxxx"),
    "a period that ends before it begins": spell("periods.csv", b"2026-04", b"2025-04"),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_export_is_refused_in_words(export: Path, tmp_path: Path, name: str) -> None:
    """A refusal, never a fault of ours; a file outside the folder is not even looked at."""
    (tmp_path / "secret.txt").write_text("not yours")
    ODD[name](export)

    with pytest.raises(Refusal) as refused:
        imports.check(export, "test", lambda _what, _done, _of: None)

    assert refused.value.code in {"export.unreadable", "import.altered"}
    assert refused.value.facts.get("field") != "../secret.txt"
