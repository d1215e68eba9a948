"""Answers to keys: stored with their effect, given again word for word, owned by a principal."""

from datetime import UTC, datetime
from hashlib import sha256
from uuid import UUID

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from kernel.commands import Outcome, done
from kernel.database import Tenant, enter, transaction
from kernel.idempotency import IdempotencyKey, add_answers, find_answers, mismatch

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
ANN, BEN = UUID(int=11), UUID(int=12)


def key(name: str = "k-1", *, request: str = "", principal: UUID = ANN) -> IdempotencyKey:
    return IdempotencyKey(principal, name, sha256(request.encode()).digest())


def test_an_answer_is_given_again_marked_replayed(connection: Connection) -> None:
    """The same key with the same request gets the stored code and facts, marked replayed."""
    first = done(slot_id="s", parts=[1, None, {"a": "ß"}])
    add_answers(connection, [(key(), first)], at=AT)

    found = find_answers(connection, [key(), key("k-2")])

    assert found == {key(): Outcome("done", first.facts, replayed=True)}


def test_a_refusal_is_an_answer_too(connection: Connection) -> None:
    """What was refused is refused again with the same facts."""
    add_answers(connection, [(key(), Outcome("ledger.insufficient_funds", {"x": 1}))], at=AT)

    (answer,) = find_answers(connection, [key()]).values()

    assert answer == Outcome("ledger.insufficient_funds", {"x": 1}, replayed=True)
    assert not answer.is_done


def test_another_request_is_a_mismatch(connection: Connection) -> None:
    """A key that was used for another request is refused, and the first answer stays."""
    add_answers(connection, [(key(), done())], at=AT)
    other = key(request="other")

    found = find_answers(connection, [other, key()])

    assert found[other] == mismatch(other) == Outcome("idempotency_mismatch", {"key": "k-1"})
    assert found[key()].is_done


def test_a_key_belongs_to_its_principal(connection: Connection) -> None:
    """One principal's key tells another nothing, and is free for him."""
    add_answers(connection, [(key(), done(whose="ann"))], at=AT)

    assert find_answers(connection, [key(principal=BEN)]) == {}
    add_answers(connection, [(key(principal=BEN), done(whose="ben"))], at=AT)
    found = find_answers(connection, [key(), key(principal=BEN)])

    assert [found[k].facts["whose"] for k in (key(), key(principal=BEN))] == ["ann", "ben"]


def test_no_keys_are_no_question(connection: Connection) -> None:
    """Without keys nothing is asked and nothing is written."""
    assert find_answers(connection, []) == {}
    add_answers(connection, [], at=AT)

    count = connection.execute(text("SELECT count(*) FROM idempotency"))
    assert count.scalar_one() == 0


def test_the_stored_bytes_are_the_answer(connection: Connection) -> None:
    """The answer is kept as the bytes that were sent, in the order of its facts."""
    add_answers(connection, [(key(), done(b=1, a="ä"))], at=AT)

    row = connection.execute(text("SELECT answer, answered_at, code FROM idempotency")).one()

    assert bytes(row.answer) == '{"b":1,"a":"ä"}'.encode()
    assert (row.answered_at, row.code) == (AT, "done")


@pytest.mark.parametrize("name", ["", "a b", "k\n", "ключ", "\x7f", "x" * 256])
def test_a_key_is_visible_ascii(connection: Connection, name: str) -> None:
    """A key has 1 to 255 visible ASCII characters; the database takes no other."""
    longest = "~" * 255
    add_answers(connection, [(key(longest), done())], at=AT)
    assert key(longest) in find_answers(connection, [key(longest)])

    savepoint = connection.begin_nested()
    with pytest.raises(psycopg.errors.CheckViolation):
        add_answers(connection, [(key(name), done())], at=AT)
    savepoint.rollback()


@given(
    names=st.lists(
        st.tuples(st.sampled_from([ANN, BEN]), st.text("!~azAZ09", min_size=1, max_size=5)),
        unique=True,
        max_size=30,
    )
)
def test_any_set_of_keys_is_found_again(
    engine: Engine, tenant: Tenant, names: list[tuple[UUID, str]]
) -> None:
    """Whatever the keys and their order, each is found with its own answer and no other is."""
    keys = [key(name, principal=principal) for principal, name in names]
    with engine.connect() as connection, connection.begin() as running:
        enter(connection, tenant)
        add_answers(connection, [(k, done(me=str(k[:2]))) for k in keys], at=AT)

        found = find_answers(connection, [*keys, key("stranger")])

        assert {k: answer.facts["me"] for k, answer in found.items()} == {
            k: str(k[:2]) for k in keys
        }
        running.rollback()


def test_an_answer_lives_and_dies_with_its_effect(own_engine: Engine, tenant: Tenant) -> None:
    """A transaction that is rolled back leaves its key free."""
    with own_engine.connect() as raw, raw.begin() as running:
        enter(raw, tenant)
        add_answers(raw, [(key(), done())], at=AT)
        running.rollback()

    with transaction(own_engine, tenant) as later:
        assert find_answers(later, [key()]) == {}


def test_a_twin_is_rolled_back_whole(own_engine: Engine, tenant: Tenant) -> None:
    """Of two transactions that answer one key the second fails, and finds the answer afterwards."""
    with own_engine.connect() as second, second.begin() as running:
        enter(second, tenant)
        assert find_answers(second, [key()]) == {}
        with transaction(own_engine, tenant) as first:
            add_answers(first, [(key(), done(who="first"))], at=AT)

        with pytest.raises((psycopg.errors.UniqueViolation, DBAPIError)):
            add_answers(second, [(key(), done(who="second")), (key("k-2"), done())], at=AT)
        running.rollback()

    with transaction(own_engine, tenant) as later:
        found = find_answers(later, [key(), key("k-2")])
        assert {k.key: answer.facts for k, answer in found.items()} == {"k-1": {"who": "first"}}
