"""A real sandbox of Stripe's as the backend of a story: time passes by itself, gaps are listed.

No webhook reaches this machine, so everything is heard by listing, as after an outage.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from threading import Event
from typing import Final

from kernel.errors import RailTrouble
from rails.model import RailAccount
from rails.stripe.model import StripeSettings
from rails.stripe.service import StripeRail

_LOOK_S: Final = 15.0
_KNOWN_WITHIN: Final = 40


class Sandbox:
    """Stripe itself, with a key of a sandbox."""

    def __init__(self, settings: StripeSettings, tell: Callable[[str], None]) -> None:
        """ValueError for a live key: a story moves money."""
        if settings.is_live:
            raise ValueError("this is a live key: a story is played in a sandbox only")
        self.rail = StripeRail(settings)
        self.tell = tell
        self.rail.prepare()

    def pass_time(self, **_by: float) -> None:
        """Wait a little: only the tenant's own clock jumps."""
        Event().wait(_LOOK_S)

    def deliver(self, take: Callable[[str, bytes, Mapping[str, str]], int]) -> None:
        """Nothing is sent here; the worker lists what there is."""

    def make_known(self, account: str) -> None:
        """Show the page where somebody enters Stripe's test data, and wait until it is done."""
        link = self.rail.payee_link(
            account,
            return_url="https://example.com/done",
            refresh_url="https://example.com/again",
        )
        self.tell(f"     enter Stripe's test data for {account} at {link}")
        for _ in range(_KNOWN_WITHIN):
            try:
                if self.rail.payee(account, at=datetime.now(UTC)).facts["may_be_paid_out"]:
                    return
            except RailTrouble as trouble:
                self.tell(f"     {trouble}")
            Event().wait(_LOOK_S)
        raise AssertionError(f"{account} may not be paid out yet")

    def told(self) -> dict[tuple[str, RailAccount, str], int]:
        """What Stripe says that each account holds; a sandbox may hold what others put there."""
        return {
            (each.rail_account, each.account, each.currency): each.amount_minor
            for each in self.rail.balances(at=datetime.now(UTC))
            if each.amount_minor
        }
