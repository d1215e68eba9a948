"""Stripe's events as hints: verified, told apart, and named; never believed for what they say.

Snapshot events carry their object, thin ones only its name. Both come here, each with the secret
of the endpoint that it came to (domain/rails.md 1.3).
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import stripe

from rails.model_events import Authentic, RailEvent
from rails.refusals import BadEvent, BadSignature
from rails.stripe.model import NAME, Fields, StripeSettings, time_of

TOLERANCE: Final = timedelta(seconds=300)
"""How far a signature's time may be from ours, both ways: the SDK lets the future pass."""

PLATFORM: Final = "platform"

CONNECT: Final = "connect"

_SIGNATURE: Final = "stripe-signature"


def open_event(
    client: stripe.StripeClient,
    settings: StripeSettings,
    body: bytes,
    headers: Mapping[str, str],
    *,
    endpoint: str,
    at: datetime,
) -> RailEvent:
    """Verify a webhook and say what it is about; refuses BadSignature, BadEvent.

    The time is held against `at`, not against the machine's clock.
    """
    secrets = {
        PLATFORM: settings.webhook_secret,
        CONNECT: settings.connect_webhook_secret,
    }
    secret, header = secrets.get(endpoint, ""), headers.get(_SIGNATURE, "")
    try:
        stripe.WebhookSignature.verify_header(body, header, secret)
    except stripe.SignatureVerificationError:
        raise BadSignature(rail=NAME) from None
    except UnicodeDecodeError:
        raise BadEvent(rail=NAME) from None
    if abs(at - _signed_at(header)) > TOLERANCE:
        raise BadSignature(rail=NAME)
    try:
        if json.loads(body)["object"] == "v2.core.event":
            return _thin(client.parse_event_notification(body, header, secret, 0), body)
        return snapshot(
            client.construct_event(body, header, secret, 0).to_dict(), Authentic.SIGNATURE
        )
    except (ValueError, LookupError, TypeError, AttributeError):
        raise BadEvent(rail=NAME) from None


def snapshot(event: Fields, authentic: Authentic) -> RailEvent:
    """A snapshot event, from a webhook or from the list of events; kept without its object."""
    found = event["data"]["object"]
    return RailEvent(
        rail=NAME,
        account=str(event.get("account") or ""),
        event_id=str(event["id"]),
        kind=str(event["type"]),
        object_ref=str(found.get("id") or ""),
        authentic=authentic,
        is_live=bool(event["livemode"]),
        body=kept(event),
        occurred_at=time_of(int(event["created"])),
    )


def listed_thin(event: Fields) -> RailEvent:
    """A thin event from the list of events; its object's name stands in it, as in a webhook."""
    return RailEvent(
        rail=NAME,
        account=str(event.get("context") or ""),
        event_id=str(event["id"]),
        kind=str(event["type"]),
        object_ref=str((event.get("related_object") or {}).get("id") or ""),
        authentic=Authentic.API,
        is_live=bool(event["livemode"]),
        body=kept(event),
        occurred_at=time_of(str(event["created"])),
    )


def kept(event: Fields) -> bytes:
    """What of an event is kept: all but its object, which may hold the secret of a payment page.

    It may also hold a payer's name and address; the object is read from Stripe where it counts.
    """
    about = event.get("data") or {}
    found = about.get("object") or {}
    shown = {name: value for name, value in event.items() if name not in {"data", "changes"}}
    if about:
        shown["data"] = {"object": {name: found.get(name) for name in ("id", "object")}}
    return json.dumps(shown, separators=(",", ":"), sort_keys=True).encode()


def _thin(notification: Any, body: bytes) -> RailEvent:  # noqa: ANN401  one of 269 classes
    """A thin event; those of a type that the SDK does not know have an object, too."""
    related = getattr(notification, "related_object", None)
    said: Fields = json.loads(body)
    return RailEvent(
        rail=NAME,
        account=str(notification.context or ""),
        event_id=str(notification.id),
        kind=str(notification.type),
        object_ref=str(getattr(related, "id", "")),
        authentic=Authentic.SIGNATURE,
        is_live=bool(notification.livemode),
        body=kept(said),
        occurred_at=time_of(str(notification.created)),
    )


def _signed_at(header: str) -> datetime:
    """The time in a header that was verified."""
    stamps = [part.partition("=")[2] for part in header.split(",") if part.startswith("t=")]
    return datetime.fromtimestamp(int(stamps[0]), UTC)
