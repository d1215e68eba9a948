"""What the database refuses of reservations, to the tenant's role and to the owner alike.

A reserved twin holds what remains of its open reservations, a reservation stands where its steps
say, and what has ended or happened stays.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from kernel.ids import new_id
from kernel.principals import SYSTEM
from ledger.chart import reserved_twin
from ledger.model import AccountKey
from ledger.model_reservations import PostReserved, Reserve, Target, VoidReservation
from ledger.reservations import post_reserved, reserve, void
from ledger.service import post
from tests.ledger.drafts import fund, move, wallet
from tests.ledger.raw_rows import check, insert, refuses

ANN, BEN = wallet("ann"), wallet("ben")
TWIN: Final = reserved_twin(ANN)
AT: Final = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture(params=["connection", "owner_connection"])
def books(request: pytest.FixtureRequest) -> Connection:
    """The books as the tenant's role sees them, then as their owner does."""
    found: Connection = request.getfixturevalue(request.param)
    return found


def made(connection: Connection, amount: int = 60) -> UUID:
    """A reservation of Ann's money, checked as at a commit."""
    which = new_id()
    post(connection, [fund(100, ANN)])
    command = Reserve(
        actor=SYSTEM,
        reservation_id=which,
        account=ANN,
        amount_minor=amount,
        reason="a deposit",
        expires_at=AT + timedelta(days=7),
    )
    (outcome,) = reserve(connection, [command], at=AT)
    assert outcome.is_done
    check(connection)
    return which


def ended(connection: Connection) -> UUID:
    """One that was posted in part, then voided."""
    which = made(connection)
    to = (Target(BEN, 20),)
    post_reserved(connection, [PostReserved(actor=SYSTEM, reservation_id=which, targets=to)], at=AT)
    void(connection, [VoidReservation(actor=SYSTEM, reservation_id=which)], at=AT)
    check(connection)
    return which


def change(connection: Connection, which: UUID, what: str) -> None:
    connection.execute(text(f"UPDATE reservation SET {what} WHERE id = :id"), {"id": which})


def step_of(connection: Connection, which: UUID) -> dict[str, Any]:
    """The newest step of a reservation, as a row to be spoilt."""
    row = connection.execute(
        text("SELECT * FROM reservation_step WHERE reservation_id = :id ORDER BY step_no DESC"),
        {"id": which},
    ).mappings()
    return dict(row.first() or {})


def row_of(connection: Connection, which: UUID) -> dict[str, Any]:
    row = connection.execute(text("SELECT * FROM reservation WHERE id = :id"), {"id": which})
    return dict(row.mappings().one())


@pytest.mark.parametrize(
    "draft",
    [
        pytest.param(move(10, ANN, TWIN), id="into an empty twin"),
        pytest.param(move(10, BEN, TWIN), id="into a twin from elsewhere"),
        pytest.param(move(10, ANN, reserved_twin(BEN)), id="into the twin of another"),
        pytest.param(
            move(10, ANN, AccountKey("custody.wallet", "reserved", "EUR")),
            id="into a twin of nobody",
        ),
        pytest.param(move(10, TWIN, ANN), id="back without a step"),
        pytest.param(move(60, TWIN, BEN), id="out without a step"),
    ],
)
def test_a_reserved_twin_moves_with_its_reservations_only(books: Connection, draft: Any) -> None:
    """A posting on a reserved twin that no reservation accounts for is refused at commit."""
    made(books)
    post(books, [fund(100, BEN)])

    with refuses(books, "HF014"):
        (answer,) = post(books, [draft])
        assert hasattr(answer, "event_id")


def test_moves_that_cancel_out_leave_the_twin_as_it_is(books: Connection) -> None:
    """The rule is about what the twin holds at commit: out and back again breaks nothing."""
    made(books)

    post(books, [move(10, TWIN, BEN), move(10, BEN, TWIN)])

    check(books)


@pytest.mark.parametrize(
    "what",
    [
        "remaining_minor = 50, posted_minor = 10",
        "remaining_minor = 50, posted_minor = 10, version = 2",
        "remaining_minor = 0, state = 'voided', ended_at = now(), version = 2",
        "remaining_minor = 0, posted_minor = 60, state = 'posted', ended_at = now(), version = 2",
        "version = 2",
        "version = 3",
        "state = 'expired'",
        "remaining_minor = 0",
        "remaining_minor = -1",
        "remaining_minor = 61",
        "amount_minor = 50, remaining_minor = 50",
        "reason = 'other'",
        "expires_at = NULL",
        "made_at = now()",
        "account_id = twin_id",
        "id = gen_random_uuid()",
    ],
)
def test_a_reservation_moves_with_its_step_and_its_event_only(books: Connection, what: str) -> None:
    """No update of a reservation alone is taken, whatever it changes."""
    which = made(books)

    with refuses(books, "HF", "23", "42501"):
        change(books, which, what)


@pytest.mark.parametrize("what", ["remaining_minor = 40, state = 'open'", "reason = reason"])
def test_what_has_ended_stays_as_it_is(books: Connection, what: str) -> None:
    """An ended reservation never opens again."""
    which = ended(books)

    with refuses(books, "HF", "23", "42501"):
        change(books, which, f"{what}, ended_at = NULL, version = version + 1")


@pytest.mark.parametrize("table", ["reservation", "reservation_step"])
@pytest.mark.parametrize("act", ["DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_reservations_and_steps_are_not_taken_away(books: Connection, table: str, act: str) -> None:
    """What was set aside, and each step it took, is kept for ever."""
    made(books)

    with refuses(books, "HF", "42501"):
        books.exec_driver_sql(act.format(table))


def test_a_step_is_not_changed(books: Connection) -> None:
    """Steps are append-only."""
    made(books)

    with refuses(books, "HF001", "42501"):
        books.exec_driver_sql("UPDATE reservation_step SET kind = kind")


@pytest.mark.parametrize(
    "spoilt",
    [
        {},
        {"kind": "voided", "returned_minor": 60, "remaining_minor": 0},
        {"kind": "posted", "posted_minor": 10, "remaining_minor": 50},
        {"kind": "posted", "posted_minor": 10, "remaining_minor": 50, "step_no": 3},
        {"reservation_id": UUID(int=9)},
    ],
)
def test_a_step_comes_with_its_reservation_only(books: Connection, spoilt: dict[str, Any]) -> None:
    """A step written by itself is refused: its reservation does not stand there."""
    which = made(books)
    step = step_of(books, which) | {"step_no": 2, "event_id": 1} | spoilt

    with refuses(books, "HF014", "23"):
        insert(books, "reservation_step", [step])


TOGETHER: Final = """
WITH s AS (
    INSERT INTO reservation_step (reservation_id, step_no, kind, posted_minor, returned_minor,
                                  remaining_minor, event_id)
    VALUES (:id, 2, :kind, :posted, :returned, :left, :event)
)
UPDATE reservation SET version = 2, remaining_minor = :left, posted_minor = :posted, state = :state,
    ended_at = CASE :state WHEN 'open' THEN NULL ELSE now() END
WHERE id = :id
"""
VOIDED: Final = {"kind": "voided", "state": "voided", "posted": 0, "returned": 60, "left": 0}


def moved_back(connection: Connection, amount: int) -> int:
    """The number of an event that takes so much from the twin to Ann."""
    (answer,) = post(connection, [move(amount, TWIN, ANN)])
    number = getattr(answer, "event_id", None)
    assert isinstance(number, int)
    return number


def test_step_and_reservation_and_event_together_are_taken(books: Connection) -> None:
    """What the tests below spoil is right before it is spoilt."""
    which = made(books)

    books.execute(text(TOGETHER), {"id": which, "event": moved_back(books, 60)} | VOIDED)

    check(books)


@pytest.mark.parametrize(
    ("moved", "spoilt"),
    [
        pytest.param(60, {"event": 5}, id="of an event that is not there"),
        pytest.param(59, {}, id="of an event that moved less"),
        pytest.param(60, {"kind": "expired"}, id="of another kind than the end"),
        pytest.param(60, {"kind": "posted", "posted": 60, "returned": 0}, id="posted, voided"),
        pytest.param(60, {"returned": 59}, id="that loses a cent"),
        pytest.param(60, {"returned": 61}, id="that finds a cent"),
        pytest.param(10, {"returned": 10, "left": 50, "state": "open"}, id="void in part"),
    ],
)
def test_a_step_says_what_happened(books: Connection, moved: int, spoilt: dict[str, Any]) -> None:
    """A step whose figures, kind or event differ from its reservation's is refused at once."""
    which = made(books)
    savepoint = books.begin_nested()
    number = moved_back(books, moved)

    with pytest.raises(DBAPIError) as refused:
        books.execute(text(TOGETHER), {"id": which, "event": number} | VOIDED | spoilt)

    savepoint.rollback()
    assert getattr(refused.value.orig, "sqlstate", "") in {"HF014", "23514"}


def test_an_event_is_one_step(books: Connection) -> None:
    """The event of one step does not serve as another's."""
    which = made(books)
    number = step_of(books, which)["event_id"]

    with refuses(books, "HF014", "23505"):
        books.execute(text(TOGETHER), {"id": which, "event": number} | VOIDED)


ADD: Final = """
WITH s AS (
    INSERT INTO reservation_step (reservation_id, step_no, kind, posted_minor, returned_minor,
                                  remaining_minor, event_id)
    VALUES (:id, 1, 'made', 0, 0, :amount_minor, :event)
)
INSERT INTO reservation (id, account_id, twin_id, amount_minor, remaining_minor, posted_minor,
                         state, version, reason, made_at)
VALUES (:id, :account_id, :twin_id, :amount_minor, :amount_minor, 0, 'open', 1, 'x', now())
"""


def swapped(row: dict[str, Any]) -> dict[str, Any]:
    return {"account_id": row["twin_id"], "twin_id": row["account_id"]}


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda _: {"event": 5}, id="without its event"),
        pytest.param(lambda _: {"amount_minor": 11}, id="of more than was moved"),
        pytest.param(swapped, id="the wrong way round"),
        pytest.param(lambda row: {"account_id": row["twin_id"]}, id="of a twin"),
        pytest.param(lambda row: {"twin_id": row["account_id"]}, id="without a twin"),
    ],
)
def test_a_reservation_is_added_with_its_money(
    books: Connection, spoil: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    """A new row is refused unless its event moved as much to the twin of its own account."""
    row = row_of(books, made(books))
    (answer,) = post(books, [move(10, ANN, TWIN)])
    good = {name: row[name] for name in ("account_id", "twin_id")}
    good |= {"id": new_id(), "amount_minor": 10, "event": getattr(answer, "event_id", 0)}

    savepoint = books.begin_nested()
    with pytest.raises(DBAPIError) as refused:
        books.execute(text(ADD), good | spoil(row))
    savepoint.rollback()

    assert getattr(refused.value.orig, "sqlstate", "") in {"HF014", "23514"}
    books.execute(text(ADD), good)
    check(books)


def test_a_balance_is_not_moved_by_hand(books: Connection) -> None:
    """An UPDATE of what is available, or of what is set aside, without lines is refused."""
    made(books)

    for key in (ANN, TWIN):
        with refuses(books, "HF009", "42501"):
            books.execute(
                text("UPDATE account SET balance_minor = balance_minor + 1 WHERE code = :code"),
                {"code": str(key)},
            )
