"""Payouts on a real database: requested, submitted, cancelled, paid, failed, refused."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from kernel.commands import Outcome
from kernel.database import Tenant, transaction
from kernel.errors import Broken
from kernel.ids import new_id
from kernel.principals import SYSTEM, Actor
from ledger import holds, parties
from ledger.proof import prove
from payouts import methods, service, store
from payouts.commands import AddMethod, Resume, SetFee
from payouts.model import MethodState, PayoutState
from rails import service as rails
from rails.model import OperationKind, RailOperation, RailOutcome, RailResult
from tests.payouts.builders import (
    DAY,
    NOON,
    OPERATOR,
    asked,
    available,
    balance,
    get_payout,
    give,
    new_method,
    new_payee,
    payee_actor,
    set_fee,
    submitting,
)


@pytest.fixture
def payee_id(connection: Connection) -> Iterator[UUID]:
    """A verified payee with 600.00 EUR available, at 2.00 a payout; the books are proved after."""
    payee_id = new_payee(connection)
    give(connection, payee_id, 60_000)
    set_fee(connection, 200)
    yield payee_id
    assert not prove(connection).findings


@pytest.fixture
def method_id(connection: Connection, payee_id: UUID) -> UUID:
    """His payout method."""
    return new_method(connection, payee_id)


def test_a_payout_from_request_to_paid(
    connection: Connection, payee_id: UUID, method_id: UUID
) -> None:
    """Requested: money aside, fee earned. Submitted: one operation. Paid: it has left the bank."""
    wish = asked(payee_id, method_id)

    (outcome,) = service.request(connection, [wish], at=NOON)
    assert outcome.facts["net"] == {"amount": "498.00", "currency": "EUR"}
    assert available(connection, payee_id) == 10_000
    assert balance(connection, "platform.revenue.payout_fee") == -200

    assert service.submit_due(connection, at=NOON)[0].is_done
    (operation,) = rails.take(connection, 9, NOON)
    sent = (operation.id, operation.amount_minor, operation.method)
    assert sent == (wish.payout_id, 49_800, "payout")

    _hear(connection, operation, RailOutcome.DONE)
    paid = get_payout(connection, wish.payout_id)
    assert (paid.state, paid.version, paid.paid_at) == (PayoutState.PAID, 3, NOON)
    assert balance(connection, "custody.bank") == 60_000 - 49_800


def test_no_more_than_is_available_is_paid_out(
    connection: Connection, payee_id: UUID, method_id: UUID
) -> None:
    """The books refuse by their bound; in one batch the first wish counts, the next is refused."""
    first, second = asked(payee_id, method_id), asked(payee_id, method_id, 10_001)

    codes = _codes(service.request(connection, [first, second], at=NOON))

    assert codes == ["done", "ledger.insufficient_funds"]
    assert available(connection, payee_id) == 10_000
    assert store.find_payouts(connection, [second.payout_id]) == {}


@pytest.mark.parametrize(
    ("amount_minor", "currency", "code"),
    [
        (0, "EUR", "money.not_positive"),
        (-1, "EUR", "money.not_positive"),
        (10**15 + 1, "EUR", "money.too_large"),
        (100, "XXX", "money.unknown_currency"),
        (200, "EUR", "payouts.nothing_left"),
        (100, "USD", "ledger.insufficient_funds"),
    ],
)
def test_bad_amounts_are_refused_and_nothing_is_written(
    connection: Connection,
    payee_id: UUID,
    method_id: UUID,
    amount_minor: int,
    currency: str,
    code: str,
) -> None:
    """Zero, negative, too large, unknown currency, less than the fee: a code each, no trace."""
    wish = asked(payee_id, method_id, amount_minor, currency=currency)

    before = _rows(connection)
    codes = _codes(service.request(connection, [wish], at=NOON))

    assert codes == [code]
    assert _rows(connection) == before


def test_a_payee_who_is_not_clear_is_refused(connection: Connection) -> None:
    """KYC, sanctions, hold, pause, unknown: each is refused by name, and nothing is written."""
    unverified = new_payee(connection, kyc=parties.KycState.PENDING)
    sanctioned, held = new_payee(connection), new_payee(connection)
    wishes = []
    for payee_id in (unverified, sanctioned, held):
        give(connection, payee_id, 60_000)
        wishes.append(asked(payee_id, new_method(connection, payee_id)))
    hit = parties.ChangeParty(
        actor=OPERATOR, party_id=sanctioned, sanction_state=parties.SanctionState.HIT
    )
    parties.change(connection, [hit], at=NOON)
    _hold(connection, held)
    stranger = asked(new_id(), new_id(), actor=OPERATOR)

    before = _rows(connection)
    codes = _codes(service.request(connection, [*wishes, stranger], at=NOON))

    assert codes == [
        "payouts.not_verified",
        "payouts.sanctions_hit",
        "payouts.on_hold",
        "payouts.unknown_payee",
    ]
    assert _rows(connection) == before


def test_a_hold_placed_after_the_request_stops_the_submission(
    connection: Connection, payee_id: UUID, method_id: UUID
) -> None:
    """The guards stand at both ends: what was requested is not sent while a hold is open."""
    wish = asked(payee_id, method_id)
    service.request(connection, [wish], at=NOON)
    _hold(connection, payee_id)

    codes = _codes(service.submit_due(connection, at=NOON))

    assert codes == ["payouts.on_hold"]
    assert get_payout(connection, wish.payout_id).state is PayoutState.REQUESTED
    assert rails.take(connection, 9, NOON) == []


def test_others_can_neither_request_nor_cancel(
    connection: Connection, payee_id: UUID, method_id: UUID
) -> None:
    """Another party, and the engine where the table does not name it, are refused."""
    stranger = payee_actor(new_id())
    wish = asked(payee_id, method_id)
    service.request(connection, [wish], at=NOON)

    asked_by_stranger = service.request(
        connection, [asked(payee_id, method_id, actor=stranger)], at=NOON
    )
    by_stranger = service.cancel(connection, [submitting(wish.payout_id, actor=stranger)], at=NOON)
    by_system = service.cancel(connection, [submitting(wish.payout_id)], at=NOON)
    by_payee = service.submit(
        connection, [submitting(wish.payout_id, actor=payee_actor(payee_id))], at=NOON
    )

    assert (
        _codes([*asked_by_stranger, *by_stranger, *by_system, *by_payee])
        == ["payouts.not_yours"] * 4
    )


def test_a_cancelled_payout_gives_all_back(
    connection: Connection, payee_id: UUID, method_id: UUID
) -> None:
    """Before it is submitted the payee may cancel: money and fee return (P39), for good."""
    wish = asked(payee_id, method_id)
    service.request(connection, [wish], at=NOON)
    mine = submitting(wish.payout_id, actor=payee_actor(payee_id))

    first = service.cancel(connection, [mine], at=NOON)
    again = service.cancel(connection, [mine], at=NOON)

    assert _codes([*first, *again]) == ["done", "payouts.wrong_state"]
    assert available(connection, payee_id) == 60_000
    assert balance(connection, "platform.revenue.payout_fee") == 0


def test_a_submitted_payout_is_not_cancelled(
    connection: Connection, payee_id: UUID, method_id: UUID
) -> None:
    """Once the rail may have the money on its way, only the rail moves the payout."""
    wish = asked(payee_id, method_id)
    service.request(connection, [wish], at=NOON)
    service.submit_due(connection, at=NOON)

    cancelled = service.cancel(
        connection, [submitting(wish.payout_id, actor=payee_actor(payee_id))], at=NOON
    )

    assert _codes(cancelled) == ["payouts.wrong_state"]


def test_one_list_names_a_payout_once(
    connection: Connection, payee_id: UUID, method_id: UUID
) -> None:
    """Twins in one list are both refused; an id used before is refused too."""
    wish = asked(payee_id, method_id, 1_000)
    twins = service.request(connection, [wish, wish], at=NOON)
    once = service.request(connection, [wish], at=NOON)
    again = service.request(connection, [wish], at=NOON)

    assert _codes([*twins, *once, *again]) == [
        "payouts.subject_twice",
        "payouts.subject_twice",
        "done",
        "payouts.exists",
    ]


def test_an_unknown_payout_is_refused(connection: Connection) -> None:
    """A payout that is not there can be neither submitted nor cancelled."""
    command = submitting(new_id())

    codes = _codes(service.submit(connection, [command], at=NOON))

    assert codes == ["payouts.unknown_payout"]


def test_the_bank_is_not_promised_twice(connection: Connection) -> None:
    """What is on its way counts as gone: the payout that the bank cannot cover waits."""
    one, other = new_payee(connection), new_payee(connection)
    for payee_id in (one, other):
        give(connection, payee_id, 60_000)
        wish = asked(payee_id, new_method(connection, payee_id), 60_000)
        assert service.request(connection, [wish], at=NOON)[0].is_done
    way = {"source": "custody_bank", "target": "processor_available", "rail_account": "simulated"}
    moving = RailOperation(
        id=new_id(),
        kind=OperationKind.BANK_TRANSFER,
        handler="payouts.settlement",
        subject="settlement:x",
        amount_minor=1,
        currency="EUR",
        method="transfer",
        facts=way,
    )
    rails.intend(connection, [moving], at=NOON)

    codes = _codes(service.submit_due(connection, at=NOON))
    later = _codes(service.submit_due(connection, at=NOON + DAY))

    assert codes == ["done", "payouts.bank_short"]
    assert later == ["payouts.bank_short"]


def test_e11_a_payout_that_fails_after_the_debit_gives_all_back(
    connection: Connection, payee_id: UUID, method_id: UUID
) -> None:
    """Edge case 11: money and fee are back in one event, the method is disabled, payouts pause."""
    operation = _submitted(connection, payee_id, method_id)

    _hear(connection, operation, RailOutcome.REFUSED, code="payout.failed")

    failed = get_payout(connection, operation.id)
    assert (failed.state, failed.code, failed.paid_at) == (
        PayoutState.FAILED,
        "payout.failed",
        None,
    )
    assert available(connection, payee_id) == 60_000
    assert balance(connection, "platform.revenue.payout_fee") == 0
    assert store.find_methods(connection, [method_id])[method_id].state is MethodState.DISABLED
    assert store.list_pauses(connection, [payee_id]) == {payee_id: "payout.failed"}
    assert _codes(service.request(connection, [asked(payee_id, method_id)], at=NOON)) == [
        "payouts.paused"
    ]
    assert _events(connection, failed.subject) == [
        "payout.requested",
        "payout.submitted",
        "payout.failed",
    ]


def test_e11_a_payout_that_comes_back_from_the_bank_gives_all_back(
    connection: Connection, payee_id: UUID, method_id: UUID
) -> None:
    """Edge case 11, the bank had paid already: the charge is the platform's (P40, then P39)."""
    operation = _submitted(connection, payee_id, method_id)
    _hear(connection, operation, RailOutcome.DONE)

    _hear(connection, operation, RailOutcome.REFUSED, code="payout.returned", fee_minor=500)

    back = get_payout(connection, operation.id)
    assert (back.state, back.charge_minor) == (PayoutState.RETURNED, 500)
    assert available(connection, payee_id) == 60_000
    assert balance(connection, "custody.bank") == 60_000 - 500
    assert balance(connection, "platform.expense.payout") == 500
    assert balance(connection, "platform.due_to_custody") == -700


def test_e3_a_return_that_is_heard_without_the_payment_books_both(
    connection: Connection, payee_id: UUID, method_id: UUID
) -> None:
    """Returned before paid was heard: out of the bank and back, in one event, to the cent."""
    operation = _submitted(connection, payee_id, method_id)

    _hear(connection, operation, RailOutcome.REFUSED, code="payout.returned", fee_minor=500)

    back = get_payout(connection, operation.id)
    assert (back.state, back.paid_at) == (PayoutState.RETURNED, NOON)
    assert balance(connection, "custody.bank") == 60_000 - 500
    assert available(connection, payee_id) == 60_000


def test_an_empty_bank_gives_the_money_back_and_blames_nobody(
    connection: Connection, payee_id: UUID, method_id: UUID
) -> None:
    """Refused because our bank was short: the payee has his money and his method as before."""
    operation = _submitted(connection, payee_id, method_id)

    _hear(connection, operation, RailOutcome.REFUSED, code="rail.insufficient_funds")

    assert available(connection, payee_id) == 60_000
    assert store.list_pauses(connection, [payee_id]) == {}
    assert _codes(service.request(connection, [asked(payee_id, method_id)], at=NOON)) == ["done"]


def test_pending_and_unknown_change_nothing(
    connection: Connection, payee_id: UUID, method_id: UUID
) -> None:
    """A rail that has not decided moves no payout."""
    operation = _submitted(connection, payee_id, method_id)

    _hear(connection, operation, RailOutcome.PENDING)
    _hear(connection, operation, RailOutcome.UNKNOWN)

    assert get_payout(connection, operation.id).state is PayoutState.SUBMITTED


def test_a_rail_cannot_pay_what_was_never_sent(
    connection: Connection, payee_id: UUID, method_id: UUID
) -> None:
    """A word about a payout that is unknown, or only requested, is Broken: someone must look."""
    operation = _submitted(connection, payee_id, method_id, and_submit=False)

    with pytest.raises(Broken):
        _hear(connection, operation, RailOutcome.DONE)
    with pytest.raises(Broken):
        _hear(connection, replace(operation, id=new_id()), RailOutcome.DONE)


def test_a_payout_is_saved_from_the_state_that_was_seen(
    connection: Connection, payee_id: UUID, method_id: UUID
) -> None:
    """A save that names another state or version than the row has is Broken, and saves nothing."""
    operation = _submitted(connection, payee_id, method_id)
    seen = get_payout(connection, operation.id)
    paid = replace(seen, state=PayoutState.PAID, version=seen.version + 1, paid_at=NOON)

    for stale, before in (
        (paid, PayoutState.REQUESTED),
        (replace(paid, version=seen.version + 2), PayoutState.SUBMITTED),
    ):
        with pytest.raises(Broken):
            store.save_payouts(connection, [(stale, before)])

    assert get_payout(connection, operation.id) == seen


def test_an_operator_lets_paused_payouts_go_on(
    connection: Connection, payee_id: UUID, method_id: UUID
) -> None:
    """Nobody else resumes; with a new method the next payout goes."""
    operation = _submitted(connection, payee_id, method_id)
    _hear(connection, operation, RailOutcome.REFUSED, code="payout.failed")

    mine = methods.resume(
        connection, [Resume(actor=payee_actor(payee_id), party_id=payee_id)], at=NOON
    )
    operators = Resume(actor=OPERATOR, party_id=payee_id, reason="new bank")
    first = methods.resume(connection, [operators], at=NOON)
    again = methods.resume(connection, [operators], at=NOON)
    wish = asked(payee_id, new_method(connection, payee_id, "payout:new"))

    assert _codes([*mine, *first, *again]) == [
        "payouts.operator_only",
        "done",
        "payouts.not_paused",
    ]
    assert _codes(service.request(connection, [wish], at=NOON)) == ["done"]


def test_methods_are_named_by_their_owner(connection: Connection, payee_id: UUID) -> None:
    """A token once while it is active, visible ASCII, by the payee or an operator."""
    mine, other = payee_actor(payee_id), payee_actor(new_id())

    def add(token: str, actor: Actor = mine, party_id: UUID = payee_id) -> str:
        command = AddMethod(actor=actor, method_id=new_id(), party_id=party_id, token=token)
        return methods.add_methods(connection, [command], at=NOON)[0].code

    assert add("payout:a") == "done"
    assert add("payout:a") == "payouts.method_exists"
    assert add("payout b") == "payouts.bad_method"
    assert add("payout:c", actor=other) == "payouts.not_yours"
    assert add("payout:c", actor=OPERATOR, party_id=new_id()) == "payouts.unknown_payee"


def test_the_fee_is_that_of_the_day(
    connection: Connection, payee_id: UUID, method_id: UUID
) -> None:
    """A fee counts from its time on, and what a time costs is said once."""
    later = SetFee(actor=SYSTEM, currency="EUR", fee_minor=300, valid_from=NOON + DAY)

    first = methods.set_fees(connection, [later], at=NOON)
    again = methods.set_fees(connection, [replace(later, fee_minor=0)], at=NOON)
    today = service.request(connection, [asked(payee_id, method_id, 1_000)], at=NOON)
    tomorrow = service.request(connection, [asked(payee_id, method_id, 1_000)], at=NOON + DAY)

    assert _codes([*first, *again]) == ["done", "payouts.bad_fee"]
    assert [o.facts["fee"]["amount"] for o in (*today, *tomorrow)] == ["2.00", "3.00"]


@pytest.mark.parametrize(("currency", "net"), [("JPY", "1001"), ("KWD", "1.001")])
def test_e19_e20_currencies_have_their_own_decimals(
    connection: Connection, currency: str, net: str
) -> None:
    """Edge cases 19 and 20: 1,001 minor units are 1001 yen and 1.001 dinar, to the unit."""
    payee_id = new_payee(connection)
    give(connection, payee_id, 1_001, currency)
    wish = asked(payee_id, new_method(connection, payee_id), 1_001, currency=currency)

    (outcome,) = service.request(connection, [wish], at=NOON)

    assert outcome.facts["net"] == {"amount": net, "currency": currency}


def test_two_requests_at_once_share_one_balance(own_engine: Engine, tenant: Tenant) -> None:
    """600.00 available, two people ask for 500.00 at once: one is paid, one is refused."""
    with transaction(own_engine, tenant) as connection:
        payee_id = new_payee(connection)
        method_id = new_method(connection, payee_id)
        give(connection, payee_id, 60_000)

    def one() -> list[Outcome]:
        with transaction(own_engine, tenant) as connection:
            return service.request(connection, [asked(payee_id, method_id)], at=NOON)

    with ThreadPoolExecutor(2) as pool:
        racers = [pool.submit(one) for _ in range(2)]

    codes = sorted(code for racer in racers for code in _codes(racer.result()))
    assert codes == ["done", "ledger.insufficient_funds"]


def test_two_submissions_at_once_send_once(own_engine: Engine, tenant: Tenant) -> None:
    """Two workers submit the same payout: one operation is written, the other is refused."""
    with transaction(own_engine, tenant) as connection:
        payee_id = new_payee(connection)
        give(connection, payee_id, 60_000)
        wish = asked(payee_id, new_method(connection, payee_id))
        service.request(connection, [wish], at=NOON)

    def one() -> list[Outcome]:
        with transaction(own_engine, tenant) as connection:
            return service.submit(connection, [submitting(wish.payout_id)], at=NOON)

    with ThreadPoolExecutor(2) as pool:
        racers = [pool.submit(one) for _ in range(2)]

    codes = sorted(code for racer in racers for code in _codes(racer.result()))
    with transaction(own_engine, tenant) as connection:
        sent = rails.take(connection, 9, NOON)
    assert codes == ["done", "payouts.wrong_state"]
    assert [operation.id for operation in sent] == [wish.payout_id]


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ("state = 'paid', paid_at = now(), version = 2", "may not move"),
        ("state = 'cancelled', version = 2", "ended_has_a_time"),
        ("state = 'submitted', version = 2", "submitted_has_a_time"),
        ("code = 'x'", "may not move"),
        ("charge_minor = 1, version = 2", "only_a_return_is_charged"),
        ("amount_minor = 1", "permission denied"),
        ("payee_id = method_id", "permission denied"),
    ],
)
def test_the_database_holds_the_rules_of_a_payout(
    connection: Connection, payee_id: UUID, method_id: UUID, change: str, rule: str
) -> None:
    """States, versions, times and charges are checked by name; what was asked for never changes."""
    service.request(connection, [asked(payee_id, method_id)], at=NOON)

    with pytest.raises(DBAPIError, match=rule), connection.begin_nested():
        connection.exec_driver_sql(f"UPDATE payout SET {change}")


def test_a_payout_goes_to_the_payees_own_method_in_the_database_too(
    connection: Connection, payee_id: UUID
) -> None:
    """A payout row with another party's method is refused by its foreign key."""
    others = new_method(connection, new_payee(connection))
    wish = asked(payee_id, others)

    assert _codes(service.request(connection, [wish], at=NOON)) == ["payouts.unknown_method"]
    with pytest.raises(DBAPIError, match="own_method"), connection.begin_nested():
        connection.exec_driver_sql(
            "INSERT INTO payout (id, payee_id, method_id, amount_minor, fee_minor, currency,"
            " state, version, rail_ref, code, charge_minor, requested_at)"
            " VALUES (%s, %s, %s, 1, 0, 'EUR', 'requested', 1, '', '', 0, now())",
            (wish.payout_id, payee_id, others),
        )


def _submitted(
    connection: Connection, payee_id: UUID, method_id: UUID, *, and_submit: bool = True
) -> RailOperation:
    wish = asked(payee_id, method_id)
    assert service.request(connection, [wish], at=NOON)[0].is_done
    if and_submit:
        assert service.submit(connection, [submitting(wish.payout_id)], at=NOON)[0].is_done
    return RailOperation(
        id=wish.payout_id,
        kind=OperationKind.PAYOUT,
        handler=service.HANDLER,
        subject=f"payout:{wish.payout_id}",
        amount_minor=49_800,
        currency="EUR",
        method="payout",
    )


def _hear(
    connection: Connection,
    operation: RailOperation,
    outcome: RailOutcome,
    *,
    code: str = "",
    fee_minor: int = 0,
) -> None:
    result = RailResult(
        operation_id=operation.id,
        kind=operation.kind,
        subject=operation.subject,
        outcome=outcome,
        amount_minor=operation.amount_minor,
        currency=operation.currency,
        fee_minor=fee_minor,
        code=code,
        occurred_at=NOON - timedelta(minutes=1),
    )
    service.hear(connection, [result], NOON)


def _hold(connection: Connection, payee_id: UUID) -> None:
    place = holds.PlaceHold(
        actor=OPERATOR,
        subject=f"party:{payee_id}",
        kind=holds.HoldKind.COMPLIANCE,
        reason="papers missing",
    )
    assert holds.place(connection, [place], at=NOON)[0].is_done


def _codes(outcomes: list[Outcome]) -> list[str]:
    return [outcome.code for outcome in outcomes]


def _events(connection: Connection, subject: str) -> list[str]:
    rows = connection.exec_driver_sql(
        "SELECT kind FROM event WHERE subject = %s ORDER BY recorded_at, id", (subject,)
    )
    return [row.kind for row in rows]


def _rows(connection: Connection) -> tuple[int, ...]:
    """How much there is of all that a payout could write."""
    row = connection.exec_driver_sql(
        "SELECT (SELECT count(*) FROM payout), (SELECT count(*) FROM event),"
        " (SELECT count(*) FROM line), (SELECT count(*) FROM rail_operation)"
    ).one()
    return tuple(row)
