"""The words of a rail come twice, late and in any order: the end is the same (E2, E3, E10)."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from random import Random
from typing import Any

import pytest
from sqlalchemy import Connection

from escrow.model_chargeback import Word
from escrow.refusals_chargeback import PaymentOpen
from tests.escrow.stage import START, Stage
from tests.escrow.stage_chargeback import Bank, prove
from tests.escrow.stage_claims import released, take_out

HELD = "held"
RELEASED = "released"

WON = ("needs_response", "-10300", "under_review", "+10300", "won")
LOST = ("warning", "needs_response", "-5000", "-5300", "lost")
APPEALED = ("needs_response", "-10300", "lost", "appeal_open", "+10300", "appeal_won")
DUES = {
    "custody.due_to_platform": "custody owes",
    "custody.due_from_platform": "custody owes",
    "platform.due_to_custody": "platform owes",
    "platform.due_from_custody": "platform owes",
}
TURNED = ("needs_response", "-10300", "+10300", "won", "-10300", "lost")


def words(bank: Bank, story: tuple[str, ...]) -> list[Word]:
    """The words of a story, an hour apart by the rail's own clock."""
    found = []
    for number, said in enumerate(story):
        at = START + timedelta(days=20, hours=number)
        if said[0] in "+-":
            direction = "withdrawn" if said[0] == "-" else "reinstated"
            found.append(bank.movement(direction, int(said[1:]), ref=f"txn_{number}", at=at))
        else:
            found.append(bank.word(said, at=at))
    return found


def some_orders(count: int, most: int) -> Iterator[tuple[int, ...]]:
    """Orders of so many things: all of them, or a fair choice, the backward one always."""
    every = list(permutations(range(count)))
    yield every[-1]
    yield from Random(7).sample(every, min(most, len(every)))


def begin(connection: Connection, where: str) -> Stage:
    if where == HELD:
        return Stage(connection).submitted()
    stage = released(connection)
    take_out(stage, 4_000)
    return stage


def told(connection: Connection, where: str, story: tuple[str, ...], order: Any) -> dict[str, int]:
    """What the books say in the end, by kind of account, if the words come in this order."""
    stage = begin(connection, where)
    bank = Bank(stage)
    given = words(bank, story)
    for number in order:
        assert bank.hear(given[number]).is_done
        assert not bank.hear(given[number]).facts["is_news"]
    prove(stage)
    rows = connection.exec_driver_sql(
        "SELECT kind, sum(balance_minor)::bigint FROM account"
        " WHERE kind <> 'custody.escrow_disputed' GROUP BY kind HAVING sum(balance_minor) <> 0"
    )
    found: Counter[str] = Counter()
    for kind, balance in rows:
        found[DUES.get(kind, kind)] += balance  # what the books owe each other is set off daily
    slot, chargeback = stage.slot(), bank.chargeback
    found[f"slot {slot.state}"] = slot.held_minor + 1
    found["slot lost"] = slot.charged_back_minor
    found[f"chargeback {chargeback.state}"] = int(chargeback.is_settled)
    return {name: figure for name, figure in found.items() if figure}


@pytest.mark.parametrize(
    ("where", "story"),
    [
        (HELD, WON),
        (HELD, LOST),
        (HELD, TURNED),
        (RELEASED, WON),
        (RELEASED, LOST),
        (RELEASED, APPEALED),
        (RELEASED, TURNED),
    ],
    ids=lambda each: each if isinstance(each, str) else each[-1],
)
def test_any_order_ends_the_same(
    connection: Connection, where: str, story: tuple[str, ...]
) -> None:
    """Whatever comes first, twice or last: the same state, and the same balance of every kind."""
    outcomes = []
    for order in [tuple(range(len(story))), *some_orders(len(story), 6)]:
        point = connection.begin_nested()
        outcomes.append((order, told(connection, where, story, order)))
        point.rollback()

    first = outcomes[0][1]
    for order, found in outcomes:
        assert found == first, order


def test_e3_closed_before_it_was_created(connection: Connection) -> None:
    """E3: the last word comes first; what comes late by rank changes nothing."""
    stage = Stage(connection).submitted()
    bank = Bank(stage)
    later = stage.now + timedelta(days=3)

    assert bank.says("lost", at=later).is_done
    assert not bank.says("needs_response", at=later + timedelta(days=1)).facts["is_news"]
    assert not bank.says("warning").facts["is_news"]
    assert bank.chargeback.state == "lost"
    assert bank.takes().is_done
    assert stage.slot().state == "awaiting_funding"
    prove(stage)


def test_e2_one_fact_in_two_types_of_event(connection: Connection) -> None:
    """E2: a balance transaction is booked once, also under the name of another chargeback."""
    stage = Stage(connection).submitted()
    bank = Bank(stage)

    assert bank.takes(ref="txn_a").facts["is_news"]
    assert not bank.takes(ref="txn_a").facts["is_news"]

    assert len(bank.pieces) == 1
    prove(stage)


def test_e4_a_word_on_a_payment_that_we_do_not_know_yet(connection: Connection) -> None:
    """E4: not heard of the payment, so the word waits; nothing is written."""
    stage = Stage(connection)
    assert stage.propose().is_done
    assert stage.accept().is_done
    assert stage.start_funding().is_done
    bank = Bank(stage)

    assert bank.takes().code == PaymentOpen.code

    assert stage.hear(stage.result()).is_done
    assert bank.takes(ref="txn_2").is_done
    prove(stage)


def test_an_answer_by_date_that_comes_after_the_money(connection: Connection) -> None:
    """Money first makes a chargeback without a deadline; the word that follows brings it."""
    stage = Stage(connection).submitted()
    bank = Bank(stage)
    due_by = stage.now + timedelta(days=10)

    assert bank.takes().is_done
    assert bank.chargeback.due_by is None
    assert bank.says("needs_response", due_by=due_by).facts["is_news"]

    assert bank.chargeback.due_by == due_by
    word = replace(bank.word("needs_response"), due_by=due_by)
    assert not bank.hear(word).facts["is_news"]
