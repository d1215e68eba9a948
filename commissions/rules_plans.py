"""Decisions on plans and products: what may be sold, when a charge falls due, what it earns.

A charge is earned in equal parts a day, each rounded down to the minor unit; the last day earns
what remains, so that the days sum to the price. A day runs from the charge's own time of day.
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple, TypedDict
from uuid import UUID

from commissions.machine_plans import OFFERINGS, PURCHASES, SUBSCRIPTIONS, Trigger, step
from commissions.model_plans import (
    Every,
    Offering,
    OfferingKind,
    OfferingState,
    Purchase,
    PurchaseState,
    RefundRule,
    Role,
    Subscription,
    SubscriptionState,
    TaxOn,
)
from commissions.refusals_plans import (
    AnotherVersion,
    BadOffering,
    InPersonOnly,
    Keeps,
    NothingLeft,
    NotSold,
    NotYours,
    SecondPerson,
    TooLate,
)
from kernel.dates import months_later
from kernel.money import EXPONENTS, MAX_MINOR, share_bps
from kernel.principals import Actor, PrincipalKind

DAY: Final = timedelta(days=1)
RETRY_DAYS: Final = (1, 3, 5)
"""How many days after the period's end a charge that failed is tried again."""

MOST_DAYS: Final = 3_660
MOST_PRICES: Final = 400
_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,39}", re.ASCII)
_MONTHS: Final = {Every.MONTH: 1, Every.YEAR: 12}
_TIMES: Final = {OfferingKind.PLAN: set(_MONTHS), OfferingKind.PRODUCT: {Every.ONCE}}


class Period(NamedTuple):
    """One period of a subscription, 1 being that of the anchor; half-open."""

    number: int
    from_at: datetime
    to_at: datetime


class Back(NamedTuple):
    """What ending early gives back; `kept_minor` of the price is ours."""

    kept_minor: int
    net_minor: int
    tax_minor: int


def role_of(actor: Actor, party_id: UUID) -> Role:
    """What an actor is to a party's plans; refuses a stranger, whatever the state is."""
    if actor.kind is PrincipalKind.SYSTEM:
        return Role.SYSTEM
    if actor.party_id == party_id:
        return Role.PARTY
    if not actor.is_operator:
        raise NotYours
    return Role.OPERATOR


def check_person(actor: Actor) -> None:
    """What is sold is decided by operators in person; refuses the others."""
    if not actor.is_operator:
        raise NotYours
    if actor.kind is not PrincipalKind.PERSON:
        raise InPersonOnly


def check_offering(offering: Offering, at: datetime) -> None:
    """Refuses a version that could never be sold: `plans.bad_offering`, `plans.too_late`."""
    if not _NAME.fullmatch(offering.name):
        raise BadOffering(field="name")
    is_product = offering.kind is OfferingKind.PRODUCT
    if is_product != (offering.days is not None) or not 1 <= (offering.days or 1) <= MOST_DAYS:
        raise BadOffering(field="days")
    asked = [(each.currency, each.every) for each in offering.prices]
    if len(set(asked)) != len(asked) or len(asked) > MOST_PRICES:
        raise BadOffering(field="prices", why="a price is named twice, or they are too many")
    for price in offering.prices:
        if price.currency not in EXPONENTS or price.every not in _TIMES[offering.kind]:
            raise BadOffering(field="prices", currency=price.currency, every=price.every.value)
        if not (is_product <= price.amount_minor <= MAX_MINOR):
            raise BadOffering(field="prices", currency=price.currency, why="out of range")
    if offering.wanted_from is not None and offering.wanted_from < at:
        raise TooLate(wanted_from=offering.wanted_from.isoformat())


def approve(
    offering: Offering, actor: Actor, *, newest_from: datetime | None, at: datetime
) -> Offering:
    """The version as it is sold. `newest_from` is when the newest approved one of its name began.

    Refuses `plans.wrong_state`, `plans.second_person`, `plans.too_late`.
    """
    row = step(OFFERINGS, offering.state, Trigger.APPROVE, Role.OPERATOR)
    if actor.principal_id == offering.prepared_by:
        raise SecondPerson(offering_id=str(offering.id))
    starts = offering.wanted_from or at
    if starts < at or (newest_from is not None and starts <= newest_from):
        raise TooLate(wanted_from=starts.isoformat())
    return replace(
        offering,
        state=OfferingState(row.to),
        decided_by=actor.principal_id,
        decided_at=at,
        valid_from=starts,
    )


def reject(offering: Offering, actor: Actor, at: datetime) -> Offering:
    """The version given up; also its preparer may."""
    row = step(OFFERINGS, offering.state, Trigger.REJECT, Role.OPERATOR)
    return replace(
        offering,
        state=OfferingState(row.to),
        decided_by=actor.principal_id,
        decided_at=at,
    )


def on_sale(offerings: Iterable[Offering], kind: OfferingKind, name: str, at: datetime) -> Offering:
    """The version of a name that is sold at an instant: the newest that began by then."""
    begun = [
        (each.valid_from, each)
        for each in offerings
        if (each.kind, each.name, each.state) == (kind, name, OfferingState.APPROVED)
        and each.valid_from is not None
        and each.valid_from <= at
    ]
    if not begun:
        raise NotSold(name=name)
    return max(begun, key=lambda each: each[0])[1]


def price_of(offering: Offering, currency: str, every: Every, *, version: int | None) -> int:
    """What it costs, minor units; refuses `plans.another_version`, `plans.not_sold`."""
    if version not in {None, offering.version}:
        raise AnotherVersion(name=offering.name, version=offering.version)
    price = offering.price(currency, every)
    if price is None:
        raise NotSold(name=offering.name, currency=currency, every=every.value)
    return price.amount_minor


def period(anchor_at: datetime, every: Every, number: int) -> Period:
    """Period `number` from the anchor, at its time of day (UTC)."""
    assert number >= 1
    return Period(number, _start(anchor_at, every, number), _start(anchor_at, every, number + 1))


def next_period(subscription: Subscription, at: datetime, *, has_waited: bool) -> Period:
    """The period to charge now: the one after the last.

    `has_waited`: a hold stopped the charge; then periods that went by whole are passed over.
    """
    found = period(subscription.anchor_at, subscription.every, subscription.period_no + 1)
    while has_waited and found.to_at <= at:
        found = period(subscription.anchor_at, subscription.every, found.number + 1)
    return found


def renewed(old: Subscription, at: datetime, *, has_waited: bool = False) -> Subscription:
    """The subscription in its next period, which is paid."""
    row = step(SUBSCRIPTIONS, old.state, Trigger.RENEW, Role.SYSTEM)
    begun = next_period(old, at, has_waited=has_waited)
    return replace(
        old,
        state=SubscriptionState(row.to),
        version=old.version + 1,
        failures=0,
        period_no=begun.number,
        period_from=begun.from_at,
        period_to=begun.to_at,
    )


def failed(old: Subscription, at: datetime) -> tuple[Subscription, datetime | None]:
    """The subscription whose charge failed, and when it is tried again; None: it has lapsed."""
    has_retries = old.failures < len(RETRY_DAYS)
    trigger = Trigger.FAIL if has_retries else Trigger.LAPSE
    row = step(SUBSCRIPTIONS, old.state, trigger, Role.SYSTEM)
    new = replace(
        old,
        state=SubscriptionState(row.to),
        version=old.version + 1,
        failures=old.failures + 1,
        ended_at=None if has_retries else at,
    )
    if not has_retries:
        return new, None
    retry_at = old.period_to + DAY * RETRY_DAYS[old.failures]
    return new, retry_at if retry_at > at else at + DAY


def cancelled(
    old: Subscription, paid: Purchase | None, role: Role, at: datetime
) -> tuple[Subscription, Back | None]:
    """The subscription that was ended, and what goes back of its running period."""
    back = None
    if old.state is SubscriptionState.ACTIVE:
        gives = old.refund is RefundRule.PRO_RATA
        back = back_of(paid, at) if gives and paid else None
        is_now = back is not None and back.net_minor > 0
        trigger = Trigger.CANCEL_NOW if is_now else Trigger.CANCEL
    else:
        is_now, trigger = True, Trigger.CANCEL_NOW
    row = step(SUBSCRIPTIONS, old.state, trigger, role)
    new = replace(
        old,
        state=SubscriptionState(row.to),
        version=old.version + 1,
        ended_at=at if is_now else None,
    )
    return new, back if is_now else None


def run_out(old: Subscription, at: datetime) -> Subscription:
    """The subscription whose last paid period is over."""
    row = step(SUBSCRIPTIONS, old.state, Trigger.RUN_OUT, Role.SYSTEM)
    return replace(old, state=SubscriptionState(row.to), version=old.version + 1, ended_at=at)


def paid_for(
    subscription: Subscription, purchase_id: UUID, *, tax: TaxOn, at: datetime
) -> Purchase | None:
    """The charge of a subscription's period; None where the plan costs nothing."""
    if not subscription.price_minor:
        return None
    return Purchase(
        id=purchase_id,
        kind=OfferingKind.PLAN,
        name=subscription.plan,
        party_id=subscription.party_id,
        offering_id=subscription.offering_id,
        subscription_id=subscription.id,
        about="",
        side=subscription.side,
        refund=subscription.refund,
        currency=subscription.currency,
        net_minor=subscription.price_minor,
        from_at=subscription.period_from,
        to_at=subscription.period_to,
        bought_at=at,
        **_taxed(subscription.price_minor, tax),
    )


def bought(
    offering: Offering,
    *,
    purchase_id: UUID,
    party_id: UUID,
    about: str,
    currency: str,
    price_minor: int,
    tax: TaxOn,
    at: datetime,
) -> Purchase:
    """A product's days, from now on."""
    return Purchase(
        id=purchase_id,
        kind=OfferingKind.PRODUCT,
        name=offering.name,
        party_id=party_id,
        offering_id=offering.id,
        subscription_id=None,
        about=about,
        side=offering.side,
        refund=offering.refund,
        currency=currency,
        net_minor=price_minor,
        from_at=at,
        to_at=at + DAY * (offering.days or 1),
        bought_at=at,
        **_taxed(price_minor, tax),
    )


def earned_by_days(net_minor: int, *, days: int, elapsed: int) -> int:
    """What so many days of a charge have earned; the last one earns what remains.

    Args:
        net_minor: the price without tax, never negative.
        days: how many it was paid for, at least one.
        elapsed: how many are over; more than `days` count as all.
    """
    assert days >= 1
    assert elapsed >= 0
    return net_minor if elapsed >= days else net_minor // days * elapsed


def earned(old: Purchase, at: datetime) -> Purchase:
    """The purchase with all that its days have earned by now."""
    elapsed = max(0, (at - old.from_at) // DAY)
    trigger = Trigger.EARN_LAST if elapsed >= old.days else Trigger.EARN
    row = step(PURCHASES, old.state, trigger, Role.SYSTEM)
    return replace(
        old,
        state=PurchaseState(row.to),
        version=old.version + 1,
        earned_minor=earned_by_days(old.net_minor, days=old.days, elapsed=elapsed),
    )


def next_earning_at(purchase: Purchase, at: datetime) -> datetime:
    """When the next part is earned: the next day's end, or the last one's if a day is too little.

    The first day after `at` whose end is not yet there.
    """
    if purchase.net_minor < purchase.days:
        return purchase.to_at
    elapsed = max(0, (at - purchase.from_at) // DAY)
    return min(purchase.from_at + DAY * (elapsed + 1), purchase.to_at)


def back_of(purchase: Purchase, at: datetime) -> Back:
    """What the days that have not begun give back; the tax is that of what is not kept."""
    begun = max(0, -((purchase.from_at - at) // DAY))
    kept = earned_by_days(purchase.net_minor, days=purchase.days, elapsed=begun)
    tax_kept = share_bps(kept, purchase.tax_rate_bps)
    return Back(kept, purchase.net_minor - kept, purchase.tax_minor - tax_kept)


def given_back(old: Purchase, back: Back, role: Role) -> Purchase:
    """The purchase of which a part went back: what is kept of it is earned at once."""
    row = step(PURCHASES, old.state, Trigger.GIVE_BACK, role)
    return replace(
        old,
        state=PurchaseState(row.to),
        version=old.version + 1,
        earned_minor=back.kept_minor,
        refunded_minor=back.net_minor,
        refunded_tax_minor=back.tax_minor,
    )


def returned(old: Purchase, role: Role, at: datetime) -> Purchase:
    """A product given back; refuses `plans.keeps`, `plans.nothing_left` besides the machine's."""
    step(PURCHASES, old.state, Trigger.GIVE_BACK, role)
    if old.refund is RefundRule.KEEPS or old.subscription_id is not None:
        raise Keeps(purchase_id=str(old.id))
    back = back_of(old, at)
    if not back.net_minor:
        raise NothingLeft(purchase_id=str(old.id))
    return given_back(old, back, role)


class _Taxed(TypedDict):
    tax_minor: int
    tax_rate_bps: int
    tax_country: str | None
    treatment: str | None
    note: str | None


def _taxed(net_minor: int, tax: TaxOn) -> _Taxed:
    return {
        "tax_minor": share_bps(net_minor, tax.rate_bps),
        "tax_rate_bps": tax.rate_bps,
        "tax_country": tax.country,
        "treatment": tax.treatment,
        "note": tax.note,
    }


def _start(anchor_at: datetime, every: Every, number: int) -> datetime:
    in_utc = anchor_at.astimezone(UTC)
    day = months_later(in_utc.date(), _MONTHS[every] * (number - 1))
    return datetime.combine(day, in_utc.timetz())
