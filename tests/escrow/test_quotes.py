"""A quote is what is posted: by the same functions, to the minor unit, whatever the deal is."""

from dataclasses import dataclass, replace
from random import Random
from typing import Any, Final
from uuid import UUID

import pytest
from sqlalchemy import Connection

from commissions.model import Band, Basis, Scope, Side
from commissions.model_schedule import Promotion
from commissions.service_experiments import arms_for
from escrow import service_quote
from escrow.model import Terms
from escrow.model_quote import AskQuote
from escrow.rules_extract import month_of
from escrow.service_extract import movements, open_book, summaries
from kernel.commands import Outcome
from kernel.ids import new_id
from kernel.money import format_minor, to_json
from ledger.known import resolve
from ledger.reports import Span
from tests.commissions import deals
from tests.commissions.books import START, TIERS, hold, tariff
from tests.commissions.rates import PER_EURO, stand_rates
from tests.commissions.trials import accept, pair, propose, settle, started
from tests.escrow.stage import Stage, person
from tests.escrow.stage_fx import Desk
from tests.escrow.stage_price import agreed, prove_prices
from tests.tax.stage import add_buyer, set_supplier

CURRENCIES: Final = ("JPY", "EUR", "KWD")


def ask(stage: Stage, **fields: Any) -> Outcome:
    """A question of the client about a deal of this pair."""
    if "contract_id" not in fields:
        fields |= {
            "client_id": stage.client.party_id,
            "payee_id": stage.payee.party_id,
            "currency": stage.currency,
            "terms": fields.get("terms", stage.terms),
        }
    command = AskQuote(actor=stage.client, **fields)
    return service_quote.quote(stage.connection, [command], at=stage.now)[0]


def facts(outcome: Outcome) -> dict[str, Any]:
    assert outcome.is_done, outcome
    return dict(outcome.facts)


@dataclass(frozen=True)
class World:
    """A currency with schedules, tax, rates and a promotion, by the throw of dice."""

    currency: str
    terms: Terms


def build(connection: Connection, random: Random) -> World:
    currency = random.choice(CURRENCIES)

    def drawn() -> Any:
        return (replace(deals.draw(random), currency=currency),)

    hold(connection, "payees", tariffs=drawn())
    if random.random() < 0.5:
        hold(connection, "clients", side=Side.CLIENT, tariffs=drawn())
    if random.random() < 0.5:
        scope = Scope(promotion="spring")
        promotion = Promotion(is_open=True)
        hold(connection, "spring", scope=scope, promotion=promotion, tariffs=drawn())
    payee_currency = None
    if random.random() < 0.6:
        Desk(connection)
        payee_currency = random.choice([each for each in (*CURRENCIES, "USD") if each != currency])
    if random.random() < 0.7:
        set_supplier(connection)
    return World(currency, Terms(payee_currency=payee_currency))


def release(stage: Stage, slot_id: UUID) -> dict[str, Any]:
    """Fund, show and approve a slot: what was posted of it."""
    stage.slot_id = slot_id
    for outcome in (stage.fund(), stage.submit(), stage.approve()):
        assert outcome.is_done, outcome
    row = stage.connection.exec_driver_sql(
        "SELECT release.*, funding.amount_minor + funding.client_fee_minor AS pays,"
        " coalesce(line.tax_minor, 0) AS fee_tax, commission.foregone_minor"
        " FROM release JOIN funding ON funding.slot_id = release.slot_id"
        " JOIN fee_line AS commission"
        " ON commission.release_id = release.id AND commission.kind = 'commission'"
        " LEFT JOIN fee_line AS line ON line.release_id = release.id AND line.kind = 'client_fee'"
        " WHERE release.slot_id = %s",
        (slot_id,),
    ).one()
    gets = row.gross_minor - row.commission_minor - row.tax_minor
    return {
        "pays": to_json(row.pays, stage.currency),
        "tax_in_fee": to_json(row.fee_tax, stage.currency),
        "commission": to_json(row.commission_minor, stage.currency),
        "forgone": to_json(row.foregone_minor, stage.currency),
        "tax": to_json(row.tax_minor, stage.currency),
        "payee_gets": to_json(gets, stage.currency)
        if row.paid_minor is None
        else to_json(row.paid_minor, row.paid_currency),
    }


def told(found: dict[str, Any]) -> dict[str, Any]:
    """The same figures as a quote has them."""
    return {
        "pays": found["client"]["pays"],
        "tax_in_fee": found["client"]["tax_in_fee"],
        "commission": found["commission"]["fee"],
        "forgone": found["commission"]["forgone"],
        "tax": found["tax"]["amount"],
        "payee_gets": found["payee_gets"],
    }


@pytest.mark.parametrize("seed", range(40))
def test_a_quote_is_what_the_release_posts(connection: Connection, seed: int) -> None:
    """Before the offer, under the contract, and for the payment after it: to the minor unit."""
    random = Random(seed)
    world = build(connection, random)
    amount = random.randint(1_000, 150_000)
    history = [random.randint(1_000, 90_000) for _ in range(random.randint(0, 3))]
    elder = Stage(connection, world.currency, world.terms, history or [amount])
    assert elder.client.party_id is not None
    assert elder.payee.party_id is not None
    for party_id in (elder.client.party_id, elder.payee.party_id):
        add_buyer(connection, party_id, random.choice(("DE", "IE", "US")))
    assert elder.propose().is_done
    assert elder.accept().is_done
    for place in range(len(history)):
        release(elder, elder.slot_ids[place])

    before = facts(ask(elder, amount_minor=amount))
    stage = agreed(
        connection, amount, amount, currency=world.currency, like=elder, terms=world.terms
    )
    under = facts(ask(stage, contract_id=stage.contract_id, amount_minor=amount))
    posted = release(stage, stage.slot_ids[0])
    second = release(stage, stage.slot_ids[1])

    assert told(before) == told(under) == posted
    following = {name: second[name] for name in ("commission", "tax", "payee_gets")}
    assert under["next"] == following
    parts = [_minor(part["fee"]) for part in under["commission"]["parts"]]
    assert sum(parts) == _minor(posted["commission"])
    prove_prices(connection)


def _minor(money: dict[str, str]) -> int:
    return int(money["amount"].replace(".", ""))


@pytest.mark.parametrize("seed", range(40))
def test_a_guaranteed_net_is_the_least_that_reaches_it(connection: Connection, seed: int) -> None:
    """The payee gets at least the net, through tax and exchange, and a unit less does not do."""
    random = Random(1_000 + seed)
    world = build(connection, random)
    stage = Stage(connection, world.currency, world.terms)
    assert stage.payee.party_id is not None
    add_buyer(connection, stage.payee.party_id, "DE")
    net_minor = random.randint(500, 100_000)

    outcome = ask(stage, net_minor=net_minor)

    if not outcome.is_done:
        assert outcome.code == "fees.net_out_of_reach"
        return
    found = facts(outcome)
    assert _minor(found["payee_gets"]) >= net_minor
    amount = _minor(found["amount"])
    for less in range(1, min(amount, 40)):
        other = ask(stage, amount_minor=amount - less)
        if other.is_done:
            assert _minor(facts(other)["payee_gets"]) < net_minor
    assert told(facts(ask(stage, amount_minor=amount))) == told(found)


@pytest.mark.parametrize("currency", CURRENCIES)
def test_every_kind_of_term_has_its_price(connection: Connection, currency: str) -> None:
    """Hours times their rate, a period, a tip; a schedule of one kind alone is for that kind."""
    stage = Stage(connection, currency, Terms(client_fee_bps=0))
    hold(connection, "standard", tariffs=(tariff(currency),))
    hold(
        connection,
        "hours",
        scope=Scope(basis="hourly"),
        tariffs=(tariff(currency, *TIERS),),
    )

    hours = facts(ask(stage, kind=Basis.HOURLY, minutes=90, rate_minor=4_001))
    period = facts(ask(stage, kind=Basis.RETAINER, amount_minor=6_002))
    tip = facts(ask(stage, kind=Basis.BONUS, amount_minor=6_002))

    assert hours["amount"]["amount"] == format_minor(6_002, currency)
    assert hours["commission"]["fee"]["amount"] == format_minor(1_200, currency)
    assert period["commission"]["fee"]["amount"] == format_minor(600, currency)
    assert tip["commission"]["fee"]["amount"] == format_minor(600, currency)


def test_a_tip_costs_what_was_quoted(connection: Connection) -> None:
    """Under its contract's pins, with the pair's history."""
    hold(connection, tariffs=(tariff("EUR", *TIERS),))
    stage = agreed(connection, 45_000)
    release(stage, stage.slot_id)

    quoted = facts(ask(stage, contract_id=stage.contract_id, kind=Basis.BONUS, amount_minor=10_000))
    assert stage.tip(10_000).is_done
    assert stage.hear(stage.result()).is_done

    assert quoted["commission"]["fee"]["amount"] == "15.00"
    (fee,) = connection.exec_driver_sql(
        "SELECT fee_minor FROM fee_line WHERE gross_minor = 10000"
    ).scalars()
    assert fee == 1_500


def test_the_bands_are_shown_part_by_part(connection: Connection) -> None:
    """450 were billed and 100 are asked for: 50 at 20 %, 50 at 10 %, and the next costs less."""
    hold(connection, tariffs=(tariff("EUR", *TIERS),))
    stage = agreed(connection, 45_000)
    release(stage, stage.slot_id)

    found = facts(ask(stage, contract_id=stage.contract_id, amount_minor=10_000))

    bands = [
        (part["on"]["amount"], part["rate_bps"], part["fee"]["amount"])
        for part in found["commission"]["parts"]
    ]
    assert bands == [("50.00", 2_000, "10.00"), ("50.00", 1_000, "5.00")]
    assert found["commission"]["fee"]["amount"] == "15.00"
    assert found["next"]["commission"]["amount"] == "10.00"
    assert found["commission"]["billed_before"]["amount"] == "450.00"
    assert any("pinned on" in words for words in found["why"])


def test_without_a_schedule_the_flat_rates_are_told(connection: Connection) -> None:
    """Nothing is chosen, and the words say what holds instead."""
    stage = Stage(connection)

    found = facts(ask(stage, amount_minor=10_000))

    assert found["choices"] == []
    assert len(found["why"]) == 2
    assert "flat 10 %" in found["why"][0]
    assert found["client"]["pays"]["amount"] == "103.00"
    assert found["tax"]["decision"] is None


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, "fees.bad_quote"),
        ({"amount_minor": 5, "net_minor": 5}, "fees.bad_quote"),
        ({"minutes": 60}, "fees.bad_quote"),
        ({"minutes": 60, "rate_minor": 100}, "fees.bad_quote"),
        ({"amount_minor": 0}, "fees.bad_quote"),
        ({"amount_minor": 5, "stated_in": "USD"}, "fees.bad_quote"),
        ({"amount_minor": 5, "kind": Basis.ANY}, "fees.bad_quote"),
        ({"amount_minor": 5, "terms": Terms(payee_currency="EUR")}, "escrow.bad_terms"),
        ({"amount_minor": 5, "terms": Terms(payee_currency="USD")}, "fx.no_rate"),
        ({"amount_minor": 5, "terms": Terms(commission_bps=-1)}, "escrow.bad_terms"),
        ({"net_minor": 10**15}, "fees.net_out_of_reach"),
        ({"amount_minor": 5, "contract_id": new_id()}, "escrow.unknown_contract"),
    ],
)
def test_a_question_that_has_no_price_is_refused(
    connection: Connection, fields: dict[str, Any], code: str
) -> None:
    """One clear refusal each, and nothing is written."""
    stage = Stage(connection)
    count = "SELECT (SELECT count(*) FROM event) + (SELECT count(*) FROM pair_billing)"
    before = connection.exec_driver_sql(count).scalar_one()

    assert ask(stage, **fields).code == code
    assert connection.exec_driver_sql(count).scalar_one() == before


def test_a_stale_rate_is_no_quote(connection: Connection) -> None:
    """The payee's currency has a rate, but an old one: a release would be refused as well."""
    Desk(connection)
    stage = Stage(connection, terms=Terms(payee_currency="USD"))
    stage.wait(days=12)

    assert ask(stage, amount_minor=10_000).code == "fx.stale_rate"
    stand_rates(connection, stage.now.date(), PER_EURO)
    found = facts(ask(stage, amount_minor=10_000))
    assert found["exchange"]["as_of"] == stage.now.date().isoformat()
    assert found["payee_gets"]["currency"] == "USD"


def test_the_next_payment_never_refuses_a_quote(connection: Connection) -> None:
    """Once more the same leaves a fils, which buys no yen: it is told in the deal's currency."""
    Desk(connection)
    bands = (Band(100, 0), Band(None, 9_900))
    hold(connection, tariffs=(tariff("KWD", *bands),))
    stage = Stage(connection, "KWD", Terms(payee_currency="JPY"))

    found = facts(ask(stage, amount_minor=100))

    assert found["payee_gets"]["currency"] == "JPY"
    assert found["next"]["payee_gets"] == to_json(1, "KWD")
    assert ask(stage, amount_minor=1).code == "fx.too_small"


def test_neighbours_in_a_batch_do_not_touch(connection: Connection) -> None:
    """A refused question leaves the others their answers, in order; a stranger learns nothing."""
    hold(connection, tariffs=(tariff("EUR", *TIERS),))
    stage = agreed(connection, 10_000)
    offer = Stage(connection)
    assert offer.propose().is_done

    def asked(actor: Any, **fields: Any) -> AskQuote:
        return AskQuote(actor=actor, amount_minor=10_000, **fields)

    outcomes = service_quote.quote(
        connection,
        [
            asked(stage.client, contract_id=stage.contract_id),
            asked(stage.stranger, contract_id=stage.contract_id),
            asked(person(None, is_operator=True), contract_id=stage.contract_id),
            asked(offer.payee, contract_id=offer.contract_id),
            asked(offer.payee, contract_id=offer.contract_id, promotion="none"),
            asked(
                stage.stranger,
                client_id=stage.client.party_id,
                payee_id=stage.payee.party_id,
                currency="EUR",
            ),
        ],
        at=stage.now,
    )

    assert [each.code for each in outcomes] == [
        "done",
        "escrow.unknown_contract",
        "done",
        "done",
        "done",
        "escrow.unknown_party",
    ]
    assert outcomes[0].facts == outcomes[2].facts
    assert outcomes[3].facts["contract_id"] == str(offer.contract_id)
    assert any("would be pinned" in words for words in outcomes[3].facts["why"])


def test_both_fees_are_shown_where_an_experiment_concerns_the_deal(
    connection: Connection,
) -> None:
    """The fee of the arm, the normal one, and then the arm's is posted; in control they agree."""
    started(connection)
    hold(connection, tariffs=(tariff("EUR"),))
    low = tariff("EUR", Band(None, 500))
    hold(connection, "low", scope=Scope(arm="launch/low"), tariffs=(low,), priority=99)
    seen = set()
    for number in range(40):
        unit = pair(number)
        settle(connection, [unit])
        arms = arms_for(connection, [unit], START)[0]
        asked = AskQuote(
            actor=person(None, is_operator=True),
            client_id=unit.client_id,
            payee_id=unit.payee_id,
            currency="EUR",
            terms=Terms(client_fee_bps=0),
            amount_minor=10_000,
        )

        found = facts(service_quote.quote(connection, [asked], at=START)[0])

        fee = "5.00" if "launch/low" in arms else "10.00"
        assert found["commission"]["fee"]["amount"] == fee
        assert found["normal"]["commission"]["amount"] == "10.00"
        if arms not in seen:
            stage = propose(connection, unit)
            accept(connection, stage)
            under = facts(ask(stage, contract_id=stage.contract_id, amount_minor=10_000))
            assert under["commission"]["fee"]["amount"] == fee
            assert under["normal"] is None
        seen.add(arms)
    assert len(seen) > 1


@pytest.mark.parametrize("currency", CURRENCIES)
def test_an_extract_tells_fees_tax_and_exchange(connection: Connection, currency: str) -> None:
    """What the payee reads of a release is what was quoted, line by line and for the month."""
    Desk(connection)
    set_supplier(connection)
    hold(connection, tariffs=(tariff(currency, *TIERS),))
    terms = Terms(payee_currency="USD")
    stage = Stage(connection, currency, terms, (60_000,))
    assert stage.payee.party_id is not None
    assert stage.client.party_id is not None
    add_buyer(connection, stage.payee.party_id, "DE")
    quoted = facts(ask(stage, amount_minor=60_000))
    assert stage.propose().is_done
    assert stage.accept().is_done
    release(stage, stage.slot_id)

    def read(party_id: UUID) -> tuple[list[Any], dict[str, Any]]:
        known = resolve(connection, None)
        month = Span(*month_of("2026-03"))
        book = open_book(connection, party_id, known=known, span=month)
        lines = list(movements(connection, book))
        return lines, {each.currency: each for each in summaries(connection, book)}

    lines, months = read(stage.payee.party_id)
    (earned,) = lines
    assert (earned.currency, earned.amount_minor) == ("USD", _minor(quoted["payee_gets"]))
    assert earned.fees is not None
    assert earned.fees.currency == currency
    assert earned.fees.commission_minor == _minor(quoted["commission"]["fee"])
    assert earned.fees.tax_minor == _minor(quoted["tax"]["amount"]) > 0
    assert earned.exchange is not None
    assert earned.exchange.sold_minor == _minor(quoted["exchange"]["sold"])
    assert earned.exchange.bought_minor == earned.amount_minor
    assert months[currency].fees == earned.fees
    assert months[currency].standings == ()
    assert months["USD"].closing_minor == earned.amount_minor
    paid, of_client = read(stage.client.party_id)
    assert [each.exchange for each in paid] == [None, None]
    fee = of_client[currency].fees
    assert fee.client_fee_minor + fee.tax_minor == _minor(quoted["client"]["fee"])
