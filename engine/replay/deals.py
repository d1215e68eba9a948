"""A posting as a deal: its parties, its milestones, hours or retainer, and how both behave.

Pure. Everything follows from the seed and the posting, so that two replays are the same.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final
from uuid import UUID

from commissions.model_fx import ConvertAt
from engine.replay.behaviour import (
    RATES,
    ContractConduct,
    SlotConduct,
    conduct_of,
    slot_conduct,
)
from engine.replay.currencies import DOLLARS, PAYEE_COUNTRIES, Local, currency_of
from engine.replay.dice import Dice
from engine.replay.postings import Kind, Posting
from engine.replay.terms import (
    WITH_HOURS,
    WITH_MILESTONES,
    WITH_RETAINER,
    Form,
    HoursPlan,
    RetainerPlan,
    budget_beside,
    form_of,
    hours_plan,
    retainer_plan,
)
from escrow.model import ReleaseRule, Terms
from kernel.money import allocate

MARKETPLACE: Final = "marketplace"
OWN_TALENT: Final = "own_talent"
"""Whom the client found here, or brought along."""

CONVERT_AT: Final = MappingProxyType(
    {ConvertAt.RELEASE: 80, ConvertAt.FUNDING: 0, ConvertAt.PAYOUT: 20}
)
"""When money becomes the payee's currency, and how many of a hundred contracts choose it."""

MOST_MILESTONES: Final = 4
LEAST_MINOR: Final = 500
"""No milestone is below this, in cents of a dollar; a smaller budget is one milestone."""

_ONE_MORE_FROM_MINOR: Final = (5_000, 20_000, 100_000)
PARTIES_SINCE: Final = datetime(2020, 1, 1, tzinfo=UTC)
_LONG: Final = frozenset({"1 to 3 months", "3 to 6 months", "More than 6 months"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotPlan:
    """One milestone of a deal: its id, its price, and what becomes of it."""

    id: UUID
    no: int
    amount_minor: int
    conduct: SlotConduct


@dataclass(frozen=True, slots=True, kw_only=True)
class Deal:
    """One posting on its way through the engine. `payee_no` names a freelancer of the pool.

    `payee_currency` is the payee's own where he wants it and it is another than the contract's.
    It has `slots` (milestones), `hours` or a `retainer` as its form says.
    """

    dice: Dice
    posting: Posting
    contract_id: UUID
    client_id: UUID
    payee_id: UUID
    payee_no: int
    currency: str
    slots: tuple[SlotPlan, ...]
    conduct: ContractConduct
    origin: str = MARKETPLACE
    payee_currency: str | None = None
    convert_at: ConvertAt = ConvertAt.RELEASE
    form: Form = Form.MILESTONES
    hours: HoursPlan | None = None
    retainer: RetainerPlan | None = None

    @property
    def terms(self) -> Terms:
        """What the client proposes: how money is let go, and what decides what it costs."""
        return Terms(
            release_rule=self.conduct.release_rule,
            auto_release_after=self.conduct.auto_release_after,
            origin=self.origin,
            category=category_of(self.posting.category),
            payee_currency=self.payee_currency,
            convert_at=self.convert_at,
        )

    @property
    def terms_of_parts(self) -> Terms:
        """The same of a contract on hours or a retainer: their own clocks let money go."""
        return replace(self.terms, release_rule=ReleaseRule.CLIENT_OR_TIMER)

    @property
    def worth_minor(self) -> int:
        """About what the client will pay in all."""
        total = sum(plan.amount_minor for plan in self.slots)
        if self.hours is not None:
            total += self.hours.rate_minor * self.hours.minutes // 60 * self.hours.weeks
        if self.retainer is not None:
            total += self.retainer.amount_minor * self.retainer.periods
        return total


def milestone_count(budget_minor: int, duration: str) -> int:
    """One to four: one more from 50, 200 and 1,000 on, and one more for work over a month."""
    steps = sum(budget_minor >= limit for limit in _ONE_MORE_FROM_MINOR)
    longer = duration in _LONG
    return min(1 + steps + longer, MOST_MILESTONES, max(1, budget_minor // LEAST_MINOR))


def milestone_amounts(
    dice: Dice, *, budget_minor: int, duration: str, local: Local = DOLLARS
) -> list[int]:
    """The budget (in cents of a dollar) in the client's currency, in uneven parts that sum to it.

    There are as many milestones whatever the currency.
    """
    count = milestone_count(budget_minor, duration)
    weights = [dice.between(f"weight{no}", lowest=7, highest=13) for no in range(count)]
    return allocate(local.of(budget_minor), weights)


def deal_of(
    seed: int,
    posting: Posting,
    *,
    payee_count: int,
    local: Local = DOLLARS,
    is_priced: bool = True,
) -> Deal:
    """The deal that comes of a posting with a fixed budget or a rate, in the client's currency.

    Some freelancers of the pool get far more work than others, as everywhere.
    """
    dice = Dice(seed, posting.job_id)
    form = Form.MILESTONES if posting.kind is Kind.FIXED_BUDGET else form_of(dice)
    budget = posting.budget_minor if form is Form.MILESTONES else budget_beside(dice, posting)
    assert budget is not None
    amounts = milestone_amounts(dice, budget_minor=budget, duration=posting.duration, local=local)
    payee_no = dice.below("payee_a", payee_count) * dice.below("payee_b", payee_count)
    payee_no //= payee_count
    wanted = wanted_currency(seed, payee_no=payee_no)
    return Deal(
        dice=dice,
        posting=posting,
        contract_id=dice.new_id("contract", posting.posted_at),
        client_id=party_id(seed, posting.client),
        payee_id=party_id(seed, payee_name(payee_no)),
        payee_no=payee_no,
        currency=local.currency,
        slots=_slots(dice, posting, amounts) if form in WITH_MILESTONES else (),
        conduct=conduct_of(dice),
        origin=OWN_TALENT if dice.happens("own_talent", RATES.own_talent) else MARKETPLACE,
        payee_currency=wanted if is_priced and wanted != local.currency else None,
        convert_at=dice.weigh("convert_at", CONVERT_AT),
        form=form,
        hours=hours_plan(dice, posting, local) if form in WITH_HOURS else None,
        retainer=retainer_plan(dice, posting, local) if form in WITH_RETAINER else None,
    )


def payee_name(payee_no: int) -> str:
    """The reference of a freelancer of the pool."""
    return f"freelancer-{payee_no + 1:05d}"


def payee_country(seed: int, *, payee_no: int) -> str:
    """Where a freelancer of the pool lives; two letters."""
    return Dice(seed, payee_name(payee_no)).weigh("country", PAYEE_COUNTRIES)


def wanted_currency(seed: int, *, payee_no: int) -> str | None:
    """The currency that a freelancer wants to be paid in; None: whatever the contract is in."""
    own = Dice(seed, payee_name(payee_no))
    if not own.happens("wants_own_currency", RATES.wants_own_currency):
        return None
    return currency_of(payee_country(seed, payee_no=payee_no))


def category_of(named: str) -> str | None:
    """A posting's category as schedules name it; None where it names none."""
    return re.sub("[^a-z0-9]+", "-", named.lower()).strip("-")[:80] or None


def party_id(seed: int, reference: str) -> UUID:
    """The same party has the same id, whichever posting names it."""
    return Dice(seed, f"party|{reference}").new_id("party", PARTIES_SINCE)


def _slots(dice: Dice, posting: Posting, amounts: Sequence[int]) -> tuple[SlotPlan, ...]:
    return tuple(
        SlotPlan(
            id=dice.new_id(f"slot{no}", posting.posted_at),
            no=no,
            amount_minor=amount,
            conduct=slot_conduct(
                dice, slot_no=no, slot_count=len(amounts), duration=posting.duration
            ),
        )
        for no, amount in enumerate(amounts, start=1)
    )
