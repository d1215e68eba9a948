"""Intents, results and notices in the tenant's own tables."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, IntegrityError

from kernel.database import Tenant, transaction
from kernel.errors import Broken
from kernel.ids import new_id
from rails import service
from rails.model import Notice, RailOperation, RailOutcome
from rails.store import Unsent
from tests.rails.builders import NOON, notice, operation, payout, result

NOW = datetime.now(UTC)
SENT = "sent_at = now(), leased_at = now(), attempts = 1"


def test_intents_are_taken_once_and_in_order(connection: Connection) -> None:
    """What was written first is sent first; what was taken is not taken again."""
    asked = [operation() for _ in range(5)]
    service.intend(connection, asked, at=NOON)

    first = service.take(connection, 3, NOON)
    rest = service.take(connection, 3, NOON)

    assert first + rest == asked
    assert service.take(connection, 3, NOON) == []


def test_two_takers_share_the_intents(own_engine: Engine, tenant: Tenant) -> None:
    """A taker who has not committed keeps his operations; another gets the others, unblocked."""
    asked = [operation() for _ in range(4)]
    with transaction(own_engine, tenant) as connection:
        service.intend(connection, asked, at=NOON)

    with transaction(own_engine, tenant) as one, transaction(own_engine, tenant) as other:
        mine = service.take(one, 2, NOON)
        yours = service.take(other, 9, NOON)

    assert mine + yours == asked


def test_an_operation_is_written_once(connection: Connection) -> None:
    """The same id twice is refused by the database, whoever asks."""
    fund = operation()
    service.intend(connection, [fund], at=NOON)

    with pytest.raises(IntegrityError, match="written_once"), connection.begin_nested():
        service.intend(connection, [fund], at=NOON)

    assert service.take(connection, 9, NOON) == [fund]


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ("state = 'done', occurred_at = now()", "may not move"),
        ("state = 'sent'", "is_sent_before"),
        (f"state = 'sent', {SENT}, cleared = true", "clears_when_done"),
        (f"state = 'sent', {SENT}, fee_minor = 10301", "fee_is_within"),
        ("state = 'lost'", "."),
    ],
)
def test_the_database_holds_the_rules_of_an_operation(
    connection: Connection, change: str, rule: str
) -> None:
    """States, times, fees and the direction of moves are checked by name, not only in Python."""
    service.intend(connection, [operation()], at=NOON)

    with pytest.raises(DBAPIError, match=rule), connection.begin_nested():
        connection.exec_driver_sql(f"UPDATE rail_operation SET {change}")


@pytest.mark.parametrize("column", ["amount_minor = 1", "id = gen_random_uuid()", "method = 'x'"])
def test_the_program_cannot_change_what_was_intended(connection: Connection, column: str) -> None:
    """Amount, id and method of an intent are written once: the role has no right to change them."""
    service.intend(connection, [operation()], at=NOON)

    with pytest.raises(DBAPIError, match="permission denied"), connection.begin_nested():
        connection.exec_driver_sql(f"UPDATE rail_operation SET {column}")


def test_results_are_news_once(connection: Connection) -> None:
    """A result moves the operation on and is given to its handler; the same again is not."""
    (fund,) = _sent(connection, operation(handler="escrow.funding"))

    first = service.store_results(connection, [result(fund)], NOON)
    again = service.store_results(connection, [result(fund)], NOON)

    assert first == {"escrow.funding": [result(fund)]}
    assert again == {}


def test_e2_a_duplicate_in_one_batch_is_one_piece_of_news(connection: Connection) -> None:
    """Edge case 2: the same word twice in one delivery is handed on once."""
    (fund,) = _sent(connection, operation())

    news = service.store_results(connection, [result(fund), result(fund)], NOON)

    assert news == {"test.heard": [result(fund)]}


def test_e3_an_older_word_that_comes_late_changes_nothing(connection: Connection) -> None:
    """Edge case 3: done before pending, or returned before done, leaves the later word standing."""
    one, other = _sent(connection, operation(), operation())
    service.store_results(
        connection, [result(one), result(other, RailOutcome.REFUSED, code="x")], NOON
    )

    late = [result(one, RailOutcome.PENDING), result(other, RailOutcome.DONE)]

    assert service.store_results(connection, late, NOON) == {}


def test_a_rail_cannot_move_other_money(connection: Connection) -> None:
    """Another amount or currency than was asked for is Broken, and so is a stranger's result."""
    (paid,) = _sent(connection, payout(100))
    less = replace(result(paid), amount_minor=99)
    other = replace(result(paid), currency="USD")

    for wrong in (less, other, result(operation())):
        with pytest.raises(Broken):
            service.store_results(connection, [wrong], NOON)


def test_a_funding_may_bring_another_amount(connection: Connection) -> None:
    """What was captured is the handler's to review; the result is handed on as it came."""
    (fund,) = _sent(connection, operation())
    more = replace(result(fund), amount_minor=10_400)

    assert service.store_results(connection, [more], NOON) == {"test.heard": [more]}


def test_unknown_and_silent_operations_are_listed_to_be_read(connection: Connection) -> None:
    """Unknown at once, sent and pending when nothing was heard for long, settled never."""
    lost, silent, slow, done = _sent(connection, *(operation() for _ in range(4)))
    service.lose_replies(connection, [lost])
    service.store_results(connection, [result(done), result(slow, RailOutcome.PENDING)], NOON)

    at_once = service.list_unresolved(connection, NOW - timedelta(hours=1))
    later = service.list_unresolved(connection, NOW + timedelta(hours=1))

    assert [each.operation for each in at_once] == [lost]
    assert {each.operation.id for each in later} == {lost.id, silent.id, slow.id}


def test_a_lost_reply_does_not_overtake_an_answer(connection: Connection) -> None:
    """An operation that was answered meanwhile does not become unknown."""
    (fund,) = _sent(connection, operation())
    service.store_results(connection, [result(fund)], NOON)

    assert service.lose_replies(connection, [fund]) == 0


def test_what_never_arrived_is_sent_again_with_its_id(connection: Connection) -> None:
    """After proof of absence the intent is back in line; a proof older than a new try is void."""
    (fund,) = _sent(connection, operation())
    service.lose_replies(connection, [fund])
    absent = [
        Unsent(each.operation.id, each.attempts)
        for each in service.list_unresolved(connection, NOW)
    ]

    assert service.send_again(connection, absent) == 1
    assert service.take(connection, 9, NOON) == [fund]
    assert service.send_again(connection, absent) == 0


def test_e2_a_notice_is_heard_once(connection: Connection) -> None:
    """Edge case 2: unique by rail and notice id, in one delivery and across deliveries."""
    one, other = notice(notice_id="a"), notice(notice_id="b")

    assert service.receive(connection, [one, one, other], at=NOON) == [one, other]
    assert service.receive(connection, [other, one], at=NOON) == []


def test_notices_are_sorted_by_what_they_concern(connection: Connection) -> None:
    """Of ours: a result. A known kind: news. An unknown operation or kind: parked."""
    (fund,) = _sent(connection, operation())
    ours, stranger = notice(fund), notice(operation(), notice_id="n2")
    news, odd = notice(kind="funds_available", notice_id="n3"), notice(kind="odd", notice_id="n4")

    piles = service.sort(connection, [ours, stranger, news, odd], {"funds_available": None})

    assert [each.operation_id for each in piles.results] == [fund.id]
    assert piles.others == (news,)
    assert piles.parked == (stranger, odd)


def test_e4_a_notice_about_something_unknown_is_parked_then_an_exception(
    connection: Connection,
) -> None:
    """Edge case 4: parked 10 minutes, looked at again twice, then in the queue, never dropped."""
    stranger = notice(operation())
    at = _park(connection, stranger, NOON)

    assert service.take_parked(connection, at=at - timedelta(seconds=1)) == []
    for _ in range(service.PARKED_TRIES - 1):
        assert service.take_parked(connection, at=at) == [stranger]
        service.park(connection, [stranger], at=at)
        at += service.PARKED_FOR
    assert service.take_parked(connection, at=at) == []

    ((excepted, trouble),) = service.list_exceptions(connection)
    assert (excepted, bool(trouble)) == (stranger, True)


def _park(connection: Connection, stranger: Notice, at: datetime) -> datetime:
    service.receive(connection, [stranger], at=at)
    service.park(connection, [stranger], at=at)
    return at + service.PARKED_FOR


def test_the_position_is_kept_per_rail(connection: Connection) -> None:
    """Where we stopped reading a rail's notices is remembered, and moves on."""
    assert service.find_position(connection, "simulated") == ""

    service.save_position(connection, rail="simulated", position="7")
    service.save_position(connection, rail="simulated", position="9")

    assert service.find_position(connection, "simulated") == "9"
    assert service.find_position(connection, "other") == ""


def test_open_operations_are_listed_by_handler(connection: Connection) -> None:
    """What a handler still waits for: intents and all without a yes or no, in order."""
    mine, done, other = (
        operation(handler="payouts.settlement"),
        operation(handler="payouts.settlement"),
        operation(),
    )
    _sent(connection, mine, done, other)
    service.store_results(connection, [result(done)], NOON)

    assert service.list_open(connection, "payouts.settlement") == [mine]
    assert service.list_operations(connection, [done.id, new_id()]) == [done]


def _sent(connection: Connection, *operations: RailOperation) -> list[RailOperation]:
    service.intend(connection, operations, at=NOON)
    return service.take(connection, len(operations), NOON)
