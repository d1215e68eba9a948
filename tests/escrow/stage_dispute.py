"""A dispute on the real database, driven by short words; it stands on the stage of the deal."""

from dataclasses import dataclass, field
from uuid import UUID

from escrow import service_dispute, store_dispute
from escrow.model import Role
from escrow.model_dispute import (
    AcceptOffer,
    Appeal,
    Dispute,
    DisputeCommand,
    FileEvidence,
    MakeOffer,
    OpenDispute,
    ProposeDecision,
    Recommend,
    Serve,
)
from kernel.commands import Outcome
from kernel.ids import new_id
from kernel.principals import Actor
from tests.escrow.stage import Stage, person


@dataclass
class Court:
    """One dispute of a stage's slot, with operators who are people of their own."""

    stage: Stage
    mediator: Actor = field(default_factory=lambda: person(None, is_operator=True))
    judge: Actor = field(default_factory=lambda: person(None, is_operator=True))
    second: Actor = field(default_factory=lambda: person(None, is_operator=True))
    dispute_id: UUID = field(default_factory=new_id)

    @property
    def dispute(self) -> Dispute:
        return store_dispute.find_disputes(self.stage.connection, [self.dispute_id])[0]

    def open(
        self,
        actor: Actor | None = None,
        amount_minor: int | None = None,
        *,
        claimant: Role | None = None,
        rejects_refund: bool = False,
        release_id: UUID | None = None,
    ) -> Outcome:
        command = OpenDispute(
            actor=actor or self.stage.client,
            dispute_id=self.dispute_id,
            slot_id=self.stage.slot_id,
            amount_minor=amount_minor,
            claimant=claimant,
            rejects_refund=rejects_refund,
            release_id=release_id,
            reason="not what was agreed",
        )
        return service_dispute.open_dispute(self.stage.connection, [command], at=self.stage.now)[0]

    def act(self, verb: str, actor: Actor, *, version: int | None = None) -> Outcome:
        command = DisputeCommand(
            actor=actor, dispute_id=self.dispute_id, version=version, reason="a reason"
        )
        return self._do(verb, command)

    def appeal(
        self,
        actor: Actor | None = None,
        *,
        reason: str = "I was away",
        appeal_id: UUID | None = None,
    ) -> Outcome:
        """Appeal; the court goes on with the appeal where it is taken."""
        appeal_id = appeal_id or new_id()
        command = Appeal(
            actor=actor or self.stage.client,
            dispute_id=self.dispute_id,
            appeal_id=appeal_id,
            reason=reason,
        )
        outcome = self._do("appeal_dispute", command)
        if outcome.is_done:
            self.dispute_id = appeal_id
        return outcome

    def serve(self) -> Outcome:
        return self._do(
            "serve_dispute",
            Serve(
                actor=self.stage.operator,
                dispute_id=self.dispute_id,
                channel="email",
                proof="delivery:1",
            ),
        )

    def offer(self, actor: Actor, payee_minor: int | None, *, is_reply: bool = False) -> Outcome:
        command = MakeOffer(
            actor=actor, dispute_id=self.dispute_id, payee_minor=payee_minor, is_reply=is_reply
        )
        return self._do("offer_in_dispute", command)

    def accept(self, actor: Actor, offer_no: int) -> Outcome:
        command = AcceptOffer(actor=actor, dispute_id=self.dispute_id, offer_no=offer_no)
        return self._do("accept_dispute_offer", command)

    def file(self, actor: Actor, sha256: str = "ab" * 32) -> Outcome:
        command = FileEvidence(
            actor=actor, dispute_id=self.dispute_id, sha256=sha256, reference="screenshot"
        )
        return self._do("file_evidence", command)

    def recommend(self, payee_minor: int, actor: Actor | None = None) -> Outcome:
        command = Recommend(
            actor=actor or self.mediator, dispute_id=self.dispute_id, payee_minor=payee_minor
        )
        return self._do("recommend_in_dispute", command)

    def propose(
        self, payee_minor: int, actor: Actor | None = None, *, version: int | None = None
    ) -> Outcome:
        found = self.dispute
        command = ProposeDecision(
            actor=actor or self.judge,
            dispute_id=self.dispute_id,
            version=found.version if version is None else version,
            payee_minor=payee_minor,
            client_minor=found.claim_minor - payee_minor,
            award_ref="award:1",
        )
        return self._do("propose_decision", command)

    def approve(self, actor: Actor | None = None, *, version: int | None = None) -> Outcome:
        seen = self.dispute.version if version is None else version
        return self.act("approve_decision", actor or self.second, version=seen)

    def in_negotiation(self, payee_minor: int = 0) -> "Court":
        """Opened by the client for all, served, answered by the payee."""
        assert self.open().is_done
        assert self.serve().is_done
        assert self.offer(self.stage.payee, payee_minor, is_reply=True).is_done
        return self

    def in_arbitration(self) -> "Court":
        """Both filed, the mediator recommended half, both sides paid for arbitration."""
        self.in_negotiation()
        assert self.act("mediate_dispute", self.stage.client).is_done
        assert self.file(self.stage.client).is_done
        assert self.file(self.stage.payee).is_done
        assert self.recommend(self.dispute.claim_minor // 2).is_done
        assert self.act("elect_arbitration", self.stage.client).is_done
        assert self.act("elect_arbitration", self.stage.payee).is_done
        return self

    def _do(self, verb: str, command: DisputeCommand) -> Outcome:
        run = getattr(service_dispute, verb)
        return run(self.stage.connection, [command], at=self.stage.now)[0]  # type: ignore[no-any-return]
