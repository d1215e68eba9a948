"""Columns and tables as escrow writes them down: each kind of value has one type of column."""

from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Integer,
    Interval,
    MetaData,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.types import TypeEngine

METADATA: Final = MetaData()

ID: Final = Uuid()
TEXT: Final = Text()
TEXTS: Final = ARRAY(Text)
MINOR: Final = BigInteger()
COUNT: Final = Integer()
FLAG: Final = Boolean()
TIME: Final = DateTime(timezone=True)
DATE: Final = Date()
LENGTH: Final = Interval()


def table(name: str, **columns: TypeEngine[Any]) -> Table:
    """A table with its columns in their order."""
    return Table(name, METADATA, *(Column(column, kind) for column, kind in columns.items()))
