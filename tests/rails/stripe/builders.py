"""A Stripe rail on the double, operations for it, and what a payee's account needs first."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from kernel.ids import new_id
from rails.model import Notice, OperationKind, RailOperation, RailResult
from rails.model_events import RailEvent
from rails.stripe.model import StripeSettings
from rails.stripe.service import StripeRail
from tests.doubles.frame import Delivery
from tests.doubles.stripe_double.double import (
    API_KEY,
    CONNECT_SECRET,
    PLATFORM_SECRET,
    StripeDouble,
)

TENANT: Final = "test"

VISA: Final = "pm_card_visa"


def settings(double: StripeDouble, **more: Any) -> StripeSettings:
    """Settings that point to a double."""
    said: dict[str, Any] = {
        "api_key": API_KEY,
        "api_base": double.url,
        "webhook_secret": PLATFORM_SECRET,
        "connect_webhook_secret": CONNECT_SECRET,
        "country": "DE",
        "tenant": TENANT,
        "calls_per_s": 100_000,
    }
    return StripeSettings(**(said | more))


@dataclass
class Stage:
    """One rail on one double, and the short words of its tests."""

    double: StripeDouble
    rail: StripeRail
    heard: list[RailEvent] = field(default_factory=list)

    @property
    def now(self) -> datetime:
        return self.double.clock.now

    def operation(
        self,
        kind: OperationKind,
        amount_minor: int = 10_300,
        *,
        currency: str = "EUR",
        method: str = "",
        **facts: Any,
    ) -> RailOperation:
        """An operation that was intended now."""
        operation_id = new_id()
        return RailOperation(
            id=operation_id,
            kind=kind,
            handler="test.heard",
            subject=f"{kind.value}:{operation_id}",
            amount_minor=amount_minor,
            currency=currency,
            method=method,
            facts=facts,
            rail="stripe",
            created_at=self.now,
        )

    def do(self, *operations: RailOperation) -> RailResult:
        """What the rail says of the last of them at once."""
        return self.rail.execute(operations, at=self.now)[-1]

    def ask(self, *operations: RailOperation) -> RailResult:
        """What a read says of the last of them."""
        return self.rail.resolve(operations, at=self.now)[-1]

    def fund(
        self, amount_minor: int = 10_300, currency: str = "EUR", method: str = VISA, **facts: Any
    ) -> tuple[RailOperation, RailResult]:
        """A payment, and what the rail says of it."""
        operation = self.operation(
            OperationKind.FUND, amount_minor, currency=currency, method=method, **facts
        )
        return operation, self.do(operation)

    def payee(self) -> str:
        """A payee's account that Stripe has verified."""
        opened = self.do(self.operation(OperationKind.PAYEE, 0, country="DE"))
        self.double.verify(opened.rail_ref)
        return opened.rail_ref

    def transfer(
        self, account: str, amount_minor: int = 5_000, currency: str = "EUR", **facts: Any
    ) -> RailOperation:
        """A transfer to a payee's account, not sent yet."""
        return self.operation(
            OperationKind.TRANSFER,
            amount_minor,
            currency=currency,
            source="stripe",
            target=f"stripe:{account}",
            **facts,
        )

    def payout(self, account: str, amount_minor: int = 5_000, currency: str = "EUR") -> Any:
        """A payout from a payee's account, not sent yet."""
        return self.operation(
            OperationKind.PAYOUT, amount_minor, currency=currency, account=f"stripe:{account}"
        )

    def funded_payee(self, amount_minor: int = 5_000, currency: str = "EUR") -> str:
        """A payee whose account has that much available."""
        account = self.payee()
        funding, _ = self.fund(amount_minor * 2, currency)
        self.do(self.transfer(account, amount_minor, currency, charge_of=str(funding.id)))
        self.double.advance(days=3)
        return account

    def hear(self) -> list[Notice]:
        """Take in every webhook that waits, in the order of the double, and read what is true."""
        notices: list[Notice] = []

        def receive(delivery: Delivery) -> int:
            opened = self.rail.open_event(
                delivery.body, delivery.headers, endpoint=delivery.endpoint, at=self.now
            )
            self.heard += opened
            return 200

        start = len(self.heard)
        self.double.deliveries.send_to(receive)
        self.double.deliver()
        for event in self.heard[start:]:
            notices += self.rail.read_event(event, at=self.now)
        return notices

    def told(self, operation_id: UUID) -> list[Notice]:
        """What waiting webhooks say of one operation, each truth once."""
        said = {n.notice_id: n for n in self.hear() if n.operation_id == operation_id}
        return list(said.values())


HOUR: Final = timedelta(hours=1)
