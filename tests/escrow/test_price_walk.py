"""Contracts of every kind of one pair, priced by bands with tax: all that ties at every step.

The pair's milestones, weeks, periods and tips share one lifetime. After each act fees, taxes and
exchange in the books are what the fee lines say, event by event, and the pair's counter is the
sum of its lines (`prove_prices`).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Connection

from escrow import service, service_fx
from escrow.commands import Fund
from escrow.commands_fx import RecordFill
from escrow.model import Terms
from escrow.model_hourly import WeekState
from escrow.model_retainer import Every, RetainerKind, RetainerTerms
from kernel.ids import new_id
from kernel.principals import Actor
from ledger.service import kind_balances
from rails.model import RailOutcome
from tax import service_invoice
from tests.commissions.rates import stand_rates
from tests.escrow.stage import Stage, person
from tests.escrow.stage_chargeback import Bank
from tests.escrow.stage_claims import send_back, set_rules
from tests.escrow.stage_dispute import Court
from tests.escrow.stage_hourly import MONDAY, HourlyStage, hours
from tests.escrow.stage_hybrid import Trio
from tests.escrow.stage_price import prove_prices, stand_tiers
from tests.escrow.stage_retainer import Lease
from tests.tax.stage import add_buyer, set_supplier

PAYEES_OWN = {"JPY": "EUR", "EUR": "USD", "KWD": "JPY"}
"""The contract's currency, and the one that a payee is paid in who has his own."""


@dataclass
class Walk:
    """One pair on one connection, and the time that passes for all of its contracts."""

    connection: Connection
    currency: str
    terms: Terms
    client: Actor
    payee: Actor
    now: datetime = MONDAY

    def hours(self) -> HourlyStage:
        made = HourlyStage(self.connection, self.currency, terms=self.terms, now=self.now)
        made.client, made.payee = self.client, self.payee
        return made.ready()

    def milestones(self, *amounts: int) -> Stage:
        made = Stage(self.connection, self.currency, self.terms, amounts, now=self.now)
        made.client, made.payee = self.client, self.payee
        for outcome in (made.propose(), made.accept()):
            assert outcome.is_done, outcome
        return made

    def shown(self, amount: int) -> Stage:
        made = self.milestones(amount)
        for outcome in (made.fund(), made.submit()):
            assert outcome.is_done, outcome
        return made

    def lease(self, amount: int) -> Lease:
        anchor = (self.now + timedelta(days=5)).date()
        terms = RetainerTerms(
            kind=RetainerKind.ACCESS_FEE,
            amount_minor=amount,
            every=Every.MONTH,
            anchor_on=anchor,
        )
        made = Lease(self.connection, terms, deal_terms=self.terms, now=self.now)
        made.stage.currency = self.currency
        made.stage.client, made.stage.payee = self.client, self.payee
        return made.agreed()

    def proved(self) -> None:
        prove_prices(self.connection)


def walk(connection: Connection, currency: str, *, converts: bool) -> Walk:
    """A tenant in Ireland with bands, a payee in Germany, a client in France, both consumers."""
    set_supplier(connection, country="IE")
    stand_tiers(connection, currency=currency, at=MONDAY)
    for day in range(0, 180, 3):
        stand_rates(connection, (MONDAY + timedelta(days=day)).date())
    terms = Terms(payee_currency=PAYEES_OWN[currency] if converts else None)
    first = Stage(connection)
    assert first.client.party_id is not None
    assert first.payee.party_id is not None
    add_buyer(connection, first.payee.party_id, "DE")
    add_buyer(connection, first.client.party_id, "FR")
    return Walk(connection, currency, terms, first.client, first.payee)


def weeks(made: Walk) -> None:
    """Three weeks: one is paid, two are advanced (P28): one is paid late (P29), one never (P30)."""
    paid, late, never = made.hours(), made.hours(), made.hours()
    for day, each in enumerate((paid, late, never)):
        assert each.log(hours(day, 8, 18)).is_done
    never.pass_to(MONDAY + timedelta(days=7, hours=12))
    paid.now = late.now = never.now
    assert paid.hear(fee_minor=7).is_done
    assert late.hear(RailOutcome.REFUSED).is_done
    never.pass_to(never.week().review_ends_at + timedelta(days=10))
    made.now = paid.now = late.now = never.now
    assert paid.week().state is WeekState.RELEASED
    assert [late.week().state, never.week().state] == [WeekState.ADVANCED] * 2
    made.proved()
    command = Fund(actor=late.client, slot_id=late.slot().id, funding_id=new_id())
    assert service.fund(made.connection, [command], at=made.now)[0].is_done
    assert late.hear().is_done
    assert late.week().state is WeekState.RELEASED
    made.proved()
    assert never.write_off(person(None, is_operator=True)).is_done
    assert never.write_off(person(None, is_operator=True)).is_done
    made.proved()


def milestones(made: Walk) -> None:
    """A part, the rest, a tip, and another milestone."""
    stage = made.milestones(40_001, 33_333)
    for outcome in (stage.fund(3), stage.submit(), stage.release_part(13_334)):
        assert outcome.is_done, outcome
    made.proved()
    assert stage.approve().is_done
    made.proved()
    assert stage.tip(2_001).is_done
    assert stage.hear(stage.result(fee_minor=1)).is_done
    made.proved()
    stage.slot_id = stage.slot_ids[1]
    for outcome in (stage.fund(), stage.submit(), stage.approve()):
        assert outcome.is_done, outcome
    made.now = stage.now


def refunds_later(made: Walk) -> None:
    """Released money goes back in parts down to the last unit; a single unit, too."""
    stage = made.shown(20_003)
    assert stage.release_part(10_025).is_done
    assert stage.approve().is_done
    stage.wait(days=6)
    made.now = stage.now
    for amount in (1, 9_979, 24, 1, 9_998):
        assert send_back(stage, amount).is_done
        made.proved()
    assert stage.slot().kept_minor == 0


def fronted_refund(made: Walk) -> None:
    """The platform fronts what the payee cannot give back yet, and claims it."""
    stage = made.shown(20_003)
    assert set_rules(stage, fronts=True).is_done
    assert stage.approve().is_done
    assert send_back(stage, 20_003, stage.operator, "mail:1").is_done


def split(made: Walk) -> None:
    """A dispute about all of it ends 70 : 30."""
    court = Court(made.shown(1_001))
    court.in_negotiation(701)
    assert court.accept(court.stage.client, 1).is_done


def chargeback_lost_and_won(made: Walk) -> None:
    """After release: fronted, lost, then won on appeal."""
    stage = made.shown(30_005)
    funding = stage.funding_id
    assert stage.approve().is_done
    stage.wait(days=6)
    asked = stage.connection.exec_driver_sql(
        "SELECT amount_minor + client_fee_minor FROM funding WHERE id = %s", (funding,)
    ).scalar_one()
    bank = Bank(stage, ref=f"dp_{new_id()}", amount_minor=asked).opened()
    made.proved()
    assert bank.says("lost").is_done
    made.proved()
    stage.wait(days=30)
    assert bank.says("appeal_open").is_done
    assert bank.gives().is_done
    assert bank.says("appeal_won").is_done
    made.now = stage.now


def chargeback_lost(made: Walk) -> None:
    """Half is released when the bank takes all of it for good."""
    stage = made.shown(30_005)
    assert stage.release_part(15_003).is_done
    asked = stage.connection.exec_driver_sql(
        "SELECT amount_minor + client_fee_minor FROM funding WHERE id = %s", (stage.funding_id,)
    ).scalar_one()
    bank = Bank(stage, ref=f"dp_{new_id()}", amount_minor=asked).opened()
    made.proved()
    assert bank.says("lost").is_done


def given_back(made: Walk) -> None:
    """Nothing was released: no fee was ever ours."""
    stage = made.shown(5_005)
    assert stage.on_slot("give_back", stage.payee).is_done


def periods(made: Walk) -> None:
    """A period is earned, the next is divided (P31)."""
    lease = made.lease(30_001)
    anchor = lease.terms.anchor_on
    lease.until(anchor + timedelta(days=33))
    made.proved()
    lease.until(anchor + timedelta(days=41))
    assert lease.cancel(lease.stage.operator).is_done
    made.now = lease.stage.now


def hybrid(made: Walk) -> None:
    """A milestone, hours and a retainer under one contract, ended to zero."""
    begins = (made.now + timedelta(days=7)).replace(hour=0, minute=0)
    begins -= timedelta(days=begins.weekday())
    terms = RetainerTerms(
        kind=RetainerKind.ACCESS_FEE,
        amount_minor=31_000,
        every=Every.MONTH,
        anchor_on=(begins + timedelta(days=4)).date(),
        notice_days=7,
    )
    trio = Trio(made.connection, terms, begins, made.terms, made.currency)
    stage = trio.stage
    stage.client, stage.payee = made.client, made.payee
    trio.agreed()
    assert stage.fund().is_done
    stage.now = begins + timedelta(hours=13)
    assert trio.log((begins + timedelta(hours=8), begins + timedelta(hours=12))).is_done
    trio.pass_to(begins + timedelta(days=4, hours=12))
    for outcome in (stage.submit(), stage.release_part(40_001)):
        assert outcome.is_done, outcome
    made.proved()
    assert stage.approve().is_done
    trio.pass_to(begins + timedelta(days=21))
    made.now = stage.now


KINDS = (weeks, milestones, split, given_back, periods, hybrid)
"""What every pair goes through, in whichever currency its payee is paid."""
CONTESTED = (chargeback_lost_and_won, chargeback_lost, fronted_refund)
"""What takes back from a payee, or is claimed from him."""


def documented(made: Walk) -> None:
    """Every fee is in one document; their numbers have no gap, and their sums are the books'."""
    issued = service_invoice.issue_due(made.connection, made.now, limit=5_000)
    assert issued.waiting == 0
    assert service_invoice.issue_due(made.connection, made.now, limit=5_000).numbers == ()
    sums = made.connection.exec_driver_sql(
        "SELECT currency, sum(net_minor)::bigint, sum(tax_minor)::bigint FROM invoice"
        " GROUP BY currency"
    ).all()
    booked = {
        kind: -kind_balances(made.connection, f"platform.{kind}").get(made.currency, 0)
        for kind in ("revenue.commission", "revenue.client_fee", "vat_payable")
    }
    net = booked["revenue.commission"] + booked["revenue.client_fee"]
    assert [tuple(row) for row in sums] == [(made.currency, net, booked["vat_payable"])]
    gaps = made.connection.exec_driver_sql(
        "SELECT series FROM invoice GROUP BY series HAVING count(*) <> max(seq) OR min(seq) <> 1"
    ).all()
    assert gaps == []


@pytest.mark.parametrize("currency", PAYEES_OWN)
def test_a_pair_through_contracts_of_every_kind(connection: Connection, currency: str) -> None:
    """Bands of the pair's lifetime, tax of two countries, and all that comes back."""
    made = walk(connection, currency, converts=False)
    for step in (*KINDS, refunds_later, *CONTESTED):
        step(made)
        made.proved()
    documented(made)


@pytest.mark.parametrize("currency", PAYEES_OWN)
def test_a_payee_with_a_currency_of_his_own(connection: Connection, currency: str) -> None:
    """The same, converted at each release; once the fills are in, the bridge is empty."""
    made = walk(connection, currency, converts=True)
    for step in (*KINDS, *CONTESTED):
        step(made)
        made.proved()
    conversions = connection.exec_driver_sql(
        "SELECT id, bought_minor + margin_minor FROM fx_conversion WHERE state = 'open' ORDER BY id"
    ).all()
    assert len(conversions) > 9

    for number, (conversion_id, minor) in enumerate(conversions):
        fill = RecordFill(
            actor=person(None, is_operator=True),
            conversion_id=conversion_id,
            provider="bank",
            provider_ref=f"trade:{number}",
            filled_minor=minor + number % 3 - 1,
        )
        assert service_fx.record_fills(connection, [fill], at=made.now)[0].is_done

    bridge = connection.exec_driver_sql(
        "SELECT currency, balance_minor FROM account WHERE kind = 'custody.fx'"
    ).all()
    assert {row[1] for row in bridge} == {0}
    assert len(bridge) == 2
    made.proved()
    documented(made)
