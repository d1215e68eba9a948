"""A client pays in his own currency: P35 through the services, what goes back and is taken."""

from uuid import UUID

import pytest
from sqlalchemy import Connection

from commissions import service_fx, store_fx
from commissions.commands_fx import AskQuote
from commissions.model_fx import FixedSide, Policy
from escrow import service, store
from escrow import service_fx as conversions
from escrow.commands import Fund, FundingCommand
from escrow.commands_fx import RecordFill
from escrow.model import FundingState, Method, SlotState, Terms
from escrow.service_fx import exposure
from kernel.commands import Outcome
from kernel.ids import new_id
from kernel.principals import RAIL
from ledger.proof import prove
from ledger.service import kind_balances
from tests.escrow.stage import Stage
from tests.escrow.stage_fx import Desk, rows


class Payer(Stage):
    """A contract in dollars whose client pays in euros, at 1.1000 less 1.5 %."""

    def quote(self, bought_minor: int, *, sold: str = "EUR") -> str:
        assert self.client.party_id is not None
        command = AskQuote(
            actor=self.client,
            quote_id=new_id(),
            party_id=self.client.party_id,
            sold=sold,
            bought=self.currency,
            fixed=FixedSide.BUY,
            amount_minor=bought_minor,
        )
        outcome = service_fx.quote(self.connection, [command], at=self.now)[0]
        assert outcome.is_done, outcome
        return str(outcome.facts["quote_id"])

    def pay(self, quote_id: str, method: Method = Method.CARD) -> Outcome:
        self.funding_id = new_id()
        command = Fund(
            actor=self.client,
            slot_id=self.slot_id,
            funding_id=self.funding_id,
            method=method,
            quote_id=UUID(quote_id),
        )
        return service.fund(self.connection, [command], at=self.now)[0]

    def give_up(self) -> Outcome:
        command = FundingCommand(actor=self.client, funding_id=self.funding_id)
        return service.cancel_funding(self.connection, [command], at=self.now)[0]

    def state(self) -> FundingState:
        return store.find_fundings(self.connection, [self.funding_id])[0].state


def payer(
    connection: Connection, currency: str = "USD", amount: int = 10_000, fee_bps: int = 300
) -> Payer:
    desk = Desk(connection, Policy(margin_bps=150))
    found = Payer(connection, currency, Terms(client_fee_bps=fee_bps), (amount,), now=desk.now)
    assert found.propose().is_done
    assert found.accept().is_done
    return found


def moved(connection: Connection, *kinds: str) -> dict[str, dict[str, int]]:
    found = {kind: kind_balances(connection, kind) for kind in kinds}
    return {
        kind: {code: minor for code, minor in each.items() if minor} for kind, each in found.items()
    }


def test_p35_a_client_pays_dollars_of_a_contract_in_euros(connection: Connection) -> None:
    """103.00 USD, fee and all, cost 95.06 EUR at 1.0835; the rail keeps 3.06 EUR of them."""
    deal = payer(connection)
    quote_id = deal.quote(10_300)

    started = deal.pay(quote_id)
    heard = deal.hear(deal.result(fee_minor=306))

    assert started.facts["client_pays"] == {"amount": "95.06", "currency": "EUR"}
    assert heard.is_done
    assert deal.slot().state is SlotState.FUNDED
    assert (deal.slot().held_minor, deal.slot().fee_deferred_minor) == (10_000, 300)
    assert deal.state() is FundingState.CREDITED
    assert moved(
        connection,
        *("custody.processor_pending", "custody.fx", "custody.escrow", "custody.wallet"),
        *("custody.due_to_platform", "custody.due_from_platform", "platform.deferred_fees"),
    ) == {
        "custody.processor_pending": {"EUR": 9_200},
        "custody.due_from_platform": {"EUR": 306},
        "custody.fx": {"EUR": -9_506, "USD": 10_300},
        "custody.escrow": {"USD": -10_000},
        "custody.wallet": {},
        "custody.due_to_platform": {"USD": -300},
        "platform.deferred_fees": {"USD": -300},
    }
    assert all(each.is_explained for each in exposure(connection))
    assert prove(connection).is_clean


def test_p36_the_fill_of_a_payment_empties_the_bridge(connection: Connection) -> None:
    """At 1.0967 the provider gives 104.25 USD for 95.06 EUR: 1.57 of margin, 0.32 of it lost."""
    deal = payer(connection)
    assert deal.pay(deal.quote(10_300)).is_done
    assert deal.hear(deal.result()).is_done
    (made,) = store_fx.list_open(connection, after=None, limit=10)
    fill = RecordFill(
        actor=RAIL, conversion_id=made.id, provider="house", provider_ref="f", filled_minor=10_425
    )

    filled = conversions.record_fills(connection, [fill], at=deal.now)[0]

    assert filled.facts["fill"]["margin"]["amount"] == "1.57"
    assert filled.facts["fill"]["loss"]["amount"] == "0.32"
    assert moved(connection, "custody.fx", "platform.expense.fx") == {
        "custody.fx": {},
        "platform.expense.fx": {"USD": 32},
    }
    assert prove(connection).is_clean


@pytest.mark.parametrize(
    ("currency", "amount", "asked", "euros"),
    [("JPY", 10_000, 10_300, "65.15"), ("KWD", 10_000, 10_300, "30.93")],
)
def test_slots_of_no_and_of_three_decimals_are_paid_in_euros(
    connection: Connection, currency: str, amount: int, asked: int, euros: str
) -> None:
    """10,300 JPY at 158.0925, and 10.300 KWD at 0.33307775: the least that buys them."""
    deal = payer(connection, currency, amount)

    started = deal.pay(deal.quote(asked))

    assert started.facts["client_pays"] == {"amount": euros, "currency": "EUR"}
    assert deal.hear(deal.result()).is_done
    assert deal.slot().held_minor == amount
    assert prove(connection).is_clean


@pytest.mark.parametrize("short", [True, False])
def test_another_amount_or_a_late_one_stays_in_the_clients_currency(
    connection: Connection, *, short: bool
) -> None:
    """Too little lies in suspense; what comes after the payment was given up, in his wallet."""
    deal = payer(connection)
    assert deal.pay(deal.quote(10_300)).is_done
    if not short:
        assert deal.give_up().is_done

    heard = deal.hear(deal.result(amount_minor=9_000 if short else None))

    assert heard.is_done
    assert deal.slot().state is SlotState.AWAITING_FUNDING
    where = "custody.suspense" if short else "custody.wallet"
    assert moved(connection, where, "custody.fx") == {
        where: {"EUR": -9_000 if short else -9_506},
        "custody.fx": {},
    }
    assert prove(connection).is_clean


def test_a_quote_that_does_not_fit_pays_for_nothing(connection: Connection) -> None:
    """Another amount, another method, another's quote, one that has ended, one used: refused."""
    deal = payer(connection)
    good, other = deal.quote(10_300), deal.quote(10_000)
    stranger = Payer(connection, "USD", now=deal.now)
    theirs = stranger.quote(10_300)
    before = rows(connection)

    codes = [
        deal.pay(other).code,
        deal.pay(good, Method.BANK_TRANSFER).code,
        deal.pay(good, Method.WALLET).code,
        deal.pay(theirs).code,
        deal.pay(str(new_id())).code,
    ]

    assert codes == [
        *("fx.quote_does_not_fit", "fx.quote_does_not_fit", "fx.quote_does_not_fit"),
        *("fx.unknown_quote", "fx.unknown_quote"),
    ]
    assert rows(connection) == before
    assert deal.pay(good).is_done
    assert deal.give_up().is_done
    assert deal.pay(good).code == "fx.quote_used"
    late = deal.quote(10_300)
    deal.now = deal.now.replace(hour=23)
    assert deal.pay(late).code == "fx.quote_expired"
