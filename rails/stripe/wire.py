"""The line to Stripe: the SDK's client, our own pace on every request, and plain data out of it.

Objects of the SDK are no dicts: nothing but this file sees them (domain/rails.md 1.3).
"""

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NoReturn, Protocol
from urllib.parse import urlsplit

import stripe
from stripe import RequestOptions

from kernel.errors import RailTrouble
from rails.stripe.calls import MOVED, MOVED_BACK, PAYMENT
from rails.stripe.errors import code_of, is_missing
from rails.stripe.model import Fields, StripeSettings

LIVE_CALLS_PER_S: Final = 100
"""What Stripe grants a live key; a sandbox's key and each endpoint have a quarter of it."""

CALLS_PER_S: Final = 25

LONGEST_WAIT_S: Final = 2
"""How long a call waits for its turn; longer, and it is told to come back."""

PAGE: Final = 100
"""How many objects v1 lists at once, at most."""


class Pace:
    """Turns, `per_s` in a second and as many at once after a pause; threads share them."""

    def __init__(self, per_s: int) -> None:
        self._per_s = per_s
        self._lock = threading.Lock()
        self._turns: dict[str, tuple[float, float]] = {}

    def wait_for(self, name: str) -> float:
        """Take the next turn under a name; in how many seconds it comes. Too long: not taken."""
        with self._lock:
            now = time.monotonic()
            left, since = self._turns.get(name, (float(self._per_s), now))
            left = min(float(self._per_s), left + (now - since) * self._per_s) - 1
            wait_s = max(-left / self._per_s, 0.0)
            if wait_s <= LONGEST_WAIT_S:
                self._turns[name] = (left, now)
        return wait_s


class PacedClient(stripe.RequestsClient):
    """The SDK's client on `requests`, where each request first takes its turn."""

    def __init__(self, *, timeout_s: tuple[int, int], per_s: int, per_endpoint_s: int) -> None:
        super().__init__(timeout=timeout_s)
        self._key_pace = Pace(per_s)
        self._endpoint_pace = Pace(per_endpoint_s)

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        post_data: Any = None,  # noqa: ANN401  as the SDK has it
        *,
        _usage: list[str] | None = None,
    ) -> tuple[Any, int, Any]:
        """Wait for a turn, or answer as Stripe would to one call too many."""
        endpoint = "/".join(urlsplit(url).path.split("/")[:4])
        wait_s = max(self._key_pace.wait_for(""), self._endpoint_pace.wait_for(endpoint))
        if wait_s > LONGEST_WAIT_S:
            body = {"error": {"code": "rate_limit", "type": "invalid_request_error"}}
            return json.dumps(body), 429, {}
        if wait_s:
            time.sleep(wait_s)
        return super().request(method, url, headers, post_data)


class Listed(Protocol):
    """A page of the SDK's, of either version of the API."""

    def auto_paging_iter(self) -> Any:  # noqa: ANN401  the SDK's own iterator
        """Its objects and those of all pages behind it."""


class Wire:
    """One platform's client. The same thread or many may use it; it must not be kept over a fork.

    Methods give plain data and let `stripe.StripeError` through.
    """

    def __init__(self, settings: StripeSettings) -> None:
        per_s = settings.calls_per_s or (LIVE_CALLS_PER_S if settings.is_live else CALLS_PER_S)
        self._http = PacedClient(
            timeout_s=settings.timeout_s,
            per_s=per_s,
            per_endpoint_s=settings.calls_per_s or CALLS_PER_S,
        )
        bases: Any = {}
        if settings.api_base != stripe.DEFAULT_API_BASE:
            base = settings.api_base
            bases = {"api": base, "connect": base, "files": base, "meter_events": base}
        self.client = stripe.StripeClient(
            settings.api_key,
            base_addresses=bases,
            max_network_retries=0,
            http_client=self._http,
        )
        self.v1 = self.client.v1
        self.v2 = self.client.v2

    def close(self) -> None:
        """End this thread's connections."""
        self._http.close()  # type: ignore[no-untyped-call]  # the package gives it no types

    def payment(self, reference: str) -> Fields:
        """A payment intent with its charge and the charge's transactions."""
        return plain(self.v1.payment_intents.retrieve(reference, {"expand": PAYMENT}))

    def parts(self, charge_ref: str) -> list[Fields]:
        """All balance transactions of a charge."""
        return every(self.v1.balance_transactions.list({"source": charge_ref, "limit": PAGE}))

    def refund(self, reference: str) -> Fields:
        """A refund with its transactions."""
        return plain(self.v1.refunds.retrieve(reference, {"expand": MOVED_BACK}))

    def transfer(self, reference: str) -> Fields:
        """A transfer with its transaction."""
        return plain(self.v1.transfers.retrieve(reference, {"expand": MOVED}))

    def payout(self, reference: str, *, account: str) -> Fields:
        """A payout of an account with its transactions."""
        options = on_account(account)
        return plain(self.v1.payouts.retrieve(reference, {"expand": MOVED_BACK}, options))

    def balance(self, *, account: str = "") -> Fields:
        """What an account holds."""
        return plain(self.v1.balance.retrieve({}, on_account(account)))

    def account(self, reference: str) -> Fields:
        """A payee's account with all that says what it may do."""
        found = self.v2.core.accounts.retrieve(
            reference,
            {"include": ["configuration.recipient", "defaults", "identity", "requirements"]},
        )
        return plain(found)

    def accounts(self) -> list[str]:
        """The payees' accounts that are open, by name."""
        listed = self.v2.core.accounts.list({"applied_configurations": ["recipient"]})
        return sorted(str(each["id"]) for each in every(listed))

    def thin_events(self, since: str) -> list[Fields]:
        """Thin events on payees' accounts since a time, newest first."""
        params: Any = {"created": {"gte": since}} if since else {}
        listed = self.v2.core.events.list(params)
        return [found for found in each(listed) if str(found["type"]).startswith("v2.core.account")]

    def is_manual(self, *, account: str = "") -> bool:
        """Whether an account is paid out only when we say so."""
        found = plain(self.v1.balance_settings.retrieve({}, on_account(account)))
        schedule = ((found.get("payments") or {}).get("payouts") or {}).get("schedule") or {}
        return schedule.get("interval") == "manual"


def plain(found: stripe.StripeObject) -> Fields:
    """An object as plain data."""
    data: Fields = found.to_dict()
    return data


def every(listed: Listed) -> list[Fields]:
    """All objects of a list, page by page."""
    return [plain(each) for each in listed.auto_paging_iter()]


def each(listed: Listed) -> Iterator[Fields]:
    """The objects of a list one by one, so that a search may stop early."""
    for found in listed.auto_paging_iter():
        yield plain(found)


def on_account(account: str, *, key: str = "") -> RequestOptions:
    """The options of a call: on whose account, and with which idempotency key."""
    options: RequestOptions = {}
    if account:
        options["stripe_account"] = account
    if key:
        options["idempotency_key"] = key
    return options


Lister = Callable[[Mapping[str, Any]], Any]
"""Asks for one page of a v1 list; the parameters are the place where it begins."""


def newer_than(ask: Lister, anchor: str, *, limit: int) -> tuple[list[Fields], bool]:
    """Up to `limit` objects behind an anchor, oldest first, and whether these are all.

    Lists run from the newest back. Without an anchor, or where it is gone, the walk goes to the
    oldest page first. Numbers with a point are text here, as they were written.
    """
    if not anchor:
        return _oldest(ask, limit)
    found: list[Fields] = []
    while len(found) < limit:
        try:
            page, has_more = _page(ask, {"ending_before": anchor, "limit": PAGE})
        except stripe.InvalidRequestError as error:
            if not is_missing(error):
                raise
            return _oldest(ask, limit)
        found += reversed(page)
        if not page or not has_more:
            return found[:limit], len(found) <= limit
        anchor = str(page[0]["id"])
    return found[:limit], False


def _oldest(ask: Lister, limit: int) -> tuple[list[Fields], bool]:
    """The walk to the end keeps only as many pages as will be given; the rest is asked again."""
    pages: deque[list[Fields]] = deque(maxlen=limit // PAGE + 2)
    place: dict[str, Any] = {"limit": PAGE}
    total = 0
    has_more = True
    while has_more:
        page, has_more = _page(ask, place)
        pages.append(page)
        total += len(page)
        has_more = has_more and bool(page)
        if has_more:
            place = {"limit": PAGE, "starting_after": str(page[-1]["id"])}
    found = [one for page in reversed(pages) for one in reversed(page)]
    return found[:limit], total <= limit


def _page(ask: Lister, place: Mapping[str, Any]) -> tuple[list[Fields], bool]:
    answered = ask(place)
    body = json.loads(answered.last_response.body, parse_float=str)
    return list(body["data"]), bool(body["has_more"])


def as_trouble(error: stripe.StripeError) -> NoReturn:
    """The SDK's exception as ours: its kind and code, never its words."""
    kind = type(error).__name__
    raise RailTrouble(f"stripe: {kind} {error.http_status or ''} {code_of(error)}") from error
