"""The commands on experiments: prepare, withdraw, start, stop, decide."""

from typing import Annotated, Any, Final

from pydantic import Field

from commissions.experiments import MOST_ARMS, MOST_UNITS, WHOLE_BPS, Arm
from commissions.model_experiments import UnitKind
from commissions.refusals_experiments import UnknownExperiment
from commissions.service_experiments_desk import (
    LONGEST_QUIET_DAYS,
    MoveExperiment,
    PrepareExperiment,
)
from engine.api.access import Scope
from engine.api.answers_experiments import ExperimentAnswer
from engine.api.calls import Given, Subject, Write
from engine.api.models import ReasonBody, Request, Text
from kernel.commands import Command
from kernel.ids import new_id
from kernel.principals import Actor

EXPERIMENT: Final = Subject("experiment", "experiment_id", UnknownExperiment)

Word = Annotated[str, Field(pattern="^[A-Za-z0-9_.:-]{1,80}$")]
"""The name of an experiment, or of an arm."""


class ArmBody(Request):
    """One arm and its share of the units, in basis points."""

    name: Word
    share_bps: Annotated[int, Field(ge=1, le=WHOLE_BPS)]


class ExperimentBody(Request):
    """An experiment: `control` and other arms; what their shares leave is held out.

    It stops once each arm has `stop_after_units` units, or one has surely more units with a
    dispute than the control, by more than `harm_bps`.
    """

    name: Word
    unit: UnitKind
    arms: Annotated[tuple[ArmBody, ...], Field(min_length=2, max_length=MOST_ARMS)]
    stop_after_units: Annotated[int, Field(ge=1, le=MOST_UNITS)]
    harm_bps: Annotated[int, Field(ge=0, le=WHOLE_BPS)] = 0
    quiet_days: Annotated[int, Field(ge=1, le=LONGEST_QUIET_DAYS)] = 60
    reason: Text = ""


class FindingBody(ReasonBody):
    """What was found, in the actor's words, and the arm that it is for, if it is for one."""

    arm: Word | None = None


def command_of(body: ExperimentBody, actor: Actor) -> PrepareExperiment:
    """The command of a body."""
    return PrepareExperiment(
        actor=actor,
        experiment_id=new_id(),
        name=body.name,
        unit=body.unit,
        arms=tuple(Arm(arm.name, arm.share_bps) for arm in body.arms),
        stop_after_units=body.stop_after_units,
        harm_bps=body.harm_bps,
        quiet_days=body.quiet_days,
        reason=body.reason,
    )


def _prepare(given: Given[ExperimentBody]) -> Command:
    return command_of(given.body, given.actor)


def _move(given: Given[ReasonBody]) -> Command:
    experiment_id = given.ids["experiment_id"]
    return MoveExperiment(actor=given.actor, experiment_id=experiment_id, reason=given.body.reason)


def _decide(given: Given[FindingBody]) -> Command:
    return MoveExperiment(
        actor=given.actor,
        experiment_id=given.ids["experiment_id"],
        reason=given.body.reason,
        arm=given.body.arm,
    )


def _step(verb: str, scope: Scope, summary: str) -> Write[ReasonBody]:
    return Write(
        path=f"/v1/experiments/{{experiment_id}}/{verb}",
        service=f"experiments.{verb}",
        scope=scope,
        body=ReasonBody,
        command=_move,
        answer=ExperimentAnswer,
        summary=summary,
        subject=EXPERIMENT,
    )


EXPERIMENTS: Final[tuple[Write[Any], ...]] = (
    Write(
        path="/v1/experiments",
        service="experiments.prepare",
        scope=Scope.FEES_WRITE,
        body=ExperimentBody,
        command=_prepare,
        answer=ExperimentAnswer,
        summary="Prepare an experiment on fees; another person starts it",
        status=201,
    ),
    _step("withdraw", Scope.FEES_WRITE, "Give an experiment up before it starts"),
    _step("start", Scope.FEES_APPROVE, "Start an experiment that another person prepared"),
    _step("stop", Scope.FEES_WRITE, "Take nobody new on; who is in an arm stays in it"),
    Write(
        path="/v1/experiments/{experiment_id}/decide",
        service="experiments.decide",
        scope=Scope.FEES_APPROVE,
        body=FindingBody,
        command=_decide,
        answer=ExperimentAnswer,
        summary="Say what a stopped experiment found; its arms count no more",
        subject=EXPERIMENT,
    ),
)
"""Every command on experiments."""
