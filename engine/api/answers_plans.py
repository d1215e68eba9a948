"""The shapes of what is answered about plans, products, subscriptions and purchases."""

from typing import Literal

from engine.api.answers import Answer, IdText, Money, OpenAnswer, TimeText


class PriceAnswer(Answer):
    """What a month, a year, or a product costs, without tax."""

    every: Literal["month", "year", "once"]
    price: Money


class OfferingAnswer(Answer):
    """One version of a plan or a product; it is sold from `valid_from` until the next one."""

    offering_id: IdText
    kind: Literal["plan", "product"]
    name: str
    version: int
    side: Literal["payee", "client"]
    refund: Literal["keeps", "pro_rata"]
    prices: list[PriceAnswer]
    days: int | None
    reason: str
    state: Literal["prepared", "approved", "rejected"]
    prepared_at: TimeText
    wanted_from: TimeText | None
    decided_at: TimeText | None
    valid_from: TimeText | None


class SubscriptionAnswer(Answer):
    """A party's plan; the period is what is paid."""

    subscription_id: IdText
    party_id: IdText
    offering_id: IdText
    plan: str
    every: Literal["month", "year"]
    price: Money
    state: Literal["active", "past_due", "ending", "lapsed", "cancelled"]
    version: int
    period_from: TimeText
    period_to: TimeText
    failures: int
    ended_at: TimeText | None


class SubscriptionActed(OpenAnswer):
    """What became of a subscription, and of the money of its period."""

    subscription_id: IdText
    plan: str
    state: str
    version: int


class PurchaseAnswer(Answer):
    """What was paid for a time, how much of it is earned, and what went back."""

    purchase_id: IdText
    kind: Literal["plan", "product"]
    name: str
    party_id: IdText
    subscription_id: IdText | None
    about: str
    net: Money
    tax: Money
    tax_rate_bps: int
    tax_country: str | None
    total: Money
    earned: Money
    refunded: Money
    from_at: TimeText
    to_at: TimeText
    state: Literal["earning", "earned", "refunded"]
    version: int
