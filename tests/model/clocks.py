"""What time and the rail bring by themselves: clocks that ring, holds that stop them, news."""

from typing import Final
from uuid import UUID

from tests.model import deals, money
from tests.model.model import (
    DAY,
    HOUR,
    OPEN_FUNDING,
    STOPPED_BY_HOLDS,
    WORKING,
    Clock,
    Contract,
    Funding,
    Payout,
    Reasons,
    Refund,
    Release,
    Slot,
    World,
)
from tests.model.rail import Operation

GRACE: Final = 60
"""A command that came before a clock was due is applied first: it rings this much later."""


def next_ring(world: World) -> int | None:
    """When the next clock rings, if any runs."""
    running = [clock.due for clock in world.clocks.values() if clock.left is None]
    return min(running) + GRACE if running else None


def ring(world: World) -> list[str]:
    """Everything that is due rings, the earliest first; what rang."""
    rung: list[str] = []
    while True:
        due = [
            (clock.due, key)
            for key, clock in world.clocks.items()
            if clock.left is None and clock.due + GRACE <= world.now
        ]
        if not due:
            return rung
        _, key = min(due)
        clock = world.clocks.pop(key)
        rung.append(key[1])
        again = _RINGS[key[1]](world, world.by_subject[key[0]])
        if again & {"escrow.held"}:
            world.clocks[key] = Clock(clock.due, max(0, clock.due - world.now))
        elif again & {"escrow.not_cleared", "escrow.not_settled", "escrow.above_limit"}:
            world.clocks[key] = Clock(world.now + DAY)


def _auto_release(world: World, slot: object) -> Reasons:
    """Row 8: if this is still the submission, which is so while the clock was not cancelled."""
    assert isinstance(slot, Slot)
    assert slot.state == "submitted"
    no = deals.outflow(world, slot)
    if "escrow.held" in no:
        return frozenset({"escrow.held"})
    if not no:
        deals.let_go(world, slot, slot.held, "released")
    return no


def _refund_reply(world: World, slot: object) -> Reasons:
    """Row 10: silence grants it."""
    assert isinstance(slot, Slot)
    no = deals.outflow(world, slot)
    if "escrow.held" in no:
        return frozenset({"escrow.held"})
    if not no:
        deals.give_all_back(world, slot)
    return no


def _dormant(world: World, slot: object) -> Reasons:
    """Row 18: look again, send a notice, or fall dormant, and settle what is small enough."""
    assert isinstance(slot, Slot)
    if slot.state == "dormant":
        return _settle(world, slot)
    if slot.state not in WORKING:
        return frozenset()
    if deals.dormant_at(slot) > world.now:
        deals.arm_dormant(world, slot)
        return frozenset()
    slot.version += 1
    if slot.notices < 3:
        slot.notices += 1
        deals.arm_dormant(world, slot)
        return frozenset()
    slot.state = "dormant"
    world.cancel(slot.subject, "auto_release")
    return _settle(world, slot)


def _settle(world: World, slot: Slot) -> Reasons:
    """What is above the limit waits for an operator, without a clock."""
    if slot.held > slot.contract.terms.dormant_limit:
        return frozenset()
    no = deals.outflow(world, slot)
    if not no:
        deals.wake(world, slot)
    return no


def _security_hold(world: World, release: object) -> Reasons:
    """P09."""
    assert isinstance(release, Release)
    if world.holds_on(release.contract, release.slot):
        return frozenset({"escrow.held"})
    release.state = "available"
    deal = release.contract
    world.available[deal.payee, deal.currency] += release.gross - release.commission
    return frozenset()


def _fund_expiry(world: World, paid: object) -> Reasons:
    assert isinstance(paid, Funding)
    if paid.state in OPEN_FUNDING:
        money.give_up(world, paid, "expired")
    return frozenset()


def _close(world: World, contract: object) -> Reasons:
    assert isinstance(contract, Contract)
    return deals.close(world, None, contract)


_RINGS: Final = {
    "auto_release": _auto_release,
    "refund_reply": _refund_reply,
    "dormant": _dormant,
    "security_hold": _security_hold,
    "fund_interactive": _fund_expiry,
    "fund_bank": _fund_expiry,
    "close_contract": _close,
}


def place_hold(world: World, hold_id: UUID, subject: str) -> None:
    """The hold's clocks stop, and keep what is left of each (2.2)."""
    world.holds[hold_id] = subject
    for key, clock in world.clocks.items():
        if key[1] in STOPPED_BY_HOLDS and _concerns(world, key[0], subject) and clock.left is None:
            clock.left = max(0, clock.due - world.now)


def lift_hold(world: World, hold_id: UUID) -> None:
    """Clocks that no other hold stops run on; a review has at least 72 hours left, or its all."""
    subject = world.holds.pop(hold_id)
    for (whose, kind), clock in world.clocks.items():
        if clock.left is None or kind not in STOPPED_BY_HOLDS:
            continue
        if not _concerns(world, whose, subject) or _is_held(world, whose):
            continue
        if kind != "auto_release":
            clock.due, clock.left = world.now + clock.left, None
            continue
        slot = world.by_subject[whose]
        assert isinstance(slot, Slot)
        if slot.state == "submitted":
            least = min(72 * HOUR, slot.contract.terms.auto_release)
            clock.due, clock.left = world.now + max(clock.left, least), None


def _concerns(world: World, whose: str, subject: str) -> bool:
    contract, slot = world.deal_of(whose)
    names = {f"contract:{contract.id}", slot.subject if slot else ""}
    return subject in names | {f"party:{contract.client.id}", f"party:{contract.payee.id}"}


def _is_held(world: World, whose: str) -> bool:
    return world.holds_on(*world.deal_of(whose))


def hear_rail(world: World, mood: frozenset[str]) -> None:
    """What was asked is sent in this mood, and what the rail has to say is heard."""
    world.rail.send(mood, world.now)
    for operation, fact in world.rail.news(world.now):
        about = operation.about
        if isinstance(about, Funding):
            money.hear_funding(world, about, fact)
        elif isinstance(about, Refund):
            money.hear_refund(world, about, fact)
        elif isinstance(about, Payout):
            money.hear_payout(world, about, fact)
        else:
            money.hear_transfer(world, operation, fact)
    for operation in world.rail.lots(world.now):
        _become_available(world, operation)


def _become_available(world: World, operation: Operation) -> None:
    """The first half of P02."""
    net = sum(move.amount for move in operation.moves if move.account == "processor_available")
    world.add("processor_pending", operation.currency, -net)
    world.add("processor_available", operation.currency, net)
