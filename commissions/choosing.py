"""What a deal pins: the schedule of each side and a promotion, out of all that hold. Pure.

A promotion is chosen beside the schedule that it lowers, never instead of it, and one at most. It
is for the deals that name it, or, open, for all in its scope; it is passed over once it has
forgone its budget, or what one payee may save by it.

Source: domain/escrow.md 3.2 (Promotion), 2.11 number 26.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

from commissions.model import Facts, Schedule, Side
from commissions.model_schedule import NO_LIMIT, Version
from commissions.resolution import Choice, NoSchedule, Step, choose, fits, lost_by, strength


@dataclass(frozen=True, slots=True)
class Ask:
    """A deal whose fees are to be chosen. `facts.promotion` is the one that it names."""

    facts: Facts
    currency: str
    payee_id: UUID


@dataclass(frozen=True, slots=True)
class Promoted:
    """The promotion that a deal gets, if it gets one, and every one that was looked at.

    `until`: it counts for releases before then; None: for the life of the contract.
    """

    schedule: Schedule | None
    until: datetime | None
    trace: tuple[Step, ...]


NOT_PROMOTED = Promoted(None, None, ())


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a deal gets; None for a side that no schedule is for: the flat rate of its terms."""

    payee: Choice | None
    client: Choice | None
    promotion: Promoted = NOT_PROMOTED


@dataclass(frozen=True, slots=True, kw_only=True)
class Picked:
    """One choice of a contract as it is kept. `why` is `acceptance` or `migration`."""

    contract_id: UUID
    side: Side
    is_promotion: bool
    schedule_id: UUID | None
    promotion_until: datetime | None
    why: str
    chosen_at: datetime
    trace: list[dict[str, Any]]
    move_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Forgone:
    """What promotions forwent until now, minor units, by schedule and currency, and payee."""

    in_all: Mapping[tuple[UUID, str], int] = field(default_factory=lambda: MappingProxyType({}))
    by_payee: Mapping[tuple[UUID, str, UUID], int] = field(
        default_factory=lambda: MappingProxyType({})
    )


@dataclass(frozen=True, slots=True)
class Page:
    """All that is approved, laid out so that a deal looks at what may fit it alone."""

    general: Mapping[str | None, tuple[Schedule, ...]]
    """By the category that they are for; None: whatever it is."""
    by_contract: Mapping[str, tuple[Schedule, ...]]
    by_client: Mapping[str, tuple[Schedule, ...]]
    promotions: tuple[Version, ...]

    def near(self, facts: Facts) -> list[Schedule]:
        """The schedules that may fit a deal."""
        found = [*self.general.get(None, ())]
        if facts.category is not None:
            found += self.general.get(facts.category, ())
        if facts.contract_id is not None:
            found += self.by_contract.get(facts.contract_id, ())
        if facts.client_id is not None:
            found += self.by_client.get(facts.client_id, ())
        return found


def lay_out(versions: Iterable[Version]) -> Page:
    """A page of what is approved."""
    general: dict[str | None, tuple[Schedule, ...]] = {}
    promotions: list[Version] = []
    by_contract: dict[str, tuple[Schedule, ...]] = {}
    by_client: dict[str, tuple[Schedule, ...]] = {}
    for version in versions:
        schedule, scope = version.schedule, version.schedule.scope
        if version.promotion is not None:
            promotions.append(version)
        elif scope.contract_id is not None:
            known = by_contract.get(scope.contract_id, ())
            by_contract[scope.contract_id] = (*known, schedule)
        elif scope.client_id is not None:
            by_client[scope.client_id] = (*by_client.get(scope.client_id, ()), schedule)
        else:
            general[scope.category] = (*general.get(scope.category, ()), schedule)
    return Page(general, by_contract, by_client, tuple(promotions))


def promotions_of(page: Page, ask: Ask, at: datetime) -> list[Version]:
    """The promotions that are for a deal now, strongest first, whatever is left of them."""
    found = [each for each in page.promotions if _is_for(each, ask, at)]
    return sorted(found, key=lambda each: (strength(each.schedule), each.schedule.name, each.id))


def choose_all(page: Page, ask: Ask, at: datetime, forgone: Forgone) -> Chosen:
    """What a deal gets of all that holds at an instant."""
    near = page.near(ask.facts)
    payee = _choice(near, ask, Side.PAYEE, at)
    client = _choice(near, ask, Side.CLIENT, at)
    if not page.promotions:
        return Chosen(payee, client)
    return Chosen(payee, client, _promoted(promotions_of(page, ask, at), ask, forgone))


def trace_json(trace: Iterable[Step]) -> list[dict[str, Any]]:
    """A trace as it is kept and shown."""
    return [
        {
            "schedule_id": step.schedule_id,
            "level": step.level,
            "dimensions": list(step.dimensions),
            "priority": step.priority,
            "valid_from": step.valid_from.isoformat(),
            "result": step.result,
        }
        for step in trace
    ]


def _choice(near: list[Schedule], ask: Ask, side: Side, at: datetime) -> Choice | None:
    try:
        return choose(near, ask.facts, side=side, currency=ask.currency, at=at)
    except NoSchedule:
        return None


def _is_for(version: Version, ask: Ask, at: datetime) -> bool:
    schedule, promotion = version.schedule, version.promotion
    if promotion is None or not schedule.is_in_force(at) or not schedule.tariff(ask.currency):
        return False
    if promotion.applies_until is not None and promotion.applies_until <= at:
        return False
    facts = ask.facts
    if promotion.is_open:
        facts = replace(facts, promotion=schedule.scope.promotion)
    return fits(schedule.scope, facts)


def _promoted(found: list[Version], ask: Ask, forgone: Forgone) -> Promoted:
    best: Version | None = None
    steps = []
    for version in found:
        why = _used_up(version, ask, forgone)
        if why is None and best is None:
            best = version
            why = "won"
        elif why is None and best is not None:
            ranks = strength(best.schedule), strength(version.schedule)
            why = lost_by(best.schedule, other=version.schedule) if ranks[0] != ranks[1] else "name"
        scope = version.schedule.scope
        steps.append(
            Step(
                schedule_id=str(version.id),
                level=scope.level.value,
                dimensions=scope.named,
                priority=version.schedule.priority,
                valid_from=version.schedule.valid_from,
                result=why or "",
            )
        )
    if best is None or best.promotion is None:
        return Promoted(None, None, tuple(steps))
    return Promoted(best.schedule, best.promotion.applies_until, tuple(steps))


def _used_up(version: Version, ask: Ask, forgone: Forgone) -> str | None:
    """Why a promotion has nothing left for a deal; None: it has."""
    assert version.promotion is not None
    limit = version.promotion.limits.get(ask.currency, NO_LIMIT)
    in_all = forgone.in_all.get((version.id, ask.currency), 0)
    if limit.budget_minor is not None and in_all >= limit.budget_minor:
        return "budget used up"
    by_payee = forgone.by_payee.get((version.id, ask.currency, ask.payee_id), 0)
    if limit.party_limit_minor is not None and by_payee >= limit.party_limit_minor:
        return "party limit reached"
    return None
