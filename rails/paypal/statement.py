"""PayPal's list of transactions as lines of a statement: pure.

PayPal lists a movement up to three hours late and never more than 31 days at once, so a day is
looked at again with each new page. Source: Transaction Search v1, transaction event codes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from kernel.errors import RailTrouble
from rails.model_events import RailTransaction, TransactionKind
from rails.paypal.rules import NAME, minor_of, operation_of

WINDOW: Final = timedelta(days=31)
LATE: Final = timedelta(days=1)
SETTLED: Final = frozenset({"S", "V", "F"})
"""Done, later taken back, or later refunded in part; what is pending or denied moved nothing."""

_WITH_FEE: Final = frozenset({TransactionKind.FUNDING, TransactionKind.REFUND})

_BY_CODE: Final[Mapping[str, tuple[TransactionKind, TransactionKind]]] = {
    # code or group: (money came, money went)
    "T0001": (TransactionKind.PAYOUT_BACK, TransactionKind.PAYOUT),
    "T0015": (TransactionKind.PAYOUT_BACK, TransactionKind.PAYOUT),
    "T00": (TransactionKind.FUNDING, TransactionKind.OTHER),
    "T01": (TransactionKind.FEE, TransactionKind.FEE),
    "T03": (TransactionKind.TOP_UP, TransactionKind.OTHER),
    "T04": (TransactionKind.PAYOUT_BACK, TransactionKind.PAYOUT),
    "T1106": (TransactionKind.CHARGEBACK_BACK, TransactionKind.CHARGEBACK),
    "T1107": (TransactionKind.REFUND_BACK, TransactionKind.REFUND),
    "T1108": (TransactionKind.FEE, TransactionKind.FEE),
    "T1109": (TransactionKind.FEE, TransactionKind.FEE),
    "T1110": (TransactionKind.RESERVE_BACK, TransactionKind.RESERVE),
    "T1111": (TransactionKind.RESERVE_BACK, TransactionKind.RESERVE),
    "T1114": (TransactionKind.PAYOUT_BACK, TransactionKind.OTHER),
    "T1115": (TransactionKind.PAYOUT_BACK, TransactionKind.OTHER),
    "T1201": (TransactionKind.CHARGEBACK_BACK, TransactionKind.CHARGEBACK),
    "T1202": (TransactionKind.CHARGEBACK_BACK, TransactionKind.CHARGEBACK),
    "T21": (TransactionKind.RESERVE_BACK, TransactionKind.RESERVE),
}


@dataclass(frozen=True, slots=True)
class Window:
    """A time that is listed page by page, and which page comes next."""

    start: datetime
    end: datetime
    page: int

    def __str__(self) -> str:
        """The position of a statement, as it is kept."""
        return f"{self.start.isoformat()}|{self.end.isoformat()}|{self.page}"

    @property
    def query(self) -> dict[str, str]:
        """What is asked for, in PayPal's words."""
        return {
            "start_date": self.start.isoformat(timespec="seconds"),
            "end_date": self.end.isoformat(timespec="seconds"),
            "fields": "transaction_info",
            "balance_affecting_records_only": "Y",
            "page": str(self.page),
        }

    def following(self, *, pages: int) -> "Window":
        """The next page; after the last one the time from a day before this window's end."""
        if self.page < pages:
            return Window(self.start, self.end, self.page + 1)
        return Window(max(self.start, self.end - LATE), self.end, 0)


def window_after(position: str, *, at: datetime) -> Window:
    """What to list for a position; the last 31 days where there is none yet."""
    if not position:
        return Window(at - WINDOW, at, 1)
    start, end, page = position.split("|")
    found = Window(datetime.fromisoformat(start), datetime.fromisoformat(end), int(page))
    if found.page:
        return found
    return Window(found.start, max(found.start, min(at, found.start + WINDOW)), 1)


def lines_of(detail: Mapping[str, Any]) -> list[RailTransaction]:
    """The lines of a statement that a movement is; none for what is not settled.

    The fee of a payment or of a refund is part of its line, as it is of the operation's result.
    That of any other movement comes on top of it, and is a line of its own.
    """
    info = detail.get("transaction_info") or {}
    if info.get("transaction_status") not in SETTLED:
        return []
    line = _line(info)
    if not line.fee_minor or line.kind in _WITH_FEE:
        return [line]
    fee = replace(
        line,
        transaction_ref=f"{line.transaction_ref}:fee",
        kind=TransactionKind.FEE,
        category="fee",
        amount_minor=-line.fee_minor,
        fee_minor=0,
        operation_id=None,
    )
    return [replace(line, fee_minor=0), fee]


def _line(info: Mapping[str, Any]) -> RailTransaction:
    minor, currency = minor_of(info.get("transaction_amount"))
    fee_minor = minor_of(info["fee_amount"])[0] if info.get("fee_amount") else 0
    code = str(info.get("transaction_event_code") or "")
    try:
        booked_at = datetime.fromisoformat(str(info["transaction_initiation_date"]))
        ref = str(info["transaction_id"])
    except (KeyError, ValueError) as error:
        raise RailTrouble("PayPal: a transaction cannot be read") from error
    return RailTransaction(
        rail=NAME,
        account="",
        transaction_ref=ref,
        kind=kind_of(code, is_credit=minor >= 0),
        rail_kind=code,
        category=code[:3],
        amount_minor=minor,
        fee_minor=-fee_minor,
        currency=currency,
        source_ref=str(info.get("paypal_reference_id") or ref),
        operation_id=operation_of(info.get("custom_field")),
        occurred_at=booked_at,
        available_at=booked_at,
    )


def kind_of(code: str, *, is_credit: bool) -> TransactionKind:
    """What a transaction event code means to us: by itself, else by its group."""
    came, went = _BY_CODE.get(code) or _BY_CODE.get(code[:3]) or (TransactionKind.OTHER,) * 2
    return came if is_credit else went
