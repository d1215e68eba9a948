"""How the steps of a payout are asked for, and what comes by itself if nobody takes one."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from kernel.commands import Command
from kernel.errors import Refusal
from kernel.options import Way
from kernel.principals import SYSTEM, Actor
from kernel.rehearsal import rehearse
from payouts import service, service_screening
from payouts.commands import PayoutCommand
from payouts.machine import Trigger
from payouts.model import Payout, PayoutState, Role
from payouts.rules import role_of


def _payout(_connection: Connection, actor: Actor, payout: Payout) -> Command:
    return PayoutCommand(actor=actor, payout_id=payout.id)


def _refusal(_connection: Connection, actor: Actor, payout: Payout) -> Command:
    return PayoutCommand(actor=actor, payout_id=payout.id, reason="a reason")


PAYOUT_WAYS: Final[Mapping[Trigger, Way]] = {
    Trigger.SUBMIT: Way(service.submit, _payout),
    Trigger.CANCEL: Way(service.cancel, _payout),
    Trigger.APPROVE: Way(service_screening.approve, _payout),
    Trigger.REFUSE: Way(service_screening.refuse, _refusal, needs=("reason",)),
    Trigger.SCREEN: Way(service_screening.screen, _payout),
    Trigger.BLOCK: Way(service_screening.block, _payout),
}
"""Every step of people on a payout that there is."""


UNCLAIMED_FOR: Final = timedelta(days=30)
"""So long a rail keeps what nobody claims (domain/escrow.md 2.2)."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """What happens to a payout if nobody does anything; `blocked_by` what would stop it now."""

    kind: str
    due_at: datetime
    consequence: str
    leads_to: PayoutState
    blocked_by: tuple[str, ...] = ()


def list_ahead(connection: Connection, payout: Payout, *, at: datetime) -> list[Ahead]:
    """What comes by itself: sent in the engine's next round, or back when nobody claims it.

    Empty where it waits for a person or for the rail's word for as long as that takes.
    """
    if payout.state in (PayoutState.REQUESTED, PayoutState.APPROVED):
        answer = rehearse(connection, service.submit, _payout(connection, SYSTEM, payout), at=at)
        stopped_by = () if answer.is_done else (answer.code,)
        told = "The engine sends it to the rail in its next round, within seconds."
        return [Ahead("payouts.submit", at, told, PayoutState.SUBMITTED, stopped_by)]
    if payout.state is PayoutState.UNCLAIMED and payout.left_at is not None:
        due_at = payout.left_at + UNCLAIMED_FOR
        told = "The rail gives back what nobody claimed; the payee has the money here again."
        return [Ahead("payouts.unclaimed", due_at, told, PayoutState.RETURNED)]
    return []


def roles_of(payout: Payout, actor: Actor) -> Collection[Role]:
    """The role in which an actor meets a payout; a stranger has none."""
    try:
        return (role_of(actor, payout.payee_id),)
    except Refusal:
        return ()
