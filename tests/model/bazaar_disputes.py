"""Disputes of the market: who may take which step when, and where the money is after it."""

from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from escrow import service_dispute
from escrow.model import Role
from escrow.model_dispute import (
    AcceptOffer,
    Appeal,
    DisputeCommand,
    FileEvidence,
    MakeOffer,
    OpenDispute,
    ProposeDecision,
    Recommend,
    Serve,
    SetDisputeRules,
)
from kernel.ids import new_id
from kernel.principals import Actor
from tests.model import parts
from tests.model.acts import act, within
from tests.model.bazaar import moment
from tests.model.bazaar_deals import Deals
from tests.model.model import HOLDING
from tests.model.parts import Effect
from tests.model.sight import Row

_UNANSWERED: Final = ("opened", "awaiting_reply")
_BARGAINING: Final = ("negotiation", "mediation", "recommendation", "arbitration_elect")
_UNSETTLED: Final = (*_UNANSWERED, *_BARGAINING, "arbitration")
_WITHDRAWABLE: Final = (*_UNANSWERED, "negotiation", "mediation")
_TIMED: Final = ("awaiting_reply", *_BARGAINING)
_OTHER: Final = {"client": "payee", "payee": "client"}


class Disputes(Deals):
    """Opened, answered, bargained over, judged, carried out."""

    def dispute(self, n: int, *states: str) -> Row | None:
        return self.pick("dispute", lambda row: row["state"] in states, n)

    def side(self, dispute: Row, role: str) -> Actor:
        return self.as_party(self.deal_of(dispute)[f"{role}_id"])

    def role_of(self, dispute: Row, actor: Actor) -> str:
        """`client`, `payee`, `operator`, or nothing."""
        if actor.is_operator:
            return "operator"
        deal = self.deal_of(dispute)
        names = {deal["client_id"]: "client", deal["payee_id"]: "payee"}
        return names.get(str(actor.party_id), "")

    def take(self, name: str, dispute: Row, command: Any, *, may: object, effect: Effect) -> None:
        verb = getattr(service_dispute, name)
        told = f"{dispute['state']} by {self.role_of(dispute, command.actor) or 'a stranger'}"
        self.run(name, verb, command, may=may, effect=effect, told=told)

    def ends(self, dispute: Row, payee: int | None, *, resolution: str) -> Effect:
        return parts.dispute_ends(self.now, dispute, payee, resolution=resolution)

    def claimed(self, dispute: Row) -> int:
        """The payee's share if the claimant has all that he claims."""
        return dispute["claim_minor"] if dispute["claimant"] == "payee" else 0

    # -- opening

    @act(weight=3, share=within(0, 150))
    def open_dispute(self, n: int, share: int) -> None:
        slot = self.slot_of_milestone(n, *HOLDING)
        if not slot or not slot["held_minor"]:
            return
        deal = self.deal_of(slot)
        role = ("client", "payee")[n % 2]
        actor = self.anyone(self.as_party(deal[f"{role}_id"]), n)
        amount = slot["held_minor"] * min(share, 100) // 100 if share < 149 else share + 10**9
        mine = {deal["client_id"]: "client", deal["payee_id"]: "payee"}.get(str(actor.party_id), "")
        claimant = role if actor.is_operator else mine
        rejects = slot["state"] == "refund_requested" and mine == "payee"
        may = (
            slot["state"] in HOLDING
            and bool(claimant)
            and 0 < amount <= slot["held_minor"]
            and not self.is_disputed(slot)
        )
        known = None if slot["state"] == "dormant" or slot["uncleared_minor"] else may
        command = OpenDispute(
            actor=actor,
            dispute_id=new_id(),
            slot_id=UUID(slot["id"]),
            amount_minor=amount,
            claimant=Role(role) if actor.is_operator else None,
            rejects_refund=rejects,
            reason="not what was agreed",
        )
        effect = parts.frozen(slot, amount) if may else Effect()
        verb = service_dispute.open_dispute
        self.run("open_dispute", verb, command, may=known, effect=effect, told=slot["state"])

    @act(weight=2, share=within(1, 100))
    def dispute_released(self, n: int, share: int) -> None:
        """Released money in its security hold (edge case 1); by the client."""
        release = self.pick("release", lambda row: row["state"] == "pending", n)
        if not release or not release["slot_id"]:
            return
        slot = self.now.one("slot", id=release["slot_id"])
        if slot["id"] != slot["term_id"]:
            return
        actor = self.anyone(self.as_party(self.deal_of(slot)["client_id"]), n)
        free = release["gross_minor"] - release["taken_gross_minor"]
        kept = slot["released_minor"] - slot["returned_minor"] - slot["contested_minor"]
        most = min(free, kept)
        amount = max(1, most * share // 100)
        is_client = str(actor.party_id) == self.deal_of(slot)["client_id"]
        may = (
            release["state"] == "pending"
            and is_client
            and 0 < amount <= most
            and slot["state"] != "disputed"
            and not self.is_disputed(slot)
        )
        command = OpenDispute(
            actor=actor,
            dispute_id=new_id(),
            slot_id=UUID(slot["id"]),
            amount_minor=amount,
            release_id=UUID(release["id"]),
            reason="not what was agreed",
        )
        effect = parts.set_aside(self.now, slot, release, amount) if may else Effect()
        verb = service_dispute.open_dispute
        self.run("open_dispute later", verb, command, may=may, effect=effect)

    @act(weight=12, when=lambda self: self.rows("dispute", self.may_appeal))
    def appeal(self, n: int) -> None:
        """By who lost by silence, within seven days, over what is in its security hold."""
        lost = self.pick("dispute", self.may_appeal, n)
        if not lost:
            return
        right = self.side(lost, _OTHER[lost["claimant"]])
        command = Appeal(
            actor=self.anyone(right, n),
            dispute_id=UUID(lost["id"]),
            appeal_id=new_id(),
            reason="I was not told",
        )
        if command.actor != right or not _was_default(lost):
            self.take("appeal_dispute", lost, command, may=False, effect=Effect())
            return
        self.take("appeal_dispute", lost, command, may=None, effect=self._set_aside_of(lost))

    def may_appeal(self, dispute: Row) -> bool:
        """Whether it was lost by silence lately, and for money that is not withdrawn."""
        if not _was_default(dispute) or dispute["awarded_id"] is None:
            return False
        release = self.now.one("release", id=dispute["awarded_id"])
        in_time = self.at < moment(dispute["ended_at"]) + timedelta(days=7)
        return in_time and str(release["state"]) == "pending"

    def _set_aside_of(self, lost: Row) -> Effect:
        """What an appeal sets aside: all that may be disputed of the release it is about."""
        if lost["awarded_id"] is None:
            return parts.untold()
        slot = self.now.one("slot", id=lost["slot_id"])
        release = self.now.one("release", id=lost["awarded_id"])
        kept = slot["released_minor"] - slot["returned_minor"] - slot["contested_minor"]
        most = min(release["gross_minor"] - release["taken_gross_minor"], kept)
        return parts.set_aside(self.now, slot, release, most)

    # -- answers

    @act(weight=6, when=lambda self: self.rows("dispute", lambda row: row["state"] == "opened"))
    def serve(self, n: int) -> None:
        if dispute := self.dispute(n, "opened"):
            actor = self.anyone(self.operators[n % 3], n)
            command = Serve(
                actor=actor, dispute_id=UUID(dispute["id"]), channel="email", proof="delivery:1"
            )
            may = actor.is_operator and dispute["state"] == "opened"
            self.take("serve_dispute", dispute, command, may=may, effect=Effect())

    @act(weight=1.5, when=lambda self: self.rows("dispute", _is_unanswered))
    def concede(self, n: int) -> None:
        if dispute := self.dispute(n, *_UNANSWERED):
            right = self.side(dispute, _OTHER[dispute["claimant"]])
            actor = self.anyone(right, n)
            command = DisputeCommand(actor=actor, dispute_id=UUID(dispute["id"]))
            may = actor == right and dispute["state"] in _UNANSWERED
            effect = Effect()
            if may:
                effect = self.ends(dispute, self.claimed(dispute), resolution="conceded")
            self.take("concede_dispute", dispute, command, may=may, effect=effect)

    @act(weight=6, when=lambda self: self.rows("dispute", _is_unanswered), share=within(0, 104))
    def reply(self, n: int, share: int) -> None:
        if dispute := self.dispute(n, *_UNANSWERED):
            right = self.side(dispute, _OTHER[dispute["claimant"]])
            actor = self.anyone(right, n)
            figure = dispute["claim_minor"] * share // 100 + (1 if share > 100 else 0)
            command = MakeOffer(
                actor=actor, dispute_id=UUID(dispute["id"]), payee_minor=figure, is_reply=True
            )
            may = actor == right and dispute["state"] in _UNANSWERED
            may = may and figure <= dispute["claim_minor"]
            self.take("offer_in_dispute", dispute, command, may=may, effect=Effect())

    @act(weight=3, when=lambda self: self.rows("dispute", _is_bargaining), share=within(0, 120))
    def offer_figure(self, n: int, share: int) -> None:
        if dispute := self.dispute(n, *_BARGAINING):
            actor = self.anyone(self.side(dispute, ("client", "payee")[n % 2]), n)
            figure = None if share > 100 else dispute["claim_minor"] * share // 100
            command = MakeOffer(actor=actor, dispute_id=UUID(dispute["id"]), payee_minor=figure)
            is_party = self.role_of(dispute, actor) in _OTHER
            may = is_party and dispute["state"] in _BARGAINING
            self.take("offer_in_dispute", dispute, command, may=may, effect=Effect())

    @act(weight=2.5, when=lambda self: self.rows("dispute", _is_bargaining))
    def accept_offer(self, n: int) -> None:
        if dispute := self.dispute(n, *_BARGAINING):
            actor = self.anyone(self.side(dispute, ("client", "payee")[n % 2]), n)
            role = self.role_of(dispute, actor)
            offers = self.rows("dispute_offer", lambda row: row["dispute_id"] == dispute["id"])
            theirs = [row for row in offers if row["made_by"] == _OTHER.get(role)]
            latest = max(theirs, key=lambda row: row["offer_no"], default=None)
            number = latest["offer_no"] if latest else 1
            command = AcceptOffer(actor=actor, dispute_id=UUID(dispute["id"]), offer_no=number)
            may = latest is not None and dispute["state"] in _BARGAINING
            effect = Effect()
            if latest and may:
                effect = self.ends(dispute, latest["payee_minor"], resolution="settled")
            self.take("accept_dispute_offer", dispute, command, may=may, effect=effect)

    @act(weight=1.2, when=lambda self: self.rows("dispute", _is_unsettled))
    def withdraw_dispute(self, n: int) -> None:
        if dispute := self.dispute(n, *_WITHDRAWABLE):
            opener = dispute["opened_by"]
            right = self.operators[0] if opener == "operator" else self.side(dispute, opener)
            actor = self.anyone(right, n)
            command = DisputeCommand(actor=actor, dispute_id=UUID(dispute["id"]))
            may = self.role_of(dispute, actor) == opener and dispute["state"] in _WITHDRAWABLE
            effect = self.ends(dispute, None, resolution="withdrawn") if may else Effect()
            self.take("withdraw_dispute", dispute, command, may=may, effect=effect)

    # -- a third person

    @act(weight=6, when=lambda self: self.rows("dispute", _is_unsettled))
    def file_evidence(self, n: int) -> None:
        if dispute := self.dispute(n, *_UNSETTLED):
            unheard = sorted(set(_OTHER) - self._filed(dispute)) or sorted(_OTHER)
            actor = self.anyone(self.side(dispute, unheard[n % len(unheard)]), n)
            sha256 = "ab" * 32 if n % 16 else "nonsense"
            command = FileEvidence(
                actor=actor, dispute_id=UUID(dispute["id"]), sha256=sha256, reference="a picture"
            )
            may = self.role_of(dispute, actor) in _OTHER and dispute["state"] in _UNSETTLED
            may = may and sha256 != "nonsense"
            self.take("file_evidence", dispute, command, may=may, effect=Effect())

    @act(weight=1, when=lambda self: self.rows("dispute", _is_timed))
    def extend(self, n: int) -> None:
        if dispute := self.dispute(n, *_TIMED):
            actor = self.anyone(self.operators[n % 3], n)
            command = DisputeCommand(
                actor=actor, dispute_id=UUID(dispute["id"]), reason="an illness"
            )
            may = actor.is_operator and dispute["state"] in _TIMED
            may = may and dispute["extended_in"] != dispute["state"]
            self.take("extend_dispute", dispute, command, may=may, effect=Effect())

    @act(weight=4, when=lambda self: self.rows("dispute", lambda r: r["state"] == "negotiation"))
    def mediate(self, n: int) -> None:
        if dispute := self.dispute(n, "negotiation"):
            actor = self.anyone(self.side(dispute, ("client", "payee")[n % 2]), n)
            command = DisputeCommand(actor=actor, dispute_id=UUID(dispute["id"]))
            may = self.role_of(dispute, actor) in _OTHER and dispute["state"] == "negotiation"
            self.take("mediate_dispute", dispute, command, may=may, effect=Effect())

    @act(
        weight=6,
        when=lambda self: self.rows("dispute", lambda r: r["state"] == "mediation"),
        share=within(0, 105),
    )
    def recommend(self, n: int, share: int) -> None:
        if dispute := self.dispute(n, "mediation"):
            actor = self.program if n % 16 == 3 else self.anyone(self.operators[n % 3], n)
            figure = dispute["claim_minor"] * share // 100 + (1 if share > 100 else 0)
            command = Recommend(actor=actor, dispute_id=UUID(dispute["id"]), payee_minor=figure)
            is_stranger = str(actor.principal_id) != dispute["opener_id"]
            may = actor.is_operator and actor != self.program and is_stranger
            may = may and dispute["state"] == "mediation" and figure <= dispute["claim_minor"]
            may = may and self._is_heard(dispute)
            self.take("recommend_in_dispute", dispute, command, may=may, effect=Effect())

    def _is_heard(self, dispute: Row) -> bool:
        """Both have filed, or their time for it is over."""
        heard_by = dispute["heard_by"]
        return self._filed(dispute) >= set(_OTHER) or (
            heard_by is not None and self.at >= moment(heard_by)
        )

    def _filed(self, dispute: Row) -> set[str]:
        mine = self.rows("dispute_evidence", lambda row: row["dispute_id"] == dispute["id"])
        return {row["filed_by"] for row in mine}

    @act(weight=10, when=lambda self: self.rows("dispute", _may_elect))
    def elect(self, n: int) -> None:
        if dispute := self.dispute(n, "recommendation", "arbitration_elect"):
            actor = self.anyone(self.side(dispute, ("client", "payee")[n % 2]), n)
            role = self.role_of(dispute, actor)
            deal, fee = self.deal_of(dispute), dispute["fee_minor"]
            effect, can_pay = Effect(), False
            if role in _OTHER:
                kind = "wallet" if role == "client" else "earned_available"
                can_pay = self.now.balance(f"custody.{kind}", deal[f"{role}_id"]) >= fee
                effect = parts.arbitration_paid(deal, role, fee)
            may = can_pay and dispute["state"] in {"recommendation", "arbitration_elect"}
            may = may and not dispute.get(f"{role}_elected", True)
            command = DisputeCommand(actor=actor, dispute_id=UUID(dispute["id"]))
            self.take("elect_arbitration", dispute, command, may=may, effect=effect)

    @act(
        weight=6,
        when=lambda self: self.rows("dispute", lambda r: r["state"] == "arbitration"),
        share=within(0, 100),
    )
    def propose_decision(self, n: int, share: int) -> None:
        if dispute := self.dispute(n, "arbitration"):
            actor = self.program if n % 16 == 3 else self.anyone(self.operators[n % 3], n)
            payee = dispute["claim_minor"] * share // 100
            stale = n % 16 == 5
            command = ProposeDecision(
                actor=actor,
                dispute_id=UUID(dispute["id"]),
                version=dispute["version"] - stale,
                payee_minor=payee,
                client_minor=dispute["claim_minor"] - payee,
                award_ref="award:1",
            )
            may = actor.is_operator and actor != self.program and not stale
            may = may and dispute["state"] == "arbitration" and self._is_heard(dispute)
            self.take("propose_decision", dispute, command, may=may, effect=Effect())

    @act(weight=8, when=lambda self: self.rows("dispute_decision", lambda r: not r["approver_id"]))
    def approve_decision(self, n: int) -> None:
        if dispute := self.dispute(n, "arbitration"):
            mine = self.rows("dispute_decision", lambda r: r["dispute_id"] == dispute["id"])
            newest = max(mine, key=lambda row: row["decision_no"], default=None)
            actor = self.anyone(self.operators[(n + len(self.story)) % 3], n)
            may = newest is not None and actor.is_operator and dispute["state"] == "arbitration"
            effect = Effect()
            if newest and may:
                may = str(actor.principal_id) != newest["proposer_id"]
                effect = self.ends(dispute, newest["payee_minor"], resolution="decided")
            command = DisputeCommand(
                actor=actor, dispute_id=UUID(dispute["id"]), version=dispute["version"]
            )
            self.take("approve_decision", dispute, command, may=may, effect=effect)

    @act(weight=0.4)
    def set_dispute_rules(self, n: int) -> None:
        actor = self.anyone(self.operators[n % 3], n)
        command = SetDisputeRules(
            actor=actor,
            currency=self.currency,
            small_claim_minor=(0, 500, 20_000)[n % 3],
            fee_bps=(0, 500, 1_000)[n // 3 % 3],
            small_fee_bps=(0, 700)[n // 9 % 2],
        )
        verb = service_dispute.set_dispute_rules
        self.run("set_dispute_rules", verb, command, may=actor.is_operator)

    # -- clocks

    def rings_dispute_reply(self, dispute_id: str) -> Effect:
        dispute = self.now.one("dispute", id=dispute_id)
        if dispute["state"] != "awaiting_reply":
            return Effect()
        return self.ends(dispute, self.claimed(dispute), resolution="defaulted")

    def rings_arbitration_elect(self, dispute_id: str) -> Effect:
        dispute = self.now.one("dispute", id=dispute_id)
        if dispute["state"] != "recommendation":
            return Effect()
        return self.ends(dispute, dispute["recommended_minor"], resolution="settled")


def _is_unanswered(row: Row) -> bool:
    return row["state"] in _UNANSWERED


def _is_bargaining(row: Row) -> bool:
    return row["state"] in _BARGAINING


def _is_unsettled(row: Row) -> bool:
    return row["state"] in _UNSETTLED


def _is_timed(row: Row) -> bool:
    return row["state"] in _TIMED


def _may_elect(row: Row) -> bool:
    return row["state"] in {"recommendation", "arbitration_elect"}


def _was_default(row: Row) -> bool:
    return bool(row["resolution"] == "defaulted" and row["state"] == "executed")
