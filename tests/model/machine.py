"""People, clocks and the rail in any order: every public command, drawn by hypothesis."""

from collections.abc import Collection, Sequence
from datetime import datetime
from random import Random
from typing import Final
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import rule
from sqlalchemy import Connection

from engine.api.doors import lift_holds, place_holds
from escrow import service
from escrow.commands import (
    AddMilestones,
    FundingCommand,
    ProposeAmendment,
    ReleasePart,
    SignAmendment,
    Submit,
    Tip,
)
from escrow.model import Method as PayMethod
from kernel.commands import Outcome
from ledger import holds
from payouts import methods, settlement
from payouts import service as payouts
from payouts.commands import PayoutCommand, RequestPayout, Resume
from tests.model import clocks, deals, money
from tests.model.acts import act, amounts, any_terms, collect, one_of, several, within
from tests.model.driver import fresh_ids, money_of, name_of, principal
from tests.model.ground import CURRENCIES, Ground, milestones, pick
from tests.model.model import (
    DAY,
    DONE,
    HOLDING,
    HOUR,
    OPEN_FUNDING,
    WORKING,
    Actor,
    Amendment,
    Contract,
    Payout,
    Reasons,
    Slot,
    Terms,
)

_METHODS: Final = ("card", "bank_debit", "bank_transfer", "wallet")

_TOKENS: Final = {
    "fund": ("slow", "slow", "declined", "debit"),
    "refund": ("refund_slow", "refund_bounces", "refund_bounces"),
    "payout": ("slow", "fails", "fails", "returns", "returns", "fails", "returns"),
}
_ANY_TOKENS: Final = ("lost_reply", "twice", "reordered", "trouble_before", "trouble_after")
"""What may befall the operations of a kind, or any, when the rail is called."""

IDLE: Final = 4_096
"""Numbers below it are no act: a failure shrinks to the acts that it needs."""

_WAITS: Final = (10, 20 * 60, HOUR, DAY, DAY, 2 * DAY, 2 * DAY, 5 * DAY, 5 * DAY, 9 * DAY, 22 * DAY)


class Market(Ground):
    """Every public command of parties, deals, money in and out, in any order."""

    @rule(roll=st.integers(0, 2**24 - 1))
    def step(self, roll: int) -> None:
        """One act of those that make sense now, drawn by weight, with all that it needs."""
        if roll < IDLE:
            return
        self.driver.tally["acts"] += 1
        order = Random(roll)
        ranked = sorted(ACTS, key=lambda each: -(order.random() ** (1 / each.weight)))
        chosen = next(each for each in ranked if each.when(self))
        dice = Random(roll + 1)
        drawn = {name: draw(dice) for name, draw in chosen.draws.items()}
        self.driver.has_failed = True
        chosen.do(self, dice.getrandbits(16), **drawn)
        self.driver.has_failed = False

    def tick(self, number: int) -> None:
        """A few seconds pass between two acts."""
        self.driver.wait(1 + number % 50)

    def _has(self, *states: str) -> bool:
        return any(slot.state in states for slot in self.world.slots)

    def _in_wallet(self, contract: Contract) -> int:
        return self.world.wallets[contract.client, contract.currency]

    def _live(self) -> int:
        """How many slots may still see money come or go."""
        over = {"released", "refunded", "cancelled"}
        return sum(slot.state not in over for slot in self.world.slots)

    # -- people

    @act(
        weight=0.3,
        when=lambda self: len(self.world.parties) < 6,
        kind=one_of(["client", "freelancer", "agency"]),
    )
    def create_party(self, n: int, kind: str) -> None:
        self.tick(n)
        self.add_parties([kind])

    @act(
        weight=0.4,
        kyc=one_of(["verified", "verified", "verified", "pending", "rejected"]),
        sanction=one_of(["clear", "clear", "clear", "hit"]),
    )
    def find_out(self, n: int, kyc: str, sanction: str) -> None:
        self.tick(n)
        party = pick(self.world.parties, lambda party: not party.is_clear, n)
        actor: Actor = "operator" if n % 16 != 15 else party
        self.change_parties(actor, [party], kyc=kyc, sanction=sanction)

    @act(weight=0.8, kind=one_of(list(holds.HoldKind)))
    def place_hold(self, n: int, kind: holds.HoldKind) -> None:
        self.tick(n)
        names = [slot.subject for slot in self.world.slots if slot.held]
        names += [f"contract:{contract.id}" for contract in self.world.contracts]
        names += [f"party:{party.id}" for party in self.world.parties[:2]]
        subject = names[n % len(names)]
        actor: Actor = "operator" if n % 16 != 15 else "stranger"
        command = holds.PlaceHold(
            actor=principal(actor), subject=subject, kind=kind, reason="a doubt"
        )
        no = DONE if actor == "operator" else frozenset({"party.operator_only"})
        self.driver.run(
            "place_hold",
            place_holds,
            [(command, no)],
            f"{name_of(actor)} holds {subject} ({kind})",
            learn=lambda told: clocks.place_hold(self.world, UUID(told.facts["id"]), subject),
        )

    @act(weight=2.5, when=lambda self: self.world.holds)
    def lift_hold(self, n: int) -> None:
        self.tick(n)
        hold_id = list(self.world.holds)[n // 16 % len(self.world.holds)]
        actor: Actor = "operator" if n % 16 != 15 else "stranger"
        no = DONE if actor == "operator" else frozenset({"party.operator_only"})
        told = f"{name_of(actor)} lifts the hold on {self.world.holds[hold_id]}"
        if not no:
            clocks.lift_hold(self.world, hold_id)
        command = holds.LiftHold(actor=principal(actor), hold_id=hold_id)
        self.driver.run("lift_hold", lift_holds, [(command, no)], told)

    # -- contracts

    @act(
        weight=1.5,
        when=lambda self: self._live() < 6,
        terms=any_terms,
        prices=several(1, 3),
        currency=one_of(CURRENCIES),
    )
    def offer(self, n: int, terms: Terms, prices: list[int], currency: str) -> None:
        self.tick(n)
        people = self.world.parties
        client, payee = people[n % 2 * 2], people[1 if n % 3 else n % len(people)]
        actor: Actor = [client, payee][n % 5 % 2] if n % 16 != 15 else "operator"
        self.propose(actor, client, payee, currency, terms, prices)

    @act(weight=0.5, when=lambda self: self._live() < 7, prices=several(1, 2))
    def add_milestones(self, n: int, prices: list[int]) -> None:
        self.tick(n)
        contract = pick(self.world.contracts, lambda deal: deal.state == "active", n)
        actor = self.actor(contract, ["client", "payee"][n % 3 % 2], n)
        offered = list(zip(fresh_ids(len(prices)), prices, strict=True))
        no = deals.add_milestones(self.world, actor, contract, offered)
        command = AddMilestones(
            actor=principal(actor), contract_id=contract.id, milestones=milestones(offered)
        )
        told = f"{name_of(actor)} offers {prices} more in contract {self.number_of(contract)}"
        self.driver.run("add_milestones", service.add_milestones, [(command, no)], told)

    @act(weight=5, when=lambda self: self._has("proposed"))
    def accept(self, n: int) -> None:
        self.tick(n)
        contract = pick(self.world.contracts, _has_offer, n)
        offered = [slot.proposed_by for slot in contract.slots if slot.state == "proposed"]
        side = "payee" if "client" in offered else "client"
        self.on_contract("accept", deals.accept, self.actor(contract, side, n), contract)

    @act(weight=1)
    def pause_or_resume(self, n: int) -> None:
        self.tick(n)
        contract = pick(self.world.contracts, lambda deal: deal.state in money.RUNNING, n)
        actor = self.actor(contract, ["client", "payee", "operator"][n % 3], n)
        if (contract.state == "paused") == (n % 7 != 6):
            self.on_contract("resume", deals.resume, actor, contract)
        else:
            self.on_contract("pause", deals.pause, actor, contract)

    @act(weight=0.5, when=lambda self: len(self.driver.story) > 30)
    def end(self, n: int) -> None:
        self.tick(n)
        contract = pick(self.world.contracts, lambda deal: deal.state != "ended", n)
        actor = self.actor(contract, ["client", "payee", "operator"][n % 3], n)
        self.on_contract("end", deals.end, actor, contract)

    @act(weight=5, when=lambda self: any(self._can_close(deal) for deal in self.world.contracts))
    def close(self, n: int) -> None:
        self.tick(n)
        contract = pick(self.world.contracts, self._can_close, n)
        self.on_contract("close", deals.close, self.actor(contract, "client", n), contract)

    def _can_close(self, contract: Contract) -> bool:
        return contract.state == "ending" and not self.world.is_unsettled(contract)

    # -- work

    def _chosen(self, side: str, states: Collection[str], n: int) -> list[tuple[Actor, Slot]]:
        """One slot, or now and then up to three, that this side may do something with."""
        count = 3 if n % 5 == 4 else 1
        found: list[Slot] = []
        for number in range(count):
            slot = pick(self.world.slots, lambda slot: slot.state in states, n + 7 * number)
            if slot not in found:
                found.append(slot)
        return [(self.actor(slot.contract, side, n), slot) for slot in found]

    @act(weight=0.25, when=lambda self: self._has("proposed", "awaiting_funding"))
    def cancel(self, n: int) -> None:
        self.tick(n)
        states = ("proposed", "awaiting_funding")
        self.on_slots("cancel", deals.cancel, self._chosen(_side(n), states, n))

    @act(weight=3, when=lambda self: self._has(*WORKING))
    def submit(self, n: int) -> None:
        self.tick(n)
        ((actor, slot), *_) = self._chosen("payee", WORKING, n)
        message = "" if n % 32 == 1 else "message:1"
        no = deals.submit(self.world, actor, slot, message=message)
        command = Submit(actor=principal(actor), slot_id=slot.id, message_ref=message)
        told = f"{name_of(actor)} submits {self.told(slot)}"
        self.driver.run("submit", service.submit, [(command, no)], told)

    @act(weight=0.6, when=lambda self: self._has("submitted"))
    def withdraw_submission(self, n: int) -> None:
        self.tick(n)
        chosen = self._chosen("payee", {"submitted"}, n)
        seen = _seen(chosen[0][1], n)
        act = deals.withdraw_submission
        self.on_slots("withdraw_submission", act, chosen[:1], submission_no=seen)

    @act(weight=1.5, when=lambda self: self._has("submitted"))
    def request_changes(self, n: int) -> None:
        self.tick(n)
        chosen = self._chosen("client", {"submitted"}, n)
        reason = "" if n % 32 == 1 else "a corner is missing"
        self.on_slots("request_changes", deals.request_changes, chosen, reason=reason)

    @act(weight=1.2, when=lambda self: self._has(*WORKING, "dormant"))
    def approve(self, n: int) -> None:
        self.tick(n)
        chosen = self._chosen("client", WORKING | {"dormant"}, n)
        seen = _seen(chosen[0][1], n) if len(chosen) == 1 else None
        self.on_slots("approve", deals.approve, chosen, submission_no=seen)

    @act(weight=1.5, when=lambda self: self._has(*WORKING), share=within(0, 110))
    def release_part(self, n: int, share: int) -> None:
        self.tick(n)
        ((actor, slot), *_) = self._chosen("client", WORKING, n)
        amount = slot.held * share // 100
        no = deals.release_part(self.world, actor, slot, amount=amount)
        command = ReleasePart(actor=principal(actor), slot_id=slot.id, amount_minor=amount)
        told = f"{name_of(actor)} releases {amount} of {self.told(slot)}"
        self.driver.run("release_part", service.release_part, [(command, no)], told)

    @act(weight=6, when=lambda self: any(_awaits_both(slot) for slot in self.world.slots))
    def confirm(self, n: int) -> None:
        self.tick(n)
        slot = pick(self.world.slots, _awaits_both, n)
        actor = self.actor(slot.contract, _side(n // 16), n)
        self.on_slots("confirm", deals.confirm, [(actor, slot)])

    # -- money back

    @act(weight=2, when=lambda self: self._has(*WORKING))
    def ask_refund(self, n: int) -> None:
        self.tick(n)
        self.on_slots("ask_refund", deals.ask_refund, self._chosen("client", WORKING, n))

    @act(when=lambda self: self._has("refund_requested"))
    def accept_refund(self, n: int) -> None:
        self.tick(n)
        chosen = self._chosen("payee", {"refund_requested"}, n)
        self.on_slots("accept_refund", deals.accept_refund, chosen)

    @act(weight=0.7, when=lambda self: self._has(*HOLDING))
    def give_back(self, n: int) -> None:
        self.tick(n)
        self.on_slots("give_back", deals.give_back, self._chosen("payee", HOLDING, n))

    @act(weight=5, when=lambda self: self._has("dormant"))
    def settle_dormant(self, n: int) -> None:
        self.tick(n)
        chosen = self._chosen("operator", {"dormant"}, n)
        self.on_slots("settle_dormant", deals.settle_dormant, chosen)

    # -- another price, another slot

    @act(
        weight=1.5,
        when=lambda self: self._has(*WORKING),
        price=amounts,
        kind=one_of(["up", "down", "roll", "roll", "any"]),
    )
    def propose_amendment(self, n: int, price: int, kind: str) -> None:
        self.tick(n)
        ((actor, slot), *_) = self._chosen(_side(n), WORKING, n)
        target = None
        if kind == "roll":
            target = pick(slot.contract.slots, lambda each: _takes_in(each, slot), n // 64)
        elif kind == "up":
            price += slot.price
        elif kind == "down":
            price = slot.released + price % max(1, slot.price - slot.released)
        (amendment_id,) = fresh_ids(1)
        new_price = None if target else price
        no = deals.propose_amendment(
            self.world, actor, slot, amendment_id, price=new_price, target=target
        )
        command = ProposeAmendment(
            actor=principal(actor),
            slot_id=slot.id,
            amendment_id=amendment_id,
            new_amount_minor=new_price,
            to_slot_id=target.id if target else None,
        )
        to = self.told(target) if target else str(price)
        told = f"{name_of(actor)} offers {self.told(slot)} to become {to}"
        self.driver.run("propose_amendment", service.propose_amendment, [(command, no)], told)

    @act(weight=18, when=lambda self: any(_is_open(offer) for offer in self.world.amendments))
    def sign_amendment(self, n: int) -> None:
        self.tick(n)
        offer = pick(self.world.amendments, _is_open, n)
        side = "client" if offer.offered_by == "payee" else "payee"
        actor = self.actor(offer.slot.contract, side, n)
        told = f"{name_of(actor)} signs for {self.told(offer.slot)}"
        no = deals.sign_amendment(self.world, actor, offer)
        kind = "roll" if offer.target else "price"
        command = SignAmendment(actor=principal(actor), amendment_id=offer.id)
        self.driver.run(f"sign_amendment {kind}", service.sign_amendment, [(command, no)], told)

    # -- money in

    @act(
        weight=4,
        when=lambda self: any(_wants_money(self, slot) for slot in self.world.slots),
        method=one_of(_METHODS),
    )
    def pay(self, n: int, method: str) -> None:
        self.tick(n)
        slot = pick(self.world.slots, lambda slot: _wants_money(self, slot), n)
        if n % 2 and self._in_wallet(slot.contract) >= 2 * slot.unpaid:
            method = "wallet"
        self.fund(self.actor(slot.contract, "client", n), slot, method)

    @act(weight=0.7, amount=amounts, method=one_of(_METHODS))
    def tip(self, n: int, amount: int, method: str) -> None:
        self.tick(n)
        contract = self.world.contracts[n // 16 % len(self.world.contracts)]
        actor = self.actor(contract, "client", n)
        there = self._in_wallet(contract)
        if n % 2 and there:
            method, amount = "wallet", 1 + amount % there
        (funding_id,) = fresh_ids(1)
        no = money.tip(self.world, actor, contract, funding_id, amount=amount, method=method)
        command = Tip(
            actor=principal(actor),
            contract_id=contract.id,
            funding_id=funding_id,
            amount_minor=amount,
            method=PayMethod(method),
        )
        told = f"{name_of(actor)} tips {money_of(amount, contract.currency)} by {method}"
        name = "tip wallet" if method == "wallet" else "tip"
        self.driver.run(name, service.tip, [(command, no)], told)

    @act(weight=1, when=lambda self: any(f.state in OPEN_FUNDING for f in self.world.fundings))
    def cancel_funding(self, n: int) -> None:
        self.tick(n)
        paid = pick(self.world.fundings, lambda paid: paid.state in OPEN_FUNDING, n)
        self.give_up(self.actor(paid.contract, "client", n), paid)

    @act(weight=8, when=lambda self: any(f.state == "mismatch" for f in self.world.fundings))
    def credit_receipt(self, n: int) -> None:
        self.tick(n)
        paid = pick(self.world.fundings, lambda paid: paid.state == "mismatch", n)
        actor = self.actor(paid.contract, "operator", n)
        no = money.credit_receipt(self.world, actor, paid)
        command = FundingCommand(actor=principal(actor), funding_id=paid.id)
        told = f"{name_of(actor)} credits what came late, {paid.asked}"
        self.driver.run("credit_receipt", service.credit_receipt, [(command, no)], told)

    # -- money out

    @act(weight=0.4)
    def name_method(self, n: int) -> None:
        self.tick(n)
        payee = pick(self.world.parties[:4], lambda party: party.kind == "freelancer", n)
        actor: Actor = payee if n % 16 != 15 else "stranger"
        self.add_method(actor, payee, f"bank:{n // 64 % 3}")

    @act(weight=3, when=lambda self: any(self.world.available.values()), share=within(1, 110))
    def request_payout(self, n: int, share: int) -> None:
        self.tick(n)
        earned = [(key, amount) for key, amount in self.world.available.items() if amount]
        (payee, currency), there = earned[n // 16 % len(earned)]
        likely = [m for m in self.world.methods if m.party is payee and m.is_active]
        method = (likely or self.world.methods)[-1]
        amount = max(1, there * share // 100 if share < 60 or share > 100 else there)
        actor: Actor = payee if n % 16 != 15 else ["operator", "stranger"][n // 16 % 2]  # type: ignore[assignment]
        (payout_id,) = fresh_ids(1)
        no = money.request_payout(
            self.world,
            actor,
            payout_id,
            payee=payee,
            method=method,
            currency=currency,
            amount=amount,
        )
        command = RequestPayout(
            actor=principal(actor),
            payout_id=payout_id,
            payee_id=payee.id,
            method_id=method.id,
            amount_minor=amount,
            currency=currency,
        )
        told = f"{name_of(actor)} asks to be paid {money_of(amount, currency)}"
        self.driver.run("request_payout", payouts.request, [(command, no)], told)

    @act(weight=4, when=lambda self: any(_is_requested(each) for each in self.world.payouts))
    def submit_payout(self, n: int) -> None:
        self.tick(n)
        payout = pick(self.world.payouts, _is_requested, n)
        actor: Actor = "operator" if n % 16 != 15 else payout.payee
        no = money.submit_payout(self.world, actor, payout)
        command = PayoutCommand(actor=principal(actor), payout_id=payout.id)
        told = f"{name_of(actor)} submits a payout of {money_of(payout.net, payout.currency)}"
        self.driver.run("submit_payout", payouts.submit, [(command, no)], told)

    @act(weight=1.5, when=lambda self: any(_is_requested(each) for each in self.world.payouts))
    def submit_due(self, n: int) -> None:
        """What waits is submitted in the order in which it was asked for."""
        self.tick(n)
        waiting = [each for each in self.world.payouts if _is_requested(each)]
        asked: list[tuple[object, Reasons]] = [
            (payout.id, money.submit_payout(self.world, None, payout)) for payout in waiting
        ]
        self.driver.run("submit_due", _submit_due, asked, "the engine submits what waits")

    @act(when=lambda self: any(_is_requested(each) for each in self.world.payouts))
    def cancel_payout(self, n: int) -> None:
        self.tick(n)
        payout = pick(self.world.payouts, _is_requested, n)
        actor: Actor = payout.payee if n % 16 != 15 else "stranger"
        no = money.cancel_payout(self.world, actor, payout)
        command = PayoutCommand(actor=principal(actor), payout_id=payout.id)
        told = f"{name_of(actor)} takes back a payout of {payout.amount} {payout.currency}"
        self.driver.run("cancel_payout", payouts.cancel, [(command, no)], told)

    @act(weight=8, when=lambda self: any(party.paused for party in self.world.parties))
    def resume_payouts(self, n: int) -> None:
        self.tick(n)
        party = pick(self.world.parties, lambda party: party.paused, n)
        actor: Actor = "operator" if n % 16 != 15 else party
        no = set()
        if actor != "operator":
            no.add("payouts.operator_only")
        if not party.paused:
            no.add("payouts.not_paused")
        if not no:
            party.paused = False
        command = Resume(actor=principal(actor), party_id=party.id)
        told = f"{name_of(actor)} lets payouts of {party.name} go on"
        self.driver.run("resume_payouts", methods.resume, [(command, frozenset(no))], told)

    @act(weight=0.8)
    def settle(self, n: int) -> None:
        self.tick(n)
        self._settle()

    @act(weight=2.5)
    def end_the_day(self, n: int) -> None:
        """What a day's end is: hear the rail, settle, and let the rail move the money."""
        self.driver.wait((1 + n % 2) * DAY)
        self.driver.run_rail(frozenset())
        self._settle()
        self.driver.run_rail(frozenset())

    def _settle(self) -> None:
        money.settle(self.world)
        with self.driver.books.connection.begin_nested():
            settlement.settle(self.driver.books.connection, at=self.driver.at)
        self.driver.tally["settle done"] += 1
        self.driver.say("the books are settled")
        self.driver.check()

    @act(weight=0.3, currency=one_of(CURRENCIES), amount=amounts)
    def pay_in_capital(self, n: int, currency: str, amount: int) -> None:
        self.tick(n)
        self.open_capital("operator" if n % 16 != 15 else self.world.parties[0], [currency], amount)

    @act(weight=0.3, currency=one_of(CURRENCIES), fee=one_of([0, 1, 150, 5_000]))
    def change_fee(self, n: int, currency: str, fee: int) -> None:
        self.tick(n)
        self.set_fees("operator" if n % 16 != 15 else "stranger", [currency], fee)

    # -- what happens by itself

    @act(weight=5, when=lambda self: self.world.rail.has_news(self.world.now))
    def call_rail(self, n: int) -> None:
        """The rail worker comes by; often something unusual happens."""
        dice = Random(n)
        unsent = {o.kind for o in self.world.rail.operations if not o.is_sent}
        tokens = [token for kind in sorted(unsent) for token in _TOKENS.get(kind, ())]
        tokens += dice.sample(_ANY_TOKENS, 2)
        self.driver.run_rail(frozenset(dice.sample(tokens, dice.choice((0, 1, 1, 2)))))

    @act(weight=4, seconds=one_of(_WAITS))
    def wait(self, _n: int, seconds: int) -> None:
        self.driver.say(f"{seconds} seconds pass")
        self.driver.wait(seconds)


ACTS: Final = collect(Market)


def _side(number: int) -> str:
    return ["client", "payee"][number % 2]


def _seen(slot: Slot, number: int) -> int | None:
    """Which submission the actor says that he looked at."""
    return [None, slot.submission, slot.submission, slot.submission + 1][number // 32 % 4]


def _has_offer(contract: Contract) -> bool:
    return any(slot.state == "proposed" for slot in contract.slots)


def _awaits_both(slot: Slot) -> bool:
    return slot.state == "submitted" and slot.contract.terms.release_rule == "both_confirm"


def _takes_in(slot: Slot, source: Slot) -> bool:
    return slot is not source and slot.state in WORKING | {"awaiting_funding"}


def _is_open(offer: Amendment) -> bool:
    return offer.state == "proposed" and offer.version == offer.slot.version


def _is_requested(payout: Payout) -> bool:
    return payout.state == "requested"


def _wants_money(market: Market, slot: Slot) -> bool:
    if slot.state == "awaiting_funding":
        return True
    return slot.state in WORKING and slot.unpaid > 0 and not market.world.has_open_funding(slot)


def _submit_due(
    connection: Connection, _asked: Sequence[object], *, at: datetime
) -> Sequence[Outcome]:
    return payouts.submit_due(connection, at=at)
