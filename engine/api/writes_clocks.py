"""The commands on clocks: proof of notice, the tenant's rules, limits of rails, reserves."""

from datetime import timedelta
from typing import Annotated, Any, Final

from pydantic import Field

from engine.api.access import Scope
from engine.api.answers_clocks import (
    ClockNoticeActed,
    ClockRulesAnswer,
    HoldLimitActed,
    ReserveRuleActed,
)
from engine.api.calls import Given, Write
from engine.api.models import Id, Request, Text, Time
from engine.api.writes_house import PARTY
from escrow.model_clocks import (
    ClockRules,
    NoticePolicy,
    RecordNotice,
    SetClockRules,
    SetHoldLimit,
    SetReserveRule,
)
from kernel.commands import Command
from kernel.ids import new_id


class ClockNoticeBody(Request):
    """That a party was told of a clock: by which channel, with what proof, when (now if left out).

    `kind` is the clock's, as `escrow.auto_release`. A party may only vouch for itself.
    """

    subject: Annotated[str, Field(max_length=80)]
    kind: Annotated[str, Field(max_length=60)]
    party_id: Id
    channel: Annotated[str, Field(min_length=1, max_length=100)]
    proof: Annotated[str, Field(min_length=1, max_length=500)]
    told_at: Time | None = None


class ClockRulesBody(Request):
    """How clocks run from now on.

    After an outage longer than `outage_after_s`, defaults by silence that fell due in it come
    `courtesy_s` later. With `notice` `required`, contracts accepted from now on default only after
    a recorded notice.
    """

    outage_after_s: Annotated[int, Field(ge=60, le=2_592_000)] = 900
    courtesy_s: Annotated[int, Field(ge=0, le=604_800)] = 86_400
    drain_per_s: Annotated[int, Field(ge=1, le=100_000)] = 2_000
    notice: NoticePolicy = NoticePolicy.ASSUMED


class HoldLimitBody(Request):
    """How many days an account at a rail may keep client money."""

    rail_account: Annotated[str, Field(pattern="^[a-z0-9][a-z0-9_:.-]{0,63}$")]
    most_days: Annotated[int, Field(ge=1, le=730)]


class ReserveRuleBody(Request):
    """What part of a payee's releases is kept back, for how many days, and why."""

    reserve_bps: Annotated[int, Field(ge=0, le=10_000)]
    reserve_days: Annotated[int, Field(ge=1, le=365)]
    reason: Annotated[Text, Field(min_length=1)]


def _notice(given: Given[ClockNoticeBody]) -> Command:
    body = given.body
    return RecordNotice(
        actor=given.actor,
        notice_id=new_id(),
        subject=body.subject,
        kind=body.kind,
        party_id=body.party_id,
        channel=body.channel,
        proof=body.proof,
        told_at=body.told_at,
    )


def _rules(given: Given[ClockRulesBody]) -> Command:
    body = given.body
    rules = ClockRules(
        outage_after=timedelta(seconds=body.outage_after_s),
        courtesy=timedelta(seconds=body.courtesy_s),
        drain_per_s=body.drain_per_s,
        notice=body.notice,
    )
    return SetClockRules(actor=given.actor, rules=rules)


def _hold_limit(given: Given[HoldLimitBody]) -> Command:
    body = given.body
    return SetHoldLimit(actor=given.actor, rail_account=body.rail_account, most_days=body.most_days)


def _reserve_rule(given: Given[ReserveRuleBody]) -> Command:
    body = given.body
    return SetReserveRule(
        actor=given.actor,
        payee_id=given.ids["party_id"],
        reserve_bps=body.reserve_bps,
        reserve_days=body.reserve_days,
        reason=body.reason,
    )


CLOCKS: Final[tuple[Write[Any], ...]] = (
    Write(
        path="/v1/clock_notices",
        service="escrow.record_notice",
        scope=Scope.CONTRACTS_WRITE,
        body=ClockNoticeBody,
        command=_notice,
        answer=ClockNoticeActed,
        summary="Record the proof that a party was told of a clock",
        status=201,
    ),
    Write(
        path="/v1/clock_rules",
        service="escrow.set_clock_rules",
        scope=Scope.MONEY_WRITE,
        body=ClockRulesBody,
        command=_rules,
        answer=ClockRulesAnswer,
        summary="Set how clocks run (an operator in person)",
    ),
    Write(
        path="/v1/hold_limits",
        service="escrow.set_hold_limit",
        scope=Scope.MONEY_WRITE,
        body=HoldLimitBody,
        command=_hold_limit,
        answer=HoldLimitActed,
        summary="Set how long a rail may keep client money (an operator in person)",
    ),
    Write(
        path="/v1/parties/{party_id}/reserve_rule",
        service="escrow.set_reserve_rule",
        scope=Scope.MONEY_WRITE,
        body=ReserveRuleBody,
        command=_reserve_rule,
        answer=ReserveRuleActed,
        summary="Set what is kept back of a payee's releases (an operator in person)",
        subject=PARTY,
    ),
)
"""Every command on clocks."""
