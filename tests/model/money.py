"""Money in and out by domain/escrow.md 2.3 and 2.9: payments, refunds, payouts, settlement."""

from typing import Final
from uuid import UUID

from tests.model.deals import arm_dormant, step
from tests.model.model import (
    DAY,
    DONE,
    HOLDING,
    MINUTE,
    OPEN_FUNDING,
    OPEN_REFUND,
    WORKING,
    Actor,
    Contract,
    Funding,
    Lot,
    Method,
    Party,
    Payout,
    Reasons,
    Refund,
    Release,
    Slot,
    World,
    share,
)
from tests.model.rail import Fact, Operation

RUNNING: Final = frozenset({"active", "paused"})


def fund(world: World, actor: Actor, slot: Slot, funding_id: UUID, *, method: str) -> Reasons:
    """Row 3, and the top-up of row 20; from the wallet it is at once (P05)."""
    contract = slot.contract
    is_new = slot.state == "awaiting_funding"
    no = step(contract, actor, ("client",), slot.state, WORKING | {"awaiting_funding"})
    if no:
        return no
    no = _may_come_in(contract)
    if contract.state not in RUNNING:
        no |= {"escrow.contract_not_running"}
    if not is_new and (world.has_open_funding(slot) or not slot.unpaid):
        no |= {"escrow.nothing_unpaid"}
    bps = contract.terms.client_fee_bps
    fee = share(slot.price, bps) - share(slot.price - slot.unpaid, bps)
    purpose = "slot" if is_new else "top_up"
    paid = Funding(funding_id, contract, slot, purpose, method, slot.unpaid, fee, "created")
    if method == "wallet":
        no |= _from_wallet(world, paid)
    if no:
        return no
    world.fundings.append(paid)
    world.acted(slot)
    if method == "wallet":
        _take_from_wallet(world, paid)
        _fill(world, paid, cleared=True)
        if is_new:
            arm_dormant(world, slot)
        return DONE
    slot.state = "funding" if is_new else slot.state
    _ask_rail(world, paid)
    return DONE


def tip(
    world: World, actor: Actor, contract: Contract, funding_id: UUID, *, amount: int, method: str
) -> Reasons:
    """P25, at once from the wallet, or when the rail has taken it."""
    if contract.side_of(actor) != "client":
        return frozenset({"escrow.not_yours"})
    fee = share(amount, contract.terms.client_fee_bps)
    paid = Funding(funding_id, contract, None, "tip", method, amount, fee, "created")
    no = _may_come_in(contract)
    if not contract.was_accepted:
        no |= {"escrow.contract_not_running"}
    if method == "wallet":
        no |= _from_wallet(world, paid)
    if no:
        return no
    world.fundings.append(paid)
    if method == "wallet":
        _take_from_wallet(world, paid)
        _hand_over(world, paid, cleared=True)
    else:
        _ask_rail(world, paid)
    return DONE


def _may_come_in(contract: Contract) -> Reasons:
    clear = contract.client.is_clear and contract.payee.is_clear
    return DONE if clear else frozenset({"escrow.party_not_clear"})


def _from_wallet(world: World, paid: Funding) -> Reasons:
    no = set()
    if world.holds_on(paid.contract, paid.slot):
        no.add("escrow.held")
    if world.wallets[paid.contract.client, paid.contract.currency] < paid.asked:
        no.add("ledger.insufficient_funds")
    return frozenset(no)


def _take_from_wallet(world: World, paid: Funding) -> None:
    world.wallets[paid.contract.client, paid.contract.currency] -= paid.asked
    paid.state = "succeeded"


def _ask_rail(world: World, paid: Funding) -> None:
    currency = paid.contract.currency
    world.rail.ask(Operation("fund", paid, currency, paid.asked, paid.method))
    due = world.now + 15 * MINUTE
    if paid.method != "card":
        due = _business_days_after(world.now, 5)
    world.arm(f"funding:{paid.id}", _clock(paid), due, paid)


def _clock(paid: Funding) -> str:
    return "fund_interactive" if paid.method == "card" else "fund_bank"


def _business_days_after(now: int, days: int) -> int:
    """The same time of day; day 0 of the count of 1970 was a Thursday."""
    while days:
        now += DAY
        weekday = (now // DAY + 3) % 7
        days -= weekday < 5
    return now


def _fill(world: World, paid: Funding, *, cleared: bool) -> None:
    """The funding is a new lot of the slot; its fee is due to the platform, but deferred."""
    slot = paid.slot
    assert slot is not None
    slot.lots.append(Lot(paid, paid.amount, paid.fee))
    slot.funded += paid.amount
    slot.uncleared += 0 if cleared else paid.amount
    world.add("due_to_platform", paid.contract.currency, paid.fee)
    if paid.purpose == "slot":
        slot.state = "funded"


def _hand_over(world: World, paid: Funding, *, cleared: bool) -> None:
    """A tip goes straight to the payee, both fees are earned; it waits until it has cleared."""
    contract, currency = paid.contract, paid.contract.currency
    commission = world.charge(contract, paid.amount)
    paid.tip = world.new_release(contract, None, paid.amount, commission)
    world.add("commission", currency, commission)
    world.add("client_fee", currency, paid.fee)
    world.add("due_to_platform", currency, commission + paid.fee)
    if cleared:
        _start_security_hold(world, paid.tip)


def _start_security_hold(world: World, release: Release) -> None:
    due = world.now + release.contract.terms.security_hold
    world.arm(release.subject, "security_hold", due, release)


def cancel_funding(world: World, actor: Actor, paid: Funding) -> Reasons:
    no = step(paid.contract, actor, ("client",), paid.state, OPEN_FUNDING)
    if not no:
        give_up(world, paid, "canceled")
    return no


def give_up(world: World, paid: Funding, state: str) -> None:
    """The payment came to nothing: the slot awaits another, and an unsent wish is withdrawn."""
    paid.state = state
    world.rail.withdraw(paid)
    _free(paid)
    world.cancel(f"funding:{paid.id}", _clock(paid))


def _free(paid: Funding) -> None:
    slot = paid.slot
    if slot is not None and slot.state == "funding":
        slot.state = "awaiting_funding"
        slot.version += 1


def credit_receipt(world: World, actor: Actor, paid: Funding) -> Reasons:
    """P06: an operator matched money in suspense to its client."""
    no = step(paid.contract, actor, ("operator",), paid.state, {"mismatch"})
    if not no and world.holds_on(paid.contract):
        no = frozenset({"escrow.held"})
    if not no:
        paid.state = "credited"
        world.wallets[paid.contract.client, paid.contract.currency] += paid.asked
    return no


def hear_funding(world: World, paid: Funding, fact: Fact) -> None:
    """2.3: what a rail's word means to a payment as it stands; an old word means nothing."""
    is_open = paid.state in OPEN_FUNDING
    if fact.outcome == "pending":
        paid.state = "processing" if paid.state == "created" else paid.state
    elif fact.outcome == "refused":
        if is_open:
            give_up(world, paid, "failed")
    elif paid.state == "succeeded_uncleared":
        _clear(world, paid)
    elif is_open and _is_awaited(paid):
        _receive(world, paid, fact)
    elif is_open or paid.state in {"failed", "canceled", "expired"}:
        _receive_stray(world, paid, fact)


def _is_awaited(paid: Funding) -> bool:
    if paid.slot is None:
        return True
    if paid.purpose == "slot":
        return paid.slot.state == "funding"
    return paid.slot.state in HOLDING and paid.amount <= paid.slot.unpaid


def _receive(world: World, paid: Funding, fact: Fact) -> None:
    """P01, P25."""
    _book_receipt(world, paid, fact)
    world.cancel(f"funding:{paid.id}", _clock(paid))
    paid.state = "succeeded" if fact.cleared else "succeeded_uncleared"
    slot = paid.slot
    if slot is None:
        _hand_over(world, paid, cleared=fact.cleared)
        return
    _fill(world, paid, cleared=fact.cleared)
    slot.version += 1
    slot.active_at = world.now
    if paid.purpose == "slot":
        arm_dormant(world, slot)


def _receive_stray(world: World, paid: Funding, fact: Fact) -> None:
    """P06: to suspense, and on to the wallet unless a bank may take it back."""
    _book_receipt(world, paid, fact)
    world.cancel(f"funding:{paid.id}", _clock(paid))
    if paid.state in OPEN_FUNDING:
        _free(paid)
    paid.state = "credited" if fact.cleared else "mismatch"
    if fact.cleared:
        world.wallets[paid.contract.client, paid.contract.currency] += paid.asked


def _book_receipt(world: World, paid: Funding, fact: Fact) -> None:
    currency = paid.contract.currency
    world.add("processor_pending", currency, paid.asked - fact.fee)
    world.add("processor_cost", currency, fact.fee)
    world.add("due_from_platform", currency, fact.fee)


def _clear(world: World, paid: Funding) -> None:
    if not paid.state.startswith("succeeded"):
        return
    paid.state = "succeeded"
    if paid.slot is not None:
        paid.slot.uncleared -= paid.amount
        paid.slot.version += 1
    else:
        assert paid.tip is not None
        _start_security_hold(world, paid.tip)


def hear_refund(world: World, back: Refund, fact: Fact) -> None:
    """P15, or P16 where the way back is closed."""
    contract = back.slot.contract
    assert back.state in OPEN_REFUND
    if fact.outcome == "pending":
        back.state = "submitted"
    elif fact.outcome == "done":
        back.state = "succeeded"
        world.add("processor_available", contract.currency, -(back.amount + back.fee))
    else:
        back.state = "wallet_credited"
        world.wallets[contract.client, contract.currency] += back.amount + back.fee


def request_payout(
    world: World,
    actor: Actor,
    payout_id: UUID,
    *,
    payee: Party,
    method: Method,
    currency: str,
    amount: int,
) -> Reasons:
    """P37."""
    no = _owner(actor, payee)
    fee = world.payout_fees.get(currency, 0)
    if amount <= fee:
        no |= {"payouts.nothing_left"}
    if world.available[payee, currency] < amount:
        no |= {"ledger.insufficient_funds"}
    no |= _may_be_paid(world, payee, method)
    if no:
        return no
    world.payouts.append(Payout(payout_id, payee, method, currency, amount, fee))
    world.available[payee, currency] -= amount
    world.add("due_to_platform", currency, fee)
    world.add("payout_fee", currency, fee)
    return DONE


def _owner(actor: Actor, payee: Party) -> Reasons:
    mine = actor is payee or actor == "operator"
    return DONE if mine else frozenset({"payouts.not_yours"})


def _may_be_paid(world: World, payee: Party, method: Method) -> Reasons:
    no = set()
    if payee.kyc != "verified":
        no.add("payouts.not_verified")
    if payee.sanction != "clear":
        no.add("payouts.sanctions_hit")
    if f"party:{payee.id}" in world.holds.values():
        no.add("payouts.on_hold")
    if payee.paused:
        no.add("payouts.paused")
    if method.party is not payee:
        no.add("payouts.unknown_method")
    if not method.is_active:
        no.add("payouts.method_disabled")
    return frozenset(no)


def submit_payout(world: World, actor: Actor | None, payout: Payout) -> Reasons:
    """To the rail, if nothing has happened since and the bank holds it; None: by the engine."""
    if payout.state != "requested":
        return frozenset({"payouts.wrong_state", "payouts.not_yours"})
    if actor is not None and actor != "operator":
        return frozenset({"payouts.not_yours"})
    no = _may_be_paid(world, payout.payee, payout.method)
    if payout.net > free_in_bank(world, payout.currency):
        no |= {"payouts.bank_short"}
    if not no:
        payout.state = "submitted"
        world.rail.ask(Operation("payout", payout, payout.currency, payout.net))
    return no


def free_in_bank(world: World, currency: str) -> int:
    """What may still leave the custody bank: booked, less what is on its way out already.

    Nothing while the processor is below zero (edge case 45).
    """
    leaving = sum(p.net for p in world.payouts if (p.state, p.currency) == ("submitted", currency))
    free = world.pots["bank", currency] - leaving - on_the_way(world, currency, "custody_bank")
    return min(0, free) if world.pots["processor_available", currency] < 0 else free


def cancel_payout(world: World, actor: Actor, payout: Payout) -> Reasons:
    """P39 before it was sent."""
    no = _owner(actor, payout.payee)
    if payout.state != "requested":
        no |= {"payouts.wrong_state"}
    if not no:
        payout.state = "cancelled"
        _return_payout(world, payout)
    return no


def _return_payout(world: World, payout: Payout) -> None:
    """P39."""
    world.available[payout.payee, payout.currency] += payout.amount
    world.add("payout_fee", payout.currency, -payout.fee)
    world.add("due_from_platform", payout.currency, payout.fee)


def hear_payout(world: World, payout: Payout, fact: Fact) -> None:
    """P38, P39, or P40 and P39."""
    if fact.outcome == "pending":
        return
    currency = payout.currency
    comes_back = fact.code == "payout.returned"
    if payout.state == "submitted" and (fact.outcome == "done" or comes_back):
        world.add("bank", currency, -payout.net)
    if fact.outcome == "done":
        payout.state = "paid"
        return
    if comes_back:
        world.add("bank", currency, payout.net - fact.fee)
        world.add("payout_cost", currency, fact.fee)
        world.add("due_from_platform", currency, fact.fee)
    payout.state = "returned" if comes_back else "failed"
    _return_payout(world, payout)
    if fact.code != "rail.insufficient_funds":
        payout.method.is_active = False
        payout.payee.paused = True


def on_the_way(world: World, currency: str, source: str = "", target: str = "") -> int:
    """What transfers between accounts have under way out of one, or into another."""
    return sum(
        operation.amount
        for operation in world.rail.operations
        if operation.kind == "transfer" and not operation.is_sent
        if operation.currency == currency
        if source in {"", operation.source} and target in {"", operation.target}
    )


def settle(world: World) -> None:
    """P02 to P04, currency by currency."""
    for currency in sorted({currency for _, currency in world.pots}):
        _settle(world, currency)


def _settle(world: World, currency: str) -> None:
    def pot(name: str) -> int:
        return world.pots[name, currency]

    def moving(source: str, target: str) -> int:
        return on_the_way(world, currency, source, target)

    def leaving(source: str) -> int:
        return on_the_way(world, currency, source)

    owed = pot("due_from_platform") - moving("platform_bank", "custody_bank")
    earned = pot("due_to_platform") - moving("custody_bank", "platform_bank")
    both = max(0, min(owed, earned))
    owed, earned = max(0, owed - both), max(0, earned - both)

    top_up = min(owed, max(0, pot("platform_bank") - leaving("platform_bank")))
    cash = pot("bank") - leaving("custody_bank") + top_up
    at_processor = pot("processor_available") - leaving("processor_available")
    promised = sum(
        back.amount + back.fee
        for back in world.refunds
        if back.state in OPEN_REFUND and back.slot.contract.currency == currency
    )
    spare = at_processor + moving("", "processor_available") - promised
    landing = max(0, min(spare, at_processor)) if spare >= 0 else 0
    lending = 0 if spare >= 0 else min(-spare, max(0, cash))
    cash += landing - lending
    going = sum(
        p.net
        for p in world.payouts
        if p.state in {"requested", "submitted"} and p.currency == currency
    )
    sweep = min(earned, max(0, cash - going))
    world.add("due_to_platform", currency, -both)
    world.add("due_from_platform", currency, -both)
    for source, target, amount in (
        ("platform_bank", "custody_bank", top_up),
        ("processor_available", "custody_bank", landing),
        ("custody_bank", "processor_available", lending),
        ("custody_bank", "platform_bank", sweep),
    ):
        if amount:
            ask_transfer(world, currency, source=source, target=target, amount=amount)


def ask_transfer(world: World, currency: str, *, source: str, target: str, amount: int) -> None:
    about = (source, target)
    world.rail.ask(Operation("transfer", about, currency, amount, source=source, target=target))


def hear_transfer(world: World, operation: Operation, fact: Fact) -> None:
    """The second halves of P02 and P03, P04, and the owner's capital; a refused one is nothing."""
    if fact.outcome != "done":
        return
    currency, amount = operation.currency, operation.amount
    way = (operation.source, operation.target)
    pots = {
        ("owner", "platform_bank"): ("", "platform_bank", "capital", 1),
        ("platform_bank", "custody_bank"): ("platform_bank", "bank", "due_from_platform", -1),
        ("custody_bank", "platform_bank"): ("bank", "platform_bank", "due_to_platform", -1),
        ("processor_available", "custody_bank"): ("processor_available", "bank", "", 0),
        ("custody_bank", "processor_available"): ("bank", "processor_available", "", 0),
    }
    source, target, debt, sign = pots[way]
    if source:
        world.add(source, currency, -amount)
    world.add(target, currency, amount)
    if debt:
        world.add(debt, currency, sign * amount)
