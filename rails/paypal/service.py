"""One account at PayPal as a Rail: orders, refunds, payouts, webhooks and the statement.

A funding takes two steps: the order is made when it is executed, and captured by `go_on` once its
payer said yes. Disputes are left out: PayPal's specification of them does not hold together.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from kernel.errors import RailTrouble
from rails.capabilities import PAYPAL
from rails.http import NONSENSE, NotTaken, side_by_side
from rails.model import (
    NOT_NOW,
    LogLine,
    Notice,
    NoticePage,
    RailAccount,
    RailBalance,
    RailOperation,
    RailOutcome,
    RailResult,
)
from rails.model_events import Authentic, PaymentPage, RailEvent, TransactionPage
from rails.paypal import rules
from rails.paypal.calls import EVENTS, ITEMS, ORDERS, PAYMENTS, PAYOUTS, Calls
from rails.paypal.rules import Said, minor_of, operation_of, result_of
from rails.paypal.settings import PaypalSettings
from rails.paypal.statement import lines_of, window_after
from rails.paypal.steps import Steps
from rails.paypal.webhooks import Certificates, verify
from rails.refusals import BadEvent

_MOST_EVENTS: Final = 300
_MOST_LINES: Final = 500
_KEPT: Final = timedelta(days=29)
_LATE: Final = timedelta(hours=1)
"""An event may be listed so much later than it happened; what is listed twice is one."""


class PaypalRail:
    """A tenant's account at PayPal. Holds no money state: all is read from PayPal."""

    name: str = rules.NAME
    capabilities = PAYPAL

    def __init__(self, settings: PaypalSettings) -> None:
        self._settings = settings
        self._calls = Calls(settings)
        self._steps = Steps(self._calls)
        self._certificates = Certificates(self._calls.api, settings.certificate_bases)

    def __repr__(self) -> str:
        """Where it asks; no secret."""
        return f"PaypalRail({self._settings.api_base})"

    def close(self) -> None:
        """Close its connections; it opens new ones if it is asked again."""
        self._calls.api.close()

    # Operations

    def execute(self, operations: Sequence[RailOperation], *, at: datetime) -> list[RailResult]:
        """Send each operation once; UNKNOWN where the answer was lost."""
        return [self._safely(each, self._steps.start, at) for each in operations]

    def resolve(self, operations: Sequence[RailOperation], *, at: datetime) -> list[RailResult]:
        """Read what became of each, by the name that PayPal gave it, or by its order."""
        return side_by_side(lambda each: self._safely(each, self._steps.read, at), operations)

    def go_on(self, operations: Sequence[RailOperation], *, at: datetime) -> list[RailResult]:
        """Capture what was approved, and send payouts again whose answer was lost.

        A capture has the key `<key>:capture`; a payout its own batch id.
        """
        return side_by_side(lambda each: self._safely(each, self._steps.step, at), operations)

    def payment_page(self, operation: RailOperation) -> PaymentPage:
        """Where the payer approves; RailTrouble before the order is made and once it is paid."""
        if not operation.rail_ref:
            raise RailTrouble("PayPal: the order is not made yet")
        link = rules.payer_link(self._calls.order(operation.rail_ref))
        if not link:
            raise RailTrouble("PayPal: there is nothing left to be approved")
        return PaymentPage(url=link)

    # What PayPal tells

    def notices(self, *, after: str, limit: int, at: datetime) -> NoticePage:  # noqa: ARG002
        """None: PayPal speaks by webhooks and is asked for the rest."""
        return NoticePage((), after)

    def chargebacks(
        self,
        operation_ids: Sequence[UUID],  # noqa: ARG002
        *,
        at: datetime,  # noqa: ARG002
    ) -> list[Notice]:
        """None: disputes are left out (`disputes` is False); their money is on the statement."""
        return []

    def log(self, *, after: int, limit: int, at: datetime) -> list[LogLine]:  # noqa: ARG002
        """None: the statement tells of movements."""
        return []

    def balances(self, *, at: datetime) -> list[RailBalance]:
        """What is available and what is withheld, by PayPal's own report, some hours late."""
        query = {"currency_code": "ALL", "as_of_time": at.isoformat(timespec="seconds")}
        said = self._calls.get("/v1/reporting/balances", query)
        found = []
        for each in said.get("balances") or ():
            for name, account in (
                ("available_balance", RailAccount.PROCESSOR_AVAILABLE),
                ("withheld_balance", RailAccount.PROCESSOR_RESERVED),
            ):
                if each.get(name):
                    minor, currency = minor_of(each[name])
                    found.append(RailBalance(account, currency, minor, PAYPAL.rail_account))
        return found

    def transactions(self, *, after: str, limit: int, at: datetime) -> TransactionPage:
        """Settled movements on the balance; a movement may be some hours late."""
        window = window_after(after, at=at)
        query = window.query | {"page_size": str(min(limit, _MOST_LINES))}
        said = self._calls.get("/v1/reporting/transactions", query)
        details = said.get("transaction_details") or ()
        lines = tuple(line for each in details for line in lines_of(each))
        following = window.following(pages=int(said.get("total_pages") or 0))
        is_last = following.page == 0 and window.end >= at
        return TransactionPage(lines, str(following), is_last)

    # Webhooks

    def open_event(
        self,
        body: bytes,
        headers: Mapping[str, str],
        *,
        endpoint: str,  # noqa: ARG002  one webhook, one address
        at: datetime,
    ) -> list[RailEvent]:
        """Verify PayPal's signature; its certificate is fetched once and kept."""
        verify(
            body,
            headers,
            webhook_id=self._settings.webhook_id,
            certificates=self._certificates,
            at=at,
        )
        try:
            said = json.loads(body)
        except ValueError:
            raise BadEvent(why="not JSON") from None
        return [self._event(said, Authentic.SIGNATURE)]

    def read_event(self, event: RailEvent, *, at: datetime) -> list[Notice]:
        """Fetch the order, refund or payout that an event names, and say what is true of it.

        Nothing is captured here: that is a step of an operation that we know (`go_on`).
        """
        kind, ref = event.kind, event.object_ref
        readers = {
            "CHECKOUT.ORDER.": self._read_order,
            "PAYMENT.CAPTURE.": self._read_payment,
            "PAYMENT.REFUND.": self._read_refund,
            "PAYMENT.PAYOUTS-ITEM.": self._read_item,
            "PAYMENT.PAYOUTSBATCH.": self._read_batch,
        }
        read = next((each for name, each in readers.items() if kind.startswith(name)), None)
        return read(ref, at) if read and ref else []

    def list_events(self, *, after: str, limit: int, at: datetime) -> tuple[list[RailEvent], str]:
        """Events that PayPal sent since a time, oldest first; it keeps them for thirty days.

        It lists the newest first, so each day is read whole before any of it is given.
        """
        since = max(datetime.fromisoformat(after), at - _KEPT) if after else at - _KEPT
        found: list[RailEvent] = []
        start = since
        while start < at and len(found) < limit:
            end = min(start + timedelta(days=1), at)
            found += self._events_between(start, end)
            start = end
        if len(found) < limit:
            return found, max(since, at - _LATE).isoformat()
        given = found[:limit]
        return given, (given[-1].occurred_at or since).isoformat()

    def _events_between(self, start: datetime, end: datetime) -> list[RailEvent]:
        query = {
            "start_time": start.isoformat(timespec="seconds"),
            "end_time": end.isoformat(timespec="seconds"),
            "page_size": str(_MOST_EVENTS),
        }
        said = self._calls.get(EVENTS, query)
        raw = list(said.get("events") or ())
        while following := rules.next_page(said):
            said = self._calls.get(EVENTS, following)
            raw += said.get("events") or ()
        found = [self._event(each, Authentic.API) for each in raw]
        return sorted(found, key=lambda event: (event.occurred_at or start, event.event_id))

    def _read_order(self, ref: str, at: datetime) -> list[Notice]:
        order = self._calls.found(f"{ORDERS}/{ref}")
        if not order:
            return []
        unit: Mapping[str, Any] = next(iter(order.get("purchase_units") or ()), {})
        return _noted(unit.get("custom_id"), rules.order_says(order), at)

    def _read_item(self, ref: str, at: datetime) -> list[Notice]:
        item = self._calls.found(f"{ITEMS}/{ref}")
        return _item_noted(item, "", at) if item else []

    def _read_batch(self, ref: str, at: datetime) -> list[Notice]:
        batch = self._calls.found(f"{PAYOUTS}/{ref}")
        status = str((batch.get("batch_header") or {}).get("batch_status") or "")
        items = batch.get("items") or ()
        return [each for item in items for each in _item_noted(item, status, at)]

    def _read_payment(self, ref: str, at: datetime) -> list[Notice]:
        """A capture, or the refund that an event of a capture names instead."""
        capture = self._calls.found(f"{PAYMENTS}/captures/{ref}")
        if not capture:
            return self._read_refund(ref, at)
        order_id = rules.order_of_capture(capture)
        if not order_id:
            return []
        said = rules.capture_says(capture, order_id=order_id)
        return _noted(capture.get("custom_id"), said, at)

    def _read_refund(self, ref: str, at: datetime) -> list[Notice]:
        refund = self._calls.found(f"{PAYMENTS}/refunds/{ref}")
        return _noted(refund.get("custom_id"), rules.refund_says(refund), at) if refund else []

    def _safely(
        self,
        operation: RailOperation,
        act: Callable[[RailOperation, datetime], Said],
        at: datetime,
    ) -> RailResult:
        """One operation's trouble is its own: its neighbours keep their answers."""
        try:
            said = act(operation, at)
        except NotTaken as trouble:
            said = Said(outcome=RailOutcome.UNKNOWN, rail_ref="", code=NOT_NOW)
            retry_at = at + timedelta(seconds=trouble.wait_s)
            return replace(result_of(operation, said, at=at), retry_at=retry_at)
        except (RailTrouble, *NONSENSE):
            said = Said(outcome=RailOutcome.UNKNOWN, rail_ref="")
        return result_of(operation, said, at=at)

    def _event(self, said: Any, authentic: Authentic) -> RailEvent:  # noqa: ANN401
        """An event as a hint: what it is about, and nothing of what it says of it or its payer."""
        if not isinstance(said, dict) or not said.get("id") or not said.get("event_type"):
            raise BadEvent(why="no event")
        sent_at = said.get("create_time")
        return RailEvent(
            rail=self.name,
            account="",
            event_id=str(said["id"]),
            kind=str(said["event_type"]),
            object_ref=rules.object_of(said),
            authentic=authentic,
            is_live=self._settings.is_live,
            body=json.dumps(rules.kept_of(said)).encode(),
            occurred_at=rules.time_of(sent_at),
        )


def _noted(custom_id: object, said: Said, at: datetime) -> list[Notice]:
    """The notice on an operation of ours; none where the object names none."""
    operation_id = operation_of(custom_id)
    notice = rules.notice_of(operation_id, said, at=at) if operation_id else None
    return [notice] if notice else []


def _item_noted(item: Mapping[str, Any], batch_status: str, at: datetime) -> list[Notice]:
    named = (item.get("payout_item") or {}).get("sender_item_id")
    return _noted(named, rules.item_says(item, batch_status=batch_status), at)
