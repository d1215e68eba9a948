"""One contract with a milestone, hours and a retainer, driven through days by short words."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection

from escrow import service, service_hybrid, service_retainer, store_retainer, timers
from escrow.commands_hourly import AddHours, HourlyOffer, Interval, LogTime, TermCommand
from escrow.model import Terms
from escrow.model_hybrid import Price, ProposeTermAmendment, TermAmendmentCommand
from escrow.model_retainer import (
    Draw,
    DrawdownCommand,
    OfferRetainer,
    Period,
    RetainerCommand,
    RetainerTerms,
)
from kernel import timers as clock_rows
from kernel.commands import Outcome
from kernel.ids import new_id
from kernel.principals import Actor
from rails.model import OperationKind, RailOutcome, RailResult
from tests.escrow.stage import Stage, prove_books


@dataclass
class Trio:
    """A milestone of 1,000.00, hours at 40.00 and a retainer, under one contract."""

    connection: Connection
    retainer_terms: RetainerTerms
    now: datetime
    terms: Terms
    currency: str = "USD"

    def __post_init__(self) -> None:
        self.stage = Stage(
            self.connection, self.currency, self.terms, amounts=(100_000,), now=self.now
        )
        self.term_id, self.retainer_id = new_id(), new_id()

    @property
    def contract_state(self) -> str:
        row = self.connection.exec_driver_sql(
            "SELECT state FROM contract WHERE id = %s", (self.stage.contract_id,)
        )
        return str(row.scalar_one())

    @property
    def periods(self) -> list[Period]:
        return store_retainer.list_periods(self.connection, self.retainer_id)

    def agreed(self) -> "Trio":
        """All three terms offered by the payee and accepted by the client."""
        self.offered()
        assert self.on_retainer("accept_retainer", self.stage.client).is_done
        return self

    def offered(self) -> "Trio":
        """As `agreed`, but the client has not accepted the retainer."""
        stage, connection = self.stage, self.connection
        assert stage.propose().is_done
        assert stage.accept().is_done
        hours = HourlyOffer(term_id=self.term_id, rate_minor=4_000, limit_minutes=2_400)
        add = AddHours(actor=stage.payee, contract_id=stage.contract_id, offer=hours)
        assert service.add_hours(connection, [add], at=stage.now)[0].is_done
        sign = TermCommand(actor=stage.client, term_id=self.term_id)
        assert service.accept_hours(connection, [sign], at=stage.now)[0].is_done
        offer = OfferRetainer(
            actor=stage.payee,
            contract_id=stage.contract_id,
            retainer_id=self.retainer_id,
            terms=self.retainer_terms,
        )
        assert service_retainer.offer_retainer(connection, [offer], at=stage.now)[0].is_done
        return self

    def on_retainer(self, verb: str, actor: Actor) -> Outcome:
        command = RetainerCommand(actor=actor, retainer_id=self.retainer_id)
        run = getattr(service_retainer, verb)
        return run(self.connection, [command], at=self.stage.now)[0]  # type: ignore[no-any-return]

    def log(self, *spans: tuple[datetime, datetime]) -> Outcome:
        command = LogTime(
            actor=self.stage.payee,
            term_id=self.term_id,
            entries=tuple(
                Interval(entry_id=new_id(), started_at=s, ended_at=e, memo="work") for s, e in spans
            ),
        )
        return service.log_time(self.connection, [command], at=self.stage.now)[0]

    def draw(self, *hours: tuple[datetime, datetime], units: int = 0, number: int = 1) -> Outcome:
        self.drawdown_id = new_id()
        command = Draw(
            actor=self.stage.payee,
            period_id=next(each.id for each in self.periods if each.number == number),
            drawdown_id=self.drawdown_id,
            message_ref="message:1",
            units=units,
            hours=hours,
        )
        return service_retainer.draw_down(self.connection, [command], at=self.stage.now)[0]

    def approve_drawdown(self) -> Outcome:
        return self.on_drawdown("approve_drawdown", self.stage.client)

    def on_drawdown(self, verb: str, actor: Actor, *, reason: str = "") -> Outcome:
        command = DrawdownCommand(actor=actor, drawdown_id=self.drawdown_id, reason=reason)
        run = getattr(service_retainer, verb)
        return run(self.connection, [command], at=self.stage.now)[0]  # type: ignore[no-any-return]

    def amend(self, term_id: UUID, actor: Actor, price: Price | None = None) -> Outcome:
        self.amendment_id = new_id()
        command = ProposeTermAmendment(
            actor=actor, amendment_id=self.amendment_id, term_id=term_id, price=price
        )
        return service_hybrid.propose_term_amendment(self.connection, [command], at=self.stage.now)[
            0
        ]

    def on_amendment(self, verb: str, actor: Actor) -> Outcome:
        command = TermAmendmentCommand(actor=actor, amendment_id=self.amendment_id)
        run = getattr(service_hybrid, f"{verb}_term_amendment")
        return run(self.connection, [command], at=self.stage.now)[0]  # type: ignore[no-any-return]

    def until(self, day: date, hour: int = 12, *, pays: bool = True) -> None:
        """Let days pass; each charge and refund is answered at once, the books proven."""
        self.pass_to(
            datetime(day.year, day.month, day.day, hour, tzinfo=self.now.tzinfo), pays=pays
        )
        prove_books(self.connection)

    def pass_to(self, target: datetime, *, pays: bool = True) -> None:
        """Let time pass; each charge and refund is answered at once."""
        while due := clock_rows.list_due(self.connection, at=target, limit=1, grace=timedelta()):
            self.stage.now = max(self.stage.now, due[0].due_at)
            timers.HANDLERS[due[0].kind](self.connection, due, self.stage.now)
            self.answer_rails(pays=pays)
        self.stage.now = target

    def answer_rails(self, *, pays: bool = True) -> None:
        """The rail answers every open charge, and pays out every refund."""
        rows = self.connection.exec_driver_sql(
            "SELECT id, asked, currency FROM (SELECT id, amount_minor + client_fee_minor AS asked,"
            " currency FROM funding WHERE state = 'created' AND slot_id IS NOT NULL) AS f"
        ).all()
        for funding_id, asked, currency in rows:
            result = RailResult(
                operation_id=funding_id,
                kind=OperationKind.FUND,
                subject=f"funding:{funding_id}",
                outcome=RailOutcome.DONE if pays else RailOutcome.REFUSED,
                amount_minor=asked,
                currency=currency,
                fee_minor=0,
                occurred_at=self.stage.now,
                cleared=True,
                code="" if pays else "card_declined",
            )
            assert service.funding_results(self.connection, [result], at=self.stage.now)[0].is_done
        refunds = self.connection.exec_driver_sql("SELECT id FROM refund WHERE state = 'approved'")
        for refund_id in refunds.scalars().all():
            assert self.stage.refund_result(str(refund_id), RailOutcome.DONE).is_done
