"""How rails that speak JSON over HTTP are asked: time limits, tokens, and what was not taken in."""

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import httpx

from kernel.errors import RailTrouble
from kernel.settings import CannotStart

TOKEN_MARGIN_S: Final = 60
"""A token is no longer used so many seconds before it ends."""

NONSENSE: Final = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What an answer may raise that has not the shape it should have: the money may have moved."""

_FEW: Final = 8
_AT_A_TIME: Final = 8

_Asked = TypeVar("_Asked")
_Told = TypeVar("_Told")

_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


class NotTaken(RailTrouble):
    """The rail took nothing in: not reached, too busy, or it would not know us."""

    def __init__(self, what: str, *, wait_s: int = 60) -> None:
        super().__init__(what)
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True)
class Answer:
    """What a rail answered: a status and an object, empty where the body is none."""

    status: int
    said: Mapping[str, Any]

    @property
    def is_good(self) -> bool:
        """Whether the rail did what it was asked."""
        return self.status < HTTPStatus.BAD_REQUEST


TokenFetch = Callable[[httpx.Client], httpx.Response]
"""Asks for a token; answers like OAuth 2 with `access_token` and `expires_in`."""


@dataclass(slots=True)
class _Token:
    text: str = field(repr=False)
    until: float


class Api:
    """One account's door at a rail. May be used by several threads, and after a fork."""

    def __init__(
        self, *, base: str, connect_s: float, read_s: float, fetch_token: TokenFetch
    ) -> None:
        self._base = base
        self._timeout = httpx.Timeout(read_s, connect=connect_s, pool=connect_s)
        self._fetch_token = fetch_token
        self._guard = threading.RLock()
        self._clients: dict[int, httpx.Client] = {}
        self._token: _Token | None = None

    def ask(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] = _NOTHING,
        headers: Mapping[str, str] = _NOTHING,
    ) -> Answer:
        """The rail's answer, whatever its status, but for 401 and 429.

        NotTaken if nothing was taken in; other RailTrouble if that is not known.
        """
        response = self._send(method, path, body=body, query=query, headers=headers)
        if response.status_code == HTTPStatus.UNAUTHORIZED:
            self.forget_token()
            response = self._send(method, path, body=body, query=query, headers=headers)
        if response.status_code == HTTPStatus.UNAUTHORIZED:
            raise NotTaken(f"{method} {path}: the rail does not know us", wait_s=300)
        if response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            raise NotTaken(f"{method} {path}: too many requests", wait_s=_wait_s(response))
        return Answer(response.status_code, _object(response, f"{method} {path}"))

    def forget_token(self) -> None:
        """Fetch a new token for the next call: the rail would not know this one."""
        with self._guard:
            self._token = None

    def download(self, url: str, *, most_bytes: int) -> bytes:
        """A small file from an absolute address, without our token; no redirect is followed."""
        client = self._client()
        try:
            with client.stream("GET", url) as response:
                if response.status_code != HTTPStatus.OK:
                    raise RailTrouble(f"certificate: status {response.status_code}")
                read = b""
                for chunk in response.iter_bytes():
                    read += chunk
                    if len(read) > most_bytes:
                        raise RailTrouble("certificate: too long")
                return read
        except httpx.TransportError as error:
            raise RailTrouble(f"certificate: {type(error).__name__}") from error

    def close(self) -> None:
        """Close the connections of this process."""
        client = self._clients.pop(os.getpid(), None)
        if client is not None:
            client.close()

    def _send(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None,
        query: Mapping[str, str],
        headers: Mapping[str, str],
    ) -> httpx.Response:
        sent = {"authorization": f"Bearer {self._bearer()}", **headers}
        try:
            return self._client().request(
                method, path, json=body, params=dict(query) or None, headers=sent
            )
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise NotTaken(f"{method} {path}: {type(error).__name__}") from error
        except httpx.HTTPError as error:
            raise RailTrouble(f"{method} {path}: {type(error).__name__}") from error

    def _bearer(self) -> str:
        with self._guard:
            if self._token is None or self._token.until <= time.monotonic():
                self._token = self._fresh()
            return self._token.text

    def _fresh(self) -> _Token:
        asked_at = time.monotonic()
        try:
            response = self._fetch_token(self._client())
        except httpx.HTTPError as error:
            raise NotTaken(f"token: {type(error).__name__}") from error
        if response.status_code != HTTPStatus.OK:
            raise NotTaken(f"token: status {response.status_code}", wait_s=300)
        said = _object(response, "token")
        try:
            text, lasts_s = str(said["access_token"]), int(said["expires_in"])
        except (KeyError, TypeError, ValueError) as error:
            raise NotTaken("token: cannot be read") from error
        return _Token(text, asked_at + lasts_s - TOKEN_MARGIN_S)

    def _client(self) -> httpx.Client:
        """One for each process: connections are not shared over a fork."""
        with self._guard:
            client = self._clients.get(os.getpid())
            if client is None:
                client = self._clients[os.getpid()] = httpx.Client(
                    base_url=self._base, timeout=self._timeout, trust_env=not is_here(self._base)
                )
        return client


def side_by_side(act: Callable[[_Asked], _Told], asked: Sequence[_Asked]) -> list[_Told]:
    """What `act` gives for each, in their order; of many some are asked for at a time.

    For reads, and for steps that have their effect once: the order of calls is not kept.
    """
    if len(asked) <= _FEW:
        return [act(each) for each in asked]
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        return list(pool.map(act, asked))


def is_here(base: str) -> bool:
    """Whether an address is on this very machine."""
    return urlsplit(base).hostname in {"127.0.0.1", "localhost", "::1"}


def check_base(base: str, *, variable: str) -> None:
    """CannotStart, naming the variable, if secrets would travel in the clear.

    Good are https, and http to this very machine.
    """
    parts = urlsplit(base)
    is_fit = parts.scheme == "https" or (parts.scheme == "http" and is_here(base))
    if not parts.hostname or not is_fit:
        raise CannotStart(f"{variable} must be an https address.")


def _object(response: httpx.Response, what: str) -> Mapping[str, Any]:
    """The body as an object. A good answer that is none is trouble; a bad one may say nothing."""
    if not response.content:
        return {}
    try:
        said = response.json()
    except ValueError:
        said = None
    if isinstance(said, dict):
        return said
    if response.is_success:
        raise RailTrouble(f"{what}: the answer cannot be read")
    return {}


def _wait_s(response: httpx.Response) -> int:
    said = response.headers.get("retry-after", "")
    return min(int(said), 3_600) if said.isascii() and said.isdigit() else 60
