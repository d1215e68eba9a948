"""Transfers to payees' accounts and back, refunds to payers, and top-ups of the platform."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from tests.doubles.stripe_double import money
from tests.doubles.stripe_double.trouble import StripeError, missing
from tests.doubles.stripe_double.world import PLATFORM, Obj, World, merged, page_of

REFUND_PENDS: Final = timedelta(days=1)
NO_CHARGEBACK: Final = frozenset(
    "won warning_needs_response warning_under_review warning_closed prevented".split()
)
TOPUP_TAKES: Final = timedelta(days=1)


class Transfers:
    """What Stripe does with Transfers and their reversals."""

    def __init__(self, world: World, may_receive: Any) -> None:
        """`may_receive` says whether an account may be sent money."""
        self.world = world
        self._may_receive = may_receive

    def create(self, account: str, params: Obj) -> Obj:
        """Send platform money to a payee's account."""
        world, currency = self.world, params["currency"]
        destination = params["destination"]
        if account != PLATFORM or destination not in world.ledgers or destination == PLATFORM:
            raise missing("destination", destination)
        if not self._may_receive(destination):
            message = "Your destination account needs the transfers capability enabled."
            raise StripeError(400, "transfers_not_allowed", message, param="destination")
        charge = self._source(account, params)
        amount = int(params["amount"] if "amount" in params or not charge else charge["amount"])
        money.check(amount, currency)
        when = self._covered(account, charge, amount=amount, currency=currency)
        transfer = world.add(account, _new_transfer(world, params, amount))
        if charge is not None:
            charge["_transferred"] += amount
            transfer["transfer_group"] = transfer["transfer_group"] or charge["transfer_group"]
        self._book(account, transfer, when)
        world.emit(account, "transfer.created", transfer)
        return transfer

    def _source(self, account: str, params: Obj) -> Obj | None:
        if "source_transaction" not in params:
            return None
        source = params["source_transaction"]
        charge = self.world.ledger(account).objects.get(source)
        if charge is None or charge["object"] != "charge":
            raise missing("charge", source)
        if charge["status"] != "succeeded" or not charge["captured"]:
            message = "The source charge is not a successful, captured one."
            raise StripeError(400, "charge_invalid_parameter", message, param="source_transaction")
        txn = self.world.get(account, "balance_transaction", charge["balance_transaction"])
        if txn["currency"] != params["currency"]:
            message = "The currency is not that of the source's balance transaction."
            raise StripeError(400, "transfer_source_balance_parameters_mismatch", message)
        return charge

    def _covered(self, account: str, charge: Obj | None, *, amount: int, currency: str) -> datetime:
        """When the money may be used there; StripeError if it is not there to be sent."""
        world = self.world
        if charge is None:
            world.need(account, amount=amount, currency=currency)
            return world.clock.now
        most, _ = world.settled(account, charge["amount_captured"], charge["currency"])
        if charge["_transferred"] + amount > most:
            message = "Transfers using this transaction as a source must not exceed the source."
            raise StripeError(400, "charge_exceeds_source_limit", message, param="amount")
        txn = world.get(account, "balance_transaction", charge["balance_transaction"])
        if txn["available_on"] <= world.stamp:
            world.need(account, amount=amount, currency=currency)
        return datetime.fromtimestamp(txn["available_on"], UTC)

    def _book(self, account: str, transfer: Obj, when: datetime) -> None:
        world, amount, currency = self.world, transfer["amount"], transfer["currency"]
        destination = transfer["destination"]
        out = world.post(
            account,
            kind="transfer",
            category="transfer",
            amount=-amount,
            currency=currency,
            source=transfer["id"],
            available_at=when,
        )
        payment = world.add(destination, _payment(world, transfer))
        into = world.post(
            destination,
            kind="payment",
            category="charge",
            amount=amount,
            currency=currency,
            source=payment["id"],
            available_at=when,
        )
        payment["balance_transaction"] = into["id"]
        transfer |= {"balance_transaction": out["id"], "destination_payment": payment["id"]}

    def reverse(self, account: str, identifier: str, params: Obj) -> Obj:
        """Take a transfer back, or a part; the payee's available money must cover it."""
        world = self.world
        transfer = world.get(account, "transfer", identifier)
        left = transfer["amount"] - transfer["amount_reversed"]
        amount, currency = params.get("amount", left), transfer["currency"]
        money.check(amount, currency)
        if amount > left:
            message = f"Reversal amount is greater than unreversed amount {left}."
            raise StripeError(400, "amount_too_large", message, param="amount")
        when = self._there(transfer, amount)
        reversal: Obj = {
            "id": world.new_id("transfer_reversal"),
            "object": "transfer_reversal",
            "amount": amount,
            "created": world.stamp,
            "currency": currency,
            "destination_payment_refund": None,
            "metadata": merged({}, params.get("metadata", {})),
            "source_refund": None,
            "transfer": identifier,
        }
        self._book_back(account, transfer, reversal, when)
        world.add(account, reversal)
        transfer["amount_reversed"] += amount
        transfer["reversed"] = transfer["amount_reversed"] == transfer["amount"]
        transfer["reversals"]["data"].insert(0, world.public(reversal))
        world.emit(account, "transfer.reversed", transfer)
        return reversal

    def _there(self, transfer: Obj, amount: int) -> datetime:
        """Since when the money counts that is taken back: its own time if still pending."""
        world, destination = self.world, transfer["destination"]
        payment = world.get(destination, "charge", transfer["destination_payment"])
        into = world.get(destination, "balance_transaction", payment["balance_transaction"])
        if into["available_on"] <= world.stamp:
            world.need(destination, amount=amount, currency=transfer["currency"])
        return datetime.fromtimestamp(into["available_on"], UTC)

    def _book_back(self, account: str, transfer: Obj, reversal: Obj, when: datetime) -> None:
        world, amount, currency = self.world, reversal["amount"], reversal["currency"]
        home = world.post(
            account,
            kind="transfer_refund",
            category="transfer_reversal",
            amount=amount,
            currency=currency,
            source=reversal["id"],
            available_at=when,
        )
        reversal["balance_transaction"] = home["id"]
        world.post(
            transfer["destination"],
            kind="payment_refund",
            category="refund",
            amount=-amount,
            currency=currency,
            source=transfer["destination_payment"],
            available_at=when,
        )
        payment = world.get(transfer["destination"], "charge", transfer["destination_payment"])
        payment["amount_refunded"] += amount
        payment["refunded"] = payment["amount_refunded"] == payment["amount"]


def _new_transfer(world: World, params: Obj, amount: int) -> Obj:
    identifier = world.new_id("transfer")
    return {
        "id": identifier,
        "object": "transfer",
        "amount": amount,
        "amount_reversed": 0,
        "balance_transaction": None,
        "created": world.stamp,
        "currency": params["currency"],
        "description": params.get("description"),
        "destination": params["destination"],
        "destination_payment": None,
        "livemode": False,
        "metadata": merged({}, params.get("metadata", {})),
        "reversals": page_of([], f"/v1/transfers/{identifier}/reversals"),
        "reversed": False,
        "source_transaction": params.get("source_transaction"),
        "source_type": "card",
        "transfer_group": params.get("transfer_group"),
    }


def _payment(world: World, transfer: Obj) -> Obj:
    """What the payee's account sees of a transfer."""
    nobody = {"address": None, "email": None, "name": None, "phone": None, "tax_id": None}
    return {
        "id": world.new_id("charge", "py"),
        "object": "charge",
        "amount": transfer["amount"],
        "amount_captured": transfer["amount"],
        "amount_refunded": 0,
        "balance_transaction": None,
        "billing_details": nobody,
        "captured": True,
        "created": world.stamp,
        "currency": transfer["currency"],
        "disputed": False,
        "livemode": False,
        "metadata": {},
        "paid": True,
        "payment_intent": None,
        "refunded": False,
        "source_transfer": transfer["id"],
        "status": "succeeded",
        "transfer_group": None,
        "_transferred": 0,
    }


class Refunds:
    """What Stripe does with Refunds: from available money only, later if there is too little."""

    def __init__(self, world: World) -> None:
        """Refunds that wait are tried again whenever money becomes available."""
        self.world = world
        world.on_funds.append(self.retry)

    def create(self, account: str, params: Obj) -> Obj:
        """Give a charge back, or a part of it."""
        charge = self._charge(account, params)
        left = charge["amount_captured"] - self._given(account, charge)
        amount = params.get("amount", left)
        if self._is_disputed(account, charge):
            message = "The charge has been charged back; it cannot be refunded."
            raise StripeError(400, "charge_disputed", message)
        if charge["status"] != "succeeded" or not charge["captured"]:
            raise StripeError(400, "charge_not_refundable", "This charge cannot be refunded.")
        if left <= 0:
            message = f"Charge {charge['id']} has already been refunded."
            raise StripeError(400, "charge_already_refunded", message)
        if amount > left:
            message = f"Refund amount is greater than unrefunded amount on charge ({left})."
            raise StripeError(400, "amount_too_large", message, param="amount")
        money.check(amount, charge["currency"])
        refund = self.world.add(account, _new_refund(self.world, charge, params, amount))
        self._mark(account, charge)
        self.world.emit(account, "refund.created", refund)
        self._try(account, refund)
        return refund

    def _charge(self, account: str, params: Obj) -> Obj:
        if "charge" in params:
            return self.world.get(account, "charge", params["charge"])
        if "payment_intent" not in params:
            message = "One of the following params should be provided: payment_intent or charge."
            raise StripeError(400, "parameter_missing", message)
        intent = self.world.get(account, "payment_intent", params["payment_intent"])
        if intent["latest_charge"] is None:
            message = "This PaymentIntent does not have a successful charge to refund."
            raise StripeError(400, "payment_intent_unexpected_state", message)
        return self.world.get(account, "charge", intent["latest_charge"])

    def _is_disputed(self, account: str, charge: Obj) -> bool:
        """While a chargeback has the money, there is nothing to refund; a warning has none."""
        return any(
            one["charge"] == charge["id"] and one["status"] not in NO_CHARGEBACK
            for one in self.world.ledger(account).all_of("dispute")
        )

    def _given(self, account: str, charge: Obj) -> int:
        return sum(
            one["amount"]
            for one in self.world.ledger(account).all_of("refund")
            if one["charge"] == charge["id"] and one["status"] not in {"failed", "canceled"}
        )

    def _mark(self, account: str, charge: Obj) -> None:
        let_go = charge["amount"] - charge["amount_captured"]
        charge["amount_refunded"] = self._given(account, charge) + let_go
        charge["refunded"] = charge["amount_refunded"] == charge["amount"]
        self.world.emit(account, "charge.refunded", charge)

    def _try(self, account: str, refund: Obj) -> None:
        world, amount, currency = self.world, refund["amount"], refund["currency"]
        needed, kept_in = world.settled(account, amount, currency)
        if world.ledger(account).holdings(kept_in).available < needed:
            refund |= {"status": "pending", "pending_reason": "insufficient_funds"}
            return
        charge = world.get(account, "charge", refund["charge"])
        is_card = charge["payment_method_details"]["type"] == "card"
        txn = world.post(
            account,
            kind="refund" if is_card else "payment_refund",
            category="refund",
            amount=-amount,
            currency=currency,
            source=refund["id"],
        )
        refund["balance_transaction"] = txn["id"]
        then = charge["_method"].refund
        refund["status"] = "pending" if then == "pending" else "succeeded"
        refund["pending_reason"] = "processing" if then == "pending" else None
        if then != "succeeded":
            world.clock.after(REFUND_PENDS, lambda: self.outcome(refund["id"], then))

    def retry(self, account: str) -> None:
        """Try what waits for money, oldest first."""
        for refund in list(self.world.ledger(account).all_of("refund")):
            if refund["status"] == "pending" and refund["pending_reason"] == "insufficient_funds":
                self._try(account, refund)
                if refund["balance_transaction"]:
                    self._tell(account, refund)

    def outcome(self, refund_id: str, then: str) -> Obj:
        """What the payer's bank did with a refund that has left: `pending` ends as succeeded."""
        account, refund = self.world.find(refund_id)
        if refund["status"] in {"failed", "canceled"}:
            return refund
        if then != "failed":
            refund |= {"status": "succeeded", "pending_reason": None}
            self._tell(account, refund)
            return refund
        assert refund["balance_transaction"]
        charge = self.world.get(account, "charge", refund["charge"])
        txn = self.world.post(
            account,
            kind="refund_failure",
            category="refund_failure",
            amount=refund["amount"],
            currency=refund["currency"],
            source=refund["id"],
        )
        refund |= {
            "status": "failed",
            "pending_reason": None,
            "failure_reason": "expired_or_canceled_card",
            "failure_balance_transaction": txn["id"],
        }
        self._mark(account, charge)
        self.world.emit(account, "refund.failed", refund)
        self._tell(account, refund)
        return refund

    def _tell(self, account: str, refund: Obj) -> None:
        self.world.emit(account, "refund.updated", refund)
        self.world.emit(account, "charge.refund.updated", refund)

    def cancel(self, account: str, identifier: str) -> Obj:
        """End a refund that still waits for money."""
        refund = self.world.get(account, "refund", identifier)
        if refund["status"] != "pending" or refund["balance_transaction"]:
            raise StripeError(400, "status_transition_invalid", "This refund cannot be canceled.")
        refund |= {"status": "canceled", "pending_reason": None}
        self._mark(account, self.world.get(account, "charge", refund["charge"]))
        self._tell(account, refund)
        return refund


def _new_refund(world: World, charge: Obj, params: Obj, amount: int) -> Obj:
    return {
        "id": world.new_id("refund"),
        "object": "refund",
        "amount": amount,
        "balance_transaction": None,
        "charge": charge["id"],
        "created": world.stamp,
        "currency": charge["currency"],
        "destination_details": None,
        "failure_balance_transaction": None,
        "failure_reason": None,
        "metadata": merged({}, params.get("metadata", {})),
        "payment_intent": charge["payment_intent"],
        "pending_reason": None,
        "reason": params.get("reason"),
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "pending",
        "transfer_reversal": None,
    }


class Topups:
    """Money that the platform sends itself from its bank."""

    def __init__(self, world: World) -> None:
        """It comes by itself after a day."""
        self.world = world

    def create(self, account: str, params: Obj) -> Obj:
        """Ask for money from the platform's own bank."""
        world = self.world
        money.check(params["amount"], params["currency"])
        topup: Obj = {
            "id": world.new_id("topup"),
            "object": "topup",
            "amount": params["amount"],
            "balance_transaction": None,
            "created": world.stamp,
            "currency": params["currency"],
            "description": params.get("description"),
            "expected_availability_date": int((world.clock.now + TOPUP_TAKES).timestamp()),
            "failure_code": None,
            "failure_message": None,
            "livemode": False,
            "metadata": merged({}, params.get("metadata", {})),
            "source": None,
            "statement_descriptor": params.get("statement_descriptor"),
            "status": "pending",
            "transfer_group": params.get("transfer_group"),
        }
        world.add(account, topup)
        world.emit(account, "topup.created", topup)
        world.clock.after(TOPUP_TAKES, lambda: self.outcome(topup["id"], "succeeded"))
        return topup

    def outcome(self, topup_id: str, status: str) -> Obj:
        """`succeeded`, `failed`, or `reversed` after it had succeeded."""
        account, topup = self.world.find(topup_id)
        if status == "reversed":
            assert topup["status"] == "succeeded"
            self._post(account, topup, "topup_reversal", -topup["amount"])
        elif topup["status"] != "pending":
            return topup
        elif status == "succeeded":
            topup["balance_transaction"] = self._post(account, topup, "topup", topup["amount"])
        else:
            topup |= {"failure_code": "insufficient_funds", "failure_message": "No funds."}
        topup["status"] = status
        self.world.emit(account, f"topup.{status}", topup)
        return topup

    def _post(self, account: str, topup: Obj, kind: str, amount: int) -> str:
        txn = self.world.post(
            account,
            kind=kind,
            category=kind,
            amount=amount,
            currency=topup["currency"],
            source=topup["id"],
        )
        return str(txn["id"])

    def cancel(self, account: str, identifier: str) -> Obj:
        """End a top-up that has not come."""
        topup = self.world.get(account, "topup", identifier)
        if topup["status"] != "pending":
            raise StripeError(400, "status_transition_invalid", "This top-up cannot be canceled.")
        topup["status"] = "canceled"
        self.world.emit(account, "topup.canceled", topup)
        return topup
