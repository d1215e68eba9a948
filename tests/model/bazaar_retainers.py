"""Retainers of the market: offered, charged ahead, drawn from, settled at their end, cancelled."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from random import Random
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from escrow import service_retainer
from escrow.model_retainer import (
    Draw,
    DrawdownCommand,
    Every,
    NewContract,
    OfferRetainer,
    RetainerCommand,
    RetainerKind,
    RetainerTerms,
    Unused,
)
from kernel.ids import new_id
from rails.model import RailOutcome
from tests.model.acts import act, one_of
from tests.model.bazaar import OPEN_FUNDING
from tests.model.bazaar_money import Claims
from tests.model.model import WORKING
from tests.model.parts import Effect, Purse, untold
from tests.model.sight import Row, Sight

_RUNNING: Final = ("active", "closing")


class Retainers(Claims):
    """Charged, drawn, settled."""

    def open_deal(self, number: int, dice: Random) -> None:
        super().open_deal(number, dice)
        if number == 1:
            self.new_retainer(dice)

    def new_retainer(self, dice: Random) -> None:
        client, payee = dice.choice(self.clients), dice.choice(self.payees)
        assert client.actor.party_id is not None
        assert payee.actor.party_id is not None
        new = NewContract(
            client_id=client.actor.party_id,
            payee_id=payee.actor.party_id,
            currency=self.currency,
            terms=self.terms(dice),
        )
        offer = OfferRetainer(
            actor=payee.actor,
            contract_id=new_id(),
            retainer_id=new_id(),
            terms=_terms(self.at.date() + timedelta(days=dice.randint(1, 6)), dice),
            new=new,
        )
        self.run("offer_retainer", service_retainer.offer_retainer, offer, may=True)
        if dice.random() < 0.9:
            self.accept_it(self.now.one("retainer", id=str(offer.retainer_id)), 0)

    def accept_it(self, retainer: Row, n: int) -> None:
        deal = self.deal_of(retainer)
        other = "client_id" if retainer["proposed_by"] == "payee" else "payee_id"
        actor = self.anyone(self.as_party(deal[other]), n)
        may = str(actor.party_id) == deal[other] and retainer["state"] == "offered"
        command = RetainerCommand(actor=actor, retainer_id=UUID(retainer["id"]))
        self.run("accept_retainer", service_retainer.accept_retainer, command, may=may)

    def waiting(self, period: Row) -> int:
        """What was drawn and not decided."""
        mine = self.rows("drawdown", lambda row: row["period_id"] == period["id"])
        return sum(row["amount_minor"] for row in mine if row["state"] == "submitted")

    # -- acts

    @act(weight=0.5)
    def offer_retainer(self, n: int) -> None:
        if len(self.rows("retainer", lambda row: row["state"] != "ended")) < 3:
            self.new_retainer(Random(n))

    @act(weight=3, when=lambda self: self.rows("retainer", lambda r: r["state"] == "offered"))
    def accept_retainer(self, n: int) -> None:
        if retainer := self.pick("retainer", lambda row: row["state"] == "offered", n):
            self.accept_it(retainer, n)

    @act(
        weight=5,
        when=lambda self: self.rows("funding", _is_open),
        outcome=one_of((RailOutcome.DONE,) * 5 + (RailOutcome.REFUSED,)),
    )
    def rail_answers(self, n: int, outcome: RailOutcome) -> None:
        """The rail says what became of a charge."""
        funding = self.pick("funding", _is_open, n)
        if funding and _is_open(funding) and funding["slot_id"]:
            self.hear_funding(funding, outcome, n % 50)

    @act(
        weight=5,
        when=lambda self: self.rows("retainer_period", lambda r: r["state"] == "active"),
        units=one_of((1, 30, 60, 90, 600, 2_000)),
    )
    def draw(self, n: int, units: int) -> None:
        period = self.pick("retainer_period", lambda row: row["state"] == "active", n)
        if not period:
            return
        retainer = self.now.one("retainer", id=period["retainer_id"])
        right = self.as_party(self.deal_of(period)["payee_id"])
        actor = self.anyone(right, n)
        slot = self.now.one("slot", id=period["id"])
        worth = (units * retainer["hourly_minor"] * 2 + 60) // 120
        there = slot["held_minor"] - self.waiting(period)
        is_hours = retainer["kind"] == "hours_drawdown"
        may = actor == right and period["state"] == "active" and is_hours and 0 < worth <= there
        known = may if is_hours or actor != right else None
        command = Draw(
            actor=actor,
            period_id=UUID(period["id"]),
            drawdown_id=new_id(),
            units=units,
            message_ref="message:1",
        )
        told = f"{units} of a {retainer['kind']}"
        is_hybrid = self.rows(
            "hourly_term", lambda row: row["contract_id"] == period["contract_id"]
        )
        if may and (self.is_disputed(slot) or not self.is_running(period) or is_hybrid):
            known = None
        self.run("draw_down", service_retainer.draw_down, command, may=known, told=told)

    @act(weight=4, when=lambda self: self.rows("drawdown", lambda r: r["state"] == "submitted"))
    def approve_drawdown(self, n: int) -> None:
        self._decide("approve_drawdown", "client", n)

    @act(weight=1.5, when=lambda self: self.rows("drawdown", lambda r: r["state"] == "submitted"))
    def reject_drawdown(self, n: int) -> None:
        self._decide("reject_drawdown", "client", n)

    @act(weight=1.5, when=lambda self: self.rows("drawdown", lambda r: r["state"] == "submitted"))
    def withdraw_drawdown(self, n: int) -> None:
        self._decide("withdraw_drawdown", "payee", n)

    def _decide(self, verb: str, who: str, n: int) -> None:
        drawdown = self.pick("drawdown", lambda row: row["state"] == "submitted", n)
        if not drawdown:
            return
        period = self.now.one("retainer_period", id=drawdown["period_id"])
        slot = self.now.one("slot", id=period["id"])
        right = self.as_party(self.deal_of(period)[f"{who}_id"])
        actor = self.anyone(right, n)
        may: bool | None = actor == right and drawdown["state"] == "submitted"
        if verb == "approve_drawdown" and slot["state"] not in WORKING:
            may = False
        effect = Effect()
        if may and verb == "approve_drawdown":
            Purse(self.now, slot, effect).release(drawdown["amount_minor"])
        command = DrawdownCommand(actor=actor, drawdown_id=UUID(drawdown["id"]), reason="as agreed")
        self.run(verb, getattr(service_retainer, verb), command, may=may, effect=effect)

    @act(weight=1.5, when=lambda self: self.rows("retainer"))
    def cancel_retainer(self, n: int) -> None:
        retainer = self.pick("retainer", lambda row: row["state"] in {"running", "ending"}, n)
        if not retainer:
            return
        deal = self.deal_of(retainer)
        by_party = self.as_party(deal[("client_id", "payee_id")[n % 2]])
        actor = self.operators[0] if n // 16 % 4 == 0 else self.anyone(by_party, n)
        mine = actor.is_operator or str(actor.party_id) in {deal["client_id"], deal["payee_id"]}
        may = None if mine and retainer["state"] != "ended" else False
        command = RetainerCommand(actor=actor, retainer_id=UUID(retainer["id"]))
        said = self._cancelled(retainer)
        verb = service_retainer.cancel_retainer
        self.run("cancel_retainer", verb, command, may=may, effect=said, told=retainer["state"])

    def _cancelled(self, retainer: Row) -> Callable[[Sight], Effect]:
        """P31, for every period that was cancelled by it: what its days earned, the rest back."""
        before, day = self.now, _day(self.at, retainer["zone"])

        def said(after: Sight) -> Effect:
            effect = Effect()
            for period in before.all_of("retainer_period"):
                if period["retainer_id"] == retainer["id"]:
                    now = after.one("retainer_period", id=period["id"])
                    if now["state"] == "cancelled" != period["state"]:
                        _divide(before, period, retainer, day, effect)
            return effect

        return said

    # -- clocks

    def rings_drawdown_review(self, drawdown_id: str) -> Callable[[Sight], Effect]:
        before = self.now
        drawdown = before.one("drawdown", id=drawdown_id)
        slot = before.one("slot", id=drawdown["period_id"])

        def said(after: Sight) -> Effect:
            effect = Effect()
            if after.one("drawdown", id=drawdown_id)["state"] == "approved" != drawdown["state"]:
                Purse(before, slot, effect).release(drawdown["amount_minor"])
            return effect

        return said

    def rings_retainer_ends(self, retainer_id: str) -> Callable[[Sight], Effect]:
        return self._cancelled(self.now.one("retainer", id=retainer_id))

    def rings_period_open(self, period_id: str) -> Callable[[Sight], Effect]:
        period = self.now.one("retainer_period", id=period_id)
        return self._cancelled(self.now.one("retainer", id=period["retainer_id"]))

    def rings_period_close(self, period_id: str) -> Callable[[Sight], Effect]:
        """P07, P32: an access fee is earned, what nobody drew goes by its policy."""
        before = self.now
        period = before.one("retainer_period", id=period_id)
        retainer = before.one("retainer", id=period["retainer_id"])

        def said(after: Sight) -> Effect:
            now = after.one("retainer_period", id=period_id)
            if now["state"] != "settled" or period["state"] == "settled":
                return Effect()
            return _settled(before, period, retainer)

        return said


def _settled(before: Sight, period: Row, retainer: Row) -> Effect:
    effect = Effect()
    slot = before.one("slot", id=period["id"])
    purse = Purse(before, slot, effect)
    if retainer["kind"] == "access_fee" or retainer["unused"] == "to_payee":
        purse.release(purse.held)
    elif retainer["unused"] == "to_client":
        purse.send_back(purse.held, to_wallet=True)
    elif purse.held:
        return untold("what rolls")
    return effect


def _divide(before: Sight, period: Row, retainer: Row, day: date, effect: Effect) -> None:
    """What a cancelled period earned, by its days or by what was drawn, and the rest."""
    slot = before.one("slot", id=period["id"])
    if not slot["held_minor"]:
        return
    first, after = date.fromisoformat(period["first_on"]), date.fromisoformat(period["next_on"])
    elapsed = min(max(0, (day - first).days), (after - first).days)
    earned = retainer["amount_minor"] * elapsed // (after - first).days
    purse = Purse(before, slot, effect)
    purse.release(min(purse.held, max(0, earned - slot["released_minor"])))
    if purse.held:
        purse.send_back(purse.held)


def _terms(anchor: date, dice: Random) -> RetainerTerms:
    kind = dice.choice((RetainerKind.HOURS_DRAWDOWN, RetainerKind.HOURS_DRAWDOWN, *RetainerKind))
    unused = dice.choice((Unused.TO_PAYEE, Unused.TO_CLIENT, Unused.ROLL))
    if kind is RetainerKind.ACCESS_FEE:
        unused = Unused.TO_CLIENT
    amount = dice.choice((10_000, 33_333, 300_000))
    return RetainerTerms(
        kind=kind,
        amount_minor=amount,
        every=dice.choice((Every.WEEK, Every.TWO_WEEKS, Every.MONTH)),
        anchor_on=anchor,
        unused=unused,
        roll_cap_minor=amount // 2 if unused is Unused.ROLL else 0,
        hourly_minor=1_000 if kind is RetainerKind.HOURS_DRAWDOWN else 0,
        quota=4 if kind is RetainerKind.DELIVERABLE_QUOTA else 0,
        notice_days=dice.choice((0, 14)),
    )


def _is_open(row: Row) -> bool:
    return row["state"] in OPEN_FUNDING


def _day(at: datetime, zone: str) -> date:
    return at.astimezone(ZoneInfo(zone)).date()
