"""Exchange on the real database, by short words: what the tests of conversions stand on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, text

from commissions import service_fx, service_fx_policy
from commissions.commands_fx import ApprovePolicy, AskQuote, PreparePolicy
from commissions.model_fx import FixedSide, Policy
from escrow import service_fx as conversions
from escrow.commands_fx import Convert, RecordFill
from kernel.commands import Outcome
from kernel.ids import new_id
from kernel.principals import RAIL, Actor
from ledger.chart import account
from ledger.entries import entry
from ledger.model import AccountKey, Book, Draft
from ledger.service import balances, post
from tests.commissions.rates import PER_EURO, stand_rates
from tests.escrow.stage import START, add_party, person

USUAL = Policy(margin_bps=150)


@dataclass
class Desk:
    """A payee with money, and the rates of the day; the acts answer with their outcome."""

    connection: Connection
    policy: Policy = USUAL
    per_euro: Mapping[str, str] = field(default_factory=lambda: PER_EURO)
    now: datetime = START

    def __post_init__(self) -> None:
        self.party_id = add_party(self.connection, "freelancer")
        self.payee = person(self.party_id)
        self.first = person(None, is_operator=True)
        self.second = person(None, is_operator=True)
        stand_rates(self.connection, self.now.date(), self.per_euro)
        self.decide(self.policy)

    def decide(self, policy: Policy) -> UUID:
        policy_id = new_id()
        prepare = PreparePolicy(
            actor=self.first, policy_id=policy_id, policy=policy, reason="for a test"
        )
        approve = ApprovePolicy(actor=self.second, policy_id=policy_id)
        assert service_fx_policy.prepare_policy(self.connection, [prepare], at=self.now)[0].is_done
        assert service_fx_policy.approve_policy(self.connection, [approve], at=self.now)[0].is_done
        return policy_id

    def earn(self, amount_minor: int, currency: str) -> None:
        """Money in the bank that the payee may withdraw."""
        lines = (
            (account("custody.bank", currency), amount_minor),
            (account("custody.earned_available", currency, self.party_id), -amount_minor),
        )
        post_lines(self.connection, currency, lines, actor=self.first, at=self.now)

    def quote(
        self,
        amount_minor: int,
        sold: str = "EUR",
        bought: str = "USD",
        *,
        fixed: FixedSide = FixedSide.SELL,
        actor: Actor | None = None,
    ) -> Outcome:
        command = AskQuote(
            actor=actor or self.payee,
            quote_id=new_id(),
            party_id=self.party_id,
            sold=sold,
            bought=bought,
            fixed=fixed,
            amount_minor=amount_minor,
        )
        return service_fx.quote(self.connection, [command], at=self.now)[0]

    def convert(self, quote_id: str | UUID, *, actor: Actor | None = None) -> Outcome:
        command = Convert(
            actor=actor or self.payee, conversion_id=new_id(), quote_id=UUID(str(quote_id))
        )
        return conversions.convert(self.connection, [command], at=self.now)[0]

    def fill(self, conversion_id: str, filled_minor: int, *, ref: str = "f-1") -> Outcome:
        command = RecordFill(
            actor=RAIL,
            conversion_id=UUID(conversion_id),
            provider="house",
            provider_ref=ref,
            filled_minor=filled_minor,
        )
        return conversions.record_fills(self.connection, [command], at=self.now)[0]

    def balance(self, kind: str, currency: str, subject: UUID | str = "") -> int:
        key = account(kind, currency, subject)
        return balances(self.connection, [key]).get(key, 0)

    def later(self, **length: float) -> None:
        self.now += timedelta(**length)


def post_lines(
    connection: Connection,
    currency: str,
    *all_lines: tuple[tuple[AccountKey, int], ...],
    actor: Actor,
    at: datetime,
) -> None:
    """One event, with an entry for each of the lines given, in the book that they are of."""
    entries = tuple(
        found
        for lines in all_lines
        for found in entry(Book(lines[0][0].kind.partition(".")[0]), currency, *lines)
    )
    (answer,) = post(connection, [Draft("test.posted", "test:1", actor, at, entries)])
    assert not isinstance(answer, Exception), answer


def rows(connection: Connection) -> dict[str, int]:
    """How much there is of all that exchange may write."""
    tables = (
        "event",
        "entry",
        "line",
        "fx_rate",
        "fx_policy",
        "fx_quote",
        "fx_conversion",
        "timer",
    )
    return {
        table: connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()
        for table in tables
    }
