"""Between two links of a payout: nobody on a list is paid, whatever was under way already."""

from collections.abc import Iterator
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine

from kernel.database import Tenant, transaction
from kernel.ids import new_id
from kernel.principals import Actor, PrincipalKind
from ledger import parties
from ledger.proof import prove
from payouts import service, service_bank, service_sanctions
from payouts.commands import AddMethod
from payouts.commands_bank import FileCommand
from payouts.methods import add_methods
from payouts.model import PayoutState
from rails.bank import store as bank
from rails.bank.model import OrderState
from rails.bank.rules import token_of
from rails.bank.service import BankRail
from rails.caller import run_once
from rails.model import OperationKind, RailOutcome
from tests.payouts import bank_stage as stage
from tests.payouts.builders import (
    NOON,
    OPERATOR,
    asked,
    get_payout,
    give,
    new_payee,
    set_fee,
    submitting,
)
from tests.payouts.builders_chain import Chain, chain_of, submit

DONE = RailOutcome.DONE
FEE = 200
SECOND = Actor(UUID(int=10), PrincipalKind.PERSON, is_operator=True)


def _matched(connection: Connection, party_id: UUID) -> None:
    wish = parties.ChangeParty(
        actor=OPERATOR,
        party_id=party_id,
        sanction_state=parties.SanctionState.HIT,
        reason="SDN",
    )
    (outcome,) = service_sanctions.change_parties(connection, [wish], at=NOON)
    assert outcome.is_done, outcome


@pytest.fixture(params=["JPY", "EUR", "KWD"])
def chain(request: pytest.FixtureRequest, connection: Connection) -> Iterator[Chain]:
    """A payout on its way to the payee's account at a rail, at a fee."""
    set_fee(connection, FEE, request.param)
    made = chain_of(connection, request.param)
    assert submit(made) == "done"
    yield made
    assert not prove(connection).findings


def test_a_match_while_money_goes_to_the_payees_account_stops_the_payout(chain: Chain) -> None:
    """The transfer was made, the payee is on a list by then: nothing is paid, all is blocked."""
    _matched(chain.connection, chain.payee_id)

    chain.transfer(DONE)

    assert OperationKind.PAYOUT not in chain.sent
    assert chain.payout.state is PayoutState.FAILED
    assert chain.payout.code == "payouts.sanctions_hit"
    assert chain.books()["blocked[payee]"] == -50_000
    assert chain.sent[OperationKind.TRANSFER_BACK].amount_minor == 50_000 - FEE
    chain.back(DONE)
    assert chain.books()["processor_available[stripe]"] == 50_000


def test_a_transfer_heard_twice_stops_the_payout_once(chain: Chain) -> None:
    """The second word finds a payout that is over: nothing is given back twice."""
    _matched(chain.connection, chain.payee_id)

    chain.transfer(DONE)
    chain.transfer(DONE)

    assert chain.books()["blocked[payee]"] == -50_000


def _ordered(engine: Engine, tenant: Tenant) -> tuple[UUID, UUID]:
    """A payout by bank whose order waits for a file; the payee and the payout."""
    method_id = new_id()
    with transaction(engine, tenant) as connection:
        stage.set_up(connection)
        payee_id = new_payee(connection)
        give(connection, payee_id, 50_000)
        account_id, _ = stage.add(connection, payee_id)
        wish = AddMethod(
            actor=OPERATOR,
            method_id=method_id,
            party_id=payee_id,
            token=token_of(account_id),
            rail="bank",
        )
        assert add_methods(connection, [wish], at=NOON)[0].is_done
        ask = asked(payee_id, method_id, 20_000)
        assert service.request(connection, [ask], at=NOON)[0].is_done
        assert service.submit(connection, [submitting(ask.payout_id)], at=NOON)[0].is_done
    _round(engine, tenant)
    return payee_id, ask.payout_id


def _round(engine: Engine, tenant: Tenant) -> None:
    run_once(engine, tenant, BankRail(engine, tenant), {service.HANDLER: service.hear}, NOON)


def _blocked(connection: Connection, party_id: UUID) -> int:
    service_sanctions.block_later(connection, at=NOON)
    row = connection.exec_driver_sql(
        "SELECT coalesce(sum(balance_minor), 0)::bigint FROM account"
        " WHERE kind = 'custody.blocked' AND subject = %s",
        (str(party_id),),
    )
    return int(row.scalar_one())


def test_an_order_of_somebody_on_a_list_is_put_into_no_file(
    own_engine: Engine, tenant: Tenant
) -> None:
    """Orders wait for days: one whose payee was matched meanwhile is refused, and blocked."""
    payee_id, payout_id = _ordered(own_engine, tenant)
    with transaction(own_engine, tenant) as connection:
        other = stage.add(connection, new_payee(connection))[0]
        _matched(connection, payee_id)
    stage.send(own_engine, tenant, [stage.order_of(other)])

    with transaction(own_engine, tenant) as connection:
        file_id, made = stage.make(connection)
        paid = [order.id for order in bank.list_of_file(connection, file_id)]
        order = bank.find_orders(connection, [payout_id])[payout_id]

    assert made.is_done, made
    assert payout_id not in paid
    assert (order.state, order.code) == (OrderState.REFUSED, "payouts.sanctions_hit")
    with transaction(own_engine, tenant) as connection:
        connection.exec_driver_sql("UPDATE rail_operation SET leased_at = '2020-01-01'")
    _round(own_engine, tenant)
    with transaction(own_engine, tenant) as connection:
        assert get_payout(connection, payout_id).state is PayoutState.FAILED
        assert _blocked(connection, payee_id) == -50_000


def test_a_file_with_somebody_on_a_list_is_not_released(own_engine: Engine, tenant: Tenant) -> None:
    """Made before the match, released after it: withdrawn, its order is refused in the next."""
    payee_id, payout_id = _ordered(own_engine, tenant)
    with transaction(own_engine, tenant) as connection:
        file_id, made = stage.make(connection)
        assert made.is_done, made
        _matched(connection, payee_id)

    with transaction(own_engine, tenant) as connection:
        released = stage.release(connection, file_id, actor=SECOND)
        away = FileCommand(actor=SECOND, file_id=file_id)
        assert service_bank.withdraw_files(connection, [away], at=NOON)[0].is_done
        _, empty = stage.make(connection)
        order = bank.find_orders(connection, [payout_id])[payout_id]

    assert released.code == "payouts.sanctions_hit"
    assert empty.code == "bank.nothing_to_file"
    assert order.state is OrderState.ORDERED
