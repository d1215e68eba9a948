"""Use cases of what payees give back and owe: refunds after release, claims, write-offs.

They are few, and each is a case of its own: all that a list names is locked first, in order; then
its commands are served one after the other, each on what the one before left.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

from sqlalchemy import Connection

from escrow import rules_claims, rules_refund_later, store, store_chargeback
from escrow.model import Plan
from escrow.model_chargeback import RefundLater
from escrow.model_claim import (
    ApproveWriteOff,
    ClaimRules,
    ProposeWriteOff,
    SetClaimRules,
    WriteOff,
)
from escrow.refusals_claim import UnknownClaim
from escrow.rules_claims import Owed
from escrow.rules_refund_later import Purse
from escrow.service_batch import get_deal, run
from escrow.service_price import price_deals
from escrow.service_refund import lock_with_lots
from kernel.commands import Outcome
from kernel.ids import new_id
from ledger import parties

C = TypeVar("C", ProposeWriteOff, ApproveWriteOff)


def refund_later(
    connection: Connection, commands: Sequence[RefundLater], *, at: datetime
) -> list[Outcome]:
    """Send released money back to the client; by the payee, or an operator with his agreement.

    Commission goes back in proportion. Where the payee's available balance is short, the platform
    fronts the rest and claims it from him, or the refund is refused with `claim.payee_short`, as
    the rules of the currency say (P17).
    """
    slot_ids = [command.slot_id for command in commands]
    parents = store.find_parents(connection, slot_ids)
    parties.lock(connection, {each for row in parents for each in row[2:]})
    lock_with_lots(connection, slot_ids)
    return [_refund_later(connection, command, at) for command in commands]


def propose_write_off(
    connection: Connection, commands: Sequence[ProposeWriteOff], *, at: datetime
) -> list[Outcome]:
    """Propose to give a claim up; by an operator in person."""
    rule, save = rules_claims.propose_write_off, store_chargeback.add_write_off
    return _write_off(connection, commands, rule, save, at)


def approve_write_off(
    connection: Connection, commands: Sequence[ApproveWriteOff], *, at: datetime
) -> list[Outcome]:
    """Approve what another person proposed; by an operator in person (P24)."""
    rule, save = rules_claims.approve_write_off, store_chargeback.save_approved
    return _write_off(connection, commands, rule, save, at)


def set_claim_rules(
    connection: Connection, commands: Sequence[SetClaimRules], *, at: datetime
) -> list[Outcome]:
    """Set whether the platform fronts refunds, and the cap of recoveries; by an operator."""
    outcomes = run(connection, commands, lambda each: rules_claims.set_rules(each, at), at=at)
    for command, outcome in zip(commands, outcomes, strict=True):
        if outcome.is_done:
            rules = ClaimRules(command.currency, command.fronts_refunds, command.recovery_bps)
            store_chargeback.save_rules(connection, rules)
    return outcomes


def _refund_later(connection: Connection, command: RefundLater, at: datetime) -> Outcome:
    deals, fundings = lock_with_lots(connection, [command.slot_id])
    price_deals(connection, deals.values(), at=at, with_lines=True)

    def decide(given: RefundLater) -> Plan:
        deal = get_deal(deals, given.slot_id)
        currency = deal.slot.currency
        available = store_chargeback.find_available_minor(
            connection, deal.contract.payee_id, currency
        )
        purse = Purse(available, store_chargeback.find_rules(connection, [currency])[currency])
        return rules_refund_later.refund_later(deal, fundings, purse, given, at, new_id)

    return run(connection, [command], decide, at=at)[0]


def _write_off(
    connection: Connection,
    commands: Sequence[C],
    rule: Callable[[Owed, C, datetime], tuple[Plan, WriteOff]],
    save: Callable[[Connection, WriteOff], None],
    at: datetime,
) -> list[Outcome]:
    """One step of giving up for each command, each upon what those before it left."""
    store_chargeback.lock_claims(connection, [command.claim_id for command in commands])
    outcomes = []
    for command in commands:
        found: list[WriteOff] = []

        def decide(given: C, found: list[WriteOff] = found) -> Plan:
            plan, write_off = rule(_owed(connection, given), given, at)
            found.append(write_off)
            return plan

        outcomes += run(connection, [command], decide, at=at)
        if outcomes[-1].is_done:
            save(connection, found[0])
    return outcomes


def _owed(connection: Connection, command: ProposeWriteOff | ApproveWriteOff) -> Owed:
    claim = store_chargeback.lock_claims(connection, [command.claim_id]).get(command.claim_id)
    if claim is None:
        raise UnknownClaim(claim_id=str(command.claim_id))
    proposed = store_chargeback.find_proposed(connection, [claim.id])
    return Owed(claim, proposed.get(claim.id))
