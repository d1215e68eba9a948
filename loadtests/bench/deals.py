"""Many deals at the same stage, made by the services themselves: proposed, funded, work shown."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Any, Final, TypeVar
from uuid import UUID

from sqlalchemy import Connection, Engine

from escrow import service
from escrow.commands import ContractCommand, Fund, Milestone, Propose, SlotCommand, Submit
from escrow.model import Method, Terms
from kernel.commands import Outcome
from kernel.database import Tenant, transaction
from kernel.ids import new_id
from kernel.principals import Actor, PrincipalKind
from ledger import parties
from ledger.chart import account
from ledger.parties import ChangeParty, CreateParty, KycState, PartyKind
from loadtests.bench.workload import ACTOR, CURRENCY, BenchTrouble, open_account, post

T = TypeVar("T")
UseCase = Callable[..., list[Outcome]]

_MILESTONES: Final = 4
_PER_BATCH: Final = 1_000
_OPERATOR: Final = Actor(UUID(int=0x0E), PrincipalKind.PERSON, is_operator=True)


@dataclass(frozen=True, slots=True)
class Person:
    """One party, as the actor it acts as."""

    party_id: UUID
    actor: Actor


@dataclass(frozen=True, slots=True)
class OpenSlot:
    """A funded slot on which work was shown: its client may approve it."""

    slot_id: UUID
    client: Actor
    payee: Actor

    def approval(self) -> SlotCommand:
        """What its client says when he likes the work."""
        return SlotCommand(actor=self.client, slot_id=self.slot_id)


@dataclass(frozen=True, slots=True)
class Market:
    """A tenant with verified people on both sides, the clients with money in their wallets.

    All contracts are made on `terms`.
    """

    engine: Engine
    tenant: Tenant
    clients: list[Person]
    payees: list[Person]
    terms: Terms = field(default_factory=Terms)

    def make_slots(
        self, count: int, random: Random, *, at: datetime, say: Callable[[str], None]
    ) -> list[OpenSlot]:
        """So many slots in contracts of four milestones, each brought to `submitted` at `at`."""
        slots: list[OpenSlot] = []
        while len(slots) < count:
            say(f"deals: {len(slots):,} of {count:,} slots")
            slots += self._make_contracts(min(_PER_BATCH, count - len(slots)), random, at)
        return slots

    def _make_contracts(self, count: int, random: Random, at: datetime) -> list[OpenSlot]:
        proposals, accepts, slots = [], [], []
        for slot_ids in in_batches([new_id() for _ in range(count)], _MILESTONES):
            client, payee = random.choice(self.clients), random.choice(self.payees)
            proposal = _propose(client, payee, slot_ids, random, self.terms)
            proposals.append(proposal)
            accepts.append(ContractCommand(actor=client.actor, contract_id=proposal.contract_id))
            slots += [OpenSlot(slot_id, client.actor, payee.actor) for slot_id in slot_ids]
        self.do(service.propose, proposals, at)
        self.do(service.accept, accepts, at)
        self.do(service.fund, [_fund(slot) for slot in slots], at)
        self.do(service.submit, [_submit(slot) for slot in slots], at)
        return slots

    def do(self, use_case: UseCase, commands: Sequence[Any], at: datetime) -> None:
        """One batch of one use case in a transaction of its own; none may be refused."""
        with transaction(self.engine, self.tenant) as connection:
            outcomes = use_case(connection, commands, at=at)
        check_done(outcomes)


def open_market(engine: Engine, tenant: Tenant, people: int, *, at: datetime) -> Market:
    """Verified clients and freelancers, so many of each, and money for the clients."""
    with transaction(engine, tenant) as connection:
        clients = _add_people(connection, PartyKind.CLIENT, people, at)
        payees = _add_people(connection, PartyKind.FREELANCER, people, at)
    wallets = [account("custody.wallet", CURRENCY, client.party_id) for client in clients]
    post(engine, tenant, [open_account(wallet, at) for wallet in wallets])
    return Market(engine, tenant, clients, payees)


def check_done(outcomes: Sequence[Outcome]) -> None:
    """Stop the bench if a command was refused."""
    for outcome in outcomes:
        if not outcome.is_done:
            raise BenchTrouble(f"a command was refused: {outcome.code} {dict(outcome.facts)}")


def in_batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """The items, so many at a time."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _add_people(connection: Connection, kind: PartyKind, count: int, at: datetime) -> list[Person]:
    ids = [new_id() for _ in range(count)]
    creates = [CreateParty(actor=ACTOR, kind=kind, party_id=party_id) for party_id in ids]
    check_done(parties.create(connection, creates, at=at))
    changes = [
        ChangeParty(actor=_OPERATOR, party_id=party_id, kyc_state=KycState.VERIFIED)
        for party_id in ids
    ]
    check_done(parties.change(connection, changes, at=at))
    return [Person(each, Actor(new_id(), PrincipalKind.PERSON, each)) for each in ids]


def _propose(
    client: Person, payee: Person, slot_ids: Sequence[UUID], random: Random, terms: Terms
) -> Propose:
    return Propose(
        actor=payee.actor,
        contract_id=new_id(),
        client_id=client.party_id,
        payee_id=payee.party_id,
        currency=CURRENCY,
        milestones=tuple(
            Milestone(slot_id=slot_id, amount_minor=random.randint(5_000, 500_000))
            for slot_id in slot_ids
        ),
        terms=terms,
    )


def _fund(slot: OpenSlot) -> Fund:
    return Fund(actor=slot.client, slot_id=slot.slot_id, funding_id=new_id(), method=Method.WALLET)


def _submit(slot: OpenSlot) -> Submit:
    return Submit(actor=slot.payee, slot_id=slot.slot_id, message_ref="message:1")
