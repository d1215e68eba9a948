"""One step of one dispute: locked from above, decided, posted, saved, and its contract follows."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final, TypeVar
from uuid import UUID

from sqlalchemy import Connection

from escrow import store, store_dispute
from escrow.model import Funding, Plan, ReleaseState
from escrow.model_dispute import Dispute, DisputeCommand, DisputeState
from escrow.refusals_dispute import UnknownDispute
from escrow.rules import Deal
from escrow.rules_dispute import Case, Moves
from escrow.rules_refund_fx import exchanged_back
from escrow.service_batch import CLOCK_KINDS, run
from escrow.service_clocks import resume_clocks
from escrow.service_dispute_contract import follow_contract, tell_contract
from escrow.service_price import price_deals
from escrow.service_refund import lock_with_lots
from escrow.service_refund_fx import find_came
from kernel import timers
from kernel.commands import Outcome
from kernel.ids import new_id
from kernel.principals import SYSTEM
from ledger import holds, parties

D = TypeVar("D", bound=DisputeCommand)

_HOUSE: Final = replace(SYSTEM, is_operator=True)
"""Who places and lifts the hold that stands beside a dispute."""

_OWN_HOLD: Final = "slot:dispute"
_MAY_CHARGE: Final = frozenset({DisputeState.ARBITRATION, DisputeState.DECIDED})
"""Where a loser's fee may be taken: nobody spends what he has meanwhile."""


def lock_above(connection: Connection, disputes: Sequence[Dispute]) -> None:
    """Lock what stands above the slots of disputes: their parties, and their contracts to move."""
    may_charge = any(each.state in _MAY_CHARGE for each in disputes)
    lock_contracts(connection, {each.contract_id for each in disputes}, may_charge=may_charge)


def lock_contracts(
    connection: Connection, contract_ids: Iterable[UUID], *, may_charge: bool = False
) -> None:
    """The same for contracts that are known."""
    known = store.find_contracts(connection, sorted(contract_ids))
    people = {each for contract in known for each in (contract.client_id, contract.payee_id)}
    (parties.lock if may_charge else parties.lock_share)(connection, people)
    store.lock_contracts(connection, [each.id for each in known])


def on_case(
    connection: Connection,
    command: D,
    decide: Callable[[Case, D], Moves],
    *,
    at: datetime,
) -> Outcome:
    """One step of one dispute: lock its slot, its money and it, decide, post, save."""
    moves: list[Moves] = []

    def plan(given: D) -> Plan:
        case = lock_case(connection, given.dispute_id, at)
        found = decide(case, given)
        came = find_came(connection, case.fundings, at) if found.plan.refunds else {}
        moves.append(replace(found, plan=exchanged_back(found.plan, came, at, new_id)))
        return moves[0].plan

    (outcome,) = run(connection, [command], plan, at=at)
    if outcome.is_done:
        save(connection, moves[0], at)
    return outcome


def lock_case(connection: Connection, dispute_id: UUID, at: datetime) -> Case:
    """A dispute with all that its guards look at; refuses `dispute.unknown`."""
    known = store_dispute.find_disputes(connection, [dispute_id])
    if not known:
        raise UnknownDispute(dispute_id=str(dispute_id))
    deals, fundings = lock_with_lots(connection, [known[0].slot_id])
    (dispute,) = store_dispute.lock_disputes(connection, [dispute_id])
    named = [each for each in (dispute.release_id or dispute.awarded_id,) if each]
    store.lock_releases(connection, named)
    price_deals(connection, deals.values(), at=at, with_lines=True)
    return look_at_case(connection, deals[dispute.slot_id], dispute, fundings)


def look_at_case(
    connection: Connection, deal: Deal, dispute: Dispute, fundings: Mapping[UUID, Funding]
) -> Case:
    """A dispute with its lists; its own hold does not stand in its way."""
    others = list(deal.held_by)
    if _OWN_HOLD in others:
        others.remove(_OWN_HOLD)
    named = dispute.release_id or dispute.awarded_id
    release = store.find_releases(connection, [named])[0] if named else None
    is_in_hold = release is not None and release.state is ReleaseState.PENDING
    seen = replace(
        deal,
        held_by=tuple(others),
        has_open_dispute=store_dispute.find_open(connection, dispute.slot_id) is not None,
        in_hold=release if is_in_hold else None,
    )
    case = Case(
        seen,
        dispute,
        fundings,
        offers=store_dispute.list_offers(connection, dispute.id),
        evidence=store_dispute.list_evidence(connection, dispute.id),
        notices=store_dispute.list_notices(connection, dispute.id),
        decisions=store_dispute.list_decisions(connection, dispute.id),
        release=release,
        has_appeal=store_dispute.has_appeal(connection, dispute.id),
    )
    return _with_purses(connection, case) if dispute.state in _MAY_CHARGE else case


def freeze(connection: Connection, dispute: Dispute, reason: str, at: datetime) -> None:
    """The hold beside a new dispute, the dispute, the slot's clocks stopped, its contract told.

    What was released out of the slot runs on: what is disputed of it was set aside.
    """
    subject = f"slot:{dispute.slot_id}"
    kind = holds.HoldKind.DISPUTE
    hold = holds.PlaceHold(actor=_HOUSE, subject=subject, kind=kind, reason=reason)
    (placed,) = holds.place(connection, [hold], at=at)
    assert placed.is_done
    hold_id = UUID(placed.facts["id"])
    store_dispute.add_dispute(connection, replace(dispute, hold_id=hold_id))
    timers.pause(connection, [subject], at=at, kinds=CLOCK_KINDS)
    tell_contract(connection, dispute, at)


def save(connection: Connection, moves: Moves, at: datetime) -> None:
    """The dispute's rows; when it is over, its hold is lifted and the slot's clocks run on."""
    store_dispute.save_moves(connection, moves)
    dispute = moves.after
    if dispute.ended_at is None or dispute.hold_id is None:
        return
    lift = holds.LiftHold(actor=_HOUSE, hold_id=dispute.hold_id, reason=dispute.state.value)
    holds.lift(connection, [lift], at=at)  # an operator may have lifted it by hand
    resume_clocks(connection, [f"slot:{dispute.slot_id}"], at=at)
    follow_contract(connection, dispute, at)


def _with_purses(connection: Connection, case: Case) -> Case:
    contract, currency = case.deal.contract, case.dispute.currency
    wallet = store_dispute.find_balance(
        connection, kind="custody.wallet", party_id=contract.client_id, currency=currency
    )
    available = store_dispute.find_balance(
        connection,
        kind="custody.earned_available",
        party_id=contract.payee_id,
        currency=currency,
    )
    return replace(case, wallet_minor=wallet, available_minor=available)
