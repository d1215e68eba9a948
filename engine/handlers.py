"""The tables of handlers by name: what fires a timer, hears a rail, or does a job.

Rows of timers and of rail operations carry these names, so a name never changes its meaning.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from engine.scanner import TimerHandler
from escrow import service as escrow
from escrow import timers as escrow_timers
from escrow.service_batch import FUNDING_HANDLER, REFUND_HANDLER
from ledger import journals, reservations
from payouts import service as payouts
from payouts import settlement
from rails.caller import NoticeHandler, ResultHandler
from rails.model import FUNDS_AVAILABLE

TIMERS: Final[Mapping[str, TimerHandler]] = MappingProxyType(
    {**escrow_timers.HANDLERS, **reservations.HANDLERS, **journals.HANDLERS}
)
"""By the kind of the timer."""

RAIL_RESULTS: Final[Mapping[str, ResultHandler]] = MappingProxyType(
    {
        FUNDING_HANDLER: lambda connection, results, at: escrow.funding_results(
            connection, results, at=at
        ),
        REFUND_HANDLER: lambda connection, results, at: escrow.refund_results(
            connection, results, at=at
        ),
        payouts.HANDLER: payouts.hear,
        settlement.HANDLER: settlement.hear_transfers,
    }
)
"""By the handler that a rail operation names."""

RAIL_NOTICES: Final[Mapping[str, NoticeHandler]] = MappingProxyType(
    {FUNDS_AVAILABLE: settlement.hear_available}
)
"""By the kind of a notice that is about no operation of ours."""
