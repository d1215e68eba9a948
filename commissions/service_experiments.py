"""Which arms of experiments a client and a payee are in: asked at acceptance and by quotes.

A unit that is new to a running experiment gets the arm that its hash says; nothing is written until
a contract is accepted. In a stopped one, who joined keeps his arm and nobody joins.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from commissions import store_experiments as store
from commissions.experiments import HOLDOUT, assign
from commissions.model_experiments import State, Study, UnitKind, unit_key
from commissions.store_experiments import Pin
from kernel.errors import Broken


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
    """The arms of each unit as `experiment/arm`, in the order of `units`; reads, writes nothing.

    Whoever is held out is in the arm `holdout`, for which no schedule can be.
    """
    assert at.tzinfo is not None
    studies = store.list_alive(connection) if units else []
    if not studies:
        return [frozenset() for _ in units]
    keys = {(study.id, _key(study, unit)) for study in studies for unit in units}
    known = store.find_arms(connection, sorted(keys))
    return [
        frozenset(
            f"{study.experiment.name}/{arm}"
            for study in studies
            if (arm := _arm(study, known.get((study.id, _key(study, unit))), unit))
        )
        for unit in units
    ]


def pin_arms(connection: Connection, joined: Sequence[Joined], at: datetime) -> None:
    """Write down in which arms contracts were accepted; called once per batch of acceptances.

    Broken where an arm is of no experiment that is alive: it was decided since it was asked for.
    A database error where one was stopped meanwhile; both are gone when the batch runs again.
    """
    assert at.tzinfo is not None
    alive = {study.experiment.name: study for study in store.list_alive(connection)}
    pins = [pin for each in joined for pin in _pins(alive, each)]
    if pins:
        store.add_pins(connection, pins, at)


def _key(study: Study, unit: Unit) -> str:
    return unit_key(study.unit, client_id=unit.client_id, payee_id=unit.payee_id)


def _arm(study: Study, known: str | None, unit: Unit) -> str | None:
    if known is None and study.state is State.RUNNING:
        return assign(study.experiment, _key(study, unit)) or HOLDOUT
    return known


def _pins(alive: dict[str, Study], joined: Joined) -> list[Pin]:
    found = []
    for named in sorted(joined.arms):
        name, _, arm = named.partition("/")
        study = alive.get(name)
        if study is None:
            raise Broken("a contract is in an experiment that is over", arm=named)
        is_pair = study.unit is UnitKind.PAIR
        found.append(
            Pin(
                experiment_id=study.id,
                unit_key=_key(study, joined.unit),
                client_id=joined.unit.client_id,
                payee_id=joined.unit.payee_id if is_pair else None,
                arm=arm,
                contract_id=joined.contract_id,
            )
        )
    return found
