"""Who may make files of payments, and whom no file pays: those who are on a list of sanctions."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import Connection

from kernel.principals import Actor, PrincipalKind
from ledger import parties
from ledger.model_parties import SanctionState
from payouts import store
from payouts.refusals import OperatorOnly, SanctionsHit
from rails.bank.model import BankOrder
from rails.bank.refusals import DetailsErased, FileInPerson


def check_maker(actor: Actor) -> None:
    """Refuse programs, and whoever is no operator."""
    if not actor.is_operator:
        raise OperatorOnly
    if actor.kind is not PrincipalKind.PERSON:
        raise FileInPerson


def of_listed(connection: Connection, orders: Sequence[BankOrder]) -> dict[UUID, UUID]:
    """Orders of payouts whose payees are on a sanctions list by now, each with its payee."""
    found = store.find_payouts(connection, [order.id for order in orders])
    known = parties.lock_share(connection, {payout.payee_id for payout in found.values()})
    return {
        payout.id: payout.payee_id
        for payout in found.values()
        if known[payout.payee_id].sanction_state is not SanctionState.CLEAR
    }


def why_lost(order: BankOrder, listed: Mapping[UUID, UUID]) -> str:
    """Why nobody can pay an order any more."""
    return SanctionsHit.code if order.id in listed else DetailsErased.code
