"""Plans and products against the database: P44, renewals, failures, ends, and who may."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection

from commissions.model import Side
from commissions.model_plans import Every, PriceOf, RefundRule, SubscriptionState
from commissions.service_plans import plans_of
from escrow import service_plans
from escrow.commands_plans import BuyProduct, Subscribe
from kernel.ids import new_id
from kernel.principals import Actor, PrincipalKind
from tests.escrow.stage import START, add_party, person, prove_books
from tests.escrow.stage_plans import Shop

DAY = timedelta(days=1)
END = datetime(2026, 4, 2, 9, tzinfo=UTC)
"""The end of the first month of what begins at START."""


@pytest.fixture
def shop(connection: Connection) -> Iterator[Shop]:
    """A payee with 20.00 EUR, 20 % VAT, and a plan at 14.99; the books are proved in the end."""
    shop = Shop(connection)
    shop.tax()
    shop.earn(2_000)
    shop.sell()
    yield shop
    prove_books(connection)


def fee_lines(shop: Shop) -> list[tuple[str, int, int, str | None, int]]:
    rows = shop.connection.exec_driver_sql(
        "SELECT kind, fee_minor, tax_minor, tax_country, tax_rate_bps FROM fee_line"
        " WHERE party_id = %s ORDER BY id",
        (shop.party_id,),
    )
    return [tuple(row) for row in rows]


def count_written(connection: Connection) -> tuple[int, ...]:
    tables = ("event", "line", "timer", "offering", "subscription", "purchase", "fee_line")
    return tuple(
        connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one() for table in tables
    )


def test_p44_from_the_balance_of_a_payee(shop: Shop) -> None:
    """14.99 and 20 % VAT leave what he may withdraw; the price is earned day by day, to the cent.

    payee subscribes, 14.99 + 3.00 -> available 2.01, deferred 14.99, vat payable 3.00
    each day but the last          -> revenue.subscription 0.48 more
    the month is over              -> deferred 0.00, revenue.subscription 14.99
    """
    begun = shop.subscribe()

    assert begun.is_done, begun
    assert begun.facts["total"] == {"amount": "17.99", "currency": "EUR"}
    assert shop.left() == 201
    assert shop.sums() == (1_499, 0, 300)
    assert shop.shown("custody.due_to_platform") == 1_799
    assert shop.shown("platform.due_from_custody") == 1_799
    assert fee_lines(shop) == [("subscription", 1_499, 300, "FR", 2_000)]
    shop.until(END - timedelta(seconds=1))
    assert shop.sums() == (1_499 - 30 * 48, 30 * 48, 300)
    shop.until(END)
    assert shop.sums() == (0, 1_499, 300)
    assert shop.shown("platform.revenue.product") == 0


@pytest.mark.parametrize("currency", ["EUR", "JPY", "KWD"])
@pytest.mark.parametrize("side", [Side.PAYEE, Side.CLIENT])
@pytest.mark.parametrize("every", [Every.MONTH, Every.YEAR])
def test_p44_in_every_currency_and_from_both_purses(
    connection: Connection, currency: str, side: Side, every: Every
) -> None:
    """A payee's balance or a client's wallet, a month or a year: all of it is earned in the end."""
    shop = Shop(connection, currency, side=side)
    shop.tax()
    shop.earn(17_990)
    shop.sell(amount_minor=1_499, refund=RefundRule.KEEPS)
    begun = shop.subscribe(every=every)
    assert shop.cancel(begun).is_done
    price = 1_499 if every is Every.MONTH else 14_990

    (paid,) = shop.purchases()

    tax = 300 if every is Every.MONTH else 2_998
    assert (paid.net_minor, paid.tax_minor) == (price, tax)
    assert shop.left() == 17_990 - price - tax
    assert shop.sums() == (price, 0, tax)
    shop.until(paid.to_at)
    assert shop.sums() == (0, price, tax)
    assert shop.subscription(begun).state is SubscriptionState.CANCELLED
    prove_books(connection)


def test_31_a_plan_of_the_31st_is_renewed_from_its_anchor(connection: Connection) -> None:
    """Edge case 31: 31 January, 28 February, 31 March; each month is earned to the cent."""
    shop = Shop(connection, now=datetime(2027, 1, 31, 12, tzinfo=UTC))
    shop.earn(100_000)
    shop.sell(amount_minor=1_000)
    begun = shop.subscribe()

    shop.until(datetime(2027, 5, 31, 11, tzinfo=UTC))

    spans = [(each.from_at.date().isoformat(), each.days) for each in shop.purchases()]
    assert spans == [
        ("2027-01-31", 28),
        ("2027-02-28", 31),
        ("2027-03-31", 30),
        ("2027-04-30", 31),
    ]
    assert shop.subscription(begun).period_to == datetime(2027, 5, 31, 12, tzinfo=UTC)
    assert shop.left() == 100_000 - 4_000
    assert shop.sums() == (1_000 - 30 * 32, 3_000 + 30 * 32, 0)


def test_a_year_from_a_leap_day(connection: Connection) -> None:
    """Edge case 31: 29 February is followed by 28 February 2029, in 365 days."""
    shop = Shop(connection, "JPY", now=datetime(2028, 2, 29, 12, tzinfo=UTC))
    shop.earn(100_000)
    shop.sell(amount_minor=1_000)
    begun = shop.subscribe(every=Every.YEAR)

    shop.until(datetime(2029, 2, 28, 12, tzinfo=UTC))

    first, second = shop.purchases()
    assert (first.days, first.earned_minor) == (365, 10_000)
    assert second.from_at == first.to_at
    assert shop.subscription(begun).period_no == 2


def test_without_money_it_is_past_due_tried_again_and_lapses(shop: Shop) -> None:
    """The charge fails, and again after 1, 3 and 5 days; the plan counts until it lapses.

    balance 2.01 at renewal -> past due, tried +1, +3, +5 days, then lapsed to free
    """
    begun = shop.subscribe()
    seen = []
    for days in (0, 1, 2, 3, 4, 5):
        shop.until(END + days * DAY)
        at_rest = shop.subscription(begun)
        plan = plans_of(shop.connection, [shop.party_id], shop.now)[shop.party_id]
        seen.append((at_rest.state.value, at_rest.failures, plan))

    assert seen == [
        ("past_due", 1, "pro"),
        ("past_due", 2, "pro"),
        ("past_due", 2, "pro"),
        ("past_due", 3, "pro"),
        ("past_due", 3, "pro"),
        ("lapsed", 4, None),
    ]
    assert shop.left() == 201
    assert len(shop.purchases()) == 1
    assert shop.pass_days(60) == 0


def test_a_retry_that_finds_the_money_goes_on_from_the_anchor(shop: Shop) -> None:
    """Paid three days late, the period still begins where the last one ended."""
    begun = shop.subscribe()
    shop.until(END + 2 * DAY)
    shop.earn(5_000)

    shop.until(END + 3 * DAY)

    after = shop.subscription(begun)
    assert (after.state, after.failures) == (SubscriptionState.ACTIVE, 0)
    assert (after.period_from, after.period_to) == (END, datetime(2026, 5, 2, 9, tzinfo=UTC))
    assert shop.left() == 5_201 - 1_799
    assert shop.sums()[0] == 1_499 - 3 * (1_499 // 30)


def test_a_hold_stops_the_charge_and_no_plan_is_lost_by_it(shop: Shop) -> None:
    """While a hold stands nothing is charged and nothing fails; a day after it is charged."""
    shop.earn(10_000)
    begun = shop.subscribe()
    place_hold(shop)

    shop.until(END + 10 * DAY)

    assert shop.subscription(begun).state is SubscriptionState.ACTIVE
    assert len(shop.purchases()) == 1
    lift_hold(shop)
    shop.pass_days(1)
    assert [each.from_at for each in shop.purchases()] == [START, END]
    assert shop.subscription(begun).failures == 0


def test_months_under_a_hold_are_not_charged_afterwards(shop: Shop) -> None:
    """Held for three months, then lifted: the running month is charged, those before are not."""
    shop.earn(10_000)
    assert shop.subscribe().is_done
    place_hold(shop)
    shop.until(datetime(2026, 6, 20, 9, tzinfo=UTC))
    lift_hold(shop)

    shop.pass_days(1)

    assert [each.from_at.date().isoformat() for each in shop.purchases()] == [
        "2026-03-02",
        "2026-06-02",
    ]
    assert shop.sums() == (1_499 - 19 * (1_499 // 30), 1_499 + 19 * (1_499 // 30), 600)


def test_after_a_leap_of_the_clock_every_month_is_charged(shop: Shop) -> None:
    """Nobody rang for months, as in a sandbox that was moved on: each is charged, one by one."""
    shop.earn(10_000)
    begun = shop.subscribe()
    shop.now = datetime(2026, 6, 20, 9, tzinfo=UTC)

    shop.pass_days(0)

    assert [each.from_at.month for each in shop.purchases()] == [3, 4, 5, 6]
    assert shop.subscription(begun).period_to == datetime(2026, 7, 2, 9, tzinfo=UTC)
    assert shop.sums()[0] == 1_499 - 18 * (1_499 // 30)


@pytest.mark.parametrize("way", ["hold", "sanctions"])
def test_who_is_held_buys_nothing(shop: Shop, way: str) -> None:
    """A hold or a sanctions match refuses a first charge; nothing is written."""
    shop.sell_product()
    if way == "hold":
        place_hold(shop)
    else:
        shop.connection.exec_driver_sql(
            "UPDATE party SET sanction_state = 'hit' WHERE id = %s", (shop.party_id,)
        )
    before = count_written(shop.connection)

    assert shop.subscribe().code == "plans.on_hold"
    assert shop.buy().code == "plans.on_hold"
    assert count_written(shop.connection) == before


def test_too_little_money_takes_no_plan(shop: Shop) -> None:
    """Price and tax together must be there: one cent less is refused, and nothing is written."""
    shop.sell("max", amount_minor=1_668)
    before = count_written(shop.connection)

    assert shop.subscribe("max").code == "ledger.insufficient_funds"

    assert count_written(shop.connection) == before
    shop.sell("most", amount_minor=1_667)
    assert shop.subscribe("most").is_done
    assert shop.left() == 0


def test_a_plan_that_keeps_runs_to_its_end(shop: Shop) -> None:
    """Ended on the tenth day: nothing goes back, the plan counts to the end, and is not renewed."""
    shop.earn(10_000)
    begun = shop.subscribe()
    shop.pass_days(10)

    ended = shop.cancel(begun)

    assert ended.facts["state"] == "ending"
    assert shop.left() == 12_000 - 1_799
    assert shop.cancel(begun).code == "plans.wrong_state"
    assert shop.subscribe().code == "plans.subscribed"
    shop.until(END - DAY)
    assert plans_of(shop.connection, [shop.party_id], shop.now) == {shop.party_id: "pro"}
    shop.until(END)
    assert plans_of(shop.connection, [shop.party_id], shop.now) == {shop.party_id: None}
    assert shop.sums() == (0, 1_499, 300)
    assert len(shop.purchases()) == 1
    assert shop.subscribe().is_done


@pytest.mark.parametrize("side", [Side.PAYEE, Side.CLIENT])
def test_a_plan_that_gives_back_ends_now(connection: Connection, side: Side) -> None:
    """Ended on the eleventh day: eleven days are kept with their tax, the rest goes back.

    14.99 + 3.00 for 31 days of 0.48 -> kept 5.28 + 1.06, back 9.71 + 1.94
    """
    shop = Shop(connection, side=side)
    shop.tax()
    shop.earn(2_000)
    shop.sell(refund=RefundRule.PRO_RATA)
    begun = shop.subscribe()
    shop.until(START + 10 * DAY + timedelta(hours=5))

    ended = shop.cancel(begun)

    assert ended.facts["state"] == "cancelled"
    assert ended.facts["refunded"] == {"amount": "11.65", "currency": "EUR"}
    assert shop.left() == 2_000 - 1_799 + 971 + 194
    assert shop.sums() == (0, 528, 106)
    assert fee_lines(shop)[1] == ("subscription", -971, -194, "FR", 2_000)
    assert plans_of(connection, [shop.party_id], shop.now) == {shop.party_id: None}
    assert shop.pass_days(60) == 0
    assert shop.subscribe().code == "ledger.insufficient_funds"
    prove_books(connection)


def test_what_is_past_due_is_ended_without_money(shop: Shop) -> None:
    """Nothing runs, so nothing goes back; it is not tried again."""
    begun = shop.subscribe()
    shop.until(END)

    assert shop.cancel(begun).facts["state"] == "cancelled"

    assert shop.pass_days(30) == 0
    assert shop.left() == 201


def test_a_product_is_earned_over_its_days(shop: Shop) -> None:
    """9.90 for seven days: 1.41 a day, 1.44 on the last; a revenue of its own kind."""
    shop.sell_product()

    bought = shop.buy()

    assert bought.is_done, bought
    assert fee_lines(shop) == [("product", 990, 198, "FR", 2_000)]
    assert shop.sums() == (990, 0, 198)
    shop.pass_days(6)
    assert shop.shown("platform.revenue.product") == 846
    shop.pass_days(1)
    assert shop.shown("platform.revenue.product") == 990
    assert shop.shown("platform.revenue.subscription") == 0
    assert shop.pass_days(30) == 0


def test_a_product_is_not_bought_twice_for_one_thing(shop: Shop) -> None:
    """A double click is refused while the days run; another profile, or later, is not."""
    shop.earn(10_000)
    shop.sell_product()

    assert shop.buy().is_done
    assert shop.buy().code == "plans.running"
    assert shop.buy(about="profile:2").is_done
    shop.pass_days(7)
    assert shop.buy().is_done


def test_a_product_goes_back_as_its_terms_say(shop: Shop) -> None:
    """One keeps; of the other the days not begun go back, once, and nothing on its last day."""
    shop.earn(10_000)
    shop.sell_product("fixed")
    shop.sell_product("loose", refund=RefundRule.PRO_RATA)
    fixed, loose, late = shop.buy("fixed"), shop.buy("loose"), shop.buy("loose", "profile:2")
    shop.pass_days(2)
    left = shop.left()

    back = shop.give_back(loose)

    assert back.facts["refunded"] == {"amount": "8.50", "currency": "EUR"}
    assert shop.left() == left + 850
    assert shop.give_back(loose).code == "plans.wrong_state"
    assert shop.give_back(fixed).code == "plans.keeps"
    shop.until(START + 6 * DAY + timedelta(seconds=1))
    assert shop.give_back(late).code == "plans.nothing_left"
    (purchase,) = [each for each in shop.purchases() if each.refunded_minor]
    assert purchase.earned_minor + purchase.refunded_minor == purchase.net_minor


def test_a_part_of_a_period_may_not_be_returned_as_a_product(shop: Shop) -> None:
    """A plan's period ends by its subscription alone."""
    begun = shop.subscribe()

    assert shop.give_back(begun).code == "plans.keeps"


def test_a_new_price_is_for_new_subscribers(shop: Shop) -> None:
    """Who has the plan keeps his version and its price at every renewal."""
    shop.earn(100_000)
    begun = shop.subscribe()
    shop.pass_days(1)
    shop.sell(amount_minor=9_900)

    shop.until(END)

    assert [each.net_minor for each in shop.purchases()] == [1_499, 1_499]
    assert shop.cancel(begun).is_done
    shop.until(END + 31 * DAY)
    assert shop.subscribe().facts["price"] == {"amount": "99.00", "currency": "EUR"}


def test_the_price_that_was_shown_is_the_price_that_is_paid(shop: Shop) -> None:
    """Who names the version he saw is refused where another one is sold by now."""
    shop.pass_days(1)
    shop.sell(amount_minor=1_500)
    command = Subscribe(
        actor=shop.party,
        subscription_id=new_id(),
        party_id=shop.party_id,
        plan="pro",
        currency="EUR",
        every=Every.MONTH,
        offering_version=1,
    )

    (outcome,) = service_plans.subscribe(shop.connection, [command], at=shop.now)

    assert outcome.code == "plans.another_version"


def test_four_eyes_on_what_is_sold(shop: Shop) -> None:
    """Prepared by one person, approved by another; no program, no party; decided once."""
    key = Actor(new_id(), PrincipalKind.KEY, is_operator=True)

    assert shop.prepare(actor=key).code == "plans.in_person_only"
    assert shop.prepare(actor=shop.party).code == "plans.not_yours"
    waits = shop.prepare("new")
    assert shop.subscribe("new").code == "plans.not_sold"
    assert shop.decide("approve", waits, shop.preparer).code == "plans.second_person"
    assert shop.decide("approve", waits, key).code == "plans.in_person_only"
    assert shop.decide("approve", waits, shop.party).code == "plans.not_yours"
    assert shop.decide("approve", waits).is_done
    assert shop.decide("approve", waits).code == "plans.wrong_state"
    assert shop.decide("reject", waits).code == "plans.wrong_state"
    gone = shop.prepare("gone")
    assert shop.decide("reject", gone, shop.preparer).is_done
    assert shop.subscribe("gone").code == "plans.not_sold"


def test_a_version_waits_for_its_day(shop: Shop) -> None:
    """Approved ahead it is sold from its day on; another for the same day is refused."""
    day = START + 5 * DAY
    prices = (PriceOf("EUR", Every.MONTH, 500),)
    ahead = shop.sell(wanted_from=day, prices=prices)
    assert ahead.facts["version"] == 2
    twin = shop.prepare(wanted_from=day, prices=prices)
    assert shop.decide("approve", twin).code == "plans.too_late"
    late = shop.prepare(wanted_from=START + DAY)
    shop.pass_days(2)
    assert shop.decide("approve", late).code == "plans.too_late"
    shop.until(day)

    assert shop.subscribe().facts["price"] == {"amount": "5.00", "currency": "EUR"}


def test_strangers_and_operators(shop: Shop) -> None:
    """A stranger may nothing, in any state; an operator may act for a party."""
    shop.earn(10_000)
    shop.sell_product(refund=RefundRule.PRO_RATA)

    assert shop.subscribe(actor=shop.stranger).code == "plans.not_yours"
    assert shop.buy(actor=shop.stranger).code == "plans.not_yours"
    begun, bought = shop.subscribe(actor=shop.preparer), shop.buy(actor=shop.approver)
    assert begun.is_done
    assert shop.cancel(begun, shop.stranger).code == "plans.not_yours"
    assert shop.give_back(bought, shop.stranger).code == "plans.not_yours"
    assert shop.give_back(bought, shop.preparer).is_done
    assert shop.cancel(begun, shop.preparer).is_done
    assert shop.cancel(begun, shop.stranger).code == "plans.not_yours"


def test_what_is_not_there_is_refused_by_name(shop: Shop) -> None:
    """Unknown plans, currencies, times, parties and ids, and an id that is taken."""
    shop.earn(10_000)
    asked = {"actor": shop.preparer, "subscription_id": new_id(), "party_id": shop.party_id}

    def subscribe(**fields: object) -> str:
        given = {"plan": "pro", "currency": "EUR", "every": Every.MONTH, **asked, **fields}
        command = Subscribe(**given)  # type: ignore[arg-type]
        return service_plans.subscribe(shop.connection, [command], at=shop.now)[0].code

    assert subscribe(plan="boost") == "plans.not_sold"
    assert subscribe(currency="USD") == "plans.not_sold"
    assert subscribe(every=Every.ONCE) == "plans.not_sold"
    assert subscribe(party_id=new_id()) == "plans.unknown_party"
    assert subscribe() == "done"
    other = add_party(shop.connection, "freelancer")
    assert subscribe(party_id=other) == "escrow.id_taken"


def test_one_list_names_a_party_once(shop: Shop) -> None:
    """Two charges of one party in a list are refused before anything is locked."""
    shop.earn(10_000)
    shop.sell_product()
    commands = [
        BuyProduct(
            actor=shop.party,
            purchase_id=new_id(),
            party_id=shop.party_id,
            product="boost",
            currency="EUR",
        )
        for _ in range(2)
    ]

    outcomes = service_plans.buy_product(shop.connection, commands, at=shop.now)

    assert [each.code for each in outcomes] == ["escrow.subject_twice"] * 2


def test_neighbours_of_a_refused_command_are_served(shop: Shop) -> None:
    """Of three parties one is poor: the others have their plan."""
    poor, rich = person(add_party(shop.connection, "freelancer")), shop.party
    commands = [
        Subscribe(
            actor=actor,
            subscription_id=new_id(),
            party_id=actor.party_id,  # type: ignore[arg-type]
            plan="pro",
            currency="EUR",
            every=Every.MONTH,
        )
        for actor in (poor, rich)
    ]

    outcomes = service_plans.subscribe(shop.connection, commands, at=shop.now)

    assert [each.code for each in outcomes] == ["ledger.insufficient_funds", "done"]
    assert len(fee_lines(shop)) == 1


def test_many_plans_are_renewed_in_one_batch(connection: Connection) -> None:
    """Due at once, each is charged once: those with money renewed, the others past due."""
    shops = [Shop(connection) for _ in range(4)]
    shops[0].sell()
    for number, each in enumerate(shops):
        each.earn(1_499 if number % 2 else 2_998)
    begun = [each.subscribe() for each in shops]

    shops[0].until(END)

    states = [each.subscription(one).state.value for each, one in zip(shops, begun, strict=True)]
    assert states == ["active", "past_due", "active", "past_due"]
    assert [each.left() for each in shops] == [0, 0, 0, 0]
    prove_books(connection)


def place_hold(shop: Shop) -> None:
    shop.connection.exec_driver_sql(
        "INSERT INTO hold (id, subject, kind, reason, placed_by, placed_at)"
        " VALUES (%s, %s, 'compliance', 'a reason', %s, %s)",
        (new_id(), f"party:{shop.party_id}", new_id(), shop.now),
    )


def lift_hold(shop: Shop) -> None:
    shop.connection.exec_driver_sql(
        "UPDATE hold SET lifted_by = %s, lifted_at = %s WHERE subject = %s",
        (new_id(), shop.now, f"party:{shop.party_id}"),
    )
