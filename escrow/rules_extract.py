"""Plain words for every line of an account extract, and which accounts of the chart it shows."""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from kernel.errors import Refusal
from ledger.chart import is_reserved

_FIRST_YEAR: Final = 1970
_LAST_YEAR: Final = 2199


class Kind(StrEnum):
    """What sort of movement it is; a filter of the transaction history."""

    PAYMENT = "payment"
    EARNING = "earning"
    AVAILABLE = "available"
    REFUND = "refund"
    PAYOUT = "payout"
    DISPUTE = "dispute"
    CHARGEBACK = "chargeback"
    OTHER = "other"


class BadMonth(Refusal):
    """A month is written 2026-10, and lies in the years 1970 to 2199."""

    code = "extract.bad_month"


_WORDS: Final[Mapping[str, tuple[Kind, str, str]]] = MappingProxyType(
    {
        # kind of event: (sort, words where money comes to the account, words where it goes)
        "slot.funded": (Kind.PAYMENT, "Paid into escrow", "Paid into escrow"),
        "slot.topped_up": (Kind.PAYMENT, "Paid into escrow", "Paid into escrow"),
        "slot.rolled_forward": (Kind.PAYMENT, "Rolled forward", "Rolled forward to other work"),
        "slot.rolled_in": (Kind.PAYMENT, "Rolled in from other work", "Rolled forward"),
        "funding.arrived_late": (
            *(Kind.PAYMENT, "Payment came too late for its deal: credited", "Payment taken back"),
        ),
        "funding.credited": (Kind.PAYMENT, "Payment credited", "Payment taken back"),
        "funding.tipped": (Kind.EARNING, "Tip received", "Tip paid"),
        "slot.released": (Kind.EARNING, "Earned", "Released to the payee"),
        "slot.partly_released": (Kind.EARNING, "Earned in part", "Released in part to the payee"),
        "week.released": (Kind.EARNING, "Week earned", "Week released to the payee"),
        "week.released_undisputed": (
            *(Kind.EARNING, "Undisputed part of the week earned", "Undisputed part released"),
        ),
        "week.advanced": (Kind.EARNING, "Protected hours paid by the platform", "Owed for a week"),
        "week.advance_settled": (
            *(Kind.EARNING, "Week paid that the platform advanced", "Week released"),
        ),
        "slot.advance_settled": (
            *(Kind.EARNING, "Week paid that the platform advanced", "Week released"),
        ),
        "week.written_off": (Kind.OTHER, "Debt for a week written off", "Debt for a week"),
        "week.refunded": (Kind.REFUND, "Week refunded", "Week refunded"),
        "period.settled": (Kind.EARNING, "Retainer period earned", "Retainer period released"),
        "period.drawdown_approved": (Kind.EARNING, "Drawn from a retainer", "Drawn by the payee"),
        "period.cancelled": (Kind.EARNING, "Retainer period ended", "Retainer period ended"),
        "release.available": (Kind.AVAILABLE, "Security hold over", "Security hold over"),
        "reserve.kept": (Kind.AVAILABLE, "Kept back in reserve", "Kept back in reserve"),
        "reserve.given": (Kind.AVAILABLE, "Reserve given", "Reserve given"),
        "slot.refunded": (Kind.REFUND, "Refunded", "Refunded to the client"),
        "slot.refunded_later": (Kind.REFUND, "Refunded", "Refunded after release"),
        "slot.cancelled": (Kind.REFUND, "Cancelled and refunded", "Cancelled and refunded"),
        "refund.wallet_credited": (
            *(Kind.REFUND, "Refund could not be paid out: credited", "Refund paid out"),
        ),
        "payout.requested": (Kind.PAYOUT, "Payout", "Payout"),
        "payout.failed": (Kind.PAYOUT, "Payout failed: money is back", "Payout failed"),
        "payout.returned": (Kind.PAYOUT, "Payout came back", "Payout came back"),
        "payout.cancelled": (Kind.PAYOUT, "Payout cancelled", "Payout cancelled"),
        "dispute.opened": (Kind.DISPUTE, "Frozen by a dispute", "Frozen by a dispute"),
        "dispute.elected": (Kind.DISPUTE, "Arbitration fee back", "Arbitration fee"),
        "dispute.withdrawn": (Kind.DISPUTE, "Dispute withdrawn", "Dispute withdrawn"),
        "line.disputed": (Kind.DISPUTE, "Hours frozen by a dispute", "Hours frozen by a dispute"),
        "claim.opened": (Kind.CHARGEBACK, "Debt to the platform", "Debt to the platform"),
        "claim.recovered": (Kind.CHARGEBACK, "Debt paid from earnings", "Debt paid from earnings"),
        "claim.relieved": (Kind.CHARGEBACK, "Debt relieved", "Debt relieved"),
        "claim.written_off": (Kind.CHARGEBACK, "Debt written off", "Debt written off"),
        "chargeback.reinstated": (
            *(Kind.CHARGEBACK, "Chargeback won: money is back", "Chargeback won"),
        ),
        "chargeback.withdrawn": (
            *(Kind.CHARGEBACK, "Chargeback withdrawn: money is back", "Chargeback withdrawn"),
        ),
        "chargeback.lost": (Kind.CHARGEBACK, "Chargeback lost", "Chargeback lost"),
    }
)

_BY_ROOM: Final[Mapping[str, tuple[Kind, str]]] = MappingProxyType(
    {
        "dispute": (Kind.DISPUTE, "Dispute"),
        "line": (Kind.DISPUTE, "Dispute of hours"),
        "chargeback": (Kind.CHARGEBACK, "Chargeback"),
        "claim": (Kind.CHARGEBACK, "Debt to the platform"),
        "payout": (Kind.PAYOUT, "Payout"),
        "refund": (Kind.REFUND, "Refund"),
        "funding": (Kind.PAYMENT, "Payment"),
        "week": (Kind.EARNING, "Week"),
        "period": (Kind.EARNING, "Retainer period"),
        "fx": (Kind.OTHER, "Exchange"),
        "journal": (Kind.OTHER, "Correction by the platform"),
        "reservation": (Kind.OTHER, "Set aside"),
        "books": (Kind.OTHER, "Taken over from the books before"),
    }
)

ACCOUNT_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "wallet": "Wallet",
        "escrow": "In escrow",
        "escrow_disputed": "In escrow, disputed",
        "earned_pending": "Pending",
        "earned_available": "Available",
        "earned_reserved": "Reserved",
        "set_aside": "Set aside",
        "blocked": "Blocked",
        "owed": "Owed to the platform",
    }
)
"""The accounts of an extract, in the order in which it shows them."""


def account_of(kind: str, *, subject: str) -> str:
    """What an extract calls an account of the chart."""
    if is_reserved(subject):
        return "set_aside"
    if kind.startswith("platform.claim_on"):
        return "owed"
    return kind.removeprefix("custody.")


def sort_of(event_kind: str) -> Kind:
    """What sort of movement an event makes."""
    known = _WORDS.get(event_kind)
    if known is not None:
        return known[0]
    return _BY_ROOM.get(event_kind.partition(".")[0], (Kind.OTHER, ""))[0]


def words_for(event_kind: str, *, is_credit: bool) -> str:
    """What happened, for people; an event without words of its own is told by its name."""
    known = _WORDS.get(event_kind)
    if known is not None:
        return known[1] if is_credit else known[2]
    room, _, name = event_kind.partition(".")
    words = name.replace("_", " ")
    told = _BY_ROOM.get(room)
    return f"{told[1]}: {words}" if told else f"{room} {words}".strip().capitalize()


def month_of(text: str) -> tuple[datetime, datetime]:
    """The month `2026-10` in UTC, half open; refuses `extract.bad_month`."""
    year, _, month = text.partition("-")
    is_written = len(text) == len("2026-10") and (year + month).isdecimal() and text.isascii()
    if not is_written or not 1 <= int(month) <= 12:
        raise BadMonth(month=text[:20])
    if not _FIRST_YEAR <= int(year) <= _LAST_YEAR:
        raise BadMonth(month=text)
    start = datetime(int(year), int(month), 1, tzinfo=UTC)
    is_last = start.month == 12
    return start, start.replace(year=start.year + is_last, month=1 if is_last else start.month + 1)
