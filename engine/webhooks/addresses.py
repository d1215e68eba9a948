"""Where a webhook may go: public addresses over TLS, and nothing that leads inside.

Pure. A name is resolved once; every address that it has must be public, and the connection is
made to the very address that was looked at. Source: domain/audit-and-reliability.md 4.1.
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from kernel.errors import Refusal

PORTS: Final = frozenset({443, 4443, 8443})
"""Ports of receivers; what else listens somewhere does not speak to us."""

LONGEST_URL: Final = 2_000

_NAME: Final = re.compile(
    r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]", re.ASCII
)
_VISIBLE: Final = re.compile(r"[!-~]+", re.ASCII)
_INSIDE: Final = (".localhost", ".local", ".internal", ".home.arpa", ".lan", ".intranet")
_NAT64: Final = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))
_NEVER: Final = tuple(
    ipaddress.ip_network(each)
    for each in (
        "192.88.99.0/24",  # relays to 6to4
        "2001::/23",  # protocols, Teredo among them
        "fec0::/10",  # sites of old
        "::/96",  # the oldest way to write IPv4
    )
)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class BadUrl(Refusal):
    """The address is none that we send to."""

    code = "webhook.bad_url"


@dataclass(frozen=True, slots=True)
class Place:
    """An address taken apart; `is_loopback` is a receiver on this machine, for a sandbox alone."""

    scheme: str
    host: str
    port: int
    target: str
    is_loopback: bool = False


def read_url(url: str, *, allows_loopback: bool = False) -> Place:
    """Take an address apart; refuses `webhook.bad_url` with `why`.

    Args:
        url: as it was given.
        allows_loopback: whether `http://127.0.0.1` may be sent to; only ever in a sandbox.
    """
    if len(url) > LONGEST_URL or _VISIBLE.fullmatch(url) is None or "\\" in url:
        raise BadUrl(why="spelling")
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        raise BadUrl(why="spelling") from None
    if parts.username is not None or parts.password is not None or "@" in parts.netloc:
        raise BadUrl(why="user")
    if parts.fragment or "#" in url:
        raise BadUrl(why="fragment")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if allows_loopback and parts.scheme == "http" and host in {"127.0.0.1", "::1"} and port:
        return Place("http", host, port, target, is_loopback=True)
    if parts.scheme != "https":
        raise BadUrl(why="scheme")
    if (port or 443) not in PORTS:
        raise BadUrl(why="port")
    _check_host(host)
    return Place("https", host, port or 443, target)


def is_public(address: Address) -> bool:
    """Whether an address leads outside, also the IPv4 address that stands within an IPv6 one."""
    inner = _within(address)
    if inner is not None:
        return is_public(inner)
    if any(address in network for network in _NEVER if network.version == address.version):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved)


def pick(found: Sequence[str]) -> str:
    """The address to connect to; refuses `webhook.bad_url` unless every one found is public."""
    if not found:
        raise BadUrl(why="no_address")
    for text in found:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            raise BadUrl(why="address") from None
        if not is_public(address):
            raise BadUrl(why="address")
    return found[0]


def _check_host(host: str) -> None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        name = host.lower()
        if _NAME.fullmatch(name) is None or name.endswith(_INSIDE):
            raise BadUrl(why="host") from None
        return
    if not is_public(address):
        raise BadUrl(why="address")


def _within(address: Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 address stands for: mapped, 6to4, NAT64."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if any(address in network for network in _NAT64):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour
