"""The formats an export can be written in, by name."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, Protocol

from sqlalchemy import Connection

from ledger.exports import ads, csv_files, parquet, saft, text_ledgers
from ledger.exports.model import AsKnown, ExportedFile, Period


class Writer(Protocol):
    """Writes the books in one format; the same arguments leave the same bytes."""

    def __call__(
        self,
        connection: Connection,
        known: AsKnown,
        folder: Path,
        *,
        period: Period | None,
        progress: Callable[[int], None],
    ) -> list[ExportedFile]:
        """Write the sealed journal up to `known`, and tell what was written.

        Args:
            connection: in a snapshot (`kernel.database.snapshot`) of the tenant.
            known: how far the journal is read.
            folder: the folder of the whole export; the format makes one below it, named after
                itself, and the names of its files begin with that.
            period: days of `effective_at`, first and last included; None for all.
            progress: is told, now and then, how many lines were written since it was last told.
        """
        ...


FORMATS: Final[Mapping[str, Writer]] = MappingProxyType(
    {
        "ads": ads.write,
        "saft": saft.write,
        "csv": csv_files.write,
        "parquet": parquet.write,
        "hledger": text_ledgers.write_hledger,
        "beancount": text_ledgers.write_beancount,
    }
)
