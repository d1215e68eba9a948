"""Before money leaves: methods that cool and are verified, limits, the second person, sanctions."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from threading import Barrier
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from kernel.commands import Outcome
from kernel.database import Tenant, transaction
from kernel.ids import new_id
from kernel.principals import SYSTEM, Actor, PrincipalKind
from ledger import holds, parties
from ledger.chart import account
from ledger.proof import prove
from ledger.service import balances
from payouts import methods, service, service_policy, service_screening, store, store_policy
from payouts.commands import (
    AddMethod,
    ApprovePolicy,
    PayoutCommand,
    PreparePolicy,
    RequestPayout,
    VerifyMethod,
)
from payouts.model import PayoutState
from rails import service as rails
from rails.model import PAYOUT_RETURNED, PAYOUT_UNCLAIMED, OperationKind, RailOutcome
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
from tests.payouts.builders_chain import give_at, method_at, result_of

SECOND = Actor(UUID(int=8), PrincipalKind.PERSON, is_operator=True)
LIMIT = 40_000


@pytest.fixture(params=["JPY", "EUR", "KWD"])
def currency(request: pytest.FixtureRequest) -> str:
    """Currencies of zero, two and three decimals."""
    return str(request.param)


@pytest.fixture
def payee_id(connection: Connection, currency: str) -> Iterator[UUID]:
    """A payee with 60,000 units available, at a fee of 200; the books are proved after."""
    payee_id = new_payee(connection)
    give(connection, payee_id, 60_000, currency)
    set_fee(connection, 200, currency)
    yield payee_id
    assert not prove(connection).findings


def test_a_payout_above_the_limit_waits_for_another_person(
    connection: Connection, payee_id: UUID, currency: str
) -> None:
    """It is screened from the start; not sent, not approved by who asked, nor by the payee."""
    set_limits(connection, currency)
    method_id = new_method(connection, payee_id)
    wish = asked(payee_id, method_id, LIMIT + 1, actor=OPERATOR, currency=currency)

    (outcome,) = service.request(connection, [wish], at=NOON)

    assert (outcome.facts["state"], outcome.facts["version"]) == ("screening", 1)
    assert service.submit_due(connection, at=NOON) == []
    for actor, code in (
        (OPERATOR, "payouts.second_person"),
        (replace(SECOND, kind=PrincipalKind.KEY), "payouts.second_person"),
        (replace(SECOND, party_id=payee_id), "payouts.not_yours"),
        (payee_actor(payee_id), "payouts.not_yours"),
        (SYSTEM, "payouts.not_yours"),
    ):
        assert approve(connection, wish.payout_id, actor).code == code
    assert get_payout(connection, wish.payout_id).state is PayoutState.SCREENING
    assert submit(connection, wish.payout_id).code == "payouts.wrong_state"

    assert approve(connection, wish.payout_id, SECOND).is_done
    approved = get_payout(connection, wish.payout_id)
    assert (approved.state, approved.approved_by) == (PayoutState.APPROVED, SECOND.principal_id)
    assert approved.screened_at == NOON
    assert service.submit_due(connection, at=NOON)[0].is_done
    assert [each.id for each in rails.list_open(connection, service.HANDLER)] == [wish.payout_id]


def test_at_the_limit_nobody_is_asked(
    connection: Connection, payee_id: UUID, currency: str
) -> None:
    """The limit itself goes through; screening is decided when it is submitted."""
    set_limits(connection, currency)
    wish = asked(payee_id, new_method(connection, payee_id), LIMIT, currency=currency)
    service.request(connection, [wish], at=NOON)
    assert get_payout(connection, wish.payout_id).state is PayoutState.REQUESTED

    assert approve(connection, wish.payout_id, SECOND).code == "payouts.wrong_state"
    assert screen(connection, wish.payout_id).code == "payouts.needs_no_approval"
    assert submit(connection, wish.payout_id).is_done

    sent = get_payout(connection, wish.payout_id)
    assert (sent.state, sent.screened_at, sent.approved_by) == (PayoutState.SUBMITTED, NOON, None)


def test_a_refusal_has_a_reason_and_gives_all_back(
    connection: Connection, payee_id: UUID, currency: str
) -> None:
    """P39: money and fee return, and whoever waits can read why."""
    set_limits(connection, currency)
    wish = asked(payee_id, new_method(connection, payee_id), currency=currency)
    service.request(connection, [wish], at=NOON)

    no = PayoutCommand(actor=SECOND, payout_id=wish.payout_id, reason=" ")
    assert service_screening.refuse(connection, [no], at=NOON)[0].code == "payouts.reason_missing"
    assert available(connection, payee_id, currency) == 10_000
    no = replace(no, reason="not this account")
    assert service_screening.refuse(connection, [no], at=NOON)[0].is_done

    assert get_payout(connection, wish.payout_id).state is PayoutState.CANCELLED
    assert available(connection, payee_id, currency) == 60_000
    assert balance(connection, "platform.revenue.payout_fee", currency) == 0


def test_a_limit_that_comes_later_catches_what_is_not_sent(
    connection: Connection, payee_id: UUID, currency: str
) -> None:
    """Requested before the limit: it is not sent past it, and the engine puts it before someone."""
    wish = asked(payee_id, new_method(connection, payee_id), currency=currency)
    service.request(connection, [wish], at=NOON)
    set_limits(connection, currency, at=NOON + DAY)

    assert submit(connection, wish.payout_id, at=NOON + DAY).code == "payouts.needs_approval"
    (outcome,) = service_screening.screen_due(connection, at=NOON + DAY)
    assert outcome.facts["state"] == "screening"
    assert service_screening.screen_due(connection, at=NOON + DAY) == []


def test_less_than_the_minimum_is_not_paid_out(
    connection: Connection, payee_id: UUID, currency: str
) -> None:
    """One unit less than the least is refused and nothing is written; the least goes."""
    set_limits(connection, currency, minimum=5_000)
    method_id = new_method(connection, payee_id)

    less = asked(payee_id, method_id, 4_999, currency=currency)
    least = asked(payee_id, method_id, 5_000, currency=currency)
    codes = [each.code for each in service.request(connection, [less, least], at=NOON)]

    assert codes == ["payouts.below_minimum", "done"]
    assert store.find_payouts(connection, [less.payout_id]) == {}


def test_a_method_cools_and_is_verified_before_its_first_payout(
    connection: Connection, payee_id: UUID, currency: str
) -> None:
    """By the product's own policy: three days, a word of an operator, the first method too."""
    set_methods(connection, days=3, verifying=True)
    add = AddMethod(actor=payee_actor(payee_id), method_id=new_id(), party_id=payee_id, token="t")
    (outcome,) = methods.add_methods(connection, [add], at=NOON)
    assert (outcome.facts["state"], outcome.facts["usable_from"]) == (
        "unverified",
        (NOON + 3 * DAY).isoformat(),
    )
    wish = asked(payee_id, add.method_id, currency=currency)
    instant = timedelta(microseconds=1)

    assert request(connection, wish, NOON + 9 * DAY) == "payouts.method_unverified"
    for actor, code in (
        (payee_actor(payee_id), "payouts.operator_only"),
        (replace(OPERATOR, party_id=payee_id), "payouts.operator_only"),
        (OPERATOR, "done"),
        (OPERATOR, "payouts.not_unverified"),
    ):
        check = VerifyMethod(actor=actor, method_id=add.method_id)
        assert methods.verify_methods(connection, [check], at=NOON + DAY)[0].code == code
    assert request(connection, wish, NOON + 3 * DAY - instant) == "payouts.method_cooling"
    assert request(connection, wish, NOON + 3 * DAY) == "done"


def test_whose_method_it_is_hears_of_it(connection: Connection, payee_id: UUID) -> None:
    """An event on the payee, when a method is named and when it is verified, whoever did it."""
    set_methods(connection, days=3, verifying=True)
    add = AddMethod(actor=OPERATOR, method_id=new_id(), party_id=payee_id, token="t")
    methods.add_methods(connection, [add], at=NOON)
    check = VerifyMethod(actor=OPERATOR, method_id=add.method_id)
    methods.verify_methods(connection, [check], at=NOON)

    rows = connection.exec_driver_sql(
        "SELECT kind FROM event WHERE subject = %s AND kind LIKE 'payout_method.%%' ORDER BY id",
        (f"party:{payee_id}",),
    )
    assert [row.kind for row in rows] == ["payout_method.added", "payout_method.verified"]


def test_without_a_policy_it_is_three_days_and_verified(connection: Connection) -> None:
    """What counts before any policy is the careful way."""
    long_ago = datetime(1999, 1, 1, tzinfo=NOON.tzinfo)

    found = store_policy.find_in_force(connection, long_ago)

    assert (found.cooling_days, found.needs_verifying) == (3, True)
    assert found.of("EUR").approval_above_minor is None


def test_a_policy_counts_once_another_person_approved_it(connection: Connection) -> None:
    """Prepared it is nothing; who prepared it does not approve; approved it stands."""
    before = store_policy.find_in_force(connection, NOON).cooling_days
    wish = PreparePolicy(
        actor=OPERATOR,
        policy_id=new_id(),
        valid_from=NOON - DAY,
        cooling_days=9,
        needs_verifying=True,
    )
    assert service_policy.prepare_policy(connection, [wish], at=NOON)[0].is_done
    assert store_policy.find_in_force(connection, NOON).cooling_days == before
    for actor, code in (
        (OPERATOR, "payouts.second_person"),
        (replace(SECOND, kind=PrincipalKind.KEY), "payouts.second_person"),
        (payee_actor(new_id()), "payouts.operator_only"),
        (SECOND, "done"),
        (SECOND, "payouts.unknown_policy"),
    ):
        yes = ApprovePolicy(actor=actor, policy_id=wish.policy_id)
        assert service_policy.approve_policy(connection, [yes], at=NOON)[0].code == code

    assert store_policy.find_in_force(connection, NOON).cooling_days == 9
    past = store_policy.find_in_force(connection, NOON - timedelta(seconds=1))
    assert past.cooling_days == before
    with pytest.raises(DBAPIError, match="was approved and stands"), connection.begin_nested():
        connection.exec_driver_sql(
            "UPDATE payout_policy SET approved_at = now() WHERE id = %s", (wish.policy_id,)
        )


@pytest.mark.parametrize(
    "bad",
    [
        {"cooling_days": 3},
        {"cooling_days": -1, "needs_verifying": True},
        {"cooling_days": 366, "needs_verifying": True},
        {"currency": "EUR"},
        {"currency": "EUR", "minimum_minor": -1},
        {"currency": "EUR", "minimum_minor": 0, "approval_above_minor": 10**16},
        {"currency": "EUR", "minimum_minor": 0, "cooling_days": 3, "needs_verifying": True},
        {"cooling_days": 3, "needs_verifying": True, "minimum_minor": 0},
    ],
)
def test_a_half_policy_is_refused(connection: Connection, bad: dict[str, object]) -> None:
    """It is of methods, whole, or of one currency, within bounds; nothing is written."""
    wish = PreparePolicy(actor=OPERATOR, policy_id=new_id(), valid_from=NOON, **bad)  # type: ignore[arg-type]

    (outcome,) = service_policy.prepare_policy(connection, [wish], at=NOON)

    assert outcome.code == "payouts.bad_policy"
    assert store_policy.find_policies(connection, [wish.policy_id]) == {}


def test_a_sanctions_match_stops_what_is_not_sent(
    connection: Connection, payee_id: UUID, currency: str
) -> None:
    """Requested and screened payouts are blocked, the fees given back, and all he has (P43)."""
    set_limits(connection, currency)
    method_id = new_method(connection, payee_id)
    wishes = [asked(payee_id, method_id, each, currency=currency) for each in (10_000, 45_000)]
    assert all(o.is_done for o in service.request(connection, wishes, at=NOON))
    block = PayoutCommand(actor=OPERATOR, payout_id=wishes[0].payout_id)
    (no,) = service_screening.block(connection, [block], at=NOON)
    assert no.code == "payouts.not_sanctioned"
    hit = parties.ChangeParty(
        actor=OPERATOR, party_id=payee_id, sanction_state=parties.SanctionState.HIT
    )
    parties.change(connection, [hit], at=NOON)

    outcomes = service_screening.screen_due(connection, at=NOON)

    assert [each.facts["state"] for each in outcomes] == ["blocked", "blocked"]
    blocked = account("custody.blocked", currency, payee_id)
    assert balances(connection, [blocked]) == {blocked: -60_000}
    assert available(connection, payee_id, currency) == 0
    assert balance(connection, "platform.revenue.payout_fee", currency) == 0
    assert service.submit_due(connection, at=NOON) == []


def test_unclaimed_money_waits_and_comes_back_or_is_claimed(
    connection: Connection, currency: str
) -> None:
    """It has left (P38); claimed later it is paid; returned it is the payee's again (P40, P39)."""
    place = "paypal" if currency != "KWD" else "simulated"
    for ending, state in (("done", PayoutState.PAID), ("refused", PayoutState.RETURNED)):
        payee_id = new_payee(connection)
        give_at(connection, payee_id, 50_000, currency, place)
        if place == "simulated":
            give(connection, payee_id, 50_000, currency)
        method_id = method_at(connection, payee_id, place)
        wish = asked(payee_id, method_id, 50_000, currency=currency)
        assert request(connection, wish, NOON) == "done"
        assert submit(connection, wish.payout_id).is_done
        (operation,) = rails.list_operations(connection, [wish.payout_id])
        assert (operation.kind, operation.rail) == (OperationKind.PAYOUT, place)

        waiting = result_of(operation, RailOutcome.PENDING, code=PAYOUT_UNCLAIMED, has_left=True)
        service.hear(connection, [waiting], NOON)
        service.hear(connection, [waiting], NOON)
        assert get_payout(connection, wish.payout_id).state is PayoutState.UNCLAIMED

        code = PAYOUT_RETURNED if ending == "refused" else ""
        over = result_of(operation, RailOutcome(ending), code=code)
        service.hear(connection, [over], NOON + 30 * DAY)
        assert get_payout(connection, wish.payout_id).state is state
        back = 50_000 if state is PayoutState.RETURNED else 0
        extra = 50_000 if place == "simulated" else 0
        assert available(connection, payee_id, currency) == back + extra
    assert not prove(connection).findings


def test_two_approvers_at_once_are_one_approval(own_engine: Engine, tenant: Tenant) -> None:
    """The payout's row decides: one is done, the other finds it approved."""
    with transaction(own_engine, tenant) as connection:
        payee_id = new_payee(connection)
        give(connection, payee_id, 60_000)
        set_limits(connection, "EUR")
        wish = asked(payee_id, new_method(connection, payee_id), 50_000)
        service.request(connection, [wish], at=NOON)
    gate = Barrier(2)

    def one(principal: int) -> str:
        with transaction(own_engine, tenant) as connection:
            gate.wait()
            actor = replace(SECOND, principal_id=UUID(int=principal))
            return approve(connection, wish.payout_id, actor).code

    with ThreadPoolExecutor(2) as pool:
        codes = sorted(pool.map(one, (21, 22)))

    assert codes == ["done", "payouts.wrong_state"]


def test_an_approval_and_a_hold_at_once_never_send_what_is_held(
    own_engine: Engine, tenant: Tenant
) -> None:
    """Whichever is first: approved before the hold, it is stopped when it would be sent."""
    with transaction(own_engine, tenant) as connection:
        payee_id = new_payee(connection)
        give(connection, payee_id, 60_000)
        set_limits(connection, "EUR")
        wish = asked(payee_id, new_method(connection, payee_id), 50_000)
        service.request(connection, [wish], at=NOON)
    gate = Barrier(2)

    def hold() -> str:
        with transaction(own_engine, tenant) as connection:
            gate.wait()
            place = holds.PlaceHold(
                actor=OPERATOR,
                subject=f"party:{payee_id}",
                kind=holds.HoldKind.COMPLIANCE,
                reason="papers missing",
            )
            return holds.place(connection, [place], at=NOON)[0].code

    def approve_and_submit() -> str:
        with transaction(own_engine, tenant) as connection:
            gate.wait()
            return approve(connection, wish.payout_id, SECOND).code

    with ThreadPoolExecutor(2) as pool:
        held, approved = pool.submit(hold), pool.submit(approve_and_submit)

    assert held.result() == "done"
    assert approved.result() in {"done", "payouts.on_hold"}
    with transaction(own_engine, tenant) as connection:
        code = submit(connection, wish.payout_id).code
        assert code == ("payouts.on_hold" if approved.result() == "done" else "payouts.wrong_state")
        assert rails.list_open(connection, service.HANDLER) == []
        assert not prove(connection).findings


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ("approved_by = requested_by, state = 'approved', version = 2", "approver_is_another"),
        ("state = 'approved', version = 2", "approved_has_an_approver"),
        (
            "state = 'submitted', submitted_at = now(), screened_at = now(), version = 2",
            "may not move",
        ),
        ("state = 'blocked', version = 2", "ended_has_a_time"),
        ("state = 'in_transit', left_at = now(), version = 2", "may not move"),
        ("requested_by = NULL, version = 2", "permission denied"),
        ("paid_from = 'stripe', version = 2", "paid_from_is_of_its_rail"),
        ("transferred_at = now(), version = 2", "only_a_payees_account"),
    ],
)
def test_the_database_holds_the_rules_of_screening(
    connection: Connection, change: str, rule: str
) -> None:
    """Nobody approves his own payout, and nothing leaves screening but by a second person."""
    payee_id = new_payee(connection)
    give(connection, payee_id, 60_000)
    set_limits(connection, "EUR")
    wish = asked(payee_id, new_method(connection, payee_id))
    service.request(connection, [wish], at=NOON)

    with pytest.raises(DBAPIError, match=rule), connection.begin_nested():
        connection.exec_driver_sql(f"UPDATE payout SET {change}")


def test_the_owner_cannot_approve_his_own_either(owner_connection: Connection) -> None:
    """The rules of four eyes are constraints, not rights."""
    for table, columns in (
        ("payout_policy", "approver_is_another"),
        ("payout", "payout_approver_is_another"),
    ):
        found = owner_connection.exec_driver_sql(
            "SELECT conname FROM pg_constraint WHERE conrelid = %s::regclass"
            " AND conname LIKE %s AND contype = 'c' AND convalidated",
            (table, f"%{columns}"),
        )
        assert len(found.all()) == 1
    row = "gen_random_uuid(), now(), 0, false, '', id, now(), id, now()"
    with pytest.raises(DBAPIError, match="approver_is_another"), owner_connection.begin_nested():
        owner_connection.exec_driver_sql(
            "INSERT INTO payout_policy (id, valid_from, cooling_days, needs_verifying, reason,"
            f" prepared_by, prepared_at, approved_by, approved_at) SELECT {row}"
            " FROM (SELECT gen_random_uuid() AS id) AS someone"
        )


def set_limits(
    connection: Connection, currency: str, *, minimum: int = 0, at: datetime = NOON
) -> None:
    """A second person above 40,000 units."""
    policy = PreparePolicy(
        actor=SYSTEM,
        policy_id=new_id(),
        currency=currency,
        valid_from=at,
        approval_above_minor=LIMIT,
        minimum_minor=minimum,
    )
    assert service_policy.prepare_policy(connection, [policy], at=at)[0].is_done


def set_methods(connection: Connection, *, days: int, verifying: bool) -> None:
    """How methods cool from now on."""
    policy = PreparePolicy(
        actor=SYSTEM,
        policy_id=new_id(),
        valid_from=NOON,
        cooling_days=days,
        needs_verifying=verifying,
    )
    assert service_policy.prepare_policy(connection, [policy], at=NOON)[0].is_done


def approve(connection: Connection, payout_id: UUID, actor: Actor) -> Outcome:
    command = PayoutCommand(actor=actor, payout_id=payout_id)
    return service_screening.approve(connection, [command], at=NOON)[0]


def screen(connection: Connection, payout_id: UUID) -> Outcome:
    return service_screening.screen(connection, [submitting(payout_id)], at=NOON)[0]


def submit(connection: Connection, payout_id: UUID, *, at: datetime = NOON) -> Outcome:
    return service.submit(connection, [submitting(payout_id)], at=at)[0]


def request(connection: Connection, wish: RequestPayout, at: datetime) -> str:
    return service.request(connection, [wish], at=at)[0].code
