"""Who calls, for which tenant and party, and what he may ask: deny by default."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final
from uuid import UUID

from starlette.requests import Request

from engine.api.gate import single_header
from engine.api.models import read_id
from engine.api.refusals import Invalid, PartyNotAllowed, ScopeMissing, Unauthenticated
from kernel.database import Tenant
from kernel.keys import ApiKey
from kernel.principals import Actor


class Scope(StrEnum):
    """What a key may be good for; each call names one."""

    PARTIES_READ = "parties:read"
    PARTIES_WRITE = "parties:write"
    CONTRACTS_READ = "contracts:read"
    CONTRACTS_WRITE = "contracts:write"
    MONEY_WRITE = "money:write"
    PAYOUTS_READ = "payouts:read"
    PAYOUTS_WRITE = "payouts:write"
    PAYOUTS_APPROVE = "payouts:approve"
    LEDGER_READ = "ledger:read"
    EVENTS_READ = "events:read"
    PERIODS_WRITE = "periods:write"
    JOURNALS_WRITE = "journals:write"
    JOURNALS_APPROVE = "journals:approve"
    FEES_WRITE = "fees:write"
    FEES_APPROVE = "fees:approve"
    CLOCK_WRITE = "clock:write"
    KEYS_WRITE = "keys:write"
    RAILS_WRITE = "rails:write"
    WEBHOOKS_WRITE = "webhooks:write"
    ACT_FOR_PARTIES = "act_for_parties"


PARTY_HEADER: Final = b"holdfast-party"

FindKey = Callable[[str], Awaitable[ApiKey | None]]
"""The live key with a secret."""

KnowsParty = Callable[[Tenant, UUID], Awaitable[bool]]
"""Whether a tenant has a party."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A key at work. `actor` speaks for the key's own party, or the one that the header names."""

    key: ApiKey
    actor: Actor

    @property
    def tenant(self) -> Tenant:
        """The key's tenant decides the tenant; nothing in a request can."""
        return self.key.tenant

    @property
    def is_partys_own(self) -> bool:
        """Whether the key was given to a party, and is none of the platform's programs."""
        return self.key.party_id is not None

    @property
    def sees_only(self) -> UUID | None:
        """The one party whose things the caller sees; None: all of the tenant's."""
        return self.actor.party_id


async def admit(
    request: Request, scope: Scope, *, find_key: FindKey, knows_party: KnowsParty
) -> Caller:
    """The caller; refuses a bad key, a missing scope and a party that the key may not act for."""
    key = await find_key(_secret(request))
    if key is None:
        raise Unauthenticated
    if scope not in key.scopes:
        raise ScopeMissing(scope=scope.value)
    named = single_header(request, PARTY_HEADER)
    if named is None:
        return Caller(key, key.actor)
    party_id = read_id(named)
    if party_id is None:
        raise Invalid(errors=[{"field": "Holdfast-Party", "why": "not an id"}])
    if party_id == key.party_id:
        return Caller(key, key.actor)
    is_platforms = key.is_operator or Scope.ACT_FOR_PARTIES in key.scopes
    if key.party_id is not None or not is_platforms:
        raise PartyNotAllowed
    if not await knows_party(key.tenant, party_id):
        raise PartyNotAllowed
    # Who speaks for a party is that party: the key's rights as an operator stay behind.
    return Caller(key, replace(key.actor, party_id=party_id, is_operator=False))


def _secret(request: Request) -> str:
    scheme, _, secret = (single_header(request, b"authorization") or "").partition(" ")
    if scheme.lower() != "bearer" or not secret:
        raise Unauthenticated
    return secret.strip()
