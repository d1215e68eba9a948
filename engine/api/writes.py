"""Every command that there is by HTTP."""

from typing import Any, Final

from engine.api.calls import Write
from engine.api.writes_bank import BANK
from engine.api.writes_breaks import BREAK_WRITES
from engine.api.writes_care import CARE
from engine.api.writes_chargebacks import CHARGEBACKS
from engine.api.writes_claims import CLAIMS
from engine.api.writes_clocks import CLOCKS
from engine.api.writes_contracts import CONTRACTS
from engine.api.writes_disputes import DISPUTES
from engine.api.writes_exchange import EXCHANGE
from engine.api.writes_experiments import EXPERIMENTS
from engine.api.writes_fees import FEES
from engine.api.writes_hourly import HOURS
from engine.api.writes_house import HOUSE
from engine.api.writes_journals import JOURNALS
from engine.api.writes_lines import LINES
from engine.api.writes_payouts import BEFORE_PAYOUTS
from engine.api.writes_plans import PLANS
from engine.api.writes_rails import RAIL_WRITES
from engine.api.writes_reconciliation import RECONCILIATION
from engine.api.writes_reservations import RESERVATIONS
from engine.api.writes_retainers import RETAINERS
from engine.api.writes_runs import RUNS
from engine.api.writes_slots import SLOTS
from engine.api.writes_tax import TAX
from engine.api.writes_wallets import WALLETS
from engine.api.writes_webhooks import WEBHOOKS

WRITES: Final[tuple[Write[Any], ...]] = (
    *SLOTS,
    *CONTRACTS,
    *HOUSE,
    *BEFORE_PAYOUTS,
    *RESERVATIONS,
    *JOURNALS,
    *DISPUTES,
    *CLAIMS,
    *CHARGEBACKS,
    *CLOCKS,
    *HOURS,
    *LINES,
    *RETAINERS,
    *FEES,
    *EXPERIMENTS,
    *PLANS,
    *TAX,
    *EXCHANGE,
    *RAIL_WRITES,
    *WEBHOOKS,
    *RECONCILIATION,
    *BREAK_WRITES,
    *CARE,
    *WALLETS,
    *RUNS,
    *BANK,
)
