"""Stripe as the double on loopback: its clock goes with the tenant's."""

from collections.abc import Callable, Mapping

from rails.model import RailAccount
from rails.stripe.model import StripeSettings
from rails.stripe.service import StripeRail
from tests.doubles.frame import Delivery
from tests.doubles.stripe_double.double import (
    API_KEY,
    CONNECT_SECRET,
    PLATFORM_SECRET,
    StripeDouble,
)
from tests.doubles.stripe_double.world import PLATFORM


class Doubled:
    """The double as the backend of a scenario."""

    def __init__(self, double: StripeDouble, *, tenant: str) -> None:
        """The adapter talks to it as to any Stripe."""
        self.double = double
        self.rail = StripeRail(settings_for(double, tenant=tenant))

    def pass_time(self, **by: float) -> None:
        """Move its clock on."""
        self.double.advance(**by)

    def deliver(self, take: Callable[[str, bytes, Mapping[str, str]], int]) -> None:
        """Hand over what waits, in the order that the double was told to keep."""

        def hand_over(sent: Delivery) -> int:
            return take(sent.endpoint, sent.body, sent.headers)

        for endpoint in ("platform", "connect"):
            self.double.deliveries.send_to(hand_over, endpoint=endpoint)
        self.double.deliver()

    def make_known(self, account: str) -> None:
        """He has told Stripe all it asked for."""
        self.double.verify(account)

    def told(self) -> dict[tuple[str, RailAccount, str], int]:
        """What Stripe itself says that each account holds, as the books name accounts."""
        places = {
            "pending": RailAccount.PROCESSOR_PENDING,
            "available": RailAccount.PROCESSOR_AVAILABLE,
            "reserved": RailAccount.PROCESSOR_RESERVED,
        }
        found = {}
        for account, currencies in self.double.balances().items():
            name = "stripe" if account == PLATFORM else f"stripe:{account}"
            for currency, held in currencies.items():
                for place, minor in held.items():
                    if place in places and minor:
                        found[name, places[place], currency.upper()] = minor
        return found


def settings_for(double: StripeDouble, *, tenant: str) -> StripeSettings:
    """What a platform that lives at the double is set up with."""
    return settings_at(double.url, tenant=tenant)


def settings_at(url: str, *, tenant: str) -> StripeSettings:
    """The same for a platform in another process."""
    return StripeSettings(
        api_key=API_KEY,
        api_base=url,
        webhook_secret=PLATFORM_SECRET,
        connect_webhook_secret=CONNECT_SECRET,
        country="DE",
        tenant=tenant,
        calls_per_s=10_000,
    )
