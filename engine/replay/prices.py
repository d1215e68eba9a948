"""What the platform of a replay charges: fee schedules, prepared by one, approved by another.

A sliding scale for all, by what a pair has billed (20 % up to 500 dollars, 10 % up to 10,000, 5 %
above, each in the contract's currency), a flat one for one category, less for talent that a client
brings himself, for the paid plan, in one arm of an experiment, and, for a while, by a promotion.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from commissions import service_schedule
from commissions.commands import DecideSchedule, PrepareSchedule
from commissions.model import Band, Scope, Side, Tariff
from commissions.model_schedule import Limit, Promotion
from engine.replay.acts import APPROVER, OPERATOR
from engine.replay.currencies import Local
from engine.replay.deals import OWN_TALENT
from engine.replay.dice import Dice
from engine.replay.stage import Stage

PLAN: Final = "pro"
EXPERIMENT: Final = "gentler-scale"
ARM: Final = "gentler"

STEPS: Final = (50_000, 1_000_000)
"""Cents of a dollar that a pair has billed where the next band begins."""

PROMOTED_DAYS: Final = 60
"""Contracts accepted in these first days of a replay pay half of the scale, for"""
PROMOTION_HOLDS_DAYS: Final = 120
"""so many days of it, but no payee saves more than"""
PARTY_LIMIT: Final = 25_000
"""cents of a dollar in each currency."""


class _Scale(NamedTuple):
    """One schedule: whom it is for, and its rates (basis points), one for each band."""

    name: str
    scope: Scope
    rates: tuple[int, ...]
    priority: int = 0
    side: Side = Side.PAYEE


SCALES: Final = (
    _Scale("sliding", Scope(), (2_000, 1_000, 500)),
    _Scale("writing", Scope(category="writing"), (1_500,)),
    _Scale("own-talent", Scope(origin=OWN_TALENT), (1_000, 500), priority=1),
    _Scale("pro", Scope(plan=PLAN), (1_500, 800, 400)),
    _Scale("gentler", Scope(arm=f"{EXPERIMENT}/{ARM}"), (1_500, 1_000, 500)),
    _Scale("clients", Scope(), (300,), side=Side.CLIENT),
)
HALF: Final = _Scale("winter", Scope(promotion="winter"), (1_000, 500, 250))


def open_prices(stage: Stage, seed: int, locals_: Sequence[Local], at: datetime) -> None:
    """Have all schedules prepared and approved, so that they hold from the first day on."""
    prepared = [_prepare(seed, scale, locals_, at) for scale in SCALES]
    prepared.append(_promotion(seed, locals_, at))
    stage.serve(service_schedule.prepare, prepared)
    stage.serve(
        service_schedule.approve,
        [DecideSchedule(actor=APPROVER, schedule_id=each.schedule_id) for each in prepared],
    )


def _prepare(seed: int, scale: _Scale, locals_: Sequence[Local], at: datetime) -> PrepareSchedule:
    return PrepareSchedule(
        actor=OPERATOR,
        schedule_id=Dice(seed, f"schedule|{scale.name}").new_id("id", at),
        name=scale.name,
        side=scale.side,
        scope=scale.scope,
        tariffs=tuple(_tariff(each, scale.rates) for each in locals_),
        priority=scale.priority,
        reason="prices of the replay",
    )


def _promotion(seed: int, locals_: Sequence[Local], at: datetime) -> PrepareSchedule:
    scale = HALF
    return PrepareSchedule(
        actor=OPERATOR,
        schedule_id=Dice(seed, f"schedule|{scale.name}").new_id("id", at),
        name=scale.name,
        side=scale.side,
        scope=scale.scope,
        tariffs=tuple(_tariff(each, scale.rates) for each in locals_),
        valid_from=at,
        valid_to=at + timedelta(days=PROMOTED_DAYS),
        promotion=Promotion(
            is_open=True,
            applies_until=at + timedelta(days=PROMOTION_HOLDS_DAYS),
            limits={
                each.currency: Limit(party_limit_minor=each.of(PARTY_LIMIT)) for each in locals_
            },
        ),
        reason="half of the scale for who begins now",
    )


def _tariff(local: Local, rates: Sequence[int]) -> Tariff:
    ends = [local.of(step) for step in STEPS[: len(rates) - 1]]
    return Tariff(
        local.currency,
        tuple(Band(end, rate) for end, rate in zip([*ends, None], rates, strict=True)),
    )
