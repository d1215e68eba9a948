"""Finding what became of operations at Stripe: by name where we know it, else by listing.

Lists are consistent, search is not; so what a whole list does not hold is not there
(domain/rails.md 1.5, rule 2). Nothing here has an effect.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from rails.model import OWNER, OperationKind, RailAccount, RailOperation
from rails.stripe import answers
from rails.stripe.calls import MOVED, MOVED_BACK, PAYMENT, group_of
from rails.stripe.model import NAME, Answer, Fields, account_of, id_of, operation_of
from rails.stripe.wire import PAGE, Wire, each, on_account, plain

_SKEW: Final = timedelta(days=1)
"""How far Stripe's clock and ours may be apart when a list is narrowed by time."""

_BANKS: Final = frozenset({RailAccount.CUSTODY_BANK, RailAccount.PLATFORM_BANK, OWNER})

_LONG_AGO: Final = timedelta(days=400)
"""How far back a payment that nobody made is looked for, to be cancelled."""


@dataclass(frozen=True, slots=True)
class Reader:
    """One look at Stripe for some operations: each list is walked once, for all of them.

    `since` narrows our own account's lists by the time of creation; None: the whole of them.
    """

    wire: Wire
    tenant: str
    since: datetime | None = None
    wanted: frozenset[UUID] = frozenset()
    _walked: dict[tuple[str, str], dict[UUID, Fields]] = field(default_factory=dict)

    def find(self, operation: RailOperation) -> Answer | None:
        """What is true of an operation by now; None: Stripe has never seen it."""
        finders = {
            OperationKind.FUND: self._fund,
            OperationKind.CAPTURE: self._capture,
            OperationKind.CANCEL: self._cancel,
            OperationKind.REFUND: self._refund,
            OperationKind.TRANSFER: self._transfer,
            OperationKind.TRANSFER_BACK: self._transfer_back,
            OperationKind.PAYOUT: self._payout,
            OperationKind.BANK_TRANSFER: self._between_banks,
            OperationKind.TOP_UP: self._between_banks,
            OperationKind.EVIDENCE: self._evidence,
            OperationKind.PAYEE: self._payee,
        }
        return finders[operation.kind](operation)

    def payment_of(self, operation: RailOperation) -> Fields | None:
        """The payment intent of a funding."""
        if operation.rail_ref.startswith("pi_"):
            return self.wire.payment(operation.rail_ref)
        return self.charged(operation.id) or self._walk(
            "payments", "", lambda: self._payments(self.since)
        ).get(operation.id)

    def funding_of(self, operation: RailOperation) -> Fields | None:
        """The payment intent that a refund, a capture or a cancellation is about.

        Only a payment that nobody has tried to make has no charge; it can be cancelled.
        """
        reference = str(operation.facts.get("funding_ref", ""))
        if reference.startswith("pi_"):
            return self.wire.payment(reference)
        funding_id = UUID(str(operation.facts["funding_id"]))
        charged = self.charged(funding_id)
        if charged is not None or operation.kind is not OperationKind.CANCEL:
            return charged
        born_at = operation.created_at
        for payment in self._payments(None if born_at is None else born_at - _LONG_AGO):
            if operation_of(payment, self.tenant) == funding_id:
                return payment
        return None

    def transfer_ref(self, operation: RailOperation) -> str:
        """The transfer that a reversal takes back; empty if there is none."""
        reference = str(operation.facts.get("transfer_ref", ""))
        if reference:
            return reference
        transfer_id = UUID(str(operation.facts["transfer"]))
        account = account_of(str(operation.facts["source"]))
        for transfer in self._transfers(account):
            if operation_of(transfer, self.tenant) == transfer_id:
                return str(transfer["id"])
        return ""

    def answer_of_payment(self, payment: Fields) -> Answer:
        """What a payment comes to, with the parts of one that was captured in part."""
        if not answers.is_in_parts(payment):
            return answers.of_payment(payment)
        return answers.of_payment(payment, self.wire.parts(id_of(payment["latest_charge"])))

    def charged(self, funding_id: UUID) -> Fields | None:
        """By the transfer group, which every charge of the payment carries."""
        listed = self.wire.v1.charges.list({"transfer_group": group_of(funding_id), "limit": PAGE})
        for charge in each(listed):
            reference = id_of(charge.get("payment_intent"))
            if reference:
                payment = self.wire.payment(reference)
                if operation_of(payment, self.tenant) == funding_id:
                    return payment
        return None

    def _payments(self, since: datetime | None) -> Iterable[Fields]:
        expand = [f"data.{path}" for path in PAYMENT]
        params: Any = {"limit": PAGE, "expand": expand, **_created(since)}
        return each(self.wire.v1.payment_intents.list(params))

    def _transfers(self, account: str) -> Iterable[Fields]:
        expand = [f"data.{path}" for path in MOVED]
        params: Any = {"destination": account, "limit": PAGE, "expand": expand}
        return each(self.wire.v1.transfers.list(params))

    def _payouts(self, account: str) -> Iterable[Fields]:
        expand = [f"data.{path}" for path in MOVED_BACK]
        params: Any = {"limit": PAGE, "expand": expand, **_created(None if account else self.since)}
        return each(self.wire.v1.payouts.list(params, on_account(account)))

    def _top_ups(self) -> Iterable[Fields]:
        expand = [f"data.{path}" for path in MOVED]
        params: Any = {"limit": PAGE, "expand": expand, **_created(self.since)}
        return each(self.wire.v1.topups.list(params))

    def _accounts(self) -> Iterable[Fields]:
        return each(self.wire.v2.core.accounts.list())

    def _walk(
        self, what: str, where: str, walk: Callable[[], Iterable[Fields]]
    ) -> Mapping[UUID, Fields]:
        """What a list holds of the wanted operations; it is walked once."""
        if (what, where) not in self._walked:
            found: dict[UUID, Fields] = {}
            for one in walk():
                operation_id = operation_of(one, self.tenant)
                if operation_id in self.wanted:
                    found.setdefault(operation_id, one)
            self._walked[what, where] = found
        return self._walked[what, where]

    def _fund(self, operation: RailOperation) -> Answer | None:
        payment = self.payment_of(operation)
        return None if payment is None else self.answer_of_payment(payment)

    def _capture(self, operation: RailOperation) -> Answer | None:
        payment = self.funding_of(operation)
        return None if payment is None else answers.of_capture(payment, operation)

    def _cancel(self, operation: RailOperation) -> Answer | None:
        payment = self.funding_of(operation)
        return None if payment is None else answers.of_cancel(payment, operation)

    def _refund(self, operation: RailOperation) -> Answer | None:
        if operation.rail_ref.startswith(("re_", "pyr_")):
            return answers.of_refund(self.wire.refund(operation.rail_ref))
        payment = self.funding_of(operation)
        if payment is None:
            return None
        params: Any = {
            "payment_intent": payment["id"],
            "limit": PAGE,
            "expand": [f"data.{path}" for path in MOVED_BACK],
        }
        for refund in each(self.wire.v1.refunds.list(params)):
            if operation_of(refund, self.tenant) == operation.id:
                return answers.of_refund(refund)
        return None

    def _transfer(self, operation: RailOperation) -> Answer | None:
        if operation.rail_ref.startswith("tr_"):
            return answers.of_transfer(self.wire.transfer(operation.rail_ref))
        account = account_of(str(operation.facts["target"]))
        found = self._walk("transfers", account, lambda: self._transfers(account)).get(operation.id)
        return None if found is None else answers.of_transfer(found)

    def _transfer_back(self, operation: RailOperation) -> Answer | None:
        reference = self.transfer_ref(operation)
        if not reference:
            return None
        params: Any = {"limit": PAGE, "expand": [f"data.{path}" for path in MOVED]}
        for reversal in each(self.wire.v1.transfers.reversals.list(reference, params)):
            if operation_of(reversal, self.tenant) == operation.id:
                return answers.of_transfer(reversal)
        return None

    def _payout(self, operation: RailOperation) -> Answer | None:
        return self._paid_out(operation, account_of(str(operation.facts["account"])))

    def _paid_out(self, operation: RailOperation, account: str) -> Answer | None:
        if operation.rail_ref.startswith("po_"):
            return answers.of_payout(self.wire.payout(operation.rail_ref, account=account))
        found = self._walk("payouts", account, lambda: self._payouts(account)).get(operation.id)
        return None if found is None else answers.of_payout(found)

    def _between_banks(self, operation: RailOperation) -> Answer | None:
        if way_of(operation) == "payout":
            return self._paid_out(operation, "")
        found = self._walk("top_ups", "", self._top_ups).get(operation.id)
        return None if found is None else answers.of_top_up(found)

    def _evidence(self, operation: RailOperation) -> Answer | None:
        reference = str(operation.facts["chargeback"])
        return answers.of_evidence(plain(self.wire.v1.disputes.retrieve(reference)), operation)

    def _payee(self, operation: RailOperation) -> Answer | None:
        """An account that does not wait for our word to pay out is not ready: it is sent again."""
        found = self.opened(operation)
        if found is None or not self.wire.is_manual(account=str(found["id"])):
            return None
        return answers.of_account(found, operation)

    def opened(self, operation: RailOperation) -> Fields | None:
        """The account of a payee that an operation has opened."""
        if operation.rail_ref.startswith("acct_"):
            return self.wire.account(operation.rail_ref)
        return self._walk("accounts", "", self._accounts).get(operation.id)


def reader_for(
    wire: Wire, tenant: str, operations: Sequence[RailOperation], *, is_live: bool
) -> Reader:
    """A look that goes back as far as the oldest of some operations."""
    born = [_born_at(operation, is_live=is_live) for operation in operations]
    known = [at for at in born if at is not None]
    since = min(known) - _SKEW if known and len(known) == len(born) else None
    return Reader(wire, tenant, since, frozenset(operation.id for operation in operations))


def way_of(operation: RailOperation) -> str:
    """Which way money goes between our balance and our bank; empty: not by Stripe."""
    source, target = operation.facts.get("source"), operation.facts.get("target")
    available = (RailAccount.PROCESSOR_AVAILABLE.value, NAME)
    if source in available and target == RailAccount.CUSTODY_BANK.value:
        return "payout"
    if target in available and source in _BANKS:
        return "top_up"
    return ""


def _born_at(operation: RailOperation, *, is_live: bool) -> datetime | None:
    """When an operation can first have been sent, by Stripe's clock; None: not known.

    A sandbox's tenant may travel in time, and Stripe does not go with him: there only an id that
    holds the real time of its making says since when to look.
    """
    if operation.created_at is None:
        return None
    if operation.id.version != 7:
        return operation.created_at if is_live else None
    stamped = datetime.fromtimestamp((operation.id.int >> 80) / 1_000, UTC)
    return min(operation.created_at, stamped)


def _created(since: datetime | None) -> dict[str, Any]:
    return {} if since is None else {"created": {"gte": int(since.timestamp())}}
