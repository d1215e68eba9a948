"""The simulated rail on a real database: its own log, its own commits, one effect per id."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from kernel.errors import Broken
from rails.model import (
    FUNDS_AVAILABLE,
    INSUFFICIENT_FUNDS,
    NOT_FOUND,
    OperationKind,
    RailOutcome,
    RailResult,
)
from rails.simulated.model import Behaviour
from rails.simulated.service import SimulatedRail
from tests.rails.builders import NOON, capital, operation, payout

DAY = timedelta(days=1)


@pytest.fixture
def rail(own_engine: Engine) -> SimulatedRail:
    """The rail of one platform in a world of its own."""
    return SimulatedRail(own_engine, "test")


def test_the_rail_keeps_its_own_balances(rail: SimulatedRail) -> None:
    """Fund, wait, sweep, refund, pay out: the rail's balances follow, and its log sums to them."""
    rail.execute([operation(), capital(100_000)], at=NOON)
    assert _balances(rail) == {"processor_pending": 9_971, "custody_bank": 100_000}

    later = NOON + 2 * DAY
    sweep = operation(
        OperationKind.BANK_TRANSFER, 5_000, source="processor_available", target="custody_bank"
    )
    rail.execute([sweep, operation(OperationKind.REFUND, 2_000), payout()], at=later)

    assert _balances(rail, 2 * DAY) == {
        "processor_available": 2_971,
        "custody_bank": 55_200,
    }
    log = rail.log(after=0, limit=100, at=later)
    sums: Counter[str] = Counter()
    for line in log:
        sums[line.account.value] += line.amount_minor
    assert +sums == _balances(rail, 2 * DAY)


def test_an_id_takes_effect_once(rail: SimulatedRail) -> None:
    """The same operation executed again answers the same and moves nothing."""
    fund = operation()

    first, again = rail.execute([fund], at=NOON), rail.execute([fund], at=NOON)

    assert first == again
    assert _balances(rail) == {"processor_pending": 9_971}


def test_an_id_cannot_stand_for_other_money(rail: SimulatedRail) -> None:
    """An operation's id that comes again with another amount is our own fault: Broken."""
    fund = operation()
    rail.execute([fund], at=NOON)

    with pytest.raises(Broken):
        rail.execute([operation(amount_minor=1, operation_id=fund.id)], at=NOON)


def test_two_callers_of_one_batch_move_the_money_once(rail: SimulatedRail) -> None:
    """Two workers that send the same operations at once, in other orders, get the same answers."""
    asked = [operation() for _ in range(50)]

    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(rail.execute, asked, at=NOON)
        other = pool.submit(rail.execute, asked[::-1], at=NOON)

    assert one.result() == other.result()[::-1]
    assert _balances(rail) == {"processor_pending": 50 * 9_971}


def test_a_lost_reply_is_found_by_a_read(rail: SimulatedRail) -> None:
    """The effect stands though the answer is unknown; reading finds it, and makes no second."""
    fund = operation(method="card:lost_reply")

    lost = rail.execute([fund], at=NOON)
    found = rail.resolve([fund], at=NOON)

    assert [each.outcome for each in lost] == [RailOutcome.UNKNOWN]
    assert [(each.outcome, each.fee_minor) for each in found] == [(RailOutcome.DONE, 329)]
    assert _balances(rail) == {"processor_pending": 9_971}


def test_what_never_arrived_is_not_found(rail: SimulatedRail) -> None:
    """A read of an operation that was never sent proves that: unknown, with a code of its own."""
    (read,) = rail.resolve([operation()], at=NOON)

    assert (read.outcome, read.code) == (RailOutcome.UNKNOWN, NOT_FOUND)


def test_a_bank_pays_only_what_it_holds(rail: SimulatedRail) -> None:
    """In one batch the first payout empties the bank, the second is refused and moves nothing."""
    rail.execute([capital(50_000)], at=NOON)

    results = rail.execute([payout(), payout()], at=NOON)

    assert _words(results) == ["done", f"refused {INSUFFICIENT_FUNDS}"]
    assert _balances(rail) == {"custody_bank": 200}


def test_money_promised_to_leave_is_not_there_to_spend(rail: SimulatedRail) -> None:
    """A slow payout has not left the bank yet, but nothing else may be paid from it."""
    rail.execute([capital(50_000)], at=NOON)
    rail.execute([payout(method="payout:slow")], at=NOON)

    results = rail.execute([payout()], at=NOON)

    assert _words(results) == [f"refused {INSUFFICIENT_FUNDS}"]
    assert _balances(rail) == {"custody_bank": 50_000}
    assert _balances(rail, 3 * DAY) == {"custody_bank": 200}


def test_a_refund_may_take_the_processor_below_zero(rail: SimulatedRail) -> None:
    """A processor pays a refund at once and takes it from what becomes available next."""
    rail.execute([operation()], at=NOON)

    results = rail.execute([operation(OperationKind.REFUND, 10_300)], at=NOON)

    assert _words(results) == ["done"]
    assert _balances(rail) == {"processor_pending": 9_971, "processor_available": -10_300}


def test_funds_are_announced_when_they_become_available(rail: SimulatedRail) -> None:
    """One notice per batch, currency and day says how much became available, not before."""
    rail.execute([operation(), operation(), operation(currency="USD")], at=NOON)

    before = rail.notices(after="", limit=10, at=NOON + DAY)
    after = rail.notices(after=before.position, limit=10, at=NOON + 2 * DAY)

    assert before.notices == ()
    assert {(n.kind, n.currency, n.amount_minor) for n in after.notices} == {
        (FUNDS_AVAILABLE, "EUR", 2 * 9_971),
        (FUNDS_AVAILABLE, "USD", 9_971),
    }


def test_notices_can_be_read_again_from_a_position(rail: SimulatedRail) -> None:
    """The order in which notices were sent is kept, page by page, and for ever."""
    asked = [payout(100, method="payout:slow:twice") for _ in range(3)]
    rail.execute([capital(1_000), *asked], at=NOON)
    later = NOON + 3 * DAY

    first = rail.notices(after="", limit=4, at=later)
    rest = rail.notices(after=first.position, limit=4, at=later)
    whole = rail.notices(after="", limit=10, at=later)

    assert (len(first.notices), len(rest.notices)) == (4, 2)
    assert whole.notices == first.notices + rest.notices
    assert rail.notices(after=rest.position, limit=4, at=later).notices == ()


def test_platforms_do_not_see_each_other(rail: SimulatedRail) -> None:
    """Another platform at the same rail finds neither operations, balances nor notices."""
    fund = operation(method="card:slow")
    rail.execute([fund], at=NOON)

    other = SimulatedRail(rail.engine, "other")

    assert other.resolve([fund], at=NOON)[0].code == NOT_FOUND
    assert other.balances(at=NOON) == []
    assert other.notices(after="", limit=9, at=NOON + 9 * DAY).notices == ()


def test_the_program_cannot_rewrite_the_rails_log(own_engine: Engine) -> None:
    """The rail's log is added to and read; the program has no right to change or delete it."""
    with own_engine.connect() as connection:
        refused = connection.exec_driver_sql(
            "SELECT has_table_privilege('simulated_rail.movement', 'UPDATE')"
            " OR has_table_privilege('simulated_rail.movement', 'DELETE')"
            " OR has_table_privilege('simulated_rail.fact', 'UPDATE')"
        ).scalar_one()

    assert refused is False


def test_what_was_decided_stays_decided(rail: SimulatedRail) -> None:
    """A rail with other rates tells the old story of an old operation."""
    fund = operation()
    rail.execute([fund], at=NOON)

    harsher = SimulatedRail(rail.engine, "test", Behaviour(declined_bps=10_000))

    assert _words(harsher.execute([fund, operation()], at=NOON)) == [
        "done",
        "refused card.declined",
    ]


def _balances(rail: SimulatedRail, after: timedelta = timedelta()) -> dict[str, int]:
    """What is not zero, by account."""
    found = rail.balances(at=NOON + after)
    return {each.account.value: each.amount_minor for each in found if each.amount_minor}


def _words(results: list[RailResult]) -> list[str]:
    return [f"{each.outcome.value} {each.code}".strip() for each in results]
