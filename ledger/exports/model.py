"""What an export leaves behind: one record per file, with its rows, control totals and hash."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType
from typing import Protocol


class AsKnown(Protocol):
    """How far the books are read: the journal up to and including `journal_no`, no further.

    `ledger.known.Known` is one.
    """

    @property
    def journal_no(self) -> int:
        """The last journal number that counts; 0 where nothing is sealed yet."""
        ...


Period = tuple[date, date]
"""First and last day, both included: UTC days of `effective_at`."""

Totals = Mapping[str, tuple[int, int]]
"""Currency -> (debit, credit), both positive, in minor units."""


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """One file of an export.

    `name` is its path below the folder of the export, with `/`. `rows` counts records, without a
    heading. `totals` sums what its rows debit and credit, by currency; empty where they do neither.
    """

    name: str
    rows: int
    sha256: str
    totals: Totals = field(default_factory=lambda: MappingProxyType({}))
