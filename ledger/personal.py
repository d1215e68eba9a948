"""Personal data outside the books: sealed with a key per party, erased by taking the key away.

What is sealed may stand in rows that nobody changes or deletes, such as documents that the law
asks us to keep; without the key it is noise. Backups hold keys until they are overwritten.
"""

import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from kernel.ids import new_id
from ledger import store_personal
from ledger.model_personal import KEY_BYTES, PersonalKey, key_id

__all__ = ["PersonalKey", "erase", "get_keys", "opened"]


def get_keys(
    connection: Connection, party_ids: Iterable[UUID], *, at: datetime
) -> dict[UUID, PersonalKey]:
    """The keys of these parties, which must be known; a party without one is given one."""
    wanted = sorted(set(party_ids))
    found = store_personal.find_keys(connection, wanted)
    missing = [party_id for party_id in wanted if party_id not in found]
    if missing:
        made = [(new_id(), party_id, secrets.token_bytes(KEY_BYTES)) for party_id in missing]
        store_personal.add_keys(connection, made, at=at)
        found |= store_personal.find_keys(connection, missing)
    return found


def opened(connection: Connection, blobs: Sequence[tuple[bytes, str]]) -> list[str | None]:
    """The texts of (sealed, what it stands in), in order; None where the key was taken away."""
    keys = store_personal.find_by_id(connection, {key_id(sealed) for sealed, _ in blobs})
    texts: list[str | None] = []
    for sealed, bound_to in blobs:
        key = keys.get(key_id(sealed))
        texts.append(None if key is None else key.open(sealed, bound_to=bound_to))
    return texts


def erase(connection: Connection, party_ids: Iterable[UUID]) -> set[UUID]:
    """Erase all that is sealed of these parties; the parties that had a key."""
    return store_personal.delete_keys(connection, party_ids)
