"""The commands on payout schedules, runs and instant payouts."""

from datetime import date
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from engine.api import answers_runs as shapes
from engine.api.access import Scope
from engine.api.answers import PayoutAnswer
from engine.api.calls import Given, Nothing, Subject, Write
from engine.api.models import Amount, Currency, Id, ReasonBody, Request, Text, Time
from engine.api.refusals import Invalid
from kernel.commands import Command
from kernel.ids import new_id
from kernel.money import parse_minor
from payouts.commands_runs import (
    AllowInstant,
    ApproveLimit,
    ApproveRun,
    PrepareLimit,
    PrepareRun,
    RequestInstant,
    RunCommand,
    SetInstantFee,
    SetSchedule,
)
from payouts.model_runs import RunKind
from payouts.model_schedules import Cadence, Rhythm
from payouts.refusals_runs import UnknownRun

RUN: Final = Subject("payout_run", "run_id", UnknownRun)

_LENGTH: Final = 10
_YEARS: Final = (1970, 2199)


def _read_day(value: object) -> date:
    wrong = PydanticCustomError("day", "a day is written 2026-01-31, in the years 1970 to 2199")
    if not (isinstance(value, str) and len(value) == _LENGTH and value.isascii()):
        raise wrong
    try:
        day = date.fromisoformat(value)
    except ValueError:
        raise wrong from None
    if not _YEARS[0] <= day.year <= _YEARS[1] or value[4] != "-":
        raise wrong
    return day


Day = Annotated[
    date,
    BeforeValidator(_read_day),
    Field(json_schema_extra={"pattern": "^(19[7-9]|20[0-9]|21[0-9])[0-9]-[0-9]{2}-[0-9]{2}$"}),
]
"""A day of UTC."""

Least = Annotated[str, Field(max_length=40, pattern=r"^(0|[1-9][0-9]*)(\.[0-9]+)?$")]
"""An amount in units of the currency beside it; 0 is none."""


class PayoutScheduleBody(Request):
    """When payees are paid by themselves, in days of UTC; it counts until a later one counts.

    `payee_id` left out: the party's own, or by an operator the default of all. `weekday` (1 is
    Monday) goes with weekly, `day` with monthly, both days with twice_a_month; the 31st is the
    last of a shorter month. Less than `minimum` waits for the next time.
    """

    payee_id: Id | None = None
    currency: Currency
    valid_from_on: Day
    cadence: Cadence
    weekday: Annotated[int, Field(ge=1, le=7)] | None = None
    day: Annotated[int, Field(ge=1, le=31)] | None = None
    second_day: Annotated[int, Field(ge=2, le=31)] | None = None
    minimum: Least = "0"
    method_id: Id | None = None


class RunBody(Request):
    """Whom a run shall list: payees whose schedule fell due since `due_from_on`, or everyone.

    `cut_off_on` is today or earlier; one run of a currency and cut-off is open at a time.
    """

    currency: Currency
    kind: RunKind
    cut_off_on: Day
    due_from_on: Day | None = None
    reason: Text = ""


class ApproveRunBody(Request):
    """The hash of what the approver has seen (`content` of the run)."""

    content: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    reason: Text = ""


class RunLimitBody(Request):
    """Up to what sum a scheduled run is paid without a person; `0` for none."""

    currency: Currency
    limit: Least


class InstantBody(Request):
    """A payout at once, at the fee that was quoted."""

    payee_id: Id | None = None
    method_id: Id
    amount: Amount
    fee: Least


class InstantFeeBody(Request):
    """A share and a fixed part, within bounds; on top of the payout fee, or in its place."""

    currency: Currency
    valid_from: Time
    rate_bps: Annotated[int, Field(ge=0, le=10_000)]
    fixed: Least = "0"
    smallest: Least = "0"
    largest: Least | None = None
    is_on_top: bool = False


class AllowedBody(Request):
    """Whether the method may be paid at once."""

    allowed: bool = True


def least_minor(text: str, *, currency: str) -> int:
    """An amount that may be nothing, in minor units."""
    return 0 if not text.strip("0.") else parse_minor(text, currency)


def schedule_command(given: Given[PayoutScheduleBody]) -> Command:
    """The command of a body."""
    body = given.body
    return SetSchedule(
        actor=given.actor,
        schedule_id=new_id(),
        payee_id=body.payee_id or given.actor.party_id,
        currency=body.currency,
        valid_from_on=body.valid_from_on,
        rhythm=Rhythm(
            cadence=body.cadence,
            weekday=body.weekday,
            day=body.day,
            second_day=body.second_day,
        ),
        minimum_minor=least_minor(body.minimum, currency=body.currency),
        method_id=body.method_id,
    )


def _prepare(given: Given[RunBody]) -> Command:
    body = given.body
    return PrepareRun(
        actor=given.actor,
        run_id=new_id(),
        currency=body.currency,
        kind=body.kind,
        due_from_on=body.due_from_on or body.cut_off_on,
        cut_off_on=body.cut_off_on,
        reason=body.reason,
    )


def _approve(given: Given[ApproveRunBody]) -> Command:
    return ApproveRun(
        actor=given.actor,
        run_id=given.ids["run_id"],
        content=given.body.content,
        reason=given.body.reason,
    )


def _run(given: Given[ReasonBody]) -> Command:
    return RunCommand(actor=given.actor, run_id=given.ids["run_id"], reason=given.body.reason)


def _limit(given: Given[RunLimitBody]) -> Command:
    body = given.body
    return PrepareLimit(
        actor=given.actor,
        limit_id=new_id(),
        currency=body.currency,
        limit_minor=least_minor(body.limit, currency=body.currency),
    )


def _approve_limit(given: Given[Nothing]) -> Command:
    return ApproveLimit(actor=given.actor, limit_id=given.ids["limit_id"])


def _instant(given: Given[InstantBody]) -> Command:
    body = given.body
    payee_id = body.payee_id or given.actor.party_id
    if payee_id is None:
        raise Invalid(errors=[{"field": "payee_id", "why": "say whose money it is"}])
    return RequestInstant(
        actor=given.actor,
        payout_id=new_id(),
        payee_id=payee_id,
        method_id=body.method_id,
        amount_minor=body.amount.minor(),
        currency=body.amount.currency,
        fee_minor=least_minor(body.fee, currency=body.amount.currency),
    )


def _instant_fee(given: Given[InstantFeeBody]) -> Command:
    body = given.body
    largest = body.largest
    return SetInstantFee(
        actor=given.actor,
        currency=body.currency,
        valid_from=body.valid_from,
        rate_bps=body.rate_bps,
        fixed_minor=least_minor(body.fixed, currency=body.currency),
        smallest_minor=least_minor(body.smallest, currency=body.currency),
        largest_minor=None if largest is None else least_minor(largest, currency=body.currency),
        is_on_top=body.is_on_top,
    )


def _allow(given: Given[AllowedBody]) -> Command:
    return AllowInstant(
        actor=given.actor, method_id=given.ids["method_id"], allowed=given.body.allowed
    )


def _on_run(verb: str, summary: str) -> Write[ReasonBody]:
    return Write(
        path=f"/v1/payout_runs/{{run_id}}/{verb}",
        service=f"payout_runs.{verb}",
        scope=Scope.PAYOUTS_WRITE,
        body=ReasonBody,
        command=_run,
        answer=shapes.PayoutRunAnswer,
        summary=summary,
        subject=RUN,
    )


RUNS: Final[tuple[Write[Any], ...]] = (
    Write(
        path="/v1/payout_schedules",
        service="payout_schedules.set",
        scope=Scope.PAYOUTS_WRITE,
        body=PayoutScheduleBody,
        command=schedule_command,
        answer=shapes.PayoutScheduleAnswer,
        summary="Say when a payee, or everybody, is paid by itself",
        status=201,
    ),
    Write(
        path="/v1/payout_runs",
        service="payout_runs.prepare",
        scope=Scope.PAYOUTS_WRITE,
        body=RunBody,
        command=_prepare,
        answer=shapes.PayoutRunAnswer,
        summary="List whom a run pays (operator)",
        status=201,
    ),
    Write(
        path="/v1/payout_runs/{run_id}/approve",
        service="payout_runs.approve",
        scope=Scope.PAYOUTS_WRITE,
        body=ApproveRunBody,
        command=_approve,
        answer=shapes.PayoutRunAnswer,
        summary="A second person's word on exactly these items",
        subject=RUN,
    ),
    _on_run("start", "Let workers pay an approved run, or go on with a stopped one"),
    _on_run("stop", "Stop a run after the chunk at hand"),
    _on_run("withdraw", "Give up a run that has not started"),
    Write(
        path="/v1/payout_run_limits",
        service="payout_runs.prepare_limit",
        scope=Scope.PAYOUTS_WRITE,
        body=RunLimitBody,
        command=_limit,
        answer=shapes.PayoutRunLimitAnswer,
        summary="Propose up to what sum scheduled runs need nobody",
        status=201,
    ),
    Write(
        path="/v1/payout_run_limits/{limit_id}/approve",
        service="payout_runs.approve_limit",
        scope=Scope.PAYOUTS_WRITE,
        body=Nothing,
        command=_approve_limit,
        answer=shapes.PayoutRunLimitAnswer,
        summary="A second person's word on a limit",
    ),
    Write(
        path="/v1/instant_payouts",
        service="instant_payouts.request",
        scope=Scope.PAYOUTS_WRITE,
        body=InstantBody,
        command=_instant,
        answer=PayoutAnswer,
        summary="Ask for a payout at once, at the quoted fee",
        status=201,
    ),
    Write(
        path="/v1/instant_payout_fees",
        service="instant_payouts.set_fee",
        scope=Scope.FEES_WRITE,
        body=InstantFeeBody,
        command=_instant_fee,
        answer=shapes.InstantFeeAnswer,
        summary="Say what instant payouts cost from a time on (operator)",
        status=201,
    ),
    Write(
        path="/v1/payout_methods/{method_id}/instant",
        service="instant_payouts.allow",
        scope=Scope.PAYOUTS_WRITE,
        body=AllowedBody,
        command=_allow,
        answer=shapes.InstantMethodAnswer,
        summary="Say whether a method may be paid at once (operator)",
    ),
)
"""Every command on schedules, runs and instant payouts."""
