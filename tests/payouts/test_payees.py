"""Payees' accounts at rails: opened, linked, followed by the rail's own time, and held."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import permutations
from threading import Barrier
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from kernel.database import Tenant, transaction
from kernel.errors import Broken
from kernel.ids import new_id
from kernel.principals import SYSTEM
from ledger import holds
from ledger.proof import prove
from payouts import service, service_payees, service_policy, store, store_payees
from payouts.commands import AddMethod, OpenPayeeAccount, PreparePolicy
from payouts.methods import add_methods
from payouts.model import MethodState
from payouts.model_payees import AccountState, PayeeAccount, word_of
from rails import service as rails
from rails.model import Notice, OperationKind, RailOutcome
from tests.payouts.builders import NOON, OPERATOR, asked, new_payee, payee_actor
from tests.payouts.builders_chain import (
    STRIPE,
    chain_of,
    open_account,
    result_of,
    submit,
    word,
)

MINUTE = timedelta(minutes=1)


def test_an_account_is_asked_of_the_rail_and_takes_its_name(connection: Connection) -> None:
    """One operation without money, whose key is the account's id; the rail's answer names it."""
    payee_id = new_payee(connection)
    wish = opening(payee_id)

    (outcome,) = service_payees.open_accounts(connection, [wish], at=NOON)

    assert outcome.facts["state"] == "opening"
    (operation,) = rails.list_operations(connection, [wish.account_id])
    assert (operation.kind, operation.rail, operation.amount_minor) == (
        OperationKind.PAYEE,
        STRIPE,
        0,
    )
    done = result_of(operation, RailOutcome.DONE, rail_ref="acct_9")
    service_payees.hear_opened(connection, [done], NOON)
    service_payees.hear_opened(connection, [done], NOON)
    account = find(connection, wish.account_id)
    assert (account.state, account.rail_account) == (AccountState.OPEN, "stripe:acct_9")
    assert not account.may_be_paid_out
    assert [each.id for each in store_payees.list_unread(connection, STRIPE, limit=9)] == [
        wish.account_id
    ]


def test_what_is_not_offered_or_there_already_is_refused(connection: Connection) -> None:
    """Rails without payees' accounts, strangers, a second account; nothing is written."""
    payee_id = new_payee(connection)
    service_payees.open_accounts(connection, [opening(payee_id)], at=NOON)
    other = new_payee(connection)

    for wish, code in (
        (opening(payee_id), "payouts.payee_account_exists"),
        (opening(payee_id, replaces=True), "payouts.payee_account_exists"),
        (opening(other, rail="paypal"), "rail.not_offered"),
        (opening(other, rail="no_such_rail"), "rail.unknown"),
        (opening(new_id()), "payouts.unknown_payee"),
    ):
        assert service_payees.open_accounts(connection, [wish], at=NOON)[0].code == code
        assert store_payees.find_accounts(connection, [wish.account_id]) == {}
    theirs = OpenPayeeAccount(
        actor=payee_actor(payee_id), account_id=new_id(), party_id=other, rail=STRIPE
    )
    (outcome,) = service_payees.open_accounts(connection, [theirs], at=NOON)
    assert outcome.code == "payouts.not_yours"


def test_a_refused_account_leaves_room_for_another(connection: Connection) -> None:
    """The rail would not open it: its code is kept, and the payee may try again."""
    payee_id = new_payee(connection)
    wish = opening(payee_id)
    service_payees.open_accounts(connection, [wish], at=NOON)
    (operation,) = rails.list_operations(connection, [wish.account_id])

    no = result_of(operation, RailOutcome.REFUSED, code="country_unsupported")
    service_payees.hear_opened(connection, [no], NOON)

    account = find(connection, wish.account_id)
    assert (account.state, account.code) == (AccountState.REFUSED, "country_unsupported")
    assert service_payees.open_accounts(connection, [opening(payee_id)], at=NOON)[0].is_done


@pytest.mark.parametrize("batch", [1, 2, 3])
@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_events_in_any_order_end_the_same(
    connection: Connection, order: tuple[int, ...], batch: int
) -> None:
    """Stopped, asked for papers, allowed: heard in any order the payee ends allowed and free."""
    payee_id = new_payee(connection)
    account_id = open_account(connection, payee_id, "acct_1")
    words = [
        word("acct_1", may=False, as_of=NOON + MINUTE, why="requirements.past_due"),
        word("acct_1", may=False, as_of=NOON + 2 * MINUTE, why="under_review"),
        word("acct_1", may=True, as_of=NOON + 3 * MINUTE),
    ]

    heard = [words[number] for number in order]
    for start in range(0, len(heard), batch):
        service_payees.hear_payees(connection, heard[start : start + batch], NOON)

    account = find(connection, account_id)
    assert (account.may_be_paid_out, account.as_of) == (True, NOON + 3 * MINUTE)
    assert account.hold_id is None
    assert held(connection, payee_id) == []


def test_the_rail_holds_whoever_may_not_be_paid_out(connection: Connection) -> None:
    """One hold with the rail's words, by the rail; it stops payouts, and goes when it may again."""
    chain = chain_of(connection, "EUR")

    hear(connection, word("acct_1", may=False, as_of=NOON + MINUTE, why="under_review"))
    hear(connection, word("acct_1", may=False, as_of=NOON + 2 * MINUTE, why="past_due"))

    (hold,) = holds.list_open(connection, [f"party:{chain.payee_id}"])[f"party:{chain.payee_id}"]
    assert hold.kind is holds.HoldKind.COMPLIANCE
    assert hold.reason == "stripe: under_review, individual.verification.document"
    assert submit(chain) == "payouts.on_hold"

    hear(connection, word("acct_1", may=True, as_of=NOON + 3 * MINUTE))
    assert held(connection, chain.payee_id) == []
    assert submit(chain) == "done"
    assert not prove(connection).findings


def test_a_hold_that_an_operator_placed_stays(connection: Connection) -> None:
    """The rail lifts its own hold, never another's; one lifted by hand is no trouble."""
    payee_id = new_payee(connection)
    open_account(connection, payee_id, "acct_1", may=False)
    place = holds.PlaceHold(
        actor=OPERATOR,
        subject=f"party:{payee_id}",
        kind=holds.HoldKind.COMPLIANCE,
        reason="ours",
    )
    holds.place(connection, [place], at=NOON)
    rails_own = next(each for each in held(connection, payee_id) if each.reason != "ours")
    lift = holds.LiftHold(actor=OPERATOR, hold_id=rails_own.id)
    holds.lift(connection, [lift], at=NOON)

    hear(connection, word("acct_1", may=True, as_of=NOON + MINUTE))

    assert [each.reason for each in held(connection, payee_id)] == ["ours"]


def test_the_new_account_takes_the_place_of_the_old(connection: Connection) -> None:
    """The old one's hold goes with it, and what the rail says of it later holds nobody."""
    payee_id = new_payee(connection)
    old_id = open_account(connection, payee_id, "acct_1", may=False)
    assert len(held(connection, payee_id)) == 1

    new = open_account(connection, payee_id, "acct_2", replaces=True)

    assert find(connection, old_id).state is AccountState.REPLACED
    assert find(connection, new).state is AccountState.OPEN
    assert held(connection, payee_id) == []
    hear(connection, word("acct_1", may=False, as_of=NOON + MINUTE))
    assert held(connection, payee_id) == []
    assert not find(connection, old_id).may_be_paid_out


def test_a_word_before_the_link_is_read_again_after_it(connection: Connection) -> None:
    """An account whose name we do not know yet: nothing is written, and it is read once linked."""
    before = connection.exec_driver_sql("SELECT count(*) FROM event").scalar_one()

    assert hear(connection, word("acct_unknown", may=True, as_of=NOON)) == []

    after = connection.exec_driver_sql("SELECT count(*) FROM event").scalar_one()
    assert after == before


def test_the_rails_check_verifies_the_methods_there(connection: Connection) -> None:
    """A rail that knows its payees has checked where it pays them; other rails' methods wait on."""
    policy = PreparePolicy(
        actor=SYSTEM,
        policy_id=new_id(),
        valid_from=NOON,
        cooling_days=0,
        needs_verifying=True,
    )
    service_policy.prepare_policy(connection, [policy], at=NOON)
    payee_id = new_payee(connection)
    here, there = (
        AddMethod(actor=OPERATOR, method_id=new_id(), party_id=payee_id, token="t", rail=rail)
        for rail in (STRIPE, "paypal")
    )
    for wish in (here, there):
        assert add_methods(connection, [wish], at=NOON)[0].is_done

    open_account(connection, payee_id, "acct_1")

    found = store.find_methods(connection, [here.method_id, there.method_id])
    assert found[here.method_id].state is MethodState.ACTIVE
    assert found[here.method_id].verified_at == NOON
    assert found[there.method_id].state is MethodState.UNVERIFIED


def test_an_account_of_nobody_is_broken(connection: Connection) -> None:
    """An answer for an account that we never asked for stops, and a word without a time too."""
    payee_id = new_payee(connection)
    wish = opening(payee_id)
    service_payees.open_accounts(connection, [wish], at=NOON)
    (operation,) = rails.list_operations(connection, [wish.account_id])
    stranger = replace(result_of(operation, RailOutcome.DONE), operation_id=new_id())

    with pytest.raises(Broken, match="no payee of ours"):
        service_payees.hear_opened(connection, [stranger], NOON)
    for facts in ({}, {"account": "acct_1", "may_receive": True, "may_be_paid_out": True}):
        with pytest.raises(KeyError):
            word_of(STRIPE, facts)


def test_two_who_open_at_once_open_one(own_engine: Engine, tenant: Tenant) -> None:
    """The payee's row decides: one is asked of the rail, the other is refused by name."""
    with transaction(own_engine, tenant) as connection:
        payee_id = new_payee(connection)
    gate = Barrier(2)

    def one(_number: int) -> str:
        with transaction(own_engine, tenant) as connection:
            gate.wait()
            (outcome,) = service_payees.open_accounts(connection, [opening(payee_id)], at=NOON)
            return outcome.code

    with ThreadPoolExecutor(2) as pool:
        codes = sorted(pool.map(one, range(2)))

    assert codes == ["done", "payouts.payee_account_exists"]


def test_a_stop_and_a_submission_at_once_are_in_some_order(
    own_engine: Engine, tenant: Tenant
) -> None:
    """Sent before the rail's stop, or refused after it; never sent while the stop is known."""
    with transaction(own_engine, tenant) as connection:
        chain = chain_of(connection, "EUR")
    gate = Barrier(2)

    def stop() -> None:
        with transaction(own_engine, tenant) as connection:
            gate.wait()
            hear(connection, word("acct_1", may=False, as_of=NOON + MINUTE))

    def send() -> str:
        with transaction(own_engine, tenant) as connection:
            gate.wait()
            chain.connection = connection
            return submit(chain)

    with ThreadPoolExecutor(2) as pool:
        stopped, sent = pool.submit(stop), pool.submit(send)
    stopped.result()

    assert sent.result() in {"done", "payouts.on_hold"}
    with transaction(own_engine, tenant) as connection:
        asked_for = rails.list_open(connection, "payouts.transfer")
        assert len(asked_for) == (sent.result() == "done")
        assert len(held(connection, chain.payee_id)) == 1


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ("as_of = as_of - interval '1 second'", "may not go back"),
        ("as_of = NULL", "may not go back"),
        ("account_ref = 'acct_2'", "may not go back"),
        ("state = 'opening', account_ref = NULL, linked_at = NULL", "may not go back"),
        ("state = 'refused'", "may not go back"),
        ("requirements = '{}'", "requirements_are_a_list"),
        ("party_id = gen_random_uuid()", "permission denied"),
    ],
)
def test_the_database_holds_the_rules_of_accounts(
    connection: Connection, change: str, rule: str
) -> None:
    """No older word, no other name, no other payee, whoever writes it."""
    open_account(connection, new_payee(connection), "acct_1")

    with pytest.raises(DBAPIError, match=rule), connection.begin_nested():
        connection.exec_driver_sql(f"UPDATE payee_account SET {change}")


def test_one_account_belongs_to_one_payee(connection: Connection) -> None:
    """The rail's name of an account is given out once."""
    open_account(connection, new_payee(connection), "acct_1")
    wish = opening(new_payee(connection))
    service_payees.open_accounts(connection, [wish], at=NOON)
    (operation,) = rails.list_operations(connection, [wish.account_id])
    done = result_of(operation, RailOutcome.DONE, rail_ref="acct_1")

    with pytest.raises(DBAPIError, match="of_one_payee"), connection.begin_nested():
        service_payees.hear_opened(connection, [done], NOON)


def test_a_payout_of_an_amount_that_the_rail_cannot_move_is_refused(
    connection: Connection,
) -> None:
    """KWD in steps of ten at this rail: refused before anything is written (E21)."""
    chain = chain_of(connection, "KWD")
    wish = asked(chain.payee_id, chain.method_id, 1_001, currency="KWD")

    (outcome,) = service.request(connection, [wish], at=NOON)

    assert outcome.code == "rail.amount_not_possible"
    assert store.find_payouts(connection, [wish.payout_id]) == {}


def opening(payee_id: UUID, *, rail: str = STRIPE, replaces: bool = False) -> OpenPayeeAccount:
    """An operator's wish for an account."""
    return OpenPayeeAccount(
        actor=OPERATOR, account_id=new_id(), party_id=payee_id, rail=rail, replaces=replaces
    )


def hear(connection: Connection, notice: Notice, at: datetime = NOON) -> list[str]:
    return service_payees.hear_payees(connection, [notice], at)


def find(connection: Connection, account_id: UUID) -> PayeeAccount:
    return store_payees.find_accounts(connection, [account_id])[account_id]


def held(connection: Connection, payee_id: UUID) -> list[holds.Hold]:
    subject = f"party:{payee_id}"
    return holds.list_open(connection, [subject]).get(subject, [])
