"""When silence becomes dormancy: pure, nothing here reads or writes."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

from payouts.model_dormant import OWNER_OF, DormancyRule, Owner, Purse, years_after
from payouts.refusals_treasury import BadRule

JURISDICTION: Final = re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,3})?", re.ASCII)

Rules = Mapping[tuple[str, Owner], tuple[DormancyRule, ...]]
"""By jurisdiction and owner, oldest first."""

_MOST_YEARS: Final = 50
_MOST_NOTICE_DAYS: Final = 364
_LONGEST_SOURCE: Final = 500


@dataclass(frozen=True, slots=True)
class Silence:
    """One purse of a silent owner: when he is written to, and when the money is moved."""

    purse: Purse
    rule: DormancyRule
    notice_at: datetime
    move_at: datetime


def check_jurisdiction(jurisdiction: str) -> str:
    """A country of two letters, or one with its part: US-CA; refuses `unclaimed.bad_rule`."""
    if JURISDICTION.fullmatch(jurisdiction) is None:
        raise BadRule(jurisdiction=jurisdiction[:20], why="a jurisdiction is written US-CA or DE")
    return jurisdiction


def check_rule(rule: DormancyRule) -> DormancyRule:
    """Refuses `unclaimed.bad_rule` for what the table would not hold."""
    check_jurisdiction(rule.jurisdiction)
    if not 1 <= rule.years <= _MOST_YEARS:
        raise BadRule(years=rule.years, why="money is dormant after 1 to 50 years")
    if not 1 <= rule.notice_days <= _MOST_NOTICE_DAYS:
        raise BadRule(notice_days=rule.notice_days, why="the letter goes 1 to 364 days before")
    if not 0 < len(rule.source.strip()) <= _LONGEST_SOURCE:
        raise BadRule(why="a rule names the law that it comes from")
    return rule


def by_place(rules: Iterable[DormancyRule]) -> Rules:
    """Rules in order, by jurisdiction and owner."""
    found: dict[tuple[str, Owner], list[DormancyRule]] = {}
    for rule in sorted(rules, key=lambda each: each.valid_from):
        found.setdefault((rule.jurisdiction, rule.owner), []).append(rule)
    return {place: tuple(some) for place, some in found.items()}


def rule_of(rules: Rules, jurisdiction: str, owner: Owner, on: date) -> DormancyRule | None:
    """The rule of a place on a day; of its country, where the part has none."""
    for place in (jurisdiction, jurisdiction.partition("-")[0]):
        valid = [each for each in rules.get((place, owner), ()) if each.valid_from <= on]
        if valid:
            return valid[-1]
    return None


def silence_of(
    purse: Purse, rules: Rules, contact_at: datetime, *, noticed_at: datetime | None, at: datetime
) -> Silence | None:
    """When this purse is due by the rule of the day; None where no rule is known.

    Its owner always has the whole time of the letter, however late it went out.
    """
    rule = rule_of(rules, purse.jurisdiction, OWNER_OF[purse.kind], at.date())
    if rule is None:
        return None
    dormant_at = years_after(contact_at, rule.years)
    notice = timedelta(days=rule.notice_days)
    heard_since = noticed_at is not None and noticed_at > contact_at
    told_at = noticed_at if heard_since and noticed_at is not None else dormant_at - notice
    return Silence(purse, rule, told_at, max(dormant_at, told_at + notice))


def next_ring(silences: Iterable[Silence], *, is_noticed: bool) -> datetime | None:
    """When the party's clock rings next: for the letter, or once it went out, for the money."""
    times = [each.move_at if is_noticed else each.notice_at for each in silences]
    return min(times, default=None)


def parties_of(purses: Iterable[Purse]) -> dict[UUID, list[Purse]]:
    """Purses by their owner."""
    found: dict[UUID, list[Purse]] = {}
    for each in purses:
        found.setdefault(each.party_id, []).append(each)
    return found
