"""The tree of the log reckoned again from its leaves, range by range: blocks' roots, and nodes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection

from ledger import store_proof as store
from ledger.merkle import STORED_LEVELS, Frontier

ROOTS: Final = "every block's root is that of its leaves, and every node of the tree, too"
"""The promise, as the proof names it."""

_LEAVES: Final = 50_000


@dataclass(slots=True)
class Recount:
    """The tree as its leaves give it, and a sentence for each root and node that differs."""

    tree: Frontier = field(default_factory=Frontier)
    broken: list[str] = field(default_factory=list)


def recount(connection: Connection, progress: Callable[[str, int, int], None]) -> list[str]:
    """Reckon the whole tree again; what differs, in sentences. Memory is that of one range."""
    found, size = Recount(), store.find_size(connection)
    for span in store.journal_spans(connection, pieces=_LEAVES):
        _range(connection, found, span)
        progress("tree", min(found.tree.size, size), size)
    if found.tree.size != size:
        found.broken.append(f"the tree has {found.tree.size} leaves, the journal {size} numbers")
    return found.broken


def _range(connection: Connection, found: Recount, span: store.Span) -> None:
    roots, nodes = store.list_roots(connection, span), store.list_nodes(connection, span)
    tree = found.tree
    for leaf in store.list_leaves(connection, span):
        for grown in tree.push(0, leaf):
            if grown.level in STORED_LEVELS:
                stored = nodes.pop((grown.level, grown.position), None)
                if stored != grown.hash:
                    found.broken.append(f"node {grown.position} of level {grown.level} differs")
        stored = roots.pop(tree.size, None)
        if stored is not None and stored != tree.root():
            found.broken.append(f"the block that ends at {tree.size} has another root")
    found.broken += [f"a block ends at {last}, where the journal does not" for last in roots]
    found.broken += [f"node {at} of level {level} is of no event" for level, at in nodes]
