"""The proof: recount everything, and say what does not agree.

Each finding is one sentence with numbers; a clean proof has none. The queries stand in
`ledger/sql/proof.sql`, each under the name of the promise that it checks
(domain/audit-and-reliability.md 1.4). Runs in one snapshot, range by range of batches and of
accounts: neither we nor the server ever hold more than a piece of the books.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection

from ledger import store_proof as store
from ledger.proof_log import ROOTS, recount
from ledger.store_proof import HIGHEST, LOWEST, Promise, Span

PIECES: Final = 200_000
"""How many rows a range holds, about; small books are one range."""

_SHOWN: Final = 10
_MOST: Final = 1_000
_LEAVES: Final = "leaves"

Progress = Callable[[str, int, int], None]
"""Called with what is being proven, how much of it is done, and how much there is."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One promise that does not hold: its name, how many rows break it, and the first of them.

    In one range no more than a thousand rows are counted.
    """

    promise: str
    count: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Proof:
    """What was counted and what does not agree."""

    counts: dict[str, int]
    promises: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def is_clean(self) -> bool:
        """Whether every promise holds."""
        return not self.findings

    def as_json(self) -> dict[str, Any]:
        """The proof with stable keys."""
        return {
            "clean": self.is_clean,
            "counts": self.counts,
            "promises": list(self.promises),
            "findings": [
                {"promise": f.promise, "count": f.count, "examples": list(f.examples)}
                for f in self.findings
            ],
        }


def queries(*, leaves: bool = False) -> dict[str, Promise]:
    """The promises by name; those about leaf hashes only where they are asked for."""
    known = store.promises().items()
    return {name: each for name, each in known if leaves or each.over != _LEAVES}


def prove(
    connection: Connection,
    *,
    leaves: bool = False,
    progress: Progress | None = None,
    pieces: int = PIECES,
) -> Proof:
    """Recount the books of the tenant; run it in `kernel.database.snapshot`.

    Args:
        connection: a reader of the tenant's books.
        leaves: also reckon every leaf hash again from the rows, and the tree of the log from the
            leaves, which takes about as long as all the rest.
        progress: told after each range.
        pieces: rows of a range.
    """
    known = queries(leaves=leaves)
    broken: dict[str, list[str]] = {name: [] for name in known}
    counts = store.count_rows(connection)
    tell = progress or _tell_nobody

    def ask(span: Span, *over: str) -> None:
        for promise in known.values():
            if promise.over in over and len(broken[promise.name]) < _MOST:
                broken[promise.name] += store.list_broken(connection, promise, span)

    everything = Span(LOWEST, HIGHEST, counts["line"] + counts["event"])
    is_small = everything.rows + counts["account"] <= pieces
    ask(everything, "")
    done = 0
    for span in [everything] if is_small else store.event_spans(connection, pieces=pieces):
        ask(span, "events", _LEAVES)
        done += span.rows
        tell("events", done, everything.rows)
    done, total = 0, counts["line"] + counts["account"]
    for span in [everything] if is_small else store.account_spans(connection, pieces=pieces):
        ask(span, "accounts")
        done += span.rows
        tell("accounts", min(done, total), total)
    for span in store.journal_spans(connection, pieces=pieces):
        ask(span, "journal")
    if leaves:
        broken[ROOTS] = recount(connection, tell)
    findings = [
        Finding(name, len(found), tuple(found[:_SHOWN])) for name, found in broken.items() if found
    ]
    return Proof(counts, tuple(broken), tuple(findings))


def _tell_nobody(what: str, done: int, total: int) -> None:
    """A proof that nobody watches."""
