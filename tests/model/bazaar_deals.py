"""Milestones of the market: enough of them that there is money to dispute, to return, to hold."""

from collections.abc import Callable
from random import Random
from typing import Final
from uuid import UUID

from escrow import service
from escrow.commands import (
    ContractCommand,
    Fund,
    Milestone,
    Propose,
    ReleasePart,
    SlotCommand,
    Submit,
)
from escrow.model import Method
from kernel.ids import new_id
from rails.model import OperationKind, RailOutcome, RailResult
from tests.model import parts
from tests.model.acts import act, amounts, one_of, within
from tests.model.bazaar import Bazaar
from tests.model.model import HOLDING, WORKING
from tests.model.parts import Effect, Purse
from tests.model.sight import Row, Sight

_LIVE: Final = ("awaiting_funding", "funding", *HOLDING, "disputed")
_DAY: Final = 86_400
_WAITS: Final = (3_600, *(days * _DAY for days in (1, 1, 2, 5, 8, 16, 31)))


class Deals(Bazaar):
    """Offered, paid, shown, released, given back."""

    def open_deal(self, number: int, dice: Random) -> None:
        super().open_deal(number, dice)
        if number == 0:
            self.propose_milestones([amounts(dice) + 10 for _ in range(2)], dice)
            for slot in self.rows("slot", lambda slot: slot["state"] == "awaiting_funding"):
                self.pay(slot, Method.CARD)

    def propose_milestones(self, prices: list[int], dice: Random) -> None:
        client, payee = dice.choice(self.clients), dice.choice(self.payees)
        contract_id = new_id()
        assert client.actor.party_id is not None
        assert payee.actor.party_id is not None
        offer = Propose(
            actor=payee.actor,
            contract_id=contract_id,
            client_id=client.actor.party_id,
            payee_id=payee.actor.party_id,
            currency=self.currency,
            milestones=tuple(Milestone(slot_id=new_id(), amount_minor=each) for each in prices),
            terms=self.terms(dice),
        )
        self.run("propose", service.propose, offer, may=True)
        self.before_acceptance(contract_id, dice.getrandbits(16))
        accept = ContractCommand(actor=client.actor, contract_id=contract_id)
        self.run("accept", service.accept, accept, may=True)

    def before_acceptance(self, contract_id: UUID, n: int) -> None:
        """What may be asked of an offer."""

    def pay(self, slot: Row, method: Method) -> None:
        """Pay, and let the rail take it at once."""
        deal = self.deal_of(slot)
        command = Fund(
            actor=self.as_party(deal["client_id"]),
            slot_id=UUID(slot["id"]),
            funding_id=new_id(),
            method=method,
        )
        self.run("fund", service.fund, command, may=True)
        funding = self.now.one("funding", id=str(command.funding_id))
        before = slot["amount_minor"] - funding["amount_minor"]
        fee = self.prices.client_fee(deal, funding["amount_minor"], before)
        if funding["client_fee_minor"] != fee:
            self.fail(f"a client's fee of {funding['client_fee_minor']} instead of {fee}")
        self.hear_funding(funding, RailOutcome.DONE, 31)

    def slot_of_milestone(self, n: int, *states: str) -> Row | None:
        """A slot of a milestone, likely in one of the states."""
        found = self.pick(
            "slot", lambda row: row["id"] == row["term_id"] and row["state"] in states, n
        )
        return found if found and found["id"] == found["term_id"] else None

    def is_free(self, slot: Row) -> bool:
        """Whether nothing stands in the way of a release or a refund."""
        return not slot["uncleared_minor"] and not self.is_disputed(slot)

    def is_disputed(self, slot: Row) -> bool:
        """Whether the hold of a dispute stands on the slot."""
        subject = f"slot:{slot['id']}"
        return bool(
            self.rows(
                "hold",
                lambda h: (h["subject"], h["kind"], h["lifted_at"]) == (subject, "dispute", None),
            )
        )

    def is_running(self, slot: Row) -> bool:
        return str(self.deal_of(slot)["state"]) in {"active", "paused"}

    # -- acts

    @act(weight=0.8, prices=lambda dice: [amounts(dice) + 10 for _ in range(dice.randint(1, 2))])
    def new_deal(self, n: int, prices: list[int]) -> None:
        live = self.rows("slot", lambda slot: slot["state"] in _LIVE)
        if len(live) < 6:
            self.propose_milestones(prices, Random(n))

    @act(weight=2)
    def pay_for_slot(self, n: int) -> None:
        slot = self.slot_of_milestone(n, "awaiting_funding")
        if slot and slot["state"] == "awaiting_funding" and self.is_running(slot):
            self.pay(slot, Method.CARD)

    @act(weight=2)
    def submit(self, n: int) -> None:
        if slot := self.slot_of_milestone(n, *WORKING):
            right = self.as_party(self.deal_of(slot)["payee_id"])
            actor = self.anyone(right, n)
            command = Submit(actor=actor, slot_id=UUID(slot["id"]), message_ref="message:1")
            may = actor == right and slot["state"] in WORKING
            self.run("submit", service.submit, command, may=may, told=slot["state"])

    @act(weight=1)
    def approve(self, n: int) -> None:
        if slot := self.slot_of_milestone(n, *WORKING):
            right = self.as_party(self.deal_of(slot)["client_id"])
            actor = self.anyone(right, n)
            may = actor == right and slot["state"] in WORKING and self.is_free(slot)
            effect = Effect()
            if may:
                Purse(self.now, slot, effect).release(slot["held_minor"])
            command = SlotCommand(actor=actor, slot_id=UUID(slot["id"]))
            self.run(
                "approve", service.approve, command, may=may, effect=effect, told=slot["state"]
            )

    @act(weight=1.5, share=within(0, 110))
    def release_part(self, n: int, share: int) -> None:
        if slot := self.slot_of_milestone(n, *WORKING):
            right = self.as_party(self.deal_of(slot)["client_id"])
            actor = self.anyone(right, n)
            amount = slot["held_minor"] * share // 100
            may = actor == right and slot["state"] in WORKING and self.is_free(slot)
            may = may and 0 < amount < slot["held_minor"]
            effect = Effect()
            if may:
                Purse(self.now, slot, effect).release(amount)
            command = ReleasePart(actor=actor, slot_id=UUID(slot["id"]), amount_minor=amount)
            self.run("release_part", service.release_part, command, may=may, effect=effect)

    @act(weight=0.6)
    def ask_refund(self, n: int) -> None:
        if slot := self.slot_of_milestone(n, *WORKING):
            right = self.as_party(self.deal_of(slot)["client_id"])
            actor = self.anyone(right, n)
            may = actor == right and slot["state"] in WORKING
            command = SlotCommand(actor=actor, slot_id=UUID(slot["id"]))
            self.run("ask_refund", service.ask_refund, command, may=may, told=slot["state"])

    @act(weight=0.6)
    def give_back(self, n: int) -> None:
        slot = self.pick("slot", lambda row: row["state"] in HOLDING, n)
        if slot:
            right = self.as_party(self.deal_of(slot)["payee_id"])
            actor = self.anyone(right, n)
            is_milestone = slot["id"] == slot["term_id"]
            may = actor == right and slot["state"] in HOLDING and self.is_free(slot)
            effect = Effect()
            if may:
                Purse(self.now, slot, effect).send_back(slot["held_minor"])
            command = SlotCommand(actor=actor, slot_id=UUID(slot["id"]))
            known = may if is_milestone or not may else None
            self.run("give_back", service.give_back, command, may=known, effect=effect)

    @act(weight=2.5, outcome=one_of((RailOutcome.DONE, RailOutcome.DONE, RailOutcome.REFUSED)))
    def hear_refund(self, n: int, outcome: RailOutcome) -> None:
        refund = self.pick("refund", lambda row: row["state"] == "approved", n)
        if not refund or refund["state"] != "approved":
            return
        result = RailResult(
            operation_id=UUID(refund["id"]),
            kind=OperationKind.REFUND,
            subject=f"refund:{refund['id']}",
            outcome=outcome,
            amount_minor=refund["amount_minor"] + refund["fee_minor"],
            currency=self.currency,
            fee_minor=0,
            occurred_at=self.at,
        )
        effect = parts.refund_ends(refund, bounces=outcome is RailOutcome.REFUSED)
        self.run("refund result", service.refund_results, result, may=True, effect=effect)

    @act(
        weight=4,
        seconds=one_of((3_600, _DAY, _DAY, 2 * _DAY, 5 * _DAY, 8 * _DAY, 16 * _DAY, 31 * _DAY)),
    )
    def wait(self, n: int, seconds: int) -> None:
        self.let_pass(seconds, Random(n))

    # -- clocks

    def rings_auto_release(self, slot_id: str) -> Effect:
        slot = self.now.one("slot", id=slot_id)
        effect = Effect()
        if slot["state"] == "submitted" and self.is_free(slot):
            Purse(self.now, slot, effect).release(slot["held_minor"])
        return effect

    def rings_refund_reply(self, slot_id: str) -> Effect:
        slot = self.now.one("slot", id=slot_id)
        effect = Effect()
        if slot["state"] == "refund_requested" and self.is_free(slot):
            Purse(self.now, slot, effect).send_back(slot["held_minor"])
        return effect

    def rings_dormant(self, slot_id: str) -> Callable[[Sight], Effect]:
        """Row 18: in the end to the payee if work lies there, else back to the client."""
        before = self.now
        slot = before.one("slot", id=slot_id)

        def said(after: Sight) -> Effect:
            effect = Effect()
            state = after.one("slot", id=slot_id)["state"]
            purse = Purse(before, slot, effect)
            if state == "released" != slot["state"]:
                assert slot["submission_no"]
                purse.release(purse.held)
            elif state == "refunded" != slot["state"]:
                assert not slot["submission_no"]
                purse.send_back(purse.held)
            return effect

        return said

    def rings_security_hold(self, release_id: str) -> Effect:
        release = self.now.one("release", id=release_id)
        return parts.becomes_available(self.now, release, recovery_bps=self.recovery_bps)
