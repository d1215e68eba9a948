"""What the Stripe rail is set up with, and what its objects come to before they are ours.

Pure. Amounts are in our own minor units here; only `amounts` knows Stripe's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from rails.model import RailOutcome

NAME: Final = "stripe"
"""The rail's name, and the rail account of the platform itself."""

API_BASE: Final = "https://api.stripe.com"

Fields = Mapping[str, Any]
"""A Stripe object as plain data: what its `to_dict()` gives, or what stands in an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StripeSettings:
    """One platform's account at Stripe.

    Args:
        api_key: the secret key; its kind (`sk_live_`, `sk_test_`) says whether money is real.
        api_base: where the API is; another address only to talk to a double.
        webhook_secret: of the endpoint for events of the platform's own account.
        connect_webhook_secret: of the endpoint for events of payees' accounts.
        country: of the platform's account; ISO 3166, two letters.
        tenant: who we are; objects that carry another tenant's name are left alone.
        timeout_s: seconds to connect, and to wait for an answer.
        calls_per_s: the most calls in a second; 0: what Stripe grants the kind of key.
    """

    api_key: str = field(repr=False)
    api_base: str = API_BASE
    webhook_secret: str = field(default="", repr=False)
    connect_webhook_secret: str = field(default="", repr=False)
    country: str = ""
    tenant: str = ""
    timeout_s: tuple[int, int] = (3, 20)
    calls_per_s: int = 0

    @property
    def is_live(self) -> bool:
        """Whether the key moves real money; restricted keys say so in the same place."""
        return self.api_key.startswith(("sk_live_", "rk_live_"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one object of Stripe says of the operation that made it.

    `state` is Stripe's own word for it, part of a notice's id. `facts` are for people.
    """

    outcome: RailOutcome
    rail_ref: str
    state: str
    amount_minor: int
    currency: str
    occurred_at: datetime
    fee_minor: int = 0
    code: str = ""
    cleared: bool = True
    has_left: bool = False
    transaction_ref: str = ""
    retry_at: datetime | None = None

    @property
    def notice_id(self) -> str:
        """Named by what it says, so that the same truth heard twice is one notice."""
        return f"{self.rail_ref}:{self.state}:{self.transaction_ref}"


def settings_of(environment: Mapping[str, str], tenant: str) -> StripeSettings | None:
    """The settings in the environment, or None where it has no key of Stripe's."""
    api_key = environment.get("STRIPE_API_KEY", "")
    if not api_key:
        return None
    return StripeSettings(
        api_key=api_key,
        api_base=environment.get("STRIPE_API_BASE", API_BASE),
        webhook_secret=environment.get("STRIPE_WEBHOOK_SECRET", ""),
        connect_webhook_secret=environment.get("STRIPE_CONNECT_WEBHOOK_SECRET", ""),
        country=environment.get("STRIPE_COUNTRY", ""),
        tenant=tenant,
    )


def time_of(moment: int | str) -> datetime:
    """Stripe's time, aware: Unix seconds in v1, RFC 3339 in v2."""
    if isinstance(moment, int):
        return datetime.fromtimestamp(moment, UTC)
    return datetime.fromisoformat(moment)


def id_of(reference: object) -> str:
    """The id of an object that may stand there itself, as its id, or not at all."""
    if isinstance(reference, Mapping):
        return str(reference["id"])
    return str(reference or "")


def said_by(found: Fields) -> Mapping[str, str]:
    """The metadata of an object; some have none."""
    metadata: Mapping[str, str] | None = found.get("metadata")
    return metadata or {}


def operation_of(found: Fields, tenant: str) -> UUID | None:
    """The operation of ours that made an object; None if it is another's, or nobody's."""
    metadata = said_by(found)
    if metadata.get("tenant") != tenant:
        return None
    try:
        return UUID(metadata.get("op_id", ""))
    except ValueError:
        return None


def account_of(rail_account: str) -> str:
    """Stripe's name of a rail account: `acct_x` of `stripe:acct_x`, empty for the platform's."""
    return rail_account.partition(":")[2]
