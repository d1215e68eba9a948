"""The Merkle tree of the log, against RFC 6962 as it is written and known vectors."""

from hashlib import sha256
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import merkle
from ledger.merkle import EMPTY_ROOT, Frontier, Piece, Span

# The inputs of the reference implementation's own tests, and the roots that they lead to.
CT_INPUTS = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
]
CT_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]

sizes = st.integers(1, 700)


def leaves_of(size: int) -> list[bytes]:
    return [sha256(b"\0" + str(number).encode()).digest() for number in range(size)]


LEAVES = leaves_of(700)


def naive_root(leaves: list[bytes]) -> bytes:
    """MTH as RFC 6962 2.1 defines it, over leaves that are hashed already."""
    if not leaves:
        return EMPTY_ROOT
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while 2 * split < len(leaves):
        split *= 2
    return sha256(b"\1" + naive_root(leaves[:split]) + naive_root(leaves[split:])).digest()


def roots_of(spans: list[Span], leaves: list[bytes]) -> list[bytes]:
    return [naive_root(leaves[span.start : span.end]) for span in spans]


def rows_of(piece: Piece, leaves: list[bytes]) -> list[bytes]:
    """The stored hashes of a piece."""
    width = 1 << piece.level
    return [
        naive_root(leaves[each * width : (each + 1) * width])
        for each in range(piece.first, piece.end)
    ]


def test_roots_are_those_of_certificate_transparency() -> None:
    """Eight known inputs lead to eight known roots."""
    leaves = [sha256(b"\0" + bytes.fromhex(each)).digest() for each in CT_INPUTS]

    roots = [merkle.root(leaves[: size + 1]).hex() for size in range(8)]

    assert roots == CT_ROOTS


@given(sizes)
def test_the_root_is_that_of_the_definition(size: int) -> None:
    """Growing leaf by leaf comes to what the recursive definition says."""
    assert merkle.root(LEAVES[:size]) == naive_root(LEAVES[:size])


def test_a_tree_without_leaves_has_the_hash_of_nothing() -> None:
    """RFC 6962: the hash of an empty list is the hash of an empty string."""
    assert merkle.root([]) == sha256(b"").digest()


@given(sizes, sizes)
def test_a_tree_goes_on_from_its_stored_rows(one: int, other: int) -> None:
    """Rebuilt from complete subtrees and leaves, a tree grows to the same root."""
    old, new = sorted((one, other))
    tree = Frontier()
    for piece in merkle.pieces(Span(0, old)):
        for hashed in rows_of(piece, LEAVES):
            list(tree.push(piece.level, hashed))

    grown = tree.extend(LEAVES[old:new])

    assert tree.size == new
    assert tree.root() == naive_root(LEAVES[:new])
    wanted = range(old >> 8, new >> 8)
    assert [each.position for each in grown] == list(wanted)
    assert [each.hash for each in grown] == rows_of(Piece(8, old >> 8, new >> 8), LEAVES)


@given(sizes, st.data())
def test_an_inclusion_proof_is_accepted_and_short(size: int, data: st.DataObject) -> None:
    """The proof for any leaf is accepted; for another place, leaf, size or root it is not."""
    index = data.draw(st.integers(0, size - 1))
    leaves = LEAVES[:size]
    root = naive_root(leaves)

    proof = roots_of(merkle.inclusion_spans(index=index, size=size), leaves)

    def holds(**other: object) -> bool:
        told = {"index": index, "size": size, "proof": proof, "expected": root} | other
        leaf = told.pop("leaf", leaves[index])
        return merkle.is_included(leaf, **told)  # type: ignore[arg-type]

    assert holds()
    assert len(proof) <= (size - 1).bit_length()
    assert not holds(expected=bytes(32))
    assert not holds(leaf=bytes(32))
    assert not holds(proof=[*proof, bytes(32)])
    assert not holds(index=size)
    if proof:
        assert not holds(proof=proof[:-1])
        assert not holds(index=(index + 1) % size)
        assert not holds(proof=[bytes(32), *proof[1:]])


@given(sizes, sizes)
def test_a_consistency_proof_is_accepted(one: int, other: int) -> None:
    """The proof between any two sizes is accepted; a change of either root or a step is not."""
    old, new = sorted((one, other))
    old_root, new_root = naive_root(LEAVES[:old]), naive_root(LEAVES[:new])

    proof = roots_of(merkle.consistency_spans(old=old, new=new), LEAVES)

    def holds(**given: object) -> bool:
        told = {
            "old": old,
            "new": new,
            "old_root": old_root,
            "new_root": new_root,
            "proof": proof,
        } | given
        return merkle.is_consistent(**told)  # type: ignore[arg-type]

    assert holds()
    assert len(proof) <= 2 * new.bit_length()
    assert not holds(old_root=bytes(32))
    assert not holds(new_root=bytes(32))
    assert not holds(proof=[*proof, bytes(32)])
    for at in range(len(proof)):
        assert not holds(proof=[*proof[:at], bytes(32), *proof[at + 1 :]])


def test_a_shorter_tree_is_no_continuation() -> None:
    """A log that lost its tail has no proof at all."""
    root = naive_root(LEAVES[:5])

    assert not merkle.is_consistent(
        old=5, new=4, old_root=root, new_root=naive_root(LEAVES[:4]), proof=[]
    )


@pytest.mark.parametrize("size", [1, 255, 256, 257, 65_535, 65_537, 10_000_019, 2**40 + 12_345])
def test_a_proof_reads_few_rows_however_large_the_log(size: int) -> None:
    """Pieces cover each span without a gap, at most 255 rows of a level below the highest."""
    for index in {0, size // 3, size - 1}:
        for span in merkle.inclusion_spans(index=index, size=size):
            found = merkle.pieces(span)
            ends = [(piece.first << piece.level, piece.end << piece.level) for piece in found]
            assert ends[0][0] == span.start
            assert ends[-1][1] == span.end
            assert all(left[1] == right[0] for left, right in pairwise(ends))
            assert all(each.end - each.first < 256 for each in found if each.level < 24)


def test_an_inclusion_proof_at_a_million_is_below_a_kilobyte() -> None:
    """Twenty hashes of 32 bytes at 10^6 events."""
    assert len(merkle.inclusion_spans(index=123_456, size=1_000_000)) * 32 <= 1_000
