"""A rail against the double over loopback: pushes, payouts, callbacks and what became of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from rails.model import Notice, OperationKind, RailOperation, RailOutcome, RailResult
from rails.mpesa.service import MpesaRail
from rails.mpesa.settings import MpesaSettings
from rails.refusals import BadEvent, BadSignature
from tests.doubles.frame import Delivery
from tests.doubles.mpesa_double.double import (
    CONSUMER,
    INITIATOR,
    PASSKEY,
    SHORTCODE,
    MpesaDouble,
)

PHONE = "254712345678"


class Stage:
    def __init__(self, double: MpesaDouble) -> None:
        self.double = double
        self.settings = MpesaSettings(
            consumer_key=CONSUMER[0],
            consumer_secret=CONSUMER[1],
            shortcode=SHORTCODE,
            passkey=PASSKEY,
            initiator=INITIATOR[0],
            security_credential=INITIATOR[1],
            callback_base="https://market.test/webhooks/test/mpesa",
            callback_token="a-token-of-tests-that-is-long-enough",
            api_base=double.frame.url,
            read_s=10,
        )
        self.rail = MpesaRail(self.settings)
        self.heard: list[Notice] = []
        self.kept: list[bytes] = []
        self.event_ids: list[str] = []
        self.answered: list[int] = []
        double.deliveries.send_to(self.hear)

    @property
    def now(self) -> datetime:
        return self.double.clock.now

    def hear(self, delivery: Delivery) -> int:
        """What our webhook endpoint and the worker behind it do."""
        try:
            events = self.rail.open_event(
                delivery.body, delivery.headers, endpoint=delivery.endpoint, at=self.now
            )
        except (BadSignature, BadEvent):
            self.answered.append(400)
            return 400
        for event in events:
            self.kept.append(event.body)
            self.event_ids.append(event.event_id)
            self.heard += self.rail.read_event(event, at=self.now)
        self.answered.append(200)
        return 200

    def operation(
        self, kind: OperationKind, minor: int, *, phone: str = PHONE, currency: str = "KES"
    ) -> RailOperation:
        return RailOperation(
            id=uuid4(),
            kind=kind,
            handler="tests",
            subject="thing:1",
            amount_minor=minor,
            currency=currency,
            method=f"mpesa:{phone}",
            rail="mpesa",
            created_at=self.now,
        )

    def do(self, operation: RailOperation) -> RailResult:
        return self.rail.execute([operation], at=self.now)[0]

    def read(self, operation: RailOperation) -> RailResult:
        return self.rail.resolve([operation], at=self.now)[0]

    def started(self, kind: OperationKind, minor: int, *, phone: str = PHONE) -> RailOperation:
        """An operation that was accepted, as the books would hold it by then."""
        operation = self.operation(kind, minor, phone=phone)
        result = self.do(operation)
        assert result.outcome is RailOutcome.PENDING, result
        return replace(operation, rail_ref=result.rail_ref)

    def settle(self, **how_long: Any) -> None:
        """Let time go by and deliver what comes, as often as an answer leads to a question."""
        self.double.clock.advance(timedelta(**how_long))
        for _ in range(3):
            self.double.deliveries.deliver()
            self.double.clock.advance(timedelta(seconds=10))
        self.double.deliveries.deliver()

    def told_of(self, operation_id: UUID) -> dict[str, Notice]:
        """By their ids: what is told twice is one."""
        return {n.notice_id: n for n in self.heard if n.operation_id == operation_id}


@contextmanager
def staged() -> Iterator[Stage]:
    """A double that listens and a rail that knows it; no request was wrong in the end."""
    double = MpesaDouble()
    double.frame.start()
    stage = Stage(double)
    try:
        yield stage
    finally:
        stage.rail.close()
        double.frame.stop()
    assert double.breaches == []
    assert double.frame.broken == []
