"""PaymentIntents and their charges: confirmed, declined, authenticated, held, captured, cleared.

Not sure of a real Stripe (no sandbox was asked): that a hold which was let go shows its charge as
refunded, and that the second balance transaction of a partial capture has the charge as source.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from tests.doubles.stripe_double import money
from tests.doubles.stripe_double.trouble import StripeError
from tests.doubles.stripe_double.world import PLATFORM, Obj, World, merged

HOLD: Final = timedelta(days=7)
DEBIT_CLEARS: Final = timedelta(days=4)


@dataclass(frozen=True, slots=True)
class Method:
    """A test payment method: what happens to whoever pays with it."""

    kind: str = "card"
    decline: tuple[str, str] | None = None
    authenticate: bool = False
    never_off_session: bool = False
    at_once: bool = False
    clears: bool = True
    refund: str = "succeeded"
    dispute: str = ""


def _declined(code: str, decline: str = "") -> Method:
    return Method(decline=(code, decline))


METHODS: Final = {
    "pm_card_visa": Method(),
    "pm_card_mastercard": Method(),
    "pm_card_amex": Method(),
    "pm_card_bypassPending": Method(at_once=True),
    "pm_card_chargeDeclined": _declined("card_declined", "generic_decline"),
    "pm_card_visa_chargeDeclined": _declined("card_declined", "generic_decline"),
    "pm_card_chargeDeclinedInsufficientFunds": _declined("card_declined", "insufficient_funds"),
    "pm_card_visa_chargeDeclinedInsufficientFunds": _declined(
        "card_declined", "insufficient_funds"
    ),
    "pm_card_chargeDeclinedExpiredCard": _declined("expired_card"),
    "pm_card_chargeDeclinedProcessingError": _declined("processing_error"),
    "pm_card_authenticationRequired": Method(authenticate=True),
    "pm_card_threeDSecure2Required": Method(authenticate=True, never_off_session=True),
    "pm_card_createDispute": Method(dispute="fraudulent"),
    "pm_card_createDisputeInquiry": Method(dispute="warning"),
    "pm_card_pendingRefund": Method(refund="pending"),
    "pm_card_refundFail": Method(refund="failed"),
    "pm_usBankAccount_success": Method(kind="us_bank_account"),
    "pm_usBankAccount_insufficientFunds": Method(kind="us_bank_account", clears=False),
    "pm_success_de": Method(kind="sepa_debit"),
    "pm_failed_de": Method(kind="sepa_debit", clears=False),
}


class Payments:
    """What Stripe does with PaymentIntents and Charges of the platform."""

    def __init__(self, world: World) -> None:
        """On a world that others play on too."""
        self.world = world
        self.on_disputed: list[Any] = []

    def create(self, account: str, params: Obj) -> Obj:
        """A new PaymentIntent, confirmed at once if asked."""
        currency, amount = params["currency"], params["amount"]
        money.check(amount, currency, smallest=money.smallest_payment(currency))
        if "payment_method" in params:
            method_of(params["payment_method"])
        intent = self.world.add(account, self._new_intent(params))
        self.world.emit(account, "payment_intent.created", intent)
        if params.get("confirm"):
            return self.confirm(account, intent["id"], params)
        return intent

    def _new_intent(self, params: Obj) -> Obj:
        identifier = self.world.new_id("payment_intent")
        automatic = params.get("automatic_payment_methods")
        named = params.get("payment_method")
        kinds = params.get("payment_method_types")
        return {
            "id": identifier,
            "object": "payment_intent",
            "amount": params["amount"],
            "amount_capturable": 0,
            "amount_received": 0,
            "application": None,
            "automatic_payment_methods": automatic,
            "canceled_at": None,
            "cancellation_reason": None,
            "capture_method": params.get("capture_method", "automatic_async"),
            "client_secret": f"{identifier}_secret_sim",
            "confirmation_method": params.get("confirmation_method", "automatic"),
            "created": self.world.stamp,
            "currency": params["currency"],
            "customer": params.get("customer"),
            "description": params.get("description"),
            "last_payment_error": None,
            "latest_charge": None,
            "livemode": False,
            "metadata": merged({}, params.get("metadata", {})),
            "next_action": None,
            "on_behalf_of": None,
            "payment_method": named,
            "payment_method_types": kinds or ["card", "us_bank_account", "sepa_debit"],
            "processing": None,
            "receipt_email": params.get("receipt_email"),
            "statement_descriptor": params.get("statement_descriptor"),
            "statement_descriptor_suffix": params.get("statement_descriptor_suffix"),
            "status": "requires_confirmation" if named else "requires_payment_method",
            "transfer_data": None,
            "transfer_group": params.get("transfer_group"),
        }

    def update(self, account: str, identifier: str, params: Obj) -> Obj:
        """Change what may still change."""
        intent = self.world.get(account, "payment_intent", identifier)
        _not_before(intent, params, {"amount", "currency"})
        if "metadata" in params:
            intent["metadata"] = merged(intent["metadata"], params["metadata"])
        for name in ("amount", "description", "transfer_group", "payment_method"):
            if name in params:
                intent[name] = params[name]
        money.check(intent["amount"], intent["currency"])
        return intent

    def confirm(self, account: str, identifier: str, params: Obj) -> Obj:
        """Try to pay; StripeError (402) if the bank says no."""
        intent = self.world.get(account, "payment_intent", identifier)
        _require(intent, "requires_payment_method", "requires_confirmation", "requires_action")
        name = params.get("payment_method") or intent["payment_method"]
        if not name:
            message = "You cannot confirm this PaymentIntent because it's missing a payment method."
            raise StripeError(400, "payment_intent_unexpected_state", message)
        method = method_of(name)
        intent |= {"payment_method": name, "next_action": None, "last_payment_error": None}
        if method.authenticate and not params.get("_authenticated"):
            if params.get("off_session") and method.never_off_session:
                why = ("authentication_required", "authentication_required")
                raise self._decline(account, intent, why)
            return self._ask(account, intent)
        if method.decline is not None:
            raise self._decline(account, intent, method.decline)
        if method.kind != "card":
            return self._start_debit(account, intent, method)
        charge = self._new_charge(account, intent, method)
        if intent["capture_method"] == "manual":
            return self._hold(account, intent, charge)
        self._succeed(account, intent, charge, method)
        return intent

    def _ask(self, account: str, intent: Obj) -> Obj:
        intent["status"] = "requires_action"
        url = f"https://hooks.stripe.com/3d_secure_2/{intent['id']}"
        intent["next_action"] = {
            "type": "redirect_to_url",
            "redirect_to_url": {"url": url, "return_url": None},
        }
        self.world.emit(account, "payment_intent.requires_action", intent)
        return intent

    def _decline(self, account: str, intent: Obj, why: tuple[str, str]) -> StripeError:
        charge = self._new_charge(account, intent, method_of(intent["payment_method"]))
        charge |= {"status": "failed", "paid": False, "captured": False, "amount_captured": 0}
        error = self._fail(account, intent, charge, code=why[0], decline=why[1])
        shown = self.world.public(intent)
        return StripeError(
            402,
            why[0],
            error["message"],
            kind="card_error",
            charge=charge["id"],
            payment_intent=shown,
            **({"decline_code": why[1]} if why[1] else {}),
        )

    def _fail(self, account: str, intent: Obj, charge: Obj, *, code: str, decline: str) -> Obj:
        """The payment failed: the intent wants another method."""
        error: Obj = {"code": code, "message": "Your payment was declined.", "type": "card_error"}
        error["charge"] = charge["id"]
        if decline:
            error["decline_code"] = decline
        charge |= {"failure_code": code, "failure_message": error["message"]}
        intent |= {
            "status": "requires_payment_method",
            "last_payment_error": error,
            "payment_method": None,
            "processing": None,
        }
        self.world.emit(account, "charge.failed", charge)
        self.world.emit(account, "payment_intent.payment_failed", intent)
        return error

    def _new_charge(self, account: str, intent: Obj, method: Method) -> Obj:
        prefix = "ch" if method.kind == "card" else "py"
        charge: Obj = {
            "id": self.world.new_id("charge", prefix),
            "object": "charge",
            "amount": intent["amount"],
            "amount_captured": intent["amount"],
            "amount_refunded": 0,
            "balance_transaction": None,
            "billing_details": {
                "address": None,
                "email": None,
                "name": None,
                "phone": None,
                "tax_id": None,
            },
            "captured": True,
            "created": self.world.stamp,
            "currency": intent["currency"],
            "customer": intent["customer"],
            "description": intent["description"],
            "disputed": False,
            "failure_balance_transaction": None,
            "failure_code": None,
            "failure_message": None,
            "livemode": False,
            "metadata": dict(intent["metadata"]),
            "paid": True,
            "payment_intent": intent["id"],
            "payment_method": intent["payment_method"],
            "payment_method_details": _details(method),
            "refunded": False,
            "status": "succeeded",
            "transfer_group": intent["transfer_group"],
            "_transferred": 0,
            "_method": method,
        }
        intent["latest_charge"] = charge["id"]
        return self.world.add(account, charge)

    def _succeed(self, account: str, intent: Obj, charge: Obj, method: Method) -> None:
        self._book(account, charge, charge["amount"], at_once=method.at_once)
        intent |= {"status": "succeeded", "amount_received": charge["amount"], "processing": None}
        self.world.emit(account, "charge.succeeded", charge)
        self.world.emit(account, "payment_intent.succeeded", intent)
        self.world.emit(account, "charge.updated", charge, previous={"balance_transaction": None})
        if method.dispute:
            for open_dispute in self.on_disputed:
                open_dispute(charge["id"], method.dispute)

    def _book(self, account: str, charge: Obj, captured: int, *, at_once: bool) -> None:
        """The charge's balance transaction, its fee on what was captured."""
        world, currency = self.world, charge["currency"]
        is_card = charge["payment_method_details"]["type"] == "card"
        settles = timedelta() if at_once else world.settles_after
        when = world.clock.now + settles
        if settles:
            when = datetime.combine(when.astimezone(UTC).date(), datetime.min.time(), UTC)
        txn = world.post(
            account,
            kind="charge" if is_card else "payment",
            category="charge",
            amount=charge["amount"],
            currency=currency,
            source=charge["id"],
            fee=world.price.of_payment(captured, currency),
            available_at=when,
        )
        charge["balance_transaction"] = txn["id"]
        if captured != charge["amount"]:
            world.post(
                account,
                kind="refund",
                category="partial_capture_reversal",
                amount=captured - charge["amount"],
                currency=currency,
                source=charge["id"],
                available_at=when,
            )

    def _hold(self, account: str, intent: Obj, charge: Obj) -> Obj:
        until = self.world.clock.now + HOLD
        charge |= {"captured": False, "amount_captured": 0}
        charge["payment_method_details"]["card"]["capture_before"] = int(until.timestamp())
        intent |= {"status": "requires_capture", "amount_capturable": intent["amount"]}
        self.world.clock.at(until, lambda: self._expire(account, intent, charge))
        self.world.emit(account, "charge.succeeded", charge)
        self.world.emit(account, "payment_intent.amount_capturable_updated", intent)
        return intent

    def _expire(self, account: str, intent: Obj, charge: Obj) -> None:
        if intent["status"] == "requires_capture" and intent["latest_charge"] == charge["id"]:
            self._let_go(account, intent, charge)
            self.world.emit(account, "charge.expired", charge)
            self._end(account, intent, "expired")

    def _let_go(self, account: str, intent: Obj, charge: Obj) -> None:
        del account
        charge |= {"refunded": True, "amount_refunded": charge["amount"]}
        intent["amount_capturable"] = 0

    def _end(self, account: str, intent: Obj, reason: str | None) -> None:
        intent |= {
            "status": "canceled",
            "canceled_at": self.world.stamp,
            "cancellation_reason": reason,
        }
        self.world.emit(account, "payment_intent.canceled", intent)

    def capture(self, account: str, identifier: str, params: Obj) -> Obj:
        """Take what was held, or a part of it; the rest is let go."""
        intent = self.world.get(account, "payment_intent", identifier)
        if intent["cancellation_reason"] == "expired":
            message = "The authorization for this charge has expired."
            raise StripeError(400, "charge_expired_for_capture", message)
        _require(intent, "requires_capture")
        held: int = intent["amount_capturable"]
        amount: int = params.get("amount_to_capture", held)
        if amount > held:
            message = "The amount to capture is greater than what is authorised."
            raise StripeError(400, "amount_too_large", message, param="amount_to_capture")
        money.check(amount, intent["currency"])
        charge = self.world.get(account, "charge", intent["latest_charge"])
        charge |= {"captured": True, "amount_captured": amount}
        charge["amount_refunded"] = charge["amount"] - amount
        self._book(account, charge, amount, at_once=charge["_method"].at_once)
        intent |= {"status": "succeeded", "amount_received": amount, "amount_capturable": 0}
        self.world.emit(account, "charge.captured", charge)
        self.world.emit(account, "payment_intent.succeeded", intent)
        return intent

    def cancel(self, account: str, identifier: str, params: Obj) -> Obj:
        """End a PaymentIntent that is not paid; what it held is let go."""
        intent = self.world.get(account, "payment_intent", identifier)
        if intent["status"] in {"succeeded", "canceled", "processing"}:
            raise _unexpected(intent, "canceled")
        if intent["status"] == "requires_capture":
            charge = self.world.get(account, "charge", intent["latest_charge"])
            self._let_go(account, intent, charge)
            self.world.emit(account, "charge.refunded", charge)
        self._end(account, intent, params.get("cancellation_reason"))
        return intent

    def _start_debit(self, account: str, intent: Obj, method: Method) -> Obj:
        """A bank debit: it clears or fails days later."""
        charge = self._new_charge(account, intent, method)
        charge |= {"status": "pending", "paid": False}
        intent["status"] = "processing"
        self.world.emit(account, "charge.pending", charge)
        self.world.emit(account, "payment_intent.processing", intent)
        self.world.clock.after(
            DEBIT_CLEARS, lambda: self.debit(charge["id"], clears=method.clears, by_itself=True)
        )
        return intent

    def debit(self, charge_id: str, *, clears: bool, by_itself: bool = False) -> Obj:
        """The bank's word on a debit: paid, or not; by itself it says nothing twice."""
        account, charge = self.world.find(charge_id)
        if charge["status"] != "pending":
            if by_itself:
                return charge
            raise KeyError(f"{charge_id} is not pending")
        intent = self.world.get(account, "payment_intent", charge["payment_intent"])
        if clears:
            charge |= {"status": "succeeded", "paid": True}
            self._succeed(account, intent, charge, charge["_method"])
        else:
            charge |= {"status": "failed", "captured": False, "amount_captured": 0}
            self._fail(account, intent, charge, code="insufficient_funds", decline="")
        return charge

    def fail_late(self, charge_id: str) -> Obj:
        """The bank takes a cleared debit back: payment_failure_refund, without our fee."""
        account, charge = self.world.find(charge_id)
        assert charge["status"] == "succeeded"
        assert charge["payment_method_details"]["type"] != "card"
        txn = self.world.post(
            account,
            kind="payment_failure_refund",
            category="charge_failure",
            amount=charge["amount_refunded"] - charge["amount"],
            currency=charge["currency"],
            source=charge["id"],
        )
        charge |= {
            "status": "failed",
            "paid": False,
            "failure_balance_transaction": txn["id"],
        }
        intent = self.world.get(account, "payment_intent", charge["payment_intent"])
        intent["amount_received"] = 0
        self._fail(account, intent, charge, code="insufficient_funds", decline="")
        return charge

    def pay(self, intent_id: str, method: str = "pm_card_visa") -> Obj:
        """What the payer does on the page: confirm with a method. A decline is seen in it."""
        try:
            return self.confirm(PLATFORM, intent_id, {"payment_method": method})
        except StripeError as refused:
            if refused.status != 402:
                raise
            return self.world.get(PLATFORM, "payment_intent", intent_id)

    def authenticate(self, intent_id: str, *, passed: bool = True) -> Obj:
        """What the payer does at his bank's page."""
        intent = self.world.get(PLATFORM, "payment_intent", intent_id)
        _require(intent, "requires_action")
        if passed:
            return self.confirm(PLATFORM, intent_id, {"_authenticated": True})
        charge = self._new_charge(PLATFORM, intent, method_of(intent["payment_method"]))
        charge |= {"status": "failed", "paid": False, "captured": False, "amount_captured": 0}
        code = "payment_intent_authentication_failure"
        self._fail(PLATFORM, intent, charge, code=code, decline="")
        intent["next_action"] = None
        return intent


def method_of(name: str) -> Method:
    """A test payment method; StripeError if there is none of this name."""
    if name not in METHODS:
        message = f"No such PaymentMethod: '{name}'"
        raise StripeError(404, "resource_missing", message, param="payment_method")
    return METHODS[name]


def _details(method: Method) -> Obj:
    if method.kind != "card":
        return {"type": method.kind, method.kind: {"last4": "6789"}}
    card = {"brand": "visa", "country": "US", "exp_month": 12, "exp_year": 2034, "last4": "4242"}
    return {"type": "card", "card": card}


def _require(intent: Obj, *statuses: str) -> None:
    if intent["status"] not in statuses:
        raise _unexpected(intent, "used")


def _unexpected(intent: Obj, done: str) -> StripeError:
    message = f"This PaymentIntent could not be {done} because its status is {intent['status']}."
    return StripeError(400, "payment_intent_unexpected_state", message)


def _not_before(intent: Obj, params: Obj, names: set[str]) -> None:
    settled = intent["status"] in {"succeeded", "canceled", "processing", "requires_capture"}
    if settled and names & set(params):
        raise _unexpected(intent, "updated")
