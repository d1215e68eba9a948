"""How each step of a dispute is asked for: the service, and the command with sample figures."""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection

from escrow import service_dispute, store_dispute
from escrow.machine import Trigger
from escrow.model_dispute import (
    AcceptOffer,
    Appeal,
    Dispute,
    DisputeCommand,
    FileEvidence,
    MakeOffer,
    ProposeDecision,
    Recommend,
    Serve,
)
from escrow.store_options import side_of
from escrow.ways_slot import SAMPLE
from kernel.commands import Command
from kernel.ids import new_id
from kernel.options import Asking, Way
from kernel.principals import Actor

_T = Trigger
_HASH: Final = "0" * 64


def _plain(_connection: Connection, actor: Actor, dispute: Dispute) -> Command:
    return DisputeCommand(
        actor=actor, dispute_id=dispute.id, version=dispute.version, reason=SAMPLE
    )


def _serve(_connection: Connection, actor: Actor, dispute: Dispute) -> Command:
    return Serve(actor=actor, dispute_id=dispute.id, channel=SAMPLE, proof=SAMPLE)


def _offer(*, is_reply: bool) -> Asking[Dispute]:
    def command(_connection: Connection, actor: Actor, dispute: Dispute) -> Command:
        half = dispute.claim_minor // 2
        return MakeOffer(actor=actor, dispute_id=dispute.id, payee_minor=half, is_reply=is_reply)

    return command


def _accept(connection: Connection, actor: Actor, dispute: Dispute) -> Command:
    mine = side_of(connection, dispute.contract_id, actor.party_id)
    theirs = [
        each.offer_no
        for each in store_dispute.list_offers(connection, dispute.id)
        if each.made_by is not mine
    ]
    return AcceptOffer(actor=actor, dispute_id=dispute.id, offer_no=max(theirs, default=1))


def _file(_connection: Connection, actor: Actor, dispute: Dispute) -> Command:
    return FileEvidence(actor=actor, dispute_id=dispute.id, sha256=_HASH, reference=SAMPLE)


def _recommend(_connection: Connection, actor: Actor, dispute: Dispute) -> Command:
    half = dispute.claim_minor // 2
    return Recommend(actor=actor, dispute_id=dispute.id, payee_minor=half)


def _propose(_connection: Connection, actor: Actor, dispute: Dispute) -> Command:
    half = dispute.claim_minor // 2
    return ProposeDecision(
        actor=actor,
        dispute_id=dispute.id,
        version=dispute.version,
        payee_minor=half,
        client_minor=dispute.claim_minor - half,
        award_ref=SAMPLE,
    )


def _appeal(_connection: Connection, actor: Actor, dispute: Dispute) -> Command:
    return Appeal(
        actor=actor,
        dispute_id=dispute.id,
        version=dispute.version,
        appeal_id=new_id(),
        reason=SAMPLE,
    )


def _is_elected(dispute: Dispute) -> bool:
    return dispute.client_elected or dispute.payee_elected


DISPUTE_WAYS: Final[Mapping[Trigger, Way]] = {
    _T.SERVE: Way(service_dispute.serve_dispute, _serve, ("channel and proof of the notice",)),
    _T.CONCEDE: Way(service_dispute.concede_dispute, _plain),
    _T.REPLY: Way(service_dispute.offer_in_dispute, _offer(is_reply=True), ("a figure",)),
    _T.OFFER: Way(service_dispute.offer_in_dispute, _offer(is_reply=False), ("a figure",)),
    _T.ACCEPT_OFFER: Way(service_dispute.accept_dispute_offer, _accept, ("the offer's number",)),
    _T.FILE_EVIDENCE: Way(service_dispute.file_evidence, _file, ("a document's hash",)),
    _T.EXTEND: Way(service_dispute.extend_dispute, _plain, ("a reason",)),
    _T.MEDIATE: Way(
        service_dispute.mediate_dispute, _plain, applies=lambda _, dispute, __: not dispute.is_small
    ),
    _T.TAKE_SMALL: Way(
        service_dispute.mediate_dispute, _plain, applies=lambda _, dispute, __: dispute.is_small
    ),
    _T.RECOMMEND: Way(service_dispute.recommend_in_dispute, _recommend, ("a figure",)),
    _T.ELECT: Way(
        service_dispute.elect_arbitration, _plain, applies=lambda _, each, __: not _is_elected(each)
    ),
    _T.ELECT_TOO: Way(
        service_dispute.elect_arbitration, _plain, applies=lambda _, each, __: _is_elected(each)
    ),
    _T.PROPOSE_DECISION: Way(
        service_dispute.propose_decision, _propose, ("the shares", "the award's reference")
    ),
    _T.APPROVE_DECISION: Way(service_dispute.approve_decision, _plain),
    _T.APPEAL: Way(service_dispute.appeal_dispute, _appeal, ("a reason",)),
    _T.WITHDRAW_DISPUTE: Way(service_dispute.withdraw_dispute, _plain),
}
"""Every step of people on a dispute."""
