"""Reservations: what is set aside, posted in parts, voided, expired, and what is refused."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, text

from kernel import timers
from kernel.commands import Outcome
from kernel.ids import new_id
from kernel.principals import SYSTEM, Actor, PrincipalKind
from kernel.timers import GRACE
from ledger import holds, parties
from ledger.chart import account, reserved_twin
from ledger.commands import Reverse
from ledger.correction import reverse
from ledger.model import AccountKey, Book
from ledger.model_parties import HoldKind, PartyKind
from ledger.model_reservations import PostReserved, Reserve, Target, VoidReservation
from ledger.proof import prove
from ledger.reservations import expire_due, post_reserved, reserve, void
from ledger.service import balances, kind_balances, lock, post
from tests.ledger.drafts import bank, draft, entry, fund, move, wallet

ANN, BEN, CEM = wallet("ann"), wallet("ben"), wallet("cem")
AT: Final = datetime(2026, 3, 2, 12, tzinfo=UTC)
OPERATOR: Final = Actor(uuid4(), PrincipalKind.PERSON, is_operator=True)


def make(
    connection: Connection, amount: int, source: AccountKey = ANN, **given: Any
) -> tuple[UUID, Outcome]:
    """One reservation; its id, and what became of it."""
    named: dict[str, Any] = {"actor": OPERATOR, "reason": "a deposit"} | given
    command = Reserve(reservation_id=new_id(), account=source, amount_minor=amount, **named)
    (outcome,) = reserve(connection, [command], at=AT)
    return command.reservation_id, outcome


def pay(
    connection: Connection,
    which: UUID,
    *to: tuple[AccountKey, int],
    at: datetime = AT,
    **given: Any,
) -> Outcome:
    """Post out of a reservation."""
    targets = tuple(Target(key, amount) for key, amount in to)
    named: dict[str, Any] = {"actor": OPERATOR} | given
    command = PostReserved(reservation_id=which, targets=targets, **named)
    (outcome,) = post_reserved(connection, [command], at=at)
    return outcome


def give_back(connection: Connection, which: UUID, *, at: datetime = AT) -> Outcome:
    (outcome,) = void(connection, [VoidReservation(actor=OPERATOR, reservation_id=which)], at=at)
    return outcome


def due(connection: Connection, which: UUID) -> list[timers.DueTimer]:
    """The reservation's timer, as the scanner would hand it on."""
    found = timers.list_of(connection, [f"reservation:{which}"])
    return [timers.DueTimer(t.due_at, t.subject, t.kind, t.subject_version) for t in found]


def stands(connection: Connection, *keys: AccountKey) -> list[int]:
    """What lies on these accounts, as their owners see it: what we owe is above zero."""
    found = balances(connection, keys)
    return [-found[key] for key in keys]


def rest(outcome: Outcome) -> tuple[str, str, str]:
    """State, what remains, what was posted."""
    facts = outcome.facts
    return facts["state"], facts["remaining"]["amount"], facts["posted"]["amount"]


def check(connection: Connection) -> None:
    """The checks of a commit, and a full recount."""
    connection.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")
    connection.exec_driver_sql("SET CONSTRAINTS ALL DEFERRED")
    assert prove(connection).findings == ()


def test_money_set_aside_leaves_the_account_and_stays_in_its_kind(connection: Connection) -> None:
    """The account holds less, its twin holds it, and the kind as much as before."""
    post(connection, [fund(100, ANN)])

    _, outcome = make(connection, 60)

    assert rest(outcome) == ("open", "0.60", "0.00")
    assert stands(connection, ANN, reserved_twin(ANN)) == [40, 60]
    assert kind_balances(connection, "custody.wallet") == {"EUR": -100}
    check(connection)


def test_the_bound_of_the_account_counts_what_is_set_aside(connection: Connection) -> None:
    """What is reserved is spent by nobody else, and no more is reserved than is there."""
    post(connection, [fund(100, ANN)])
    make(connection, 60)

    (spent,) = post(connection, [move(41, ANN, BEN)])
    _, second = make(connection, 41)
    _, fits = make(connection, 40)

    assert getattr(spent, "code", "") == second.code == "ledger.insufficient_funds"
    assert fits.is_done
    assert stands(connection, ANN, reserved_twin(ANN)) == [0, 100]
    check(connection)


def test_it_is_posted_in_parts_until_nothing_remains(connection: Connection) -> None:
    """60 and 40 of 100 go out, to several accounts at once; one more is refused."""
    post(connection, [fund(100, ANN)])
    which, _ = make(connection, 100)

    first = pay(connection, which, (BEN, 50), (CEM, 10))
    too_much = pay(connection, which, (BEN, 41))
    second = pay(connection, which, (BEN, 40))
    third = pay(connection, which, (BEN, 1))

    assert rest(first) == ("open", "0.40", "0.60")
    assert too_much.code == "reservation.exceeds_remaining"
    assert rest(second) == ("posted", "0.00", "1.00")
    assert third.code == "reservation.already_posted"
    assert stands(connection, ANN, reserved_twin(ANN), BEN, CEM) == [0, 0, 90, 10]
    check(connection)


def test_the_last_posting_gives_the_rest_back(connection: Connection) -> None:
    """A posting said to be the last returns what remains in the same event."""
    post(connection, [fund(100, ANN)])
    which, _ = make(connection, 100)

    outcome = pay(connection, which, (BEN, 70), is_last=True)

    assert rest(outcome) == ("posted", "0.00", "0.70")
    assert outcome.facts["returned"]["amount"] == "0.30"
    assert stands(connection, ANN, BEN) == [30, 70]
    check(connection)


def test_a_void_gives_back_what_remains(connection: Connection) -> None:
    """After a part was posted, the void returns the other; then nothing more happens to it."""
    post(connection, [fund(100, ANN)])
    which, _ = make(connection, 100)
    pay(connection, which, (BEN, 30))

    outcome = give_back(connection, which)
    again = [give_back(connection, which).code, pay(connection, which, (BEN, 1)).code]

    assert rest(outcome) == ("voided", "0.00", "0.30")
    assert again == ["reservation.already_voided"] * 2
    assert stands(connection, ANN, reserved_twin(ANN), BEN) == [70, 0, 30]
    check(connection)


def test_a_reservation_expires(connection: Connection) -> None:
    """Its timer gives back what remains; nothing else does once its time is over."""
    post(connection, [fund(100, ANN)])
    which, _ = make(connection, 100, expires_at=AT + timedelta(days=7))
    pay(connection, which, (BEN, 30), at=AT + timedelta(days=6))
    late = AT + timedelta(days=7)

    refused = [pay(connection, which, (BEN, 1), at=late), give_back(connection, which, at=late)]
    (timer,) = due(connection, which)
    fired = expire_due(connection, [timer], late + GRACE)

    assert [outcome.code for outcome in refused] == ["reservation.already_expired"] * 2
    assert timer.due_at == late
    assert fired == 1
    assert pay(connection, which, (BEN, 1)).code == "reservation.already_expired"
    assert stands(connection, ANN, reserved_twin(ANN), BEN) == [70, 0, 30]
    assert due(connection, which) == []
    assert expire_due(connection, [timer], late + GRACE) == 0
    check(connection)


@pytest.mark.parametrize("end", ["post", "void"])
def test_what_has_ended_has_no_timer(connection: Connection, end: str) -> None:
    """A reservation posted to the last cent, or voided, leaves no timer behind."""
    post(connection, [fund(100, ANN)])
    which, _ = make(connection, 100, expires_at=AT + timedelta(days=7))
    assert len(due(connection, which)) == 1

    ended = pay(connection, which, (BEN, 100)) if end == "post" else give_back(connection, which)

    assert ended.is_done
    assert due(connection, which) == []
    check(connection)


def test_an_expiry_that_the_books_refuse_is_tried_again(connection: Connection) -> None:
    """Money of a frozen account stays where it is until a day later, and no neighbour waits."""
    post(connection, [fund(100, ANN), fund(100, BEN)])
    late = AT + timedelta(days=1)
    frozen, _ = make(connection, 100, expires_at=late)
    other, _ = make(connection, 100, BEN, expires_at=late)
    lock(connection, [ANN])
    connection.exec_driver_sql("UPDATE account SET state = 'frozen' WHERE code = %s", (str(ANN),))

    fired = expire_due(connection, [*due(connection, frozen), *due(connection, other)], late)

    assert fired == 2
    assert stands(connection, reserved_twin(ANN), reserved_twin(BEN), BEN) == [100, 0, 100]
    assert [each.due_at for each in due(connection, frozen)] == [late + timedelta(days=1)]
    check(connection)


PARTY: Final = Actor(uuid4(), PrincipalKind.KEY, party_id=uuid4())
SLOT: Final = account("custody.escrow", "EUR", "slot-1")


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"actor": PARTY}, "reservation.operator_only"),
        ({"source": bank()}, "reservation.not_reservable"),
        ({"source": SLOT}, "reservation.not_reservable"),
        ({"source": reserved_twin(ANN)}, "reservation.not_reservable"),
        ({"source": account("custody.due_to_platform", "EUR")}, "reservation.not_reservable"),
        ({"source": AccountKey("custody.purse", "ann", "EUR")}, "ledger.unknown_account_kind"),
        ({"source": AccountKey("custody.wallet", "", "EUR")}, "ledger.unknown_account_kind"),
        (
            {"source": AccountKey("custody.wallet", "reserved", "EUR")},
            "ledger.unknown_account_kind",
        ),
        ({"amount": 0}, "money.not_positive"),
        ({"amount": -5}, "money.not_positive"),
        ({"amount": 2**62}, "ledger.insufficient_funds"),
        ({"amount": 101}, "ledger.insufficient_funds"),
        ({"source": wallet("ann", "ZZZ")}, "money.unknown_currency"),
        ({"reason": " "}, "reservation.reason_missing"),
        ({"expires_at": AT}, "reservation.bad_expiry"),
        ({"expires_at": datetime(2200, 1, 1, tzinfo=UTC)}, "reservation.bad_expiry"),
    ],
)
def test_what_is_not_set_aside(connection: Connection, given: dict[str, Any], code: str) -> None:
    """Each wrong reservation is refused by its code, and nothing is written."""
    post(connection, [fund(100, ANN), fund(100, SLOT)])
    before = counts(connection)

    _, outcome = make(connection, **({"amount": 10} | given))

    assert outcome.code == code
    assert counts(connection) == before
    check(connection)


@pytest.mark.parametrize(
    ("to", "given", "code"),
    [
        ([(BEN, 10)], {"actor": PARTY}, "reservation.operator_only"),
        ([], {}, "reservation.bad_target"),
        ([(BEN, 1)] * 101, {}, "reservation.bad_target"),
        ([(BEN, 0)], {}, "money.not_positive"),
        ([(BEN, 20), (CEM, -10)], {}, "money.not_positive"),
        ([(wallet("ben", "USD"), 10)], {}, "reservation.bad_target"),
        ([(account("platform.bank", "EUR"), 10)], {}, "reservation.bad_target"),
        ([(account("custody.due_to_platform", "EUR"), 10)], {}, "reservation.bad_target"),
        ([(ANN, 10)], {}, "reservation.bad_target"),
        ([(reserved_twin(BEN), 10)], {}, "reservation.bad_target"),
        ([(SLOT, 10)], {}, "reservation.bad_target"),
        ([(bank(), 10)], {}, "reservation.bad_target"),
        ([(AccountKey("custody.purse", "ben", "EUR"), 10)], {}, "ledger.unknown_account_kind"),
        ([(BEN, 60), (CEM, 41)], {}, "reservation.exceeds_remaining"),
        ([(BEN, 2**70)], {}, "reservation.exceeds_remaining"),
    ],
)
def test_what_is_not_posted(
    connection: Connection, to: list[tuple[AccountKey, int]], given: dict[str, Any], code: str
) -> None:
    """Each wrong posting is refused by its code, and nothing is written."""
    post(connection, [fund(100, ANN)])
    which, _ = make(connection, 100)
    before = counts(connection)

    outcome = pay(connection, which, *to, **given)

    assert outcome.code == code
    assert counts(connection) == before
    check(connection)


def test_the_engine_itself_may_set_aside_what_a_machine_counts(connection: Connection) -> None:
    """Any account with a bound is reserved from, in both books, if the engine does it."""
    fees = account("platform.deferred_fees", "EUR")
    capital = (account("platform.bank", "EUR"), 100), (fees, -100)
    post(connection, [fund(100, SLOT), draft(entry(*capital, book=Book.PLATFORM))])
    which, outcome = make(connection, 60, SLOT, actor=SYSTEM)
    _, platform = make(connection, 60, fees, actor=SYSTEM)

    posted = pay(connection, which, (bank(), 60), actor=SYSTEM)

    assert outcome.is_done
    assert platform.is_done
    assert posted.is_done
    assert stands(connection, SLOT, fees, reserved_twin(fees)) == [40, 40, 60]
    check(connection)


def test_an_unknown_reservation_is_refused(connection: Connection) -> None:
    """What is not there is neither posted nor voided."""
    outcomes = [pay(connection, new_id(), (BEN, 1)), give_back(connection, new_id())]

    assert [outcome.code for outcome in outcomes] == ["reservation.unknown"] * 2


def test_an_id_is_used_once(connection: Connection) -> None:
    """A second reservation of one id is refused, in the same list and in a later one."""
    post(connection, [fund(100, ANN)])
    command = Reserve(
        actor=OPERATOR, reservation_id=new_id(), account=ANN, amount_minor=10, reason="x"
    )

    same_list = reserve(connection, [command, command], at=AT)
    later = reserve(connection, [command], at=AT)

    assert [each.code for each in same_list] == ["done", "reservation.exists"]
    assert later[0].code == "reservation.exists"
    assert stands(connection, ANN) == [90]
    check(connection)


@pytest.mark.parametrize("act", ["post", "void"])
def test_one_list_names_a_reservation_once(connection: Connection, act: str) -> None:
    """Of two commands on one reservation in a list the second is refused; its neighbours go on."""
    post(connection, [fund(100, ANN), fund(100, BEN)])
    which, _ = make(connection, 100)
    other, _ = make(connection, 100, BEN)

    outcomes = TWICE[act](connection, [which, which, other])

    assert [each.code for each in outcomes] == ["done", "reservation.named_twice", "done"]
    check(connection)


def _post_all(connection: Connection, ids: Sequence[UUID]) -> list[Outcome]:
    to = (Target(CEM, 10),)
    commands = [PostReserved(actor=OPERATOR, reservation_id=each, targets=to) for each in ids]
    return post_reserved(connection, commands, at=AT)


def _void_all(connection: Connection, ids: Sequence[UUID]) -> list[Outcome]:
    commands = [VoidReservation(actor=OPERATOR, reservation_id=each) for each in ids]
    return void(connection, commands, at=AT)


TWICE: Final[dict[str, Callable[[Connection, Sequence[UUID]], list[Outcome]]]] = {
    "post": _post_all,
    "void": _void_all,
}


def test_a_hold_on_the_party_stops_the_posting_and_not_the_void(connection: Connection) -> None:
    """Money of a held party goes nowhere, also if it was set aside before; it may go back."""
    payer = new_id()
    command = parties.CreateParty(actor=OPERATOR, kind=PartyKind.CLIENT, party_id=payer)
    parties.create(connection, [command], at=AT)
    purse = wallet(str(payer))
    post(connection, [fund(100, purse)])
    which, _ = make(connection, 100, purse)
    hold = holds.PlaceHold(
        actor=OPERATOR, subject=f"party:{payer}", kind=HoldKind.COMPLIANCE, reason="asked"
    )
    holds.place(connection, [hold], at=AT)

    outcome = pay(connection, which, (BEN, 10))

    assert outcome.code == "reservation.held"
    assert outcome.facts["holds"] == ["compliance"]
    assert give_back(connection, which).is_done
    check(connection)


def test_a_reservation_is_not_reversed(connection: Connection) -> None:
    """What touched money set aside is voided or posted anew; a reversal would pass the row by."""
    post(connection, [fund(100, ANN)])
    _, outcome = make(connection, 100)
    number = int(outcome.facts["event_id"])

    (refused,) = reverse(
        connection, [Reverse(actor=OPERATOR, event_id=number, reason="wrong")], at=AT
    )

    assert refused.code == "ledger.reversal_of_reservation"


def test_every_step_is_an_event_of_the_reservation(connection: Connection) -> None:
    """The log tells who did what to it, why, and what remained."""
    post(connection, [fund(100, ANN)])
    which, _ = make(connection, 100)
    pay(connection, which, (BEN, 30), reason="first part")
    give_back(connection, which)

    rows = connection.execute(
        text("SELECT kind, reason FROM event WHERE subject = :subject ORDER BY id"),
        {"subject": f"reservation:{which}"},
    ).all()

    assert rows == [
        ("reservation.made", "a deposit"),
        ("reservation.posted", "first part"),
        ("reservation.voided", ""),
    ]


def test_the_log_alone_tells_how_a_reservation_stands(connection: Connection) -> None:
    """Amount, account, what remains, and until when: no fact is in the row only."""
    post(connection, [fund(100, ANN)])
    until = AT + timedelta(days=7)
    _, outcome = make(connection, 60, expires_at=until)

    detail = connection.execute(
        text("SELECT detail::jsonb FROM event WHERE id = :id"),
        {"id": int(outcome.facts["event_id"])},
    ).scalar_one()

    assert detail == {
        "account": str(ANN),
        "posted_minor": 0,
        "returned_minor": 0,
        "remaining_minor": 60,
        "expires_at": until.isoformat(),
    }


def counts(connection: Connection) -> list[int]:
    """How much is written."""
    tables = ("event", "line", "reservation", "reservation_step", "timer")
    return [
        int(connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one())
        for table in tables
    ]
