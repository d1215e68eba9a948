"""What each rail can do, in one table: the flags that services ask and the API shows.

Source: domain/rails.md sections 1 and 3.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from rails.model import Capabilities, ResolveBy, WebhookAuth
from rails.refusals import AmountNotPossible, CurrencyNotTaken, UnknownRail

SIMULATED: Final = Capabilities(
    rail_account="simulated",
    idempotency_ttl_hours=24 * 365 * 100,
    partial_refund=True,
    refund_window_days=180,
    separate_payout=True,
    late_return=True,
    clears_late=True,
    event_replay=True,
    statement=True,
    instant_payouts=True,
)

STRIPE: Final = Capabilities(
    rail_account="stripe",
    idempotency_ttl_hours=20,
    partial_refund=True,
    refund_window_days=180,
    separate_payout=False,
    late_return=True,
    clears_late=True,
    event_replay=True,
    statement=True,
    auth_hold_days=7,
    partial_capture=True,
    hold_deadline_days=MappingProxyType({"": 90, "US": 730, "TH": 10}),
    reversal=True,
    payee_accounts=True,
    instant_payouts=True,
    payee_onboarding=True,
    cancels=True,
    resolve_by=ResolveBy.LISTING,
    webhook_auth=WebhookAuth.HMAC,
    amount_steps=MappingProxyType(
        {"BHD": 10, "IQD": 10, "ISK": 1, "JOD": 10, "KWD": 10, "LYD": 10, "OMR": 10, "TND": 10}
    ),
    poll_every_s=60,
)

PAYPAL: Final = Capabilities(
    rail_account="paypal",
    idempotency_ttl_hours=5,
    partial_refund=True,
    refund_window_days=180,
    separate_payout=False,
    late_return=True,
    clears_late=False,
    event_replay=False,
    statement=True,
    currencies=frozenset(
        "AUD BRL CAD CHF CZK DKK EUR GBP HKD HUF ILS JPY MXN MYR NOK NZD PHP PLN SEK SGD THB TWD "
        "USD".split()
    ),
    split_release=False,
    resolve_by=ResolveBy.QUERY,
    webhook_auth=WebhookAuth.CERTIFICATE,
    disputes=False,
    amount_steps=MappingProxyType({"HUF": 100, "TWD": 100}),
    poll_every_s=60,
)

MPESA: Final = Capabilities(
    rail_account="mpesa",
    idempotency_ttl_hours=0,
    partial_refund=False,
    refund_window_days=0,
    separate_payout=False,
    late_return=False,
    clears_late=False,
    event_replay=False,
    statement=False,
    currencies=frozenset({"KES"}),
    split_release=False,
    resolve_by=ResolveBy.QUERY,
    webhook_auth=WebhookAuth.NONE,
    disputes=False,
    amount_steps=MappingProxyType({"KES": 100}),
    smallest_minor=MappingProxyType({"KES": 100}),
    largest_minor=MappingProxyType({"KES": 25_000_000}),
    available_at_once=True,
    poll_every_s=60,
)

BANK: Final = Capabilities(
    rail_account="bank",
    idempotency_ttl_hours=24 * 365 * 100,
    partial_refund=True,
    refund_window_days=0,
    separate_payout=True,
    late_return=True,
    clears_late=False,
    event_replay=False,
    statement=True,
    resolve_by=ResolveBy.STATEMENT,
    disputes=False,
)

CAPABILITIES: Final[Mapping[str, Capabilities]] = MappingProxyType(
    {each.rail_account: each for each in (SIMULATED, STRIPE, PAYPAL, MPESA, BANK)}
)
"""By the name of the rail, which is the rail account of the platform itself."""


def rail_of(rail_account: str) -> str:
    """The rail of an account: `stripe` for `stripe:acct_1`, and for the platform's own."""
    return rail_account.partition(":")[0]


def capabilities_of(rail_account: str) -> Capabilities:
    """What the rail of an account can do; refuses `rail.unknown`."""
    found = CAPABILITIES.get(rail_of(rail_account))
    if found is None:
        raise UnknownRail(rail=rail_of(rail_account)[:64])
    return found


def possible_minor(rail_account: str, most_minor: int, *, currency: str) -> int:
    """The most that the rail can move in one go, up to `most_minor`; 0: nothing of it.

    What is left over is smaller than a step, or more than the rail's largest amount, and goes with
    a later payout. Refuses `rail.unknown`, `rail.currency_not_taken`.
    """
    able = capabilities_of(rail_account)
    if able.currencies and currency not in able.currencies:
        raise CurrencyNotTaken(rail=able.rail_account, currency=currency)
    minor = min(most_minor, able.largest_minor.get(currency, most_minor))
    minor -= minor % able.amount_steps.get(currency, 1)
    return minor if minor >= able.smallest_minor.get(currency, 1) else 0


def check_amount(rail_account: str, amount_minor: int, *, currency: str) -> None:
    """Refuse what the rail cannot move, before anything is written.

    Refuses `rail.unknown`, `rail.currency_not_taken`, `rail.amount_not_possible`.

    Source: domain/escrow.md 2.11, edge cases 20 and 21.
    """
    able = capabilities_of(rail_account)
    facts = {"rail": able.rail_account, "currency": currency}
    if able.currencies and currency not in able.currencies:
        raise CurrencyNotTaken(**facts)
    step_minor = able.amount_steps.get(currency, 1)
    least_minor = able.smallest_minor.get(currency, 1)
    most_minor = able.largest_minor.get(currency, amount_minor)
    if amount_minor % step_minor or not least_minor <= amount_minor <= most_minor:
        raise AmountNotPossible(
            **facts,
            amount_minor=amount_minor,
            step_minor=step_minor,
            smallest_minor=least_minor,
        )
