"""What changes a deal from outside or on the way: chargebacks, pauses, amendments, reserves.

Money of a contract that this befell is no longer told to the cent; its slots must still hold what
the books hold, and what the bank itself moves is told.
"""

from collections import Counter
from datetime import timedelta
from random import Random
from typing import Final
from uuid import UUID

from escrow import (
    service_chargeback,
    service_hybrid,
    service_reserve,
    service_retainer_pause,
    service_work,
)
from escrow.commands import SlotCommand
from escrow.model_chargeback import (
    ChargebackCommand,
    ChargebackState,
    Direction,
    FileStatement,
    Movement,
    TellPayee,
    Word,
)
from escrow.model_clocks import SetHoldLimit, SetReserveRule
from escrow.model_hybrid import ProposeTermAmendment, TermAmendmentCommand
from escrow.model_retainer import RetainerCommand
from kernel.ids import new_id
from kernel.principals import RAIL
from tests.model import parts
from tests.model.acts import act, one_of, within
from tests.model.bazaar_hours import Hours
from tests.model.parts import Effect
from tests.model.sight import Row

_STATES: Final = ("needs_response", "needs_response", "warning", "won", "lost", "under_review")
_NO_ID: Final = UUID(int=0)


class More(Hours):
    """The client's bank, and people who change their minds."""

    # -- chargebacks

    @act(weight=0.25, when=lambda self: not self.rows("chargeback"))
    def bank_begins(self, n: int) -> None:
        """The client's bank wants its money back, of a payment for a milestone."""
        funding = self.pick("funding", lambda row: row["state"] == "succeeded", n)
        if not funding or funding["method"] != "card" or not funding["slot_id"]:
            return
        if funding["state"] == "succeeded":
            self._bank_says(funding, "needs_response", funding["captured_minor"], 1)

    @act(
        weight=4,
        when=lambda self: self.rows("chargeback"),
        state=one_of(_STATES),
        amount=one_of((0, 0, 1, 700, 10**6)),
    )
    def bank_goes_on(self, n: int, state: str, amount: int) -> None:
        row = self.pick("chargeback", bool, n)
        assert row is not None
        funding = self.now.one("funding", id=row["funding_id"])
        moved = min(amount, funding["captured_minor"])
        self._bank_says(funding, state, moved, 1 if n % 3 else -1)

    def _bank_says(self, funding: Row, state: str, amount: int, sign: int) -> None:
        """A word of the rail; `sign` 1: it takes so much, and 15 for itself; -1: it gives back."""
        self.loose.add(funding["contract_id"])
        fee = 15 if amount and sign > 0 else 0
        self.words += 1
        movement = Movement(
            funding["rail_account"],
            f"txn_{self.words}",
            _NO_ID,
            Direction.WITHDRAWN if sign > 0 else Direction.REINSTATED,
            amount,
            amount,
            fee,
            self.at,
            self.at,
        )
        word = Word(
            actor=RAIL,
            rail=funding["rail_account"],
            rail_ref=f"dp_{funding['id']}",
            funding_id=UUID(funding["id"]),
            currency=funding["currency"],
            amount_minor=funding["captured_minor"],
            occurred_at=self.at,
            state=ChargebackState(state),
            reason="fraudulent",
            due_by=self.at + timedelta(days=14),
            movement=movement if amount else None,
        )
        verb = service_chargeback.hear_chargebacks
        before = self.now.accounts["custody.processor_available[]"]
        self.run("hear_chargebacks", verb, word, may=None, told=f"{state} {sign * amount}")
        moved = self.now.accounts["custody.processor_available[]"] - before
        if self.story[-1].endswith("done") and moved != -sign * amount - fee:
            self.fail(f"the bank moved {-sign * amount - fee}, the books {moved}")

    words = 0

    @act(weight=4, when=lambda self: self.rows("chargeback"))
    def answer_bank(self, n: int) -> None:
        """The payee is told, answers, and the evidence is sent."""
        row = self.pick("chargeback", bool, n)
        assert row is not None
        verb = ("tell_payee", "file_statement", "submit_evidence")[(n // 16 + len(self.story)) % 3]
        payee = self.as_party(self.deal_of(row)["payee_id"])
        right = payee if verb == "file_statement" else self.operators[n // 64 % 3]
        actor = self.anyone(right, n)
        chargeback_id = UUID(row["id"])
        command = {
            "tell_payee": TellPayee(
                actor=actor, chargeback_id=chargeback_id, channel="email", proof="delivery:1"
            ),
            "file_statement": FileStatement(
                actor=actor, chargeback_id=chargeback_id, reference="chat:1", sha256="ab" * 32
            ),
            "submit_evidence": ChargebackCommand(actor=actor, chargeback_id=chargeback_id),
        }[verb]
        may = None if actor == payee or actor.is_operator else False
        if verb != "file_statement" and not actor.is_operator:
            may = False
        self.run(verb, getattr(service_chargeback, verb), command, may=may)

    # -- pauses and amendments of terms

    @act(weight=1, when=lambda self: self.rows("retainer", lambda r: r["state"] == "running"))
    def pause_retainer(self, n: int) -> None:
        self._pause_or_resume("pause_retainer", n)

    @act(
        weight=4,
        when=lambda self: self.rows("retainer_period", lambda row: row["state"] == "paused"),
    )
    def resume_retainer(self, n: int) -> None:
        self._pause_or_resume("resume_retainer", n)

    def _pause_or_resume(self, verb: str, n: int) -> None:
        retainer = self.pick("retainer", lambda row: row["state"] == "running", n)
        assert retainer is not None
        deal = self.deal_of(retainer)
        side = ("client_id", "payee_id")[(n // 16 + len(self.story)) % 2]
        actor = self.anyone(self.as_party(deal[side]), n)
        is_ours = actor.is_operator or str(actor.party_id) in {deal["client_id"], deal["payee_id"]}
        self.loose.add(deal["id"])
        command = RetainerCommand(actor=actor, retainer_id=UUID(retainer["id"]))
        run = getattr(service_retainer_pause, verb)
        self.run(verb, run, command, may=None if is_ours else False)

    @act(weight=0.5)
    def propose_term_amendment(self, n: int) -> None:
        """Offer to end a term of any kind."""
        table = ("slot", "hourly_term", "retainer")[(n // 16 + len(self.story)) % 3]
        term = self.pick(table, lambda row: row["state"] in {"active", "running", "funded"}, n)
        if not term:
            return
        deal = self.deal_of(term)
        side = ("client_id", "payee_id")[n // 64 % 2]
        actor = self.anyone(self.as_party(deal[side]), n)
        is_ours = str(actor.party_id) in {deal["client_id"], deal["payee_id"]}
        self.loose.add(deal["id"])
        command = ProposeTermAmendment(
            actor=actor,
            amendment_id=new_id(),
            term_id=UUID(term.get("term_id") or term["id"]),
            reason="enough",
        )
        verb = service_hybrid.propose_term_amendment
        self.run("propose_term_amendment", verb, command, may=None if is_ours else False)

    @act(weight=6, when=lambda self: self.rows("term_amendment", _is_offered))
    def answer_term_amendment(self, n: int) -> None:
        """Signed or rejected by the other side, withdrawn by its own."""
        offer = self.pick("term_amendment", _is_offered, n)
        assert offer is not None
        verbs = ("sign_term_amendment", "reject_term_amendment", "withdraw_term_amendment")
        verb = verbs[(n // 16 + len(self.story)) % 3]
        own = offer["proposed_by"]
        other = {"client": "payee", "payee": "client"}[own]
        side = own if verb == "withdraw_term_amendment" else other
        right = self.as_party(self.deal_of(offer)[f"{side}_id"])
        actor = self.anyone(right, n)
        command = TermAmendmentCommand(
            actor=actor, amendment_id=UUID(offer["id"]), reason="as we said"
        )
        may = None if actor == right and _is_offered(offer) else False
        run = getattr(service_hybrid, verb)
        self.run(verb, run, command, may=may, effect=parts.untold() if may is None else Effect())

    # -- rules

    @act(weight=0.25, bps=one_of((0, 1_000)))
    def set_reserve_rule(self, n: int, bps: int) -> None:
        actor = self.program if n % 16 == 3 else self.anyone(self.operators[n % 3], n)
        payee = self.payees[n // 16 % 2]
        command = SetReserveRule(
            actor=actor, payee_id=UUID(payee.id), reserve_bps=bps, reserve_days=30, reason="new"
        )
        may = None if actor.is_operator and actor != self.program else False
        verb = service_reserve.set_reserve_rule
        if self.run("set_reserve_rule", verb, command, may=may).is_done:
            self.reserves_of.add(payee.id)

    def set_up(self, dice: Random) -> None:
        self.reserves_of: set[str] = set()
        super().set_up(dice)

    def rings_security_hold(self, release_id: str) -> Effect:
        """P09; a part that is kept back of a risky payee is not told, all else is."""
        release = self.now.one("release", id=release_id)
        effect = super().rings_security_hold(release_id)
        if release["payee_id"] in self.reserves_of:
            key = f"custody.earned_pending[{release['payee_id']}]"
            return Effect(Counter({key: effect.accounts[key]}), is_told=False)
        return effect

    def rings_reserve_release(self, _reserve_id: str) -> Effect:
        return parts.untold()

    @act(weight=0.25, days=within(1, 90))
    def set_hold_limit(self, n: int, days: int) -> None:
        actor = self.program if n % 16 == 3 else self.anyone(self.operators[n % 3], n)
        command = SetHoldLimit(actor=actor, rail_account="another", most_days=days)
        may = None if actor.is_operator and actor != self.program else False
        self.run("set_hold_limit", service_reserve.set_hold_limit, command, may=may)

    @act(weight=1.5, when=lambda self: self.rows("slot", lambda r: r["state"] == "submitted"))
    def flag_empty(self, n: int) -> None:
        if slot := self.slot_of_milestone(n, "submitted"):
            right = self.as_party(self.deal_of(slot)["client_id"])
            actor = self.anyone(right, n)
            may = None if actor == right and slot["state"] == "submitted" else False
            command = SlotCommand(actor=actor, slot_id=UUID(slot["id"]), reason="nothing in it")
            self.run("flag_empty", service_work.flag_empty, command, may=may)


def _is_offered(row: Row) -> bool:
    return bool(row["state"] == "proposed")
