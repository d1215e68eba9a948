"""What Stripe says of one deal, word by word and line by line, and the names of its things."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol
from uuid import NAMESPACE_OID, UUID, uuid5

from sqlalchemy import Connection

from payouts import operations as asked
from payouts.store import find_payouts
from rails.model import (
    CHARGEBACK_CHANGED,
    CHARGEBACK_FUNDS,
    OPERATION_CHANGED,
    PAYOUT_RETURNED,
    Notice,
    RailOutcome,
)
from rails.model_events import RailTransaction, TransactionKind

STRIPE: Final = "stripe"
ACCOUNT: Final = "acct_1"
START: Final = datetime(2026, 3, 2, 9, tzinfo=UTC)
PRICE, PART, CASH = 100_000, 40_000, 20_000
"""In yen: of the price a part is released, the rest refunded, and of the part some paid out."""
CURRENCY: Final = "JPY"
FEE: Final = 3_000
CONTESTED: Final = 1_500
"""What a contested payment costs at the rail, in yen as well."""


def named(name: str) -> UUID:
    """The id of a thing of the story, the same in each history."""
    return uuid5(NAMESPACE_OID, f"permutations {name}")


FUNDING, PAYOUT = named("funding"), named("payout")


def word(operation_id: UUID, name: str, outcome: RailOutcome, minor: int, **more: Any) -> Notice:
    """The rail's word on an operation."""
    given: dict[str, Any] = {"occurred_at": START, "rail_ref": f"ref_{operation_id.hex[:8]}"}
    return Notice(
        rail=STRIPE,
        notice_id=name,
        kind=OPERATION_CHANGED,
        operation_id=operation_id,
        outcome=outcome,
        amount_minor=minor,
        currency=CURRENCY,
        **(given | more),
    )


def case(name: str, **facts: Any) -> Notice:
    """What the cardholder's bank says of the payment, an hour after the word before."""
    is_move = "movement" in facts
    hours = int(facts.pop("hours"))
    return Notice(
        rail=STRIPE,
        notice_id=name,
        kind=CHARGEBACK_FUNDS if is_move else CHARGEBACK_CHANGED,
        rail_ref="dp_1",
        operation_id=FUNDING,
        amount_minor=int(facts.pop("moved", PAID)),
        currency=CURRENCY,
        fee_minor=int(facts.pop("fee", 0)),
        occurred_at=START + timedelta(days=3, hours=hours),
        facts={"chargeback": "dp_1", **facts},
    )


def line(
    kind: TransactionKind, name: str, minor: int, about: UUID, *, fee_minor: int = 0, days: int = 0
) -> RailTransaction:
    """A line of Stripe's statement of our account."""
    return RailTransaction(
        rail=STRIPE,
        account="",
        transaction_ref=name,
        kind=kind,
        rail_kind=kind.value,
        amount_minor=minor,
        fee_minor=fee_minor,
        currency=CURRENCY,
        source_ref=f"of_{name}",
        operation_id=about,
        occurred_at=START + timedelta(days=days),
        available_at=START + timedelta(days=days),
    )


PAID: Final = PRICE * 103 // 100
DONE, PENDING, REFUSED = RailOutcome.DONE, RailOutcome.PENDING, RailOutcome.REFUSED


class Telling(Protocol):
    """The story so far, as far as words depend on it."""

    connection: Connection
    known: dict[str, Any]


Truth = Callable[[Telling], Notice | RailTransaction]
_OUT: Final = {"movement": "txn_out", "direction": "withdrawn", "disputed_minor": PAID}
_IN: Final = {"movement": "txn_in", "direction": "reinstated", "disputed_minor": PAID}


def payment() -> dict[str, Truth]:
    """The payment: under way, paid, certain; its money is available two days later."""
    more: dict[str, Any] = {"fee_minor": FEE, "transaction_ref": "txn_paid"}
    return {
        "payment pending": lambda _: word(FUNDING, "f:1", PENDING, PAID),
        "payment uncleared": lambda _: word(FUNDING, "f:2", DONE, PAID, cleared=False, **more),
        "payment cleared": lambda _: word(FUNDING, "f:3", DONE, PAID, **more),
        "payment's line": lambda _: line(
            TransactionKind.FUNDING, "txn_paid", PAID, FUNDING, fee_minor=FEE, days=2
        ),
    }


def contest() -> dict[str, Truth]:
    """The cardholder's bank takes it, and gives it back."""
    return {
        "warning": lambda _: case("d:1", status="warning", hours=1),
        "needs response": lambda _: case("d:2", status="needs_response", hours=2),
        "money withdrawn": lambda _: case("d:3", hours=3, fee=CONTESTED, **_OUT),
        "under review": lambda _: case("d:4", status="under_review", hours=4),
        "won": lambda _: case("d:5", status="won", hours=5),
        "money reinstated": lambda _: case("d:6", hours=6, **_IN),
    }


def refund() -> dict[str, Truth]:
    """The rest goes back."""

    def told(name: str, outcome: RailOutcome) -> Truth:
        return lambda story: word(
            story.known["refund"],
            name,
            outcome,
            story.known["refund_minor"],
            transaction_ref="txn_refund" if outcome is DONE else "",
        )

    return {
        "refund pending": told("r:1", PENDING),
        "refund done": told("r:2", DONE),
        "refund's line": lambda story: line(
            TransactionKind.REFUND,
            "txn_refund",
            -story.known["refund_minor"],
            story.known["refund"],
            days=4,
        ),
    }


def transfer() -> dict[str, Truth]:
    """Money for a payout goes to the payee's account."""
    about = asked.transfer_id(PAYOUT)
    return {
        "transfer done": lambda _: word(about, "t:1", DONE, CASH, transaction_ref="txn_tr"),
        "transfer's line": lambda _: line(
            TransactionKind.TRANSFER, "txn_tr", -CASH, about, days=14
        ),
    }


def payout() -> dict[str, Truth]:
    """It leaves, arrives, and comes back from his bank."""
    return {
        "payout pending": lambda _: word(PAYOUT, "p:1", PENDING, CASH),
        "payout left": lambda _: word(PAYOUT, "p:2", PENDING, CASH, has_left=True),
        "payout paid": lambda _: word(PAYOUT, "p:3", DONE, CASH, has_left=True),
        "payout returned": lambda _: word(PAYOUT, "p:4", REFUSED, CASH, code=PAYOUT_RETURNED),
    }


def home() -> dict[str, Truth]:
    """What came back is called home."""

    def back(story: Telling) -> UUID:
        return asked.back_id(find_payouts(story.connection, [PAYOUT])[PAYOUT])

    return {
        "called home": lambda story: word(
            back(story), "b:1", DONE, CASH, transaction_ref="txn_back"
        ),
        "call's line": lambda story: line(
            TransactionKind.TRANSFER_BACK, "txn_back", CASH, back(story), days=30
        ),
    }
