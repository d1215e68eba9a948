"""What a step of a plan or a purchase writes: its rows, its event with the postings, its clocks."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from commissions import rules_plans as rules
from commissions.model_plans import (
    Purchase,
    PurchaseState,
    Subscription,
    SubscriptionState,
    purchase_json,
    subscription_json,
)
from escrow import movements_plans as movements
from escrow.model import Alarm
from kernel.principals import Actor
from ledger.entries import Entries
from ledger.model import Draft

RENEW: Final = "plans.renew"
"""The clock of a subscription: its next charge, or its end."""

EARN: Final = "plans.earn"
"""The clock of a purchase: the end of its next day."""

FEE_KINDS: Final = {"plan": "subscription", "product": "product"}
"""How a purchase of each kind is called among the fees."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fee:
    """A fee line of something sold: what was charged, or (below zero) went back."""

    purchase: Purchase
    fee_minor: int
    tax_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one step writes, all of it or nothing; pairs are (before, after), None: it is new."""

    draft: Draft
    subscription: tuple[Subscription | None, Subscription] | None = None
    purchase: tuple[Purchase | None, Purchase] | None = None
    fee: Fee | None = None
    alarms: tuple[Alarm, ...] = ()
    cancels: tuple[tuple[str, str], ...] = ()

    @property
    def facts(self) -> dict[str, Any]:
        """What the caller is told."""
        told: dict[str, Any] = {}
        if self.purchase is not None:
            told |= purchase_json(self.purchase[1])
        if self.subscription is not None:
            told |= subscription_json(self.subscription[1])
        return told


def charged(
    before: Subscription | None,
    subscription: Subscription,
    paid: Purchase | None,
    actor: Actor,
    at: datetime,
) -> Step:
    """A subscription begins, or goes on: its period is paid (P44), and the next one has a clock."""
    kind = "subscription.begun" if before is None else "subscription.renewed"
    return Step(
        draft=_draft(kind, subscription.subject, actor, at, _charge(paid), subscription, paid),
        subscription=(before, subscription),
        purchase=(None, paid) if paid else None,
        fee=_fee(paid) if paid else None,
        alarms=(
            *_renewal(subscription, subscription.period_to),
            *(_earning(paid, paid.from_at) if paid else ()),
        ),
    )


def failed(
    retry_at: datetime | None,
    actor: Actor,
    at: datetime,
    *,
    before: Subscription,
    after: Subscription,
) -> Step:
    """A charge failed for want of money: it is tried again, or the plan has lapsed."""
    is_over = after.state is SubscriptionState.LAPSED
    kind = "subscription.lapsed" if is_over else "subscription.past_due"
    return Step(
        draft=_draft(kind, after.subject, actor, at, (), after, None),
        subscription=(before, after),
        alarms=_renewal(after, retry_at) if retry_at else (),
    )


def cancelled(
    paid: tuple[Purchase, Purchase] | None,
    actor: Actor,
    at: datetime,
    *,
    before: Subscription,
    after: Subscription,
) -> Step:
    """A subscription was ended. What it gives back goes where it came from; if it runs out, later.

    `paid` is the period of which a part goes back, before and after.
    """
    is_now = after.state is SubscriptionState.CANCELLED
    kind = "subscription.cancelled" if is_now else "subscription.ending"
    old, new = paid or (None, None)
    cancels = [(after.subject, RENEW)] if is_now else []
    if new is not None:
        cancels.append((new.subject, EARN))
    return Step(
        draft=_draft(kind, after.subject, actor, at, _back(old, new), after, new),
        subscription=(before, after),
        purchase=(old, new) if new else None,
        fee=_fee_back(new) if new else None,
        alarms=() if is_now else _renewal(after, after.period_to),
        cancels=tuple(cancels),
    )


def bought(paid: Purchase, actor: Actor, at: datetime) -> Step:
    """A product was bought (P44)."""
    return Step(
        draft=_draft("product.bought", paid.subject, actor, at, _charge(paid), None, paid),
        purchase=(None, paid),
        fee=_fee(paid),
        alarms=_earning(paid, paid.from_at),
    )


def returned(actor: Actor, at: datetime, *, before: Purchase, after: Purchase) -> Step:
    """A product was given back: what is left of its price, with the tax on it."""
    return Step(
        draft=_draft(
            "product.returned", after.subject, actor, at, _back(before, after), None, after
        ),
        purchase=(before, after),
        fee=_fee_back(after),
        cancels=((after.subject, EARN),),
    )


def earned(actor: Actor, at: datetime, *, before: Purchase, after: Purchase) -> Step:
    """Days of a purchase are over (P44, earned)."""
    entries = movements.p44_earn(
        kind=after.kind,
        currency=after.currency,
        amount_minor=after.earned_minor - before.earned_minor,
    )
    goes_on = after.state is PurchaseState.EARNING
    return Step(
        draft=_draft("purchase.earned", after.subject, actor, at, entries, None, after),
        purchase=(before, after),
        alarms=_earning(after, at) if goes_on else (),
    )


def _charge(paid: Purchase | None) -> Entries:
    if paid is None:
        return ()
    return movements.p44_charge(
        paid_from=movements.purse(paid.side, paid.party_id, paid.currency),
        net_minor=paid.net_minor,
        tax_minor=paid.tax_minor,
        country=paid.tax_country,
    )


def _back(old: Purchase | None, new: Purchase | None) -> Entries:
    """What is kept of the price is earned, and the rest goes back."""
    if old is None or new is None:
        return ()
    kept = movements.p44_earn(
        kind=new.kind, currency=new.currency, amount_minor=new.earned_minor - old.earned_minor
    )
    return (
        *kept,
        *movements.p44_back(
            paid_to=movements.purse(new.side, new.party_id, new.currency),
            net_minor=new.refunded_minor,
            tax_minor=new.refunded_tax_minor,
            country=new.tax_country,
        ),
    )


def _fee(paid: Purchase) -> Fee:
    return Fee(purchase=paid, fee_minor=paid.net_minor, tax_minor=paid.tax_minor)


def _fee_back(new: Purchase) -> Fee:
    return Fee(purchase=new, fee_minor=-new.refunded_minor, tax_minor=-new.refunded_tax_minor)


def _renewal(subscription: Subscription, due_at: datetime) -> tuple[Alarm, ...]:
    return (Alarm(subscription.subject, RENEW, due_at, subscription.version),)


def _earning(paid: Purchase, at: datetime) -> tuple[Alarm, ...]:
    return (Alarm(paid.subject, EARN, rules.next_earning_at(paid, at), 0),)


def _draft(
    kind: str,
    subject: str,
    actor: Actor,
    at: datetime,
    entries: Entries,
    subscription: Subscription | None,
    paid: Purchase | None,
) -> Draft:
    detail: dict[str, Any] = {}
    if paid is not None:
        detail |= purchase_json(paid)
    if subscription is not None:
        detail |= subscription_json(subscription)
    return Draft(kind, subject, actor, at, entries, detail=detail)
