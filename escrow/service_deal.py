"""Use cases on contracts: propose, add milestones, accept, pause, resume, end, close."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from escrow import rules_deal, store
from escrow.commands import AddMilestones, ContractCommand, Propose
from escrow.model import Contract, Plan, Slot
from escrow.refusals import IdTaken, UnknownContract, UnknownParty
from escrow.service_batch import once_each, run
from escrow.tables import CONTRACT, SLOT
from kernel.commands import Outcome
from ledger import parties


@dataclass(frozen=True, slots=True)
class World:
    """Contracts with their slots, as locked: is money still in them, does a dispute run."""

    contracts: Mapping[UUID, Contract]
    slots: Mapping[UUID, Sequence[Slot]]
    unsettled: frozenset[UUID]
    disputed: frozenset[UUID] = frozenset()

    def contract(self, contract_id: UUID) -> Contract:
        """The contract; refuses `escrow.unknown_contract`."""
        found = self.contracts.get(contract_id)
        if found is None:
            raise UnknownContract(contract_id=str(contract_id))
        return found


def propose(connection: Connection, commands: Sequence[Propose], *, at: datetime) -> list[Outcome]:
    """Offer contracts; by client or payee. Refuses `escrow.unknown_party`, `escrow.id_taken`."""

    def serve(alone: Sequence[Propose]) -> list[Outcome]:
        wanted = {each for c in alone for each in (c.client_id, c.payee_id)}
        known = parties.lock_share(connection, wanted)
        taken = store.list_taken(connection, CONTRACT, [c.contract_id for c in alone])
        taken |= _taken_slots(connection, alone)

        def decide(command: Propose) -> Plan:
            for party_id in (command.client_id, command.payee_id):
                if party_id not in known:
                    raise UnknownParty(party_id=str(party_id))
            _check_free(taken, _ids(command))
            return rules_deal.propose(command, at)

        return run(connection, alone, decide, at=at)

    return once_each(commands, _ids, serve)


def add_milestones(
    connection: Connection, commands: Sequence[AddMilestones], *, at: datetime
) -> list[Outcome]:
    """Offer further milestones; by either party, for the other to accept."""

    def serve(alone: Sequence[AddMilestones]) -> list[Outcome]:
        world = lock_world(connection, [command.contract_id for command in alone])
        taken = _taken_slots(connection, alone)

        def decide(command: AddMilestones) -> Plan:
            contract = world.contract(command.contract_id)
            _check_free(taken, _ids(command))
            known = world.slots.get(contract.id, ())
            return rules_deal.add_milestones(contract, known, command, at)

        return run(connection, alone, decide, at=at)

    return once_each(commands, _ids, serve)


def accept(
    connection: Connection, commands: Sequence[ContractCommand], *, at: datetime
) -> list[Outcome]:
    """Sign what the other party offered: the first time the contract, later more milestones."""

    def decide(world: World, command: ContractCommand) -> Plan:
        contract = world.contract(command.contract_id)
        return rules_deal.accept(contract, world.slots.get(contract.id, ()), command, at)

    return _on_contracts(connection, commands, decide, at=at)


def pause(
    connection: Connection, commands: Sequence[ContractCommand], *, at: datetime
) -> list[Outcome]:
    """Pause contracts; by either party or an operator. Running reviews go on."""
    return _on_contracts(
        connection,
        commands,
        lambda world, c: rules_deal.pause(world.contract(c.contract_id), c, at),
        at=at,
    )


def resume(
    connection: Connection, commands: Sequence[ContractCommand], *, at: datetime
) -> list[Outcome]:
    """Resume contracts; by either party or an operator."""
    return _on_contracts(
        connection,
        commands,
        lambda world, c: rules_deal.resume(world.contract(c.contract_id), c, at),
        at=at,
    )


def end(
    connection: Connection, commands: Sequence[ContractCommand], *, at: datetime
) -> list[Outcome]:
    """End contracts; by either party or an operator. What is held is asked back."""

    def decide(world: World, command: ContractCommand) -> Plan:
        contract = world.contract(command.contract_id)
        slots = world.slots.get(contract.id, ())
        return rules_deal.end(
            contract,
            slots,
            is_unsettled=contract.id in world.unsettled,
            is_disputed=contract.id in world.disputed,
            command=command,
            at=at,
        )

    return _on_contracts(connection, commands, decide, at=at)


def close(
    connection: Connection, commands: Sequence[ContractCommand], *, at: datetime
) -> list[Outcome]:
    """Close ending contracts that hold nothing; by anyone concerned, or the engine."""

    def decide(world: World, command: ContractCommand) -> Plan:
        contract = world.contract(command.contract_id)
        is_unsettled = contract.id in world.unsettled
        return rules_deal.close(contract, is_unsettled=is_unsettled, command=command, at=at)

    return _on_contracts(connection, commands, decide, at=at)


def lock_world(connection: Connection, contract_ids: Sequence[UUID]) -> World:
    """Contracts and all their slots, locked in order."""
    contracts = store.lock_contracts(connection, contract_ids)
    slot_ids = store.find_contract_slots(connection, [each.id for each in contracts])
    slots: dict[UUID, list[Slot]] = {}
    for slot in store.lock_slots(connection, slot_ids):
        slots.setdefault(slot.contract_id, []).append(slot)
    ids = [each.id for each in contracts]
    return World(
        {each.id: each for each in contracts},
        slots,
        frozenset(store.list_unsettled(connection, ids)),
        frozenset(store.list_disputed(connection, ids)),
    )


def _on_contracts(
    connection: Connection,
    commands: Sequence[ContractCommand],
    decide: Callable[[World, ContractCommand], Plan],
    *,
    at: datetime,
) -> list[Outcome]:
    def serve(alone: Sequence[ContractCommand]) -> list[Outcome]:
        world = lock_world(connection, [command.contract_id for command in alone])
        return run(connection, alone, lambda command: decide(world, command), at=at)

    return once_each(commands, lambda command: (command.contract_id,), serve)


def _ids(command: Propose | AddMilestones) -> list[UUID]:
    return [command.contract_id, *(each.slot_id for each in command.milestones)]


def _taken_slots(
    connection: Connection, commands: Sequence[Propose] | Sequence[AddMilestones]
) -> set[UUID]:
    ids = [each.slot_id for command in commands for each in command.milestones]
    return store.list_taken(connection, SLOT, ids)


def _check_free(taken: set[UUID], ids: Sequence[UUID]) -> None:
    for each in ids:
        if each in taken:
            raise IdTaken(id=str(each))
