"""PayPal behind HTTP: Orders v2, Payments v2, Payouts v1, reports, events and certificates."""

import base64
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from tests.doubles.frame import (
    Clock,
    Deliveries,
    Fault,
    Faults,
    Frame,
    Message,
    Request,
    Response,
    as_json,
)
from tests.doubles.paypal_double import signing
from tests.doubles.paypal_double.contract import breach
from tests.doubles.paypal_double.state import Json, Refused, State, money, stamp

CLIENT: Final = ("client-of-tests", "secret-of-tests")
WEBHOOK_ID: Final = "9XL90610J3647323C"
BEGIN: Final = datetime(2026, 3, 2, 9, tzinfo=UTC)

_REMEMBERED: Final = {
    "/v2/checkout": timedelta(hours=6),
    "/v2/payments": timedelta(days=45),
    "/v1/payments": timedelta(days=30),
}
_SAID: Final = {
    400: ("INVALID_REQUEST", "Request is not well-formed, syntactically incorrect, or violates."),
    404: ("RESOURCE_NOT_FOUND", "The specified resource does not exist."),
    422: (
        "UNPROCESSABLE_ENTITY",
        (
            "The requested action could not be performed, semantically incorrect, or failed "
            "business validation."
        ),
    ),
}


class PaypalDouble:
    """A whole PayPal with one account. `breaches` tells where a specification was broken."""

    def __init__(self, now: datetime = BEGIN) -> None:
        self.clock = Clock(now)
        self.faults = Faults()
        self.deliveries = Deliveries(self.clock)
        self.frame = Frame(self, clock=self.clock, faults=self.faults)
        self.state = State(self.clock, self._tell)
        self.breaches: list[str] = []
        self.events: list[Json] = []
        self.asked: list[tuple[str, str]] = []
        self.tokens = 0
        self.token_lasts_s = 32_400
        self.event_page = 300
        self.certificate = signing.chain()
        self._good_tokens: dict[str, datetime] = {}
        self._kept: dict[tuple[str, str], tuple[datetime, Response]] = {}

    # What the frame asks

    def enter(self, request: Request) -> Response | None:
        self.asked.append((request.method, request.path))
        return None

    def leave(self, request: Request) -> None:
        pass

    def trouble(self, fault: Fault, request: Request) -> Response:
        del request
        if fault in {Fault.RATE_LIMIT, Fault.LOCK_TIMEOUT}:
            return as_json({"name": "RATE_LIMIT_REACHED"}, status=429, headers={"retry-after": "7"})
        return as_json({"name": "INTERNAL_SERVER_ERROR"}, status=500)

    def control(self, verb: str, said: Mapping[str, Any]) -> Any:
        if verb == "approve":
            self.state.approve(said["order"], decline=said.get("decline", ""))
        elif verb == "item":
            self.state.set_item(said["item"], said["status"])
        else:
            raise KeyError(verb)
        return {}

    def answer(self, request: Request) -> Response:
        if request.path == "/v1/oauth2/token":
            return self._token(request)
        if request.path.startswith("/v1/notifications/certs/"):
            return Response(200, self.certificate)
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self._good_tokens.get(bearer, self.clock.now) <= self.clock.now:
            return as_json({"name": "AUTHENTICATION_FAILURE"}, status=401)
        wrong = breach(request)
        if wrong:
            self.breaches.append(wrong)
            return as_json({"name": "INVALID_REQUEST"}, status=400)
        response = self._once(request)
        wrong = breach(request, response)
        if wrong:
            self.breaches.append(wrong)
        return response

    # Inside

    def _token(self, request: Request) -> Response:
        good = base64.b64encode(":".join(CLIENT).encode()).decode()
        if request.headers.get("authorization") != f"Basic {good}":
            return as_json({"error": "invalid_client"}, status=401)
        self.tokens += 1
        token = f"A21AA{self.tokens}"
        self._good_tokens[token] = self.clock.now + timedelta(seconds=self.token_lasts_s)
        return as_json({"access_token": token, "expires_in": self.token_lasts_s})

    def revoke_tokens(self) -> None:
        self._good_tokens.clear()

    def _once(self, request: Request) -> Response:
        """The same key at the same path is answered as before, while it is remembered."""
        key = request.headers.get("paypal-request-id", "")
        lasts = next(
            (t for start, t in _REMEMBERED.items() if request.path.startswith(start)), None
        )
        place = (key, request.path)
        kept = self._kept.get(place)
        if key and kept and lasts and self.clock.now - kept[0] < lasts:
            return kept[1]
        try:
            response = self._work(request)
        except Refused as refused:
            return _error(refused, is_payout=request.path.startswith("/v1/"))
        if key and request.method == "POST":
            self._kept[place] = (self.clock.now, response)
        return response

    def _work(self, request: Request) -> Response:
        said = json.loads(request.body) if request.body else {}
        works = {
            ("POST", "/v2/checkout/orders"): lambda: self.state.create_order(said),
            ("POST", "/v1/payments/payouts"): lambda: self.state.taken_batch(said),
        }
        work = works.get((request.method, request.path)) or self._work_on(request, said)
        if work is None:
            return self._report(request)
        return as_json(work(), status=201 if request.method == "POST" else 200)

    def _work_on(self, request: Request, said: Json) -> Callable[[], Json] | None:
        """What is done with an object that the path names."""
        state = self.state
        acts: dict[tuple[str, str], Callable[[str], Json]] = {
            ("GET", r"/v2/checkout/orders/(\w+)"): state.seen_order,
            ("POST", r"/v2/checkout/orders/(\w+)/capture"): state.capture,
            ("GET", r"/v2/payments/captures/(\w+)"): state.seen_capture,
            ("POST", r"/v2/payments/captures/(\w+)/refund"): lambda id_: state.refund(id_, said),
            ("GET", r"/v2/payments/refunds/(\w+)"): state.seen_refund,
            ("GET", r"/v1/payments/payouts/(\w+)"): state.seen_batch,
            ("GET", r"/v1/payments/payouts-item/(\w+)"): state.seen_item,
        }
        for (method, pattern), act in acts.items():
            found = re.fullmatch(pattern, request.path)
            if method == request.method and found:
                return partial(act, found[1])
        return None

    def _report(self, request: Request) -> Response:
        query = dict(parse_qsl(request.query))
        if request.path == "/v1/reporting/transactions":
            return self._transactions(query)
        if request.path == "/v1/reporting/balances":
            lines = [
                {"currency": c, "available_balance": money(a, c), "total_balance": money(a, c)}
                for c, a in sorted(self.state.balance.items())
            ]
            return as_json({"balances": lines, "as_of_time": stamp(self.clock.now)})
        if request.path == "/v1/notifications/webhooks-events":
            return self._events(query)
        raise Refused(404, "INVALID_RESOURCE_ID")

    def _transactions(self, query: Mapping[str, str]) -> Response:
        start = datetime.fromisoformat(query["start_date"])
        end = datetime.fromisoformat(query["end_date"])
        if end - start > timedelta(days=31):
            raise Refused(400, "INVALID_REQUEST")
        size, page = int(query["page_size"]), int(query["page"])
        found = [
            {"transaction_info": info}
            for info in self.state.movements
            if start <= datetime.fromisoformat(info["transaction_initiation_date"]) <= end
        ]
        return as_json(
            {
                "transaction_details": found[(page - 1) * size : page * size],
                "total_items": len(found),
                "total_pages": -(-len(found) // size),
                "page": page,
            }
        )

    def _events(self, query: Mapping[str, str]) -> Response:
        """Newest first, as PayPal does, with a link to the older ones."""
        since = datetime.fromisoformat(query["start_time"])
        until = datetime.fromisoformat(query["end_time"])
        size, begin = min(int(query["page_size"]), self.event_page), int(query.get("index", 0))
        found = [
            event
            for event in self.events[::-1]
            if since <= datetime.fromisoformat(event["create_time"]) <= until
        ]
        links = []
        if len(found) > begin + size:
            more = urlencode({**query, "index": begin + size})
            links = [{"rel": "next", "href": f"https://elsewhere.test/events?{more}"}]
        return as_json({"events": found[begin : begin + size], "links": links})

    def _tell(self, kind: str, resource_type: str, resource: Json) -> None:
        event = {
            "id": f"WH-{len(self.events) + 1:05d}",
            "event_version": "1.0",
            "create_time": stamp(self.clock.now),
            "resource_type": resource_type,
            "event_type": kind,
            "resource": resource,
        }
        self.events.append(json.loads(json.dumps(event)))
        body = json.dumps(event).encode()
        self.deliveries.add(Message("", body, self.sign, name=kind))

    def sign(self, body: bytes, at: datetime) -> Mapping[str, str]:
        return signing.headers_for(
            body,
            sent_at=at,
            cert_url=f"{self.frame.url}/v1/notifications/certs/CERT-1",
            webhook_id=WEBHOOK_ID,
            transmission_id=f"t-{len(self.deliveries.delivered):06d}",
        )


def _error(refused: Refused, *, is_payout: bool) -> Response:
    name, message = _SAID[refused.status]
    detail: Json = {"issue": refused.issue}
    said: Json = {"name": name, "message": message, "debug_id": "d0", "details": [detail]}
    if "batch" in refused.more:
        said["name"] = "USER_BUSINESS_ERROR"
        path = f"/v1/payments/payouts/{refused.more['batch']['id']}"
        said["links"] = [
            {"href": f"https://api-m.sandbox.paypal.com{path}", "rel": "self", "method": "GET"}
        ]
    status = 400 if is_payout and refused.status == 422 else refused.status
    return as_json(said, status=status)
