"""Open items: each sort is found when it is planted past all guards, and a clean house has none."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Final
from uuid import UUID

import pytest
from sqlalchemy import Connection

from kernel.ids import new_id
from kernel.principals import SYSTEM, Actor
from ledger.chart import account
from ledger.model import AccountKey, Book, Draft, Entry, Line
from ledger.service import post
from payouts import service as payouts
from payouts import store_treasury
from payouts.model_treasury import PayoutStop
from rails.model import RailOutcome
from rails.model_events import TransactionKind
from rails.store_transactions import add_transactions
from reconciliation.model import SORTS, OpenItem
from reconciliation.open_items import open_items
from tests.escrow import stage_claims as owed
from tests.escrow.every_scene import SCENES
from tests.escrow.scenes_terms import ACCESS
from tests.escrow.stage import START, Stage
from tests.escrow.stage_chargeback import Bank
from tests.escrow.stage_dispute import Court
from tests.escrow.stage_fx import Desk
from tests.escrow.stage_hourly import HourlyStage
from tests.escrow.stage_plans import Shop
from tests.escrow.stage_retainer import Lease
from tests.payouts.builders import NOON, asked, give, new_method, new_payee, submitting
from tests.rails.hinting import line

LATER: Final = START + timedelta(days=4_000)

Plant = Callable[[Connection], int]
PLANTS: Final[dict[str, Plant]] = {}


def plant(sort: str) -> Callable[[Plant], Plant]:
    """Enter a plant of this sort; it answers the amount that the list has to name."""

    def enter(found: Plant) -> Plant:
        PLANTS[sort] = found
        return found

    return enter


def past_guards(connection: Connection, table: str, change: str, row_id: UUID) -> None:
    """Change a row as only the owner can: with the table's triggers off."""
    connection.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")
    connection.exec_driver_sql(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    connection.exec_driver_sql(f"UPDATE {table} SET {change} WHERE id = %s", (row_id,))
    connection.exec_driver_sql(f"ALTER TABLE {table} ENABLE TRIGGER USER")
    connection.exec_driver_sql("SET CONSTRAINTS ALL DEFERRED")


def move(connection: Connection, debit: AccountKey, credit: AccountKey, amount: int) -> None:
    """Money moved by an entry that no machine knows of."""
    entry = Entry(Book.CUSTODY, debit.currency, (Line(debit, amount), Line(credit, -amount)))
    (answer,) = post(connection, [Draft("planted", "", SYSTEM, START, (entry,))])
    assert not isinstance(answer, Exception), answer


@plant("slot.not_zero")
def _slot(connection: Connection) -> int:
    stage = Stage(connection).ready()
    gone = "state = 'released', released_minor = held_minor, held_minor = 0, fee_deferred_minor = 0"
    past_guards(connection, "slot", gone, stage.slot_id)
    return 10_000


@plant("fee.left_deferred")
def _fee(connection: Connection) -> int:
    stage = Stage(connection).ready()
    past_guards(connection, "slot", "fee_deferred_minor = 0", stage.slot_id)
    return 300


@plant("payouts.stopped")
def _stopped(connection: Connection) -> int:
    stop = PayoutStop(new_id(), "stripe", "USD", 4_200, START)
    store_treasury.add_stops(connection, [stop])
    return 4_200


@plant("rail.transaction_open")
def _transaction(connection: Connection) -> int:
    add_transactions(connection, [line("txn_odd", TransactionKind.OTHER, -77)], NOON)
    return -77


@plant("purchase.not_earned")
def _purchase(connection: Connection) -> int:
    shop = Shop(connection)
    shop.earn(2_000)
    shop.sell_product()
    assert shop.buy().is_done
    return 990


@plant("contract.not_zero")
def _contract(connection: Connection) -> int:
    stage = Stage(connection).ready()
    past_guards(connection, "contract", "state = 'ended'", stage.contract_id)
    return 10_000


@plant("week.not_zero")
def _week(connection: Connection) -> int:
    stage = HourlyStage(connection).ready().invoiced()
    assert stage.hear().is_done
    past_guards(connection, "work_week", "state = 'released'", stage.week().id)
    return 40_000


@plant("period.not_zero")
def _period(connection: Connection) -> int:
    lease = Lease(connection, ACCESS).agreed()
    lease.until(date(2026, 4, 11))
    past_guards(connection, "retainer_period", "state = 'settled'", lease.period(1).id)
    return 300_000


@plant("dispute.left_frozen")
def _frozen(connection: Connection) -> int:
    court = Court(Stage(connection).submitted())
    assert court.open(amount_minor=3_000).is_done
    over = f"state = 'withdrawn', due_at = NULL, ended_at = timestamptz '{START.isoformat()}'"
    past_guards(connection, "dispute", over, court.dispute_id)
    return 3_000


@plant("dispute.not_carried_out")
def _waiting(connection: Connection) -> int:
    SCENES["conceded_under_a_hold"](connection)
    return 100_000


@plant("dispute.fees_left")
def _fees(connection: Connection) -> int:
    SCENES["arbitration_elected_by_one"](connection)
    (dispute_id,) = connection.exec_driver_sql("SELECT id FROM dispute").scalars()
    over = f"state = 'withdrawn', due_at = NULL, ended_at = timestamptz '{START.isoformat()}'"
    past_guards(connection, "dispute", over, dispute_id)
    return 5_000


@plant("payee.left_reserved")
def _reserved(connection: Connection) -> int:
    stage = owed.released(connection)
    payee = stage.payee.party_id
    assert payee is not None
    available = account("custody.earned_available", "EUR", payee)
    move(connection, available, account("custody.earned_reserved", "EUR", payee), 900)
    return 900


@plant("chargeback.unsettled")
def _unsettled(connection: Connection) -> int:
    bank = Bank(Stage(connection).submitted()).opened()
    assert bank.says("won").is_done
    return 10_300


@plant("chargeback.left_contested")
def _contested(connection: Connection) -> int:
    SCENES["charged_back_after_release"](connection)
    (chargeback_id,) = connection.exec_driver_sql("SELECT id FROM chargeback").scalars()
    past_guards(connection, "chargeback", "ahead_minor = ahead_minor + 700", chargeback_id)
    return 700


@plant("payout.not_zero")
def _paid(connection: Connection) -> int:
    owed.take_out(owed.released(connection), 5_000)
    return 5_000


@plant("payout.unconfirmed")
def _payout(connection: Connection) -> int:
    payee_id = new_payee(connection)
    give(connection, payee_id, 50_000)
    wish = asked(payee_id, new_method(connection, payee_id), 50_000)
    assert payouts.request(connection, [wish], at=NOON)[0].is_done
    assert payouts.submit(connection, [submitting(wish.payout_id)], at=NOON)[0].is_done
    return 50_000


@plant("refund.not_zero")
def _refund(connection: Connection) -> int:
    refund_id = _given_back(connection)
    past_guards(connection, "refund", "state = 'succeeded'", refund_id)
    return 10_300


@plant("refund.unconfirmed")
def _unconfirmed(connection: Connection) -> int:
    _given_back(connection)
    return 10_300


@plant("suspense.aged")
def _aged(connection: Connection) -> int:
    SCENES["another_amount_came"](connection)
    return 5_000


@plant("suspense.unexplained")
def _unexplained(connection: Connection) -> int:
    SCENES["another_amount_came"](connection)
    (funding_id,) = connection.exec_driver_sql(
        "SELECT id FROM funding WHERE state = 'mismatch'"
    ).scalars()
    past_guards(connection, "funding", "state = 'credited'", funding_id)
    return 5_000


@plant("conversion.unexplained")
def _bridge(connection: Connection) -> int:
    move(connection, account("custody.bank", "EUR"), account("custody.fx", "EUR"), 1_234)
    return 1_234


@plant("conversion.unfilled")
def _conversion(connection: Connection) -> int:
    desk = Desk(connection)
    desk.earn(1_234, "EUR")
    assert desk.convert(desk.quote(1_234).facts["quote_id"]).is_done
    return 1_234


@plant("claim.on_payee")
def _claim(connection: Connection) -> int:
    SCENES["a_payee_owes"](connection)
    rest = connection.exec_driver_sql("SELECT remaining_minor FROM claim").scalar_one()
    return int(rest)


@plant("claim.on_client")
def _client_claim(connection: Connection) -> int:
    SCENES["week_advanced"](connection)
    return 41_200


def _given_back(connection: Connection) -> UUID:
    stage = Stage(connection).ready()
    return UUID(stage.on_slot("give_back", stage.payee).facts["refund_ids"][0])


def found(connection: Connection, sort: str) -> list[OpenItem]:
    return [each for each in open_items(connection, at=LATER) if each.sort == sort]


def test_every_sort_is_planted() -> None:
    """No sort of open item is claimed to be found without proof."""
    assert set(PLANTS) == set(SORTS)


@pytest.mark.parametrize("sort", sorted(SORTS))
def test_what_is_planted_is_found(owner_connection: Connection, sort: str) -> None:
    """What the guards would never let happen is seen all the same, with its subject and amount."""
    assert found(owner_connection, sort) == []

    amount_minor = PLANTS[sort](owner_connection)

    (item,) = found(owner_connection, sort)
    assert item.amount_minor == amount_minor
    assert item.since <= LATER
    assert item.days(LATER) >= 100


def test_plans_and_products_leave_nothing_open(connection: Connection) -> None:
    """While they run, what is deferred is what they wait for; afterwards nothing is."""
    shop = Shop(connection)
    shop.earn(10_000)
    shop.sell()
    shop.sell_product()
    assert shop.buy().is_done
    begun = shop.subscribe()
    for days in (3, 5, 40):
        shop.pass_days(days)
        assert [each.sort for each in open_items(connection, at=shop.now)] == []
    assert shop.cancel(begun).is_done
    shop.pass_days(40)
    assert [each.sort for each in open_items(connection, at=shop.now)] == []


def test_an_account_of_nothing_is_found(owner_connection: Connection) -> None:
    """Money on the escrow account of a slot that never was is an open item of an unknown state."""
    nobody = account("custody.escrow", "EUR", new_id())
    move(owner_connection, account("custody.bank", "EUR"), nobody, 100)

    (item,) = found(owner_connection, "slot.not_zero")

    assert (item.subject, item.state) == (f"slot:{nobody.subject}", "unknown")


# Scenes that stop where something truly is open, and what it is.
OPEN_IN: Final = {
    "a_payee_owes": {"claim.on_payee", "payout.not_zero"},
    "a_write_off_is_proposed": {"claim.on_payee", "payout.not_zero"},
    "a_claim_is_written_off": {"payout.not_zero"},
    "a_claim_is_recovered": {"payout.not_zero"},
    "another_amount_came": {"suspense.aged"},
    "conceded_under_a_hold": {"dispute.not_carried_out"},
    "decided_under_a_hold": {"dispute.not_carried_out"},
    "settled_under_a_hold": {"dispute.not_carried_out"},
    "silent_under_a_hold": {"dispute.not_carried_out"},
    "week_advanced": {"claim.on_client"},
    "week_half_written_off": {"claim.on_client"},
}


@pytest.mark.parametrize("part", range(4))
def test_stories_of_every_kind_leave_nothing_open(connection: Connection, part: int) -> None:
    """Milestones, disputes, claims, hours and retainers in every state: no item but what is open.

    All refunds are confirmed first: what waits for a rail is not over.
    """
    for name in sorted(SCENES)[part::4]:
        point = connection.begin_nested()
        scene = SCENES[name](connection)
        confirm_refunds(connection, scene.actors["client"])
        at = scene.now + timedelta(days=30)

        items = list(open_items(connection, at=at))

        assert {each.sort for each in items} == OPEN_IN.get(name, set()), (name, items)
        point.rollback()


def confirm_refunds(connection: Connection, client: Actor) -> None:
    """The rail says yes to every refund that waits."""
    stage = Stage(connection)
    stage.client = client
    ids = connection.exec_driver_sql(
        "SELECT id::text FROM refund WHERE state IN ('approved', 'submitted', 'unknown')"
    )
    for refund_id in ids.scalars().all():
        assert stage.refund_result(refund_id, RailOutcome.DONE).is_done
