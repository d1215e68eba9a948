"""The Stripe double as tests use it: over HTTP, with its control plane as methods and as calls."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any, Concatenate, Final, ParamSpec, Self, TypeVar

import requests
import stripe

from tests.doubles.frame import Clock, Deliveries, Faults, Frame, Message, Order, Request, Response
from tests.doubles.stripe_double.disputes import Platform
from tests.doubles.stripe_double.door import Door
from tests.doubles.stripe_double.trouble import StripeError
from tests.doubles.stripe_double.world import PLATFORM, Obj, World

API_KEY: Final = "sk_test_double"
PLATFORM_SECRET: Final = "whsec_platform_double"
CONNECT_SECRET: Final = "whsec_connect_double"

# What a webhook tells of a v2 event; the rest is fetched.
NOTIFIED: Final = "id object context created livemode reason related_object type".split()

# The verbs of `/_sim/<verb>` that are methods of the double.
VERBS: Final = frozenset(
    "pay authenticate debit fail_late dispute move_dispute early_warning refund_outcome bank"
    " payout_outcome topup_outcome sweep settle verify deauthorize reserve release_reserve bill"
    " balances objects_of operations_twice violations deliver delivery".split()
)


P = ParamSpec("P")
R = TypeVar("R")


def one_at_a_time(
    act: Callable[Concatenate["StripeDouble", P], R],
) -> Callable[Concatenate["StripeDouble", P], R]:
    """Let nobody call meanwhile, and then run what has come due."""

    def guarded(self: "StripeDouble", /, *args: P.args, **kwargs: P.kwargs) -> R:
        with self.frame.lock:
            done = act(self, *args, **kwargs)
            self.clock.advance()
            return done

    guarded.__doc__ = act.__doc__
    return guarded


class StripeDouble:
    """Stripe on loopback. `clock`, `faults` and `deliveries` are the frame's."""

    def __init__(self, *, now: datetime | None = None, seed: int = 0) -> None:
        """An empty platform at a time (the wall's if not given); nothing listens yet."""
        self.clock = Clock((now or datetime.now(UTC)).replace(microsecond=0))
        self.faults = Faults(seed=seed)
        self.deliveries = Deliveries(self.clock, seed=seed)
        self.world = World(self.clock)
        self.door = Door(self.world)
        self.platform = Platform(self.world)
        self.frame = Frame(self, clock=self.clock, faults=self.faults)
        self._sessions: list[requests.Session] = []
        self.world.on_event.append(self._send)
        self.door.payments.on_disputed.append(self._dispute_by_itself)

    def __enter__(self) -> Self:
        """Listen."""
        self.frame.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End, with the connections of the clients that we made."""
        for session in self._sessions:
            session.close()
        self.frame.stop()

    @property
    def url(self) -> str:
        """Where it listens."""
        return self.frame.url

    def client(self, *, retries: int = 0) -> stripe.StripeClient:
        """The real SDK, turned to this double."""
        bases: Any = {"api": self.url, "files": self.url, "connect": self.url}
        session = requests.Session()
        session.trust_env = False  # a proxy of the environment leads away from loopback
        self._sessions.append(session)
        http = stripe.RequestsClient(timeout=(3, 20), session=session)
        return stripe.StripeClient(
            API_KEY,
            base_addresses=bases,
            max_network_retries=retries,
            http_client=http,
        )

    def enter(self, request: Request) -> Response | None:
        return self.door.enter(request)

    def leave(self, request: Request) -> None:
        self.door.keys.leave(request)

    def answer(self, request: Request) -> Response:
        return self.door.answer(request)

    def trouble(self, fault: Any, request: Request) -> Response:
        return self.door.trouble(fault, request)

    def control(self, verb: str, said: Mapping[str, Any]) -> Any:
        """A verb of the control plane; KeyError if there is none such."""
        if verb not in VERBS:
            raise KeyError(f"{verb}; there are {', '.join(sorted(VERBS))}")
        try:
            return {"result": getattr(self, verb)(**said)}
        except StripeError as refused:
            raise KeyError(str(refused)) from refused

    def advance(self, **by: float) -> datetime:
        """Let time pass (`days=2`, `hours=1`); what is due happens on the way."""
        with self.frame.lock:
            return self.clock.advance(timedelta(**by))

    def _send(self, account: str, event: Obj) -> None:
        """Queue an event for the endpoint it belongs to, signed when it is sent."""
        endpoint, secret = ("platform", PLATFORM_SECRET)
        if account != PLATFORM:
            endpoint, secret = ("connect", CONNECT_SECRET)
        shown = {name: event[name] for name in NOTIFIED} if "related_object" in event else event
        body = json.dumps(shown).encode()

        def sign(sent: bytes, at: datetime) -> Mapping[str, str]:
            header = stripe.WebhookSignature.generate_signature_header(
                sent.decode(), secret, timestamp=int(at.timestamp())
            )
            return {"stripe-signature": header}

        self.deliveries.add(Message(endpoint, body, sign, f"{event['type']} {event['id']}"))

    def _dispute_by_itself(self, charge_id: str, reason: str) -> None:
        self.door.disputes.open(charge_id, warning=reason == "warning")

    @one_at_a_time
    def pay(self, intent: str, method: str = "pm_card_visa") -> Obj:
        """The payer pays on the page."""
        return self._done(self.door.payments.pay(intent, method))

    @one_at_a_time
    def authenticate(self, intent: str, *, passed: bool = True) -> Obj:
        """The payer proves to his bank who he is, or fails to."""
        return self._done(self.door.payments.authenticate(intent, passed=passed))

    @one_at_a_time
    def debit(self, charge: str, *, clears: bool) -> Obj:
        """The bank's word on a debit that is processing."""
        return self._done(self.door.payments.debit(charge, clears=clears))

    @one_at_a_time
    def fail_late(self, charge: str) -> Obj:
        """A debit that cleared is taken back."""
        return self._done(self.door.payments.fail_late(charge))

    @one_at_a_time
    def dispute(
        self, charge: str, *, reason: str = "fraudulent", amount: int = 0, warning: bool = False
    ) -> Obj:
        """A chargeback, or the warning of one; `amount` 0 means all of the charge."""
        opened = self.door.disputes.open(charge, reason=reason, amount=amount, warning=warning)
        return self._done(opened)

    @one_at_a_time
    def move_dispute(self, dispute: str, to: str, *, fee_back: bool = False) -> Obj:
        """won, lost, warning_closed, escalated, reinstated, appeal_needs_response, ..."""
        return self._done(self.door.disputes.move(dispute, to, fee_back=fee_back))

    @one_at_a_time
    def early_warning(self, charge: str) -> Obj:
        """The card network suspects fraud."""
        return self._done(self.door.disputes.early_warning(charge))

    @one_at_a_time
    def refund_outcome(self, refund: str, to: str) -> Obj:
        """A refund that left: `succeeded` or `failed`."""
        return self._done(self.door.refunds.outcome(refund, to))

    @one_at_a_time
    def bank(self, account: str = PLATFORM, *, does: str = "success") -> Obj:
        """What an account's bank does with payouts (`payouts.BANKS`)."""
        self.door.payouts.at_bank(account, does)
        return {}

    @one_at_a_time
    def settle(self, currency: str, into: str, rate: str) -> Obj:
        """From now on payments in a currency are kept in another, at a rate (minor to minor)."""
        self.world.settles[currency] = into, Fraction(rate)
        return {}

    @one_at_a_time
    def sweep(self, account: str = PLATFORM) -> list[str]:
        """A day's automatic payouts of an account, unless its schedule is manual; their ids."""
        settings = self.door.accounts.settings(account)
        return [str(one["id"]) for one in self.door.payouts.sweep(account, settings)]

    @one_at_a_time
    def report(self, kind: str, account: str = PLATFORM) -> bytes:
        """A report over all of an account's time so far, as Stripe's CSV."""
        return self.door.reports.csv(kind, account, start=0, end=self.world.stamp + 1)

    @one_at_a_time
    def payout_outcome(self, payout: str, bank: str) -> Obj:
        """What the bank does with one payout; at once if it is paid already."""
        return self._done(self.door.payouts.outcome(payout, bank))

    @one_at_a_time
    def topup_outcome(self, topup: str, to: str) -> Obj:
        """succeeded, failed, reversed."""
        return self._done(self.door.topups.outcome(topup, to))

    @one_at_a_time
    def verify(
        self,
        account: str,
        *,
        status: str = "active",
        payouts: bool | None = None,
        asked: tuple[str, ...] | list[str] = (),
        deadline: str | datetime | None = None,
    ) -> Obj:
        """What Stripe knows of a payee by now."""
        due = datetime.fromisoformat(deadline) if isinstance(deadline, str) else deadline
        known = self.door.accounts.verify(
            account, status=status, payouts=payouts, asked=tuple(asked), deadline=due
        )
        return self._done(known)

    @one_at_a_time
    def deauthorize(self, account: str) -> Obj:
        """A payee takes our access to his account away; his money stays where it is."""
        self.door.accounts.deauthorize(account)
        return {}

    @one_at_a_time
    def reserve(self, amount: int, currency: str, account: str = PLATFORM) -> Obj:
        """Stripe sets money aside."""
        return self._done(self.platform.reserve(amount, currency, account=account))

    @one_at_a_time
    def release_reserve(self, hold: str, amount: int = 0) -> Obj:
        """Stripe gives money back that it set aside; 0: all of it."""
        return self._done(self.platform.release(hold, amount=amount))

    @one_at_a_time
    def bill(self, amount: int, currency: str) -> Obj:
        """Stripe takes a fee that belongs to no payment."""
        return self._done(self.platform.bill(amount, currency))

    def deliver(self, limit: int | None = None) -> int:
        """Deliver the webhooks that wait; how many were sent."""
        return self.deliveries.deliver(limit=limit)

    def delivery(self, **said: Any) -> Obj:
        """How webhooks are delivered: order, duplicate, drop, and the urls of endpoints."""
        for endpoint, url in said.pop("urls", {}).items():
            self.deliveries.post_to(url, endpoint=endpoint)
        for name, value in said.items():
            assert name in {"order", "duplicate", "drop"}, name
            setattr(self.deliveries, name, Order(value) if name == "order" else value)
        return {}

    @one_at_a_time
    def balances(self) -> dict[str, dict[str, dict[str, int]]]:
        """Every account's available, pending and reserved money by currency, in minor units.

        Recounted from the balance transactions; it must agree with what was kept as money moved.
        """
        counted = {}
        for account, ledger in self.world.ledgers.items():
            recounted = self.world.recount(account)
            assert {c: held for c, held in ledger.money.items() if c in recounted} == recounted
            counted[account] = {currency: asdict(held) for currency, held in recounted.items()}
        return counted

    @one_at_a_time
    def objects_of(self, op_id: str) -> list[tuple[str, str, str]]:
        """The objects that move money for an operation: (account, kind, id)."""
        return self.world.objects_of(op_id)

    @one_at_a_time
    def operations_twice(self) -> dict[str, int]:
        """Operations with more than one object; there may be none."""
        return self.world.operations_twice()

    def violations(self) -> list[str]:
        """What was wrong with calls and with answers, and the double's own errors."""
        return [*self.door.violations, *(repr(error) for error in self.frame.broken)]

    def _done(self, obj: Obj) -> Obj:
        return self.world.public(obj)
