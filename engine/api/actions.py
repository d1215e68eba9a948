"""What can be done with a subject now, by whom, and what happens if nobody does anything.

The steps come from the machines' own tables, what is in their way from the services themselves
(`kernel.options`), the rest from the running clocks and the open holds.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from commissions import store_plans
from commissions.machine_plans import PURCHASES, SUBSCRIPTIONS
from engine.api.calls import Fetch, Look
from engine.api.doors import DOORS
from engine.api.writes import WRITES
from engine.refusals import sentence
from escrow import service_options, ways_plans
from escrow.clocks import CONSEQUENCES
from escrow.model import Contract
from escrow.ways_plans import PURCHASE_WAYS, SUBSCRIPTION_WAYS
from escrow.ways_slot import SERVICES
from kernel import clock, timers
from kernel.options import Machine, Option, Way, list_options
from kernel.principals import SYSTEM
from ledger import holds
from payouts import store as payouts
from payouts.machine import TRANSITIONS as PAYOUTS
from payouts.ways import PAYOUT_WAYS, Ahead, list_ahead, roles_of

Ring = Callable[[Connection, timers.Timer], Option | None]
"""What a clock sets off, as a step of its subject; None where it is more than one, or another's."""


def _calls() -> Mapping[Any, list[str]]:
    """The calls by which each service is asked for."""
    found: dict[Any, list[str]] = {}
    for write in WRITES:
        found.setdefault(DOORS[write.service].service, []).append(f"POST {write.path}")
    return found


_CALLS: Final = _calls()


_FIRES: Final = MappingProxyType({**CONSEQUENCES, **ways_plans.CONSEQUENCES})


def of(kind: str, *, parameter: str) -> Fetch:
    """Steps, clocks and holds of one kind of subject of escrow."""

    def fetch(connection: Connection, look: Look) -> dict[str, Any] | None:
        row = service_options.find(connection, kind, look.ids[parameter])
        if row is None:
            return None
        contract = service_options.contract_of(connection, kind, row)
        if not _is_seen(look, row, contract):
            return None
        at = clock.now(connection)
        found = service_options.options(connection, kind, row, actor=look.actor, at=at)
        subject = f"{kind}:{row.id}"
        held = [
            each
            for each in _held_subjects(kind, row, contract)
            # Why the other side is held is between it and the platform.
            if look.sees_only is None
            or not each.startswith("party:")
            or each == f"party:{look.sees_only}"
        ]
        return _answer(connection, row, subject, found, held, _rings(kind, row))

    return fetch


def of_payout(connection: Connection, look: Look) -> dict[str, Any] | None:
    """Steps of a payout, and the holds on its payee."""
    payout_id = look.ids["payout_id"]
    row = payouts.find_payouts(connection, [payout_id]).get(payout_id)
    if row is None or look.sees_only not in {None, row.payee_id}:
        return None
    at = clock.now(connection)
    found = list_options(
        connection,
        PAYOUTS,
        PAYOUT_WAYS,
        row,
        mine=roles_of(row, look.actor),
        actor=look.actor,
        at=at,
    )
    answer = _answer(connection, row, row.subject, found, [f"party:{row.payee_id}"])
    ahead = [_ahead(each) for each in list_ahead(connection, row, at=at)]
    return {**answer, "if_nothing_happens": [*answer["if_nothing_happens"], *ahead]}


def of_subscription(connection: Connection, look: Look) -> dict[str, Any] | None:
    """Steps of a party's plan, its clock, and the holds on the party."""
    rows = store_plans.find_subscriptions(connection, [look.ids["subscription_id"]])
    return _of_sold(connection, look, rows, SUBSCRIPTIONS, SUBSCRIPTION_WAYS)


def of_purchase(connection: Connection, look: Look) -> dict[str, Any] | None:
    """Steps of what a party paid for, its clock, and the holds on the party."""
    rows = store_plans.find_purchases(connection, [look.ids["purchase_id"]])
    return _of_sold(connection, look, rows, PURCHASES, PURCHASE_WAYS)


def _of_sold(
    connection: Connection,
    look: Look,
    rows: Sequence[Any],
    machine: Machine,
    ways: Mapping[Any, Way],
) -> dict[str, Any] | None:
    if not rows or look.sees_only not in {None, rows[0].party_id}:
        return None
    (row,) = rows
    found = list_options(
        connection,
        machine,
        ways,
        row,
        mine=ways_plans.roles_of(row.party_id, look.actor),
        actor=look.actor,
        at=clock.now(connection),
    )
    return _answer(connection, row, row.subject, found, [f"party:{row.party_id}"])


def _is_seen(look: Look, row: Any, contract: Contract | None) -> bool:  # noqa: ANN401  any subject
    if look.sees_only is None:
        return True
    if contract is None:
        return bool(row.payee_id == look.sees_only)
    return look.sees_only in {contract.client_id, contract.payee_id}


def _held_subjects(kind: str, row: Any, contract: Contract | None) -> list[str]:  # noqa: ANN401  any subject
    if contract is None:
        return [f"party:{row.payee_id}"]
    slot_id: UUID | None = row.id if kind in {"slot", "period"} else getattr(row, "slot_id", None)
    slot = [f"slot:{slot_id}"] if slot_id else []
    sides = [f"party:{contract.client_id}", f"party:{contract.payee_id}"]
    return [*slot, f"contract:{contract.id}", *sides]


def _rings(kind: str, row: Any) -> Ring:  # noqa: ANN401  any subject
    """What the engine would do when a clock rings, as far as one step of the table says it."""

    def ring(connection: Connection, timer: timers.Timer) -> Option | None:
        trigger = service_options.FIRES.get(timer.kind)
        if trigger is None:
            return None
        found = service_options.options(connection, kind, row, actor=SYSTEM, at=timer.due_at)
        return next((each for each in found if each.trigger == trigger), None)

    return ring


def _no_step(_connection: Connection, _timer: timers.Timer) -> None:
    return None


def _answer(
    connection: Connection,
    row: Any,  # noqa: ANN401  any subject
    subject: str,
    found: Sequence[Option],
    held: Collection[str],
    ring: Ring = _no_step,
) -> dict[str, Any]:
    blocked = holds.list_open(connection, list(held))
    return {
        "subject": subject,
        "state": row.state.value,
        "version": getattr(row, "version", None),
        "actions": [show(each) for each in found],
        "if_nothing_happens": [
            _clock(timer, ring(connection, timer))
            for timer in timers.list_of(connection, [subject])
        ],
        "holds": [holds.as_json(each) for some in blocked.values() for each in some],
    }


def show(option: Option) -> dict[str, Any]:
    """A step as the API shows it."""
    refusal = option.answer if option.answer and not option.is_open else None
    return {
        "trigger": option.trigger,
        "by": list(option.by),
        "yours": option.is_yours,
        "open": option.is_open,
        "leads_to": option.leads_to,
        "guards": list(option.guards),
        "needs": list(option.needs),
        "call": _call(option),
        "blocked_by": [refusal.code] if refusal else [],
        "why": sentence(refusal.code, refusal.facts) if refusal else "",
    }


def _call(option: Option) -> str | None:
    """The call that asks for the step; of several of one service the one that is named like it."""
    if option.way is None or not option.is_peoples:
        return None
    service = option.way.service
    if option.command is not None:
        service = SERVICES.get(type(option.command), service)
    calls = _CALLS.get(service, [])
    named = (each for each in calls if each.rpartition("/")[2].startswith(option.trigger))
    return next(named, calls[-1] if calls else None)


def _ahead(each: Ahead) -> dict[str, Any]:
    return {
        "kind": each.kind,
        "due_at": each.due_at.isoformat(),
        "paused": False,
        "consequence": each.consequence,
        "leads_to": each.leads_to.value,
        "blocked_by": list(each.blocked_by),
    }


def _clock(timer: timers.Timer, step: Option | None) -> dict[str, Any]:
    refusal = step.answer if step and step.answer and not step.is_open else None
    return {
        "kind": timer.kind,
        "due_at": timer.due_at.isoformat(),
        "paused": timer.paused_remaining is not None,
        "consequence": _FIRES.get(timer.kind, timer.kind),
        "leads_to": step.leads_to if step else None,
        "blocked_by": [refusal.code] if refusal else [],
    }
