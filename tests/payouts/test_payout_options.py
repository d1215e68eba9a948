"""What is open to do with a payout is what works; what is blocked says the very code."""

from collections.abc import Callable
from typing import Final
from uuid import UUID

import pytest
from sqlalchemy import Connection

from kernel.ids import new_id
from kernel.options import list_options
from kernel.principals import SYSTEM, Actor, PrincipalKind
from ledger import holds
from ledger.chart import account
from ledger.model import Book, Draft, Entry, Line
from ledger.service import post
from payouts import service
from payouts.machine import TRANSITIONS
from payouts.model import Payout
from payouts.ways import PAYOUT_WAYS, roles_of
from rails.model import OperationKind, RailOutcome, RailResult
from tests.payouts.builders import (
    NOON,
    OPERATOR,
    asked,
    get_payout,
    give,
    new_method,
    new_payee,
    payee_actor,
    submitting,
)

Build = Callable[[Connection], UUID]


def requested(connection: Connection) -> UUID:
    payee_id = new_payee(connection)
    give(connection, payee_id, 50_000)
    wish = asked(payee_id, new_method(connection, payee_id))
    assert service.request(connection, [wish], at=NOON)[0].is_done
    return wish.payout_id


def submitted(connection: Connection) -> UUID:
    payout_id = requested(connection)
    assert service.submit(connection, [submitting(payout_id)], at=NOON)[0].is_done
    return payout_id


def held(connection: Connection) -> UUID:
    payout_id = requested(connection)
    hold = holds.PlaceHold(
        actor=OPERATOR,
        subject=f"party:{get_payout(connection, payout_id).payee_id}",
        kind=holds.HoldKind.COMPLIANCE,
        reason="under review",
    )
    assert holds.place(connection, [hold], at=NOON)[0].is_done
    return payout_id


def without_money_in_the_bank(connection: Connection) -> UUID:
    payout_id = requested(connection)
    lines = (
        Line(account("custody.bank", "EUR"), -50_000),
        Line(account("custody.processor_available", "EUR", "simulated"), 50_000),
    )
    draft = Draft("moved", "", SYSTEM, NOON, (Entry(Book.CUSTODY, "EUR", lines),))
    assert not isinstance(post(connection, [draft])[0], Exception)
    return payout_id


def cancelled(connection: Connection) -> UUID:
    payout_id = requested(connection)
    assert service.cancel(connection, [submitting(payout_id, actor=OPERATOR)], at=NOON)[0].is_done
    return payout_id


def paid(connection: Connection) -> UUID:
    payout_id = submitted(connection)
    hear(connection, payout_id, RailOutcome.DONE)
    return payout_id


def failed(connection: Connection) -> UUID:
    payout_id = submitted(connection)
    hear(connection, payout_id, RailOutcome.REFUSED)
    return payout_id


def hear(connection: Connection, payout_id: UUID, outcome: RailOutcome) -> None:
    payout = get_payout(connection, payout_id)
    result = RailResult(
        operation_id=payout.id,
        kind=OperationKind.PAYOUT,
        subject=payout.subject,
        outcome=outcome,
        amount_minor=payout.net_minor,
        currency=payout.currency,
        fee_minor=0,
        occurred_at=NOON,
        code="" if outcome is RailOutcome.DONE else "account_closed",
    )
    service.hear(connection, [result], NOON)


SCENES: Final[tuple[Build, ...]] = (
    requested,
    submitted,
    held,
    without_money_in_the_bank,
    cancelled,
    paid,
    failed,
)


def people(payout: Payout) -> dict[str, Actor]:
    return {
        "payee": payee_actor(payout.payee_id),
        "operator": OPERATOR,
        "stranger": Actor(new_id(), PrincipalKind.PERSON, new_id()),
        "system": SYSTEM,
    }


@pytest.mark.parametrize("build", SCENES, ids=lambda build: build.__name__)
def test_an_action_on_a_payout_is_open_if_and_only_if_it_is_not_refused(
    connection: Connection, build: Build
) -> None:
    """For everybody and every step: open is done and leads where it says, the rest is refused."""
    payout_id = build(connection)
    payout = get_payout(connection, payout_id)

    for who, actor in people(payout).items():
        found = list_options(
            connection,
            TRANSITIONS,
            PAYOUT_WAYS,
            payout,
            mine=roles_of(payout, actor),
            actor=actor,
            at=NOON,
        )
        mine = {each.trigger: each for each in found if each.is_yours}
        for trigger, way in PAYOUT_WAYS.items():
            point = connection.begin_nested()
            command = way.command(connection, actor, payout)
            (outcome,) = way.service(connection, [command], at=NOON)
            after = get_payout(connection, payout_id).state
            point.rollback()
            option = mine.get(str(trigger))
            if option is None:
                assert not outcome.is_done, (who, trigger)
                continue
            assert option.answer is not None
            assert option.answer.code == outcome.code, (who, trigger)
            assert after == (option.leads_to if outcome.is_done else payout.state)


def test_an_empty_bank_blocks_by_its_code(connection: Connection) -> None:
    """What the bank does not hold is not sent, and the option says so."""
    payout = get_payout(connection, without_money_in_the_bank(connection))

    (submit,) = [
        each
        for each in list_options(
            connection,
            TRANSITIONS,
            PAYOUT_WAYS,
            payout,
            mine=roles_of(payout, OPERATOR),
            actor=OPERATOR,
            at=NOON,
        )
        if each.trigger == "submit"
    ]

    assert submit.answer is not None
    assert submit.answer.code == "payouts.bank_short"


def test_a_payee_takes_back_what_was_not_sent(connection: Connection) -> None:
    """The payee of a requested payout may cancel it, and its submission is the platform's."""
    payout = get_payout(connection, requested(connection))
    payee = payee_actor(payout.payee_id)

    found = list_options(
        connection,
        TRANSITIONS,
        PAYOUT_WAYS,
        payout,
        mine=roles_of(payout, payee),
        actor=payee,
        at=NOON,
    )

    opened = {each.trigger: each.is_open for each in found}
    assert opened == {"cancel": True, "submit": False, "screen": False, "block": False}
