"""What can be looked at of experiments on fees."""

from typing import Any, Final

from sqlalchemy import Connection

from commissions import store_experiments
from commissions.model_experiments import State, as_json, readout_as_json
from commissions.service_experiments_desk import readout
from engine.api.access import Scope
from engine.api.answers_experiments import ExperimentAnswer, ReadoutAnswer
from engine.api.calls import Look, Page, PageQuery, Read, after_id, by_id, declare, page_of
from engine.api.refusals import PlatformOnly
from kernel import clock


class ExperimentsQuery(PageQuery):
    """Which experiments."""

    state: State | None = None


def _experiments(connection: Connection, look: Look) -> Page:
    if look.sees_only is not None:
        raise PlatformOnly
    query = look.query
    rows = store_experiments.list_studies(
        connection, after=after_id(look), limit=query.limit + 1, state=query.state
    )
    return page_of(rows, query.limit, show=as_json, key=by_id)


def _experiment(connection: Connection, look: Look) -> dict[str, Any] | None:
    if look.sees_only is not None:
        raise PlatformOnly
    found = store_experiments.find_study(connection, look.ids["experiment_id"])
    return None if found is None else as_json(found)


def _readout(connection: Connection, look: Look) -> dict[str, Any] | None:
    if look.sees_only is not None:
        raise PlatformOnly
    found = readout(connection, look.ids["experiment_id"], at=clock.now(connection))
    return None if found is None else readout_as_json(*found)


EXPERIMENT_READS: Final[tuple[Read, ...]] = (
    declare(
        "/v1/experiments",
        Scope.LEDGER_READ,
        _experiments,
        ExperimentAnswer,
        summary="Experiments on fees",
        query=ExperimentsQuery,
        pages=True,
    ),
    declare(
        "/v1/experiments/{experiment_id}",
        Scope.LEDGER_READ,
        _experiment,
        ExperimentAnswer,
        summary="An experiment on fees",
    ),
    declare(
        "/v1/experiments/{experiment_id}/readout",
        Scope.LEDGER_READ,
        _readout,
        ReadoutAnswer,
        summary="What the arms of an experiment came to, beside its control",
    ),
)
"""Every look at experiments."""
