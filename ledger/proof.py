"""The proof: recount everything, and say what does not agree.

Each finding is one sentence with numbers; a clean proof has none. The queries stand in
`ledger/sql/proof.sql`, each under the name of the promise that it checks
(domain/audit-and-reliability.md 1.4). Runs in one snapshot.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection

from ledger.store_audit import count_rows, list_broken

_SQL: Final = Path(__file__).parent / "sql" / "proof.sql"
_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class Finding:
    """One promise that does not hold: its name, how many rows break it, and the first of them."""

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


def queries() -> dict[str, str]:
    """The promises by name: text of the SQL file between its `-- name:` lines."""
    blocks = _SQL.read_text(encoding="utf-8").split("-- name: ")[1:]
    return {name.strip(): sql.strip() for name, _, sql in (b.partition("\n") for b in blocks)}


def prove(connection: Connection) -> Proof:
    """Recount the books of the tenant; run it in `kernel.database.snapshot`."""
    known = queries()
    counts = count_rows(connection)
    findings = []
    for promise, sql in known.items():
        broken = list_broken(connection, sql)
        if broken:
            findings.append(Finding(promise, len(broken), tuple(broken[:_SHOWN])))
    return Proof(counts, tuple(known), tuple(findings))
