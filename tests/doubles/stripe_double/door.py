"""The double's door: keys, the contract on both sides, and which call does what."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlencode

from tests.doubles import contract
from tests.doubles.frame import Fault, Request, Response, as_json
from tests.doubles.stripe_double import lists
from tests.doubles.stripe_double.accounts import Accounts
from tests.doubles.stripe_double.disputes import Disputes
from tests.doubles.stripe_double.keys import Keys
from tests.doubles.stripe_double.payments import Payments
from tests.doubles.stripe_double.payouts import Payouts
from tests.doubles.stripe_double.reports import Reports
from tests.doubles.stripe_double.transfers import Refunds, Topups, Transfers
from tests.doubles.stripe_double.trouble import StripeError, missing, not_played
from tests.doubles.stripe_double.world import API_VERSION, PLATFORM, Obj, World, merged

Handler = Callable[[str, Mapping[str, str], Obj], Obj]

# The plain lists and reads: the path, and the `object` that stands behind it.
READ: Final[Mapping[str, str]] = {
    "/v1/payment_intents": "payment_intent",
    "/v1/charges": "charge",
    "/v1/transfers": "transfer",
    "/v1/refunds": "refund",
    "/v1/payouts": "payout",
    "/v1/topups": "topup",
    "/v1/disputes": "dispute",
    "/v1/balance_transactions": "balance_transaction",
    "/v1/events": "event",
    "/v1/reporting/report_runs": "reporting.report_run",
    "/v1/files": "file",
    "/v1/reserve/holds": "reserve.hold",
    "/v1/reserve/releases": "reserve.release",
    "/v1/radar/early_fraud_warnings": "radar.early_fraud_warning",
}
NEXT_PAGE: Final = "page_sim_"
_KEPT_S: Final = 30 * 24 * 3600  # events are listed for 30 days


class Door:
    """Answers Stripe's calls; what is wrong with a call or an answer gathers in `violations`."""

    def __init__(self, world: World) -> None:
        """All who play on one world."""
        self.world = world
        self.accounts = Accounts(world)
        self.payments = Payments(world)
        self.transfers = Transfers(world, self.accounts.may_receive)
        self.refunds = Refunds(world)
        self.topups = Topups(world)
        self.payouts = Payouts(world, self.accounts.may_pay_out)
        self.disputes = Disputes(world)
        self.reports = Reports(world)
        self.keys = Keys(world.clock)
        self.violations: list[str] = []
        self.calls: list[tuple[str, str]] = []
        self._handlers = self._writes() | self._others()
        world.on_event.append(self._check_event)

    def _writes(self) -> dict[tuple[str, str], Handler]:
        payments, transfers, refunds = self.payments, self.transfers, self.refunds
        intent, payout = "/v1/payment_intents/{intent}", "/v1/payouts/{payout}"
        posts: dict[str, Handler] = {
            "/v1/payment_intents": lambda a, _, p: payments.create(a, p),
            intent: lambda a, at, p: payments.update(a, at["intent"], p),
            f"{intent}/confirm": lambda a, at, p: payments.confirm(a, at["intent"], p),
            f"{intent}/capture": lambda a, at, p: payments.capture(a, at["intent"], p),
            f"{intent}/cancel": lambda a, at, p: payments.cancel(a, at["intent"], p),
            "/v1/transfers": lambda a, _, p: transfers.create(a, p),
            "/v1/transfers/{id}/reversals": lambda a, at, p: transfers.reverse(a, at["id"], p),
            "/v1/refunds": lambda a, _, p: refunds.create(a, p),
            "/v1/refunds/{refund}/cancel": lambda a, at, _: refunds.cancel(a, at["refund"]),
            "/v1/payouts": lambda a, _, p: self.payouts.create(a, p),
            f"{payout}/cancel": lambda a, at, _: self.payouts.cancel(a, at["payout"]),
            "/v1/topups": lambda a, _, p: self.topups.create(a, p),
            "/v1/topups/{topup}/cancel": lambda a, at, _: self.topups.cancel(a, at["topup"]),
            "/v1/disputes/{dispute}": lambda a, at, p: self.disputes.update(a, at["dispute"], p),
            "/v1/disputes/{dispute}/close": lambda a, at, _: self.disputes.close(a, at["dispute"]),
            "/v1/balance_settings": lambda a, _, p: self.accounts.settings(a, p),
            "/v1/reporting/report_runs": lambda a, _, p: self.reports.create(a, p),
            "/v2/core/accounts": lambda _a, _, p: self.accounts.create(p),
            "/v2/core/accounts/{id}": lambda _, at, p: self.accounts.update(at["id"], p),
            "/v2/core/accounts/{id}/close": lambda _, at, p: self.accounts.close(at["id"], p),
            "/v2/core/account_links": lambda _a, _, p: self.accounts.link(p),
        }
        for path in (
            "/v1/transfers/{transfer}",
            "/v1/refunds/{refund}",
            payout,
            "/v1/charges/{charge}",
        ):
            posts[path] = self._describe
        return {("POST", path): handler for path, handler in posts.items()}

    def _others(self) -> dict[tuple[str, str], Handler]:
        gets: dict[str, Handler] = {
            "/v1/accounts/{account}": lambda _, at, _p: self.accounts.v1(at["account"]),
            "/v1/account": lambda a, _, _p: self.accounts.v1(a),
            "/v1/balance": lambda a, _, _p: self.world.balance(a),
            "/v1/balance_settings": lambda a, _, _p: self.accounts.settings(a),
            "/v1/transfers/{id}/reversals": self._reversals,
            "/v2/core/accounts": self._list_accounts,
            "/v2/core/accounts/{id}": lambda _, at, p: self.accounts.shown(
                self.accounts.one(at["id"]), p.get("include", ())
            ),
            "/v2/core/events": self._list_thin,
            "/v2/core/events/{id}": lambda a, at, _: self.world.get(a, "v2.core.event", at["id"]),
        }
        for method, path in contract.paths():
            above, _, last = path.rpartition("/")
            if method == "GET" and path in READ:
                gets[path] = self._lister(path)
            elif method == "GET" and above in READ and last.startswith("{"):
                gets[path] = self._reader(READ[above], last.strip("{}"))
        return {("GET", path): handler for path, handler in gets.items()}

    def _lister(self, path: str) -> Handler:
        kind = READ[path]

        def listed(account: str, _: Mapping[str, str], params: Obj) -> Obj:
            objects = [*self.world.ledger(account).all_of(kind)]
            if kind == "event":
                objects = [one for one in objects if one["created"] > self.world.stamp - _KEPT_S]
            return lists.page(lists.filtered(objects, params), params, path)

        return listed

    def _reader(self, kind: str, name: str) -> Handler:
        return lambda account, at, _: self.world.get(account, kind, at[name])

    def _describe(self, account: str, at: Mapping[str, str], params: Obj) -> Obj:
        """The update that most objects take: metadata and a description."""
        (identifier,) = at.values()
        found = self.world.ledger(account).objects.get(identifier)
        if found is None:
            raise missing("object", identifier)
        if "metadata" in params:
            found["metadata"] = merged(found["metadata"], params["metadata"])
        if "description" in params:
            found["description"] = params["description"]
        return found

    def _reversals(self, account: str, at: Mapping[str, str], params: Obj) -> Obj:
        self.world.get(account, "transfer", at["id"])
        objects = self.world.ledger(account).all_of("transfer_reversal")
        rows = [one for one in objects if one["transfer"] == at["id"]][::-1]
        return lists.page(rows, params, f"/v1/transfers/{at['id']}/reversals")

    def _list_accounts(self, _: str, _at: Mapping[str, str], params: Obj) -> Obj:
        ours = [one for one, it in self.world.ledgers.items() if one != PLATFORM and it.is_ours]
        rows = [self.accounts.one(one) for one in reversed(ours)]
        return _v2_page([self.accounts.shown(r, ()) for r in rows], params, "accounts")

    def _list_thin(self, account: str, _: Mapping[str, str], params: Obj) -> Obj:
        rows = [*self.world.ledger(account).all_of("v2.core.event")][::-1]
        if "object_id" in params:
            rows = [row for row in rows if row["related_object"]["id"] == params["object_id"]]
        if "types" in params:
            rows = [row for row in rows if row["type"] in params["types"]]
        for how, bound in params.get("created", {}).items():
            rows = [row for row in rows if lists.RANGES[how](row["created"], bound)]
        return _v2_page(rows, params, "events")

    def enter(self, request: Request) -> Response | None:
        """409 for a key that is being answered."""
        error = self.keys.enter(request)
        return None if error is None else error.response()

    def answer(self, request: Request) -> Response:
        """The answer to a call, a saved one if it came before; then whatever came due is run."""
        try:
            self._authenticate(request)
            if request.path.endswith("/contents"):
                return self.reports.contents(request.path)
            saved = self.keys.replay(request)
        except StripeError as refused:
            return refused.response()
        if saved is not None:
            return saved
        answer, worked = self._work(request)
        if worked:
            self.keys.save(request, answer)
        self.world.clock.advance()
        return answer

    def trouble(self, fault: Fault, request: Request) -> Response:
        """How Stripe says that it failed; a failure after the work is what its key answers."""
        if fault in {Fault.RATE_LIMIT, Fault.LOCK_TIMEOUT}:
            message = "Too many requests."
            return StripeError(429, fault.value, message).response()
        headers = {"request-id": "req_sim"}
        error = {"error": {"type": "api_error", "message": "An unknown error occurred."}}
        answer = as_json(error, status=500, headers=headers)
        if fault is Fault.ERROR_AFTER:
            self.keys.save(request, answer)
        return answer

    def _authenticate(self, request: Request) -> None:
        given = request.headers.get("authorization", "")
        if not given.startswith(("Bearer sk_test_", "Bearer rk_test_")):
            raise StripeError(401, message="Invalid API Key provided.")
        version = request.headers.get("stripe-version", API_VERSION)
        if version != API_VERSION:
            self.violations.append(f"{request.path}: API version {version}, not {API_VERSION}")

    def _work(self, request: Request) -> tuple[Response, bool]:
        """The answer, and whether the call was worked (only then is it saved under its key)."""
        found = contract.find(request.method, request.path)
        if found is None:
            return self._refuse(request, ["Unrecognized request URL"], status=404), False
        route, at = found
        self.calls.append((request.method, route.path))
        params, problems = _read(request, route)
        if problems:
            return self._refuse(request, problems, status=400), False
        try:
            value = self._do(request, route, at, params)
        except StripeError as refused:
            if refused.status == 501:
                self.violations.append(f"{request.method} {route.path}: not played")
            return refused.response(), True
        self._check_answer(route, value)
        return as_json(value, headers={"request-id": "req_sim"}), True

    def _check_answer(self, route: contract.Route, value: Obj) -> None:
        """The double keeps to the contract too; v2 events are of their own type's shape."""
        if value.get("object") == "v2.core.event":
            return  # it was checked when it came about, by its type
        if route.path == "/v2/core/events":
            value = value | {"data": []}
        _, wrong = contract.conform(value, route.answer, text=False)
        self.violations += [f"the answer of {route.method} {route.path}{one}" for one in wrong]

    def _do(
        self, request: Request, route: contract.Route, at: Mapping[str, str], params: Obj
    ) -> Obj:
        handler = self._handlers.get((route.method, route.path))
        if handler is None:
            raise not_played(f"{route.method} {route.path}")
        account = request.headers.get("stripe-account") or PLATFORM
        self.accounts.check_access(account)
        key = request.headers.get("idempotency-key")
        self.world.request = {"id": "req_sim", "idempotency_key": key}
        try:
            value = self._shown(handler(account, at, params), route)
        finally:
            self.world.request = {"id": None, "idempotency_key": None}
        lists.expand(self.world, account, value, params.get("expand", ()))
        return value

    def _shown(self, value: Obj, route: contract.Route) -> Obj:
        if route.is_v2:
            return {name: part for name, part in value.items() if not name.startswith("_")}
        if value["object"] == "list":
            return value | {"data": [self.world.public(one) for one in value["data"]]}
        return self.world.public(value)

    def _check_event(self, _: str, event: Obj) -> None:
        """An event has a type of the package's, and the object in it is as the package says."""
        kind = event["type"]
        if event["object"] == "v2.core.event":
            schema, value = contract.thin_event(kind), event
        else:
            value = event["data"]["object"]
            schema = contract.resource(value["object"])
            _, wrong = contract.conform(event, {"$ref": "stripe._event:Event"}, text=False)
            self.violations += [f"the event {kind}{one}" for one in wrong]
        if schema is None:
            self.violations.append(f"the event {kind}: unknown to the package")
        else:
            _, wrong = contract.conform(value, schema, text=False)
            self.violations += [f"the object of the event {kind}{one}" for one in wrong]

    def _refuse(self, request: Request, problems: list[str], *, status: int) -> Response:
        """The call breaks the contract: a violation, and an error for the SDK to raise."""
        self.violations += [f"{request.method} {request.path}{one}" for one in problems]
        first = problems[0]
        code = "parameter_unknown" if first.endswith("unknown") else ""
        if first.endswith("missing"):
            code = "parameter_missing"
        return StripeError(status, code, "; ".join(problems)).response()


def _v2_page(rows: list[Obj], params: Obj, name: str) -> Obj:
    limit = params.get("limit", 20)
    start = int(params.get("page", NEXT_PAGE).removeprefix(NEXT_PAGE) or 0)
    after = start + limit
    kept = [(name, value) for name, value in params.items() if isinstance(value, str)]
    kept += [(f"types[{n}]", value) for n, value in enumerate(params.get("types", ()))]
    kept += [(f"created[{how}]", bound) for how, bound in params.get("created", {}).items()]
    asked = urlencode(dict(kept) | {"limit": limit, "page": f"{NEXT_PAGE}{after}"})
    more = f"/v2/core/{name}?{asked}" if after < len(rows) else None
    return {
        "data": rows[start:after],
        "next_page_url": more,
        "previous_page_url": None,
    }


def _read(request: Request, route: contract.Route) -> tuple[Obj, list[str]]:
    """The parameters of a call, by the contract, and all that is wrong with them."""
    is_json = route.is_v2 and request.method == "POST"
    try:
        sent: Any
        if is_json:
            sent = json.loads(request.body or b"{}")
        else:
            sent = contract.decode_form(request.body.decode())
            asked = contract.decode_form(request.query)
            page = asked.pop("page", None) if route.is_v2 else None
            if request.method == "POST" and asked:
                return {}, [f".{name}: in the query of a POST, unknown" for name in asked]
            sent |= asked
    except ValueError as unreadable:
        return {}, [f": {unreadable}"]
    if route.params is None:
        return {}, [f".{name}: unknown" for name in sent]
    params, problems = contract.conform(sent, route.params, text=not is_json)
    if not is_json and page is not None:
        if not page.startswith(NEXT_PAGE):  # our own word, out of a `next_page_url`
            problems.append(f".page: {page!r} was never given")
        params["page"] = page
    return params, problems
