"""A rail against the double over loopback: operations, webhooks, and what became of money."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from rails.model import Notice, OperationKind, RailOperation, RailOutcome, RailResult
from rails.paypal.service import PaypalRail
from rails.paypal.settings import PaypalSettings
from rails.refusals import BadEvent, BadSignature
from tests.doubles.frame import Delivery
from tests.doubles.paypal_double.double import CLIENT, WEBHOOK_ID, PaypalDouble


class Stage:
    def __init__(self, double: PaypalDouble) -> None:
        url = double.frame.url
        self.double = double
        self.settings = PaypalSettings(
            client_id=CLIENT[0],
            client_secret=CLIENT[1],
            api_base=url,
            webhook_id=WEBHOOK_ID,
            return_url="https://market.test/paid",
            cancel_url="https://market.test/cancelled",
            certificate_bases=(url,),
            read_s=10,
        )
        self.rail = PaypalRail(self.settings)
        self.heard: list[Notice] = []
        self.answered: list[int] = []
        double.deliveries.send_to(self.hear)

    @property
    def now(self) -> Any:
        return self.double.clock.now

    def hear(self, delivery: Delivery) -> int:
        """What our webhook endpoint and the worker behind it do."""
        try:
            events = self.rail.open_event(
                delivery.body, delivery.headers, endpoint="platform", at=self.now
            )
        except (BadSignature, BadEvent):
            self.answered.append(400)
            return 400
        for event in events:
            self.heard += self.rail.read_event(event, at=self.now)
        self.answered.append(200)
        return 200

    def operation(
        self, kind: OperationKind, minor: int, currency: str, **more: Any
    ) -> RailOperation:
        given: dict[str, Any] = {"method": "paypal", "facts": {}} | more
        return RailOperation(
            id=uuid4(),
            kind=kind,
            handler="tests",
            subject="thing:1",
            amount_minor=minor,
            currency=currency,
            rail="paypal",
            created_at=self.now,
            **given,
        )

    def do(self, operation: RailOperation) -> RailResult:
        return self.rail.execute([operation], at=self.now)[0]

    def read(self, operation: RailOperation) -> RailResult:
        return self.rail.resolve([operation], at=self.now)[0]

    def go_on(self, operation: RailOperation) -> RailResult:
        return self.rail.go_on([operation], at=self.now)[0]

    def ordered(self, minor: int, currency: str) -> RailOperation:
        """A funding whose order is made, as the books would hold it by then."""
        operation = self.operation(OperationKind.FUND, minor, currency)
        result = self.do(operation)
        assert result.outcome is RailOutcome.PENDING, result
        return replace(operation, rail_ref=result.rail_ref)

    def funded(self, minor: int, currency: str) -> tuple[RailOperation, RailResult]:
        operation = self.ordered(minor, currency)
        self.double.state.approve(operation.rail_ref)
        result = self.go_on(operation)
        assert result.outcome is RailOutcome.DONE, result
        return operation, result

    def refund(self, funding: RailOperation, minor: int) -> RailOperation:
        facts = {"funding_id": str(funding.id), "funding_ref": funding.rail_ref}
        return self.operation(OperationKind.REFUND, minor, funding.currency, facts=facts)

    def payout(self, minor: int, currency: str, *, to: str = "payee@shop.test") -> RailOperation:
        return self.operation(OperationKind.PAYOUT, minor, currency, method=f"paypal:{to}")

    def wait(self, **how_long: float) -> None:
        self.double.clock.advance(timedelta(**how_long))

    def told_of(self, operation_id: UUID) -> list[Notice]:
        return [each for each in self.heard if each.operation_id == operation_id]


@contextmanager
def staged() -> Iterator[Stage]:
    """A double that listens and a rail that knows it; no specification was broken in the end."""
    double = PaypalDouble()
    double.frame.start()
    stage = Stage(double)
    try:
        yield stage
    finally:
        stage.rail.close()
        double.frame.stop()
    assert double.breaches == []
    assert double.frame.broken == []
