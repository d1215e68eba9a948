"""Edge case 35: a release at a quote of exchange that was shown, and when it is asked again."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine

from commissions import store_fx, store_fx_quotes
from commissions.commands_fx import AskQuote
from commissions.model_fx import FixedSide, Policy, QuoteState
from commissions.service_fx import QUOTE_EXPIRY, expire_quotes
from escrow import model_quote, service, service_quote
from escrow import service_fx as conversions
from escrow.commands import ReleasePart, SlotCommand
from escrow.model import Terms
from escrow.states import ReleaseRule
from kernel import timers
from kernel.commands import Outcome
from kernel.database import Tenant, transaction
from kernel.ids import new_id
from kernel.principals import Actor
from tests.commissions.rates import stand_rates
from tests.escrow.stage import START, Stage, check_balances, person
from tests.escrow.stage_fx import Desk, rows
from tests.escrow.stage_price import NO_CLIENT_FEE, agreed, prove_prices, submitted

DOLLARS = replace(NO_CLIENT_FEE, payee_currency="USD")


def shown(
    connection: Connection,
    *amounts: int,
    currency: str = "EUR",
    terms: Terms = DOLLARS,
    tolerance_bps: int = 50,
) -> Stage:
    """A deal whose payee is paid in another currency, with a margin of 1.5 % and a tolerance."""
    Desk(connection, Policy(margin_bps=150, tolerance_bps=tolerance_bps))
    return submitted(connection, *(amounts or (10_000,)), currency=currency, terms=terms)


def ask(stage: Stage, net_minor: int, *, actor: Actor | None = None, **fields: Any) -> Outcome:
    """A quote for the release of so much after fees, asked for by the client."""
    who = actor or stage.client
    given: dict[str, Any] = {
        "party_id": who.party_id,
        "sold": stage.currency,
        "bought": stage.terms.payee_currency,
        "fixed": FixedSide.SELL,
        "contract_id": stage.contract_id,
        **fields,
    }
    command = AskQuote(actor=who, quote_id=new_id(), amount_minor=net_minor, **given)
    return conversions.quote(stage.connection, [command], at=stage.now)[0]


def quote_of(stage: Stage, net_minor: int, **fields: Any) -> UUID:
    outcome = ask(stage, net_minor, **fields)
    assert outcome.is_done, outcome
    return UUID(outcome.facts["quote_id"])


def state_of(stage: Stage, quote_id: UUID) -> QuoteState:
    return store_fx_quotes.find_quotes(stage.connection, [quote_id])[quote_id].state


def next_day(stage: Stage, per_euro: str) -> None:
    """The quote of yesterday has ended, and the euro stands at another rate."""
    stage.now += timedelta(days=1)
    stand_rates(stage.connection, stage.now.date(), {"USD": per_euro})


def test_e35_the_quote_that_was_shown_is_what_the_payee_gets(connection: Connection) -> None:
    """E35: 90.00 EUR at 1.0835, though the day's rate is another by now; once, and it is kept."""
    stage = shown(connection)
    quote_id = quote_of(stage, 9_000)
    stand_rates(connection, START.date() + timedelta(days=1), {"USD": "1.3000"})

    answer = stage.approve(quote_id=quote_id)

    assert answer.facts["payee_gets"] == {"amount": "97.52", "currency": "USD"}
    assert answer.facts["fx_quote_id"] == str(quote_id)
    assert state_of(stage, quote_id) is QuoteState.USED
    (made,) = store_fx.list_open(connection, after=None, limit=10)
    assert (made.quote_id, made.party_id, made.bought_minor, made.margin_minor) == (
        *(quote_id, stage.payee.party_id),
        *(9_752, 149),
    )
    assert timers.list_of(connection, [f"fx_quote:{quote_id}"]) == []
    check_balances(connection, "USD", "earned pending 97.52 · fx 97.52")
    prove_prices(connection)


@pytest.mark.parametrize(
    ("currency", "payee", "amount", "net", "gets"),
    [("JPY", "EUR", 10_000, 9_000, "55.23"), ("KWD", "JPY", 10_000, 9_000, "4208")],
)
def test_e35_in_currencies_of_no_and_of_three_decimals(
    connection: Connection, currency: str, payee: str, amount: int, net: int, gets: str
) -> None:
    """E35: 9,000 JPY are 55.23 EUR, and 9.000 KWD 4,208 JPY, each less 1.5 %."""
    terms = replace(NO_CLIENT_FEE, payee_currency=payee)
    stage = shown(connection, amount, currency=currency, terms=terms)
    quote_id = quote_of(stage, net, actor=stage.payee)

    answer = stage.approve(quote_id=quote_id)

    assert answer.facts["payee_gets"] == {"amount": gets, "currency": payee}
    prove_prices(connection)


def test_e35_an_ended_quote_near_the_days_rate_keeps_the_approval(connection: Connection) -> None:
    """E35: 1.1040 is 36 basis points off: released at 1.0874, and told why not at the quote's."""
    stage = shown(connection)
    quote_id = quote_of(stage, 9_000)
    (timer,) = timers.list_of(connection, [f"fx_quote:{quote_id}"])
    next_day(stage, "1.1040")
    due = timers.DueTimer(timer.due_at, f"fx_quote:{quote_id}", QUOTE_EXPIRY, 1)
    assert expire_quotes(connection, [due], stage.now) == 1

    answer = stage.approve(quote_id=quote_id)

    assert answer.facts["payee_gets"] == {"amount": "97.87", "currency": "USD"}
    assert answer.facts["fx_quote_not_used"] == "ended"
    assert "fx_quote_id" not in answer.facts
    assert state_of(stage, quote_id) is QuoteState.EXPIRED
    prove_prices(connection)


@pytest.mark.parametrize("per_euro", ["1.2000", "1.0000"])
def test_e35_an_ended_quote_far_from_the_days_rate_is_asked_again(
    connection: Connection, per_euro: str
) -> None:
    """E35: dearer or cheaper, nothing is written; a new quote lets it go on."""
    stage = shown(connection)
    quote_id = quote_of(stage, 9_000)
    next_day(stage, per_euro)
    before = rows(connection)

    refused = stage.approve(quote_id=quote_id)

    assert refused.code == "fx.rate_moved"
    assert refused.facts["quoted"] == {"amount": "97.52", "currency": "USD"}
    now = {"1.2000": "106.38", "1.0000": "88.65"}[per_euro]
    assert refused.facts["now"] == {"amount": now, "currency": "USD"}
    assert rows(connection) == before
    assert stage.slot().held_minor == 10_000
    again = stage.approve(quote_id=quote_of(stage, 9_000))
    assert again.facts["payee_gets"]["amount"] == now
    prove_prices(connection)


def test_e35_without_tolerance_only_the_same_rate_is_let_pass(connection: Connection) -> None:
    """E35: with a tolerance of nothing the rate of the quote's own day still holds."""
    stage = shown(connection, tolerance_bps=0)
    first, second = quote_of(stage, 9_000), quote_of(stage, 9_000)
    stage.now += timedelta(hours=1)

    assert stage.approve(quote_id=first).facts["fx_quote_not_used"] == "ended"

    assert state_of(stage, second) is QuoteState.OPEN


def test_e35_another_amount_is_exchanged_at_the_days_rate(connection: Connection) -> None:
    """E35: a part of 50.00 is 45.00 after the fee: the quote of 90.00 is not used up by it."""
    stage = shown(connection)
    quote_id = quote_of(stage, 9_000)
    command = ReleasePart(
        actor=stage.client, slot_id=stage.slot_id, amount_minor=5_000, quote_id=quote_id
    )

    part = service.release_part(connection, [command], at=stage.now)[0]

    assert part.facts["payee_gets"] == {"amount": "48.76", "currency": "USD"}
    assert part.facts["fx_quote_not_used"] == "another_amount"
    rest = stage.approve(quote_id=quote_of(stage, 4_500))
    assert "fx_quote_id" in rest.facts
    assert state_of(stage, quote_id) is QuoteState.OPEN
    prove_prices(connection)


def test_e35_the_second_to_confirm_uses_the_quote(connection: Connection) -> None:
    """E35: where both confirm, the first step moves nothing and leaves the quote as it is."""
    terms = replace(DOLLARS, release_rule=ReleaseRule.BOTH_CONFIRM)
    stage = shown(connection, terms=terms)
    quote_id = quote_of(stage, 9_000)

    assert stage.on_slot("confirm", stage.payee, quote_id=quote_id).is_done
    assert state_of(stage, quote_id) is QuoteState.OPEN
    answer = stage.on_slot("confirm", stage.client, quote_id=quote_id)

    assert answer.facts["fx_quote_id"] == str(quote_id)
    assert state_of(stage, quote_id) is QuoteState.USED
    prove_prices(connection)


def test_e35_what_no_quote_fits_is_refused_whole(connection: Connection) -> None:
    """E35: unknown, another's, of another contract, used, of no contract: nothing is written."""
    stage = shown(connection, 10_000, 10_000)
    other = agreed(connection, 10_000, terms=DOLLARS)
    plain = agreed(connection, 10_000, terms=NO_CLIENT_FEE)
    used = quote_of(stage, 9_000)
    first, second = stage.slot_ids
    assert stage.on_slot("approve", stage.client, slot_id=first, quote_id=used).is_done
    stage.slot_id = second
    theirs = quote_of(other, 9_000)
    free = quote_of(stage, 9_000, contract_id=None)
    plain.client, plain.payee = stage.client, stage.payee
    before = rows(connection)

    codes = [stage.approve(quote_id=each).code for each in (new_id(), theirs, used, free)]

    assert codes == [
        *("fx.unknown_quote", "fx.unknown_quote"),
        *("fx.quote_used", "fx.quote_does_not_fit"),
    ]
    assert rows(connection) == before
    assert stage.approve().is_done


def test_e35_of_one_list_only_one_may_use_a_quote(connection: Connection) -> None:
    """E35: two approvals that name the same quote are refused before anything is locked."""
    stage = shown(connection, 10_000, 10_000)
    quote_id = quote_of(stage, 9_000)
    commands = [
        SlotCommand(actor=stage.client, slot_id=slot_id, quote_id=quote_id)
        for slot_id in stage.slot_ids
    ]

    answers = service.approve(connection, commands, at=stage.now)

    assert [each.code for each in answers] == ["escrow.subject_twice"] * 2
    assert state_of(stage, quote_id) is QuoteState.OPEN


def test_e35_two_releases_at_one_quote_at_once_one_has_it(
    own_engine: Engine, tenant: Tenant
) -> None:
    """E35: the second waits for the pair, finds the quote used, and nothing of it is written."""
    with transaction(own_engine, tenant) as connection:
        stage = shown(connection, 10_000, 10_000)
        quote_id = quote_of(stage, 9_000)

    def approve(slot_id: UUID) -> str:
        command = SlotCommand(actor=stage.client, slot_id=slot_id, quote_id=quote_id)
        with transaction(own_engine, tenant) as mine:
            return service.approve(mine, [command], at=stage.now)[0].code

    with ThreadPoolExecutor(2) as pool:
        codes = sorted(each.result() for each in [pool.submit(approve, s) for s in stage.slot_ids])

    assert codes == ["done", "fx.quote_used"]
    with transaction(own_engine, tenant) as connection:
        prove_prices(connection)


def test_e35_a_quote_for_a_release_has_the_margin_that_was_pinned(connection: Connection) -> None:
    """E35: the policy takes 3 % by now, the contract pinned 1.5 %; it is good for nothing else."""
    stage = shown(connection)
    desk = Desk.__new__(Desk)
    desk.connection, desk.now = connection, stage.now
    desk.first, desk.second = person(None, is_operator=True), person(None, is_operator=True)
    desk.decide(Policy(margin_bps=300))

    bound = ask(stage, 9_000, actor=stage.payee)
    free = ask(stage, 9_000, contract_id=None)

    assert (bound.facts["margin_bps"], free.facts["margin_bps"]) == (150, 300)
    desk.payee = stage.payee
    assert desk.convert(bound.facts["quote_id"]).code == "fx.quote_does_not_fit"


def test_e35_who_may_not_ask_for_a_quote_of_a_release(connection: Connection) -> None:
    """E35: a stranger, another pair, the bought side fixed, an offer that nobody accepted."""
    stage = shown(connection)
    offer = Stage(connection, "EUR", DOLLARS, now=stage.now)
    assert offer.propose().is_done
    before = rows(connection)

    codes = [
        ask(stage, 9_000, actor=stage.stranger).code,
        ask(stage, 9_000, contract_id=new_id()).code,
        ask(stage, 9_000, bought="JPY").code,
        ask(stage, 9_000, fixed=FixedSide.BUY).code,
        ask(stage, 9_000, party_id=stage.stranger.party_id).code,
        ask(offer, 9_000).code,
    ]

    assert codes == [
        *("escrow.unknown_contract", "escrow.unknown_contract"),
        *("fx.quote_does_not_fit", "fx.quote_does_not_fit", "fx.quote_does_not_fit"),
        "escrow.contract_not_running",
    ]
    assert rows(connection) == before


def test_e35_the_price_of_a_deal_says_how_its_rate_is_promised(connection: Connection) -> None:
    """E35: what the quote of the whole price names is asked as it stands, and is what he gets."""
    stage = shown(connection)
    question = model_quote.AskQuote(
        actor=stage.client, contract_id=stage.contract_id, amount_minor=10_000
    )
    price = service_quote.quote(connection, [question], at=stage.now)[0]
    promise = price.facts["exchange"]["promise"]
    assert promise == {
        "contract_id": str(stage.contract_id),
        "sold": "EUR",
        "bought": "USD",
        "amount": {"amount": "90.00", "currency": "EUR"},
    }

    answer = stage.approve(quote_id=quote_of(stage, 9_000))

    assert answer.facts["payee_gets"] == price.facts["payee_gets"]
