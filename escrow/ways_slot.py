"""How each step of a milestone is asked for: the service, and the command with sample figures."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from escrow import service, service_claims, service_dispute, store_options
from escrow.commands import (
    ContractCommand,
    Fund,
    FundingCommand,
    ProposeAmendment,
    ReleasePart,
    SignAmendment,
    SlotCommand,
    Submit,
)
from escrow.machine import Trigger
from escrow.model import Method, Role, Slot, SlotState
from escrow.model_chargeback import RefundLater
from escrow.model_dispute import OpenDispute
from kernel.commands import Command
from kernel.ids import new_id
from kernel.options import Asking, Way
from kernel.principals import Actor
from kernel.rehearsal import Service

SAMPLE: Final = "-"
"""A text where one is needed."""

_T = Trigger


def _plain(_connection: Connection, actor: Actor, slot: Slot) -> Command:
    return SlotCommand(actor=actor, slot_id=slot.id)


def _accept(_connection: Connection, actor: Actor, slot: Slot) -> Command:
    return ContractCommand(actor=actor, contract_id=slot.contract_id)


def _shown(_connection: Connection, actor: Actor, slot: Slot) -> Command:
    return SlotCommand(actor=actor, slot_id=slot.id, submission_no=slot.submission_no)


def _with_reason(_connection: Connection, actor: Actor, slot: Slot) -> Command:
    return SlotCommand(actor=actor, slot_id=slot.id, reason=SAMPLE)


def _submit(_connection: Connection, actor: Actor, slot: Slot) -> Command:
    return Submit(actor=actor, slot_id=slot.id, message_ref=SAMPLE)


def _part(_connection: Connection, actor: Actor, slot: Slot) -> Command:
    return ReleasePart(actor=actor, slot_id=slot.id, amount_minor=1)


def _pay(method: Method) -> Asking[Slot]:
    def command(_connection: Connection, actor: Actor, slot: Slot) -> Command:
        return Fund(actor=actor, slot_id=slot.id, funding_id=new_id(), method=method)

    return command


def _dispute(connection: Connection, actor: Actor, slot: Slot) -> Command:
    """About what is held; where nothing is, about what was released."""
    if slot.held_minor:
        return open_dispute(actor, slot.id)
    return _dispute_released(connection, actor, slot)


def _dispute_released(connection: Connection, actor: Actor, slot: Slot) -> Command:
    release_id = store_options.find_pending_release(connection, slot.id) or new_id()
    return open_dispute(actor, slot.id, release_id=release_id)


def _reject_refund(_connection: Connection, actor: Actor, slot: Slot) -> Command:
    return open_dispute(actor, slot.id, rejects_refund=True)


def open_dispute(
    actor: Actor, slot_id: UUID, *, release_id: UUID | None = None, rejects_refund: bool = False
) -> OpenDispute:
    """A dispute about all that there is; an operator opens it for the client."""
    for_whom = Role.CLIENT if actor.is_operator and actor.party_id is None else None
    return OpenDispute(
        actor=actor,
        dispute_id=new_id(),
        slot_id=slot_id,
        claimant=for_whom,
        rejects_refund=rejects_refund,
        release_id=release_id,
        reason=SAMPLE,
    )


def _end_payment(connection: Connection, actor: Actor, slot: Slot) -> Command:
    funding_id = store_options.find_payment(connection, slot.id) or new_id()
    return FundingCommand(actor=actor, funding_id=funding_id)


def _refund_later(_connection: Connection, actor: Actor, slot: Slot) -> Command:
    return RefundLater(actor=actor, slot_id=slot.id, amount_minor=1, agreement_ref=SAMPLE)


def _amend(kind: str) -> Asking[Slot]:
    def command(connection: Connection, actor: Actor, slot: Slot) -> Command:
        role = _side(connection, actor, slot)
        offer = store_options.find_offer(connection, slot.id, role, kind)
        if offer is not None:
            return SignAmendment(actor=actor, amendment_id=offer)
        price = {"up": slot.amount_minor + 1, "down": slot.amount_minor - 1}.get(kind)
        target = _neighbour(connection, slot) if kind == "roll" else None
        return ProposeAmendment(
            actor=actor,
            slot_id=slot.id,
            amendment_id=new_id(),
            new_amount_minor=price,
            to_slot_id=target,
        )

    return command


def _roll_in(connection: Connection, actor: Actor, slot: Slot) -> Command:
    offer = store_options.find_roll_in(connection, slot.id, _side(connection, actor, slot))
    if offer is not None:
        return SignAmendment(actor=actor, amendment_id=offer)
    return ProposeAmendment(
        actor=actor,
        slot_id=_neighbour(connection, slot),
        amendment_id=new_id(),
        to_slot_id=slot.id,
    )


def _side(connection: Connection, actor: Actor, slot: Slot) -> Role:
    return store_options.side_of(connection, slot.contract_id, actor.party_id)


def _neighbour(connection: Connection, slot: Slot) -> UUID:
    return store_options.find_neighbour(connection, slot.id) or new_id()


def is_offer(command: Command) -> bool:
    """Whether it only offers what the other side has to sign."""
    return isinstance(command, ProposeAmendment)


def _amending(kind: str, *needs: str, applies: Any = lambda *_: True) -> Way:  # noqa: ANN401  a predicate on slots
    """The caller offers; where the other side has offered, he signs. One service for each."""
    return Way(_offer_or_sign, _amend(kind), needs, applies, is_offer)


def _offer_or_sign(connection: Connection, commands: Any, *, at: Any) -> Any:  # noqa: ANN401  as the two services
    return SERVICES[type(commands[0])](connection, commands, at=at)


SERVICES: Final[Mapping[type[Command], Service]] = {
    ProposeAmendment: service.propose_amendment,
    SignAmendment: service.sign_amendment,
}
"""The service of a command, where a way has the choice."""

_BOTH: Final = ("the other side's signature",)
_REASON: Final = ("a reason",)
_BY_RAIL: Final = ("a means of payment",)

SLOT_WAYS: Final[Mapping[Trigger, Way]] = {
    _T.ACCEPT: Way(service.accept, _accept),
    _T.AUTO_RELEASE: Way(service.auto_release, _shown),
    _T.REFUND_UNANSWERED: Way(service.refund_unanswered, _plain),
    _T.CANCEL: Way(service.cancel, _plain),
    _T.START_FUNDING: Way(service.fund, _pay(Method.CARD), _BY_RAIL),
    _T.FUND_FROM_WALLET: Way(service.fund, _pay(Method.WALLET)),
    _T.FUNDING_ENDED: Way(
        service.cancel_funding,
        _end_payment,
        applies=lambda _, slot, __: slot.state is SlotState.FUNDING,
    ),
    _T.START_TOP_UP: Way(service.fund, _pay(Method.CARD), _BY_RAIL),
    _T.TOP_UP_FROM_WALLET: Way(service.fund, _pay(Method.WALLET)),
    _T.SUBMIT: Way(service.submit, _submit, ("a message or artefacts",)),
    _T.WITHDRAW_SUBMISSION: Way(service.withdraw_submission, _plain),
    _T.REQUEST_CHANGES: Way(service.request_changes, _with_reason, _REASON),
    _T.FLAG_EMPTY: Way(service.flag_empty, _with_reason, _REASON),
    _T.APPROVE: Way(service.approve, _plain),
    _T.RELEASE_PART: Way(service.release_part, _part, ("an amount",)),
    _T.CONFIRM_FIRST: Way(
        service.confirm, _plain, applies=lambda _, slot, __: slot.confirmed_by is None
    ),
    _T.CONFIRM_SECOND: Way(
        service.confirm, _plain, applies=lambda _, slot, __: slot.confirmed_by is not None
    ),
    _T.ASK_REFUND: Way(service.ask_refund, _plain),
    _T.ACCEPT_REFUND: Way(service.accept_refund, _plain),
    _T.GIVE_BACK: Way(service.give_back, _plain),
    _T.REJECT_REFUND: Way(service_dispute.open_dispute, _reject_refund, _REASON),
    _T.DISPUTE: Way(service_dispute.open_dispute, _dispute, (*_REASON, "an amount")),
    _T.DISPUTE_RELEASED: Way(
        service_dispute.open_dispute, _dispute_released, (*_REASON, "an amount")
    ),
    _T.REFUND_LATER: Way(
        service_claims.refund_later, _refund_later, ("an amount", "the payee's agreement")
    ),
    _T.RELEASE_DORMANT: Way(
        service.settle_dormant, _plain, applies=lambda _, slot, __: slot.submission_no > 0
    ),
    _T.REFUND_DORMANT: Way(
        service.settle_dormant, _plain, applies=lambda _, slot, __: slot.submission_no == 0
    ),
    _T.AMEND_UP: _amending("up", "a price", *_BOTH),
    _T.AMEND_DOWN: _amending("down", "a price", *_BOTH),
    _T.ROLL_REST: _amending(
        "roll", "another slot", *_BOTH, applies=lambda _, slot, __: slot.released_minor > 0
    ),
    _T.ROLL_ALL: _amending(
        "roll", "another slot", *_BOTH, applies=lambda _, slot, __: slot.released_minor == 0
    ),
    _T.ROLL_IN: Way(_offer_or_sign, _roll_in, ("another slot", *_BOTH), is_half=is_offer),
}
"""Every step of people on a slot, and what its clocks set off."""
