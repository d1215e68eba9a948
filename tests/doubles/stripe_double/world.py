"""The double's state: accounts, their objects, their balance transactions and their events."""

import copy
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any, Final

from tests.doubles.contract import reporting_categories
from tests.doubles.frame import Clock
from tests.doubles.stripe_double.money import Price, rounded
from tests.doubles.stripe_double.trouble import StripeError, missing

Obj = dict[str, Any]
PLATFORM: Final = "acct_platform"
API_VERSION: Final = "2026-10-28.endive"

# How an id begins, by the `object` that it names.
PREFIXES: Final[Mapping[str, str]] = {
    "payment_intent": "pi",
    "charge": "ch",
    "balance_transaction": "txn",
    "transfer": "tr",
    "transfer_reversal": "trr",
    "refund": "re",
    "payout": "po",
    "topup": "tu",
    "dispute": "du",
    "event": "evt",
    "v2.core.event": "evt_v2",
    "account": "acct",
    "payment_method": "pm",
    "reserve.hold": "resrvhold",
    "reserve.release": "resrvrel",
    "radar.early_fraud_warning": "issfr",
    "bank_account": "ba",
}
MONEY_KINDS: Final = frozenset(
    "payment_intent transfer transfer_reversal refund payout topup".split()
)


@dataclass(slots=True)
class Holdings:
    """Money of one account in one currency, in minor units, kept as it moves."""

    available: int = 0
    pending: int = 0
    reserved: int = 0


@dataclass(slots=True)
class Ledger:
    """All that one account has: its objects by id in the order they came, and its money."""

    id: str
    objects: dict[str, Obj] = field(default_factory=dict)
    money: dict[str, Holdings] = field(default_factory=dict)
    bank: str = "success"
    settings: Obj = field(default_factory=dict)
    is_ours: bool = True

    def holdings(self, currency: str) -> Holdings:
        """The money in a currency; made when first asked for."""
        return self.money.setdefault(currency, Holdings())

    def all_of(self, kind: str) -> Iterator[Obj]:
        """Its objects of a kind, oldest first."""
        return (one for one in self.objects.values() if one["object"] == kind)


class World:
    """Everything at Stripe. Each method is called under the frame's lock."""

    def __init__(self, clock: Clock) -> None:
        """An empty platform account."""
        self.clock = clock
        self.price = Price()
        self.settles_after = timedelta(days=2)
        self.settles: dict[str, tuple[str, Fraction]] = {}
        self.ledgers: dict[str, Ledger] = {PLATFORM: Ledger(PLATFORM)}
        self._numbers = itertools.count(1)
        self.on_event: list[Callable[[str, Obj], None]] = []
        self.on_funds: list[Callable[[str], None]] = []
        self.request: Obj = {"id": None, "idempotency_key": None}

    @property
    def stamp(self) -> int:
        """The clock's time as Stripe writes it."""
        return int(self.clock.now.timestamp())

    def iso(self, when: datetime | None = None) -> str:
        """A time as v2 writes it."""
        return (when or self.clock.now).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"

    def ledger(self, account: str) -> Ledger:
        """An account's; StripeError if there is none."""
        if account not in self.ledgers:
            message = f"The provided key does not have access to account '{account}'"
            raise StripeError(403, "account_invalid", message)
        return self.ledgers[account]

    def new_id(self, kind: str, prefix: str = "") -> str:
        """An id never given before."""
        return f"{prefix or PREFIXES[kind]}_{next(self._numbers):06d}sim"

    def add(self, account: str, obj: Obj) -> Obj:
        """Keep a new object in an account."""
        self.ledger(account).objects[obj["id"]] = obj
        return obj

    def get(self, account: str, kind: str, identifier: str) -> Obj:
        """An object of an account; StripeError (404) if it has none such."""
        found = self.ledger(account).objects.get(identifier)
        if found is None or found["object"] != kind:
            raise missing(kind, identifier)
        return found

    def find(self, identifier: str) -> tuple[str, Obj]:
        """An object wherever it is, and its account. KeyError if it is nowhere."""
        for account, ledger in self.ledgers.items():
            if identifier in ledger.objects:
                return account, ledger.objects[identifier]
        raise KeyError(identifier)

    def post(
        self,
        account: str,
        *,
        kind: str,
        category: str,
        amount: int,
        currency: str,
        source: str | None,
        fee: int = 0,
        available_at: datetime | None = None,
        balance_type: str = "payments",
        description: str | None = None,
    ) -> Obj:
        """Move money of an account: `amount` (minor units, signed) less `fee` is what it gets."""
        assert category in reporting_categories(), category
        when = max(available_at or self.clock.now, self.clock.now).replace(microsecond=0)
        rate = self.settles[currency][1] if self._is_exchanged(account, currency) else None
        amount, into = self.settled(account, amount, currency)
        fee, currency = self.settled(account, fee, currency)[0], into
        txn: Obj = {
            "id": self.new_id("balance_transaction"),
            "object": "balance_transaction",
            "amount": amount,
            "available_on": int(when.timestamp()),
            "balance_type": balance_type,
            "created": self.stamp,
            "currency": currency,
            "description": description,
            "exchange_rate": None if rate is None else float(rate),
            "fee": fee,
            "fee_details": _fee_details(fee, currency),
            "net": amount - fee,
            "reporting_category": category,
            "source": source,
            "type": kind,
        }
        self.add(account, txn)
        self._move(account, txn, when)
        return txn

    def _is_exchanged(self, account: str, currency: str) -> bool:
        return account == PLATFORM and currency in self.settles

    def settled(self, account: str, amount: int, currency: str) -> tuple[int, str]:
        """An amount (minor units) in the currency that the account keeps it in, and that one."""
        if not self._is_exchanged(account, currency):
            return amount, currency
        into, rate = self.settles[currency]
        return rounded(amount * rate, into), into

    def _move(self, account: str, txn: Obj, when: datetime) -> None:
        holdings, net = self.ledger(account).holdings(txn["currency"]), txn["net"]
        if txn["balance_type"] != "payments":
            holdings.reserved += net
        elif txn["available_on"] <= self.stamp:
            holdings.available += net
            self._tell_of_funds(account, net)
        else:
            holdings.pending += net
            self.clock.at(when, lambda: self._settle(account, txn))

    def _settle(self, account: str, txn: Obj) -> None:
        holdings = self.ledger(account).holdings(txn["currency"])
        holdings.pending -= txn["net"]
        holdings.available += txn["net"]
        self.emit(account, "balance.available", self.balance(account))
        self._tell_of_funds(account, txn["net"])

    def balance(self, account: str) -> Obj:
        """What an account has, by currency, as Stripe shows it."""
        money = sorted(self.ledger(account).money.items())
        shown: Obj = {
            "object": "balance",
            "available": [_line(currency, held.available) for currency, held in money],
            "livemode": False,
            "pending": [_line(currency, held.pending) for currency, held in money],
        }
        if account == PLATFORM:
            shown["connect_reserved"] = [_line(currency, 0) for currency, _ in money]
        return shown

    def _tell_of_funds(self, account: str, net: int) -> None:
        if net > 0:
            self.clock.at(self.clock.now, lambda: self._hear_of_funds(account))

    def _hear_of_funds(self, account: str) -> None:
        for hear in self.on_funds:
            hear(account)

    def public(self, obj: Obj) -> Obj:
        """An object as it goes over the wire: without our own notes, its status as of now."""
        shown = {name: copy.deepcopy(v) for name, v in obj.items() if not name.startswith("_")}
        if obj["object"] == "balance_transaction":
            shown["status"] = "pending" if obj["available_on"] > self.stamp else "available"
        if obj["object"] == "dispute":
            ledger = self.ledgers[obj["_account"]]
            shown["balance_transactions"] = [
                self.public(ledger.objects[txn]) for txn in obj["balance_transactions"]
            ]
        return shown

    def emit(self, account: str, kind: str, obj: Obj, *, previous: Obj | None = None) -> Obj:
        """Keep a snapshot event in the account that it happened in, and tell who listens."""
        data: Obj = {"object": self.public(obj)}
        if previous:
            data["previous_attributes"] = previous
        event: Obj = {
            "id": self.new_id("event"),
            "object": "event",
            "api_version": API_VERSION,
            "created": self.stamp,
            "data": data,
            "livemode": False,
            "pending_webhooks": 1,
            "request": dict(self.request),
            "type": kind,
        }
        if account != PLATFORM:
            event["account"] = account
        self.add(account, event)
        for hear in self.on_event:
            hear(account, event)
        return event

    def emit_thin(self, kind: str, related: Obj, *, data: Obj | None = None) -> Obj:
        """Keep a v2 event on the platform; what it is about is named and not shown."""
        event: Obj = {
            "id": self.new_id("v2.core.event"),
            "object": "v2.core.event",
            "context": None,
            "created": self.iso(),
            "livemode": False,
            "reason": None,
            "related_object": related,
            "type": kind,
            "changes": None,
            **({"data": data} if data else {}),
        }
        self.add(PLATFORM, event)
        for hear in self.on_event:
            hear(PLATFORM, event)
        return event

    def need(self, account: str, *, amount: int, currency: str) -> None:
        """Refuse what an account's available money, in this very currency, does not cover."""
        if self.ledger(account).holdings(currency).available < amount:
            message = "You have insufficient available funds in your Stripe account."
            raise StripeError(400, "balance_insufficient", message)

    def recount(self, account: str) -> dict[str, Holdings]:
        """An account's money by currency, from its balance transactions alone."""
        counted: dict[str, Holdings] = {}
        for txn in self.ledger(account).all_of("balance_transaction"):
            held = counted.setdefault(txn["currency"], Holdings())
            if txn["balance_type"] != "payments":
                held.reserved += txn["net"]
            elif txn["available_on"] <= self.stamp:
                held.available += txn["net"]
            else:
                held.pending += txn["net"]
        return counted

    def objects_of(self, op_id: str) -> list[tuple[str, str, str]]:
        """The (account, kind, id) of every object that moves money for an operation of ours."""
        return [
            (account, one["object"], one["id"])
            for account, ledger in self.ledgers.items()
            for one in ledger.objects.values()
            if one["object"] in MONEY_KINDS and (one["metadata"] or {}).get("op_id") == op_id
        ]

    def operations_twice(self) -> dict[str, int]:
        """Operations (`op_id`) that more than one object carries, which none may."""
        counted = Counter(
            one["metadata"]["op_id"]
            for ledger in self.ledgers.values()
            for one in ledger.objects.values()
            if one["object"] in MONEY_KINDS and "op_id" in (one["metadata"] or {})
        )
        return {op_id: count for op_id, count in counted.items() if count > 1}


def _line(currency: str, amount: int) -> Obj:
    return {"amount": amount, "currency": currency, "source_types": {"card": amount}}


def _fee_details(fee: int, currency: str) -> list[Obj]:
    if not fee:
        return []
    return [
        {
            "amount": fee,
            "application": None,
            "currency": currency,
            "description": "Stripe processing fees",
            "type": "stripe_fee",
        }
    ]


def merged(old: Mapping[str, str] | None, new: Mapping[str, str] | str) -> dict[str, str]:
    """Metadata after an update: an empty value takes a key away, "" all of them."""
    if isinstance(new, str):
        return {}
    return {key: value for key, value in {**(old or {}), **new}.items() if value != ""}


def page_of(data: Iterable[Obj], url: str) -> Obj:
    """A whole list inside an object."""
    return {"object": "list", "data": list(data), "has_more": False, "url": url}
