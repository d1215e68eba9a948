"""API keys: 256 random bits behind a prefix, kept as their SHA-256, good for one tenant.

A key belongs to a principal, which outlives it: rotation gives the same principal a second live
key. The table `holdfast.api_key` is written and read as the program's own login, outside any
tenant's role. Revocation is felt within the seconds that a KeyRing remembers a key.
"""

import re
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Engine

from kernel.database import Tenant
from kernel.errors import Refusal
from kernel.ids import new_id
from kernel.principals import Actor, PrincipalKind

REMEMBERED_S: Final = 3.0
"""How long a process trusts what it last read of a key: a revocation is felt within 5 s."""

_LOOKS_LIKE_A_KEY: Final = re.compile(r"hf_[A-Za-z0-9_-]{43}", re.ASCII)
_PREFIX_LENGTH: Final = 10
_MOST_REMEMBERED: Final = 10_000


class UnknownKey(Refusal):
    """No key of this tenant has this id."""

    code = "key.unknown"


class KeyIsOver(Refusal):
    """The key is revoked or expired, and nothing can follow from it."""

    code = "key.over"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """What a key may do, and for whom. `id` names the key without opening anything.

    `party_id` is the one party that the key speaks for; None: for the platform's own people and
    programs.
    """

    id: str
    prefix: str
    tenant: Tenant
    principal_id: UUID
    kind: PrincipalKind
    party_id: UUID | None
    is_operator: bool
    scopes: frozenset[str]
    label: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None

    def is_live(self, at: datetime) -> bool:
        """Whether it is neither revoked nor expired; `at` is real time."""
        return self.revoked_at is None and (self.expires_at is None or at < self.expires_at)

    @property
    def actor(self) -> Actor:
        """The principal behind the key, speaking for the key's own party."""
        return Actor(self.principal_id, self.kind, self.party_id, self.is_operator)


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made. `secret` is shown once and kept nowhere."""

    key: ApiKey
    secret: str = field(repr=False)


_COLUMNS: Final = (
    "encode(substring(key_hash, 1, 16), 'hex') AS id, key_prefix, tenant, principal_id,"
    " principal_kind, party_id, is_operator, scopes, label, created_at, expires_at, revoked_at"
)
_OF_ID: Final = "tenant = %s AND substring(key_hash, 1, 16) = %s"

_FIND: Final = f"SELECT {_COLUMNS} FROM holdfast.api_key WHERE key_hash = %s"  # noqa: S608
_FIND_BY_ID: Final = f"SELECT {_COLUMNS} FROM holdfast.api_key WHERE {_OF_ID}"  # noqa: S608
_LOCK: Final = f"SELECT {_COLUMNS} FROM holdfast.api_key WHERE {_OF_ID} FOR UPDATE"  # noqa: S608
_LIST: Final = f"""
SELECT {_COLUMNS} FROM holdfast.api_key
WHERE tenant = %s AND (%s::uuid IS NULL OR party_id = %s)
    AND (created_at, key_hash) > (%s, decode(%s, 'hex'))
ORDER BY created_at, key_hash
LIMIT %s
"""  # noqa: S608
_ADD: Final = f"""
INSERT INTO holdfast.api_key (key_hash, key_prefix, tenant, principal_id, principal_kind, party_id,
    is_operator, scopes, label, expires_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
RETURNING {_COLUMNS}
"""  # noqa: S608
_REVOKE: Final = f"""
UPDATE holdfast.api_key SET revoked_at = coalesce(revoked_at, clock_timestamp())
WHERE {_OF_ID} RETURNING {_COLUMNS}
"""  # noqa: S608
_END: Final = f"""
UPDATE holdfast.api_key SET expires_at = least(expires_at, %s)
WHERE {_OF_ID} RETURNING {_COLUMNS}
"""  # noqa: S608


def create(
    connection: Connection,
    tenant: Tenant,
    *,
    scopes: Sequence[str],
    kind: PrincipalKind = PrincipalKind.KEY,
    principal_id: UUID | None = None,
    party_id: UUID | None = None,
    is_operator: bool = False,
    label: str = "",
    expires_at: datetime | None = None,
) -> NewKey:
    """Make a key; a new principal unless `principal_id` names one. Runs as the program's login."""
    secret = "hf_" + secrets.token_urlsafe(32)
    row = connection.exec_driver_sql(
        _ADD,
        (
            *(_hash(secret), secret[:_PREFIX_LENGTH], tenant.name, principal_id or new_id()),
            *(kind.value, party_id, is_operator, sorted(set(scopes)), label, expires_at),
        ),
    ).one()
    return NewKey(_key(row), secret)


def rotate(connection: Connection, tenant: Tenant, key_id: str, *, old_ends_at: datetime) -> NewKey:
    """A second key of the same principal and rights; the old one lives on until `old_ends_at`.

    Refuses `key.unknown`, and `key.over` for a key that is revoked or expired.
    """
    old = _lock(connection, tenant, key_id)
    if not old.is_live(datetime.now(UTC)):
        raise KeyIsOver(key_id=key_id)
    connection.exec_driver_sql(_END, (old_ends_at, tenant.name, bytes.fromhex(key_id)))
    return create(
        connection,
        tenant,
        scopes=sorted(old.scopes),
        kind=old.kind,
        principal_id=old.principal_id,
        party_id=old.party_id,
        is_operator=old.is_operator,
        label=old.label,
        expires_at=old.expires_at,
    )


def revoke(connection: Connection, tenant: Tenant, key_id: str) -> ApiKey:
    """End a key now; ending it twice is no mistake. Refuses `key.unknown`."""
    _lock(connection, tenant, key_id)
    parameters = (tenant.name, bytes.fromhex(key_id))
    return _key(connection.exec_driver_sql(_REVOKE, parameters).one())


def find(connection: Connection, secret: str) -> ApiKey | None:
    """The key with this secret, live or not; None for what was never given out."""
    if _LOOKS_LIKE_A_KEY.fullmatch(secret) is None:
        return None
    row = connection.exec_driver_sql(_FIND, (_hash(secret),)).one_or_none()
    return None if row is None else _key(row)


def find_by_id(connection: Connection, tenant: Tenant, key_id: str) -> ApiKey | None:
    """The tenant's key with this id, live or not."""
    if not is_key_id(key_id):
        return None
    row = connection.exec_driver_sql(_FIND_BY_ID, (tenant.name, bytes.fromhex(key_id)))
    found = row.one_or_none()
    return None if found is None else _key(found)


def list_keys(
    connection: Connection,
    tenant: Tenant,
    *,
    after: tuple[datetime, str] | None = None,
    limit: int = 100,
    party_id: UUID | None = None,
) -> list[ApiKey]:
    """The tenant's keys, or one party's, oldest first, live or not.

    A page begins `after` (created_at, id).
    """
    created_at, key_id = after or ("-infinity", "")
    # An id is the first half of the hash: filled up, it stands behind all that share it.
    behind = key_id + "f" * 32 if key_id else ""
    parameters = (tenant.name, party_id, party_id, created_at, behind, limit)
    return [_key(row) for row in connection.exec_driver_sql(_LIST, parameters)]


def is_key_id(text: str) -> bool:
    """Whether a text has the form of a key's id: 32 small hex digits."""
    return re.fullmatch(r"[0-9a-f]{32}", text, re.ASCII) is not None


class KeyRing:
    """The keys that a process has lately seen, each trusted for some seconds.

    Secrets are not kept: the ring knows a key by its hash. Unknown secrets are not remembered.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        remembered_s: float = REMEMBERED_S,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._remembered_s = remembered_s
        self._ticks = ticks
        self._known: OrderedDict[bytes, tuple[float, ApiKey]] = OrderedDict()
        self._lock = threading.Lock()

    def recall(self, secret: str) -> ApiKey | None:
        """A live key that was read lately; None: ask `find`, which may wait for the database."""
        with self._lock:
            read_at, key = self._known.get(_hash(secret), (0.0, None))
        if key is None or self._ticks() - read_at > self._remembered_s:
            return None
        return key if key.is_live(datetime.now(UTC)) else None

    def find(self, secret: str) -> ApiKey | None:
        """The live key with this secret, read from the database; None for any other."""
        if _LOOKS_LIKE_A_KEY.fullmatch(secret) is None:
            return None
        read_at = self._ticks()
        with self._engine.begin() as connection:
            key = find(connection, secret)
        if key is None or not key.is_live(datetime.now(UTC)):
            self._forget(_hash(secret))
            return None
        with self._lock:
            self._known[_hash(secret)] = (read_at, key)
            self._known.move_to_end(_hash(secret))
            if len(self._known) > _MOST_REMEMBERED:
                self._known.popitem(last=False)
        return key

    def forget(self, key_id: str) -> None:
        """Trust a key no more at all in this process; others follow within seconds."""
        with self._lock:
            for key_hash, (_, key) in list(self._known.items()):
                if key.id == key_id:
                    del self._known[key_hash]

    def _forget(self, key_hash: bytes) -> None:
        with self._lock:
            self._known.pop(key_hash, None)


def _hash(secret: str) -> bytes:
    return sha256(secret.encode()).digest()


def _lock(connection: Connection, tenant: Tenant, key_id: str) -> ApiKey:
    if not is_key_id(key_id):
        raise UnknownKey(key_id=key_id[:40])
    parameters = (tenant.name, bytes.fromhex(key_id))
    row = connection.exec_driver_sql(_LOCK, parameters).one_or_none()
    if row is None:
        raise UnknownKey(key_id=key_id)
    return _key(row)


def _key(row: Any) -> ApiKey:  # noqa: ANN401  a row of the driver
    return ApiKey(
        id=row.id,
        prefix=row.key_prefix,
        tenant=Tenant(row.tenant),
        principal_id=row.principal_id,
        kind=PrincipalKind(row.principal_kind),
        party_id=row.party_id,
        is_operator=row.is_operator,
        scopes=frozenset(row.scopes),
        label=row.label,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
    )
