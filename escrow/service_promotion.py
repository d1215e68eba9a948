"""Use case of a promotion: a deal names one before it is accepted; acceptance looks whether it is.

One name per deal, for good: who wants another proposes another deal.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from commissions import store_choice
from commissions.refusals_schedule import PromotionNamed, UnknownPromotion
from commissions.service import knows_promotion
from escrow import store
from escrow.model import ContractState, Plan
from escrow.refusals import NotYours, UnknownContract
from escrow.rules import roles
from escrow.rules_deal import contract_facts, event
from escrow.service_batch import once_each, run
from kernel.commands import Command, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class NamePromotion(Command):
    """Let a deal name a promotion; by either party or an operator, before it is accepted."""

    contract_id: UUID
    promotion: str


def name_promotion(
    connection: Connection, commands: Sequence[NamePromotion], *, at: datetime
) -> list[Outcome]:
    """Write the names down; whether a deal gets what it names is decided at its acceptance.

    Refuses `escrow.unknown_contract`, `escrow.not_yours`, `fees.promotion_named`,
    `fees.unknown_promotion`.
    """

    def serve(alone: Sequence[NamePromotion]) -> list[Outcome]:
        ids = [command.contract_id for command in alone]
        contracts = {each.id: each for each in store.lock_contracts(connection, ids)}
        named = store_choice.find_named(connection, ids)

        def decide(command: NamePromotion) -> Plan:
            contract = contracts.get(command.contract_id)
            if contract is None:
                raise UnknownContract(contract_id=str(command.contract_id))
            if not roles(command.actor, contract):
                raise NotYours(trigger="name_promotion", contract_id=str(contract.id))
            if contract.state is not ContractState.DRAFT or contract.id in named:
                raise PromotionNamed(contract_id=str(contract.id))
            if not knows_promotion(connection, command.promotion, at):
                raise UnknownPromotion(promotion=command.promotion)
            detail = {"promotion": command.promotion}
            kind, subject = "contract.promotion_named", f"contract:{contract.id}"
            return Plan(
                drafts=(event(command, at, kind=kind, subject=subject, detail=detail),),
                facts=contract_facts(contract, promotion=command.promotion),
            )

        outcomes = run(connection, alone, decide, at=at)
        for command, outcome in zip(alone, outcomes, strict=True):
            if outcome.is_done:
                store_choice.add_named(
                    connection,
                    command.contract_id,
                    command.promotion,
                    named_by=command.actor.principal_id,
                    at=at,
                )
        return outcomes

    return once_each(commands, lambda command: (command.contract_id,), serve)
