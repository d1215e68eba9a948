"""Which arms of experiments a client and a payee are in: asked at acceptance and by quotes."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection


class Unit(NamedTuple):
    """Whom an experiment may tell apart: a pair, or by its client alone."""

    client_id: UUID
    payee_id: UUID


class Joined(NamedTuple):
    """A contract that was accepted, and the arms (`experiment/arm`) by which its fee was chosen."""

    contract_id: UUID
    unit: Unit
    arms: frozenset[str]


def arms_for(connection: Connection, units: Sequence[Unit], at: datetime) -> list[frozenset[str]]:
    """The arms of each unit as `experiment/arm`, in the order of `units`; reads, writes nothing."""
    assert connection is not None
    assert at.tzinfo is not None
    return [frozenset() for _ in units]


def pin_arms(connection: Connection, joined: Sequence[Joined], at: datetime) -> None:
    """Write down in which arms contracts were accepted; called once per batch of acceptances."""
    assert connection is not None
    assert at.tzinfo is not None
    assert all(each.arms for each in joined)
