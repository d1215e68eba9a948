"""Each act of a replay: the service that does it, and the command that it is given."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final, Protocol
from uuid import UUID

from sqlalchemy import Connection

from engine.replay.agenda import Act, Track
from engine.replay.deals import Deal
from escrow import service as escrow
from escrow.commands import (
    ContractCommand,
    Fund,
    Milestone,
    Propose,
    ProposeAmendment,
    ReleasePart,
    SignAmendment,
    SlotCommand,
    Submit,
    Tip,
)
from escrow.model import Method
from kernel.commands import Command, Outcome
from kernel.principals import Actor, PrincipalKind
from ledger import parties
from ledger.model_parties import KycState
from ledger.parties import ChangeParty

OPERATOR: Final = Actor(UUID(int=16), PrincipalKind.PERSON, is_operator=True)
"""The person of the platform who verifies parties in a replay, mediates and proposes."""

APPROVER: Final = Actor(UUID(int=17), PrincipalKind.PERSON, is_operator=True)
"""The second person, where two are asked for."""

_LEAST_TIP_MINOR: Final = 100


class Service(Protocol):
    """A use case: takes a list of commands inside a transaction, answers each in order."""

    def __call__(
        self, connection: Connection, commands: Sequence[Any], *, at: datetime
    ) -> list[Outcome]:
        """Never commits."""


@dataclass(frozen=True, slots=True)
class Deed:
    """How an act is done: by which service, and with which command."""

    service: Service
    command: Callable[[Track, datetime], Command]


def client_of(track: Track) -> Actor:
    """The client, acting for himself."""
    return person(track.deal.client_id)


def payee_of(track: Track) -> Actor:
    """The freelancer, acting for himself."""
    return person(track.deal.payee_id)


def person(party_id: UUID) -> Actor:
    """A party, acting for himself."""
    return Actor(party_id, PrincipalKind.PERSON, party_id)


def _propose(track: Track, at: datetime) -> Propose:
    deal = track.deal
    due_at = at + timedelta(days=deal.conduct.accept_days)
    milestones = []
    for plan in deal.slots:
        due_at += timedelta(days=plan.conduct.fund_days + plan.conduct.work_days)
        milestones.append(
            Milestone(
                slot_id=plan.id,
                amount_minor=plan.amount_minor,
                title=f"{deal.posting.title} ({plan.no} of {len(deal.slots)})"[:500],
                due_at=due_at,
            )
        )
    return Propose(
        actor=client_of(track),
        contract_id=deal.contract_id,
        client_id=deal.client_id,
        payee_id=deal.payee_id,
        currency=deal.currency,
        milestones=tuple(milestones),
        terms=deal.terms,
    )


def _accept(track: Track, _at: datetime) -> ContractCommand:
    return ContractCommand(actor=payee_of(track), contract_id=track.deal.contract_id)


def verify(deal: Deal) -> ChangeParty:
    """The operator verifies the client of a deal."""
    return ChangeParty(actor=OPERATOR, party_id=deal.client_id, kyc_state=KycState.VERIFIED)


def _verify(track: Track, _at: datetime) -> ChangeParty:
    return verify(track.deal)


def _pay(track: Track, at: datetime) -> Fund:
    conduct = track.plan.conduct
    return Fund(
        actor=client_of(track),
        slot_id=track.plan.id,
        funding_id=_id(track, f"funding{track.tries}", at),
        method=conduct.methods[track.tries],
        method_token=conduct.tokens[track.tries],
    )


def _offer_raise(track: Track, _at: datetime) -> ProposeAmendment:
    return ProposeAmendment(
        actor=payee_of(track),
        slot_id=track.plan.id,
        amendment_id=_raise_id(track),
        new_amount_minor=track.plan.amount_minor * 11 // 10,
    )


def _sign_raise(track: Track, _at: datetime) -> SignAmendment:
    return SignAmendment(actor=client_of(track), amendment_id=_raise_id(track))


def _pay_raise(track: Track, at: datetime) -> Fund:
    return Fund(
        actor=client_of(track),
        slot_id=track.plan.id,
        funding_id=_id(track, "top_up", at),
        method=Method.CARD,
    )


def _submit(track: Track, _at: datetime) -> Submit:
    shown = track.submission_no + 1
    return Submit(
        actor=payee_of(track),
        slot_id=track.plan.id,
        message_ref=f"message:{track.plan.id}:{shown}",
    )


def _release_part(track: Track, _at: datetime) -> ReleasePart:
    return ReleasePart(
        actor=client_of(track),
        slot_id=track.plan.id,
        submission_no=track.submission_no,
        amount_minor=track.plan.amount_minor // 2,
    )


def _tip(track: Track, at: datetime) -> Tip:
    return Tip(
        actor=client_of(track),
        contract_id=track.deal.contract_id,
        funding_id=_id(track, "tip", at),
        amount_minor=max(_LEAST_TIP_MINOR, track.plan.amount_minor // 10),
    )


def _by_client(track: Track, _at: datetime) -> SlotCommand:
    return SlotCommand(
        actor=client_of(track), slot_id=track.plan.id, submission_no=track.submission_no
    )


def _by_payee(track: Track, _at: datetime) -> SlotCommand:
    return SlotCommand(actor=payee_of(track), slot_id=track.plan.id)


def _ask_changes(track: Track, _at: datetime) -> SlotCommand:
    return SlotCommand(
        actor=client_of(track),
        slot_id=track.plan.id,
        submission_no=track.submission_no,
        reason="not quite as agreed",
    )


def _ask_refund(track: Track, _at: datetime) -> SlotCommand:
    return SlotCommand(actor=client_of(track), slot_id=track.plan.id, reason="not what was agreed")


def _id(track: Track, name: str, at: datetime) -> UUID:
    return track.deal.dice.new_id(f"slot{track.plan.no}|{name}", at)


def _raise_id(track: Track) -> UUID:
    return _id(track, "raise", track.deal.posting.posted_at)


DEEDS: Final[Mapping[Act, Deed]] = MappingProxyType(
    {
        Act.PROPOSE: Deed(escrow.propose, _propose),
        Act.ACCEPT: Deed(escrow.accept, _accept),
        Act.VERIFY: Deed(parties.change, _verify),
        Act.PAY: Deed(escrow.fund, _pay),
        Act.OFFER_RAISE: Deed(escrow.propose_amendment, _offer_raise),
        Act.SIGN_RAISE: Deed(escrow.sign_amendment, _sign_raise),
        Act.PAY_RAISE: Deed(escrow.fund, _pay_raise),
        Act.SUBMIT: Deed(escrow.submit, _submit),
        Act.WITHDRAW: Deed(escrow.withdraw_submission, _by_payee),
        Act.APPROVE: Deed(escrow.approve, _by_client),
        Act.APPROVE_AGAIN: Deed(escrow.approve, _by_client),
        Act.CONFIRM: Deed(escrow.confirm, _by_client),
        Act.CONFIRM_TOO: Deed(escrow.confirm, _by_payee),
        Act.RELEASE_PART: Deed(escrow.release_part, _release_part),
        Act.ASK_CHANGES: Deed(escrow.request_changes, _ask_changes),
        Act.ASK_REFUND: Deed(escrow.ask_refund, _ask_refund),
        Act.ACCEPT_REFUND: Deed(escrow.accept_refund, _by_payee),
        Act.GIVE_BACK: Deed(escrow.give_back, _by_payee),
        Act.TIP: Deed(escrow.tip, _tip),
    }
)
