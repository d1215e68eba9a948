"""Where a cent could go astray: roundings that step together, and money of two currencies."""

from dataclasses import replace
from random import Random
from uuid import UUID

import pytest
from sqlalchemy import Connection

from commissions.model import Band
from escrow.model import ConvertAt, Terms
from escrow.model_dispute import DisputeState
from tests.commissions.books import hold
from tests.commissions.deals import draw, plain_price
from tests.commissions.rates import stand_rates
from tests.escrow.stage import START, Stage, check_balances
from tests.escrow.stage_chargeback import Bank
from tests.escrow.stage_claims import claims, send_back, set_rules
from tests.escrow.stage_dispute import Court
from tests.escrow.stage_hourly import HourlyStage
from tests.escrow.stage_price import (
    NO_CLIENT_FEE,
    agreed,
    commission_of,
    prove_prices,
    released,
    stand_tiers,
    submitted,
)
from tests.escrow.test_reserves import keep
from tests.tax.stage import add_buyer, set_supplier


def taxed(connection: Connection, stage: Stage) -> None:
    """A platform in Ireland, a payee in Germany: 19 % on our fee."""
    set_supplier(connection, country="IE")
    assert stage.payee.party_id is not None
    add_buyer(connection, stage.payee.party_id, "DE")


@pytest.mark.parametrize("currency", ["JPY", "EUR", "KWD"])
def test_one_unit_back_may_bring_a_unit_of_fee_and_one_of_tax(
    connection: Connection, currency: str
) -> None:
    """100.25 at 10 %, tax of 19 %: a cent back steps both: the payee is a cent richer by it.

    What stays is the fee and the tax of what stays: 10.02 and 1.90 of 100.24.
    """
    stand_tiers(connection, Band(None, 1_000), currency=currency)
    stage = agreed(connection, 10_025, currency=currency)
    taxed(connection, stage)
    assert released(stage) == 1_003
    stage.wait(days=6)

    assert send_back(stage, 1).is_done

    assert commission_of(connection, stage.slot_id) == 1_002
    rows = connection.exec_driver_sql(
        "SELECT gross_minor, fee_minor, tax_minor FROM fee_line ORDER BY id"
    ).all()
    assert [tuple(row) for row in rows] == [(10_025, 1_003, 191), (-1, -1, -1)]
    assert send_back(stage, 10_024).is_done
    assert commission_of(connection, stage.slot_id) == 0
    prove_prices(connection)


def test_a_band_that_takes_nearly_all_comes_back_with_its_tax(connection: Connection) -> None:
    """Nothing to 500.00, 90 % above: of 100.00 back 107.10 are ours, so the payee gets 7.10."""
    stand_tiers(connection, Band(50_000, 0), Band(None, 9_000))
    stage = agreed(connection, 60_000)
    taxed(connection, stage)
    assert released(stage) == 9_000
    stage.wait(days=6)
    check_balances(connection, "EUR", "earned available 492.90 · vat payable 17.10")

    assert send_back(stage, 10_000).is_done

    check_balances(connection, "EUR", "earned available 500.00 · vat payable 0.00")
    prove_prices(connection)


def owing(connection: Connection, stage: Stage, amount_minor: int) -> None:
    """The payee owes the platform so much in euros."""
    assert stage.payee.party_id is not None
    assert set_rules(stage, fronts=True, bps=5_000).is_done
    other = agreed(connection, amount_minor, like=stage)
    released(other)
    assert send_back(other, amount_minor, other.operator, "mail:1").is_done


def test_a_claim_in_euros_is_not_paid_with_dollars(connection: Connection) -> None:
    """He owes euros: half of the 18.00 euros that he earns pay it, none of his 99.00 dollars."""
    stand_rates(connection, START.date())
    stage = submitted(connection, 10_000, terms=replace(NO_CLIENT_FEE, payee_currency="USD"))
    owing(connection, stage, 2_000)
    assert stage.approve().is_done

    stage.wait(days=6)

    assert [each.remaining_minor for each in claims(stage)] == [900]
    check_balances(connection, "EUR", "earned available 9.00 · claim on payee 9.00")
    check_balances(connection, "USD", "earned available 99.00 · earned pending 0.00")
    prove_prices(connection)


def test_a_reserve_is_of_the_money_that_came(connection: Connection) -> None:
    """A tenth of 99.00 dollars is kept back in dollars, and given in dollars."""
    stand_rates(connection, START.date())
    stage = submitted(connection, 10_000, terms=replace(NO_CLIENT_FEE, payee_currency="USD"))
    assert keep(stage).is_done
    assert stage.approve().is_done

    stage.wait(days=6)

    check_balances(connection, "USD", "earned available 89.10 · earned reserved 9.90")
    check_balances(connection, "EUR", "earned available 0.00 · earned reserved 0.00")
    stage.wait(days=31)
    check_balances(connection, "USD", "earned available 99.00 · earned reserved 0.00")
    prove_prices(connection)


@pytest.mark.parametrize("is_available", [False, True])
def test_a_bank_that_takes_what_was_nearly_all_ours(
    connection: Connection, *, is_available: bool
) -> None:
    """The bank takes 100.00 of 600.00, of which 107.10 were ours: nothing is the payee's to give.

    Lost, our fee and its tax come back, and he is 7.10 richer; won on appeal, all is as it was.
    """
    stand_tiers(connection, Band(50_000, 0), Band(None, 9_000))
    stage = agreed(connection, 60_000)
    taxed(connection, stage)
    released(stage)
    if is_available:
        stage.wait(days=6)
    bank = Bank(stage, amount_minor=10_000).opened()
    prove_prices(connection)

    assert bank.says("lost").is_done

    assert commission_of(connection, stage.slot_id) == 0
    check_balances(connection, "EUR", "vat payable 0.00 · claim on payee 0.00")
    prove_prices(connection)
    stage.wait(days=30)
    assert bank.says("appeal_open").is_done
    assert bank.gives().is_done
    assert bank.says("appeal_won").is_done
    assert commission_of(connection, stage.slot_id) == 9_000
    check_balances(connection, "EUR", "earned available 492.90 · vat payable 17.10")
    prove_prices(connection)


@pytest.mark.parametrize("amount", [1, 2_499, 5_001, 10_300])
def test_a_bank_that_takes_converted_money(connection: Connection, amount: int) -> None:
    """The payee has dollars: what the bank takes in euros is ours to front, and then to claim."""
    stand_rates(connection, START.date())
    terms = replace(NO_CLIENT_FEE, payee_currency="USD", client_fee_bps=300)
    stage = submitted(connection, 10_000, terms=terms)
    taxed(connection, stage)
    assert stage.approve().is_done
    stage.wait(days=6)
    bank = Bank(stage, amount_minor=amount).opened()
    prove_prices(connection)
    assert bank.says("lost").is_done
    prove_prices(connection)
    check_balances(connection, "USD", "earned available 96.91")
    stage.wait(days=30)
    assert bank.says("appeal_open").is_done
    assert bank.gives().is_done
    assert bank.says("appeal_won").is_done

    assert [each.remaining_minor for each in claims(stage)] in ([0], [])
    check_balances(connection, "EUR", "revenue.commission 10.00 · claim on payee 0.00")
    prove_prices(connection)


@pytest.mark.parametrize("seed", range(6))
def test_what_is_disputed_after_release_splits_with_its_fee_and_tax(
    connection: Connection, seed: int
) -> None:
    """Parts set aside, split anywhere, in any bands: what stays is the fee of what stays."""
    random = Random(seed)
    drawn = draw(random)
    tariff = drawn if seed % 2 else replace(drawn, bands=(Band(300, 0), Band(None, 9_500)))
    hold(connection, tariffs=(tariff,))
    first = agreed(connection, 1)
    taxed(connection, first)
    billed_minor = 0
    for _ in range(4):
        amount = random.choice((random.randint(2, 60), random.randint(2, 90_000)))
        stage = agreed(connection, amount, like=first)
        released(stage)
        claim = random.choice((1, amount, random.randint(1, amount)))
        to_payee = random.choice((0, claim, random.randint(0, claim)))
        court = Court(stage)
        assert court.open(amount_minor=claim, release_id=_release_of(stage)).is_done
        prove_prices(connection)
        assert court.serve().is_done
        assert court.offer(stage.payee, to_payee, is_reply=True).is_done
        if court.dispute.state is not DisputeState.EXECUTED:
            assert court.accept(stage.client, 1).is_done

        kept = amount - claim + to_payee
        owed = plain_price(
            tariff,
            None,
            kept,
            billed_minor=billed_minor,
            charged_month_minor=_charged(connection, stage, but=stage.slot_id),
            tax_bps=1_900,
        )
        assert commission_of(connection, stage.slot_id) == owed.fee_minor
        prove_prices(connection)
        stage.wait(days=6)
        first.now = stage.now
        billed_minor += kept
        prove_prices(connection)


def _release_of(stage: Stage) -> UUID:
    found: UUID = stage.connection.exec_driver_sql(
        "SELECT id FROM release WHERE slot_id = %s", (stage.slot_id,)
    ).scalar_one()
    return found


def _charged(connection: Connection, stage: Stage, *, but: UUID) -> int:
    """The month's commission before a slot's release; all that the pair paid in other slots."""
    found: int = connection.exec_driver_sql(
        "SELECT coalesce(sum(fee_minor), 0)::bigint FROM fee_line"
        " WHERE kind = 'commission' AND slot_id <> %s"
        " AND month = date_trunc('month', %s AT TIME ZONE 'UTC')",
        (but, stage.now),
    ).scalar_one()
    return found


@pytest.mark.parametrize(
    ("terms", "code", "field"),
    [
        (Terms(payee_currency="EUR"), "escrow.bad_terms", "payee_currency"),
        (Terms(payee_currency="XXX"), "money.unknown_currency", ""),
        (Terms(payee_currency="usd"), "money.unknown_currency", ""),
        (Terms(category="Bad!"), "escrow.bad_terms", "category"),
        (Terms(origin="No Way"), "escrow.bad_terms", "origin"),
        (
            Terms(payee_currency="USD", convert_at=ConvertAt.FUNDING),
            "escrow.bad_terms",
            "convert_at",
        ),
    ],
)
def test_terms_that_no_price_can_follow_are_refused(
    connection: Connection, terms: Terms, code: str, field: str
) -> None:
    """Before the database is asked; a deal of any kind, with nothing written."""
    stage = Stage(connection, terms=terms)
    weeks = HourlyStage(connection, "EUR", terms=terms)

    for refused in (stage.propose(), weeks.propose()):
        assert refused.code == code
        assert refused.facts.get("field", "") == field
    assert connection.exec_driver_sql("SELECT count(*) FROM contract").scalar_one() == 0
