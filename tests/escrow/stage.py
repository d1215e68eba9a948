"""A deal on the real database, driven by short words: what the story tests of escrow stand on."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection

from escrow import service, store, timers
from escrow.commands import (
    ContractCommand,
    Fund,
    FundingCommand,
    Milestone,
    Propose,
    ProposeAmendment,
    ReleasePart,
    SignAmendment,
    SlotCommand,
    Submit,
    Tip,
)
from escrow.model import Method, Slot, Terms
from escrow.store_fee_proof import prove_fees
from kernel import timers as clock_rows
from kernel.commands import Outcome
from kernel.ids import new_id
from kernel.money import format_minor, parse_minor
from kernel.principals import Actor, PrincipalKind
from kernel.timers import DueTimer
from ledger.chart import CHART, Nature
from ledger.proof import prove
from ledger.service import kind_balances
from rails.model import OperationKind, RailOutcome, RailResult

START = datetime(2026, 3, 2, 9, tzinfo=UTC)


def add_party(connection: Connection, kind: str, *, kyc: str = "verified") -> UUID:
    """A party, verified unless said otherwise."""
    party_id = new_id()
    connection.exec_driver_sql(
        "INSERT INTO party (id, kind, kyc_state, created_at) VALUES (%s, %s, %s, %s)",
        (party_id, kind, kyc, START),
    )
    return party_id


def person(party_id: UUID | None, *, is_operator: bool = False) -> Actor:
    return Actor(new_id(), PrincipalKind.PERSON, party_id, is_operator)


@dataclass
class Stage:
    """One contract with its parties, and the time of day; the acts answer with their outcome."""

    connection: Connection
    currency: str = "EUR"
    terms: Terms = field(default_factory=Terms)
    amounts: Sequence[int] = (10_000,)
    now: datetime = START
    method: Method = Method.CARD

    def __post_init__(self) -> None:
        self.client = person(add_party(self.connection, "client"))
        self.payee = person(add_party(self.connection, "freelancer"))
        self.operator = person(None, is_operator=True)
        self.operator_key = Actor(new_id(), PrincipalKind.KEY, None, is_operator=True)
        self.stranger = person(add_party(self.connection, "client"))
        self.contract_id = new_id()
        self.slot_ids = [new_id() for _ in self.amounts]
        self.funding_id = new_id()
        self.slot_id = self.slot_ids[0]

    def slot(self, slot_id: UUID | None = None) -> Slot:
        return store.find_slots(self.connection, [slot_id or self.slot_id])[0]

    def propose(self) -> Outcome:
        assert self.client.party_id is not None
        assert self.payee.party_id is not None
        command = Propose(
            actor=self.payee,
            contract_id=self.contract_id,
            client_id=self.client.party_id,
            payee_id=self.payee.party_id,
            currency=self.currency,
            milestones=tuple(
                Milestone(slot_id=slot_id, amount_minor=amount)
                for slot_id, amount in zip(self.slot_ids, self.amounts, strict=True)
            ),
            terms=self.terms,
        )
        return service.propose(self.connection, [command], at=self.now)[0]

    def accept(self, actor: Actor | None = None) -> Outcome:
        return self.on_contract("accept", actor or self.client)

    def on_contract(self, verb: str, actor: Actor) -> Outcome:
        command = ContractCommand(actor=actor, contract_id=self.contract_id)
        return getattr(service, verb)(self.connection, [command], at=self.now)[0]  # type: ignore[no-any-return]

    def on_slot(self, verb: str, actor: Actor, **fields: object) -> Outcome:
        command = SlotCommand(actor=actor, **{"slot_id": self.slot_id, **fields})  # type: ignore[arg-type]
        return getattr(service, verb)(self.connection, [command], at=self.now)[0]  # type: ignore[no-any-return]

    def start_funding(self, method: Method | None = None) -> Outcome:
        self.funding_id = new_id()
        command = Fund(
            actor=self.client,
            slot_id=self.slot_id,
            funding_id=self.funding_id,
            method=method or self.method,
        )
        return service.fund(self.connection, [command], at=self.now)[0]

    def result(
        self,
        outcome: RailOutcome = RailOutcome.DONE,
        *,
        fee_minor: int = 0,
        amount_minor: int | None = None,
        cleared: bool = True,
        code: str = "",
    ) -> RailResult:
        funding = store.find_fundings(self.connection, [self.funding_id])[0]
        return RailResult(
            operation_id=funding.id,
            kind=OperationKind.FUND,
            subject=f"funding:{funding.id}",
            outcome=outcome,
            amount_minor=funding.asked_minor if amount_minor is None else amount_minor,
            currency=funding.currency,
            fee_minor=fee_minor,
            occurred_at=self.now,
            cleared=cleared,
            code=code,
        )

    def hear(self, *results: RailResult) -> Outcome:
        return service.funding_results(self.connection, results, at=self.now)[-1]

    def fund(self, fee_minor: int = 0) -> Outcome:
        started = self.start_funding()
        return self.hear(self.result(fee_minor=fee_minor)) if started.is_done else started

    def fill_wallet(self, amount_minor: int) -> None:
        """Money in the client's wallet, as it comes there: by a payment that came too late."""
        funding_id, slot_id = self.funding_id, self.slot_id
        other = Stage(self.connection, self.currency, Terms(client_fee_bps=0), (amount_minor,))
        other.client, other.now = self.client, self.now
        assert other.propose().is_done
        assert other.accept().is_done
        assert other.start_funding().is_done
        command = FundingCommand(actor=self.client, funding_id=other.funding_id)
        assert service.cancel_funding(self.connection, [command], at=self.now)[0].is_done
        assert other.hear(other.result()).facts["funding_state"] == "credited"
        self.funding_id, self.slot_id = funding_id, slot_id

    def submit(self, message_ref: str = "message:1") -> Outcome:
        command = Submit(actor=self.payee, slot_id=self.slot_id, message_ref=message_ref)
        return service.submit(self.connection, [command], at=self.now)[0]

    def approve(self, **fields: object) -> Outcome:
        return self.on_slot("approve", self.client, **fields)

    def release_part(self, amount_minor: int) -> Outcome:
        command = ReleasePart(actor=self.client, slot_id=self.slot_id, amount_minor=amount_minor)
        return service.release_part(self.connection, [command], at=self.now)[0]

    def tip(self, amount_minor: int, method: Method = Method.CARD) -> Outcome:
        self.funding_id = new_id()
        command = Tip(
            actor=self.client,
            contract_id=self.contract_id,
            funding_id=self.funding_id,
            amount_minor=amount_minor,
            method=method,
        )
        return service.tip(self.connection, [command], at=self.now)[0]

    def refund_result(self, refund_id: str, outcome: RailOutcome, *, fee_minor: int = 0) -> Outcome:
        refund = store.find_refunds(self.connection, [UUID(refund_id)])[0]
        result = RailResult(
            operation_id=refund.id,
            kind=OperationKind.REFUND,
            subject=f"refund:{refund.id}",
            outcome=outcome,
            amount_minor=refund.total_minor,
            currency=refund.currency,
            fee_minor=fee_minor,
            occurred_at=self.now,
        )
        return service.refund_results(self.connection, [result], at=self.now)[0]

    def amend(
        self, *, new_amount_minor: int | None = None, to_slot_id: UUID | None = None
    ) -> Outcome:
        """The payee offers, the client signs."""
        offer = ProposeAmendment(
            actor=self.payee,
            slot_id=self.slot_id,
            amendment_id=new_id(),
            new_amount_minor=new_amount_minor,
            to_slot_id=to_slot_id,
        )
        offered = service.propose_amendment(self.connection, [offer], at=self.now)[0]
        if not offered.is_done:
            return offered
        sign = SignAmendment(actor=self.client, amendment_id=offer.amendment_id)
        return service.sign_amendment(self.connection, [sign], at=self.now)[0]

    def wait(self, **length: int) -> int:
        """Let time pass and fire what falls due, in due order; how many timers fired."""
        until = self.now + timedelta(**length)
        fired = 0
        while due := self._next(until):
            self.now = max(self.now, due.due_at)
            fired += timers.HANDLERS[due.kind](self.connection, [due], self.now)
        self.now = until
        return fired

    def _next(self, until: datetime) -> DueTimer | None:
        due = clock_rows.list_due(self.connection, at=until, limit=1, grace=timedelta())
        return due[0] if due else None

    def hold(self, subject: str, kind: str = "compliance") -> None:
        self.connection.exec_driver_sql(
            "INSERT INTO hold (id, subject, kind, reason, placed_by, placed_at)"
            " VALUES (%s, %s, %s, 'a reason', %s, %s)",
            (new_id(), subject, kind, new_id(), self.now),
        )
        timers.pause_clocks(self.connection, [subject], at=self.now)

    def lift(self, subject: str) -> None:
        self.connection.exec_driver_sql(
            "UPDATE hold SET lifted_by = %s, lifted_at = %s WHERE subject = %s",
            (new_id(), self.now, subject),
        )
        timers.resume_clocks(self.connection, [subject], at=self.now)

    def ready(self, fee_minor: int = 0) -> "Stage":
        """Proposed, accepted and funded."""
        assert self.propose().is_done
        assert self.accept().is_done
        assert self.fund(fee_minor).is_done
        return self

    def submitted(self) -> "Stage":
        """Funded, and work shown."""
        self.ready()
        assert self.submit().is_done
        return self


def shown_minor(connection: Connection, name: str, currency: str) -> int:
    """The balance of all accounts of a kind as people read it: what is owed is positive."""
    kind = next(each for each in CHART if each.endswith(f".{name.replace(' ', '_')}"))
    signed = kind_balances(connection, kind).get(currency, 0)
    owed = CHART[kind].nature in {Nature.LIABILITY, Nature.REVENUE}
    return -signed if owed else signed


def check_balances(connection: Connection, currency: str, line: str) -> None:
    """Compare `escrow 100.00 · earned pending 90.00` with the books."""
    for item in filter(None, (part.strip() for part in line.split("·"))):
        name, _, amount = item.rpartition(" ")
        size = amount.lstrip("-")
        expected = parse_minor(size, currency) if size.strip("0.") else 0
        expected = -expected if amount.startswith("-") else expected
        found = shown_minor(connection, name, currency)
        assert found == expected, f"{name}: {format_minor(found, currency)}, not {amount}"


def prove_books(connection: Connection) -> None:
    """The ledger proves itself, and what slots hold is what escrow accounts owe."""
    assert prove(connection).findings == ()
    assert prove_fees(connection) == []
    rows = connection.exec_driver_sql(
        "SELECT subject, currency, -sum(balance_minor)::bigint FROM account"
        " WHERE kind IN ('custody.escrow', 'custody.escrow_disputed') AND balance_minor <> 0"
        " GROUP BY subject, currency ORDER BY subject, currency"
    )
    assert sorted(map(tuple, rows)) == sorted(store.list_held(connection))
    frozen = connection.exec_driver_sql(
        "SELECT coalesce(account.subject, slot.id::text)"
        " FROM (SELECT * FROM account WHERE kind = 'custody.escrow_disputed') AS account"
        " FULL JOIN slot ON slot.id::text = account.subject"
        " WHERE coalesce(-account.balance_minor, 0) <> coalesce(slot.disputed_minor, 0)"
    )
    assert not frozen.all()
    contested = connection.exec_driver_sql(
        "SELECT slot.id FROM slot LEFT JOIN dispute ON dispute.slot_id = slot.id"
        " AND dispute.release_id IS NOT NULL AND dispute.state NOT IN ('executed', 'withdrawn')"
        " WHERE slot.contested_minor <> coalesce(dispute.claim_minor, 0)"
    )
    assert not contested.all()
    deferred = connection.exec_driver_sql(
        "SELECT (SELECT coalesce(sum(fee_deferred_minor), 0) FROM slot)"
        " + (SELECT coalesce(sum(net_minor - earned_minor), 0) FROM purchase"
        " WHERE state = 'earning')"
        " + (SELECT coalesce(sum(balance_minor), 0) FROM account"
        " WHERE kind = 'platform.deferred_fees')"
    ).scalar_one()
    assert deferred == 0
