"""What follows from a sanctions list: parties are marked, unsent payouts taken back, money blocked.

A payout that is with its rail already goes its way; if it comes back, its money is blocked then.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from kernel.commands import Outcome, done, refused
from kernel.errors import Refusal
from kernel.ids import new_id
from kernel.principals import SYSTEM, Actor
from ledger import parties
from ledger.model import Draft
from ledger.model_parties import SanctionState
from ledger.store_parties import find_references
from payouts import service_screening, store, store_blocked
from payouts.commands import PayoutCommand
from payouts.desk import post_facts
from payouts.model_blocked import Rescreen, SanctionBlock, block_facts
from payouts.movements_blocked import BLOCKABLE
from payouts.refusals import OperatorOnly
from payouts.refusals_treasury import BadList, BlockedMoney
from payouts.service_blocked import block, lift_hold

UNNAMED_LIST: Final = "named by an operator"
_LATER: Final = "money that came after the match"


def change_parties(
    connection: Connection, commands: Sequence[parties.ChangeParty], *, at: datetime
) -> list[Outcome]:
    """Set KYC or sanctions states; a match blocks the party's money in the same transaction.

    Refuses as `ledger.parties.change`, and with `sanctions.blocked_money` where a party would
    be cleared whose money is blocked: it is cleared by the release under a licence.
    """
    before = parties.lock(connection, [command.party_id for command in commands])
    clearing = [
        command.party_id
        for command in commands
        if command.sanction_state is SanctionState.CLEAR and command.party_id in before
    ]
    stuck = {each.party_id for each in store_blocked.lock_standing(connection, clearing)}
    good = [command for command in commands if command.party_id not in stuck]
    answers = iter(parties.change(connection, good, at=at))
    outcomes = [
        refused(BlockedMoney(party_id=str(command.party_id)))
        if command.party_id in stuck
        else next(answers)
        for command in commands
    ]
    for command, outcome in zip(commands, outcomes, strict=True):
        if not outcome.is_done or command.sanction_state is None:
            continue
        was = before[command.party_id].sanction_state
        if command.sanction_state is not SanctionState.CLEAR:
            list_name = command.reason or UNNAMED_LIST
            match(connection, [command.party_id], actor=command.actor, list_name=list_name, at=at)
        elif was is not SanctionState.CLEAR:
            lift_hold(connection, command.party_id, actor=command.actor, at=at)
    return outcomes


def rescreen(
    connection: Connection, commands: Sequence[Rescreen], *, at: datetime
) -> list[Outcome]:
    """A list changed: mark the parties that it names now, and block what they have; by an operator.

    Refuses with `payouts.operator_only` and `sanctions.bad_list`.
    """
    outcomes: list[Outcome] = []
    for command in commands:
        try:
            ids = _named(connection, command)
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        known = parties.lock(connection, ids)
        fresh = [
            parties.ChangeParty(
                actor=command.actor,
                party_id=each.id,
                sanction_state=SanctionState.HIT,
                reason=command.list_name,
            )
            for each in known.values()
            if each.sanction_state is SanctionState.CLEAR
        ]
        parties.change(connection, fresh, at=at)
        blocks = match(connection, ids, actor=command.actor, list_name=command.list_name, at=at)
        run_id = new_id()
        store_blocked.add_run(connection, run_id, command, matches=len(ids), at=at)
        facts = {
            "run_id": str(run_id),
            "list": command.list_name,
            "list_date": command.list_date.isoformat(),
            "matches": len(ids),
            "new": len(fresh),
        }
        told = Draft("sanctions.rescreened", "", command.actor, at, detail=facts)
        post_facts(connection, [told])
        outcomes.append(done(**facts, blocked=[block_facts(each) for each in blocks]))
    return outcomes


def match(
    connection: Connection,
    party_ids: Sequence[UUID],
    *,
    actor: Actor,
    list_name: str,
    at: datetime,
) -> list[SanctionBlock]:
    """Take back the payouts of matched parties that no rail was told of, then block all they have.

    The parties must be locked for update.
    """
    unsent = store_blocked.list_unsent(connection, party_ids)
    store.lock_payouts(connection, unsent)
    if unsent:
        wishes = [PayoutCommand(actor=SYSTEM, payout_id=each, reason=list_name) for each in unsent]
        service_screening.block(connection, wishes, at=at)
    return block(connection, party_ids, actor=actor, list_name=list_name, at=at)


def block_later(connection: Connection, *, at: datetime, limit: int = 1_000) -> list[SanctionBlock]:
    """Block what reached matched parties after they were matched: returns, refunds, reserves."""
    ids = store_blocked.list_owed(connection, BLOCKABLE, limit=limit)
    known = parties.lock(connection, ids)
    still = [each.id for each in known.values() if each.sanction_state is not SanctionState.CLEAR]
    return match(connection, still, actor=SYSTEM, list_name=_LATER, at=at)


def _named(connection: Connection, command: Rescreen) -> list[UUID]:
    if not command.actor.is_operator:
        raise OperatorOnly(list=command.list_name[:80])
    if not 0 < len(command.list_name.strip()) <= 200:
        raise BadList(list=command.list_name[:80])
    found = find_references(connection, command.references)
    missing = [each for each in command.references if each not in found]
    ids = {*command.party_ids, *found.values()}
    missing += [str(each) for each in ids - parties.find_many(connection, ids).keys()]
    if missing:
        raise BadList(list=command.list_name, unknown=sorted(missing)[:10])
    return sorted(ids)
