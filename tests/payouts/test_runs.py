"""Payout runs: previewed, prepared, approved by another, paid chunk by chunk, once each."""

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import errors as pg
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, IntegrityError

from kernel.commands import Outcome
from kernel.database import Tenant, transaction
from kernel.ids import new_id
from kernel.principals import SYSTEM, Actor, PrincipalKind
from ledger import holds, parties
from ledger.proof import prove
from payouts import service, service_runs, store_runs
from payouts.commands import PayoutCommand
from payouts.commands_runs import ApproveRun, PrepareRun, RunCommand
from payouts.machine_runs import TRANSITIONS, RunTrigger, run_step
from payouts.model_runs import Item, ItemState, Run, RunKind, RunState, payout_id_of
from payouts.refusals_runs import RunWrongState
from payouts.rules_runs import content_of
from payouts.service_execution import execute
from tests.payouts.builders import (
    DAY,
    NOON,
    OPERATOR,
    asked,
    available,
    get_payout,
    give,
    new_method,
    new_payee,
    payee_actor,
    set_fee,
)

OTHER = Actor(UUID(int=10), PrincipalKind.PERSON, is_operator=True)
PROGRAM = Actor(UUID(int=11), PrincipalKind.KEY, is_operator=True)
LATER = NOON + 10 * DAY
"""Methods of the builders are older than any cooling time by then."""


def ready(connection: Connection, amount_minor: int = 50_000, currency: str = "EUR") -> UUID:
    """A payee with money and a method that may be paid to."""
    payee_id = new_payee(connection)
    new_method(connection, payee_id)
    give(connection, payee_id, amount_minor, currency)
    return payee_id


def wanted(currency: str = "EUR", *, actor: Actor = OPERATOR, days: int = 0) -> PrepareRun:
    """A run of everybody with money, for today or an earlier day."""
    day = (LATER - days * DAY).date()
    return PrepareRun(
        actor=actor,
        run_id=new_id(),
        currency=currency,
        kind=RunKind.EVERYONE,
        due_from_on=day,
        cut_off_on=day,
    )


def prepare(connection: Connection, command: PrepareRun) -> Outcome:
    (outcome,) = service_runs.prepare(connection, [command], at=LATER)
    return outcome


def approve(
    connection: Connection, run_id: UUID, *, actor: Actor = OTHER, content: str | None = None
) -> Outcome:
    """Another person approves what lies there."""
    seen = content or store_runs.find_runs(connection, [run_id])[run_id].content_sha256.hex()
    command = ApproveRun(actor=actor, run_id=run_id, content=seen)
    (outcome,) = service_runs.approve(connection, [command], at=LATER)
    return outcome


def start(connection: Connection, run_id: UUID) -> Outcome:
    (outcome,) = service_runs.start(
        connection, [RunCommand(actor=OPERATOR, run_id=run_id)], at=LATER
    )
    return outcome


def going(connection: Connection, currency: str = "EUR") -> UUID:
    """A run that is executing."""
    command = wanted(currency)
    for outcome in (
        prepare(connection, command),
        approve(connection, command.run_id),
        start(connection, command.run_id),
    ):
        assert outcome.is_done, outcome
    return command.run_id


def pay_all(connection: Connection, run_id: UUID, *, limit: int = 500) -> int:
    """Execute to the end; how many chunks it took."""
    chunks = 0
    while not execute(connection, run_id, at=LATER, limit=limit).is_over:
        chunks += 1
        assert chunks < 100
    return chunks


def items_of(connection: Connection, run_id: UUID) -> dict[UUID, Item]:
    found = store_runs.list_items(connection, run_id, limit=1_000)
    return {item.payee_id: item for item in found}


def run_of(connection: Connection, run_id: UUID) -> Run:
    return store_runs.find_runs(connection, [run_id])[run_id]


@pytest.mark.parametrize(
    ("currency", "amount_minor", "fee_minor"),
    [("EUR", 12_345, 150), ("JPY", 9_000, 110), ("KWD", 12_345, 250)],
)
def test_a_run_pays_everybody_once_all_that_he_has(
    connection: Connection, currency: str, amount_minor: int, fee_minor: int
) -> None:
    """Prepared, approved, executed: each payee is left with nothing and has one payout."""
    set_fee(connection, fee_minor, currency)
    payees = [ready(connection, amount_minor + n, currency) for n in range(5)]

    run_id = going(connection, currency)
    chunks = pay_all(connection, run_id, limit=2)

    assert chunks == 3
    run = run_of(connection, run_id)
    assert (run.state, run.planned_count) == (RunState.DONE, 5)
    assert run.planned_minor == sum(amount_minor + n for n in range(5))
    for n, payee_id in enumerate(payees):
        payout = get_payout(connection, payout_id_of(run_id=run_id, payee_id=payee_id))
        assert (payout.amount_minor, payout.fee_minor) == (amount_minor + n, fee_minor)
        assert available(connection, payee_id, currency) == 0
    assert not prove(connection).findings


def test_a_preview_is_what_would_be_prepared(connection: Connection) -> None:
    """The dry run lists the same items and the same hash, and writes nothing."""
    set_fee(connection, 200)
    payees = [ready(connection, 100 * n) for n in range(1, 5)]
    parties.change(
        connection,
        [
            parties.ChangeParty(
                actor=OPERATOR, party_id=payees[3], kyc_state=parties.KycState.REJECTED
            )
        ],
        at=NOON,
    )
    command = wanted()

    answer, shown, items = service_runs.preview(connection, command, at=LATER)
    written = store_runs.find_runs(connection, [command.run_id])
    real = prepare(connection, command)

    assert answer.is_done
    assert shown is not None
    assert not written
    assert shown == run_of(connection, command.run_id)
    assert {item.payee_id: item for item in items} == items_of(connection, command.run_id)
    assert real.facts["content"] == shown.content_sha256.hex()


@pytest.mark.parametrize("seed", range(4))
def test_a_dry_run_of_any_marketplace_is_its_real_run(connection: Connection, seed: int) -> None:
    """Whatever payees there are, in whatever order they came, both plan the very same."""
    dice = random.Random(seed)
    set_fee(connection, 200)
    for _ in range(12):
        kyc = dice.choice([parties.KycState.VERIFIED, parties.KycState.PENDING])
        payee_id = new_payee(connection, kyc=kyc)
        for number in range(dice.randrange(3)):
            new_method(connection, payee_id, f"place-{number}")
        give(connection, payee_id, dice.choice([1, 200, 201, 50_000]))
        if dice.random() < 0.2:
            hold(connection, payee_id)
    command = wanted()

    answer, shown, items = service_runs.preview(connection, command, at=LATER)
    real = prepare(connection, command)

    assert answer.code == real.code
    if real.is_done:
        assert shown == run_of(connection, command.run_id)
        assert {item.payee_id: item for item in items} == items_of(connection, command.run_id)


def test_who_is_left_out_is_told_why(connection: Connection) -> None:
    """Not verified, sanctioned, on hold, without method, less than the fee: each by its code."""
    set_fee(connection, 500)
    unknown = new_payee(connection, kyc=parties.KycState.PENDING)
    give(connection, unknown, 1_000)
    held, hit, poor = (ready(connection, minor) for minor in (1_000, 1_000, 500))
    homeless = new_payee(connection)
    give(connection, homeless, 1_000)
    hold(connection, held)
    parties.change(
        connection,
        [
            parties.ChangeParty(
                actor=OPERATOR, party_id=hit, sanction_state=parties.SanctionState.HIT
            )
        ],
        at=NOON,
    )
    paid = ready(connection, 1_000)
    command = wanted()

    prepare(connection, command)

    reasons = {p: item.reason for p, item in items_of(connection, command.run_id).items()}
    assert reasons == {
        unknown: "payouts.not_verified",
        held: "payouts.on_hold",
        hit: "payouts.sanctions_hit",
        poor: "payouts.nothing_left",
        homeless: "payouts.no_method",
        paid: "",
    }


def hold(connection: Connection, payee_id: UUID) -> None:
    """Somebody looks into a payee."""
    place = holds.PlaceHold(
        actor=OPERATOR,
        subject=f"party:{payee_id}",
        kind=holds.HoldKind.COMPLIANCE,
        reason="looked into",
    )
    (outcome,) = holds.place(connection, [place], at=LATER)
    assert outcome.is_done


def test_a_hold_after_the_preparation_keeps_the_money_there(connection: Connection) -> None:
    """Who is on hold when his turn comes is dropped with the reason; the others are paid."""
    held, paid = ready(connection), ready(connection)
    run_id = going(connection)

    hold(connection, held)
    pay_all(connection, run_id)

    items = items_of(connection, run_id)
    assert (items[held].state, items[held].code) == (ItemState.DROPPED, "payouts.on_hold")
    assert items[paid].state is ItemState.REQUESTED
    assert available(connection, held) == 50_000
    assert run_of(connection, run_id).state is RunState.DONE


def test_who_withdrew_by_hand_is_not_paid_again(connection: Connection) -> None:
    """A payee who took his money meanwhile is dropped for want of it."""
    payee_id = new_payee(connection)
    method_id = new_method(connection, payee_id)
    give(connection, payee_id, 50_000)
    run_id = going(connection)

    (outcome,) = service.request(connection, [asked(payee_id, method_id, 40_000)], at=LATER)
    pay_all(connection, run_id)

    assert outcome.is_done
    item = items_of(connection, run_id)[payee_id]
    assert (item.state, item.code) == (ItemState.DROPPED, "ledger.insufficient_funds")
    assert available(connection, payee_id) == 10_000


@pytest.mark.parametrize(
    ("actor", "code"),
    [
        (OPERATOR, "payouts.run_takes_two"),
        (PROGRAM, "payouts.run_in_person"),
        (payee_actor(UUID(int=77)), "payouts.operator_only"),
    ],
)
def test_only_another_person_approves(connection: Connection, actor: Actor, code: str) -> None:
    """Who prepared a run, a program and a payee cannot approve it."""
    ready(connection)
    command = wanted()
    prepare(connection, command)

    outcome = approve(connection, command.run_id, actor=actor)

    assert outcome.code == code
    assert run_of(connection, command.run_id).state is RunState.PREPARED


def test_an_approval_is_of_what_was_seen(connection: Connection) -> None:
    """The hash of another list approves nothing."""
    ready(connection)
    command = wanted()
    prepare(connection, command)

    assert approve(connection, command.run_id, content="00" * 32).code == "payouts.run_changed"


def test_forged_items_are_never_paid(owner_connection: Connection) -> None:
    """Even the owner, with the guard off, cannot have other items approved than were prepared."""
    ready(owner_connection)
    command = wanted()
    prepare(owner_connection, command)
    seen = run_of(owner_connection, command.run_id).content_sha256.hex()
    forge = "UPDATE payout_run_item SET amount_minor = amount_minor + 1 WHERE run_id = %s"
    refuses(owner_connection, forge, (command.run_id,), name="payout_run_item_stands")

    owner_connection.exec_driver_sql(
        "ALTER TABLE payout_run_item DISABLE TRIGGER payout_run_item_stands"
    )
    owner_connection.exec_driver_sql(forge, (command.run_id,))
    owner_connection.exec_driver_sql(
        "ALTER TABLE payout_run_item ENABLE TRIGGER payout_run_item_stands"
    )

    assert approve(owner_connection, command.run_id, content=seen).code == "payouts.run_changed"
    refuses(
        owner_connection,
        "UPDATE payout_run SET state = 'approved', version = 2, approved_by = %s,"
        " approved_at = now() WHERE id = %s",
        (OTHER.principal_id, command.run_id),
        name="payout_run_pays_what_was_prepared",
    )


def refuses(connection: Connection, statement: str, given: tuple[Any, ...], *, name: str) -> None:
    """The database refuses a statement by the constraint of this name."""
    with pytest.raises(IntegrityError) as refusal, connection.begin_nested():
        connection.exec_driver_sql(statement, given)
    assert isinstance(refusal.value.orig, pg.CheckViolation)
    assert refusal.value.orig.diag.constraint_name == name


def test_the_tenant_can_change_no_item(connection: Connection) -> None:
    """The program's own role has no right to what a run plans."""
    ready(connection)
    command = wanted()
    prepare(connection, command)

    for statement in (
        "UPDATE payout_run_item SET amount_minor = 1 WHERE run_id = %s",
        "DELETE FROM payout_run_item WHERE run_id = %s",
        "UPDATE payout_run SET planned_minor = 1 WHERE id = %s",
    ):
        with pytest.raises(DBAPIError) as refusal, connection.begin_nested():
            connection.exec_driver_sql(statement, (command.run_id,))
        assert isinstance(refusal.value.orig, pg.InsufficientPrivilege)


def test_nobody_approves_his_own_run_in_the_database(owner_connection: Connection) -> None:
    """Four eyes are a CHECK: also the owner's UPDATE is refused, and a start without approval."""
    ready(owner_connection)
    command = wanted()
    prepare(owner_connection, command)

    refuses(
        owner_connection,
        "UPDATE payout_run SET state = 'approved', version = 2, approved_by = prepared_by,"
        " approved_at = now() WHERE id = %s",
        (command.run_id,),
        name="payout_run_takes_two",
    )
    refuses(
        owner_connection,
        "UPDATE payout_run SET state = 'executing', version = 2, started_at = now() WHERE id = %s",
        (command.run_id,),
        name="payout_run_is_approved_or_within_its_limit",
    )


def test_a_run_ends_only_when_it_has_come_to_everybody(owner_connection: Connection) -> None:
    """The database refuses to call a run done while somebody is planned."""
    ready(owner_connection)
    run_id = going(owner_connection)

    refuses(
        owner_connection,
        "UPDATE payout_run SET state = 'done', version = version + 1, ended_at = now()"
        " WHERE id = %s",
        (run_id,),
        name="payout_run_forgets_nobody",
    )


def test_one_run_of_a_currency_and_day_is_open(connection: Connection) -> None:
    """A second run waits until the first is over; one of another day leaves its payees out."""
    payee_id = ready(connection)
    first = wanted()
    prepare(connection, first)

    same = prepare(connection, wanted())
    earlier_day = prepare(connection, wanted(days=1))

    assert same.code == "payouts.run_is_open"
    assert earlier_day.code == "payouts.run_is_empty"
    (gone,) = service_runs.withdraw(
        connection, [RunCommand(actor=OPERATOR, run_id=first.run_id)], at=LATER
    )
    again = wanted()
    assert gone.is_done
    assert prepare(connection, again).is_done
    assert items_of(connection, again.run_id)[payee_id].state is ItemState.PLANNED


def test_a_stopped_run_goes_on_where_it_was(connection: Connection) -> None:
    """Stopped after a chunk, nothing is paid; started again, the rest is, and nobody twice."""
    for _ in range(4):
        ready(connection)
    run_id = going(connection)
    execute(connection, run_id, at=LATER, limit=3)
    order = RunCommand(actor=OPERATOR, run_id=run_id)

    (stopped,) = service_runs.stop(connection, [order], at=LATER)
    idle = execute(connection, run_id, at=LATER)
    resumed = start(connection, run_id)
    pay_all(connection, run_id)

    assert stopped.facts["state"] == "stopped"
    assert (idle.taken, idle.is_over) == (0, True)
    assert resumed.is_done
    progress = store_runs.count_items(connection, run_id)
    assert progress.counts == {ItemState.REQUESTED: 4}
    assert run_of(connection, run_id).state is RunState.DONE


@pytest.mark.parametrize("state", list(RunState))
@pytest.mark.parametrize("trigger", list(RunTrigger))
def test_a_run_moves_by_its_table_alone(state: RunState, trigger: RunTrigger) -> None:
    """What the table has moves; everything else is refused."""
    if (state, trigger) in TRANSITIONS:
        assert run_step(state, trigger).to is not state
    else:
        with pytest.raises(RunWrongState):
            run_step(state, trigger)


def test_bad_days_and_strangers_prepare_nothing(connection: Connection) -> None:
    """A cut-off in the future, or before its first day, and a payee's own wish are refused."""
    ready(connection)
    future = wanted(days=-1)
    backward = replace(wanted(), due_from_on=(LATER + DAY).date())
    stranger = wanted(actor=payee_actor(new_id()))
    unknown = wanted("XXQ")

    codes = [prepare(connection, each).code for each in (future, backward, stranger, unknown)]

    assert codes == [
        *("payouts.bad_cut_off", "payouts.bad_cut_off"),
        *("payouts.operator_only", "money.unknown_currency"),
    ]
    assert not store_runs.list_runs(connection, after=None, limit=10)


@given(
    amounts=st.lists(st.integers(1, 10**9), max_size=6),
    change=st.sampled_from(["amount", "fee", "method", "reason", "payee", "less"]),
)
def test_the_hash_is_of_every_field_and_no_order(amounts: list[int], change: str) -> None:
    """Items in any order have one hash; any other content has another."""
    run = _run_of_items(amounts)
    items = [_item(minor) for minor in [*amounts, 5]]
    first = content_of(run, items)
    other = {
        "amount": replace(items[0], amount_minor=items[0].amount_minor + 1),
        "fee": replace(items[0], fee_minor=1),
        "method": replace(items[0], method_id=new_id()),
        "reason": replace(items[0], reason="payouts.on_hold"),
        "payee": replace(items[0], payee_id=new_id()),
    }
    changed = [other[change], *items[1:]] if change in other else items[1:]

    assert content_of(run, reversed(items)) == first
    assert content_of(run, changed) != first


def _item(minor: int) -> Item:
    return Item(payee_id=new_id(), method_id=new_id(), amount_minor=minor, fee_minor=0)


def _run_of_items(amounts: list[int]) -> Run:
    return Run(
        id=new_id(),
        currency="EUR",
        kind=RunKind.EVERYONE,
        due_from_on=LATER.date(),
        cut_off_on=LATER.date(),
        item_count=len(amounts),
        planned_count=len(amounts),
        planned_minor=sum(amounts),
        fee_minor=0,
        limit_minor=0,
        content_sha256=b"",
        prepared_by=OPERATOR.principal_id,
        prepared_at=LATER,
    )


@pytest.fixture
def committed(own_engine: Engine, tenant: Tenant) -> tuple[UUID, list[UUID]]:
    """A run of eight that is executing, committed."""
    with transaction(own_engine, tenant) as connection:
        payees = [ready(connection) for _ in range(8)]
    with transaction(own_engine, tenant) as connection:
        run_id = going(connection)
    return run_id, payees


def test_workers_beside_one_another_pay_each_once(
    own_engine: Engine, tenant: Tenant, committed: tuple[UUID, list[UUID]]
) -> None:
    """Four workers on one run: every payee has one payout, and the run is done."""
    run_id, payees = committed

    def work(_: int) -> int:
        taken = 0
        while True:
            with transaction(own_engine, tenant) as connection:
                chunk = execute(connection, run_id, at=LATER, limit=1)
            taken += chunk.taken
            if chunk.is_over:
                return taken

    with ThreadPoolExecutor(4) as pool:
        taken = sum(pool.map(work, range(4)))

    with transaction(own_engine, tenant) as connection:
        execute(connection, run_id, at=LATER)
        assert taken == len(payees)
        assert run_of(connection, run_id).state is RunState.DONE
        assert all(available(connection, payee_id) == 0 for payee_id in payees)
        assert not prove(connection).findings


def test_two_approvers_at_once_are_one_approval(own_engine: Engine, tenant: Tenant) -> None:
    """The second of two approvals that come together finds the run approved."""
    with transaction(own_engine, tenant) as connection:
        ready(connection)
    command = wanted()
    with transaction(own_engine, tenant) as connection:
        prepare(connection, command)
    third = Actor(UUID(int=12), PrincipalKind.PERSON, is_operator=True)

    def say(actor: Actor) -> str:
        with transaction(own_engine, tenant) as connection:
            return approve(connection, command.run_id, actor=actor).code

    with ThreadPoolExecutor(2) as pool:
        codes = sorted(pool.map(say, (OTHER, third)))

    assert codes == ["done", "payouts.run_wrong_state"]


def test_a_run_of_a_program_within_its_limit_needs_nobody(connection: Connection) -> None:
    """What the engine prepares starts without a person only up to the approved limit."""
    ready(connection)
    command = wanted(actor=SYSTEM)
    prepare(connection, command)

    (refused,) = service_runs.start(
        connection, [RunCommand(actor=SYSTEM, run_id=command.run_id)], at=LATER
    )

    assert refused.code == "payouts.run_wrong_state"
    assert approve(connection, command.run_id).is_done


def test_a_cancelled_payout_of_a_run_is_money_again(connection: Connection) -> None:
    """What a run requested can be taken back like any payout; a later run may plan it anew."""
    payee_id = ready(connection)
    run_id = going(connection)
    pay_all(connection, run_id)
    payout_id = payout_id_of(run_id=run_id, payee_id=payee_id)

    (gone,) = service.cancel(
        connection,
        [PayoutCommand(actor=OPERATOR, payout_id=payout_id)],
        at=LATER + timedelta(minutes=1),
    )
    again = wanted()

    assert gone.is_done
    assert prepare(connection, again).is_done
