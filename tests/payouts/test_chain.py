"""Payouts over payees' accounts at a rail, to the minor unit: there, out of it, and home again."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection

from kernel.errors import Broken
from ledger.chart import account
from ledger.model import Book, Entry, Line
from ledger.proof import prove
from payouts import service, service_chain, settlement, store
from payouts.model import MethodState, PayoutState
from rails import service as rails
from rails.model import INSUFFICIENT_FUNDS, PAYOUT_RETURNED, OperationKind, RailOutcome
from tests.payouts.builders import NOON, balance, post_entries, set_fee
from tests.payouts.builders_chain import (
    STRIPE,
    Chain,
    chain_of,
    open_account,
    submit,
)

DONE, REFUSED, PENDING = RailOutcome.DONE, RailOutcome.REFUSED, RailOutcome.PENDING
FEE = 200
NET = 50_000 - FEE


@pytest.fixture(params=["JPY", "EUR", "KWD"])
def chain(request: pytest.FixtureRequest, connection: Connection) -> Iterator[Chain]:
    """All that a payee has is asked for, at a fee of 200 units; the books are proved after."""
    currency = request.param
    set_fee(connection, FEE, currency)
    made = chain_of(connection, currency)
    yield made
    assert not prove(connection).findings


def test_money_goes_to_the_payees_account_first(chain: Chain) -> None:
    """Sent: a transfer alone. There: still client money, and only now the payout is asked for."""
    assert submit(chain) == "done"
    transfer = chain.sent[OperationKind.TRANSFER]
    assert (transfer.rail, transfer.amount_minor, transfer.method) == (STRIPE, NET, "acct_1")
    assert transfer.facts == {
        "source": "stripe",
        "target": "stripe:acct_1",
        "rail_account": "stripe:acct_1",
    }
    assert OperationKind.PAYOUT not in chain.sent

    chain.transfer(DONE)

    assert chain.sent[OperationKind.PAYOUT].facts == {"account": "stripe:acct_1"}
    assert chain.payout.state is PayoutState.SUBMITTED
    assert chain.books() == {
        "processor_available[stripe]": FEE,
        "processor_available[stripe:acct_1]": NET,
        "payout_in_transit[payout]": -NET,
        "due_to_platform[]": -FEE,
    }


def test_it_is_in_transit_once_it_has_left_and_paid_once_confirmed(chain: Chain) -> None:
    """P38 is booked once, on the word that it has left, from the payee's account."""
    submit(chain)
    chain.transfer(DONE)
    chain.pay(PENDING)
    assert chain.payout.state is PayoutState.SUBMITTED

    chain.pay(PENDING, has_left=True)
    left = {"processor_available[stripe]": FEE, "due_to_platform[]": -FEE}
    assert (chain.payout.state, chain.books()) == (PayoutState.IN_TRANSIT, left)
    assert chain.payout.paid_at is None

    chain.wait(2)
    chain.pay(DONE)
    paid = chain.payout
    assert (paid.state, paid.left_at, paid.paid_at) == (PayoutState.PAID, NOON, chain.at)
    assert chain.books() == left


def test_what_fails_before_it_left_comes_home(chain: Chain) -> None:
    """P39 at once; what lies at the payee's account is called back and booked when it is here."""
    submit(chain)
    chain.transfer(DONE)

    chain.pay(REFUSED, "account_closed")

    assert chain.payout.state is PayoutState.FAILED
    owed = {"earned_available[payee]": -50_000, "due_to_platform[]": -FEE}
    owed["due_from_platform[]"] = FEE
    assert chain.books() == {
        "processor_available[stripe]": FEE,
        "processor_available[stripe:acct_1]": NET,
        **owed,
    }
    back = chain.sent[OperationKind.TRANSFER_BACK]
    assert (back.amount_minor, back.facts["transfer_ref"]) == (NET, "")
    chain.back(DONE)
    assert chain.books() == {"processor_available[stripe]": 50_000, **owed}
    assert chain.payout.back_at == chain.at
    _is_stopped(chain, "account_closed")


@pytest.mark.parametrize(("heard", "days"), [("left", 1), ("paid", 365)])
def test_what_comes_back_later_comes_home_less_what_was_kept(
    chain: Chain, heard: str, days: int
) -> None:
    """P40 to the account that it left, P39 to the payee, and the rest home; we bear the charge."""
    submit(chain)
    chain.transfer(DONE)
    chain.pay(PENDING if heard == "left" else DONE, has_left=True)
    chain.wait(days)

    chain.pay(REFUSED, PAYOUT_RETURNED, fee_minor=500)

    assert (chain.payout.state, chain.payout.charge_minor) == (PayoutState.RETURNED, 500)
    assert chain.books()["processor_available[stripe:acct_1]"] == NET - 500
    assert balance(chain.connection, "platform.expense.payout", chain.currency) == 500
    assert chain.sent[OperationKind.TRANSFER_BACK].amount_minor == NET - 500
    chain.back(DONE)
    assert chain.books() == {
        "processor_available[stripe]": 50_000 - 500,
        "earned_available[payee]": -50_000,
        "due_to_platform[]": -FEE,
        "due_from_platform[]": FEE + 500,
    }
    _is_stopped(chain, PAYOUT_RETURNED)


def test_after_fourteen_months_somebody_must_look(chain: Chain) -> None:
    """A return that late is an exception: nothing is booked by itself."""
    submit(chain)
    chain.transfer(DONE)
    chain.pay(DONE)
    before = chain.books()
    chain.wait(427)

    with pytest.raises(Broken, match="thirteen months"):
        chain.pay(REFUSED, PAYOUT_RETURNED)

    assert chain.books() == before
    assert chain.payout.state is PayoutState.PAID


def test_returned_may_be_heard_before_paid(chain: Chain) -> None:
    """P38, P40 and P39 in one event; the late word that it was paid changes nothing."""
    submit(chain)
    chain.transfer(DONE)

    chain.pay(REFUSED, PAYOUT_RETURNED)

    assert chain.payout.state is PayoutState.RETURNED
    assert chain.books()["processor_available[stripe:acct_1]"] == NET
    operation = chain.sent[OperationKind.TRANSFER_BACK]
    assert operation.amount_minor == NET


def test_a_refused_transfer_is_a_payout_that_failed(chain: Chain) -> None:
    """Nothing has moved: P39, and nothing to call home."""
    submit(chain)

    chain.transfer(REFUSED, "account_invalid")

    assert chain.payout.state is PayoutState.FAILED
    assert chain.books()["processor_available[stripe]"] == 50_000
    assert chain.books()["earned_available[payee]"] == -50_000
    assert set(chain.sent) == {OperationKind.TRANSFER}
    assert service_chain.call_home(chain.connection, at=chain.at) == 0
    _is_stopped(chain, "account_invalid")


def test_our_own_empty_balance_is_not_the_payees_fault(chain: Chain) -> None:
    """The transfer was refused for lack of our money: the method stays."""
    submit(chain)

    chain.transfer(REFUSED, INSUFFICIENT_FUNDS)

    method = store.find_methods(chain.connection, [chain.method_id])[chain.method_id]
    assert (chain.payout.state, method.state) == (PayoutState.FAILED, MethodState.ACTIVE)


def test_a_transfer_heard_twice_moves_money_once(chain: Chain) -> None:
    """The second word finds the first: one booking, one payout asked for."""
    submit(chain)

    chain.transfer(DONE)
    chain.transfer(DONE)

    assert chain.books()["processor_available[stripe:acct_1]"] == NET
    assert chain.payout.version == 3


def test_what_was_not_called_home_is_asked_for_once_more(chain: Chain) -> None:
    """A refused call leaves the money where it is; the next look asks with a key of its own."""
    submit(chain)
    chain.transfer(DONE)
    chain.pay(REFUSED, "account_closed")
    first = chain.sent[OperationKind.TRANSFER_BACK]
    assert service_chain.call_home(chain.connection, at=chain.at) == 0

    chain.back(REFUSED, "balance_negative")

    assert chain.books()["processor_available[stripe:acct_1]"] == NET
    assert service_chain.call_home(chain.connection, at=chain.at) == 1
    second = chain.sent[OperationKind.TRANSFER_BACK]
    assert second.id != first.id
    chain.back(DONE)
    chain.back(DONE)
    assert chain.books()["processor_available[stripe]"] == 50_000
    assert service_chain.call_home(chain.connection, at=chain.at) == 0


def test_a_payee_who_changed_accounts_loses_nothing_in_the_old_one(chain: Chain) -> None:
    """What failed in the account that it was sent to is called home from that account."""
    submit(chain)
    chain.transfer(DONE)
    open_account(chain.connection, chain.payee_id, "acct_2", replaces=True)

    chain.pay(REFUSED, "account_closed")

    back = chain.sent[OperationKind.TRANSFER_BACK]
    assert back.facts["source"] == "stripe:acct_1"
    chain.back(DONE)
    assert "processor_available[stripe:acct_1]" not in chain.books()
    assert chain.books()["processor_available[stripe]"] == 50_000


def test_a_rails_balance_pays_no_more_than_it_holds(connection: Connection) -> None:
    """Two payouts, money for one: the second waits, refused by name and not sent."""
    first = chain_of(connection, "EUR")
    second = chain_of(connection, "EUR", ref="acct_2")
    elsewhere = (
        Line(account("custody.bank", "EUR"), 50_000),
        Line(account("custody.processor_available", "EUR", STRIPE), -50_000),
    )
    post_entries(connection, Entry(Book.CUSTODY, "EUR", elsewhere))

    assert submit(first) == "done"
    assert submit(second) == "payouts.processor_short"

    assert set(second.sent) == set()
    assert not prove(connection).findings


def test_nothing_is_sent_over_an_account_that_may_not_be_paid_out(connection: Connection) -> None:
    """A replaced or missing account, or one that the rail has stopped, takes no payout."""
    chain = chain_of(connection, "EUR")
    connection.exec_driver_sql("UPDATE payee_account SET may_receive = false")

    assert submit(chain) == "payouts.no_payee_account"

    assert chain.payout.state is PayoutState.REQUESTED
    assert rails.list_open(connection, service.HANDLER) == []


def _is_stopped(chain: Chain, why: str) -> None:
    method = store.find_methods(chain.connection, [chain.method_id])[chain.method_id]
    assert method.state is MethodState.DISABLED
    assert store.list_pauses(chain.connection, [chain.payee_id]) == {chain.payee_id: why}


def test_a_payout_calls_for_money_that_has_landed(connection: Connection) -> None:
    """What the rail had to let go is in the bank: the settlement brings it back to be sent."""
    chain = chain_of(connection, "EUR")
    landed = (
        Line(account("custody.bank", "EUR"), 50_000),
        Line(account("custody.processor_available", "EUR", STRIPE), -50_000),
    )
    post_entries(connection, Entry(Book.CUSTODY, "EUR", landed))
    assert submit(chain) == "payouts.processor_short"

    (settled,) = settlement.settle(connection, at=NOON)

    assert [
        (each.source, each.target, each.amount_minor, each.rail_account)
        for each in settled.transfers
    ] == [("custody_bank", "processor_available", 50_000, STRIPE)]
