"""Payees with money, and a world of books, rail and clock to pay them in."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, Engine

from kernel.commands import Outcome
from kernel.database import Tenant, snapshot, transaction
from kernel.ids import new_id
from kernel.principals import RAIL, SYSTEM, Actor, PrincipalKind
from ledger import parties
from ledger.chart import account
from ledger.model import Book, Draft, Entry, Line
from ledger.proof import prove
from ledger.service import balances, post
from payouts import methods, service, settlement
from payouts.commands import AddMethod, OpenCapital, PayoutCommand, RequestPayout, SetFee
from payouts.model import Payout
from payouts.safeguarding import Report, safeguarding
from payouts.store import find_payouts
from rails import service as rails
from rails.caller import Counts, run_until_quiet
from rails.model import FUNDS_AVAILABLE, OperationKind, RailOperation, RailOutcome, RailResult
from rails.simulated.model import Behaviour
from rails.simulated.service import SimulatedRail

NOON: Final = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAY: Final = timedelta(days=1)
OPERATOR: Final = Actor(UUID(int=9), PrincipalKind.PERSON, is_operator=True)


def payee_actor(payee_id: UUID) -> Actor:
    """The payee, signed in."""
    return Actor(UUID(int=7), PrincipalKind.PERSON, party_id=payee_id)


def new_payee(connection: Connection, *, kyc: parties.KycState = parties.KycState.VERIFIED) -> UUID:
    """A freelancer whose identity is in the given state."""
    payee_id = new_id()
    create = parties.CreateParty(
        actor=OPERATOR, kind=parties.PartyKind.FREELANCER, party_id=payee_id
    )
    change = parties.ChangeParty(actor=OPERATOR, party_id=payee_id, kyc_state=kyc)
    assert all(o.is_done for o in parties.create(connection, [create], at=NOON))
    assert all(o.is_done for o in parties.change(connection, [change], at=NOON))
    return payee_id


def new_method(connection: Connection, payee_id: UUID, at_rail: str = "payout") -> UUID:
    """A payout method of a payee, by its token at the rail, named a day ago."""
    method_id = new_id()
    add = AddMethod(actor=OPERATOR, method_id=method_id, party_id=payee_id, token=at_rail)
    (outcome,) = methods.add_methods(connection, [add], at=NOON - DAY)
    assert outcome.is_done, outcome
    return method_id


def give(connection: Connection, payee_id: UUID, amount_minor: int, currency: str = "EUR") -> None:
    """Available money of a payee that lies in the custody bank, put into the books alone."""
    lines = (
        Line(account("custody.bank", currency), amount_minor),
        Line(account("custody.earned_available", currency, payee_id), -amount_minor),
    )
    post_entries(connection, Entry(Book.CUSTODY, currency, lines))


def asked(
    payee_id: UUID,
    method_id: UUID,
    amount_minor: int = 50_000,
    *,
    actor: Actor | None = None,
    payout_id: UUID | None = None,
    currency: str = "EUR",
) -> RequestPayout:
    """A payee's wish to be paid out."""
    return RequestPayout(
        actor=actor or payee_actor(payee_id),
        payout_id=payout_id or new_id(),
        payee_id=payee_id,
        method_id=method_id,
        amount_minor=amount_minor,
        currency=currency,
    )


def submitting(payout_id: UUID, *, actor: Actor = SYSTEM) -> PayoutCommand:
    """The wish to send a payout, or to cancel it."""
    return PayoutCommand(actor=actor, payout_id=payout_id)


def set_fee(connection: Connection, fee_minor: int, currency: str = "EUR") -> None:
    """What a payout costs, from the start."""
    fee = SetFee(actor=OPERATOR, currency=currency, fee_minor=fee_minor, valid_from=NOON - DAY)
    assert all(outcome.is_done for outcome in methods.set_fees(connection, [fee], at=NOON))


def available(connection: Connection, payee_id: UUID, currency: str = "EUR") -> int:
    """What a payee can have paid out."""
    key = account("custody.earned_available", currency, payee_id)
    return -balances(connection, [key])[key]


def balance(connection: Connection, kind: str, currency: str = "EUR") -> int:
    """The signed balance of an account that has no subject."""
    key = account(kind, currency)
    return balances(connection, [key])[key]


def get_payout(connection: Connection, payout_id: UUID) -> Payout:
    """The payout as it is now."""
    return find_payouts(connection, [payout_id])[payout_id]


def earn(connection: Connection, results: Sequence[RailResult], at: datetime) -> None:
    """A funding whose whole amount is the payee's at once; the rail's fee is the platform's.

    It is told twice where it clears later; the money comes once.
    """
    del at
    for result in results:
        subject = f"funding:{result.operation_id}"
        if result.outcome is not RailOutcome.DONE or _is_booked(connection, subject):
            continue
        currency, fee_minor = result.currency, result.fee_minor
        payee = result.subject.partition(":")[2]
        pending = account("custody.processor_pending", currency, settlement.RAIL_ACCOUNT)
        custody = (
            Line(pending, result.amount_minor - fee_minor),
            Line(account("custody.due_from_platform", currency), fee_minor),
            Line(account("custody.earned_available", currency, payee), -result.amount_minor),
        )
        platform = (
            Line(account("platform.expense.processor", currency), fee_minor),
            Line(account("platform.due_to_custody", currency), -fee_minor),
        )
        post_entries(
            connection,
            Entry(Book.CUSTODY, currency, custody),
            Entry(Book.PLATFORM, currency, platform),
            subject=subject,
        )


@dataclass
class World:
    """A tenant with its books, a simulated rail beside it, and a clock that the test moves."""

    engine: Engine
    tenant: Tenant
    behaviour: Behaviour = field(default_factory=Behaviour)
    at: datetime = NOON

    @property
    def rail(self) -> SimulatedRail:
        return SimulatedRail(self.engine, self.tenant.name, self.behaviour)

    def run_rail(self) -> Counts:
        """Send and hear until nothing is left for now."""
        counts = run_until_quiet(
            self.engine,
            self.tenant,
            self.rail,
            {
                service.HANDLER: service.hear,
                settlement.HANDLER: settlement.hear_transfers,
                "test.earn": earn,
            },
            self.at,
            notice_handlers={FUNDS_AVAILABLE: settlement.hear_available},
        )
        assert counts.failed == 0
        return counts

    def end_day(self) -> Report:
        """Hear the rail, settle, let the rail move the money, and hold the books against it."""
        self.run_rail()
        self.settle()
        self.run_rail()
        return self.check()

    def settle(self) -> None:
        with transaction(self.engine, self.tenant) as connection:
            settlement.settle(connection, at=self.at)

    def check(self) -> Report:
        """Prove the books, then hold them against the rail's balances."""
        with snapshot(self.engine, self.tenant) as connection:
            proof = prove(connection)
            assert not proof.findings, proof.findings
            return safeguarding(connection, self.rail.balances(at=self.at))

    def wait(self, days: int) -> None:
        """Let days pass."""
        self.at += days * DAY

    def open_capital(self, amount_minor: int, currency: str = "EUR") -> None:
        """Bring the owner's capital."""
        promise = OpenCapital(actor=OPERATOR, currency=currency, amount_minor=amount_minor)
        with transaction(self.engine, self.tenant) as connection:
            (outcome,) = settlement.open_capital(connection, [promise], at=self.at)
        assert outcome.is_done
        self.run_rail()

    def fund(
        self, payee_id: UUID, amount_minor: int, *, method: str = "card", currency: str = "EUR"
    ) -> None:
        """Let a payee earn by a card."""
        operation = RailOperation(
            id=new_id(),
            kind=OperationKind.FUND,
            handler="test.earn",
            subject=f"party:{payee_id}",
            amount_minor=amount_minor,
            currency=currency,
            method=method,
        )
        with transaction(self.engine, self.tenant) as connection:
            rails.intend(connection, [operation], at=self.at)
        self.run_rail()

    def pay_out(self, payee_id: UUID, method_id: UUID, amount_minor: int) -> UUID:
        """Request and submit in two transactions; the rail is not called yet."""
        wish = asked(payee_id, method_id, amount_minor)
        with transaction(self.engine, self.tenant) as connection:
            _must(service.request(connection, [wish], at=self.at))
        with transaction(self.engine, self.tenant) as connection:
            _must(service.submit(connection, [submitting(wish.payout_id)], at=self.at))
        return wish.payout_id


def _must(outcomes: Sequence[Outcome]) -> None:
    assert all(outcome.is_done for outcome in outcomes), outcomes


def post_entries(connection: Connection, *entries: Entry, subject: str = "") -> None:
    (answer,) = post(connection, [Draft("test.given", subject, RAIL, NOON, entries)])
    assert not isinstance(answer, Exception), answer


def _is_booked(connection: Connection, subject: str) -> bool:
    found = connection.exec_driver_sql("SELECT 1 FROM event WHERE subject = %s", (subject,))
    return found.first() is not None
