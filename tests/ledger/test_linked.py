"""Linked posts: a chain of drafts is written whole or not at all, and says which link broke."""

from collections.abc import Sequence
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, text

from kernel.database import Tenant
from kernel.errors import Broken, Refusal
from kernel.principals import SYSTEM
from ledger import rules_linked
from ledger.commands import PostLinked
from ledger.linked import post_chains
from ledger.model import AccountKey, Draft, Posted
from ledger.proof import prove
from ledger.service import balances, lock, post
from tests.ledger.drafts import NOON, bank, draft, entry, fund, move, rolled_back, wallet
from tests.ledger.period_rows import act_by_hand, add_period

ANN, BEN, CEM = wallet("ann"), wallet("ben"), wallet("cem")
UNBALANCED: Final = draft(entry((bank(), 5), (ANN, -4)))


def codes(answers: Sequence[Posted | Refusal]) -> list[str]:
    return [answer.code if isinstance(answer, Refusal) else "done" for answer in answers]


def links(answers: Sequence[Posted | Refusal]) -> set[tuple[int, str]]:
    """Which link broke each of the others, and why."""
    return {
        (answer.facts["link"], answer.facts["because"])
        for answer in answers
        if isinstance(answer, rules_linked.LinkBroken)
    }


def test_a_chain_is_written_whole(connection: Connection) -> None:
    """Each draft of a chain may live on what the one before it brought."""
    chain = [fund(100, ANN), move(100, ANN, BEN), move(40, BEN, CEM)]

    answers = post(connection, chain, chains=[range(3)])

    assert codes(answers) == ["done"] * 3
    assert balances(connection, [ANN, BEN, CEM]) == {ANN: 0, BEN: -60, CEM: -40}


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (move(101, BEN, CEM), "ledger.insufficient_funds"),
        (UNBALANCED, "ledger.unbalanced"),
        (fund(1, ANN, at=NOON.replace(month=4)), "ledger.period_not_open"),
    ],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_broken_chain_leaves_no_trace(
    connection: Connection, wrong: Draft, code: str, place: int
) -> None:
    """Whatever link is refused, and why: all are, the others name it, and neighbours go on."""
    april = add_period(connection, "[2026-04-01 00:00:00+00,2026-05-01 00:00:00+00)")
    act_by_hand(connection, april, "soft_close")
    events_before, _ = rows(connection)
    chain = [fund(60, ANN), move(60, ANN, BEN)]
    chain.insert(place, wrong)

    answers = post(connection, [fund(1, CEM), *chain, move(1, CEM, BEN)], chains=[range(1, 4)])

    expected = ["ledger.link_broken"] * 3
    expected[place] = code
    assert codes(answers) == ["done", *expected, "done"]
    assert links(answers) == {(place + 1, code)}
    assert balances(connection, [ANN, BEN, CEM]) == {ANN: 0, BEN: -1, CEM: 0}
    assert rows(connection) == (events_before + 2, 4)
    assert prove(connection).findings == ()


def rows(connection: Connection) -> tuple[int, int]:
    """How many events and lines there are."""
    counts = text("SELECT (SELECT count(*) FROM event), (SELECT count(*) FROM line)")
    events, lines = connection.execute(counts).one()
    return int(events), int(lines)


def test_a_frozen_account_breaks_its_chain(connection: Connection) -> None:
    """A chain over an account that takes no line is refused, and nothing of it is written."""
    lock(connection, [CEM])
    connection.exec_driver_sql("UPDATE account SET state = 'frozen' WHERE code = %s", (str(CEM),))

    answers = post(connection, [fund(5, ANN), move(5, ANN, CEM)], chains=[range(2)])

    assert codes(answers) == ["ledger.link_broken", "ledger.account_not_open"]
    assert rows(connection) == (0, 0)


def test_only_the_first_refused_link_tells_its_own_reason(connection: Connection) -> None:
    """What a later draft lacks because an earlier was refused is no reason of its own."""
    answers = post(
        connection, [move(5, ANN, BEN), move(5, BEN, CEM), UNBALANCED], chains=[range(2)]
    )

    assert codes(answers) == [
        "ledger.insufficient_funds",
        "ledger.link_broken",
        "ledger.unbalanced",
    ]


def test_chains_stand_side_by_side(connection: Connection) -> None:
    """A broken chain takes back what it moved before the next one, which lacks it, is decided."""
    first = [fund(100, ANN), move(101, ANN, BEN)]
    second = [move(1, ANN, CEM), fund(1, CEM)]
    third = [fund(10, BEN), move(10, BEN, CEM)]

    answers = post(
        connection, [*first, *second, *third], chains=[range(2), range(2, 4), range(4, 6)]
    )

    assert codes(answers) == [
        *("ledger.link_broken", "ledger.insufficient_funds"),
        *("ledger.insufficient_funds", "ledger.link_broken"),
        *("done", "done"),
    ]


@pytest.mark.parametrize(
    "chains", [[range(0)], [range(3)], [range(2), range(1, 2)], [range(0, 2, 2)], [range(-1, 1)]]
)
def test_a_chain_is_a_run_of_its_own(connection: Connection, chains: list[range]) -> None:
    """Empty, overlapping and reaching chains are a fault of the caller, and nothing is written."""
    with pytest.raises(Broken):
        post(connection, [fund(1, ANN), fund(1, BEN)], chains=chains)

    assert rows(connection) == (0, 0)


def test_a_chain_is_never_cut(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a call is written as several batches, each chain is in one of them."""
    monkeypatch.setattr(rules_linked, "MAX_EVENTS", 4)
    drafts = [fund(1, ANN) for _ in range(11)]
    drafts[7] = move(99, BEN, CEM)

    answers = post(connection, drafts, chains=[range(3, 6), range(6, 9)])

    broken = ["ledger.link_broken", "ledger.insufficient_funds", "ledger.link_broken"]
    assert codes(answers) == [*["done"] * 6, *broken, *["done"] * 2]
    sizes = text("SELECT event_count FROM batch ORDER BY id")
    assert list(connection.execute(sizes).scalars()) == [3, 3, 1, 1]


def test_a_command_is_a_chain(connection: Connection) -> None:
    """Each command is done whole, with all its events, or refused with the link that broke."""
    commands = [
        PostLinked(actor=SYSTEM, drafts=(fund(10, ANN), move(10, ANN, BEN))),
        PostLinked(actor=SYSTEM, drafts=(fund(10, ANN), move(11, ANN, BEN), fund(5, ANN))),
        PostLinked(actor=SYSTEM, drafts=()),
        PostLinked(actor=SYSTEM, drafts=(move(10, BEN, CEM),)),
    ]

    outcomes = post_chains(connection, commands, at=NOON)

    assert [each.code for each in outcomes] == [
        *("done", "ledger.insufficient_funds", "ledger.bad_entry", "done")
    ]
    assert len(outcomes[0].facts["events"]) == 2
    assert outcomes[1].facts["link"] == 2
    assert balances(connection, [ANN, BEN, CEM]) == {ANN: 0, BEN: 0, CEM: -10}


PURSES: Final = (ANN, BEN, CEM)
one_draft = st.builds(
    lambda amount, source, target: (
        fund(amount, target) if source == target else move(amount, source, target)
    ),
    st.integers(1, 20),
    st.sampled_from(PURSES),
    st.sampled_from(PURSES),
)


@settings(max_examples=60, deadline=None)
@given(groups=st.lists(st.tuples(st.booleans(), st.lists(one_draft, min_size=1, max_size=4))))
def test_chains_answer_like_a_model(
    engine: Engine, tenant: Tenant, groups: list[tuple[bool, list[Draft]]]
) -> None:
    """Any drafts in any chains: each is decided on what the chains before it left."""
    purses = dict.fromkeys(PURSES, 0)
    expected: list[bool] = []
    for is_chain, drafts in groups:
        for unit in [drafts] if is_chain else [[each] for each in drafts]:
            after = _after(purses, unit)
            expected += [after is not None] * len(unit)
            purses = purses if after is None else after
    drafts = [each for _, some in groups for each in some]
    with rolled_back(engine, tenant) as connection:
        answers = post(connection, drafts, chains=list(_chains(groups)))

        assert [isinstance(answer, Posted) for answer in answers] == expected
        found = balances(connection, PURSES)
        assert {key: -amount for key, amount in found.items()} == purses
        assert prove(connection).findings == ()


def _after(purses: dict[AccountKey, int], unit: list[Draft]) -> dict[AccountKey, int] | None:
    """The purses after all drafts of a unit; None if one of them would take what is not there."""
    after = dict(purses)
    for each in unit:
        for key, amount in each.entries[0].lines:
            if key in after:
                after[key] -= amount
                if after[key] < 0:
                    return None
    return after


def _chains(groups: list[tuple[bool, list[Draft]]]) -> list[range]:
    found: list[range] = []
    start = 0
    for is_chain, some in groups:
        if is_chain:
            found.append(range(start, start + len(some)))
        start += len(some)
    return found
