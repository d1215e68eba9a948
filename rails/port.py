"""The port: what every rail offers, whoever runs it. Batch-first; a batch of one is a call."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
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

        An operation that the rail has never seen is UNKNOWN with the code NOT_FOUND.
        """

    def notices(self, *, after: str, limit: int, at: datetime) -> NoticePage:
        """What the rail has to say after a position (empty: from the start), oldest first."""

    def chargebacks(self, operation_ids: Sequence[UUID], *, at: datetime) -> list[Notice]:
        """All that the rail says by now of the chargebacks of fundings, oldest first."""

    def balances(self, *, at: datetime) -> list[RailBalance]:
        """What the rail and the banks hold by their own account, for each currency ever used."""

    def log(self, *, after: int, limit: int, at: datetime) -> list[LogLine]:
        """The rail's own movements with a line number above `after`, effective by `at`."""
