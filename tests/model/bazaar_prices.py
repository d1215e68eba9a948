"""Prices of the market: schedules and promotions by two people, taxes, quotes, exchange."""

from datetime import date
from fractions import Fraction
from random import Random
from typing import Final
from uuid import UUID

from commissions import commands_fx, service_fx, service_fx_policy, service_schedule
from commissions.commands import DecideSchedule, PrepareSchedule
from commissions.model import Band, Scope, Tariff
from commissions.model import Side as FeeSide
from commissions.model_fx import FixedSide, Policy
from commissions.model_schedule import Promotion
from escrow import service, service_promotion, service_quote, service_tax_credit
from escrow import service_fx as conversions
from escrow.commands import SlotCommand
from escrow.commands_fx import Convert
from escrow.model_quote import AskQuote
from escrow.rules_tax_credit import CreditTax
from escrow.service_promotion import NamePromotion
from kernel.ids import new_id
from kernel.principals import Actor
from tax import service_profile
from tax.model_profile import Person, RegisterAnswer, SetBuyer, SetSupplier, StoreCheck
from tax.model_vat import Evidence, Service, WhenUnsure
from tests.commissions.rates import PER_EURO, stand_rates
from tests.escrow.stage import START
from tests.model.acts import act, one_of, within
from tests.model.bazaar import Side
from tests.model.bazaar_more import More
from tests.model.model import WORKING
from tests.model.parts import Effect, Purse
from tests.model.prices import HOME, Bands, Listed, half_up
from tests.model.sight import Row

PROMOTION: Final = "spring"
MARGIN_BPS: Final = 150
DOLLAR: Final = "USD"
_DIGITS: Final = {"JPY": 0, "EUR": 2, "KWD": 3, DOLLAR: 2}
_PLACES: Final = 10**10
_RATES: Final = (0, 250, 500, 1_000, 1_250, 2_000, 3_333, 4_500)


class Prices(More):
    """What deals cost: it is decided while they are offered, accepted and paid."""

    def set_up(self, dice: Random) -> None:
        super().set_up(dice)
        self.days_with_rates: set[date] = set()
        if dice.random() < 0.7:
            self._set_supplier(self.operators[0])
        for _ in range(dice.choice((0, 2, 5))):
            self._draw_up(self.operators[0], dice)
            self._decide_listed("approve", self.prices.listed[-1], self.operators[1])

    # -- schedules

    @act(weight=1)
    def prepare_schedule(self, n: int) -> None:
        actor = self.program if n % 16 == 3 else self.anyone(self.operators[n % 3], n)
        self._draw_up(actor, Random(n))

    def _draw_up(self, actor: Actor, dice: Random) -> None:
        """The last one that is drawn up goes before those of before: its priority is higher."""
        kind = dice.choice(("payee", "payee", "client", PROMOTION))
        bands = _drawn(dice)
        rank = len(self.story)
        listed = Listed(
            str(new_id()),
            "client" if kind == "client" else "payee",
            rank,
            bands,
            str(actor.principal_id),
            PROMOTION if kind == PROMOTION else None,
        )
        rates = tuple(Band(*each) for each in bands.rates)
        command = PrepareSchedule(
            actor=actor,
            schedule_id=UUID(listed.id),
            name=f"{kind}-{rank}",
            side=FeeSide(listed.side),
            scope=Scope(promotion=listed.promotion),
            promotion=Promotion() if listed.promotion else None,
            priority=rank,
            tariffs=(Tariff(self.currency, rates, cap_minor=bands.cap),),
        )
        may = actor.is_operator and actor != self.program
        verb = service_schedule.prepare
        if self.run("prepare_schedule", verb, command, may=may, told=str(bands)).is_done:
            self.prices.listed.append(listed)

    @act(weight=4, when=lambda self: any(_waits(each) for each in self.prices.listed))
    def decide_schedule(self, n: int) -> None:
        waiting = [each for each in self.prices.listed if _waits(each)]
        known = waiting if n // 16 % 8 else self.prices.listed
        listed = known[n // 128 % len(known)]
        actor = self.program if n % 16 == 3 else self.anyone(self.operators[n % 3], n)
        self._decide_listed(
            ("approve", "approve", "approve", "withdraw")[n // 4 % 4], listed, actor
        )

    def _decide_listed(self, verb: str, listed: Listed, actor: Actor) -> None:
        may = actor.is_operator and actor != self.program and _waits(listed)
        if verb == "approve":
            may = may and str(actor.principal_id) != listed.prepared_by
        command = DecideSchedule(actor=actor, schedule_id=UUID(listed.id), reason="as agreed")
        run = getattr(service_schedule, verb)
        if self.run(f"{verb}_schedule", run, command, may=may, told=listed.state).is_done:
            listed.state = {"approve": "approved", "withdraw": "withdrawn"}[verb]

    def before_acceptance(self, contract_id: UUID, n: int) -> None:
        """Now and then a deal names a promotion."""
        if n % 3 == 0:
            return
        deal = self.now.one("contract", id=str(contract_id))
        right = self.as_party(deal[("client_id", "payee_id")[n // 3 % 2]])
        actor = self.anyone(right, n // 8)
        name = PROMOTION if n // 64 % 6 else "autumn"
        is_ours = actor.is_operator or str(actor.party_id) in {deal["client_id"], deal["payee_id"]}
        may = is_ours and self.prices.has_promotion(name)
        command = NamePromotion(actor=actor, contract_id=contract_id, promotion=name)
        verb = service_promotion.name_promotion
        if self.run("name_promotion", verb, command, may=may, told=name).is_done:
            self.prices.named[deal["id"]] = name

    # -- tax

    @act(weight=0.5)
    def set_supplier(self, n: int) -> None:
        self._set_supplier(self.anyone(self.operators[n % 3], n))

    def _set_supplier(self, actor: Actor) -> None:
        """From now on our fees bear tax; that of our own country, where nothing else is known."""
        command = SetSupplier(
            actor=actor,
            country=HOME,
            name="Platform Ltd",
            address="1 Quay",
            tax_numbers={HOME: "IE6433435F"},
            service=Service.ELECTRONIC,
            when_unsure=WhenUnsure.DOMESTIC,
            check_days=3_660,
        )
        verb = service_profile.set_supplier
        if self.run("set_supplier", verb, command, may=actor.is_operator).is_done:
            self.prices.is_taxed = True

    @act(weight=0.7, home=one_of(("DE", "DE", "FR", "US", HOME)))
    def set_buyer(self, n: int, home: str) -> None:
        party = (*self.payees, *self.clients)[n // 16 % 4]
        if party.id not in self.prices.proved:
            self._set_buyer(self.anyone(self.operators[n % 3], n), party.id, home)

    def _set_buyer(self, actor: Actor, party_id: str, home: str, number: str = "") -> bool:
        command = SetBuyer(
            actor=actor,
            party_id=UUID(party_id),
            evidence=tuple(Evidence(kind, home) for kind in ("address", "bank")),
            is_business=bool(number),
            tax_country=home if number else None,
            person=Person("Ada Byron", "1 Road", number),
        )
        verb = service_profile.set_buyer
        is_done = self.run("set_buyer", verb, command, may=actor.is_operator, told=home).is_done
        if is_done:
            self.prices.homes[party_id] = home
        return is_done

    @act(weight=3, when=lambda self: any(map(self._may_prove, self.payees)))
    def prove_number(self, n: int) -> None:
        """A payee's number is found to be valid, and to have been since before the market began."""
        likely = [each for each in self.payees if self._may_prove(each)]
        payee = likely[n // 16 % len(likely)]
        actor = self.anyone(self.operators[n % 3], n)
        if not self._set_buyer(actor, payee.id, "DE", "DE136695976"):
            return
        answer = RegisterAnswer("vies", True, "W1", self.at, START)
        command = StoreCheck(actor=actor, party_id=UUID(payee.id), answer=answer)
        if self.run("store_check", service_profile.store_check, command, may=True).is_done:
            self.prices.proved.add(payee.id)

    @act(weight=4, when=lambda self: self.prices.proved)
    def credit_tax(self, n: int) -> None:
        """All tax that he bore goes back to him, once; the fees stay as they were."""
        payee_id = sorted(self.prices.proved)[n // 16 % len(self.prices.proved)]
        actor = self.anyone(self.operators[n % 3], n)
        effect = Effect()
        for country, tax in self._taxed(payee_id):
            effect.from_platform(tax)
            effect.put("custody.earned_available", -tax, payee_id)
            effect.put("platform.vat_payable", tax, country)
        may = actor.is_operator and bool(effect.accounts)
        command = CreditTax(actor=actor, party_id=UUID(payee_id), reason="proved late")
        verb = service_tax_credit.credit_tax
        self.run("credit_tax", verb, command, may=may, effect=effect)

    def _may_prove(self, payee: Side) -> bool:
        """Whether a proof would give him anything back."""
        return payee.id not in self.prices.proved and bool(self._taxed(payee.id))

    def _taxed(self, payee_id: str) -> list[tuple[str, int]]:
        """By release, the tax on its commission that still stands."""
        found: dict[str, list[Row]] = {}
        for line in self.rows("fee_line"):
            if (line["kind"], line["payee_id"]) == ("commission", payee_id):
                found.setdefault(line["release_id"], []).append(line)
        sums = [
            (max(line["tax_country"] or "" for line in lines), sum(x["tax_minor"] for x in lines))
            for lines in found.values()
        ]
        return [(country, tax) for country, tax in sums if tax > 0]

    # -- quotes

    @act(weight=2)
    def quote_then_approve(self, n: int) -> None:
        """What was quoted is what the next release posts: both are what the model says."""
        slot = self.slot_of_milestone(n, *WORKING)
        if not slot or slot["state"] not in WORKING or not self.is_free(slot):
            return
        if slot["contract_id"] in self.loose:
            return
        deal = self.deal_of(slot)
        client, amount = self.as_party(deal["client_id"]), slot["held_minor"]
        effect = Effect()
        purse = Purse(self.now, slot, effect)
        ours = purse.commission(amount)
        ask = AskQuote(actor=client, contract_id=UUID(deal["id"]), amount_minor=amount)
        facts = self.run("quote", service_quote.quote, ask, may=True).facts
        seen = [facts["commission"]["fee"], facts["tax"]["amount"], facts["payee_gets"]]
        told = [ours.fee, ours.taxes.total(), amount - ours.whole]
        if [int(each["amount"].replace(".", "")) for each in seen] != told:
            self.fail(f"quoted {seen} instead of {told}")
        purse.release(amount)
        command = SlotCommand(actor=client, slot_id=UUID(slot["id"]))
        self.run("approve", service.approve, command, may=True, effect=effect)

    # -- exchange

    @act(
        weight=2,
        when=lambda self: any(
            self.now.balance("custody.earned_available", each.id) for each in self.payees
        ),
        share=within(1, 130),
    )
    def exchange(self, n: int, share: int) -> None:
        """A payee asks for dollars, and takes them at once: both halves stand on the bridge."""
        payee = self.payees[n // 16 % 2]
        there = self.now.balance("custody.earned_available", payee.id)
        sold = there * share // 100
        bought = _dollars(sold, self.currency)
        if not bought:
            return
        self._stand_rates()
        ask = commands_fx.AskQuote(
            actor=payee.actor,
            quote_id=new_id(),
            party_id=UUID(payee.id),
            sold=self.currency,
            bought=DOLLAR,
            fixed=FixedSide.SELL,
            amount_minor=sold,
        )
        told = f"{sold} of {there} for {bought}"
        self.run("quote_exchange", service_fx.quote, ask, may=True, told=told)
        actor = self.anyone(payee.actor, n)
        is_his = actor == payee.actor or actor.is_operator
        may = is_his and sold <= there and not self._is_stopped(payee.id)
        effect = Effect()
        effect.put("custody.earned_available", sold, payee.id)
        effect.put("custody.fx", -sold)
        effect.accounts[f"custody.fx[] {DOLLAR}"] += bought
        effect.accounts[f"custody.earned_available[{payee.id}] {DOLLAR}"] -= bought
        command = Convert(actor=actor, conversion_id=new_id(), quote_id=ask.quote_id)
        self.run("convert", conversions.convert, command, may=may, effect=effect)

    def _is_stopped(self, party_id: str) -> bool:
        subject = f"party:{party_id}"
        return bool(self.rows("hold", lambda h: (h["subject"], h["lifted_at"]) == (subject, None)))

    def _stand_rates(self) -> None:
        """The rates of the day, and, before the first of them, how we exchange."""
        if not self.days_with_rates:
            policy_id = new_id()
            prepare = commands_fx.PreparePolicy(
                actor=self.operators[0],
                policy_id=policy_id,
                policy=Policy(margin_bps=MARGIN_BPS),
                reason="as usual",
            )
            approve = commands_fx.ApprovePolicy(actor=self.operators[1], policy_id=policy_id)
            for verb, command in (
                (service_fx_policy.prepare_policy, prepare),
                (service_fx_policy.approve_policy, approve),
            ):
                self.run(verb.__name__, verb, command, may=True)
        if self.at.date() not in self.days_with_rates:
            self.days_with_rates.add(self.at.date())
            stand_rates(self.connection, self.at.date())


def _drawn(dice: Random) -> Bands:
    """Bands at sums that the market's deals reach."""
    count = dice.choice((0, 1, 2, 4))
    ends = sorted(dice.sample((50, 333, 1_000, 5_000, 20_000, 60_000, 100_001), count))
    rates = tuple((end, dice.choice(_RATES)) for end in (*ends, None))
    return Bands(rates, dice.choice((None, None, None, 700)))


def _waits(listed: Listed) -> bool:
    return listed.state == "prepared"


def _dollars(sold: int, currency: str) -> int:
    """What an amount buys at the day's mid rate less our margin: never more than it is worth.

    Each rate has ten decimals.
    """
    euro = {"EUR": Fraction(1), **{name: Fraction(rate) for name, rate in PER_EURO.items()}}
    mid = _rounded(euro[DOLLAR] / euro[currency])
    rate = _rounded(mid * (10_000 - MARGIN_BPS) / 10_000)
    cents = sold * Fraction(10) ** (_DIGITS[DOLLAR] - _DIGITS[currency])
    paid, worth = cents * rate, cents * mid
    return min(half_up(paid.numerator, paid.denominator), worth.numerator // worth.denominator)


def _rounded(rate: Fraction) -> Fraction:
    return Fraction(half_up(rate.numerator * _PLACES, rate.denominator), _PLACES)
