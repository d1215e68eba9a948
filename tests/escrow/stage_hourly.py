"""Hours on the real database, driven by short words: what the tests of worked weeks stand on."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection

from escrow import service, store, store_hourly, timers
from escrow.commands_hourly import (
    AddHours,
    ChangeHours,
    EditTime,
    EntryCommand,
    HourlyOffer,
    Interval,
    LogTime,
    ProposeHours,
    TermCommand,
    WeekCommand,
)
from escrow.model import Funding, Method, Slot, Terms
from escrow.model_hourly import Collect, Source, TimeEntry, Unused, Week, WeekLine
from kernel import timers as clock_rows
from kernel.commands import Outcome
from kernel.ids import new_id
from kernel.principals import Actor
from rails.model import OperationKind, RailOutcome, RailResult
from tests.escrow.stage import add_party, person

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)


def hours(day: int, start: float, end: float) -> tuple[datetime, datetime]:
    """An interval of a day of the first week, in hours of UTC."""
    midnight = MONDAY + timedelta(days=day)
    return midnight + timedelta(hours=start), midnight + timedelta(hours=end)


@dataclass
class HourlyStage:
    """One contract on hours: 40.00 an hour, 40 hours a week, paid by card in arrears."""

    connection: Connection
    currency: str = "USD"
    rate_minor: int = 4_000
    limit_minutes: int = 2_400
    week_zone: str = "UTC"
    method: Method = Method.CARD
    collect: Collect = Collect.ARREARS
    unused: Unused = Unused.ROLL
    now: datetime = MONDAY
    terms: Terms = field(default_factory=Terms)

    def __post_init__(self) -> None:
        self.client = person(add_party(self.connection, "client"))
        self.payee = person(add_party(self.connection, "freelancer"))
        self.operator = person(None, is_operator=True)
        self.contract_id = new_id()
        self.term_id = new_id()

    def offer(self, term_id: UUID | None = None) -> HourlyOffer:
        return HourlyOffer(
            term_id=term_id or self.term_id,
            rate_minor=self.rate_minor,
            limit_minutes=self.limit_minutes,
            week_zone=self.week_zone,
            method=self.method,
            collect=self.collect,
            unused=self.unused,
        )

    def propose(self) -> Outcome:
        assert self.client.party_id is not None
        assert self.payee.party_id is not None
        command = ProposeHours(
            actor=self.payee,
            contract_id=self.contract_id,
            client_id=self.client.party_id,
            payee_id=self.payee.party_id,
            currency=self.currency,
            offer=self.offer(),
            terms=self.terms,
        )
        return service.propose_hours(self.connection, [command], at=self.now)[0]

    def add(self, term_id: UUID) -> Outcome:
        command = AddHours(
            actor=self.payee, contract_id=self.contract_id, offer=self.offer(term_id)
        )
        return service.add_hours(self.connection, [command], at=self.now)[0]

    def accept(self, actor: Actor | None = None, term_id: UUID | None = None) -> Outcome:
        command = TermCommand(actor=actor or self.client, term_id=term_id or self.term_id)
        return service.accept_hours(self.connection, [command], at=self.now)[0]

    def ready(self) -> "HourlyStage":
        """Proposed and accepted, on a Monday at midnight."""
        assert self.propose().is_done
        assert self.accept().is_done
        return self

    def change(self, actor: Actor | None = None, **fields: int) -> Outcome:
        command = ChangeHours(actor=actor or self.client, term_id=self.term_id, **fields)  # type: ignore[arg-type]
        return service.change_hours(self.connection, [command], at=self.now)[0]

    def log(
        self,
        *spans: tuple[datetime, datetime],
        source: Source = Source.TRACKED,
        memo: str = "work",
        activity: int = 80,
        term_id: UUID | None = None,
        actor: Actor | None = None,
    ) -> Outcome:
        """Log hours as soon as they were worked, or now if that is later."""
        latest = max((end for _, end in spans), default=self.now)
        command = LogTime(
            actor=actor or self.payee,
            term_id=term_id or self.term_id,
            entries=tuple(
                Interval(
                    entry_id=new_id(),
                    started_at=start,
                    ended_at=end,
                    source=source,
                    memo=memo,
                    activity=activity,
                )
                for start, end in spans
            ),
        )
        self.pass_to(max(self.now, latest))
        return service.log_time(self.connection, [command], at=self.now)[0]

    def on_entry(self, verb: str, actor: Actor, entry_id: str | UUID) -> Outcome:
        command = EntryCommand(actor=actor, entry_id=UUID(str(entry_id)))
        return getattr(service, verb)(self.connection, [command], at=self.now)[0]  # type: ignore[no-any-return]

    def edit(self, entry_id: str, **fields: object) -> Outcome:
        command = EditTime(actor=self.payee, entry_id=UUID(entry_id), **fields)  # type: ignore[arg-type]
        return service.edit_time(self.connection, [command], at=self.now)[0]

    def weeks(self) -> list[Week]:
        return store_hourly.list_term_weeks(self.connection, self.term_id, after=None, limit=500)

    def week(self, number: int = 0) -> Week:
        return self.weeks()[number]

    def slot(self, number: int = 0) -> Slot:
        slot_id = self.week(number).slot_id
        assert slot_id is not None
        return store.find_slots(self.connection, [slot_id])[0]

    def entries(self, number: int = 0) -> list[TimeEntry]:
        return store_hourly.list_entries(self.connection, [self.week(number).id])

    def lines(self, number: int = 0) -> list[WeekLine]:
        return store_hourly.list_lines(self.connection, self.week(number).id)

    def funding(self, number: int = 0) -> Funding:
        """The newest payment for a week's slot."""
        found = self.connection.exec_driver_sql(
            "SELECT id FROM funding WHERE slot_id = %s ORDER BY id DESC LIMIT 1",
            (self.week(number).slot_id,),
        ).scalar_one()
        return store.find_fundings(self.connection, [found])[0]

    def hear(
        self,
        outcome: RailOutcome = RailOutcome.DONE,
        *,
        number: int = 0,
        fee_minor: int = 0,
        cleared: bool = True,
    ) -> Outcome:
        """What the rail says of the newest payment for a week."""
        funding = self.funding(number)
        result = RailResult(
            operation_id=funding.id,
            kind=OperationKind.FUND,
            subject=f"funding:{funding.id}",
            outcome=outcome,
            amount_minor=funding.asked_minor,
            currency=funding.currency,
            fee_minor=fee_minor,
            occurred_at=self.now,
            cleared=cleared,
        )
        return service.funding_results(self.connection, [result], at=self.now)[0]

    def write_off(self, actor: Actor) -> Outcome:
        command = WeekCommand(actor=actor, week_id=self.week().id)
        return service.write_off(self.connection, [command], at=self.now)[0]

    def pass_to(self, until: datetime) -> None:
        """Let time pass and fire what falls due, in due order."""
        while due := self._next(until):
            self.now = max(self.now, due.due_at)
            timers.HANDLERS[due.kind](self.connection, [due], self.now)
        self.now = max(self.now, until)

    def wait(self, **length: float) -> None:
        self.pass_to(self.now + timedelta(**length))

    def invoiced(self, *spans: tuple[datetime, datetime]) -> "HourlyStage":
        """Hours logged, and the Monday after at noon."""
        worked: Sequence[tuple[datetime, datetime]] = spans or (hours(0, 8, 18),)
        assert self.log(*worked).is_done
        self.pass_to(MONDAY + timedelta(days=7, hours=12))
        return self

    def _next(self, until: datetime) -> clock_rows.DueTimer | None:
        due = clock_rows.list_due(self.connection, at=until, limit=1, grace=timedelta())
        return due[0] if due else None
