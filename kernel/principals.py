"""Who acts: a signed-in person, the client behind an API key, a rail, or the engine itself."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from uuid import UUID


class PrincipalKind(StrEnum):
    """What stands behind an act. Approvals need a PERSON."""

    PERSON = "person"
    KEY = "key"
    RAIL = "rail"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Actor:
    """One principal, and the party it speaks for in this command (None: for nobody's party).

    An operator may act on any deal of the tenant where a machine lets an operator act.
    """

    principal_id: UUID
    kind: PrincipalKind
    party_id: UUID | None = None
    is_operator: bool = False


SYSTEM: Final = Actor(UUID(int=1), PrincipalKind.SYSTEM)
"""The engine itself: timers, settlement, dormancy."""

RAIL: Final = Actor(UUID(int=2), PrincipalKind.RAIL)
"""A payment rail reporting what happened to money."""
