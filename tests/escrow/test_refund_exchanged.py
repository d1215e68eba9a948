"""Edge case 36: what goes back of a payment that was exchanged when it came, and who takes it."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import Connection

from commissions import store_fx
from commissions.model_fx import ConversionKind
from escrow import service_fx, store
from escrow.commands_fx import Convert, RecordFill
from escrow.model import Funding, Refund, RefundState, SlotState
from escrow.service_fx import exposure
from kernel.commands import Outcome
from kernel.ids import new_id
from kernel.principals import RAIL
from ledger.proof import prove
from rails.model import RailOutcome
from reconciliation.open_items import open_items
from tests.commissions.rates import stand_rates
from tests.escrow.stage import prove_books
from tests.escrow.stage_chargeback import Bank
from tests.escrow.stage_dispute import Court
from tests.escrow.stage_fx import Desk, rows
from tests.escrow.test_fund_by_quote import Payer, moved, payer


def paid(connection: Connection, currency: str = "USD", amount: int = 10_000) -> Payer:
    """A slot of 100.00 USD that 95.06 EUR have paid for, its fee of 3.00 in it; 1.0835 a euro."""
    deal = payer(connection, currency, amount)
    assert deal.pay(deal.quote(amount * 103 // 100)).is_done
    assert deal.hear(deal.result()).is_done
    return deal


def rate_of(deal: Payer, per_euro: str, **per: str) -> None:
    """Tomorrow's rate of the contract's currency."""
    deal.now += timedelta(days=1)
    stand_rates(deal.connection, deal.now.date(), {deal.currency: per_euro, **per})


def card_of(deal: Payer) -> Funding:
    return store.find_fundings(deal.connection, [deal.funding_id])[0]


def refunds_of(deal: Payer) -> list[Refund]:
    ids = deal.connection.exec_driver_sql(
        "SELECT id FROM refund WHERE funding_id = %s ORDER BY id", (deal.funding_id,)
    ).scalars()
    return store.lock_refunds(deal.connection, list(ids))


def fill_all(deal: Payer) -> None:
    """The provider gives what each customer got, and the bridge is empty."""
    for number, each in enumerate(store_fx.list_open(deal.connection, after=None, limit=10)):
        command = RecordFill(
            actor=RAIL,
            conversion_id=each.id,
            provider="house",
            provider_ref=f"f-{number}",
            filled_minor=each.bought_minor,
        )
        assert service_fx.record_fills(deal.connection, [command], at=deal.now)[0].is_done
    assert moved(deal.connection, "custody.fx") == {"custody.fx": {}}


WHERE = ("custody.wallet", "custody.escrow", "custody.refund_in_transit")


def test_edge_36_what_goes_back_goes_to_the_card_at_the_days_rate(connection: Connection) -> None:
    """103.00 USD at 1.2000 a euro, less 1.5 %, are 84.55 EUR: the client bears 10.51 of 95.06."""
    deal = paid(connection)
    rate_of(deal, "1.2000")

    back = deal.on_slot("give_back", deal.payee)

    (told_of,) = back.facts["exchanged"]
    assert told_of["client_gets"] == {"amount": "84.55", "currency": "EUR"}
    assert back.facts["refunded"] == {"amount": "100.00", "currency": "USD"}
    assert moved(connection, *WHERE, "custody.fx") == {
        "custody.wallet": {},
        "custody.escrow": {},
        "custody.refund_in_transit": {"EUR": -8_455},
        "custody.fx": {"EUR": -9_506 + 8_455},
    }
    made = store_fx.find_conversions(connection, [UUID(told_of["refund_id"])])
    (conversion,) = made.values()
    assert (conversion.kind, conversion.sold_minor, conversion.bought_minor) == (
        *(ConversionKind.REFUND, 10_300, 8_455),
    )
    assert card_of(deal).refunded_minor == 8_455
    assert all(each.is_explained for each in exposure(connection))
    assert prove(connection).is_clean


def test_edge_36_the_card_is_paid_and_the_bridge_is_filled(connection: Connection) -> None:
    """The rail pays 84.55 EUR out; the fills of both ways empty the bridge, and all is proven."""
    deal = paid(connection)
    rate_of(deal, "1.2000")
    assert deal.on_slot("give_back", deal.payee).is_done
    (refund,) = refunds_of(deal)

    heard = deal.refund_result(str(refund.id), RailOutcome.DONE)

    assert heard.is_done
    assert refunds_of(deal)[0].state is RefundState.SUCCEEDED
    assert moved(connection, "custody.refund_in_transit") == {"custody.refund_in_transit": {}}
    fill_all(deal)
    prove_books(connection)


def test_edge_36_a_card_that_takes_nothing_leaves_it_in_the_wallet(connection: Connection) -> None:
    """P16: the euros are the client's, in his wallet."""
    deal = paid(connection)
    rate_of(deal, "1.2000")
    assert deal.on_slot("give_back", deal.payee).is_done

    assert deal.refund_result(str(refunds_of(deal)[0].id), RailOutcome.REFUSED).is_done

    assert moved(connection, "custody.wallet") == {"custody.wallet": {"EUR": -8_455}}
    assert prove(connection).is_clean


def test_edge_36_no_more_than_was_paid_goes_to_the_card(connection: Connection) -> None:
    """At 1.0000 the dollars are worth more: the card has its 95.06 EUR, the wallet the rest."""
    deal = paid(connection)
    rate_of(deal, "1.0000")

    back = deal.on_slot("give_back", deal.payee)

    (told_of,) = back.facts["exchanged"]
    assert told_of["client_gets"] == {"amount": "95.06", "currency": "EUR"}
    assert told_of["sold"] == {"amount": "96.51", "currency": "USD"}
    assert moved(connection, "custody.wallet") == {"custody.wallet": {"USD": -(10_300 - 9_651)}}
    assert card_of(deal).refunded_minor == card_of(deal).captured_minor
    assert prove(connection).is_clean


def test_edge_36_without_a_rate_it_is_in_the_wallet_and_says_so(connection: Connection) -> None:
    """A month later no rate is fresh: 103.00 USD in the wallet, and the answer says why."""
    deal = paid(connection)
    deal.now += timedelta(days=30)

    back = deal.on_slot("give_back", deal.payee)

    assert back.facts["unconverted"] == ["fx.stale_rate"]
    assert moved(connection, *WHERE) == {
        "custody.wallet": {"USD": -10_300},
        "custody.escrow": {},
        "custody.refund_in_transit": {},
    }
    assert prove(connection).is_clean


@pytest.mark.parametrize(
    ("currency", "per_euro", "gets"), [("JPY", "200.00", "50.73"), ("KWD", "0.40000", "25.36")]
)
def test_edge_36_in_currencies_of_no_and_of_three_decimals(
    connection: Connection, currency: str, per_euro: str, gets: str
) -> None:
    """What was bought for euros goes back in euros, at the rate of the day."""
    deal = paid(connection, currency)
    rate_of(deal, per_euro)

    back = deal.on_slot("give_back", deal.payee)

    (told_of,) = back.facts["exchanged"]
    assert told_of["client_gets"] == {"amount": gets, "currency": "EUR"}
    assert prove(connection).is_clean


def test_edge_36_a_dispute_gives_back_to_the_card(connection: Connection) -> None:
    """A settlement of 60.00 for the payee: the client's 40.00 USD go back in euros."""
    deal = paid(connection)
    assert deal.submit().is_done
    court = Court(deal)
    court.in_negotiation(6_000)
    stand_rates(connection, (deal.now).date() + timedelta(days=1), {"USD": "1.2000"})

    answer = court.accept(court.stage.client, 1)

    assert answer.is_done, answer
    (told_of,) = answer.facts["exchanged"]
    assert told_of["sold"]["amount"] == "40.00"
    assert moved(connection, "custody.wallet", "custody.escrow") == {
        "custody.wallet": {},
        "custody.escrow": {},
    }
    assert all(each.is_explained for each in exposure(connection))
    assert prove(connection).is_clean


def test_edge_36_it_is_said_when_the_client_pays(connection: Connection) -> None:
    """The answer, and the event of the payment: the rate of the day, and whose the cost is."""
    deal = payer(connection)

    started = deal.pay(deal.quote(10_300))

    assert started.facts["refunded_at"] == "rate_of_the_day_borne_by_client"
    detail = connection.exec_driver_sql(
        "SELECT detail FROM event WHERE kind = 'funding.created'"
    ).scalar_one()
    assert "rate_of_the_day_borne_by_client" in str(detail)


def test_edge_36_a_client_exchanges_his_wallet(connection: Connection) -> None:
    """What fell back to his wallet he exchanges by a quote: 103.00 USD for euros, once."""
    deal = paid(connection)
    deal.now += timedelta(days=30)
    assert deal.on_slot("give_back", deal.payee).is_done
    stand_rates(connection, deal.now.date(), {"USD": "1.2000"})
    desk = Desk.__new__(Desk)
    desk.connection, desk.now, desk.payee = connection, deal.now, deal.client
    assert deal.client.party_id is not None
    desk.party_id = deal.client.party_id
    quote_id = UUID(desk.quote(10_300, "USD", "EUR").facts["quote_id"])

    def convert(*, is_wallet: bool) -> Outcome:
        command = Convert(
            actor=deal.client, conversion_id=new_id(), quote_id=quote_id, is_wallet=is_wallet
        )
        return service_fx.convert(connection, [command], at=deal.now)[0]

    before = rows(connection)
    assert convert(is_wallet=False).code == "ledger.insufficient_funds"
    assert rows(connection) == before
    assert convert(is_wallet=True).is_done
    assert convert(is_wallet=True).code == "fx.quote_used"

    assert moved(connection, "custody.wallet") == {"custody.wallet": {"EUR": -8_455}}
    assert all(each.is_explained for each in exposure(connection))
    fill_all(deal)
    prove_books(connection)


CONTESTED = (
    *("custody.processor_available", "platform.chargebacks_contested"),
    *("platform.expense.chargeback", "custody.escrow"),
)


def contests_left(deal: Payer) -> list[str]:
    """Open items of chargebacks: what is contested is what stands open of them, in euros too."""
    found = open_items(deal.connection, at=deal.now)
    return [each.sort for each in found if each.sort.startswith("chargeback.")]


def taken(connection: Connection) -> tuple[Payer, Bank]:
    """The bank has taken the card payment back; the platform fronts it."""
    deal = paid(connection)
    bank = Bank(deal, amount_minor=9_506)
    assert bank.takes().is_done
    return deal, bank


def test_edge_36_the_platform_fronts_a_chargeback_and_nothing_goes_back(
    connection: Connection,
) -> None:
    """The slot keeps its dollars; while the bank looks, the client has nothing back besides."""
    deal, bank = taken(connection)

    assert [each.source for each in bank.pieces] == ["beyond"]
    assert contests_left(deal) == []
    assert deal.slot().held_minor == 10_000
    assert moved(connection, *CONTESTED[:2]) == {
        "custody.processor_available": {"EUR": -11_006},
        "platform.chargebacks_contested": {"EUR": 9_506},
    }
    before = rows(connection)
    assert deal.on_slot("give_back", deal.payee).code == "escrow.held"
    assert rows(connection) == before
    assert prove(connection).is_clean


def test_edge_36_a_chargeback_that_is_won(connection: Connection) -> None:
    """The bank gives the euros back: nothing is contested, and the card may be refunded again."""
    deal, bank = taken(connection)

    assert bank.gives().is_done
    assert bank.says("won").is_done

    assert contests_left(deal) == []
    assert moved(connection, "platform.chargebacks_contested") == {
        "platform.chargebacks_contested": {}
    }
    rate_of(deal, "1.2000")
    back = deal.on_slot("give_back", deal.payee)
    assert back.facts["exchanged"][0]["client_gets"]["amount"] == "84.55"
    fill_all(deal)
    assert prove(connection).is_clean


def test_edge_36_a_chargeback_that_is_lost(connection: Connection) -> None:
    """The euros are the platform's loss; the payee is paid for his work, the client not twice."""
    deal, bank = taken(connection)

    assert bank.says("lost").is_done

    assert contests_left(deal) == []
    assert moved(connection, "platform.chargebacks_contested") == {
        "platform.chargebacks_contested": {}
    }
    assert deal.on_slot("give_back", deal.payee).code == "escrow.held"
    assert deal.slot().state is SlotState.FUNDED
    assert deal.submit().is_done
    assert deal.approve().is_done
    fill_all(deal)
    assert prove(connection).is_clean
