"""A payout by bank from the balance to the bank and back again, with a bank that reads our files.

The bank's own statement is read by our reader; what it names by the id from end to end is booked.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from sqlalchemy import Engine

from kernel.commands import Outcome
from kernel.database import Tenant, transaction
from kernel.ids import new_id
from ledger.proof import prove
from payouts import methods, service, service_bank
from payouts.commands import AddMethod
from payouts.model import Payout, PayoutState
from rails.bank import store
from rails.bank.model import BankMatch, Heard
from rails.bank.rules import token_of
from rails.bank.service import BankRail, make
from rails.caller import run_once
from rails.model import RailAccount
from rails.statements import camt
from tests.doubles.bank_double.bank import Bank
from tests.payouts import bank_stage as stage
from tests.payouts.builders import (
    NOON,
    OPERATOR,
    asked,
    available,
    balance,
    get_payout,
    give,
    new_payee,
    set_fee,
    submitting,
)

TODAY = NOON.date()


@dataclass
class Story:
    """A payee with 500.00, our books, and the bank's own."""

    engine: Engine
    tenant: Tenant
    bank: Bank = field(default_factory=lambda: Bank({stage.OURS: Decimal("500.00")}))
    payee_id: UUID = field(default_factory=new_id)
    method_id: UUID = field(default_factory=new_id)

    def begin(self) -> None:
        """Accounts, a fee of 1.50, and a method by bank."""
        with transaction(self.engine, self.tenant) as connection:
            stage.set_up(connection)
            self.payee_id = new_payee(connection)
            set_fee(connection, 150)
            give(connection, self.payee_id, 50_000)
            account_id, _ = stage.add(connection, self.payee_id)
            add = AddMethod(
                actor=OPERATOR,
                method_id=self.method_id,
                party_id=self.payee_id,
                token=token_of(account_id),
                rail="bank",
            )
            (outcome,) = methods.add_methods(connection, [add], at=NOON)
            assert outcome.is_done, outcome

    def pay(self, amount_minor: int = 20_000) -> UUID:
        """Requested, submitted, ordered, filed, released and given to the bank."""
        wish = asked(self.payee_id, self.method_id, amount_minor)
        with transaction(self.engine, self.tenant) as connection:
            (requested,) = service.request(connection, [wish], at=NOON)
            assert requested.is_done, requested
        with transaction(self.engine, self.tenant) as connection:
            (sent,) = service.submit(connection, [submitting(wish.payout_id)], at=NOON)
            assert sent.is_done, sent
        self.run_rail()
        with transaction(self.engine, self.tenant) as connection:
            file_id, made = stage.make(connection)
            assert made.is_done, made
        with transaction(self.engine, self.tenant) as connection:
            assert stage.release(connection, file_id).is_done
            file = store.find_file(connection, file_id)
            assert file is not None
            assert self.bank.take_in(service_bank.export_file(connection, file)) == 1
        return wish.payout_id

    def run_rail(self) -> None:
        """The worker's call of the bank rail; reads what it sent at once."""
        counts = run_once(
            self.engine,
            self.tenant,
            BankRail(self.engine, self.tenant),
            {service.HANDLER: service.hear},
            NOON,
            lease=timedelta(0),
        )
        assert counts.failed == 0

    def read(self, heard: Heard) -> list[Outcome]:
        """Confirm what the bank's statement of today says of orders of ours."""
        (statement,) = camt.read(self.bank.camt053(stage.OURS, TODAY))
        with transaction(self.engine, self.tenant) as connection:
            orders = store.find_orders(
                connection, [UUID(hex=line.end_to_end_id) for line in statement.lines]
            )
            matches = [
                BankMatch(
                    operation_id=UUID(hex=line.end_to_end_id),
                    heard=heard,
                    amount_minor=orders[UUID(hex=line.end_to_end_id)].amount_minor,
                    currency=line.currency,
                    kept_minor=orders[UUID(hex=line.end_to_end_id)].amount_minor - line.amount_minor
                    if heard is Heard.RETURNED
                    else 0,
                    statement_ref=line.ref,
                    occurred_at=datetime(TODAY.year, TODAY.month, TODAY.day, tzinfo=UTC),
                )
                for line in statement.lines
                if (line.amount_minor > 0) == (heard is Heard.RETURNED)
            ]
            return service_bank.confirm(connection, matches, NOON)

    def say(self, payout_id: UUID, heard: Heard, *, amount_minor: int = 19_850) -> Outcome:
        """One word on one order."""
        match = BankMatch(
            operation_id=payout_id,
            heard=heard,
            amount_minor=amount_minor,
            currency="EUR",
            statement_ref=f"line of {heard.value}",
            occurred_at=NOON,
        )
        with transaction(self.engine, self.tenant) as connection:
            (outcome,) = service_bank.confirm(connection, [match], NOON)
        return outcome

    def look(self, payout_id: UUID) -> tuple[Payout, int, int]:
        """The payout, what the payee has, and what lies in the custody bank; all proven."""
        with transaction(self.engine, self.tenant) as connection:
            assert not prove(connection).findings
            return (
                get_payout(connection, payout_id),
                available(connection, self.payee_id),
                balance(connection, "custody.bank"),
            )


@pytest.fixture
def story(own_engine: Engine, tenant: Tenant) -> Story:
    """Ready to pay."""
    made = Story(own_engine, tenant)
    made.begin()
    return made


def test_a_payout_is_paid_when_the_statement_says_so(story: Story) -> None:
    """On its way it changes no cash; with the statement's line it has left the bank (P38)."""
    payout_id = story.pay()
    waiting, there, in_bank = story.look(payout_id)
    story.bank.book(TODAY)

    (first,) = story.read(Heard.BOOKED)
    (again,) = story.read(Heard.BOOKED)

    assert waiting.state is PayoutState.SUBMITTED
    assert (there, in_bank) == (30_000, 50_000)
    assert first.is_done and again == first  # noqa: PT018  heard twice is heard once
    paid, there, in_bank = story.look(payout_id)
    assert paid.state is PayoutState.PAID
    assert (there, in_bank) == (30_000, 50_000 - 19_850)
    assert story.bank.balance(stage.OURS) == Decimal("301.50")
    balances = BankRail(story.engine, story.tenant).balances(at=NOON)
    assert [(b.account, b.amount_minor) for b in balances] == [(RailAccount.CUSTODY_BANK, -19_850)]


def test_a_payout_that_comes_back_is_the_payees_again(story: Story) -> None:
    """Returned after it was paid, less 5.00 that banks kept: the platform bears it (P40, P39)."""
    payout_id = story.pay()
    story.bank.book(TODAY)
    story.read(Heard.BOOKED)
    story.bank.give_back(payout_id.hex, TODAY, kept="5.00")

    (back,) = story.read(Heard.RETURNED)
    (again,) = story.read(Heard.RETURNED)

    assert back.is_done and again == back  # noqa: PT018  heard twice is heard once
    payout, there, in_bank = story.look(payout_id)
    assert (payout.state, payout.charge_minor) == (PayoutState.RETURNED, 500)
    assert (there, in_bank) == (50_000, 50_000 - 500)
    assert story.bank.balance(stage.OURS) == Decimal("495.00")
    with transaction(story.engine, story.tenant) as connection:
        assert balance(connection, "platform.expense.payout") == 500
        retry = asked(story.payee_id, story.method_id, 10_000)
        (paused,) = service.request(connection, [retry], at=NOON)
    assert paused.code == "payouts.paused"


def test_a_rejected_payout_is_the_payees_again(story: Story) -> None:
    """Thrown out by the bank before it was booked: failed, nothing has left (P39)."""
    payout_id = story.pay()
    story.bank.reject(payout_id.hex)

    outcome = story.say(payout_id, Heard.REJECTED)

    assert outcome.is_done
    payout, there, in_bank = story.look(payout_id)
    assert payout.state is PayoutState.FAILED
    assert (there, in_bank) == (50_000, 50_000)


def test_what_cannot_be_said_of_an_order_is_refused(story: Story) -> None:
    """Another amount, an order that nobody gave, a booking after a rejection: nothing is booked."""
    payout_id = story.pay()

    other = story.say(payout_id, Heard.BOOKED, amount_minor=19_851)
    unknown = story.say(new_id(), Heard.BOOKED)
    story.say(payout_id, Heard.REJECTED)
    late = story.say(payout_id, Heard.BOOKED)

    assert other.code == "bank.amount_differs"
    assert unknown.code == "bank.unknown_order"
    assert late.code == "bank.order_wrong_state"


def test_the_environment_sets_the_bank_up(story: Story) -> None:
    """Without HOLDFAST_BANK=files there is no bank rail."""
    assert make(story.engine, {}, story.tenant) is None
    assert isinstance(make(story.engine, {"HOLDFAST_BANK": "files"}, story.tenant), BankRail)
