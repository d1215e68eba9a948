"""What a deal gets of all that holds: from a kept page that is never an old one."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine

from commissions.choosing import Ask, Chosen
from commissions.model import Facts, Scope
from commissions.service import choose_for, find_schedules
from kernel.database import Tenant, transaction
from kernel.errors import Broken
from kernel.ids import new_id
from migrations import runner
from tests.commissions.books import START, TIERS, draw_up, hold, prepare, tariff
from tests.escrow.stage import Stage, add_party
from tests.fixtures.databases import TestDatabase

DAY = timedelta(days=1)
PAYEE = UUID(int=7)


def ask(currency: str = "EUR", **facts: object) -> Ask:
    return Ask(Facts(**facts), currency, PAYEE)  # type: ignore[arg-type]


def payee_of(chosen: Chosen) -> UUID | None:
    return chosen.payee.schedule.id if chosen.payee else None


def choose_one(connection: Connection, **facts: str) -> UUID | None:
    return payee_of(choose_for(connection, [ask(**facts)], START + DAY)[0])


def test_a_schedule_counts_from_its_approval_on(connection: Connection) -> None:
    """Whoever looked before looks anew; what only waits for its approver counts for nobody."""
    nobody = choose_one(connection)
    first = hold(connection)
    then = choose_one(connection)
    assert prepare(connection, draw_up("waits", priority=1)).is_done
    still = choose_one(connection)
    second = hold(connection, "second", priority=2)

    assert (nobody, then, still, choose_one(connection)) == (None, first, first, second)


def test_what_was_taken_back_was_never_there(connection: Connection) -> None:
    """An approval that is rolled back leaves no page behind, though somebody chose by it."""
    first = hold(connection)
    point = connection.begin_nested()
    second = hold(connection, "second", priority=1)
    meanwhile = choose_one(connection)
    point.rollback()
    after = choose_one(connection)
    third = hold(connection, "third", priority=1)

    assert (meanwhile, after, choose_one(connection)) == (second, first, third)


def test_an_approval_counts_for_others_once_it_is_committed(
    own_engine: Engine, tenant: Tenant
) -> None:
    """Another connection chooses by what is committed, however often it looks meanwhile."""

    def elsewhere() -> UUID | None:
        with transaction(own_engine, tenant) as connection:
            return choose_one(connection)

    with transaction(own_engine, tenant) as connection:
        first = hold(connection)
    with ThreadPoolExecutor(1) as pool:
        with transaction(own_engine, tenant) as connection:
            second = hold(connection, "second", priority=1)
            mine = choose_one(connection)
            theirs = [pool.submit(elsewhere).result(timeout=60) for _ in range(2)]
        later = pool.submit(elsewhere).result(timeout=60)

    assert (mine, theirs, later) == (second, [first, first], second)


def test_a_batch_is_answered_in_its_order(connection: Connection) -> None:
    """One look at the book for deals in different currencies, each by its own facts."""
    general = hold(connection, tariffs=tuple(tariff(each) for each in ("EUR", "JPY", "KWD")))
    design = hold(connection, "design", scope=Scope(category="design"), tariffs=(tariff("KWD"),))
    asks = [ask("KWD", category="design"), ask("JPY", category="design"), ask("USD"), ask()]

    found = [payee_of(each) for each in choose_for(connection, asks, START)]

    assert found == [design, general, None, general]
    assert choose_for(connection, [], START) == []


def test_a_contract_override_beats_an_agreement_and_both_are_for_their_own(
    connection: Connection,
) -> None:
    """An exception for one contract, one for one client, and the default for all others."""
    stage = Stage(connection)
    assert stage.propose().is_done
    client_id = str(add_party(connection, "client"))
    everybody = hold(connection)
    agreed = hold(connection, "agreed", scope=Scope(client_id=client_id))
    contract_id = str(stage.contract_id)
    override = hold(connection, "override", scope=Scope(contract_id=contract_id))

    assert choose_one(connection, contract_id=contract_id, client_id=client_id) == override
    assert choose_one(connection, contract_id=str(new_id()), client_id=client_id) == agreed
    assert choose_one(connection, client_id=str(new_id())) == everybody


def test_pinned_schedules_are_found_by_their_ids(connection: Connection) -> None:
    """As they were written, whether kept already or not; one that there is not is our fault."""
    prices = (tariff("EUR", *TIERS), tariff("KWD"))
    schedule_id = hold(connection, tariffs=prices)

    found = [find_schedules(connection, [schedule_id, schedule_id]) for _ in range(2)]

    assert [each[schedule_id].tariffs for each in found] == [prices, prices]
    assert find_schedules(connection, []) == {}
    with pytest.raises(Broken):
        find_schedules(connection, [schedule_id, new_id()])


def test_two_tenants_may_name_two_schedules_alike(
    own_database: TestDatabase, own_engine: Engine, tenant: Tenant
) -> None:
    """The callers choose the ids: what is kept of one tenant prices nothing of another."""
    other = Tenant("other")
    runner.create_tenant(own_database.owner_url, other)
    same_id = new_id()
    prices = {tenant: (tariff("EUR", *TIERS),), other: (tariff("KWD"),)}
    for each, given in prices.items():
        with transaction(own_engine, each) as connection:
            hold(connection, schedule_id=same_id, tariffs=given)

    for each, given in (*prices.items(), *prices.items()):
        with transaction(own_engine, each) as connection:
            assert find_schedules(connection, [same_id])[same_id].tariffs == given
