"""Experiments on the real database, and the contracts of their units, driven by short words."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

from sqlalchemy import Connection

from commissions import service_experiments_desk as desk
from commissions.experiments import Arm
from commissions.model import Scope
from commissions.model_experiments import UnitKind
from commissions.service_experiments import Unit
from commissions.service_experiments_desk import MoveExperiment, PrepareExperiment
from escrow.model import Terms
from kernel.commands import Outcome
from kernel.ids import new_id
from kernel.principals import Actor
from tests.commissions.books import START, finance, hold
from tests.escrow.stage import Stage, person

ARMS = (Arm("control", 4_000), Arm("low", 4_000))


def named(name: str) -> UUID:
    """An id that is the same in every run, so that a unit's arm is."""
    return uuid5(NAMESPACE_OID, name)


def pair(number: int) -> Unit:
    """The n-th client with the n-th payee."""
    return Unit(named(f"client {number}"), named(f"payee {number}"))


def settle(connection: Connection, units: Sequence[Unit]) -> None:
    """Make the parties of units that there are not yet."""
    rows = {
        (party_id, kind)
        for unit in units
        for party_id, kind in zip(unit, ("client", "freelancer"), strict=True)
    }
    for party_id, kind in sorted(rows):
        connection.exec_driver_sql(
            "INSERT INTO party (id, kind, kyc_state, created_at) VALUES (%s, %s, 'verified', %s)"
            " ON CONFLICT DO NOTHING",
            (party_id, kind, START),
        )


def draw_up(name: str = "launch", **fields: Any) -> PrepareExperiment:
    """The command that prepares an experiment on pairs: four in ten each way."""
    given: dict[str, Any] = {
        "actor": finance(),
        "experiment_id": new_id(),
        "unit": UnitKind.PAIR,
        "arms": ARMS,
        "stop_after_units": 1_000,
    }
    return PrepareExperiment(**given | {"name": name} | fields)


def prepare(connection: Connection, command: PrepareExperiment, at: datetime = START) -> Outcome:
    return desk.prepare(connection, [command], at=at)[0]


def move(
    connection: Connection,
    verb: str,
    experiment_id: UUID,
    *,
    actor: Actor | None = None,
    at: datetime = START,
    **fields: Any,
) -> Outcome:
    """Withdraw, start, stop or decide; everybody has a reason, and is another person."""
    given = {"reason": "as agreed", **fields}
    command = MoveExperiment(actor=actor or finance(), experiment_id=experiment_id, **given)
    outcome: Outcome = getattr(desk, verb)(connection, [command], at=at)[0]
    return outcome


def price(connection: Connection, name: str = "launch", arms: Sequence[Arm] = ARMS) -> None:
    """A schedule for each arm but the control."""
    for arm in arms:
        if arm.name != "control":
            scope = Scope(arm=f"{name}/{arm.name}")
            # Two arms of two experiments may fit one deal: the longer name goes first.
            hold(connection, f"{name}-{arm.name}", scope=scope, priority=len(name))


def started(connection: Connection, name: str = "launch", **fields: Any) -> UUID:
    """An experiment that runs, its arms priced; its id."""
    command = draw_up(name, **fields)
    price(connection, name, command.arms)
    for outcome in (
        prepare(connection, command),
        move(connection, "start", command.experiment_id),
    ):
        assert outcome.is_done, outcome
    return command.experiment_id


def propose(
    connection: Connection, unit: Unit, *, currency: str = "EUR", amount_minor: int = 10_000
) -> Stage:
    """A contract of a unit whose parties there are, proposed; the payee waits for no hold."""
    terms = Terms(security_hold_days=0)
    stage = Stage(connection, currency, terms=terms, amounts=(amount_minor,))
    stage.client, stage.payee = person(unit.client_id), person(unit.payee_id)
    assert stage.propose().is_done
    return stage


def accept(connection: Connection, stage: Stage) -> frozenset[str]:
    """Accept it; the arms that it is pinned in."""
    assert stage.accept().is_done
    pinned = connection.exec_driver_sql(
        "SELECT e.name || '/' || c.arm FROM experiment_contract c"
        " JOIN experiment e ON e.id = c.experiment_id WHERE c.contract_id = %s",
        (stage.contract_id,),
    )
    return frozenset(pinned.scalars())
