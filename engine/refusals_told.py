"""The words of all rooms' refusals that stand in files of their own, by code."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from engine.refusals_auditor import AUDITOR
from engine.refusals_axes import AXES
from engine.refusals_bank import BANK
from engine.refusals_breaks import BREAKS
from engine.refusals_chargebacks import CHARGEBACKS
from engine.refusals_claims import CLAIMS
from engine.refusals_clocks import CLOCKS
from engine.refusals_disputes import DISPUTES
from engine.refusals_events import EVENTS
from engine.refusals_hourly import HOURLY
from engine.refusals_log import LOG
from engine.refusals_payouts import PAYOUTS
from engine.refusals_periods import PERIODS
from engine.refusals_prices import PRICES
from engine.refusals_rails import RAILS
from engine.refusals_retainers import RETAINERS
from engine.refusals_runs import RUNS
from engine.refusals_statements import STATEMENTS
from engine.refusals_taken import TAKEN
from engine.refusals_treasury import TREASURY

TOLD: Final[Mapping[str, tuple[int, str, str]]] = MappingProxyType(
    {
        **AUDITOR,
        **AXES,
        **BANK,
        **BREAKS,
        **CHARGEBACKS,
        **CLAIMS,
        **CLOCKS,
        **DISPUTES,
        **EVENTS,
        **HOURLY,
        **LOG,
        **PAYOUTS,
        **PERIODS,
        **PRICES,
        **RAILS,
        **RETAINERS,
        **RUNS,
        **STATEMENTS,
        **TAKEN,
        **TREASURY,
    }
)
"""(HTTP status, title, detail) of each code."""
