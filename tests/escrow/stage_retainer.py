"""A retainer on the real database, driven by short words; it stands on the stage of the deal."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection

from escrow import (
    service,
    service_retainer,
    service_retainer_pause,
    store,
    store_retainer,
    timers,
)
from escrow.model import Terms
from escrow.model_retainer import (
    Draw,
    DrawdownCommand,
    NewContract,
    OfferRetainer,
    Period,
    Retainer,
    RetainerCommand,
    RetainerKind,
    RetainerTerms,
)
from kernel import timers as clock_rows
from kernel.commands import Outcome
from kernel.ids import new_id
from kernel.principals import Actor
from kernel.timers import DueTimer
from rails.model import OperationKind, RailOutcome, RailResult
from tests.escrow.stage import Stage


@dataclass
class Lease:
    """One retainer under a contract of its own; charges are heard by `pay`."""

    connection: Connection
    terms: RetainerTerms
    deal_terms: Terms = field(default_factory=lambda: Terms(client_fee_bps=0))
    now: datetime = datetime(2026, 3, 20, 9, tzinfo=UTC)

    def __post_init__(self) -> None:
        self.stage = Stage(self.connection, terms=self.deal_terms, now=self.now)
        self.retainer_id = new_id()
        self.drawdown_id = self.over_id = new_id()
        self.worked_until = self.now

    @property
    def retainer(self) -> Retainer:
        return store_retainer.find_retainers(self.connection, [self.retainer_id])[0]

    @property
    def periods(self) -> list[Period]:
        return store_retainer.list_periods(self.connection, self.retainer_id)

    def period(self, number: int) -> Period:
        return next(each for each in self.periods if each.number == number)

    def states(self) -> str:
        return " ".join(each.state for each in self.periods)

    def offer(self, actor: Actor | None = None) -> Outcome:
        stage = self.stage
        assert stage.client.party_id is not None
        assert stage.payee.party_id is not None
        new = NewContract(
            client_id=stage.client.party_id,
            payee_id=stage.payee.party_id,
            currency=stage.currency,
            terms=self.deal_terms,
        )
        command = OfferRetainer(
            actor=actor or stage.payee,
            contract_id=stage.contract_id,
            retainer_id=self.retainer_id,
            terms=self.terms,
            new=new,
        )
        return service_retainer.offer_retainer(self.connection, [command], at=stage.now)[0]

    def on_retainer(self, verb: str, actor: Actor) -> Outcome:
        command = RetainerCommand(actor=actor, retainer_id=self.retainer_id)
        run = getattr(service_retainer, verb)
        return run(self.connection, [command], at=self.stage.now)[0]  # type: ignore[no-any-return]

    def cancel(self, actor: Actor) -> Outcome:
        return self.on_retainer("cancel_retainer", actor)

    def agreed(self) -> "Lease":
        assert self.offer().is_done
        assert self.on_retainer("accept_retainer", self.stage.client).is_done
        return self

    def pay(self, outcome: RailOutcome = RailOutcome.DONE) -> int:
        """The rail answers every open charge; how many there were."""
        rows = self.connection.exec_driver_sql(
            "SELECT id FROM funding WHERE state = 'created' AND slot_id IS NOT NULL"
        )
        ids = list(rows.scalars())
        for funding in store.find_fundings(self.connection, ids):
            result = RailResult(
                operation_id=funding.id,
                kind=OperationKind.FUND,
                subject=f"funding:{funding.id}",
                outcome=outcome,
                amount_minor=funding.asked_minor,
                currency=funding.currency,
                fee_minor=0,
                occurred_at=self.stage.now,
                cleared=True,
                code="" if outcome is RailOutcome.DONE else "card_declined",
            )
            (heard,) = service.funding_results(self.connection, [result], at=self.stage.now)
            assert heard.is_done
        return len(ids)

    def until(self, day: date, *, pays: bool = True) -> None:
        """Let days pass, each charge answered at once."""
        target = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
        answer = RailOutcome.DONE if pays else RailOutcome.REFUSED
        while due := self.next_due(target):
            self.stage.now = max(self.stage.now, due.due_at)
            timers.HANDLERS[due.kind](self.connection, [due], self.stage.now)
            self.pay(answer)
        self.stage.now = target

    def next_due(self, until: datetime) -> DueTimer | None:
        due = clock_rows.list_due(self.connection, at=until, limit=1, grace=timedelta())
        return due[0] if due else None

    def draw(self, number: int, units: int, actor: Actor | None = None) -> Outcome:
        """Draw pieces, or minutes: those right after the minutes that were drawn before."""
        self.drawdown_id, self.over_id = new_id(), new_id()
        is_hours = self.terms.kind is RetainerKind.HOURS_DRAWDOWN
        period = self.period(number)
        start = max(self.worked_until, period.starts_at)
        end = start + timedelta(minutes=units)
        command = Draw(
            actor=actor or self.stage.payee,
            period_id=period.id,
            drawdown_id=self.drawdown_id,
            over_id=self.over_id,
            units=0 if is_hours else units,
            hours=((start, end),) if is_hours else (),
            message_ref="message:1",
        )
        (drawn,) = service_retainer.draw_down(self.connection, [command], at=self.stage.now)
        if drawn.is_done:
            self.worked_until = end
        return drawn

    def pause(self, actor: Actor) -> Outcome:
        return self._on_pause("pause_retainer", actor)

    def resume(self, actor: Actor) -> Outcome:
        return self._on_pause("resume_retainer", actor)

    def _on_pause(self, verb: str, actor: Actor) -> Outcome:
        command = RetainerCommand(actor=actor, retainer_id=self.retainer_id)
        run = getattr(service_retainer_pause, verb)
        return run(self.connection, [command], at=self.stage.now)[0]  # type: ignore[no-any-return]

    def over_slot(self) -> UUID:
        """The slot that what exceeds the period is charged to."""
        (found,) = store_retainer.find_drawdowns(self.connection, [self.over_id])
        assert found.slot_id is not None
        return found.slot_id

    def on_drawdown(
        self, verb: str, actor: Actor, *, reason: str = "", drawdown_id: UUID | None = None
    ) -> Outcome:
        command = DrawdownCommand(
            actor=actor, drawdown_id=drawdown_id or self.drawdown_id, reason=reason
        )
        run = getattr(service_retainer, verb)
        return run(self.connection, [command], at=self.stage.now)[0]  # type: ignore[no-any-return]
