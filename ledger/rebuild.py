"""Everything derived, reckoned again from the lines: the same bytes, or it is said what differs.

Sums per chunk and day are dropped and written anew. Where accounts stand and the tree of the log
are held by guards that let nobody write them but postings and seals: they are reckoned again and
compared. Nothing here is held whole in memory.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection

from kernel.database import Tenant
from ledger import cells, store_proof
from ledger import store_rebuild as store
from ledger.proof_log import recount
from ledger.store_cells import TABLES
from ledger.store_proof import Span
from ledger.store_rebuild import Digest

Progress = Callable[[str, int, int], None]
"""Called with what is reckoned, how much of it is done, and how much there is."""

PIECES: Final = 200_000
"""How many lines a range of accounts holds, about."""


@dataclass(frozen=True, slots=True)
class Derived:
    """One derived table: as it was, and as it comes out of the lines."""

    table: str
    was: Digest
    is_now: Digest
    is_written: bool

    @property
    def is_identical(self) -> bool:
        """Whether every byte is the same."""
        return self.was == self.is_now

    def as_json(self) -> dict[str, Any]:
        """With stable keys."""
        return {
            "table": self.table,
            "identical": self.is_identical,
            "rows": self.is_now.rows,
            "sha256": self.is_now.sha256,
            "rows_before": self.was.rows,
            "sha256_before": self.was.sha256,
            "written": self.is_written and not self.is_identical,
        }


def compare(connection: Connection, progress: Progress, *, pieces: int = PIECES) -> list[Derived]:
    """Accounts and the tree of the log, reckoned again; run it in `kernel.database.snapshot`."""
    total = sum(store_proof.count_rows(connection)[name] for name in ("line", "account"))
    done = 0

    def told(span: Span) -> None:
        nonlocal done
        done += span.rows
        progress("accounts", min(done, total), total)

    spans = store_proof.account_spans(connection, pieces=pieces)
    stands, recounted = store.digest_accounts(connection, spans, told)
    tree = store.digest_table(connection, "tree_node")
    broken = recount(connection, progress)
    reckoned = Digest(tree.rows, tree.sha256 if not broken else f"differs: {broken[0]}")
    return [
        Derived("account", stands, recounted, is_written=False),
        Derived("tree_node", tree, reckoned, is_written=False),
    ]


def rebuild(connection: Connection, tenant: Tenant, progress: Progress) -> list[Derived]:
    """Drop all cells and write them again, as the owner of the tables; one result per table.

    The sealer waits until the caller's transaction ends. A caller who only wants to know rolls
    it back.
    """
    store.look_into(connection, tenant)
    store.lock_cells(connection)
    was = {table: store.digest_table(connection, table) for table in TABLES}
    cells.rebuild(connection, lambda done, total: progress("cells", done, total))
    return [
        Derived(table, was[table], store.digest_table(connection, table), is_written=True)
        for table in TABLES
    ]
