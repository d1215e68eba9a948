"""Decisions on how clocks run and on who was told of them: pure."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from escrow.clocks import CLOCKS, ROOM
from escrow.model import Plan
from escrow.model_clocks import (
    ClockRules,
    Concerned,
    Notice,
    RecordNotice,
    SetClockRules,
    SetHoldLimit,
    SetReserveRule,
)
from escrow.refusals_clock import (
    BadClockRules,
    BadNotice,
    ClockNotYours,
    InPersonOnly,
    UnknownClock,
)
from escrow.rules import check_text
from escrow.rules_deal import LONGEST_REASON, LONGEST_TEXT, event
from escrow.rules_rails import check_rail_account
from kernel.commands import Command
from kernel.principals import PrincipalKind

_MINUTE: Final = timedelta(minutes=1)
_LONGEST_CHANNEL: Final = 100


def check_decides(command: Command) -> None:
    """Refuse whoever is no operator in person."""
    if not command.actor.is_operator:
        raise ClockNotYours
    if command.actor.kind is not PrincipalKind.PERSON:
        raise InPersonOnly


def set_rules(command: SetClockRules, at: datetime) -> Plan:
    """How the tenant's clocks run from now on."""
    check_decides(command)
    rules = command.rules
    _check(outage_s=rules.outage_after, lowest=_MINUTE, highest=timedelta(days=30))
    _check(courtesy_s=rules.courtesy, lowest=timedelta(), highest=timedelta(days=7))
    if not 1 <= rules.drain_per_s <= 100_000:
        raise BadClockRules(drain_per_s=rules.drain_per_s, lowest=1, highest=100_000)
    facts = rules_facts(rules)
    return Plan(
        drafts=(event(command, at, kind="clock.rules_set", subject="", detail=facts),),
        facts=facts,
    )


def rules_facts(rules: ClockRules) -> dict[str, object]:
    """What people are told of the rules."""
    return {
        "outage_after_s": int(rules.outage_after.total_seconds()),
        "courtesy_s": int(rules.courtesy.total_seconds()),
        "drain_per_s": rules.drain_per_s,
        "notice": rules.notice.value,
    }


def record_notice(
    command: RecordNotice, concerned: Concerned | None, at: datetime
) -> tuple[Plan, Notice]:
    """That a party was told of a clock; by the platform, or by the party itself."""
    actor = command.actor
    if not actor.is_operator and actor.party_id != command.party_id:
        raise ClockNotYours(subject=command.subject)
    row = CLOCKS.get(command.kind.removeprefix(ROOM))
    if (
        concerned is None
        or row is None
        or row.subject != command.subject.partition(":")[0]
        or command.party_id not in {concerned.client_id, concerned.payee_id}
    ):
        raise UnknownClock(subject=command.subject, kind=command.kind)
    told_at = at if command.told_at is None else command.told_at
    if not command.channel.strip() or not command.proof.strip() or told_at > at:
        raise BadNotice(subject=command.subject)
    check_text(command.channel, field="channel", longest=_LONGEST_CHANNEL)
    check_text(command.proof, field="proof", longest=LONGEST_TEXT)
    notice = Notice(
        command.notice_id,
        command.subject,
        row.kind,
        command.party_id,
        command.channel,
        command.proof,
        told_at,
        actor.principal_id,
        at,
    )
    facts = notice_facts(notice)
    draft = event(command, at, kind="clock.notice", subject=command.subject, detail=facts)
    return Plan(drafts=(draft,), facts=facts), notice


def notice_facts(notice: Notice) -> dict[str, object]:
    """What people are told of a notice."""
    return {
        "notice_id": str(notice.id),
        "subject": notice.subject,
        "clock": ROOM + notice.kind,
        "party_id": str(notice.party_id),
        "channel": notice.channel,
        "proof": notice.proof,
        "told_at": notice.told_at.isoformat(),
    }


def set_hold_limit(command: SetHoldLimit, at: datetime) -> Plan:
    """How long a rail account may keep client money."""
    check_decides(command)
    check_rail_account(command.rail_account)
    if not 1 <= command.most_days <= 730:
        raise BadClockRules(most_days=command.most_days, lowest=1, highest=730)
    facts = {"rail_account": command.rail_account, "most_days": command.most_days}
    draft = event(command, at, kind="clock.hold_limit_set", subject="", detail=facts)
    return Plan(drafts=(draft,), facts=facts)


def set_reserve_rule(command: SetReserveRule, known: frozenset[UUID], at: datetime) -> Plan:
    """What part of a payee's releases is kept back."""
    check_decides(command)
    if command.payee_id not in known:
        raise UnknownClock(party_id=str(command.payee_id))
    if not 0 <= command.reserve_bps <= 10_000 or not 1 <= command.reserve_days <= 365:
        raise BadClockRules(reserve_bps=command.reserve_bps, reserve_days=command.reserve_days)
    if not command.reason.strip():
        raise BadClockRules(reason="missing")
    check_text(command.reason, field="reason", longest=LONGEST_REASON)
    facts = {
        "payee_id": str(command.payee_id),
        "reserve_bps": command.reserve_bps,
        "reserve_days": command.reserve_days,
    }
    subject = f"party:{command.payee_id}"
    draft = event(command, at, kind="reserve.rule_set", subject=subject, detail=facts)
    return Plan(drafts=(draft,), facts=facts)


def numbered(rules: ClockRules, number: int) -> ClockRules:
    """The rules as they were written."""
    return replace(rules, rule_no=number)


def _check(*, lowest: timedelta, highest: timedelta, **given: timedelta) -> None:
    for name, value in given.items():
        if not lowest <= value <= highest:
            limits = {"lowest": lowest.total_seconds(), "highest": highest.total_seconds()}
            raise BadClockRules(**{name: value.total_seconds(), **limits})
