"""All SQL of the tax on our fee: the supplier, what is known of buyers, and checks of numbers."""

from collections.abc import Iterable
from datetime import datetime
from importlib import resources
from typing import Any, Final
from uuid import UUID

from psycopg.rows import namedtuple_row
from sqlalchemy import Connection

from kernel.database import driver

_FACTS: Final = resources.files("tax").joinpath("sql/tax_facts.sql").read_text("utf-8").encode()


def list_facts(connection: Connection, party_ids: Iterable[UUID], *, at: datetime) -> list[Any]:
    """What decides the tax of each of these parties at an instant; none without a supplier."""
    cursor = driver(connection).cursor(row_factory=namedtuple_row)
    return cursor.execute(_FACTS, {"party_ids": list(party_ids), "at": at}).fetchall()
