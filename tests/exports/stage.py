"""Sealed books to export, and what the exports of them must come to."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, Engine

from kernel.database import Tenant, snapshot, transaction
from kernel.principals import Actor, PrincipalKind
from ledger import seal as sealing
from ledger.chart import account
from ledger.exports.formats import FORMATS
from ledger.exports.model import ExportedFile, Period
from ledger.model import Book, Draft, Posted
from ledger.service import post
from tests.ledger.drafts import draft, entry, fund, move, wallet


@dataclass(frozen=True, slots=True)
class Read:
    """A prefix of the journal."""

    journal_no: int


def keep(engine: Engine, tenant: Tenant, *drafts: Draft) -> list[Posted]:
    """Post these drafts, all of them accepted."""
    with transaction(engine, tenant) as connection:
        return [outcome for outcome in post(connection, drafts) if isinstance(outcome, Posted)]


def seal(engine: Engine, tenant: Tenant) -> None:
    """Seal all that is posted."""
    is_full = True
    while is_full:
        with transaction(engine, tenant) as connection:
            is_full = sealing.seal(connection, at=datetime.now(UTC)).is_full


def newest(connection: Connection) -> int:
    """The last number of the journal."""
    found = connection.exec_driver_sql("SELECT coalesce(max(journal_no), 0) FROM seal").scalar()
    return int(found or 0)


FEBRUARY: Final = datetime(2026, 2, 10, 9, tzinfo=UTC)
MARCH: Final = datetime(2026, 3, 2, 12, tzinfo=UTC)
APRIL: Final = datetime(2026, 4, 30, 23, 59, 59, tzinfo=UTC)

ODD: Final = '=1+1 "quo\'ted" | pipe; a, b\r\nnext\ttab \\ back \x01 \u00fcn\u00ef \u65e5\u672c <&>'
"""A reason with all that some format takes for its own."""

ODD_WALLET: Final = wallet("@ann's|\"[x]: -\u00e9--z-")

ANN: Final = Actor(UUID("ffffffff-ffff-4fff-bfff-ffffffffffff"), PrincipalKind.PERSON)


def story() -> list[list[Draft]]:
    """Drafts in the order they are recorded; a list is one transaction.

    In EUR: 100.00 in March, 0.50 of it to an odd wallet in April, then 7.00 dated back to February;
    a fee of 3.33 owed to the platform in both books. In JPY: 500 in March, back again in April.
    """
    fee = draft(
        entry((wallet("ann"), 333), (account("custody.due_to_platform", "EUR"), -333)),
        entry(
            (account("platform.due_from_custody", "EUR"), 333),
            (account("platform.revenue.commission", "EUR"), -333),
            book=Book.PLATFORM,
        ),
        at=APRIL,
    )
    odd = move(50, wallet("ann"), ODD_WALLET, at=APRIL)
    return [
        [fund(10_000, wallet("ann"), at=MARCH), fund(500, wallet("ann", "JPY"), at=MARCH)],
        [replace(odd, reason=ODD, subject="slot:1", actor=ANN), fee],
        [fund(700, wallet("ann"), at=FEBRUARY)],
        [replace(draft(at=APRIL), kind="contract.noted", reason="no money moved")],
    ]


@dataclass(frozen=True)
class Export:
    """Writes the sealed books of a tenant in a format."""

    engine: Engine
    tenant: Tenant
    folder: Path
    steps: list[int] = field(default_factory=list)

    def __call__(
        self,
        name: str,
        *,
        journal_no: int | None = None,
        period: Period | None = None,
        into: str = "",
    ) -> list[ExportedFile]:
        """Write it; the numbers told to the progress are left in `steps`."""
        with snapshot(self.engine, self.tenant) as connection:
            last = newest(connection) if journal_no is None else journal_no
            return FORMATS[name](
                connection,
                Read(last),
                self.folder / into,
                period=period,
                progress=self.steps.append,
            )

    def text(self, name: str, into: str = "") -> str:
        """A file as it stands, line ends and all."""
        return (self.folder / into / name).read_bytes().decode()
