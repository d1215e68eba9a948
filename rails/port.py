"""The port: what every rail offers, whoever runs it. Batch-first; a batch of one is a call."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol, runtime_checkable
from uuid import UUID

from rails.model import (
    Capabilities,
    LogLine,
    Notice,
    NoticePage,
    RailBalance,
    RailOperation,
    RailResult,
)
from rails.model_events import PaymentPage, RailEvent, TransactionPage


class Rail(Protocol):
    """One platform's account at one rail. Every method may raise RailTrouble.

    `at` is the platform's clock. A rail with a clock of its own ignores it.
    """

    @property
    def name(self) -> str:
        """The rail's name, part of the key of its notices."""

    @property
    def capabilities(self) -> Capabilities:
        """What this rail can do."""

    def execute(self, operations: Sequence[RailOperation], *, at: datetime) -> list[RailResult]:
        """Move the money, once per operation id however often it is called; one result each.

        The operations take effect in their order. After RailTrouble the outcome of all of them is
        unknown.
        """

    def resolve(self, operations: Sequence[RailOperation], *, at: datetime) -> list[RailResult]:
        """Read what became of operations, without any effect; one result each, in order.

        An operation that the rail has never seen is UNKNOWN with the code NOT_FOUND; one that it
        could not tell of is UNKNOWN without a code.
        """

    def notices(self, *, after: str, limit: int, at: datetime) -> NoticePage:
        """What the rail has to say after a position (empty: from the start), oldest first."""

    def chargebacks(self, operation_ids: Sequence[UUID], *, at: datetime) -> list[Notice]:
        """All that the rail says by now of the chargebacks of fundings, oldest first."""

    def balances(self, *, at: datetime) -> list[RailBalance]:
        """What the rail and the banks hold by their own account, for each currency ever used."""

    def log(self, *, after: int, limit: int, at: datetime) -> list[LogLine]:
        """The rail's own movements with a line number above `after`, effective by `at`."""


@runtime_checkable
class WebhookRail(Rail, Protocol):
    """A rail that sends events by itself."""

    def open_event(
        self, body: bytes, headers: Mapping[str, str], *, endpoint: str, at: datetime
    ) -> list[RailEvent]:
        """Verify a webhook and say what is in it; no network.

        `endpoint` is the last part of the address that it came to, such as `platform` or
        `connect`; header names are in lower case.

        Raises:
            BadSignature: it does not come from the rail, or too late to be believed.
            BadEvent: it cannot be read.
        """

    def read_event(self, event: RailEvent, *, at: datetime) -> list[Notice]:
        """Fetch what an event is about and say what is true of it by now; never its own words.

        The notices are named by what they say (`<object>:<state>:<transaction>`), so that the same
        truth heard by three ways is one notice. Empty where it concerns nothing that we look at.
        """

    def list_events(self, *, after: str, limit: int, at: datetime) -> tuple[list[RailEvent], str]:
        """Events after a position, oldest first, for gaps; the position after the last."""


@runtime_checkable
class StatementRail(Rail, Protocol):
    """A rail that lists the movements on our balances one by one."""

    def transactions(self, *, after: str, limit: int, at: datetime) -> TransactionPage:
        """Movements behind a position, of our own account and of each payee's that it knows.

        A movement may be listed again by a later page; it never changes.
        """


@runtime_checkable
class PaymentPageRail(Rail, Protocol):
    """A rail whose payers pay on a page, or in fields, of the rail."""

    def payment_page(self, operation: RailOperation) -> PaymentPage:
        """Where the payer of a funding pays; RailTrouble if the rail cannot tell."""


@runtime_checkable
class StepwiseRail(Rail, Protocol):
    """A rail where one operation takes more than one call of ours, the later ones much later."""

    def go_on(self, operations: Sequence[RailOperation], *, at: datetime) -> list[RailResult]:
        """Take the next step of operations that are pending or unknown, else as `resolve`.

        Each step has a key of its own, made of the operation's: however often this is called, and
        by however many, a step has its effect once.
        """


@runtime_checkable
class PayeeRail(Rail, Protocol):
    """A rail where payees have accounts, opened by an operation of the kind PAYEE."""

    def payee(self, account: str, *, at: datetime) -> Notice:
        """What an account may do by now, as a notice of the kind PAYEE_CHANGED."""

    def payee_link(self, account: str, *, return_url: str, refresh_url: str) -> str:
        """An address, good for minutes and once, where the payee tells the rail about himself."""


@runtime_checkable
class PreparedRail(Rail, Protocol):
    """A rail where our own account must be set up before client money may lie there."""

    def prepare(self) -> bool:
        """See that our account is set up as we need it; whether that had to be done now.

        It may be called as often as one likes; RailTrouble where the rail does not answer.
        """
