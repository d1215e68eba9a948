"""What can be done with a subject now, by whom, and what happens if nobody does anything.

Drawn from the machines' own tables, the open holds and the running clocks.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from engine.api import store
from engine.api.calls import Look
from escrow import store as deals
from escrow.machine import CONTRACTS, FUNDINGS, REFUNDS, RELEASES, Guard
from escrow.machine_slot import SLOTS
from escrow.model import Contract, Role, Slot
from kernel import timers
from ledger import holds
from payouts import machine as payout_machine
from payouts import store as payouts

ENGINE_ROLES: Final = frozenset({"system", "rail"})

CONSEQUENCES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "escrow.auto_release": "The money is released to the payee.",
        "escrow.security_hold": "The released money becomes available to the payee.",
        "escrow.fund_interactive": "The payment is given up and the slot waits for another.",
        "escrow.fund_bank": "The payment is given up and the slot waits for another.",
        "escrow.refund_reply": "The refund is granted and the money goes back to the client.",
        "escrow.dormant": "Both parties are reminded; in the end the slot falls dormant.",
        "escrow.dispute_reply": "The silent side loses by default, if it was served.",
        "escrow.dispute_negotiation": "A mediator looks at it; a small claim is decided.",
        "escrow.mediation_max": "Mediation is over; either side may elect arbitration.",
        "escrow.arbitration_elect": "The recommendation stands, or arbitration begins.",
        "escrow.dispute_execute": "What was agreed or decided is carried out.",
        "escrow.close_contract": "The contract is closed if nothing is left to settle.",
    }
)
"""What each clock of a deal does when it rings."""


def of_slot(connection: Connection, look: Look) -> dict[str, Any] | None:
    """Steps, clocks and holds of a slot."""
    found = deals.find_slots(connection, [look.ids["slot_id"]])
    if not found or not _is_seen(connection, look, "slot", found[0].id):
        return None
    slot = found[0]
    (contract,) = deals.find_contracts(connection, [slot.contract_id])
    subject = f"slot:{slot.id}"
    named = [subject, *_held_subjects(contract)]
    blocked = holds.list_open(connection, named)
    actions = _steps(SLOTS, slot.state, _mine(look, contract), _obstacles(slot, blocked))
    return _answer(connection, subject, slot.state.value, slot.version, actions, blocked)


def of_contract(connection: Connection, look: Look) -> dict[str, Any] | None:
    """Steps, clocks and holds of a contract."""
    found = deals.find_contracts(connection, [look.ids["contract_id"]])
    if not found or not _is_seen(connection, look, "contract", found[0].id):
        return None
    contract = found[0]
    blocked = holds.list_open(connection, _held_subjects(contract))
    actions = _steps(CONTRACTS, contract.state, _mine(look, contract), {})
    subject = f"contract:{contract.id}"
    return _answer(connection, subject, contract.state.value, contract.version, actions, blocked)


def of_funding(connection: Connection, look: Look) -> dict[str, Any] | None:
    """Steps and clocks of a payment."""
    found = deals.find_fundings(connection, [look.ids["funding_id"]])
    if not found or not _is_seen(connection, look, "funding", found[0].id):
        return None
    row = found[0]
    (contract,) = deals.find_contracts(connection, [row.contract_id])
    actions = _steps(FUNDINGS, row.state, _mine(look, contract), {})
    return _answer(connection, f"funding:{row.id}", row.state.value, row.version, actions, {})


def of_refund(connection: Connection, look: Look) -> dict[str, Any] | None:
    """Steps of a refund: only the rail moves it."""
    found = deals.find_refunds(connection, [look.ids["refund_id"]])
    if not found or not _is_seen(connection, look, "refund", found[0].id):
        return None
    row = found[0]
    actions = _steps(REFUNDS, row.state, frozenset(), {})
    return _answer(connection, f"refund:{row.id}", row.state.value, row.version, actions, {})


def of_release(connection: Connection, look: Look) -> dict[str, Any] | None:
    """The clock of a release in its security hold."""
    found = deals.find_releases(connection, [look.ids["release_id"]])
    if not found or not _is_seen(connection, look, "release", found[0].id):
        return None
    row = found[0]
    (contract,) = deals.find_contracts(connection, [row.contract_id])
    named = _held_subjects(contract) + ([f"slot:{row.slot_id}"] if row.slot_id else [])
    blocked = holds.list_open(connection, named)
    obstacles = {Guard.NO_HOLD: _kinds(blocked)}
    actions = _steps(RELEASES, row.state, frozenset(), obstacles)
    return _answer(connection, f"release:{row.id}", row.state.value, None, actions, blocked)


def of_payout(connection: Connection, look: Look) -> dict[str, Any] | None:
    """Steps of a payout, and the holds on its payee."""
    payout_id = look.ids["payout_id"]
    row = payouts.find_payouts(connection, [payout_id]).get(payout_id)
    if row is None or look.sees_only not in {None, row.payee_id}:
        return None
    blocked = holds.list_open(connection, [f"party:{row.payee_id}"])
    mine = frozenset({"operator"} if look.sees_only is None else {"payee"})
    obstacles = {payout_machine.Guard.PAYEE_CLEAR: _kinds(blocked)}
    actions = _steps(payout_machine.TRANSITIONS, row.state, mine, obstacles)
    return _answer(connection, row.subject, row.state.value, row.version, actions, blocked)


def _is_seen(connection: Connection, look: Look, kind: str, subject_id: UUID) -> bool:
    party_id = look.sees_only
    return party_id is None or store.is_seen(connection, kind, subject_id, party_id=party_id)


def _mine(look: Look, contract: Contract) -> frozenset[str]:
    """The roles in which the caller may act; the platform itself is an operator."""
    if look.sees_only is None:
        return frozenset({Role.OPERATOR.value})
    role = Role.CLIENT if look.sees_only == contract.client_id else Role.PAYEE
    return frozenset({role.value})


def _held_subjects(contract: Contract) -> list[str]:
    return [
        f"contract:{contract.id}",
        f"party:{contract.client_id}",
        f"party:{contract.payee_id}",
    ]


def _kinds(blocked: Mapping[str, Sequence[Any]]) -> list[str]:
    return [f"hold:{each.kind.value}" for some in blocked.values() for each in some]


def _obstacles(slot: Slot, blocked: Mapping[str, Sequence[Any]]) -> dict[Any, list[str]]:
    """What stands in the way of a guard now, as far as the row alone shows."""
    return {
        Guard.NO_HOLD: _kinds(blocked),
        Guard.CLEARED: ["not_cleared"] if slot.uncleared_minor else [],
        Guard.PRICE_UNPAID: [] if slot.unpaid_minor else ["nothing_unpaid"],
    }


def _steps(
    machine: Mapping[Any, Any],
    state: StrEnum,
    mine: Iterable[str],
    obstacles: Mapping[Any, Sequence[str]],
) -> list[dict[str, Any]]:
    """The rows of a machine that start from a state; steps of people first."""
    roles = set(mine)
    found = []
    for (start, trigger), row in machine.items():
        if start is not state:
            continue
        by = sorted(role.value for role in row.who)
        in_the_way = [why for guard in row.guards for why in obstacles.get(guard, ())]
        found.append(
            {
                "trigger": trigger.value,
                "by": by,
                "yours": not roles.isdisjoint(by),
                "leads_to": row.to.value,
                "guards": [guard.value for guard in row.guards],
                "blocked_by": in_the_way,
            }
        )
    return sorted(found, key=lambda each: (set(each["by"]) <= ENGINE_ROLES, not each["yours"]))


def _answer(
    connection: Connection,
    subject: str,
    state: str,
    version: int | None,
    actions: list[dict[str, Any]],
    blocked: Mapping[str, Sequence[Any]],
) -> dict[str, Any]:
    return {
        "subject": subject,
        "state": state,
        "version": version,
        "actions": actions,
        "if_nothing_happens": [
            {
                "kind": timer.kind,
                "due_at": timer.due_at.isoformat(),
                "paused": timer.paused_remaining is not None,
                "consequence": CONSEQUENCES.get(timer.kind, timer.kind),
            }
            for timer in timers.list_of(connection, [subject])
        ],
        "holds": [holds.as_json(each) for some in blocked.values() for each in some],
    }
