"""The commands on hours: offer, accept, change, start, stop, log, edit, delete, write off."""

from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints

from engine.api.access import Scope
from engine.api.answers_hourly import (
    EntryTold,
    HourlyContractActed,
    HourlyTermActed,
    RunActed,
    TimeLogged,
    WeekActed,
)
from engine.api.calls import Given, Nothing, Subject, Write
from engine.api.models import (
    Amount,
    Currency,
    Id,
    ReasonBody,
    Request,
    Text,
    Time,
    Token,
    Version,
)
from engine.api.refusals import Invalid
from engine.api.writes_contracts import CONTRACT, TermsBody, terms_of
from escrow.commands_hourly import (
    AddHours,
    ChangeHours,
    EditTime,
    EntryCommand,
    HourlyOffer,
    Interval,
    LogTime,
    ProposeHours,
    TermCommand,
    WeekCommand,
)
from escrow.model import Method
from escrow.model_hourly import Collect, Source, Unused
from escrow.model_runs import RunCommand, StartTime
from escrow.refusals_hourly import UnknownEntry, UnknownRun, UnknownTerm, UnknownWeek
from escrow.rules_hourly import MOST_ENTRIES
from escrow.rules_hourly_terms import LONGEST_WEEK
from kernel.commands import Command
from kernel.ids import new_id
from kernel.money import exponent

TERM: Final = Subject("hourly_term", "term_id", UnknownTerm)
WEEK: Final = Subject("week", "week_id", UnknownWeek)
RUN: Final = Subject("time_run", "run_id", UnknownRun)
ENTRY: Final = Subject("time_entry", "entry_id", UnknownEntry)

Percent = Annotated[int, Field(ge=0, le=100)]
LimitMinutes = Annotated[int, Field(ge=0, le=LONGEST_WEEK)]
Zone = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern="^[ -~]+$")]


class HoursBody(Request):
    """Hours as they are offered: the price of one, and how many minutes a week at most.

    `week_zone` is an IANA name; weeks begin there on Monday at 00:00. Each week is charged to
    `method`; the client's signature is his consent. With `collect` prefund he pays a deposit of
    limit x rate before the week, and `unused` says what becomes of the rest.
    """

    rate: Amount
    limit_minutes: LimitMinutes
    week_zone: Zone = "UTC"
    activity_floor: Percent = 10
    method: Method = Method.CARD
    method_token: Token = ""
    collect: Collect = Collect.ARREARS
    unused: Unused = Unused.ROLL
    title: Text = ""


class ProposeHoursBody(Request):
    """A contract on hours."""

    client_id: Id
    payee_id: Id
    currency: Currency
    hours: HoursBody
    terms: TermsBody = TermsBody()


class ChangeHoursBody(Request):
    """Another weekly limit, or a higher rate; a raised limit acts at once."""

    limit_minutes: LimitMinutes | None = None
    rate: Amount | None = None
    reason: Text = ""


class IntervalBody(Request):
    """Hours that were worked: whole minutes, a minute to 24 hours."""

    started_at: Time
    ended_at: Time
    source: Source = Source.TRACKED
    memo: Text = ""
    activity: Percent = 100


class StartBody(Request):
    """What is worked on; the tracker's activity so far, in percent."""

    memo: Text = ""
    activity: Percent = 100


class StopBody(Request):
    """What was worked on and how active, where that is known better than at the start."""

    memo: Text | None = None
    activity: Percent | None = None


class LogBody(Request):
    """Hours to keep, all or none."""

    entries: Annotated[list[IntervalBody], Field(min_length=1, max_length=MOST_ENTRIES)]


class EntryBody(Request):
    """A step on a time entry; name the version that you looked at, and it must be it."""

    version: Version | None = None
    reason: Text = ""


class EditBody(EntryBody):
    """Other times within the same week, or another memo."""

    started_at: Time | None = None
    ended_at: Time | None = None
    memo: Text | None = None


def _offer(body: HoursBody, currency: str, rail_account: str) -> HourlyOffer:
    return HourlyOffer(
        term_id=new_id(),
        rate_minor=body.rate.minor(currency),
        limit_minutes=body.limit_minutes,
        week_zone=body.week_zone,
        activity_floor=body.activity_floor,
        method=body.method,
        method_token=body.method_token,
        collect=body.collect,
        unused=body.unused,
        title=body.title,
        rail_account=rail_account,
    )


def _propose(given: Given[ProposeHoursBody]) -> Command:
    body = given.body
    exponent(body.currency)
    return ProposeHours(
        actor=given.actor,
        contract_id=new_id(),
        client_id=body.client_id,
        payee_id=body.payee_id,
        currency=body.currency,
        offer=_offer(body.hours, body.currency, given.rail_account),
        terms=terms_of(body.terms, body.currency, is_partys_own=given.is_partys_own),
    )


def _add(given: Given[HoursBody]) -> Command:
    return AddHours(
        actor=given.actor,
        contract_id=given.ids["contract_id"],
        offer=_offer(given.body, given.currency, given.rail_account),
    )


def _accept(given: Given[ReasonBody]) -> Command:
    return TermCommand(actor=given.actor, term_id=given.ids["term_id"], reason=given.body.reason)


def _change(given: Given[ChangeHoursBody]) -> Command:
    body = given.body
    if body.limit_minutes is None and body.rate is None:
        raise Invalid(errors=[{"field": "limit_minutes", "why": "name a limit or a rate"}])
    return ChangeHours(
        actor=given.actor,
        term_id=given.ids["term_id"],
        limit_minutes=body.limit_minutes,
        rate_minor=None if body.rate is None else body.rate.minor(given.currency),
        reason=body.reason,
    )


def _log(given: Given[LogBody]) -> Command:
    return LogTime(
        actor=given.actor,
        term_id=given.ids["term_id"],
        entries=tuple(
            Interval(
                entry_id=new_id(),
                started_at=each.started_at,
                ended_at=each.ended_at,
                source=each.source,
                memo=each.memo,
                activity=each.activity,
            )
            for each in given.body.entries
        ),
    )


def _start(given: Given[StartBody]) -> Command:
    return StartTime(
        actor=given.actor,
        term_id=given.ids["term_id"],
        run_id=new_id(),
        memo=given.body.memo,
        activity=given.body.activity,
    )


def _stop(given: Given[StopBody]) -> Command:
    return RunCommand(
        actor=given.actor,
        run_id=given.ids["run_id"],
        memo=given.body.memo,
        activity=given.body.activity,
    )


def _discard(given: Given[Nothing]) -> Command:
    return RunCommand(actor=given.actor, run_id=given.ids["run_id"])


def _facts(given: Given[Any]) -> dict[str, Any]:
    return {
        "actor": given.actor,
        "entry_id": given.ids["entry_id"],
        "version": given.body.version,
        "reason": given.body.reason,
    }


def _entry(given: Given[EntryBody]) -> Command:
    return EntryCommand(**_facts(given))


def _edit(given: Given[EditBody]) -> Command:
    body = given.body
    return EditTime(
        **_facts(given), started_at=body.started_at, ended_at=body.ended_at, memo=body.memo
    )


def _week(given: Given[ReasonBody]) -> Command:
    return WeekCommand(actor=given.actor, week_id=given.ids["week_id"], reason=given.body.reason)


def _on_entry(
    verb: str,
    service: str,
    summary: str,
    *,
    body: type[Any] = EntryBody,
    command: Any = _entry,  # noqa: ANN401  one of the makers above, for this body
) -> Write[Any]:
    return Write(
        path=f"/v1/time_entries/{{entry_id}}/{verb}",
        service=f"escrow.{service}",
        scope=Scope.CONTRACTS_WRITE,
        body=body,
        command=command,
        answer=EntryTold,
        summary=summary,
        subject=ENTRY,
    )


_TERMS: Final[tuple[Write[Any], ...]] = (
    Write(
        path="/v1/hourly_contracts",
        service="escrow.propose_hours",
        scope=Scope.CONTRACTS_WRITE,
        body=ProposeHoursBody,
        command=_propose,
        answer=HourlyContractActed,
        summary="Offer a contract on hours (client or payee)",
        status=201,
    ),
    Write(
        path="/v1/contracts/{contract_id}/hourly_terms",
        service="escrow.add_hours",
        scope=Scope.CONTRACTS_WRITE,
        body=HoursBody,
        command=_add,
        answer=HourlyTermActed,
        summary="Offer hours under a running contract (either party)",
        status=201,
        subject=CONTRACT,
        needs_currency=True,
    ),
    Write(
        path="/v1/hourly_terms/{term_id}/accept",
        service="escrow.accept_hours",
        scope=Scope.CONTRACTS_WRITE,
        body=ReasonBody,
        command=_accept,
        answer=HourlyTermActed,
        summary="Sign the hours that the other party offered",
        subject=TERM,
    ),
    Write(
        path="/v1/hourly_terms/{term_id}/change",
        service="escrow.change_hours",
        scope=Scope.CONTRACTS_WRITE,
        body=ChangeHoursBody,
        command=_change,
        answer=HourlyTermActed,
        summary="Set another weekly limit, or a higher rate (client)",
        subject=TERM,
        needs_currency=True,
    ),
)

HOURS: Final[tuple[Write[Any], ...]] = (
    *_TERMS,
    Write(
        path="/v1/hourly_terms/{term_id}/entries",
        service="escrow.log_time",
        scope=Scope.CONTRACTS_WRITE,
        body=LogBody,
        command=_log,
        answer=TimeLogged,
        summary="Log hours that were worked (payee)",
        status=201,
        subject=TERM,
    ),
    Write(
        path="/v1/hourly_terms/{term_id}/runs",
        service="escrow.start_time",
        scope=Scope.CONTRACTS_WRITE,
        body=StartBody,
        command=_start,
        answer=RunActed,
        summary="Begin to work, now (payee)",
        status=201,
        subject=TERM,
    ),
    Write(
        path="/v1/time_runs/{run_id}/stop",
        service="escrow.stop_time",
        scope=Scope.CONTRACTS_WRITE,
        body=StopBody,
        command=_stop,
        answer=RunActed,
        summary="Stop what runs; the hours are logged (payee)",
        subject=RUN,
    ),
    Write(
        path="/v1/time_runs/{run_id}/discard",
        service="escrow.discard_time",
        scope=Scope.CONTRACTS_WRITE,
        body=Nothing,
        command=_discard,
        answer=RunActed,
        summary="Drop what runs; nothing is logged (payee)",
        subject=RUN,
    ),
    _on_entry(
        "edit",
        "edit_time",
        "Correct hours that are not locked (payee)",
        body=EditBody,
        command=_edit,
    ),
    _on_entry("delete", "delete_time", "Take back hours that are not locked (payee)"),
    _on_entry("approve_late", "approve_late", "Let late hours go on the next invoice (client)"),
    Write(
        path="/v1/weeks/{week_id}/write_off",
        service="escrow.write_off",
        scope=Scope.MONEY_WRITE,
        body=ReasonBody,
        command=_week,
        answer=WeekActed,
        summary="Give up what a client owes for advanced hours (two operators in person)",
        subject=WEEK,
    ),
)
"""Every command on hours."""
