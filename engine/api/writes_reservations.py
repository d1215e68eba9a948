"""The commands on reservations: set money aside, post it in parts, give it back."""

from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints

from engine.api.access import Scope
from engine.api.answers_books import ReservationAnswer
from engine.api.calls import Given, Subject, Write
from engine.api.models import Amount, ReasonBody, Request, Text, Time, read_id
from engine.api.refusals import Invalid
from kernel.commands import Command
from kernel.ids import new_id
from ledger.chart import CHART
from ledger.model import AccountKey
from ledger.model_reservations import PostReserved, Reserve, Target, VoidReservation
from ledger.rules_reservations import MAX_TARGETS, PARTYS_OWN, UnknownReservation

RESERVATION: Final = Subject("reservation", "reservation_id", UnknownReservation)


class AccountBody(Request):
    """An account by its kind of the chart and its subject: a party's id, or what the kind asks."""

    kind: Annotated[str, StringConstraints(max_length=60), Field(examples=["custody.wallet"])]
    subject: Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9._-]*$")] = ""


class ReserveBody(Request):
    """What is set aside, of which account, what for, and until when at the latest."""

    account: AccountBody
    amount: Amount
    reason: Annotated[Text, Field(min_length=1)]
    expires_at: Time | None = None


class TargetBody(Request):
    """An account that is given a part."""

    account: AccountBody
    amount: Amount


class PostBody(Request):
    """What is paid out of a reservation; with `is_last` what then remains goes back."""

    targets: Annotated[tuple[TargetBody, ...], Field(min_length=1, max_length=MAX_TARGETS)]
    is_last: bool = False
    reason: Text = ""


def _account(body: AccountBody, currency: str, field: str) -> AccountKey:
    row = CHART.get(body.kind)
    is_partys = row is not None and row.subject in PARTYS_OWN
    if is_partys and read_id(body.subject) is None:
        raise Invalid(errors=[{"field": f"{field}.subject", "why": "name the party by its id"}])
    return AccountKey(body.kind, body.subject, currency)


def _reserve(given: Given[ReserveBody]) -> Command:
    body = given.body
    amount_minor = body.amount.minor()
    return Reserve(
        actor=given.actor,
        reservation_id=new_id(),
        account=_account(body.account, body.amount.currency, "account"),
        amount_minor=amount_minor,
        reason=body.reason,
        expires_at=body.expires_at,
    )


def _post(given: Given[PostBody]) -> Command:
    body = given.body
    return PostReserved(
        actor=given.actor,
        reservation_id=given.ids["reservation_id"],
        targets=tuple(_target(each, number) for number, each in enumerate(body.targets)),
        is_last=body.is_last,
        reason=body.reason,
    )


def _target(body: TargetBody, number: int) -> Target:
    amount_minor = body.amount.minor()
    field = f"targets.{number}.account"
    return Target(_account(body.account, body.amount.currency, field), amount_minor)


def _void(given: Given[ReasonBody]) -> Command:
    return VoidReservation(
        actor=given.actor, reservation_id=given.ids["reservation_id"], reason=given.body.reason
    )


RESERVATIONS: Final[tuple[Write[Any], ...]] = (
    Write(
        path="/v1/reservations",
        service="reservations.make",
        scope=Scope.MONEY_WRITE,
        body=ReserveBody,
        command=_reserve,
        answer=ReservationAnswer,
        summary="Set money aside (operator)",
        status=201,
        bulk="/v1/reservations:make",
    ),
    Write(
        path="/v1/reservations/{reservation_id}/post",
        service="reservations.post",
        scope=Scope.MONEY_WRITE,
        body=PostBody,
        command=_post,
        answer=ReservationAnswer,
        summary="Pay out of what was set aside (operator)",
        subject=RESERVATION,
        bulk="/v1/reservations:post",
    ),
    Write(
        path="/v1/reservations/{reservation_id}/void",
        service="reservations.void",
        scope=Scope.MONEY_WRITE,
        body=ReasonBody,
        command=_void,
        answer=ReservationAnswer,
        summary="Give back what remains of a reservation (operator)",
        subject=RESERVATION,
        bulk="/v1/reservations:void",
    ),
)
"""Every command on reservations."""
