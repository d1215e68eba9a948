"""Contracts and slots by domain/escrow.md 2.4: each step with what speaks against it."""

from collections.abc import Collection
from typing import Final
from uuid import UUID

from tests.model.model import (
    DONE,
    HOLDING,
    MINUTE,
    WORKING,
    Actor,
    Amendment,
    Contract,
    Funding,
    Lot,
    Party,
    Reasons,
    Refund,
    Slot,
    Terms,
    World,
)
from tests.model.rail import Operation

EITHER: Final = ("client", "payee")
ANYONE: Final = ("client", "payee", "operator")
DORMANCY: Final = ((2, 3), (5, 6), (17, 18), (1, 1))
"""Days 60, 75, 85 and 90 of 90: three notices, then dormancy (2.2, `dormant`)."""


def step(
    contract: Contract, actor: Actor, who: Collection[str], state: str, states: Collection[str]
) -> Reasons:
    """Why this actor may not take this step from this state."""
    no = set()
    if state not in states:
        no.add("escrow.wrong_state")
    if contract.side_of(actor) not in who:
        no.add("escrow.not_yours")
    return frozenset(no)


def outflow(world: World, slot: Slot) -> Reasons:
    """What keeps money of a slot from leaving it: a hold, or a bank that may take it back."""
    no = set()
    if world.holds_on(slot.contract, slot):
        no.add("escrow.held")
    if slot.uncleared:
        no.add("escrow.not_cleared")
    return frozenset(no)


def propose(
    world: World,
    actor: Actor,
    contract_id: UUID,
    *,
    client: Party,
    payee: Party,
    currency: str,
    terms: Terms,
    milestones: list[tuple[UUID, int]],
) -> Reasons:
    if client is payee:
        return frozenset({"escrow.same_party"})
    contract = Contract(contract_id, client, payee, currency, terms)
    side = contract.side_of(actor)
    if side not in EITHER:
        return frozenset({"escrow.not_yours"})
    world.contracts.append(contract)
    _offer(world, contract, side, milestones)
    return DONE


def add_milestones(
    world: World, actor: Actor, contract: Contract, milestones: list[tuple[UUID, int]]
) -> Reasons:
    side = contract.side_of(actor)
    if side not in EITHER:
        return frozenset({"escrow.not_yours"})
    if contract.state != "active":
        return frozenset({"escrow.contract_not_running"})
    _offer(world, contract, side, milestones)
    return DONE


def _offer(world: World, contract: Contract, side: str, milestones: list[tuple[UUID, int]]) -> None:
    for slot_id, price in milestones:
        slot = Slot(slot_id, contract, side, price, world.now)
        contract.slots.append(slot)
        world.slots.append(slot)


def accept(world: World, actor: Actor, contract: Contract) -> Reasons:
    no = step(contract, actor, EITHER, contract.state, {"draft", "active"})
    if no:
        return no
    offered = [slot for slot in contract.slots if slot.state == "proposed"]
    mine = [slot for slot in offered if slot.proposed_by != contract.side_of(actor)]
    if not offered:
        return frozenset({"escrow.wrong_state"})
    if not mine:
        return frozenset({"escrow.other_party_must_sign"})
    contract.state = "active"
    contract.was_accepted = True
    for slot in mine:
        world.acted(slot, "awaiting_funding")
    return DONE


def pause(_world: World, actor: Actor, contract: Contract) -> Reasons:
    no = step(contract, actor, ANYONE, contract.state, {"active"})
    contract.state = contract.state if no else "paused"
    return no


def resume(_world: World, actor: Actor, contract: Contract) -> Reasons:
    no = step(contract, actor, ANYONE, contract.state, {"paused"})
    contract.state = contract.state if no else "active"
    return no


def end(world: World, actor: Actor, contract: Contract) -> Reasons:
    """Row 9: what is held is asked back; what holds nothing is cancelled."""
    who = EITHER if contract.state == "draft" else ANYONE
    no = step(contract, actor, who, contract.state, {"draft", "active", "paused"})
    if no:
        return no
    if any(slot.state == "funding" for slot in contract.slots):
        return frozenset({"escrow.funding_open"})
    contract.state = "ending" if world.is_unsettled(contract) else "ended"
    for slot in contract.slots:
        if slot.state in WORKING:
            _ask_back(world, slot)
        elif slot.state in {"proposed", "awaiting_funding"}:
            world.acted(slot, "cancelled")
    if contract.state == "ending":
        due = world.now + contract.terms.refund_reply + MINUTE
        world.arm(f"contract:{contract.id}", "close_contract", due, contract)
    return DONE


def close(world: World, actor: Actor | None, contract: Contract) -> Reasons:
    """An ending contract that has settled everything is ended; `actor` None: by the clock."""
    if contract.state != "ending":
        return frozenset({"escrow.wrong_state", "escrow.not_yours"})
    if actor is not None and not contract.side_of(actor):
        return frozenset({"escrow.not_yours"})
    if world.is_unsettled(contract):
        return frozenset({"escrow.not_settled"})
    contract.state = "ended"
    world.cancel(f"contract:{contract.id}", "close_contract")
    return DONE


def cancel(world: World, actor: Actor, slot: Slot) -> Reasons:
    """Row 19."""
    no = step(slot.contract, actor, EITHER, slot.state, {"proposed", "awaiting_funding"})
    if not no:
        world.acted(slot, "cancelled")
    return no


def submit(world: World, actor: Actor, slot: Slot, *, message: str) -> Reasons:
    """Row 4: the review starts, or starts anew."""
    no = step(slot.contract, actor, ("payee",), slot.state, WORKING)
    if no:
        return no
    if not message:
        return frozenset({"escrow.empty_submission"})
    terms = slot.contract.terms
    slot.submissions += 1
    slot.submission, slot.confirmed_by = slot.submissions, ""
    world.acted(slot, "submitted")
    if terms.release_rule != "client_only":
        world.arm(slot.subject, "auto_release", world.now + terms.auto_release, slot)
    return DONE


def withdraw_submission(
    world: World, actor: Actor, slot: Slot, *, submission_no: int | None = None
) -> Reasons:
    no = step(slot.contract, actor, ("payee",), slot.state, {"submitted"})
    no = no or _same_submission(slot, submission_no)
    if not no:
        _take_back_submission(world, slot, "funded")
    return no


def request_changes(world: World, actor: Actor, slot: Slot, *, reason: str) -> Reasons:
    """Row 5: with a reason, before the review is over, and only so often."""
    no = set(step(slot.contract, actor, ("client",), slot.state, {"submitted"}))
    if no:
        return frozenset(no)
    if not reason:
        no.add("escrow.reason_required")
    clock = world.clocks.get((slot.subject, "auto_release"))
    if clock is not None and clock.left is None and clock.due <= world.now:
        no.add("escrow.review_is_over")
    if slot.rounds >= slot.contract.terms.change_rounds:
        no.add("escrow.change_rounds_used")
    if not no:
        slot.rounds += 1
        _take_back_submission(world, slot, "changes_requested")
    return frozenset(no)


def _take_back_submission(world: World, slot: Slot, state: str) -> None:
    slot.submission, slot.confirmed_by = 0, ""
    world.acted(slot, state)
    world.cancel(slot.subject, "auto_release")


def _same_submission(slot: Slot, seen: int | None) -> Reasons:
    """Edge case 16: who looked at another submission must look again."""
    is_stale = seen is not None and seen != slot.submission
    return frozenset({"escrow.stale_version"}) if is_stale else DONE


def approve(world: World, actor: Actor, slot: Slot, *, submission_no: int | None = None) -> Reasons:
    """Row 6."""
    no = step(slot.contract, actor, ("client",), slot.state, WORKING | {"dormant"})
    no = no or (
        outflow(world, slot) | _one_may_release(slot) | _same_submission(slot, submission_no)
    )
    if not no:
        let_go(world, slot, slot.held, "released")
    return no


def release_part(world: World, actor: Actor, slot: Slot, *, amount: int) -> Reasons:
    """Row 7, P10."""
    no = step(slot.contract, actor, ("client",), slot.state, WORKING)
    no = no or outflow(world, slot) | _one_may_release(slot)
    if not 0 < amount < slot.held:
        no |= {"escrow.amount_out_of_range"} if slot.state in WORKING else set()
    if not no:
        let_go(world, slot, amount, slot.state)
    return no


def _one_may_release(slot: Slot) -> Reasons:
    both = slot.contract.terms.release_rule == "both_confirm"
    return frozenset({"escrow.needs_both"}) if both else DONE


def confirm(world: World, actor: Actor, slot: Slot) -> Reasons:
    """Row 8b: the second of the two to confirm lets all go."""
    no = step(slot.contract, actor, EITHER, slot.state, {"submitted"})
    if no:
        return no
    if slot.contract.terms.release_rule != "both_confirm":
        return frozenset({"escrow.not_both_confirm"})
    side = slot.contract.side_of(actor)
    if not slot.confirmed_by:
        slot.confirmed_by = side
        world.acted(slot)
        return DONE
    if slot.confirmed_by == side:
        return frozenset({"escrow.already_confirmed"}) | outflow(world, slot)
    no = outflow(world, slot)
    if not no:
        let_go(world, slot, slot.held, "released")
    return no


def let_go(world: World, slot: Slot, amount: int, state: str) -> None:
    """P07, P10: the oldest lots go first; the client's whole fee is earned with the first part."""
    terms, currency = slot.contract.terms, slot.contract.currency
    slot.released += amount
    commission = world.charge(slot.contract, amount)
    world.add("client_fee", currency, slot.fee_deferred)
    rest = amount
    for lot in slot.lots:
        taken = min(rest, lot.left)
        lot.left, lot.fee, rest = lot.left - taken, 0, rest - taken
    assert not rest
    world.add("commission", currency, commission)
    world.add("due_to_platform", currency, commission)
    world.acted(slot, state)
    if state == "released":
        world.cancel(slot.subject, "auto_release", "dormant")
    release = world.new_release(slot.contract, slot, amount, commission)
    world.arm(release.subject, "security_hold", world.now + terms.security_hold, release)


def ask_refund(world: World, actor: Actor, slot: Slot) -> Reasons:
    """Row 9."""
    no = step(slot.contract, actor, ("client",), slot.state, WORKING)
    if not no:
        _ask_back(world, slot)
    return no


def _ask_back(world: World, slot: Slot) -> None:
    world.acted(slot, "refund_requested")
    world.cancel(slot.subject, "dormant")
    review = world.clocks.get((slot.subject, "auto_release"))
    if review is not None and review.left is None:
        review.left = max(0, review.due - world.now)
    due = world.now + slot.contract.terms.refund_reply
    world.arm(slot.subject, "refund_reply", due, slot)


def accept_refund(world: World, actor: Actor, slot: Slot) -> Reasons:
    """Row 10."""
    no = step(slot.contract, actor, ("payee",), slot.state, {"refund_requested"})
    no = no or outflow(world, slot)
    if not no:
        give_all_back(world, slot)
    return no


def give_back(world: World, actor: Actor, slot: Slot) -> Reasons:
    """Row 12."""
    no = step(slot.contract, actor, ("payee",), slot.state, HOLDING)
    no = no or outflow(world, slot)
    if not no:
        give_all_back(world, slot)
    return no


def settle_dormant(world: World, actor: Actor, slot: Slot) -> Reasons:
    """Row 18, by an operator: to the payee if work lies there, else back to the client."""
    no = step(slot.contract, actor, ("operator",), slot.state, {"dormant"})
    no = no or outflow(world, slot)
    if not no:
        wake(world, slot)
    return no


def wake(world: World, slot: Slot) -> None:
    """A dormant slot's money goes where its work says."""
    if slot.submission:
        let_go(world, slot, slot.held, "released")
    else:
        give_all_back(world, slot)


def give_all_back(world: World, slot: Slot) -> None:
    send_back(world, slot, slot.held)
    world.acted(slot, "refunded")
    world.cancel(slot.subject, "auto_release", "dormant", "refund_reply")


def send_back(world: World, slot: Slot, amount: int) -> None:
    """P14: newest lot first, each by the way it came, with its part of the fee, rounded down."""
    slot.refunded += amount
    per_funding: dict[Funding, list[int]] = {}
    for lot in reversed(slot.lots):
        taken = min(amount, lot.left)
        if taken:
            fee = lot.fee * taken // lot.left
            lot.left, lot.fee, amount = lot.left - taken, lot.fee - fee, amount - taken
            sums = per_funding.setdefault(lot.funding, [0, 0])
            sums[0], sums[1] = sums[0] + taken, sums[1] + fee
    assert not amount
    for funding, (part, fee) in per_funding.items():
        _refund(world, slot, funding, part, fee)


def _refund(world: World, slot: Slot, funding: Funding, part: int, fee: int) -> None:
    contract = slot.contract
    world.add("due_from_platform", contract.currency, fee)
    if funding.method == "wallet":
        world.wallets[contract.client, contract.currency] += part + fee
        world.refunds.append(Refund(slot, funding, part, fee, "wallet_credited"))
        return
    back = Refund(slot, funding, part, fee, "approved")
    world.refunds.append(back)
    world.rail.ask(Operation("refund", back, contract.currency, part + fee))


def propose_amendment(
    world: World,
    actor: Actor,
    slot: Slot,
    amendment_id: UUID,
    *,
    price: int | None,
    target: Slot | None,
) -> Reasons:
    """Row 20: one side offers another price, or to roll what is left to another slot."""
    no = step(slot.contract, actor, EITHER, slot.state, WORKING)
    if no:
        return no
    if (price is None) == (target is None):
        return frozenset({"escrow.bad_amendment"})
    if target is not None and (target is slot or target.contract is not slot.contract):
        return frozenset({"escrow.bad_amendment"})
    if price is not None and (price == slot.price or price <= slot.released):
        return frozenset({"escrow.amount_out_of_range"})
    side = slot.contract.side_of(actor)
    world.amendments.append(Amendment(amendment_id, slot, side, slot.version, price, target))
    return DONE


def sign_amendment(world: World, actor: Actor, offer: Amendment) -> Reasons:
    """The other side signs; nothing may have happened to the slot since the offer."""
    slot = offer.slot
    side = slot.contract.side_of(actor)
    no = set()
    if side not in EITHER:
        no.add("escrow.not_yours")
    if side == offer.offered_by:
        no.add("escrow.other_party_must_sign")
    if offer.state != "proposed":
        no.add("escrow.wrong_state")
    if offer.version != slot.version:
        no.add("escrow.stale_version")
    if no:
        return frozenset(no)
    assert slot.state in WORKING
    answer = _roll(world, slot, offer.target) if offer.target else _reprice(world, offer)
    if not answer:
        offer.state = "signed"
    return answer


def _reprice(world: World, offer: Amendment) -> Reasons:
    slot, price = offer.slot, offer.price
    assert price is not None
    if price < slot.price:
        no = outflow(world, slot)
        if no:
            return no
        excess = max(0, slot.held + slot.released - price)
        send_back(world, slot, excess)
    slot.price = price
    world.acted(slot)
    return DONE


def _roll(world: World, slot: Slot, target: Slot) -> Reasons:
    """P11: lot by lot, each with the part of its fee that is not earned."""
    no = outflow(world, slot)
    if target.state not in WORKING | {"awaiting_funding"}:
        no |= {"escrow.wrong_state"}
    if world.holds_on(target.contract, target):
        no |= {"escrow.held"}
    if no:
        return no
    amount = slot.held
    is_running = target.state in WORKING
    target.price = target.price + amount if is_running else max(target.price, amount)
    target.lots += [Lot(lot.funding, lot.left, lot.fee) for lot in slot.lots if lot.left]
    target.rolled_in += amount
    for lot in slot.lots:
        lot.left = lot.fee = 0
    slot.rolled_out += amount
    world.acted(slot, "released" if slot.released else "cancelled")
    world.cancel(slot.subject, "auto_release", "dormant")
    world.acted(target, target.state if is_running else "funded")
    if not is_running:
        arm_dormant(world, target)
    return DONE


def arm_dormant(world: World, slot: Slot) -> None:
    world.arm(slot.subject, "dormant", dormant_at(slot), slot)


def dormant_at(slot: Slot) -> int:
    """When the next notice, or dormancy itself, is due if nobody moves."""
    start = max(slot.active_at, slot.due_at or 0)
    part, whole = DORMANCY[slot.notices]
    length = slot.contract.terms.dormant * part
    assert length % whole == 0
    return start + length // whole
