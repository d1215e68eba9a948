"""What an open item is: money or a step that should be over by now and is not."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class OpenItem:
    """One thing that finance has to look at. `subject` is empty where an account has none.

    `amount_minor` is what is owed, or under way; negative where an account is on the wrong side.
    """

    sort: str
    subject: str
    currency: str
    amount_minor: int
    since: datetime
    state: str

    def days(self, at: datetime) -> int:
        """Whole days since it came to be so."""
        return max(timedelta(), at - self.since) // timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long things may wait for others before they are listed."""

    refund: timedelta = timedelta(days=10)
    payout: timedelta = timedelta(days=3)
    suspense: timedelta = timedelta(days=1)
    conversion: timedelta = timedelta(days=2)


SORTS: Final = MappingProxyType(
    {
        "chargeback.left_contested": "More or less is contested than chargebacks are about.",
        "chargeback.unsettled": "The chargeback is decided, and its money has not moved for days.",
        "claim.on_client": "The client owes this for hours that the platform advanced.",
        "claim.on_payee": "The payee owes this to the platform.",
        "contract.not_zero": "The contract is over, and a slot of it holds money.",
        "conversion.unexplained": "The bridge holds another sum than conversions wait for.",
        "conversion.unfilled": "No provider has filled the conversion for days.",
        "dispute.fees_left": "Arbitration fees are held, and no dispute runs.",
        "dispute.left_frozen": "Money is frozen, and no dispute runs.",
        "dispute.not_carried_out": "The dispute is settled or decided, and not carried out.",
        "fee.left_deferred": "Fees are deferred in another sum than slots and purchases wait for.",
        "payee.left_reserved": "More or less is reserved of the payee's money than anything asks.",
        "payout.not_zero": "The payout is over, and money is still on its way.",
        "payout.unconfirmed": "The rail has not said for days what became of the payout.",
        "payouts.stopped": "No payout leaves: our account there is short of what it owes.",
        "period.not_zero": "The retainer's period is over, and its slot holds money.",
        "purchase.not_earned": "The days of a plan or a product are over, and not all is earned.",
        "rail.transaction_open": "The rail's statement has it, and nothing of ours explains it.",
        "refund.not_zero": "The refund is over, and money is still on its way.",
        "refund.unconfirmed": "The rail has not said for days what became of the refund.",
        "slot.not_zero": "The slot is over, and holds money.",
        "suspense.aged": "Money of another amount came, and nobody has matched it for days.",
        "suspense.unexplained": "Suspense holds another sum than the receipts that wait there.",
        "week.not_zero": "The worked week is over, and its slot holds money.",
    }
)
"""Every sort of open item, and what it means."""
