"""Use cases that let money go to the payee: approve, in part, by both, and the security hold."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from escrow import (
    rules_claims,
    rules_release,
    rules_reserve,
    store,
    store_chargeback,
    store_reserve,
)
from escrow.commands import ReleaseCommand, ReleasePart, SlotCommand
from escrow.model import Contract, Plan, Release
from escrow.model_clocks import Reserve
from escrow.refusals import UnknownRelease
from escrow.rules import Deal
from escrow.service_batch import get_deal, held_by, list_holds, once_each, run, share_people
from escrow.service_work import on_slots
from kernel.commands import Outcome
from kernel.ids import new_id


def approve(
    connection: Connection, commands: Sequence[SlotCommand], *, at: datetime
) -> list[Outcome]:
    """Release all that the slots hold; by the client. Name the submission that was looked at."""
    return on_slots(
        connection,
        commands,
        lambda deal, command, at: rules_release.approve(deal, command, at, new_id()),
        at=at,
        is_priced=True,
    )


def release_part(
    connection: Connection, commands: Sequence[ReleasePart], *, at: datetime
) -> list[Outcome]:
    """Release a part; by the client."""
    return on_slots(
        connection,
        commands,
        lambda deal, command, at: rules_release.release_part(deal, command, at, new_id()),
        at=at,
        is_priced=True,
    )


def confirm(
    connection: Connection, commands: Sequence[SlotCommand], *, at: datetime
) -> list[Outcome]:
    """Confirm the submission; by either party. The second confirmation releases all."""
    return on_slots(
        connection,
        commands,
        lambda deal, command, at: rules_release.confirm(deal, command, at, new_id()),
        at=at,
        is_priced=True,
    )


def auto_release(
    connection: Connection, commands: Sequence[SlotCommand], *, at: datetime
) -> list[Outcome]:
    """Release what nobody spoke against; by the engine, for the submission it names."""
    return on_slots(
        connection,
        commands,
        lambda deal, command, at: rules_release.auto_release(deal, command, at, new_id()),
        at=at,
        is_priced=True,
    )


def auto_release_locked(
    connection: Connection,
    deals: Mapping[UUID, Deal],
    commands: Sequence[SlotCommand],
    *,
    at: datetime,
) -> list[Outcome]:
    """The same on deals that the caller has locked and priced, each named once."""
    return run(
        connection,
        commands,
        lambda command: rules_release.auto_release(
            get_deal(deals, command.slot_id), command, at, new_id()
        ),
        at=at,
    )


def end_security_hold(
    connection: Connection, commands: Sequence[ReleaseCommand], *, at: datetime
) -> list[Outcome]:
    """Make released money available to its payee; by the engine, when the hold is over (P09)."""

    def serve(alone: Sequence[ReleaseCommand]) -> list[Outcome]:
        locked = lock_releases(connection, [command.release_id for command in alone])
        return end_security_hold_locked(connection, locked, alone, at=at)

    return once_each(commands, lambda command: (command.release_id,), serve)


def end_security_hold_locked(
    connection: Connection,
    locked: Mapping[UUID, tuple[Release, Contract, tuple[str, ...]]],
    commands: Sequence[ReleaseCommand],
    *,
    at: datetime,
) -> list[Outcome]:
    """The same on releases that the caller has locked, each named once.

    What a payee owes the platform is taken from what becomes available to him (P23); of what
    is left a part is kept back, where he has a rule for it.
    """
    payees = {release.payee_id for release, _, _ in locked.values()}
    claims = store_chargeback.lock_open_claims(connection, payees)
    owed = {claim.id: claim for claim in claims}
    rules = store_chargeback.find_rules(connection, {c.currency for c in claims}) if claims else {}
    back = store_reserve.find_rules(connection, payees)
    kept: dict[UUID, Reserve] = {}

    def decide(command: ReleaseCommand) -> Plan:
        found = locked.get(command.release_id)
        if found is None:
            raise UnknownRelease(release_id=str(command.release_id))
        plan = rules_release.end_security_hold(*found, command, at)
        release = found[0]
        purse = release.purse_currency
        mine = [
            claim
            for claim in owed.values()
            if (claim.payee_id, claim.currency) == (release.payee_id, purse)
        ]
        if mine:
            plan = rules_claims.recover(plan, release, mine, rules[purse], command, at)
            owed.update((new.id, new) for _, new in plan.moved_claims)
        if release.payee_id in back:
            rule = back[release.payee_id]
            plan, reserve = rules_reserve.keep_back(plan, release, rule, command, at, new_id())
            if reserve is not None:
                kept[release.id] = reserve
        return plan

    outcomes = run(connection, commands, decide, at=at)
    done = zip(commands, outcomes, strict=True)
    store_reserve.add_reserves(
        connection, [kept[c.release_id] for c, o in done if o.is_done and c.release_id in kept]
    )
    return outcomes


def lock_releases(
    connection: Connection, release_ids: Sequence[UUID], *, skip_locked: bool = False
) -> dict[UUID, tuple[Release, Contract, tuple[str, ...]]]:
    """Releases with their contract and the holds on both and on the slot, locked in order."""
    found = store.find_releases(connection, release_ids)
    known = store.find_contracts(connection, [each.contract_id for each in found])
    share_people(connection, known)
    contracts = {
        each.id: each
        for each in store.share_contracts(connection, [contract.id for contract in known])
    }
    releases = store.lock_releases(connection, [each.id for each in found], skip_locked=skip_locked)
    slots = [f"slot:{each.slot_id}" for each in releases if each.slot_id]
    open_holds = list_holds(connection, contracts.values(), slots)
    return {
        each.id: (
            each,
            contracts[each.contract_id],
            _not_disputed(held_by(open_holds, contracts[each.contract_id], f"slot:{each.slot_id}")),
        )
        for each in releases
    }


def _not_disputed(holds: tuple[str, ...]) -> tuple[str, ...]:
    """A dispute of the slot has set its money aside already: the rest of a release is free."""
    return tuple(each for each in holds if each != "slot:dispute")
