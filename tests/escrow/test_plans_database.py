"""What the database itself holds of plans and purchases, as the tenant and as owner; and races."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from commissions.model import Side
from commissions.model_plans import Every, RefundRule
from escrow import service_plans, service_plans_clocks
from escrow.commands_plans import BuyProduct, CancelSubscription, Subscribe
from kernel import clock, timers
from kernel.commands import Outcome
from kernel.database import Tenant, transaction
from kernel.ids import new_id
from ledger.proof import prove
from tests.attack.waiting import wait_until_blocked
from tests.escrow.stage import START
from tests.escrow.stage_plans import Shop

DAY: Final = timedelta(days=1)
NO_RIGHT: Final = "42501"
NO_CHANGE: Final = "HF001"

_COPY: Final = (
    "INSERT INTO purchase SELECT (jsonb_populate_record(p, {change}::jsonb)).* FROM purchase p"
    " WHERE id = %(purchase)s"
)

NAMED: Final = {
    "offering_approver_is_not_preparer": (
        "UPDATE offering SET state = 'approved', decided_by = prepared_by, decided_at = now(),"
        " valid_from = now() WHERE id = %(waiting)s"
    ),
    "offering_decided_whole": "UPDATE offering SET state = 'approved' WHERE id = %(waiting)s",
    "offering_not_backdated": (
        "UPDATE offering SET state = 'approved', decided_by = %(other)s, decided_at = now(),"
        " valid_from = now() - interval '1 second' WHERE id = %(waiting)s"
    ),
    "offering_one_at_a_time": (
        "UPDATE offering SET state = 'approved', decided_by = %(other)s,"
        " decided_at = '2020-01-01Z', valid_from = (SELECT valid_from FROM offering"
        " WHERE id = %(sold)s) WHERE id = %(waiting)s"
    ),
    "offering_is_decided_once": (
        "UPDATE offering SET valid_from = valid_from + interval '1 day' WHERE id = %(sold)s"
    ),
    "offering_begins_prepared": (
        "INSERT INTO offering SELECT (jsonb_populate_record(o,"
        " jsonb_build_object('id', %(other)s, 'version', 9))).* FROM offering o"
        " WHERE id = %(sold)s"
    ),
    "offering_is_approved": (
        "INSERT INTO subscription SELECT (jsonb_populate_record(s, jsonb_build_object('id',"
        " %(other)s, 'offering_id', %(waiting)s))).* FROM subscription s"
    ),
    "subscription_one_of_a_party": (
        "INSERT INTO subscription SELECT (jsonb_populate_record(s,"
        " jsonb_build_object('id', %(other)s))).* FROM subscription s"
    ),
    "subscription_over_has_a_time": (
        "UPDATE subscription SET ended_at = now(), version = version + 1"
    ),
    "subscription_period_runs_forward": "UPDATE subscription SET period_to = period_from",
    "purchase_no_day_of_a_plan_twice": _COPY.format(
        change="jsonb_build_object('id', %(other)s, 'to_at', p.from_at + interval '1 day')"
    ),
    "purchase_no_day_of_a_product_twice": (
        "INSERT INTO purchase SELECT (jsonb_populate_record(p, jsonb_build_object('id',"
        " %(other)s))).* FROM purchase p WHERE id = %(product)s"
    ),
    "purchase_earned_within_price": (
        "UPDATE purchase SET earned_minor = net_minor + 1 WHERE id = %(purchase)s"
    ),
    "purchase_earns_forward": "UPDATE purchase SET earned_minor = -1 WHERE id = %(purchase)s",
    "purchase_over_is_shared_out": (
        "UPDATE purchase SET state = 'earned', version = 2 WHERE id = %(purchase)s"
    ),
    "purchase_tax_refunded_within_tax": (
        "UPDATE purchase SET state = 'refunded', refunded_minor = net_minor,"
        " refunded_tax_minor = tax_minor + 1 WHERE id = %(purchase)s"
    ),
}
"""Each constraint, and a statement that it alone refuses."""

FORBIDDEN: Final = (
    "UPDATE offering SET prices = '[]'",
    "UPDATE offering SET name = 'other'",
    "UPDATE subscription SET price_minor = 1",
    "UPDATE subscription SET anchor_at = now()",
    "UPDATE purchase SET net_minor = 1",
    "UPDATE purchase SET to_at = to_at + interval '1 day'",
    "DELETE FROM offering",
    "DELETE FROM subscription",
    "DELETE FROM purchase",
    "TRUNCATE purchase, subscription, offering CASCADE",
)
"""What nobody may, whoever he is."""


@pytest.fixture(params=["app", "owner"])
def anyone(
    request: pytest.FixtureRequest, connection: Connection, owner_connection: Connection
) -> Connection:
    """As the tenant's own role, and as the owner of all tables."""
    return connection if request.param == "app" else owner_connection


def lay_out(connection: Connection) -> dict[str, UUID]:
    """A sold and a waiting version, a subscription with its purchase, and a product."""
    shop = Shop(connection)
    shop.tax()
    shop.earn(10_000)
    sold = shop.sell()
    waiting = shop.prepare()
    shop.sell_product()
    begun, bought = shop.subscribe(), shop.buy()
    return {
        "sold": UUID(sold.facts["offering_id"]),
        "waiting": UUID(waiting.facts["offering_id"]),
        "subscription": UUID(begun.facts["subscription_id"]),
        "purchase": UUID(begun.facts["purchase_id"]),
        "product": UUID(bought.facts["purchase_id"]),
        "other": new_id(),
    }


def refusal_of(connection: Connection, statement: str, given: dict[str, UUID]) -> str:
    """By which constraint the database refuses a statement, or with which state."""

    def attempt() -> None:
        with connection.begin_nested():
            connection.exec_driver_sql(statement, given)
            connection.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")

    with pytest.raises(DBAPIError) as caught:
        attempt()
    assert isinstance(caught.value.orig, psycopg.Error)
    return str(caught.value.orig.diag.constraint_name or caught.value.orig.sqlstate)


@pytest.mark.parametrize("name", sorted(NAMED))
def test_each_rule_is_held_by_name(anyone: Connection, name: str) -> None:
    """The statement is refused by the rule that it breaks, as the tenant and as owner."""
    given = lay_out(anyone)

    assert refusal_of(anyone, NAMED[name], given) == name


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_what_was_agreed_stays(anyone: Connection, statement: str) -> None:
    """Versions, prices, anchors and what was paid never change, and no row goes."""
    given = lay_out(anyone)

    assert refusal_of(anyone, statement, given) in {NO_RIGHT, NO_CHANGE}


def test_states_move_by_the_machines_alone(anyone: Connection) -> None:
    """A subscription that runs does not lapse, whoever says so."""
    given = lay_out(anyone)
    lapse = "UPDATE subscription SET state = 'lapsed', ended_at = now(), version = 2"

    assert refusal_of(anyone, lapse, given) == "HF011"


@pytest.fixture
def own_shop(own_engine: Engine, tenant: Tenant) -> Shop:
    """A payee with money, a plan that gives back and a product, committed."""
    with transaction(own_engine, tenant) as connection:
        clock.make_sandbox(connection, at=START)
        shop = Shop(connection, side=Side.PAYEE)
        shop.tax()
        shop.earn(100_000)
        shop.sell(refund=RefundRule.PRO_RATA)
        shop.sell_product()
        return shop


def race(
    engine: Engine,
    tenant: Tenant,
    first: Callable[[Connection], Any],
    second: Callable[[Connection], Any],
) -> tuple[Any, Any]:
    """The second waits for the first, which commits when it does."""

    def later() -> Any:
        with transaction(engine, tenant) as connection:
            return second(connection)

    with ThreadPoolExecutor(1) as pool:
        with transaction(engine, tenant) as connection:
            one = first(connection)
            waiting = pool.submit(later)
            wait_until_blocked(engine)
        return one, waiting.result()


def subscribing(shop: Shop) -> Callable[[Connection], Outcome]:
    def act(connection: Connection) -> Outcome:
        command = Subscribe(
            actor=shop.party,
            subscription_id=new_id(),
            party_id=shop.party_id,
            plan="pro",
            currency="EUR",
            every=Every.MONTH,
        )
        return service_plans.subscribe(connection, [command], at=START)[0]

    return act


def buying(shop: Shop) -> Callable[[Connection], Outcome]:
    def act(connection: Connection) -> Outcome:
        command = BuyProduct(
            actor=shop.party,
            purchase_id=new_id(),
            party_id=shop.party_id,
            product="boost",
            currency="EUR",
            about="profile:1",
        )
        return service_plans.buy_product(connection, [command], at=START)[0]

    return act


@pytest.mark.parametrize("way", ["subscribe", "buy"])
def test_a_double_click_charges_once(
    own_engine: Engine, tenant: Tenant, own_shop: Shop, way: str
) -> None:
    """Two connections at once: one is charged, the other is told that there is one already."""
    act = subscribing(own_shop) if way == "subscribe" else buying(own_shop)

    one, other = race(own_engine, tenant, act, act)

    assert one.is_done
    assert other.code == ("plans.subscribed" if way == "subscribe" else "plans.running")
    with transaction(own_engine, tenant) as connection:
        own_shop.connection = connection
        assert len(own_shop.purchases()) == 1
        assert prove(connection).is_clean


@pytest.mark.parametrize("clock_first", [True, False])
def test_an_end_and_a_renewal_at_once(
    own_engine: Engine, tenant: Tenant, own_shop: Shop, *, clock_first: bool
) -> None:
    """Whichever comes first: the period is paid once or not at all, and nothing is left behind."""
    with transaction(own_engine, tenant) as connection:
        begun = subscribing(own_shop)(connection)
    subscription_id = UUID(begun.facts["subscription_id"])
    at = own_shop.now + 31 * DAY

    def cancel(connection: Connection) -> Outcome:
        command = CancelSubscription(actor=own_shop.party, subscription_id=subscription_id)
        return service_plans.cancel_subscription(connection, [command], at=at)[0]

    def ring(connection: Connection) -> int:
        due = [
            each
            for each in timers.list_due(connection, at=at, limit=10, grace=timedelta())
            if each.subject.startswith("subscription:")
        ]
        return service_plans_clocks.renew(connection, due, at)

    if clock_first:
        _, ended = race(own_engine, tenant, ring, cancel)
    else:
        with transaction(own_engine, tenant) as connection:
            ended = cancel(connection)
            assert in_another(own_engine, tenant, ring) == 0

    assert ended.is_done, ended
    with transaction(own_engine, tenant) as connection:
        own_shop.connection = connection
        paid = own_shop.purchases()
        assert [each.state.value for each in paid][1:] == (["refunded"] if clock_first else [])
        assert prove(connection).is_clean


def in_another(engine: Engine, tenant: Tenant, act: Callable[[Connection], int]) -> int:
    """On a second connection, which passes by what the first holds."""
    with transaction(engine, tenant) as connection:
        return act(connection)
