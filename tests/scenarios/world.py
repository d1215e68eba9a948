"""A marketplace whose money is at Stripe: its books, its worker's rounds, and its deals' verbs.

What Stripe is, is the matter of a backend: the double on loopback with a clock to be moved, or a
real sandbox, where time passes by itself. The steps of a scenario are the same at both.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Protocol
from uuid import UUID

from sqlalchemy import Connection, Engine

from engine.handlers import RAIL_NOTICES, RAIL_RESULTS, TIMERS
from engine.loops import MoneyLoop
from engine.scanner import Scanner
from escrow import service as escrow
from escrow.commands import ContractCommand, Fund, Milestone, Propose, SlotCommand, Submit
from escrow.model import Method, Terms
from kernel import clock
from kernel.commands import Outcome
from kernel.database import Tenant, snapshot, transaction
from kernel.ids import new_id
from kernel.principals import Actor, PrincipalKind
from ledger import parties
from ledger.proof import prove
from payouts import methods, service_payees, settlement
from payouts import service as payouts
from payouts.commands import AddMethod, OpenCapital, OpenPayeeAccount, RequestPayout
from payouts.store import find_payouts
from rails import events
from rails.model import RailAccount
from rails.port import Rail, WebhookRail
from rails.simulated.service import SimulatedRail

OPERATOR: Final = Actor(UUID(int=9), PrincipalKind.PERSON, is_operator=True)
SECOND: Final = Actor(UUID(int=8), PrincipalKind.PERSON, is_operator=True)

KINDS: Final = {
    "custody.processor_pending": RailAccount.PROCESSOR_PENDING,
    "custody.processor_available": RailAccount.PROCESSOR_AVAILABLE,
    "custody.processor_reserved": RailAccount.PROCESSOR_RESERVED,
}


_IN_TRANSIT: Final = """
SELECT currency, sum(amount_minor)::bigint AS amount_minor FROM rail_operation
WHERE kind = 'bank_transfer' AND rail = 'stripe' AND state = 'pending' AND has_left
GROUP BY currency
"""


class Backend(Protocol):
    """Stripe, as a scenario meets it."""

    @property
    def rail(self) -> Rail:
        """Our adapter, talking to it."""

    def pass_time(self, **by: float) -> None:
        """Let time pass there; a real sandbox has its own."""

    def deliver(self, take: Callable[[str, bytes, Mapping[str, str]], int]) -> None:
        """Hand over the webhooks that wait: endpoint, body, headers; the answer is a status."""

    def make_known(self, account: str) -> None:
        """Let Stripe know who the payee behind an account is, or wait until it does."""

    def told(self) -> dict[tuple[str, RailAccount, str], int]:
        """What Stripe itself says that each account holds, as the books name accounts."""


@dataclass
class Deal:
    """One milestone between a client and a payee."""

    client: Actor
    payee: Actor
    contract_id: UUID
    slot_id: UUID
    funding_ids: list[UUID] = field(default_factory=list)

    @property
    def payee_id(self) -> UUID:
        assert self.payee.party_id is not None
        return self.payee.party_id


@dataclass
class World:
    """The tenant with its clock, its rail at a backend, and the rounds of its worker."""

    engine: Engine
    tenant: Tenant
    backend: Backend

    def __post_init__(self) -> None:
        self.loop = MoneyLoop(
            self.engine,
            lambda: [self.tenant],
            lambda tenant: [self.backend.rail, SimulatedRail(self.engine, tenant.name)],
            lease=timedelta(0),
        )
        self.scanner = Scanner(
            engine=self.engine,
            tenants=lambda: [self.tenant],
            handlers=TIMERS,
            grace=timedelta(0),
        )
        self.refused: list[str] = []

    def call(self, service: Callable[..., list[Outcome]], *commands: object) -> list[Outcome]:
        """A use case in a transaction of its own, at the tenant's time."""
        with transaction(self.engine, self.tenant) as connection:
            outcomes = service(connection, list(commands), at=clock.now(connection))
        self.refused += [each.code for each in outcomes if not each.is_done]
        return outcomes

    def do(self, service: Callable[..., list[Outcome]], *commands: object) -> None:
        """A use case that nothing may stand in the way of."""
        for outcome in self.call(service, *commands):
            assert outcome.is_done, outcome

    @property
    def now(self) -> datetime:
        """The tenant's time."""
        with transaction(self.engine, self.tenant) as connection:
            return clock.now(connection)

    def pass_time(self, **by: float) -> None:
        """Let time pass for the tenant and at Stripe."""
        self.backend.pass_time(**by)
        with transaction(self.engine, self.tenant) as connection:
            clock.advance(connection, to=clock.now(connection) + timedelta(**by))

    def take(self, endpoint: str, body: bytes, headers: Mapping[str, str]) -> int:
        """A webhook as the API takes it in: verified, kept, answered."""
        rail = self.backend.rail
        assert isinstance(rail, WebhookRail)
        at = self.now
        found = rail.open_event(body, headers, endpoint=endpoint, at=at)
        with transaction(self.engine, self.tenant) as connection:
            events.take_in(connection, found, at)
        return 200

    def round(self) -> bool:
        """One round of the worker, with the webhooks that came meanwhile; whether it had work."""
        self.scanner.fire_due(self.tenant)
        self.backend.deliver(self.take)
        return self.loop.run_once(threading.Event())

    def settle(self, most: int = 60) -> None:
        """Rounds until nothing is left to do, gaps filled at the end."""
        for _ in range(most):
            had_work = self.round()
            filled = events.fill_gaps(
                self.engine, self.tenant, self.backend.rail, self.now, at_once=True
            )
            events.step(
                self.engine,
                self.tenant,
                self.backend.rail,
                RAIL_RESULTS,
                RAIL_NOTICES,
                self.now,
            )
            if not (had_work or filled.filled or filled.transactions or self.is_waiting()):
                return

    def fill_gaps(self) -> None:
        """Take in what Stripe lists, now and not only once a minute; all of it."""
        while (
            found := events.fill_gaps(
                self.engine, self.tenant, self.backend.rail, self.now, at_once=True
            )
        ).filled or found.transactions:
            pass

    def ask_again(self) -> None:
        """Let the real time pass for which events wait whose rail was away."""
        with transaction(self.engine, self.tenant) as connection:
            connection.exec_driver_sql(
                "UPDATE rail_event SET leased_until = NULL WHERE state = 'new'"
            )

    def is_waiting(self) -> bool:
        """Whether an operation is to be sent now, or its answer is unknown."""
        with snapshot(self.engine, self.tenant) as connection:
            found = connection.exec_driver_sql(
                "SELECT count(*) FROM rail_operation WHERE state IN ('sent', 'unknown')"
                " OR (state = 'created' AND (retry_at IS NULL OR retry_at <= clock_now()))"
            )
            return int(found.scalar_one()) > 0

    # ---- what people do

    def bring_capital(self, amount_minor: int, *currencies: str) -> None:
        """The owner's money, out of which the platform pays what Stripe keeps of payments."""
        for currency in currencies:
            self.do(
                settlement.open_capital,
                OpenCapital(actor=OPERATOR, currency=currency, amount_minor=amount_minor),
            )
        self.settle()

    def person(self, kind: str) -> Actor:
        """A verified party."""
        party_id = new_id()
        self.do(
            parties.create,
            parties.CreateParty(
                actor=OPERATOR, kind=parties.PartyKind(kind), party_id=party_id, country="DE"
            ),
        )
        self.do(
            parties.change,
            parties.ChangeParty(
                actor=OPERATOR, party_id=party_id, kyc_state=parties.KycState.VERIFIED
            ),
        )
        return Actor(new_id(), PrincipalKind.PERSON, party_id)

    def deal(self, amount_minor: int, *, currency: str = "EUR", terms: Terms | None = None) -> Deal:
        """A contract of one milestone, accepted by both."""
        client, payee = self.person("client"), self.person("freelancer")
        deal = Deal(client, payee, new_id(), new_id())
        assert client.party_id is not None
        propose = Propose(
            actor=payee,
            contract_id=deal.contract_id,
            client_id=client.party_id,
            payee_id=deal.payee_id,
            currency=currency,
            milestones=(Milestone(slot_id=deal.slot_id, amount_minor=amount_minor),),
            terms=terms or Terms(),
        )
        self.do(escrow.propose, propose)
        self.do(escrow.accept, ContractCommand(actor=client, contract_id=deal.contract_id))
        return deal

    def pay(self, deal: Deal, method: str) -> UUID:
        """The client pays by a method of Stripe's."""
        funding_id = new_id()
        deal.funding_ids.append(funding_id)
        self.do(
            escrow.fund,
            Fund(
                actor=deal.client,
                slot_id=deal.slot_id,
                funding_id=funding_id,
                method=Method.CARD,
                method_token=method,
                rail_account="stripe",
            ),
        )
        return funding_id

    def try_pay(self, deal: Deal, method: str) -> None:
        """The client tries to pay, whatever the state of the deal."""
        funding_id = new_id()
        (outcome,) = self.call(
            escrow.fund,
            Fund(
                actor=deal.client,
                slot_id=deal.slot_id,
                funding_id=funding_id,
                method=Method.CARD,
                method_token=method,
                rail_account="stripe",
            ),
        )
        if outcome.is_done:
            deal.funding_ids.append(funding_id)

    def try_pay_out(
        self, payee: Actor, method_id: UUID, amount_minor: int, currency: str
    ) -> UUID | None:
        """The payee asks for money that he may not get."""
        assert payee.party_id is not None
        payout_id = new_id()
        (outcome,) = self.call(
            payouts.request,
            RequestPayout(
                actor=payee,
                payout_id=payout_id,
                payee_id=payee.party_id,
                method_id=method_id,
                amount_minor=amount_minor,
                currency=currency,
            ),
        )
        return payout_id if outcome.is_done else None

    def submit(self, deal: Deal) -> None:
        """The payee hands in his work."""
        self.do(escrow.submit, Submit(actor=deal.payee, slot_id=deal.slot_id, message_ref="done"))

    def approve(self, deal: Deal) -> None:
        """The client is content: the money is the payee's, in its security hold."""
        self.do(escrow.approve, SlotCommand(actor=deal.client, slot_id=deal.slot_id))

    def open_account(self, payee: Actor) -> UUID:
        """An account at Stripe for a payee, and a payout method that pays by it."""
        assert payee.party_id is not None
        self.do(
            service_payees.open_accounts,
            OpenPayeeAccount(
                actor=payee, account_id=new_id(), party_id=payee.party_id, rail="stripe"
            ),
        )
        method_id = new_id()
        self.do(
            methods.add_methods,
            AddMethod(
                actor=payee,
                method_id=method_id,
                party_id=payee.party_id,
                token="default",
                rail="stripe",
            ),
        )
        return method_id

    def account_of(self, payee: Actor) -> str:
        """Stripe's name of a payee's account; empty until it said one."""
        with snapshot(self.engine, self.tenant) as connection:
            row = connection.exec_driver_sql(
                "SELECT account_ref FROM payee_account WHERE party_id = %s"
                " ORDER BY opened_at DESC LIMIT 1",
                (payee.party_id,),
            ).scalar_one_or_none()
        return str(row or "")

    def pay_out(self, payee: Actor, method_id: UUID, amount_minor: int, currency: str) -> UUID:
        """The payee asks for his money."""
        assert payee.party_id is not None
        payout_id = new_id()
        self.do(
            payouts.request,
            RequestPayout(
                actor=payee,
                payout_id=payout_id,
                payee_id=payee.party_id,
                method_id=method_id,
                amount_minor=amount_minor,
                currency=currency,
            ),
        )
        return payout_id

    def state_of(self, payout_id: UUID) -> str:
        """Where a payout is."""
        with snapshot(self.engine, self.tenant) as connection:
            return find_payouts(connection, [payout_id])[payout_id].state.value

    # ---- what is true

    def booked(self) -> dict[tuple[str, RailAccount, str], int]:
        """What the books say of accounts at Stripe: (rail account, place, currency).

        What has left Stripe for our bank and is not there yet is booked at Stripe until it has
        landed; it is in transit, and taken off here.
        """
        found: dict[tuple[str, RailAccount, str], int] = {}
        with snapshot(self.engine, self.tenant) as connection:
            for row in connection.exec_driver_sql(
                "SELECT kind, subject, currency, balance_minor FROM account"
                " WHERE kind = ANY (%s) AND balance_minor <> 0",
                (list(KINDS),),
            ):
                found[row.subject, KINDS[row.kind], row.currency] = row.balance_minor
            for row in connection.exec_driver_sql(_IN_TRANSIT):
                key = ("stripe", RailAccount.PROCESSOR_AVAILABLE, row.currency)
                found[key] = found.get(key, 0) - row.amount_minor
        return {key: minor for key, minor in found.items() if minor}

    def balance(self, kind: str, currency: str, subject: object = "") -> int:
        """An account of the books; a liability is below zero."""
        with snapshot(self.engine, self.tenant) as connection:
            return _balance(connection, kind, currency, subject)

    def prove(self) -> None:
        """The books are what their lines say."""
        with snapshot(self.engine, self.tenant) as connection:
            proof = prove(connection)
        assert proof.is_clean, proof.findings


def _balance(connection: Connection, kind: str, currency: str, subject: object) -> int:
    row = connection.exec_driver_sql(
        "SELECT balance_minor FROM account WHERE kind = %s AND currency = %s AND subject = %s",
        (kind, currency, str(subject)),
    ).scalar_one_or_none()
    return int(row or 0)


def differences(
    booked: Mapping[tuple[str, RailAccount, str], int],
    told: Mapping[tuple[str, RailAccount, str], int],
) -> dict[Any, tuple[int, int]]:
    """Where books and rail do not agree: what each says; empty when they do."""
    return {
        key: (booked.get(key, 0), told.get(key, 0))
        for key in sorted(booked.keys() | told.keys())
        if booked.get(key, 0) != told.get(key, 0)
    }
