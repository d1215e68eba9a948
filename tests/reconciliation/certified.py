"""What tests of breaks and certificates share: client money in the bank, and its statements."""

from datetime import UTC, date, datetime, time
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from kernel.ids import new_id
from kernel.principals import SYSTEM, Actor, PrincipalKind
from ledger.chart import account
from ledger.model import Book, Draft, Entry, Line
from ledger.service import post
from rails import service as rails
from rails.model import OperationKind, RailOperation
from rails.statements.model import StatementLine
from reconciliation import service, service_breaks, service_certificates, store_breaks
from reconciliation.certificate import Certificate
from reconciliation.commands_breaks import MakeCertificate
from reconciliation.store_items import Place
from tests.payouts.builders import NOON
from tests.reconciliation.desk import OPERATOR, run

MONDAY: Final = date(2026, 3, 2)
LATER: Final = datetime(2026, 3, 27, 12, tzinfo=UTC)
SECOND: Final = Actor(UUID(int=10), PrincipalKind.PERSON, is_operator=True)
_START: Final = UUID(int=0)


def day(on: date) -> datetime:
    """Noon of a day."""
    return datetime.combine(on, time(12), UTC)


def paid(
    connection: Connection,
    amount_minor: int,
    *,
    name: str = "",
    currency: str = "EUR",
    on: date = MONDAY,
    rail_account: str = "",
    operation_id: UUID | None = None,
) -> int:
    """Client money comes (or, below zero, goes) at the bank or a rail account; the event."""
    place = account("custody.bank", currency)
    if rail_account:
        place = account("custody.processor_pending", currency, rail_account)
    lines = (
        Line(place, amount_minor),
        Line(account("custody.fx", currency), -amount_minor)
        if amount_minor < 0
        else Line(account("custody.escrow", currency, new_id()), -amount_minor),
    )
    detail: dict[str, Any] = {"transaction": name} if name else {}
    if operation_id is not None:
        detail["operation_id"] = str(operation_id)
    (posted,) = post(
        connection,
        [
            Draft(
                "test.paid",
                f"test:{new_id()}",
                SYSTEM,
                day(on),
                (Entry(Book.CUSTODY, currency, lines),),
                detail=detail,
            )
        ],
    )
    assert not isinstance(posted, Exception), posted
    return posted.event_id


def operation(connection: Connection, amount_minor: int, currency: str = "EUR") -> UUID:
    """A transfer that we asked a rail for."""
    asked = RailOperation(
        id=new_id(),
        kind=OperationKind.BANK_TRANSFER,
        handler="payouts.settlement",
        subject=f"settlement:{new_id()}",
        amount_minor=amount_minor,
        currency=currency,
        method="transfer",
        facts={"source": "processor_available", "target": "custody_bank", "rail_account": "x"},
        rail="simulated",
    )
    rails.intend(connection, [asked], at=NOON)
    return asked.id


def stated(
    connection: Connection,
    amount_minor: int,
    ref: str,
    *,
    currency: str = "EUR",
    on: date = MONDAY,
    of: str = "",
    rail_account: str = "stripe",
) -> None:
    """A line of a processor's own list; `of` is the charge that it belongs to."""
    here = service.account_of(connection, rail_account, currency, actor=OPERATOR, at=NOON)
    line = StatementLine(
        amount_minor=amount_minor,
        currency=currency,
        booked_on=on,
        value_on=on,
        ref=ref,
        own_id=ref,
        other_refs=(of,) if of else (),
        kind="charge",
    )
    service.take_lines(connection, here, [line], "stripe.balance", actor=OPERATOR, at=NOON)


def match_and_break(
    connection: Connection, place: Place, *, at: datetime = LATER
) -> dict[str, int]:
    """Match a place and make breaks of what is left."""
    run(connection, place.place, place.currency, rail_account=place.rail_account, at=at)
    return service_breaks.take_breaks(connection, [place], actor=OPERATOR, at=at)


def certified(connection: Connection, on: date = MONDAY, currency: str = "EUR") -> Certificate:
    """The certificate of a day, not kept."""
    return service_certificates.draw_up(connection, currency, on)


def make(
    connection: Connection, on: date = MONDAY, currency: str = "EUR", *, actor: Actor = OPERATOR
) -> Any:
    """Make and keep the certificate of a day; its facts."""
    wish = MakeCertificate(actor=actor, currency=currency, on=on)
    (outcome,) = service_certificates.make(connection, [wish], at=LATER)
    assert outcome.is_done, outcome
    return outcome.facts


def told(certificate: Certificate) -> list[tuple[str, int]]:
    """The breaks of a certificate: kind, and what the books have more because of each."""
    return sorted((each.kind.value, each.gap_minor) for each in certificate.breaks)


def breaks(connection: Connection, *, is_all: bool = False) -> list[Any]:
    """Breaks that are open, or all."""
    return list(store_breaks.list_breaks(connection, after=_START, limit=100, is_all=is_all))
