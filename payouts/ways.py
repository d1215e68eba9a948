"""How the steps of a payout are asked for."""

from collections.abc import Collection, Mapping
from typing import Final

from sqlalchemy import Connection

from kernel.commands import Command
from kernel.errors import Refusal
from kernel.options import Way
from kernel.principals import Actor
from payouts import service, service_screening
from payouts.commands import PayoutCommand
from payouts.machine import Trigger
from payouts.model import Payout, Role
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


def roles_of(payout: Payout, actor: Actor) -> Collection[Role]:
    """The role in which an actor meets a payout; a stranger has none."""
    try:
        return (role_of(actor, payout.payee_id),)
    except Refusal:
        return ()
