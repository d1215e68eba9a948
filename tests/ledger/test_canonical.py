"""Canonical bytes: vectors, a second implementation over every row, and nothing ambiguous."""

import json
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine

from kernel import clock
from kernel.database import Tenant, snapshot, transaction
from kernel.principals import Actor, PrincipalKind
from ledger.canonical import field, leaf_hash
from ledger.chart import account
from ledger.model import AccountKey, Book, Draft, Entry, EntryRef, Line, Posted
from ledger.service import post
from tests.ledger.drafts import NOON, bank, draft, entry, fund, move, wallet
from tests.ledger.leaf import fields_of, leaf_of, read_events

VECTORS: Final = {
    file.stem: json.loads(file.read_text(encoding="utf-8"))
    for file in sorted((Path(__file__).parent / "vectors").glob("*.json"))
}
ACTOR: Final = Actor(UUID(int=5), PrincipalKind.PERSON, UUID(int=6))


@pytest.mark.parametrize("name", VECTORS)
def test_a_vector_has_its_fields_and_its_hash(name: str) -> None:
    """The event in plain JSON gives the fields of the vector, and they its leaf hash."""
    vector = VECTORS[name]

    assert fields_of(vector["event"]).decode() == vector["fields"]
    assert leaf_of(vector["event"]) == vector["leaf_hash"]
    assert leaf_hash(vector["fields"]).hex() == vector["leaf_hash"]


@pytest.mark.parametrize("name", VECTORS)
def test_a_vector_is_posted_to_the_same_hash(name: str, own_engine: Engine, tenant: Tenant) -> None:
    """Posted into fresh books under a sandbox clock, the event of a vector gets its very hash."""
    event = VECTORS[name]["event"]
    just_before = datetime.fromisoformat(event["recorded_at"]) - timedelta(microseconds=1)
    with transaction(own_engine, tenant) as connection:
        clock.make_sandbox(connection, at=just_before)
        (posted,) = post(connection, [draft_of(event)])

    assert isinstance(posted, Posted)
    with snapshot(own_engine, tenant) as connection:
        ((read, stored),) = read_events(connection, tenant.name)
    assert fields_of(read).decode() == VECTORS[name]["fields"]
    assert stored == VECTORS[name]["leaf_hash"]


def draft_of(event: dict[str, Any]) -> Draft:
    """What has to be posted, so that this event is what the books write."""
    actor = event["actor"]
    party = actor["party_id"]
    return Draft(
        event["kind"],
        event["subject"],
        Actor(
            UUID(actor["principal_id"]),
            PrincipalKind(actor["kind"]),
            None if party is None else UUID(party),
        ),
        datetime.fromisoformat(event["effective_at"]),
        tuple(_entry_of(one) for one in event["entries"]),
        event["reason"],
        json.loads(event["detail"] or "{}"),
    )


def _entry_of(one: dict[str, Any]) -> Entry:
    lines = []
    for line in one["lines"]:
        name, _, currency = line["account"].rpartition(" ")
        kind, _, subject = name.removesuffix("]").partition("[")
        lines.append(Line(AccountKey(kind, subject, currency), int(line["amount_minor"])))
    back = one["reverses"] and EntryRef(one["reverses"]["event_id"], one["reverses"]["entry_no"])
    return Entry(Book(one["book"]), one["currency"], tuple(lines), back)


def random_draft(chance: random.Random, number: int) -> Draft:
    """Something of everything: other actors, texts, books, currencies, reversals, no entries."""
    ann, ben = (wallet(f"p{chance.randrange(5)}", chance.choice(["EUR", "JPY"])) for _ in "ab")
    amount = chance.choice([1, 99, 10**12])
    mirrored = [
        entry((bank(), amount), (account("custody.due_to_platform", "EUR"), -amount)),
        entry(
            (account("platform.due_from_custody", "EUR"), amount),
            (account("platform.revenue.commission", "EUR"), -amount),
            book=Book.PLATFORM,
        ),
    ]
    back = Entry(Book.CUSTODY, "EUR", fund(7, wallet("q")).entries[0].lines, EntryRef(number, 1))
    shape: list[Entry] = chance.choice(
        [[], list(fund(amount, ann).entries), list(move(1, ann, ben).entries), mirrored, [back]]
    )
    return Draft(
        chance.choice(["a.b", "slot.released"]),
        chance.choice(["", f"slot:{number}"]),
        chance.choice([ACTOR, Actor(UUID(int=7), PrincipalKind.KEY)]),
        NOON + timedelta(days=chance.randrange(60), microseconds=number),
        tuple(shape),
        chance.choice(["", "weil \u2013 \u65e5\u672c \U0001f600", "1:1,-,"]),
        chance.choice([{}, {"b": [1, None, "ß"], "a": {"z": True, "y": ""}}]),
    )


def test_every_leaf_is_reckoned_again_from_the_rows(connection: Connection, tenant: Tenant) -> None:
    """After a random run a second implementation finds the stored leaf hash of every event."""
    chance = random.Random(11)
    drafts = [random_draft(chance, number) for number in range(600)]
    done = 0
    for start in range(0, 600, 60):
        answers = post(connection, drafts[start : start + 60])
        done += sum(isinstance(answer, Posted) for answer in answers)

    events = read_events(connection, tenant.name)

    assert len(events) == done > 300
    assert [event["id"] for event, stored in events if leaf_of(event) != stored] == []
    assert len({stored for _, stored in events}) == done


def shift(event: dict[str, Any], source: str, target: str) -> None:
    """Move the last character of one text to the front of another."""
    event[source], moved = event[source][:-1], event[source][-1]
    event[target] = moved + event[target]


def change_line(name: str, value: object) -> Callable[[dict[str, Any]], None]:
    def change(event: dict[str, Any]) -> None:
        event["entries"][0]["lines"][1][name] = value

    return change


def change_entry(name: str, value: object) -> Callable[[dict[str, Any]], None]:
    def change(event: dict[str, Any]) -> None:
        event["entries"][0][name] = value

    return change


def change_event(name: str, value: object) -> Callable[[dict[str, Any]], None]:
    def change(event: dict[str, Any]) -> None:
        event[name] = value

    return change


def change_actor(name: str, value: object) -> Callable[[dict[str, Any]], None]:
    def change(event: dict[str, Any]) -> None:
        event["actor"][name] = value

    return change


def lines_in_another_order(event: dict[str, Any]) -> None:
    event["entries"][0]["lines"].reverse()


def entries_as_one(event: dict[str, Any]) -> None:
    first, second = event["entries"]
    first["lines"] += second["lines"]
    event["entries"] = [first]


@pytest.mark.parametrize(
    "change",
    [
        lambda event: shift(event, "kind", "subject"),
        lambda event: shift(event, "reason", "detail"),
        change_event("tenant", "tes"),
        change_event("id", 163840),
        change_event("subject", ""),
        change_event("reason", "Abgenommen: alles scho\u0308n \u2013 \u65e5\u672c"),
        change_event("effective_at", "2026-03-01T00:00:00.000000+00:00"),
        change_event("recorded_at", "2026-03-02T12:00:00.000002+00:00"),
        change_event("detail", '{"a": [1,null,true],"b":{"x":"ß","y":""}}'),
        change_actor("party_id", None),
        change_actor("party_id", ""),
        change_actor("kind", "key"),
        change_entry("book", "platform"),
        change_entry("currency", "USD"),
        change_entry("reverses", {"event_id": 1, "entry_no": 1}),
        change_line("account", "custody.escrow[] EUR"),
        change_line("amount_minor", "10000"),
        change_line("account_seq", 2),
        change_line("balance_after_minor", "-10001"),
        lines_in_another_order,
        entries_as_one,
    ],
)
def test_whatever_is_changed_changes_the_leaf(change: Callable[[dict[str, Any]], None]) -> None:
    """Every value an auditor relies on is in the leaf, and where it stands is, too."""
    vector = VECTORS["two_books"]
    event = json.loads(json.dumps(vector["event"]))

    change(event)

    assert leaf_of(event) != vector["leaf_hash"]


def test_absent_is_not_empty() -> None:
    """An absent value, an empty text and a text that looks like an absent value are three."""
    assert [field(value) for value in (None, "", "-", "-,")] == ["-,", "0:,", "1:-,", "2:-,,"]


def test_length_counts_bytes() -> None:
    """The length of a text beyond ASCII is that of its UTF-8; text is never normalised."""
    assert field("日本") == "6:日本,"
    assert field("ö") == "2:ö,"
    assert field("o\u0308") == "3:o\u0308,"
    assert field(-100) == "4:-100,"


values = st.one_of(st.none(), st.integers(), st.text(alphabet=st.characters(codec="utf-8")))


@given(first=st.lists(values, max_size=5), second=st.lists(values, max_size=5))
def test_other_values_are_other_bytes(first: list[Any], second: list[Any]) -> None:
    """Two lists of fields share their bytes only if they are the same list, value by value."""
    as_text = [[None if v is None else str(v) for v in values] for values in (first, second)]
    written = ["".join(map(field, values)) for values in (first, second)]

    assert (written[0] == written[1]) == (as_text[0] == as_text[1])


@given(texts=st.lists(st.text(alphabet="0:,-1ä", max_size=4), min_size=2, max_size=4))
def test_a_character_moved_to_the_next_field_changes_the_bytes(texts: list[str]) -> None:
    """Taken from the end of one field and put before the next, a character leaves other bytes."""
    first, second, *rest = texts
    if not first:
        first = "0"
    moved = [first[:-1], first[-1] + second, *rest]

    assert "".join(map(field, moved)) != "".join(map(field, [first, second, *rest]))


def test_what_was_not_posted_has_no_leaf(connection: Connection, tenant: Tenant) -> None:
    """A refused draft leaves no event, and its neighbours' leaves say nothing of it."""
    post(connection, [fund(5, wallet("ann")), move(6, wallet("ann"), wallet("ben")), draft()])

    events = read_events(connection, tenant.name)

    assert [len(event["entries"]) for event, _ in events] == [1, 0]
    assert all(leaf_of(event) == stored for event, stored in events)
