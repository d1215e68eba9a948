"""All SQL of what a deal pins: the kinds of its terms, and which deals a move of fees looks at."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from kernel.database import driver

# The kind of a contract's terms where they are all of one; several kinds: no row.
_BASES: Final = """
SELECT contract_id, min(kind) FROM term WHERE contract_id = ANY (%s)
GROUP BY contract_id HAVING min(kind) = max(kind)
"""


def find_bases(connection: Connection, contract_ids: Sequence[UUID]) -> dict[UUID, str]:
    """The kind of a contract's terms; those whose terms are of several kinds are missing."""
    return dict(driver(connection).execute(_BASES, (sorted(contract_ids),)).fetchall())
