"""Released money of the market: refunds after release, claims on payees, writing them off."""

from random import Random
from uuid import UUID

from escrow import service_claims
from escrow.model_chargeback import RefundLater
from escrow.model_claim import ApproveWriteOff, ProposeWriteOff, SetClaimRules
from kernel.ids import new_id
from tests.model import parts
from tests.model.acts import act, within
from tests.model.bazaar_disputes import Disputes
from tests.model.parts import Effect


class Claims(Disputes):
    """What goes back after release, and what is owed for it."""

    @act(weight=2.5, share=within(1, 110))
    def refund_later(self, n: int, share: int) -> None:
        slot = self.pick("slot", lambda row: row["released_minor"] > row["returned_minor"], n)
        if not slot:
            return
        deal = self.deal_of(slot)
        right = self.as_party(deal["payee_id"])
        actor = self.operators[0] if n % 5 == 0 else self.anyone(right, n)
        kept = slot["released_minor"] - slot["returned_minor"]
        amount = max(1, kept * share // 100)
        agreement = "" if n % 16 == 5 else "mail:1"
        may = actor == right or (actor.is_operator and bool(agreement))
        may = may and amount <= kept - slot["contested_minor"]
        ours = parts.Purse(self.now, slot, Effect()).unwound(min(kept, amount)).whole
        available = self.now.balance("custody.earned_available", deal["payee_id"])
        may = may and (self.fronts or amount - ours <= available)
        known = None if self.is_disputed(slot) or slot["uncleared_minor"] else may
        effect = Effect()
        if may:
            effect = parts.refunded_later(self.now, slot, amount)
        command = RefundLater(
            actor=actor, slot_id=UUID(slot["id"]), amount_minor=amount, agreement_ref=agreement
        )
        verb = service_claims.refund_later
        told = f"{amount} of {kept} in {slot['state']}"
        self.run("refund_later", verb, command, may=known, effect=effect, told=told)

    def set_up(self, dice: Random) -> None:
        super().set_up(dice)
        self.set_claim_rules(dice.choice((1, 4, 6)))

    @act(weight=0.7)
    def set_claim_rules(self, n: int) -> None:
        actor = self.program if n % 16 == 3 else self.anyone(self.operators[n % 3], n)
        fronts, bps = n % 4 != 0, (2_500, 10_000, 0)[n // 4 % 3]
        command = SetClaimRules(
            actor=actor, currency=self.currency, fronts_refunds=fronts, recovery_bps=bps
        )
        may = actor.is_operator and actor != self.program
        if self.run("set_claim_rules", service_claims.set_claim_rules, command, may=may).is_done:
            self.fronts, self.recovery_bps = fronts, bps

    @act(weight=4, when=lambda self: self.rows("claim", lambda row: row["state"] == "open"))
    def propose_write_off(self, n: int) -> None:
        claim = self.pick("claim", lambda row: row["state"] == "open", n)
        assert claim is not None
        actor = self.program if n % 16 == 3 else self.anyone(self.operators[n % 3], n)
        waiting = self._proposed(claim["id"])
        may = actor.is_operator and actor != self.program and claim["state"] == "open"
        command = ProposeWriteOff(
            actor=actor, claim_id=UUID(claim["id"]), write_off_id=new_id(), reason="gone"
        )
        verb = service_claims.propose_write_off
        self.run("propose_write_off", verb, command, may=may and not waiting)

    @act(
        weight=8,
        when=lambda self: self.rows("claim_write_off", lambda row: row["approver_id"] is None),
    )
    def approve_write_off(self, n: int) -> None:
        claim = self.pick("claim", lambda row: self._proposed(row["id"]), n)
        assert claim is not None
        right = self.operators[(n // 16 + len(self.story)) % 3]
        actor = self.program if n % 16 == 3 else self.anyone(right, n)
        waiting = self._proposed(claim["id"])
        may = bool(waiting) and actor.is_operator and actor != self.program
        may = may and claim["state"] == "open"
        may = may and str(actor.principal_id) != waiting[0]["proposer_id"]
        effect = parts.written_off(claim) if may else Effect()
        command = ApproveWriteOff(actor=actor, claim_id=UUID(claim["id"]))
        verb = service_claims.approve_write_off
        self.run("approve_write_off", verb, command, may=may, effect=effect)

    def _proposed(self, claim_id: str) -> list[dict[str, object]]:
        return self.rows(
            "claim_write_off",
            lambda row: row["claim_id"] == claim_id and row["approver_id"] is None,
        )
