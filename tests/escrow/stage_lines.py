"""A week in review with two lines, of which the client may dispute some."""

from datetime import timedelta
from uuid import UUID

from escrow import service, store_hourly_lines
from escrow.model_hourly import Source
from escrow.model_lines import DisputeLine, LineCommand, LineDispute, ProposeLine, ServeLine
from kernel.commands import Outcome
from kernel.ids import new_id
from kernel.principals import Actor
from tests.escrow.stage_hourly import MONDAY, HourlyStage, hours


class LineStage(HourlyStage):
    """Lines of 300.00 (6 h at 50.00) and 100.00 (2.5 h at 40.00), of which 1.5 h by hand."""

    def in_review(self, fee_minor: int = 1_225) -> "LineStage":
        """Charged on Monday noon: 400.00 of hours, 412.00 paid."""
        self.ready()
        assert self.log(hours(0, 8, 9)).is_done
        assert self.log(hours(0, 9, 10.5), source=Source.MANUAL).is_done
        assert self.change(rate_minor=5_000).is_done
        self.invoiced(hours(2, 8, 14))
        assert self.hear(fee_minor=fee_minor).is_done
        return self

    def dispute(self, line_no: int, reason: str = "not worked", actor: Actor | None = None) -> UUID:
        """Dispute a line and give its id."""
        made = self.try_dispute(line_no, reason, actor)
        assert made.is_done, made
        return UUID(made.facts["line_dispute_id"])

    def try_dispute(
        self, line_no: int, reason: str = "not worked", actor: Actor | None = None
    ) -> Outcome:
        command = DisputeLine(
            actor=actor or self.client,
            line_dispute_id=new_id(),
            week_id=self.week().id,
            line_no=line_no,
            reason=reason,
        )
        return service.dispute_line(self.connection, [command], at=self.now)[0]

    def line(self, dispute_id: UUID) -> LineDispute:
        return store_hourly_lines.find_lines(self.connection, [dispute_id])[0]

    def on_line(self, verb: str, actor: Actor, dispute_id: UUID, reason: str = "") -> Outcome:
        command = LineCommand(actor=actor, line_dispute_id=dispute_id, reason=reason)
        return getattr(service, verb)(self.connection, [command], at=self.now)[0]  # type: ignore[no-any-return]

    def serve(self, dispute_id: UUID, actor: Actor | None = None) -> Outcome:
        command = ServeLine(
            actor=actor or self.operator,
            line_dispute_id=dispute_id,
            channel="email",
            proof="delivery-1",
        )
        return service.serve_line(self.connection, [command], at=self.now)[0]

    def propose_refund(self, dispute_id: UUID, refund_minor: int, actor: Actor) -> Outcome:
        command = ProposeLine(actor=actor, line_dispute_id=dispute_id, refund_minor=refund_minor)
        return service.propose_line(self.connection, [command], at=self.now)[0]

    def to_friday(self) -> None:
        """Past the end of the review."""
        self.pass_to(MONDAY + timedelta(days=12, hours=1))
