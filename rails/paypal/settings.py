"""What a tenant's account at PayPal needs to be known, read from the environment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from kernel.database import Tenant
from kernel.settings import CannotStart
from rails.http import check_base

LIVE: Final = "https://api-m.paypal.com"
SANDBOX: Final = "https://api-m.sandbox.paypal.com"

_NAMES: Final = ("PAYPAL_CLIENT_ID", "PAYPAL_CLIENT_SECRET")


@dataclass(frozen=True, slots=True, kw_only=True)
class PaypalSettings:
    """One account at PayPal.

    Args:
        client_id: of the app in PayPal's developer portal.
        client_secret: its secret; never shown.
        api_base: where the API answers, without a slash at the end.
        webhook_id: PayPal's name of our webhook, part of what it signs; empty: none is believed.
        return_url: where a payer is sent once he approved; empty: PayPal's own page.
        cancel_url: where he is sent if he did not.
        certificate_bases: addresses besides PayPal's own that a certificate may come from.
        connect_s: seconds until a connection must stand.
        read_s: seconds until an answer must come.
    """

    client_id: str = field(repr=False)
    client_secret: str = field(repr=False)
    api_base: str = SANDBOX
    webhook_id: str = ""
    return_url: str = ""
    cancel_url: str = ""
    certificate_bases: tuple[str, ...] = ()
    connect_s: float = 3.0
    read_s: float = 20.0

    @property
    def is_live(self) -> bool:
        """Whether money is real there."""
        return urlsplit(self.api_base).hostname == urlsplit(LIVE).hostname

    @classmethod
    def from_environment(cls, env: Mapping[str, str], tenant: Tenant) -> "PaypalSettings | None":
        """The settings of a tenant, or None where nothing is set.

        A name with `__<TENANT>` behind it goes before the name alone. CannotStart if only one of
        the id and its secret is there, or if the base is neither https nor on this machine.
        """

        def read(name: str) -> str:
            return env.get(f"{name}__{tenant.name.upper()}") or env.get(name) or ""

        given = [name for name in _NAMES if read(name)]
        if not given:
            return None
        if len(given) < len(_NAMES):
            raise CannotStart(f"{_NAMES[0]} and {_NAMES[1]} go together; only {given[0]} is set.")
        base = (read("PAYPAL_API_BASE") or SANDBOX).rstrip("/")
        check_base(base, variable="PAYPAL_API_BASE")
        return cls(
            client_id=read("PAYPAL_CLIENT_ID"),
            client_secret=read("PAYPAL_CLIENT_SECRET"),
            api_base=base,
            webhook_id=read("PAYPAL_WEBHOOK_ID"),
            return_url=read("PAYPAL_RETURN_URL"),
            cancel_url=read("PAYPAL_CANCEL_URL"),
        )
