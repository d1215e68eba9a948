"""The invoicer at work: batch after batch, each in a transaction of its own."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from typing import Final

import structlog
from sqlalchemy import Engine

from engine.rounds import go_round, keep_going
from kernel import clock
from kernel.database import Tenant, transaction
from rails.rates import ecb
from rails.rates.model import Source
from tax.model_invoice import Issued
from tax.service_invoice import issue_due

BATCH: Final = 500
"""Fee lines of one transaction: the series stand still for so long, and no longer."""

_log = structlog.get_logger(__name__)


@cache
def ecb_rates() -> Source:
    """The packaged reference rates, for the tax in its country's currency; read once."""
    return ecb.packaged()


def issue_all(
    engine: Engine, tenant: Tenant, *, rates: Source | None, batch: int = BATCH
) -> Issued:
    """Issue documents for all fees that have none, until no more can be issued.

    Those near the last document first; all are looked at once none of them is left.
    """
    numbers: list[str] = []
    everything = False
    while True:
        with transaction(engine, tenant) as connection:
            at = clock.now(connection)
            issued = issue_due(connection, at, batch, rates=rates, everything=everything)
        numbers += issued.numbers
        if everything and not issued.numbers:
            return Issued(tuple(numbers), issued.waiting)
        everything = not issued.numbers


@dataclass(frozen=True, slots=True)
class InvoiceLoop:
    """Walks the tenants and issues what is due; each is walked by one process at a time.

    Once a tenant's day it looks at all fees, and else at those near the last with a document.
    """

    engine: Engine
    tenants: Callable[[], Sequence[Tenant]]
    interval_s: float = 2.0
    looked_on: dict[str, date] = field(default_factory=dict)

    def run_forever(self, stop: threading.Event) -> None:
        """Go round until `stop` is set; at once again while there is work."""
        keep_going(self.run_once, stop, interval_s=self.interval_s)

    def run_once(self, stop: threading.Event) -> bool:
        """Look at each tenant once; whether a document was issued."""
        return go_round(self.tenants, self._look_at, stop, what="invoices", engine=self.engine) > 0

    def _look_at(self, tenant: Tenant) -> int:
        with transaction(self.engine, tenant) as connection:
            at = clock.now(connection)
            issued = issue_due(connection, at, BATCH, rates=ecb_rates())
            if not issued.numbers and self.looked_on.get(tenant.name) != at.date():
                issued = issue_due(connection, at, BATCH, rates=ecb_rates(), everything=True)
        if not issued.numbers:
            self.looked_on[tenant.name] = at.date()
        else:
            _log.info("invoices.issued", tenant=tenant.name, documents=len(issued.numbers))
        return len(issued.numbers)
