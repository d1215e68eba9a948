"""Disputes: a warning, a chargeback, evidence, its end, an appeal; and reserves and Stripe's fees.

Not sure of a real Stripe (no sandbox was asked): whether the dispute's fee returns when it is won,
and the reporting category of reserves.
"""

from datetime import timedelta
from typing import Final

from tests.doubles.stripe_double.trouble import StripeError
from tests.doubles.stripe_double.world import PLATFORM, Obj, World, merged

ANSWER_WITHIN: Final = timedelta(days=9)
OPEN: Final = frozenset({"needs_response", "under_review", "appeal_needs_response"})


class Disputes:
    """What the payers' banks do, and what Stripe does of it."""

    def __init__(self, world: World) -> None:
        """On a world that others play on too."""
        self.world = world

    def open(
        self, charge_id: str, *, reason: str = "fraudulent", amount: int = 0, warning: bool = False
    ) -> Obj:
        """A chargeback of a charge (0: all of it), or the warning of one, which moves nothing."""
        world = self.world
        account, charge = world.find(charge_id)
        assert charge["object"] == "charge"
        dispute = world.add(account, self._new(charge, reason, amount or charge["amount"]))
        dispute["_account"] = account
        if warning:
            dispute |= {"status": "warning_needs_response", "is_charge_refundable": True}
            world.emit(account, "charge.dispute.created", dispute)
            return dispute
        world.emit(account, "charge.dispute.created", dispute)
        self._withdraw(dispute)
        return dispute

    def _new(self, charge: Obj, reason: str, amount: int) -> Obj:
        due = int((self.world.clock.now + ANSWER_WITHIN).timestamp())
        return {
            "id": self.world.new_id("dispute"),
            "object": "dispute",
            "amount": amount,
            "balance_transactions": [],
            "charge": charge["id"],
            "created": self.world.stamp,
            "currency": charge["currency"],
            "enhanced_eligibility_types": [],
            "evidence": {"enhanced_evidence": {}},
            "evidence_details": {
                "due_by": due,
                "enhanced_eligibility": {},
                "has_evidence": False,
                "past_due": False,
                "submission_count": 0,
                "submission_method": "not_submitted",
            },
            "is_charge_refundable": False,
            "livemode": False,
            "metadata": {},
            "payment_intent": charge["payment_intent"],
            "reason": reason,
            "status": "needs_response",
        }

    def _withdraw(self, dispute: Obj) -> None:
        """Take the money and the fee; the charge shows as disputed."""
        account, currency = dispute["_account"], dispute["currency"]
        self.world.get(account, "charge", dispute["charge"])["disputed"] = True
        txn = self.world.post(
            account,
            kind="adjustment",
            category="dispute",
            amount=-dispute["amount"],
            fee=self.world.price.of_dispute(currency),
            currency=currency,
            source=dispute["id"],
            description=f"Chargeback withdrawal for {dispute['charge']}",
        )
        dispute["balance_transactions"].append(txn["id"])
        self.world.emit(account, "charge.dispute.funds_withdrawn", dispute)

    def _reinstate(self, dispute: Obj, *, fee_back: bool = False) -> None:
        account, currency = dispute["_account"], dispute["currency"]
        txn = self.world.post(
            account,
            kind="adjustment",
            category="dispute_reversal",
            amount=dispute["amount"],
            fee=-self.world.price.of_dispute(currency) if fee_back else 0,
            currency=currency,
            source=dispute["id"],
            description=f"Chargeback reversal for {dispute['charge']}",
        )
        dispute["balance_transactions"].append(txn["id"])
        self.world.emit(account, "charge.dispute.funds_reinstated", dispute)

    def update(self, account: str, identifier: str, params: Obj) -> Obj:
        """Evidence; with `submit` (as if not said) it goes to the bank, which may be done once."""
        dispute = self.world.get(account, "dispute", identifier)
        if "metadata" in params:
            dispute["metadata"] = merged(dispute["metadata"], params["metadata"])
        if "evidence" not in params and not params.get("submit"):
            return dispute
        status = dispute["status"]
        if status not in {"needs_response", "warning_needs_response", "appeal_needs_response"}:
            message = "This dispute is closed, or its evidence was submitted."
            raise StripeError(400, "status_transition_invalid", message)
        details, given = dispute["evidence_details"], params.get("evidence", {})
        dispute["evidence"] |= given if isinstance(given, dict) else {}
        details["has_evidence"] = True
        if params.get("submit", True):
            details["submission_count"] += 1
            details["submission_method"] = "manual"
            dispute["status"] = status.replace("needs_response", "under_review")
        self.world.emit(account, "charge.dispute.updated", dispute, previous={"status": status})
        return dispute

    def close(self, account: str, identifier: str) -> Obj:
        """The platform gives up."""
        dispute = self.world.get(account, "dispute", identifier)
        if dispute["status"] not in OPEN | {"warning_needs_response", "warning_under_review"}:
            raise StripeError(400, "status_transition_invalid", "This dispute is closed.")
        self._end(dispute, "lost")
        return dispute

    def _end(self, dispute: Obj, status: str) -> None:
        dispute["status"] = status
        self.world.emit(dispute["_account"], "charge.dispute.closed", dispute)

    def move(self, dispute_id: str, to: str, *, fee_back: bool = False) -> Obj:
        """The bank's next word: a status, `escalated` (of a warning) or `reinstated` (money only).

        `won` gives the money back if it is out, `lost` takes it if it is back (lost on appeal),
        `warning_closed` ends a warning, `appeal_needs_response` opens an appeal.
        """
        dispute = self.world.find(dispute_id)[1]
        if to == "escalated":
            assert dispute["status"].startswith("warning_")
            dispute |= {"status": "needs_response", "is_charge_refundable": False}
            self.world.emit(dispute["_account"], "charge.dispute.updated", dispute)
            self._withdraw(dispute)
        elif to == "reinstated":
            self._reinstate(dispute)
        elif to == "won":
            if self._is_out(dispute):
                self._reinstate(dispute, fee_back=fee_back)
            self._end(dispute, "won")
        elif to == "lost":
            if not self._is_out(dispute):
                self._withdraw(dispute)
            self._end(dispute, "lost")
        elif to == "warning_closed":
            self._end(dispute, to)
        else:
            previous = {"status": dispute["status"]}
            dispute["status"] = to
            account = dispute["_account"]
            self.world.emit(account, "charge.dispute.updated", dispute, previous=previous)
        return dispute

    def _is_out(self, dispute: Obj) -> bool:
        objects = self.world.ledger(dispute["_account"]).objects
        moved = [int(objects[txn]["amount"]) for txn in dispute["balance_transactions"]]
        return sum(moved) < 0

    def early_warning(self, charge_id: str) -> Obj:
        """The card network's word that a payment was fraud, before any dispute."""
        account, charge = self.world.find(charge_id)
        warning: Obj = {
            "id": self.world.new_id("radar.early_fraud_warning"),
            "object": "radar.early_fraud_warning",
            "actionable": not charge["refunded"] and not charge["disputed"],
            "charge": charge_id,
            "created": self.world.stamp,
            "fraud_type": "made_with_stolen_card",
            "livemode": False,
            "payment_intent": charge["payment_intent"],
        }
        self.world.add(account, warning)
        self.world.emit(account, "radar.early_fraud_warning.created", warning)
        return warning


class Platform:
    """What Stripe does with the platform's money by itself: fees and reserves."""

    def __init__(self, world: World) -> None:
        """On a world that others play on too."""
        self.world = world

    def bill(self, amount: int, currency: str, *, account: str = PLATFORM) -> Obj:
        """A fee of Stripe's that belongs to no payment, such as a month's."""
        return self.world.post(
            account,
            kind="stripe_fee",
            category="fee",
            amount=-amount,
            currency=currency,
            source=None,
            description="Billing - Usage Fee",
        )

    def reserve(self, amount: int, currency: str, *, account: str = PLATFORM) -> Obj:
        """Set money aside: out of payments, into what is reserved."""
        hold: Obj = {
            "id": self.world.new_id("reserve.hold"),
            "object": "reserve.hold",
            "amount": amount,
            "amount_releasable": amount,
            "created": self.world.stamp,
            "created_by": "stripe",
            "currency": currency,
            "destination": "risk_reserved",
            "is_releasable": True,
            "livemode": False,
            "metadata": {},
            "reason": "standalone",
            "release_schedule": {"release_after": None, "scheduled_release": None},
            "source_type": "card",
        }
        self.world.add(account, hold)
        self._shift(account, "reserve_hold", amount, currency)
        self.world.emit(account, "reserve.hold.created", hold)
        return hold

    def release(self, hold_id: str, *, amount: int = 0) -> Obj:
        """Give money back that was set aside (0: all that is left)."""
        account, hold = self.world.find(hold_id)
        amount = amount or hold["amount_releasable"]
        assert 0 < amount <= hold["amount_releasable"]
        hold["amount_releasable"] -= amount
        hold["is_releasable"] = hold["amount_releasable"] > 0
        release: Obj = {
            "id": self.world.new_id("reserve.release"),
            "object": "reserve.release",
            "amount": amount,
            "created": self.world.stamp,
            "created_by": "stripe",
            "currency": hold["currency"],
            "destination": "payments",
            "livemode": False,
            "metadata": {},
            "reason": "hold_released_early",
            "released_at": self.world.stamp,
            "reserve_hold": hold_id,
        }
        self.world.add(account, release)
        self._shift(account, "reserve_release", -amount, hold["currency"])
        self.world.emit(account, "reserve.release.created", release)
        return release

    def _shift(self, account: str, kind: str, amount: int, currency: str) -> None:
        for balance_type, sign in (("payments", -1), ("risk_reserved", 1)):
            self.world.post(
                account,
                kind=kind,
                category="risk_reserved_funds",
                amount=sign * amount,
                currency=currency,
                source=None,
                balance_type=balance_type,
            )
