"""Payouts of the platform and of payees' accounts: to a bank that takes them, or does not."""

from datetime import timedelta
from typing import Any, Final

from tests.doubles.stripe_double import money
from tests.doubles.stripe_double.trouble import StripeError
from tests.doubles.stripe_double.world import PLATFORM, Obj, World, merged

LEAVES_AFTER: Final = timedelta(hours=1)
ARRIVES_AFTER: Final = timedelta(days=2)
COMES_BACK_AFTER: Final = timedelta(days=3)
INSTANT_TAKES: Final = timedelta(minutes=30)

# What a bank may do with a payout: `Ledger.bank`, or one payout's by `outcome`.
BANKS: Final = frozenset(
    {"success", "account_closed", "no_account", "insufficient_funds", "fail_after_paid", "stuck"}
)


class Payouts:
    """What Stripe does with Payouts."""

    def __init__(self, world: World, may_pay_out: Any) -> None:
        """`may_pay_out` says whether an account's payouts are enabled."""
        self.world = world
        self._may_pay_out = may_pay_out

    def create(self, account: str, params: Obj) -> Obj:
        """Pay out available money; it leaves after an hour and arrives after two days."""
        world, currency, amount = self.world, params["currency"], params["amount"]
        money.check(amount, currency)
        if currency in {"huf", "twd"} and amount % 100:
            message = f"Payouts in {currency} must be divisible by 100."
            raise StripeError(400, "invalid_charge_amount", message, param="amount")
        if account != PLATFORM and not self._may_pay_out(account):
            raise StripeError(400, "payouts_not_allowed", "Payouts are not enabled here.")
        instant = params.get("method") == "instant"
        fee = world.price.of_instant(amount, currency) if instant else 0
        world.need(account, amount=amount + fee, currency=currency)
        payout = world.add(account, self._new(account, params, instant=instant))
        txn = world.post(
            account,
            kind="payout",
            category="payout",
            amount=-amount,
            fee=fee,
            currency=currency,
            source=payout["id"],
        )
        payout["balance_transaction"] = txn["id"]
        world.emit(account, "payout.created", payout)
        leaves, arrives = LEAVES_AFTER, ARRIVES_AFTER
        if instant:
            leaves, arrives = timedelta(minutes=1), INSTANT_TAKES
        world.clock.after(leaves, lambda: self._leave(account, payout))
        world.clock.after(arrives, lambda: self._arrive(account, payout))
        return payout

    def sweep(self, account: str, settings: Obj) -> list[Obj]:
        """What Stripe does each day where the schedule is not manual: all that is there leaves."""
        asked = settings["payments"]["payouts"]
        if asked["schedule"]["interval"] == "manual":
            return []
        least = asked["minimum_balance_by_currency"] or {}
        swept = []
        for currency, held in sorted(self.world.ledger(account).money.items()):
            amount = held.available - least.get(currency, 0)
            if amount > 0:
                payout = self.create(account, {"amount": amount, "currency": currency})
                payout |= {"automatic": True, "reconciliation_status": "in_progress"}
                self._gather(account, payout)
                swept.append(payout)
        return swept

    def _gather(self, account: str, payout: Obj) -> None:
        """The transactions that an automatic payout consists of, and its own."""
        for txn in self.world.ledger(account).all_of("balance_transaction"):
            is_there = txn["available_on"] <= self.world.stamp
            if is_there and txn["currency"] == payout["currency"]:
                txn.setdefault("_payout", payout["id"])

    def _new(self, account: str, params: Obj, *, instant: bool) -> Obj:
        takes = INSTANT_TAKES if instant else ARRIVES_AFTER
        return {
            "id": self.world.new_id("payout"),
            "object": "payout",
            "amount": params["amount"],
            "application_fee": None,
            "application_fee_amount": None,
            "arrival_date": int((self.world.clock.now + takes).timestamp()),
            "automatic": False,
            "balance_transaction": None,
            "created": self.world.stamp,
            "currency": params["currency"],
            "description": params.get("description"),
            "destination": params.get("destination") or f"ba_{account}",
            "failure_balance_transaction": None,
            "failure_code": None,
            "failure_message": None,
            "livemode": False,
            "metadata": merged({}, params.get("metadata", {})),
            "method": params.get("method", "standard"),
            "original_payout": None,
            "payout_method": None,
            "reconciliation_status": "not_applicable",
            "reversed_by": None,
            "source_type": "card",
            "statement_descriptor": params.get("statement_descriptor"),
            "status": "pending",
            "trace_id": {"status": "pending", "value": None},
            "type": "bank_account",
            "_bank": "",
        }

    def _leave(self, account: str, payout: Obj) -> None:
        if payout["status"] == "pending":
            payout["status"] = "in_transit"
            payout["trace_id"] = {"status": "supported", "value": f"TRACE-{payout['id']}"}
            self.world.emit(account, "payout.updated", payout, previous={"status": "pending"})

    def _arrive(self, account: str, payout: Obj) -> None:
        bank = payout["_bank"] or self.world.ledger(account).bank
        if payout["status"] != "in_transit" or bank == "stuck":
            return
        if bank not in {"success", "fail_after_paid"}:
            self._fail(account, payout, bank)
            return
        self._pay(account, payout)
        if bank == "fail_after_paid":
            self.world.clock.after(
                COMES_BACK_AFTER, lambda: self._fail(account, payout, "account_closed")
            )

    def _pay(self, account: str, payout: Obj) -> None:
        payout["status"] = "paid"
        if payout["automatic"]:
            payout["reconciliation_status"] = "completed"
            self.world.emit(account, "payout.reconciliation_completed", payout)
        self.world.emit(account, "payout.updated", payout, previous={"status": "in_transit"})
        self.world.emit(account, "payout.paid", payout)

    def _fail(self, account: str, payout: Obj, code: str) -> None:
        payout |= {
            "status": "failed",
            "failure_code": code,
            "failure_message": "The bank could not take the payout.",
            "failure_balance_transaction": self._give_back(account, payout, "payout_failure"),
        }
        self.world.emit(account, "payout.failed", payout)

    def _give_back(self, account: str, payout: Obj, kind: str) -> str:
        txn = self.world.post(
            account,
            kind=kind,
            category="payout_reversal",
            amount=payout["amount"],
            currency=payout["currency"],
            source=payout["id"],
        )
        return str(txn["id"])

    def cancel(self, account: str, identifier: str) -> Obj:
        """End a payout that has not left."""
        payout = self.world.get(account, "payout", identifier)
        if payout["status"] != "pending":
            message = "Payouts can only be canceled while they are pending."
            raise StripeError(400, "status_transition_invalid", message)
        payout["failure_balance_transaction"] = self._give_back(account, payout, "payout_cancel")
        payout["status"] = "canceled"
        self.world.emit(account, "payout.canceled", payout)
        return payout

    def outcome(self, payout_id: str, bank: str) -> Obj:
        """What the bank will do with one payout, or does at once with one that is paid."""
        assert bank in BANKS, bank
        account, payout = self.world.find(payout_id)
        payout["_bank"] = bank
        if payout["status"] == "paid" and bank != "success":
            self._fail(account, payout, "account_closed" if bank == "fail_after_paid" else bank)
        return payout

    def at_bank(self, account: str, bank: str) -> None:
        """What an account's bank does with every payout from now on."""
        assert bank in BANKS, bank
        self.world.ledger(account).bank = bank
        if account != PLATFORM:
            changed: Obj = {
                "id": f"ba_{account}",
                "object": "bank_account",
                "account": account,
                "bank_name": "STRIPE TEST BANK",
                "country": "DE",
                "currency": "eur",
                "last4": "3000",
                "status": "new",
            }
            self.world.emit(account, "account.external_account.updated", changed)
