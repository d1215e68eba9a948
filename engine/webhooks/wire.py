"""One try to deliver: resolved once, connected to the address that was looked at, read a little.

No redirect is followed, no proxy of the environment is used, and what the receiver answers is
neither kept nor shown. Source: Standard Webhooks; domain/audit-and-reliability.md 4.1.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx
import orjson
from standardwebhooks.webhooks import Webhook

from engine.webhooks.addresses import BadUrl, Place, pick, read_url
from engine.webhooks.model import TEST_KIND, Answer, Delivery, Endpoint
from ledger.reads import EventView

MOST_READ: Final = 64 * 1024
"""Bytes of an answer's body; who sends more is not read on."""

CONNECT_S: Final = 5.0
WHOLE_S: Final = 20.0
"""From the look for the address to the end of the answer."""

_AGENT: Final = "Holdfast-Webhooks/1"

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""All addresses of a name; raises OSError."""

Show = Callable[[EventView], dict[str, Any]]
"""An event as the API shows it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """A delivery with all that is needed to send it; `secrets` are those that sign by now."""

    delivery: Delivery
    endpoint: Endpoint
    secrets: Sequence[str] = field(repr=False)
    event: EventView | None


async def resolve(host: str, port: int) -> Sequence[str]:
    """All addresses that this machine's resolver knows of a name, once each."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


@dataclass(frozen=True, slots=True)
class Wire:
    """How deliveries leave this machine. `trust` verifies receivers; the system's if None."""

    show: Show
    allows_loopback: bool = False
    resolve: Resolve = resolve
    trust: ssl.SSLContext | None = None
    whole_s: float = WHOLE_S
    most_read: int = MOST_READ
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))

    async def send(self, parcel: Parcel) -> Answer:
        """Try once; whatever goes wrong out there is an answer, too."""
        try:
            place = read_url(parcel.endpoint.url, allows_loopback=self.allows_loopback)
            async with asyncio.timeout(self.whole_s):
                found = (
                    [place.host]
                    if _is_literal(place.host)
                    else await self.resolve(place.host, place.port)
                )
                address = place.host if place.is_loopback else pick(found)
                return await self._post(parcel, place, address)
        except BadUrl as refusal:
            return Answer(None, f"not sent: {refusal.facts.get('why')}")
        except TimeoutError:
            return Answer(None, "too slow")
        except (OSError, ValueError, httpx.HTTPError, httpx.InvalidURL) as trouble:
            return Answer(None, type(trouble).__name__)

    async def _post(self, parcel: Parcel, place: Place, address: str) -> Answer:
        body = message_of(parcel, self.show, at=self.now())
        headers = signed(parcel, body, at=self.now()) | {"Host": _host_header(place)}
        client = httpx.AsyncClient(
            verify=self.trust or True,
            trust_env=False,
            follow_redirects=False,
            timeout=httpx.Timeout(self.whole_s, connect=CONNECT_S),
        )
        url = f"{place.scheme}://{_in_url(address)}:{place.port}{place.target}"
        pinned = {"sni_hostname": place.host} if place.scheme == "https" else {}
        async with (
            client,
            client.stream("POST", url, content=body, headers=headers, extensions=pinned) as answer,
        ):
            read = 0
            async for part in answer.aiter_raw():
                read += len(part)
                if read > self.most_read:
                    break
            trouble = "" if answer.is_success else f"status {answer.status_code}"
            return Answer(answer.status_code, trouble, _retry_after(answer.headers))


def message_of(parcel: Parcel, show: Show, *, at: datetime) -> bytes:
    """The body of a message: the event as the API has it, or that this is a test."""
    event = parcel.event
    if event is None:
        return orjson.dumps({"type": TEST_KIND, "timestamp": at.isoformat(), "data": {}})
    told = {"type": event.kind, "timestamp": event.recorded_at.isoformat(), "data": show(event)}
    return orjson.dumps(told)


def signed(parcel: Parcel, body: bytes, *, at: datetime) -> dict[str, str]:
    """The headers of Standard Webhooks, with a signature by each secret that is live."""
    message_id, text = parcel.delivery.message_id, body.decode()
    signatures = [
        Webhook(secret).sign(msg_id=message_id, timestamp=at, data=text)
        for secret in parcel.secrets
    ]
    return {
        "Content-Type": "application/json",
        "User-Agent": _AGENT,
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


def _retry_after(headers: Mapping[str, str]) -> timedelta | None:
    text = headers.get("retry-after", "")
    is_number = text.isascii() and text.isdigit() and len(text) < 7
    return timedelta(seconds=int(text)) if is_number else None


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _in_url(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _host_header(place: Place) -> str:
    usual = {"https": 443, "http": 80}[place.scheme]
    host = _in_url(place.host)
    return host if place.port == usual else f"{host}:{place.port}"
