"""Idempotency keys: what was answered to a key, for how long, and who is being answered now."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from tests.doubles.frame import Clock, Request, Response
from tests.doubles.stripe_double.trouble import StripeError

V1_LASTS: Final = timedelta(hours=24)
V2_LASTS: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Saved:
    """What came with a key, and what was answered."""

    asked: tuple[str, str, bytes]
    answer: Response
    at: datetime


class Keys:
    """Answers by (account, key)."""

    def __init__(self, clock: Clock) -> None:
        """Nothing is saved."""
        self._clock = clock
        self._saved: dict[tuple[str, str], Saved] = {}
        self._busy: dict[tuple[str, str], Request] = {}

    def enter(self, request: Request) -> StripeError | None:
        """409 for a key whose first request is not answered yet."""
        key = key_of(request)
        if key is None:
            return None
        if key in self._busy:
            message = "There is currently another in-progress request using this key."
            return StripeError(409, "idempotency_key_in_use", message, kind="idempotency_error")
        self._busy[key] = request
        return None

    def leave(self, request: Request) -> None:
        """The request is answered."""
        key = key_of(request)
        if key is not None and self._busy.get(key) is request:
            del self._busy[key]

    def replay(self, request: Request) -> Response | None:
        """The saved answer of this key; None: not asked before, or it is to be worked again.

        Raises:
            StripeError: the key came with another request.
        """
        key = key_of(request)
        saved = None if key is None else self._saved.get(key)
        if saved is None or saved.at + _lasts(request) <= self._clock.now:
            return None
        if saved.asked != (request.method, request.path, request.body):
            message = "Keys for idempotent requests can only be used with the same parameters."
            raise StripeError(400, message=message, kind="idempotency_error")
        if _is_v2(request) and saved.answer.status >= 400:
            return None
        headers = {**saved.answer.headers, "idempotent-replayed": "true"}
        return Response(saved.answer.status, saved.answer.body, headers)

    def save(self, request: Request, answer: Response) -> None:
        """Keep an answer under the request's key."""
        key = key_of(request)
        if key is not None:
            asked = (request.method, request.path, request.body)
            self._saved[key] = Saved(asked, answer, self._clock.now)


def key_of(request: Request) -> tuple[str, str] | None:
    """The account and key of a request that writes, or None."""
    key = request.headers.get("idempotency-key")
    if key is None or request.method == "GET":
        return None
    account = request.headers.get("stripe-account") or request.headers.get("stripe-context") or ""
    return account, key


def _is_v2(request: Request) -> bool:
    return request.path.startswith("/v2/")


def _lasts(request: Request) -> timedelta:
    return V2_LASTS if _is_v2(request) else V1_LASTS
