"""All SQL of the keys that open personal data."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from kernel.database import driver
from ledger.model_personal import PersonalKey

_KEY: Final = "id, party_id, secret, made_at"


def find_keys(connection: Connection, party_ids: Iterable[UUID]) -> dict[UUID, PersonalKey]:
    """The keys of these parties, by party; one without a key is missing."""
    rows = driver(connection).execute(
        f"SELECT {_KEY} FROM personal_key WHERE party_id = ANY (%s)", (list(party_ids),)
    )
    return {row[1]: PersonalKey(*row) for row in rows}


def find_by_id(connection: Connection, key_ids: Iterable[UUID]) -> dict[UUID, PersonalKey]:
    """The keys with these ids; one that was taken away is missing."""
    rows = driver(connection).execute(
        f"SELECT {_KEY} FROM personal_key WHERE id = ANY (%s)", (list(key_ids),)
    )
    return {row[0]: PersonalKey(*row) for row in rows}


def add_keys(
    connection: Connection, made: Iterable[tuple[UUID, UUID, bytes]], *, at: datetime
) -> None:
    """Add keys (id, party, secret); a party that has one by now keeps it."""
    driver(connection).cursor().executemany(
        f"INSERT INTO personal_key ({_KEY}) VALUES (%s, %s, %s, %s)"
        " ON CONFLICT (party_id) DO NOTHING",
        [(*each, at) for each in made],
    )


def delete_keys(connection: Connection, party_ids: Iterable[UUID]) -> set[UUID]:
    """Take keys away for ever; the parties that had one."""
    rows = driver(connection).execute(
        "DELETE FROM personal_key WHERE party_id = ANY (%s) RETURNING party_id", (list(party_ids),)
    )
    return {party_id for (party_id,) in rows}
