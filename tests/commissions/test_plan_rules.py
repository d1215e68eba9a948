"""What plans charge, earn and give back, by the pure rules: periods, days, retries, versions."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commissions import rules_plans as rules
from commissions.model import Side
from commissions.model_plans import (
    Every,
    Offering,
    OfferingKind,
    OfferingState,
    PriceOf,
    Purchase,
    PurchaseState,
    RefundRule,
    Role,
    Subscription,
    SubscriptionState,
    TaxOn,
)
from commissions.refusals_plans import AnotherVersion, BadOffering, NotSold, TooLate
from kernel.dates import months_later
from kernel.ids import new_id
from kernel.principals import Actor, PrincipalKind

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
DAY = timedelta(days=1)

prices = st.integers(1, 10**15)
anchors = st.datetimes(datetime(2020, 1, 1), datetime(2040, 12, 31)).map(  # noqa: DTZ001
    lambda at: at.replace(tzinfo=UTC)
)
every = st.sampled_from([Every.MONTH, Every.YEAR])


def subscription(
    *,
    at: datetime = START,
    price_minor: int = 1_499,
    every: Every = Every.MONTH,
    refund: RefundRule = RefundRule.PRO_RATA,
) -> Subscription:
    first = rules.period(at, every, 1)
    return Subscription(
        id=new_id(),
        party_id=new_id(),
        offering_id=new_id(),
        plan="pro",
        side=Side.PAYEE,
        refund=refund,
        currency="EUR",
        every=every,
        price_minor=price_minor,
        anchor_at=at,
        period_no=1,
        period_from=first.from_at,
        period_to=first.to_at,
    )


def paid(old: Subscription, *, rate_bps: int = 2_000) -> Purchase:
    found = rules.paid_for(old, new_id(), tax=TaxOn(rate_bps, "FR"), at=old.period_from)
    assert found is not None
    return found


def offering(**fields: object) -> Offering:
    given = {
        "id": new_id(),
        "kind": OfferingKind.PLAN,
        "name": "pro",
        "version": 1,
        "side": Side.PAYEE,
        "refund": RefundRule.KEEPS,
        "prices": (PriceOf("EUR", Every.MONTH, 1_499),),
        "days": None,
        "reason": "why not",
        "wanted_from": None,
        "prepared_by": new_id(),
        "prepared_at": START,
        **fields,
    }
    return Offering(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("anchor", "months", "day"),
    [
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2026, 1, 31), 2, date(2026, 3, 31)),
        (date(2026, 1, 31), 3, date(2026, 4, 30)),
        (date(2028, 2, 29), 12, date(2029, 2, 28)),
        (date(2028, 2, 29), 48, date(2032, 2, 29)),
        (date(2026, 12, 31), 2, date(2027, 2, 28)),
    ],
)
def test_31_periods_are_counted_from_the_anchor(anchor: date, months: int, day: date) -> None:
    """Edge case 31: clamped from the original anchor, never from the month before."""
    assert months_later(anchor, months) == day


@given(anchors, every, st.integers(1, 60))
def test_periods_join_and_never_overlap(anchor: datetime, every: Every, count: int) -> None:
    """Each period ends where the next begins, at the anchor's time of day, in whole days."""
    periods = [rules.period(anchor, every, number) for number in range(1, count + 2)]

    for one, after in pairwise(periods):
        assert one.to_at == after.from_at
        assert one.from_at < one.to_at
        assert (one.to_at - one.from_at) % DAY == timedelta(0)
    assert periods[0].from_at == anchor


@given(anchors, every, prices)
def test_the_days_of_a_period_earn_its_price(anchor: datetime, every: Every, price: int) -> None:
    """Over any month or year, leap days too, the parts are never below zero and sum to the price.

    No day but the last earns more than its share.
    """
    charge = paid(subscription(at=anchor, price_minor=price, every=every))

    by_day = [
        rules.earned(charge, charge.from_at + DAY * day).earned_minor
        for day in range(charge.days + 1)
    ]

    parts = [after - before for before, after in pairwise(by_day)]
    assert len(parts) in {28, 29, 30, 31, 365, 366}
    assert sum(parts) == price
    assert set(parts[:-1]) <= {price // charge.days}
    assert parts[-1] >= price // charge.days


@given(prices, st.integers(0, 3_000), st.integers(0, 40 * 24))
def test_what_goes_back_and_what_stays_is_the_whole(price: int, rate: int, hours: int) -> None:
    """Ended at any hour, kept and returned sum to price and tax, and no begun day goes back."""
    old = subscription(price_minor=price)
    charge = paid(old, rate_bps=rate)
    at = charge.from_at + timedelta(hours=min(hours, charge.days * 24))

    back = rules.back_of(charge, at)

    assert back.kept_minor + back.net_minor == price
    assert 0 <= back.tax_minor <= charge.tax_minor
    assert back.kept_minor >= rules.earned(charge, at).earned_minor
    if at == charge.from_at:
        assert (back.net_minor, back.tax_minor) == (price, charge.tax_minor)
    if at > charge.to_at - DAY:
        assert (back.net_minor, back.tax_minor) == (0, 0)


def test_p44_tax_in_three_kinds_of_currency() -> None:
    """20 % of 14.99 EUR is 3.00; of 1,499 JPY 300; of 1.499 KWD 0.300."""
    for currency in ("EUR", "JPY", "KWD"):
        charge = paid(replace(subscription(), currency=currency))
        assert (charge.net_minor, charge.tax_minor, charge.total_minor) == (1_499, 300, 1_799)


def test_a_charge_is_tried_again_after_1_3_and_5_days() -> None:
    """Four failures in all; the fourth ends it."""
    held = subscription()
    at = held.period_to
    seen = []
    while True:
        held, retry_at = rules.failed(held, at)
        if retry_at is None:
            break
        seen.append((retry_at - held.period_to).days)
        at = retry_at

    assert seen == [1, 3, 5]
    assert (held.state, held.failures, held.ended_at) == (SubscriptionState.LAPSED, 4, at)


def test_a_late_failure_is_not_tried_in_the_past() -> None:
    """After an outage the next try is a day ahead."""
    held = subscription()
    at = held.period_to + 9 * DAY

    assert rules.failed(held, at)[1] == at + DAY


def test_what_was_not_paid_in_time_is_not_charged_later() -> None:
    """Periods that went by under a hold are left out, after an outage not; the anchor stays."""
    held = subscription(at=datetime(2026, 1, 31, tzinfo=UTC))

    at = datetime(2026, 5, 4, tzinfo=UTC)
    late = rules.renewed(held, at, has_waited=True)

    assert rules.renewed(held, at).period_to == datetime(2026, 3, 31, tzinfo=UTC)
    assert late.period_from == datetime(2026, 4, 30, tzinfo=UTC)
    assert late.period_to == datetime(2026, 5, 31, tzinfo=UTC)


def test_a_small_price_is_earned_at_the_end() -> None:
    """Less than a minor unit a day: the next part is the last day's."""
    charge = paid(subscription(price_minor=5))

    assert rules.next_earning_at(charge, charge.from_at) == charge.to_at
    whole = rules.earned(charge, charge.to_at)
    assert (whole.state, whole.earned_minor) == (PurchaseState.EARNED, 5)


def test_the_newest_version_that_has_begun_is_sold() -> None:
    """One is sold until the next one begins; one without prices ends the sale."""
    first = offering(state=OfferingState.APPROVED, valid_from=START)
    dearer = offering(
        version=2,
        state=OfferingState.APPROVED,
        valid_from=START + DAY,
        prices=(PriceOf("EUR", Every.MONTH, 1_999),),
    )
    none = offering(version=3, state=OfferingState.APPROVED, valid_from=START + 2 * DAY, prices=())
    all_three = [dearer, none, first]
    kind = OfferingKind.PLAN

    with pytest.raises(NotSold):
        rules.on_sale(all_three, kind, "pro", START - DAY)
    assert rules.on_sale(all_three, kind, "pro", START) is first
    assert rules.on_sale(all_three, kind, "pro", START + DAY) is dearer
    with pytest.raises(NotSold):
        rules.price_of(
            rules.on_sale(all_three, kind, "pro", START + 3 * DAY), "EUR", Every.MONTH, version=None
        )
    with pytest.raises(AnotherVersion):
        rules.price_of(dearer, "EUR", Every.MONTH, version=1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "Pro"},
        {"name": ""},
        {"days": 7},
        {"kind": OfferingKind.PRODUCT},
        {"kind": OfferingKind.PRODUCT, "days": 0},
        {"prices": (PriceOf("EUR", Every.ONCE, 1),)},
        {"prices": (PriceOf("XXQ", Every.MONTH, 1),)},
        {"prices": (PriceOf("EUR", Every.MONTH, -1),)},
        {"prices": (PriceOf("EUR", Every.MONTH, 10**15 + 1),)},
        {"prices": (PriceOf("EUR", Every.MONTH, 1), PriceOf("EUR", Every.MONTH, 2))},
    ],
)
def test_what_could_not_be_sold_is_refused(wrong: dict[str, object]) -> None:
    """A name, a length or a price outside its range."""
    with pytest.raises(BadOffering):
        rules.check_offering(offering(**wrong), START)


def test_nothing_is_sold_in_the_past() -> None:
    """A version begins at its approval or later, and after those that are approved."""
    late = offering(wanted_from=START - DAY)
    with pytest.raises(TooLate):
        rules.check_offering(late, START)
    actor = Actor(new_id(), PrincipalKind.PERSON, is_operator=True)
    with pytest.raises(TooLate):
        rules.approve(late, actor, newest_from=None, at=START)
    with pytest.raises(TooLate):
        rules.approve(offering(), actor, newest_from=START, at=START)
    sold = rules.approve(offering(), actor, newest_from=START - DAY, at=START)
    assert (sold.valid_from, sold.state) == (START, OfferingState.APPROVED)


def test_ending_keeps_or_gives_back_as_the_version_says() -> None:
    """Keeps: it runs out. Pro rata: now, with what is left, but on its last day it runs out too."""
    keeps = subscription(refund=RefundRule.KEEPS)
    gives = subscription()
    at = START + 10 * DAY

    kept, nothing = rules.cancelled(keeps, paid(keeps), Role.PARTY, at)
    given_up, back = rules.cancelled(gives, paid(gives), Role.PARTY, at)
    last, none = rules.cancelled(gives, paid(gives), Role.PARTY, gives.period_to - DAY / 2)

    assert (kept.state, nothing) == (SubscriptionState.ENDING, None)
    assert given_up.state is SubscriptionState.CANCELLED
    assert back is not None
    assert (back.kept_minor, back.net_minor) == (480, 1_019)
    assert (last.state, none) == (SubscriptionState.ENDING, None)
