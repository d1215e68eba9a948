"""Stripe Connect as a Rail: money, webhooks, statements, payment pages and payees' accounts.

It keeps nothing: what it does not know it asks Stripe. No secret, and no word of Stripe's meant
for people, is logged or raised.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import stripe
import structlog

from kernel.errors import Broken, RailTrouble, Refusal
from rails.capabilities import STRIPE
from rails.model import (
    NOT_FOUND,
    NOT_NOW,
    Capabilities,
    LogLine,
    Notice,
    NoticePage,
    RailBalance,
    RailOperation,
    RailOutcome,
    RailResult,
)
from rails.model_events import Authentic, PaymentPage, RailEvent, TransactionPage
from rails.stripe import calls, events, payees, statement
from rails.stripe.errors import (
    SOON,
    Verdict,
    code_of,
    is_away,
    is_final,
    spread,
    verdict_of,
)
from rails.stripe.hearing import Hearer
from rails.stripe.model import NAME, Answer, StripeSettings, said_by
from rails.stripe.reading import Reader, reader_for
from rails.stripe.sending import Sender
from rails.stripe.walking import thin_behind, walk
from rails.stripe.wire import Lister, Wire, as_trouble, on_account, plain

_NONSENSE: Final = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What an answer may raise that is not what the SDK promises: the money may have moved."""

AT_PAYEES: Final = [
    "data.source",
    "data.source.source_transfer",
    "data.source.source_transfer_reversal",
]
"""What of a payee's line says which transfer of ours it is."""

_API: Final = Authentic.API

_log = structlog.get_logger(__name__)


class StripeRail:
    """One platform's account at Stripe, and the accounts of its payees.

    One per process: its connections must not be kept over a fork.
    """

    def __init__(self, settings: StripeSettings) -> None:
        """Nothing is asked of Stripe until the first call."""
        self.settings = settings
        self.wire = Wire(settings)

    @property
    def name(self) -> str:
        """The rail's name."""
        return NAME

    @property
    def capabilities(self) -> Capabilities:
        """What Stripe can do for us."""
        return STRIPE

    def close(self) -> None:
        """End this thread's connections to Stripe."""
        self.wire.close()

    def prepare(self) -> bool:
        """See that our own balance is paid out only on our word; whether that had to be set.

        Automatic payouts would sweep client money to our bank (domain/rails.md 1.1).
        """
        try:
            if self.wire.is_manual():
                return False
            self.wire.v1.balance_settings.update(calls.manual_payouts())
        except stripe.StripeError as error:
            as_trouble(error)
        return True

    def execute(self, operations: Sequence[RailOperation], *, at: datetime) -> list[RailResult]:
        """Send operations one by one, in their order, each with its own key.

        One that Stripe could not take in now is UNKNOWN with NOT_NOW; when the line is down or
        too busy, so are all behind it, which are not sent.
        """
        reader = self._reader(*operations)
        sender = Sender(self.wire, self.settings.tenant, reader, at)
        results: list[RailResult] = []
        is_stopped = False
        for operation in operations:
            if is_stopped:
                results.append(_turned_away(operation, at))
                continue
            try:
                results.append(_result(operation, sender.send(operation)))
            except Refusal as refusal:
                refused = Verdict(outcome=RailOutcome.REFUSED, code=refusal.code)
                results.append(_judged(operation, refused, at))
            except stripe.StripeError as error:
                verdict = verdict_of(error, kind=operation.kind, operation_id=operation.id, at=at)
                results.append(_judged(operation, verdict, at))
                is_stopped = is_away(error)
            except (RailTrouble, *_NONSENSE) as error:
                _log.warning("stripe.unreadable", error=type(error).__name__, kind=operation.kind)
                results.append(_judged(operation, Verdict(outcome=RailOutcome.UNKNOWN), at))
        return results

    def resolve(self, operations: Sequence[RailOperation], *, at: datetime) -> list[RailResult]:
        """Read what became of operations, by name or by listing; never an effect."""
        reader = self._reader(*operations)
        results: list[RailResult] = []
        is_stopped = False
        for operation in operations:
            verdict = Verdict(outcome=RailOutcome.UNKNOWN)
            try:
                answer = None if is_stopped else reader.find(operation)
            except stripe.StripeError as error:
                is_stopped = is_away(error)
            except (RailTrouble, *_NONSENSE) as error:
                _log.warning("stripe.unreadable", error=type(error).__name__, kind=operation.kind)
            else:
                if answer is not None:
                    results.append(_result(operation, answer))
                    continue
                code = "" if is_stopped or operation.rail_ref else NOT_FOUND
                verdict = Verdict(outcome=RailOutcome.UNKNOWN, code=code)
            results.append(_judged(operation, verdict, at))
        return results

    def notices(self, *, after: str, limit: int, at: datetime) -> NoticePage:  # noqa: ARG002
        """Nothing: Stripe sends webhooks, and `list_events` fills the gaps."""
        return NoticePage((), after)

    def chargebacks(self, operation_ids: Sequence[UUID], *, at: datetime) -> list[Notice]:
        """Every dispute and early warning of payments, with the money they moved."""
        hearer = self._hearer()
        try:
            notices = [notice for each in operation_ids for notice in hearer.contested(each, at=at)]
        except stripe.StripeError as error:
            as_trouble(error)
        return sorted(notices, key=lambda notice: notice.occurred_at)

    def balances(self, *, at: datetime) -> list[RailBalance]:  # noqa: ARG002
        """What Stripe says that our account and each payee's hold, by now."""
        try:
            found = statement.balances_of(self.wire.balance(), rail_account=NAME)
            for account in self.wire.accounts():
                found += self._held_by(account)
        except stripe.StripeError as error:
            as_trouble(error)
        return found

    def log(self, *, after: int, limit: int, at: datetime) -> list[LogLine]:  # noqa: ARG002
        """Nothing: what moved stands in `transactions`, which is Stripe's own statement."""
        return []

    def open_event(
        self, body: bytes, headers: Mapping[str, str], *, endpoint: str, at: datetime
    ) -> list[RailEvent]:
        """Verify a webhook of the endpoint `platform` or `connect`; no network."""
        opened = events.open_event(
            self.wire.client, self.settings, body, headers, endpoint=endpoint, at=at
        )
        return [opened]

    def read_event(self, event: RailEvent, *, at: datetime) -> list[Notice]:
        """Fetch what an event is about; an event of the other mode (live, sandbox) is not ours.

        RailTrouble where it may be read later, Broken where asking again will not help.
        """
        if event.is_live is not self.settings.is_live:
            return []
        try:
            return self._hearer().read(event, at=at)
        except stripe.StripeError as error:
            if is_final(error):
                code = code_of(error)
                raise Broken("stripe will not show what an event is about", code=code) from None
            as_trouble(error)
        except _NONSENSE as error:
            raise Broken("what an event is about cannot be read", kind=event.kind) from error

    def list_events(
        self,
        *,
        after: str,
        limit: int,
        at: datetime,  # noqa: ARG002  Stripe keeps events for 30 days of its own clock
    ) -> tuple[list[RailEvent], str]:
        """Events of our account and of each payee's; ask until the position stands still.

        Thin events are listed at the end of each round, those of the last minute each time.
        """
        try:
            walked = walk(after, limit=limit, accounts=self.wire.accounts, lister=self._events)
            thin, position = (
                thin_behind(walked.position, self.wire.thin_events)
                if walked.is_last
                else ([], walked.position)
            )
            found = [
                events.snapshot({**event, "account": event.get("account") or account}, _API)
                for account, event in walked.found
            ]
            found += map(events.listed_thin, thin)
        except stripe.StripeError as error:
            as_trouble(error)
        except (Refusal, *_NONSENSE) as error:
            raise RailTrouble("stripe's list of events cannot be read") from error
        return found, position

    def transactions(self, *, after: str, limit: int, at: datetime) -> TransactionPage:  # noqa: ARG002
        """Balance transactions of our account and of each payee's, account by account."""
        try:
            walked = walk(after, limit=limit, accounts=self.wire.accounts, lister=self._moves)
            lines = tuple(
                statement.line_of(move, account=account, tenant=self.settings.tenant)
                for account, move in walked.found
            )
        except stripe.StripeError as error:
            as_trouble(error)
        except (Refusal, *_NONSENSE) as error:
            raise RailTrouble("stripe's statement cannot be read") from error
        return TransactionPage(lines, walked.position, walked.is_last)

    def payment_page(self, operation: RailOperation) -> PaymentPage:
        """The secret for Stripe's own fields, read anew each time; nothing once it is paid."""
        try:
            payment = self._reader(operation).payment_of(operation)
        except stripe.StripeError as error:
            as_trouble(error)
        if payment is None:
            raise RailTrouble("stripe has not heard of this payment yet")
        on_page = said_by(payment).get("way") == "page"
        is_open = on_page and payment["status"] in {
            *("requires_payment_method", "requires_confirmation"),
        }
        # Only the payer himself can answer his bank, whoever began the payment.
        if not is_open and payment["status"] != "requires_action":
            return PaymentPage()
        action = (payment.get("next_action") or {}).get("redirect_to_url") or {}
        return PaymentPage(
            url=str(action.get("url") or ""), client_secret=str(payment["client_secret"])
        )

    def payee(self, account: str, *, at: datetime) -> Notice:  # noqa: ARG002  its own time counts
        """What a payee's account may do by now."""
        as_of = datetime.now(UTC)
        try:
            return payees.of_account(self.wire.account(account), as_of=as_of)
        except stripe.StripeError as error:
            as_trouble(error)

    def payee_link(self, account: str, *, return_url: str, refresh_url: str) -> str:
        """The address of Stripe's onboarding; it works once, for a few minutes."""
        params = calls.onboarding(account, return_url=return_url, refresh_url=refresh_url)
        try:
            return str(plain(self.wire.v2.core.account_links.create(params))["url"])
        except stripe.StripeError as error:
            as_trouble(error)

    def _held_by(self, account: str) -> list[RailBalance]:
        """What a payee's account holds; nothing that we may know of where he shut us out."""
        try:
            held = self.wire.balance(account=account)
        except stripe.StripeError as error:
            if is_final(error):
                return []
            raise
        return statement.balances_of(held, rail_account=f"{NAME}:{account}")

    def _hearer(self) -> Hearer:
        return Hearer(self.wire, self._reader(), self.settings.tenant)

    def _reader(self, *operations: RailOperation) -> Reader:
        settings = self.settings
        return reader_for(self.wire, settings.tenant, operations, is_live=settings.is_live)

    def _events(self, account: str) -> Lister:
        def ask(place: Any) -> Any:  # noqa: ANN401  the SDK's own page
            return self.wire.v1.events.list(place, on_account(account))

        return ask

    def _moves(self, account: str) -> Lister:
        def ask(place: Any) -> Any:  # noqa: ANN401  the SDK's own page
            expand = AT_PAYEES if account else ["data.source"]
            params: Any = {**place, "expand": expand}
            return self.wire.v1.balance_transactions.list(params, on_account(account))

        return ask


def _result(operation: RailOperation, answer: Answer) -> RailResult:
    return RailResult(
        operation_id=operation.id,
        kind=operation.kind,
        subject=operation.subject,
        outcome=answer.outcome,
        amount_minor=answer.amount_minor,
        currency=answer.currency,
        fee_minor=answer.fee_minor,
        rail_ref=answer.rail_ref,
        code=answer.code,
        occurred_at=answer.occurred_at,
        cleared=answer.cleared,
        has_left=answer.has_left,
        transaction_ref=answer.transaction_ref,
        retry_at=answer.retry_at,
    )


def _judged(operation: RailOperation, verdict: Verdict, at: datetime) -> RailResult:
    """What an error says of an operation, at our own time: Stripe gave none."""
    return RailResult(
        operation_id=operation.id,
        kind=operation.kind,
        subject=operation.subject,
        outcome=verdict.outcome,
        amount_minor=operation.amount_minor,
        currency=operation.currency,
        rail_ref=verdict.rail_ref or operation.rail_ref,
        code=verdict.code,
        occurred_at=at,
        retry_at=verdict.retry_at,
    )


def _turned_away(operation: RailOperation, at: datetime) -> RailResult:
    """Not sent at all, because the one before it could not be."""
    retry_at = at + spread(SOON, operation.id)
    return _judged(
        operation, Verdict(outcome=RailOutcome.UNKNOWN, code=NOT_NOW, retry_at=retry_at), at
    )
