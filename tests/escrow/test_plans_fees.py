"""A plan and the fee of a deal: the schedule of the plan is pinned at acceptance, and stays."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import Connection

from commissions.model import Band, Scope, Side
from commissions.model_plans import RefundRule
from escrow import store
from escrow.model import Contract
from tax.service_invoice import issue_due
from tests.commissions.books import hold, tariff
from tests.escrow.stage import Stage
from tests.escrow.stage_plans import Shop


def accepted(shop: Shop) -> tuple[Stage, Contract]:
    """A new deal of the payee, with what it pinned."""
    stage = Stage(shop.connection, now=shop.now)
    stage.payee = shop.party
    assert stage.propose().is_done
    assert stage.accept().is_done
    return stage, store.find_contracts(shop.connection, [stage.contract_id])[0]


def schedules(connection: Connection) -> tuple[UUID, UUID]:
    """Ten in a hundred for everybody, five for who has the plan."""
    everybody = hold(connection)
    cheaper = hold(
        connection, "pro", scope=Scope(plan="pro"), tariffs=(tariff("EUR", Band(None, 500)),)
    )
    return everybody, cheaper


def test_a_plan_gets_its_schedule_and_a_running_contract_keeps_it(connection: Connection) -> None:
    """Without the plan 10 %, with it 5 %; when it has lapsed the deal of then still pays 5 %."""
    shop = Shop(connection)
    shop.earn(1_499)
    shop.sell()
    everybody, cheaper = schedules(connection)

    _, before = accepted(shop)
    assert shop.subscribe().is_done
    stage, during = accepted(shop)
    shop.pass_days(60)
    _, after = accepted(shop)

    pinned = [each.pins.payee_schedule_id for each in (before, during, after)]
    assert pinned == [everybody, cheaper, everybody]
    stage.now = shop.now
    assert stage.fund().is_done
    assert stage.submit().is_done
    assert stage.approve().is_done
    taken = connection.exec_driver_sql(
        "SELECT fee_minor FROM fee_line WHERE contract_id = %s AND kind = 'commission'",
        (stage.contract_id,),
    ).scalar_one()
    assert taken == 500


def test_a_clients_plan_is_asked_too(connection: Connection) -> None:
    """What a client subscribes to decides the fee that he pays himself."""
    shop = Shop(connection, side=Side.CLIENT)
    shop.earn(10_000)
    shop.sell("premium", refund=RefundRule.PRO_RATA)
    everybody = hold(connection, "clients", side=Side.CLIENT)
    cheaper = hold(
        connection,
        "premium",
        side=Side.CLIENT,
        scope=Scope(client_plan="premium"),
        tariffs=(tariff("EUR", Band(None, 100)),),
    )
    begun = shop.subscribe("premium")
    assert begun.is_done

    found = []
    for _ in range(2):
        stage = Stage(connection, now=shop.now)
        stage.client = shop.party
        assert stage.propose().is_done
        assert stage.accept(stage.client).is_done
        contract = store.find_contracts(connection, [stage.contract_id])[0]
        found.append(contract.pins.client_schedule_id)
        if len(found) == 1:
            shop.now += timedelta(hours=1)
            assert shop.cancel(begun).facts["state"] == "cancelled"

    assert found == [cheaper, everybody]


def test_what_is_charged_and_given_back_has_its_documents(connection: Connection) -> None:
    """An invoice of 14.99 + 3.00, a credit note of 9.71 + 1.94 that names it; the tax ties."""
    shop = Shop(connection)
    shop.tax()
    shop.earn(10_000)
    shop.sell(refund=RefundRule.PRO_RATA)
    begun = shop.subscribe()
    shop.now += timedelta(days=10, hours=5)
    assert shop.cancel(begun).is_done

    assert len(issue_due(connection, shop.now).numbers) == 2

    rows = connection.exec_driver_sql(
        "SELECT kind, fee_kind, net_minor, tax_minor, original_id IS NOT NULL FROM invoice"
        " WHERE party_id = %s ORDER BY id",
        (shop.party_id,),
    )
    assert [tuple(row) for row in rows] == [
        ("invoice", "subscription", 1_499, 300, False),
        ("credit_note", "subscription", -971, -194, True),
    ]
    assert shop.sums()[2] == 300 - 194


def test_a_credit_note_names_the_invoice_of_its_own_purchase(connection: Connection) -> None:
    """Two products of one party: of each what goes back names its own, whichever went first."""
    shop = Shop(connection)
    shop.tax()
    shop.earn(10_000)
    shop.sell_product(refund=RefundRule.PRO_RATA)
    bought = []
    for about in ("profile:1", "profile:2"):
        bought.append(shop.buy(about=about))
        assert bought[-1].is_done
    first, second = issue_due(connection, shop.now).numbers
    shop.now += timedelta(hours=1)

    for purchase, original in zip(bought, (first, second), strict=True):
        assert shop.give_back(purchase).is_done
        (number,) = issue_due(connection, shop.now).numbers
        named = connection.exec_driver_sql(
            "SELECT document -> 'originals' FROM invoice WHERE number = %s", (number,)
        ).scalar_one()
        assert named == [original]
