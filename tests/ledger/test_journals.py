"""Manual journals: prepared by one, approved by another, refused, expired, reversed by date."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest
from sqlalchemy import Connection, text

from kernel import timers
from kernel.commands import Outcome
from kernel.principals import SYSTEM, Actor, PrincipalKind
from ledger import journals
from ledger.chart import account
from ledger.commands import Reverse
from ledger.correction import reverse
from ledger.journals import EXPIRY, REVERSAL, DecideJournal, PrepareJournal, SetLimit
from ledger.model import AccountKey, Book, Draft, Entry
from ledger.model_journals import Role
from ledger.model_parties import PartyKind
from ledger.parties import CreateParty, create
from ledger.proof import prove
from ledger.seal import seal
from ledger.service import balances, post
from tests.ledger.drafts import bank, entry, fund, wallet
from tests.ledger.period_rows import (
    ANN,
    BOB,
    IN_APRIL,
    IN_MARCH,
    IN_MAY,
    MARCH,
    add_period,
    close,
    event_row,
    one,
    soft_close,
)
from tests.ledger.raw_rows import Row, check, insert, refuses

KEY = Actor(UUID(int=73), PrincipalKind.KEY, is_operator=True)
CLERK = Actor(UUID(int=74), PrincipalKind.PERSON)
P_BANK = account("platform.bank", "EUR")
FEES = account("platform.revenue.commission", "EUR")
DUE_TO = account("custody.due_to_platform", "EUR")
DUE_FROM = account("platform.due_from_custody", "EUR")
AT = IN_MAY


def p_entry(amount_minor: int = 500) -> Entry:
    return entry((P_BANK, amount_minor), (FEES, -amount_minor), book=Book.PLATFORM)


def prepare(
    connection: Connection,
    entries: Sequence[Entry] | None = None,
    *,
    actor: Actor = ANN,
    at: datetime = AT,
    **more: Any,
) -> Outcome:
    given = {"reason": "bank charge", "attachment_sha256": bytes(range(32)), **more}
    command = PrepareJournal(actor=actor, entries=tuple(entries or [p_entry()]), **given)
    return one(journals.prepare(connection, [command], at=at))


def decision(prepared: Outcome, actor: Actor = BOB, reason: str = "") -> DecideJournal:
    return DecideJournal(actor=actor, journal_id=UUID(prepared.facts["id"]), reason=reason)


def approve(
    connection: Connection, prepared: Outcome, actor: Actor = BOB, *, at: datetime = AT
) -> Outcome:
    return one(journals.approve(connection, [decision(prepared, actor)], at=at))


def count(connection: Connection, table: str) -> int:
    return int(connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one())


def test_a_journal_moves_nothing_before_its_approval(connection: Connection) -> None:
    """Only its row and its event are there; the approver posts it, the preparer is shown."""
    prepared = prepare(connection, effective_at=IN_APRIL)
    before = (count(connection, "entry"), balances(connection, [P_BANK])[P_BANK])

    posted = approve(connection, prepared)

    event = connection.execute(
        text("SELECT kind, actor_id, detail, effective_at FROM event WHERE id = :id"),
        {"id": int(posted.facts["event_id"])},
    ).one()
    assert (prepared.facts["state"], before) == ("prepared", (0, 0))
    assert balances(connection, [P_BANK, FEES]) == {P_BANK: 500, FEES: -500}
    assert (event.kind, event.actor_id) == ("journal.posted", BOB.principal_id)
    assert event.effective_at == IN_APRIL
    assert orjson.loads(event.detail)["preparer"] == str(ANN.principal_id)
    assert orjson.loads(event.detail)["attachment_sha256"] == bytes(range(32)).hex()


@pytest.mark.parametrize("actor", [KEY, CLERK, SYSTEM], ids=["key", "clerk", "system"])
def test_only_finance_people_prepare_and_decide(connection: Connection, actor: Actor) -> None:
    """A program, or a person without the right, does neither."""
    prepared = prepare(connection)

    refused = [
        prepare(connection, actor=actor),
        approve(connection, prepared, actor),
        one(journals.reject(connection, [decision(prepared, actor, "no")], at=AT)),
        one(
            journals.set_limits(
                connection,
                [SetLimit(actor=actor, role=Role.PREPARER, currency="EUR", highest_minor=1)],
                at=AT,
            )
        ),
    ]

    assert {each.code for each in refused} == {"journal.finance_only"}


def test_a_journal_is_decided_once_and_not_by_its_preparer(connection: Connection) -> None:
    """Ann may not approve her own; what Bob approved is not decided again; she may withdraw one."""
    prepared, other = prepare(connection), prepare(connection)

    own = approve(connection, prepared, ANN)
    twice = one(journals.reject(connection, [decision(other, ANN)], at=AT))
    withdrawn = one(journals.reject(connection, [decision(other, ANN, "typo")], at=AT))
    done = approve(connection, prepared)
    again = approve(connection, prepared)
    unknown = DecideJournal(actor=BOB, journal_id=UUID(int=9))

    assert own.code == "journal.same_person"
    assert (twice.code, withdrawn.facts["state"]) == ("journal.reason_missing", "rejected")
    assert (done.is_done, again.code) == (True, "journal.wrong_state")
    assert one(journals.approve(connection, [unknown], at=AT)).code == "journal.unknown"
    assert approve(connection, other).code == "journal.wrong_state"


IN_TRANSIT = AccountKey("custody.payout_in_transit", "0190", "EUR")
TWIN = AccountKey("custody.bank", "reserved", "EUR")
NO_PARTY = wallet(str(UUID(int=404)))
SOMEBODY = AccountKey("custody.wallet", "", "EUR")


@pytest.mark.parametrize(
    ("entries", "more", "code"),
    [
        ([entry((bank(), 5), (account("custody.escrow", "EUR", "s"), -5))], {}, "machine_owned"),
        ([entry((bank(), 5), (IN_TRANSIT, -5))], {}, "machine_owned"),
        ([entry((bank(), 5), (TWIN, -5))], {}, "machine_owned"),
        ([entry((bank(), 5), (SOMEBODY, -5))], {}, "subaccount_missing"),
        ([entry((bank(), 5), (NO_PARTY, -5))], {}, "unknown_subaccount"),
        ([entry((bank(), 5), (wallet("ann"), -5))], {}, "unknown_subaccount"),
        ([entry((bank(), 5), (DUE_TO, -5))], {}, "mirror_missing"),
        (None, {"reason": "  "}, "reason_missing"),
        ([p_entry()] * 101, {}, "bad_entries"),
        (None, {"effective_at": AT + timedelta(seconds=1)}, "bad_dates"),
        (None, {"effective_at": IN_APRIL, "reverse_at": IN_APRIL}, "bad_dates"),
        (None, {"expires_at": AT}, "bad_dates"),
        (None, {"expires_at": AT + timedelta(days=91)}, "bad_dates"),
        (None, {"original_effective_on": (AT + timedelta(days=1)).date()}, "bad_dates"),
    ],
)
def test_what_a_journal_may_not_say(
    connection: Connection, entries: list[Entry] | None, more: dict[str, Any], code: str
) -> None:
    """Each rule has its code, and nothing is written."""
    refused = prepare(connection, entries, **more)

    assert refused.code == f"journal.{code}"
    assert count(connection, "journal") == count(connection, "event") == 0


def test_the_ledger_refuses_what_is_no_entry(connection: Connection) -> None:
    """Sums, kinds and books are checked when it is prepared, before anybody looks at it."""
    off = entry((P_BANK, 5), (FEES, -4), book=Book.PLATFORM)
    kind = entry((AccountKey("platform.purse", "", "EUR"), 5), (FEES, -5), book=Book.PLATFORM)

    codes = [prepare(connection, [each]).code for each in (off, kind)]

    assert codes == ["ledger.unbalanced", "ledger.unknown_account_kind"]


def test_a_debt_in_both_books_and_a_partys_wallet_are_posted(connection: Connection) -> None:
    """With both mirrors, and with the wallet of a party that is there."""
    created = one(create(connection, [CreateParty(actor=ANN, kind=PartyKind.CLIENT)], at=AT)).facts[
        "id"
    ]
    entries = [
        entry((bank(), 90), (wallet(created), -40), (DUE_TO, -50)),
        entry((DUE_FROM, 50), (FEES, -50), book=Book.PLATFORM),
    ]

    posted = approve(connection, prepare(connection, entries))

    assert posted.is_done
    assert balances(connection, [wallet(created), FEES]) == {wallet(created): -40, FEES: -50}


def test_what_the_books_refuse_stays_prepared(connection: Connection) -> None:
    """An approval that would overdraw is refused, and may be tried again."""
    suspense = account("custody.suspense", "EUR")
    prepared = prepare(connection, [entry((suspense, 5), (bank(), -5))])

    refused = approve(connection, prepared)
    post(connection, [fund(5, suspense, at=IN_APRIL)])
    done = approve(connection, prepared)

    assert (refused.code, done.is_done) == ("ledger.insufficient_funds", True)


def test_limits_hold_for_each_role_and_currency_from_their_time_on(connection: Connection) -> None:
    """The preparer's counts when he prepares, the approver's when he approves."""
    prepared = prepare(connection, [p_entry(500)])
    for role, highest in ((Role.PREPARER, 400), (Role.APPROVER, 300)):
        limit = SetLimit(actor=BOB, role=role, currency="EUR", highest_minor=highest)
        assert one(journals.set_limits(connection, [limit], at=AT)).is_done

    codes = [
        prepare(connection, [p_entry(401)]).code,
        prepare(connection, [p_entry(200), p_entry(201)]).code,
        approve(connection, prepared).code,
        approve(connection, prepare(connection, [p_entry(400)])).code,
        approve(connection, prepare(connection, [p_entry(300)])).code,
    ]

    assert codes == ["journal.above_limit"] * 4 + ["done"]


def test_a_softly_closed_period_takes_journals_and_a_closed_one_none(
    connection: Connection,
) -> None:
    """What should have counted there counts in the open period, and shows its day."""
    period_id = add_period(connection, MARCH)
    soft_close(connection, period_id)
    inside = prepare(connection, effective_at=IN_MARCH)
    waits = close(connection, period_id)
    posted = approve(connection, inside)
    check(connection)
    seal(connection, at=datetime.now(UTC))
    closed = close(connection, period_id)

    late = prepare(connection, effective_at=IN_MARCH)
    shown = prepare(connection, original_effective_on=IN_MARCH.date())
    done = approve(connection, shown)

    assert (waits.code, waits.facts) == ("period.journals_open", {"journals": [inside.facts["id"]]})
    assert (posted.is_done, closed.is_done) == (True, True)
    assert (late.code, late.facts["open_from"]) == (
        "ledger.period_not_open",
        "2026-04-01T00:00:00+00:00",
    )
    assert done.facts["original_effective_on"] == "2026-03-15"


def due(connection: Connection, kind: str, at: datetime) -> list[timers.DueTimer]:
    found = timers.list_due(connection, at=at, limit=10, grace=timedelta())
    return [each for each in found if each.kind == kind]


def test_a_journal_that_nobody_decides_expires(connection: Connection) -> None:
    """After a week, by its timer; an approval before the timer fires comes too late as well."""
    prepared = prepare(connection)
    after = AT + timedelta(days=7)

    late = approve(connection, prepared, at=after)
    fired = journals.expire(connection, due(connection, EXPIRY, after), after)
    again = approve(connection, prepared, at=AT)

    assert (late.code, fired) == ("journal.expired", 1)
    assert (again.code, again.facts["state"]) == ("journal.wrong_state", "expired")


def test_a_journal_is_reversed_on_its_day(connection: Connection) -> None:
    """Line by line, by the engine, linked both ways; and only once."""
    on = AT + timedelta(days=3)
    posted = approve(connection, prepare(connection, reverse_at=on))
    timer = due(connection, REVERSAL, on)

    fired = journals.reverse_due(connection, timer, on + timedelta(hours=1))
    twice = journals.reverse_due(connection, timer, on + timedelta(hours=2))

    row = connection.exec_driver_sql("SELECT event_id, reversal_event_id FROM journal").one()
    links = connection.exec_driver_sql(
        "SELECT reverses_event_id FROM entry WHERE event_id = %s", (row.reversal_event_id,)
    ).scalars()
    assert (fired, twice) == (1, 0)
    assert str(row.event_id) == posted.facts["event_id"]
    assert list(links) == [row.event_id]
    assert balances(connection, [P_BANK, FEES]) == {P_BANK: 0, FEES: 0}


def test_a_reversal_that_comes_too_late_counts_in_the_open_period(connection: Connection) -> None:
    """Its day lies in a month that is softly closed by then: it moves, and shows its day."""
    period_id = add_period(connection, MARCH)
    prepared = prepare(
        connection,
        at=IN_MARCH,
        effective_at=IN_MARCH,
        reverse_at=IN_MARCH + timedelta(days=2),
        expires_at=IN_MAY,
    )
    approve(connection, prepared, at=IN_MARCH)
    soft_close(connection, period_id)

    journals.reverse_due(connection, due(connection, REVERSAL, IN_MAY), IN_MAY)

    event = connection.exec_driver_sql(
        "SELECT effective_at, detail FROM event WHERE kind = 'journal.auto_reversed'"
    ).one()
    shown = orjson.loads(event.detail)["original_effective_at"]
    assert event.effective_at == datetime(2026, 4, 1, tzinfo=UTC)
    assert shown == (IN_MARCH + timedelta(days=2)).isoformat()


def test_what_was_reversed_by_hand_is_not_reversed_again(connection: Connection) -> None:
    """The timer finds it undone and lets it be."""
    on = AT + timedelta(days=3)
    posted = approve(connection, prepare(connection, reverse_at=on))
    undo = Reverse(actor=ANN, event_id=int(posted.facts["event_id"]), reason="wrong")
    assert one(reverse(connection, [undo], at=AT)).is_done

    fired = journals.reverse_due(connection, due(connection, REVERSAL, on), on)

    assert fired == 1
    assert balances(connection, [P_BANK]) == {P_BANK: 0}


def journal_row(connection: Connection, **spoiled: Any) -> Row:
    """A journal by hand, with the event of its preparer; right unless something is spoiled."""
    journal_id = UUID(int=500)
    event_id = event_row(connection, "journal.prepared", f"journal:{journal_id}")
    now = datetime.now(UTC)
    return {
        "id": journal_id,
        "entries": "[]",
        "reason": "by hand",
        "attachment_sha256": bytes(32),
        "effective_at": IN_MARCH,
        "expires_at": now + timedelta(days=1),
        "prepared_by": ANN.principal_id,
        "preparer_kind": "person",
        "prepared_at": now,
        "prepared_event_id": event_id,
        **spoiled,
    }


def post_row(connection: Connection, actor: Actor, **spoiled: Any) -> None:
    """Approve the journal by hand, in this name."""
    subject = f"journal:{UUID(int=500)}"
    more = {"effective_at": IN_MARCH}
    event_id = event_row(connection, "journal.posted", subject, actor=actor, **more)
    columns = {
        "state": "posted",
        "decided_by": actor.principal_id,
        "decider_kind": actor.kind.value,
        "decided_at": datetime.now(UTC),
        "event_id": event_id,
        **spoiled,
    }
    settings = ", ".join(f"{name} = :{name}" for name in columns)
    connection.execute(text(f"UPDATE journal SET {settings}"), columns)


@pytest.mark.parametrize(
    "spoiled",
    [
        {"state": "posted"},
        {"preparer_kind": "key"},
        {"prepared_by": BOB.principal_id},
        {"prepared_event_id": 1},
        {"reason": " "},
        {"attachment_sha256": b"short"},
    ],
    ids=str,
)
def test_the_database_wants_a_person_a_reason_and_an_event(books: Connection, spoiled: Row) -> None:
    """A journal begins prepared, by a person whose event says so."""
    with refuses(books, "HF013", "23514", "42501"):
        insert(books, "journal", [journal_row(books, **spoiled)])


def test_the_database_wants_another_person_as_approver(books: Connection) -> None:
    """Not the preparer, not a program, not without an event of his own, and nothing twice."""
    insert(books, "journal", [journal_row(books)])

    with refuses(books, "23514"):
        post_row(books, ANN)
    with refuses(books, "23514"):
        post_row(books, KEY)
    with refuses(books, "HF013"):
        post_row(books, BOB, event_id=1)
    with refuses(books, "HF013"):
        post_row(books, BOB, decided_by=CLERK.principal_id)
    post_row(books, BOB)
    check(books)
    with refuses(books, "HF013"):
        post_row(books, CLERK)
    with refuses(books, "HF013"):
        books.exec_driver_sql("UPDATE journal SET state = 'prepared'")


@pytest.mark.parametrize("column", ["entries", "reason", "effective_at", "prepared_by"])
def test_what_was_prepared_stays(books: Connection, column: str) -> None:
    """What the approver saw is what is posted: nothing of it changes."""
    insert(books, "journal", [journal_row(books)])

    with refuses(books, "HF001", "42501"):
        books.exec_driver_sql(f"UPDATE journal SET {column} = {column}")
    with refuses(books, "HF001", "42501"):
        books.exec_driver_sql("DELETE FROM journal")


def test_the_proof_tells_a_journal_that_nobody_approved(connection: Connection) -> None:
    """An event of that kind without its approved row is found, also in an open period."""
    approve(connection, prepare(connection))
    assert prove(connection).is_clean
    draft = Draft("journal.posted", "journal:none", BOB, IN_APRIL, (p_entry(),))
    post(connection, [draft])

    (finding,) = prove(connection).findings

    assert finding.promise.startswith("every manual journal was posted by another person")
