"""The Merkle tree of the log: RFC 6962 over leaf hashes, its proofs, and the checking of proofs.

Pure. A leaf is 32 bytes, SHA-256 of a zero byte and an event's canonical bytes; it comes here
already hashed. An inner node is SHA-256 of a one byte and its two children. Trees are split at the
largest power of two below their size, so a tree of n leaves is a row of complete subtrees, the
largest first: its *frontier*.

Proofs are drawn up in two steps: which spans of leaves they need the roots of (`inclusion_spans`,
`consistency_spans`), and what rows hold those (`pieces`): complete subtrees of the levels that are
stored, and single leaves. Whoever has the rows folds them with `root_of`.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, NamedTuple

EMPTY_ROOT: Final = sha256(b"").digest()
"""The root of a tree without leaves."""

STORED_LEVELS: Final = (24, 16, 8)
"""Complete subtrees of 2**level leaves that are kept; leaves are level 0."""


class Span(NamedTuple):
    """The leaves from `start` up to, not including, `end`, counted from 0."""

    start: int
    end: int


class Piece(NamedTuple):
    """Neighbouring complete subtrees of one level: from `first` up to, not including, `end`."""

    level: int
    first: int
    end: int


class Subtree(NamedTuple):
    """A complete subtree: of leaves `position << level` to `(position + 1) << level`."""

    level: int
    position: int
    hash: bytes


@dataclass(slots=True)
class Frontier:
    """A tree that grows: its complete subtrees, the largest first, and how many leaves it has."""

    size: int = 0
    row: list[tuple[int, bytes]] = field(default_factory=list)

    def push(self, level: int, hashed: bytes) -> Iterator[Subtree]:
        """Add a complete subtree of 2**level leaves at the right; each subtree this completes.

        The size must be a multiple of 2**level, as it is when pieces come in order. The generator
        has to be run to its end.
        """
        assert self.size % (1 << level) == 0
        self.size += 1 << level
        yield Subtree(level, (self.size >> level) - 1, hashed)
        while self.row and self.row[-1][0] == level:
            hashed = _node(self.row.pop()[1], hashed)
            level += 1
            yield Subtree(level, (self.size >> level) - 1, hashed)
        self.row.append((level, hashed))

    def extend(self, leaves: Iterable[bytes]) -> list[Subtree]:
        """Add leaves; the subtrees of the stored levels that they complete."""
        return [
            grown
            for leaf in leaves
            for grown in self.push(0, leaf)
            if grown.level and grown.level in STORED_LEVELS
        ]

    def root(self) -> bytes:
        """The root of the tree as it stands."""
        if not self.row:
            return EMPTY_ROOT
        hashed = self.row[-1][1]
        for _, left in reversed(self.row[:-1]):
            hashed = _node(left, hashed)
        return hashed


def root(leaves: Iterable[bytes]) -> bytes:
    """The root of a tree of these leaf hashes."""
    tree = Frontier()
    tree.extend(leaves)
    return tree.root()


def pieces(span: Span) -> list[Piece]:
    """The rows that a span's root is folded from, at most one piece per level.

    The span starts at a multiple of a power of two that is not below its length, as every span
    does that a proof asks for.
    """
    found, at = [], span.start
    for level in (*STORED_LEVELS, 0):
        count = (span.end >> level) - (at >> level)
        if at % (1 << level) == 0 and count > 0:
            found.append(Piece(level, at >> level, span.end >> level))
            at += count << level
    assert at == span.end
    return found


def root_of(parts: Iterable[tuple[Piece, Sequence[bytes]]]) -> bytes:
    """The root of a span, from its pieces in order and the hashes of each."""
    tree = Frontier()
    for piece, hashes in parts:
        for hashed in hashes:
            for _ in tree.push(piece.level, hashed):
                pass
    return tree.root()


def inclusion_spans(*, index: int, size: int) -> list[Span]:
    """Whose roots prove that leaf `index` (from 0) is in the tree of `size`: lowest first."""
    assert 0 <= index < size
    spans, start, end = [], 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            spans.append(Span(middle, end))
            end = middle
        else:
            spans.append(Span(start, middle))
            start = middle
    return spans[::-1]


def consistency_spans(*, old: int, new: int) -> list[Span]:
    """Whose roots prove that the tree of `new` leaves goes on from that of `old`: lowest first.

    None where `old` is 0 or `new`: there is nothing to prove.
    """
    assert 0 <= old <= new
    if old in {0, new}:
        return []
    spans, start, end = [], 0, new
    while old < end:
        middle = start + _split(end - start)
        if old <= middle:
            spans.append(Span(middle, end))
            end = middle
        else:
            spans.append(Span(start, middle))
            start = middle
    if start > 0:
        spans.append(Span(start, end))
    return spans[::-1]


def is_included(
    leaf: bytes, *, index: int, size: int, proof: Sequence[bytes], expected: bytes
) -> bool:
    """Whether the proof shows that the leaf stands at `index` (from 0) of the tree `expected`.

    Source: RFC 9162, 2.1.3.2.
    """
    if not 0 <= index < size:
        return False
    at, last, hashed = index, size - 1, leaf
    for step in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            hashed = _node(step, hashed)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            hashed = _node(hashed, step)
        at, last = at >> 1, last >> 1
    return last == 0 and hashed == expected


def is_consistent(
    *, old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Whether the proof shows that the first `old` leaves of the tree `new_root` are `old_root`.

    Source: RFC 9162, 2.1.4.2.
    """
    if not 0 <= old <= new:
        return False
    if old == new:
        return not proof and old_root == new_root
    if old == 0:
        return not proof and old_root == EMPTY_ROOT
    path = list(proof) if old & (old - 1) else [old_root, *proof]
    if not path:
        return False
    at, last = old - 1, new - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    old_hash = new_hash = path[0]
    for step in path[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            old_hash, new_hash = _node(step, old_hash), _node(step, new_hash)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            new_hash = _node(new_hash, step)
        at, last = at >> 1, last >> 1
    return last == 0 and old_hash == old_root and new_hash == new_root


def _split(size: int) -> int:
    """The largest power of two below a size of at least 2."""
    return 1 << ((size - 1).bit_length() - 1)


def _node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()
