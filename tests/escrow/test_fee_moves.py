"""Running contracts are moved to another fee schedule: by two people, and never upwards."""

from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import errors
from sqlalchemy import Connection

from commissions import store_choice
from commissions.downwards import dearer_by
from commissions.maths import Before, fee
from commissions.model import Band, Scope, Side, Tariff
from commissions.model_schedule import Promotion
from engine.handlers import TIMERS
from escrow import service_fee_move as service
from escrow import store, store_fee_move
from escrow.model import Terms
from escrow.model_fee_move import DecideMove, MoveState, PrepareMove
from kernel import timers
from kernel.commands import Outcome
from kernel.ids import new_id
from kernel.principals import Actor
from tests.commissions.books import START, TIERS, finance, hold, tariff
from tests.escrow.stage import Stage

DAY = timedelta(days=1)
CURRENCIES = ("EUR", "JPY", "KWD")


def flat(rate_bps: int, **more: int) -> tuple[Tariff, ...]:
    return tuple(tariff(each, Band(None, rate_bps), **more) for each in CURRENCIES)


def accepted(connection: Connection, currency: str = "EUR", **terms: int) -> Stage:
    stage = Stage(connection, currency, Terms(**terms))  # type: ignore[arg-type]
    assert stage.propose().is_done
    assert stage.accept().is_done
    return stage


def propose(connection: Connection, schedule_id: UUID, **which: object) -> PrepareMove:
    command = PrepareMove(
        actor=finance(),
        move_id=new_id(),
        schedule_id=schedule_id,
        **which,  # type: ignore[arg-type]
    )
    (outcome,) = service.prepare_move(connection, [command], at=START + DAY)
    assert outcome.is_done, outcome
    return command


def approve(connection: Connection, move_id: UUID, actor: Actor | None = None) -> Outcome:
    command = DecideMove(actor=actor or finance(), move_id=move_id)
    return service.approve_move(connection, [command], at=START + DAY)[0]


def pinned(stage: Stage, side: Side = Side.PAYEE) -> UUID | None:
    (contract,) = store.find_contracts(stage.connection, [stage.contract_id])
    pins = contract.pins
    return pins.payee_schedule_id if side is Side.PAYEE else pins.client_schedule_id


def verdicts(connection: Connection, command: PrepareMove) -> dict[UUID, str | None]:
    move = store_fee_move.find_moves(connection, [command.move_id])[command.move_id]
    found, behind = service.look(connection, move, START + DAY, after=None, limit=100)
    assert behind is None
    return {each.contract_id: each.why_not for each in found}


@pytest.mark.parametrize("currency", CURRENCIES)
def test_contracts_move_to_a_schedule_that_is_never_dearer(
    connection: Connection, currency: str
) -> None:
    """With an event, a new choice beside the old one, and the fee of the next release lower."""
    old = hold(connection, tariffs=flat(1_000))
    stage = Stage(connection, currency).ready()
    new = hold(connection, at=START + DAY, replaces=old, tariffs=flat(800))
    command = propose(connection, new)
    before = pinned(stage)
    told = verdicts(connection, command)

    assert approve(connection, command.move_id).is_done
    done = service.run_step(connection, command.move_id, at=START + DAY)
    stage.now = START + DAY
    assert stage.submit().is_done
    assert stage.approve().is_done

    assert (before, told, pinned(stage)) == (old, {stage.contract_id: None}, new)
    assert done is not None
    assert (done.state, done.moved_count, done.skipped_count) == (MoveState.DONE, 1, 0)
    choices = store_choice.list_choices(connection, [stage.contract_id])
    assert [(each.why, each.schedule_id) for each in choices] == [
        ("acceptance", old),
        ("migration", new),
    ]
    assert [step["result"] for step in choices[1].trace] == ["won", "moved"]
    fees = connection.exec_driver_sql(
        "SELECT fee_minor FROM fee_line WHERE contract_id = %s AND kind = 'commission'",
        (stage.contract_id,),
    )
    assert list(fees.scalars()) == [800]
    kinds = connection.exec_driver_sql(
        "SELECT kind FROM event WHERE subject = %s", (f"contract:{stage.contract_id}",)
    )
    assert "contract.fees_moved" in set(kinds.scalars())


def test_nobody_is_moved_upwards(connection: Connection) -> None:
    """Dearer in one part, however small, is dearer; the dry run says in which, and it stays so."""
    old = hold(connection, tariffs=flat(1_000, cap_minor=5_000))
    stage = accepted(connection)
    dearer = {
        "rate": (tariff("EUR", Band(50_000, 1_001), Band(None, 100), cap_minor=5_000),),
        "per_transaction": flat(500, per_transaction_minor=1, cap_minor=5_000),
        "floor": flat(500, floor_minor=1, cap_minor=5_000),
        "cap": flat(500),
    }

    for number, (part, tariffs) in enumerate(dearer.items(), start=1):
        new = hold(connection, part, at=START + DAY, priority=number, tariffs=tariffs)
        command = propose(connection, new, contract_ids=(stage.contract_id,))
        assert verdicts(connection, command) == {stage.contract_id: f"would be dearer: {part}"}
        assert approve(connection, command.move_id).is_done
        done = service.run_step(connection, command.move_id, at=START + DAY)
        assert done is not None
        assert (done.moved_count, done.skipped_count) == (0, 1)

    assert pinned(stage) == old


def test_a_contract_without_a_schedule_is_held_to_the_rates_of_its_terms(
    connection: Connection,
) -> None:
    """Ten in a hundred by its terms: it moves to eight and not to twelve; the client's fee too."""
    ten, cheap = accepted(connection), accepted(connection, commission_bps=700, client_fee_bps=100)
    new = hold(connection, at=START + DAY, tariffs=flat(800))
    client = hold(connection, "client", at=START + DAY, side=Side.CLIENT, tariffs=flat(200))

    for schedule_id in (new, client):
        command = propose(connection, schedule_id)
        assert verdicts(connection, command) == {
            ten.contract_id: None,
            cheap.contract_id: "would be dearer: rate",
        }
        assert approve(connection, command.move_id).is_done
        service.run_step(connection, command.move_id, at=START + DAY)

    assert [pinned(ten), pinned(ten, Side.CLIENT)] == [new, client]
    assert [pinned(cheap), pinned(cheap, Side.CLIENT)] == [None, None]


def test_which_contracts_a_move_looks_at(connection: Connection) -> None:
    """All that would get it now, those accepted before a day, or named ones; running ones alone."""
    old = hold(connection, tariffs=flat(1_000))
    first, second, draft = accepted(connection), accepted(connection), Stage(connection)
    assert draft.propose().is_done
    yen = accepted(connection, "JPY")
    later = Stage(connection, now=START + DAY)
    assert later.propose().is_done
    assert later.accept().is_done
    ended = accepted(connection)
    assert ended.on_contract("end", ended.client).is_done
    named = (first.contract_id, draft.contract_id, ended.contract_id)
    new = hold(
        connection, "new", at=START + DAY, priority=1, tariffs=(tariff("EUR", Band(None, 900)),)
    )

    every = verdicts(connection, propose(connection, new))
    before = verdicts(connection, propose(connection, new, accepted_before=START + DAY))
    few = verdicts(connection, propose(connection, new, contract_ids=named))

    assert every == dict.fromkeys((first.contract_id, second.contract_id, later.contract_id), None)
    assert before == {
        first.contract_id: None,
        second.contract_id: None,
        yen.contract_id: "no prices in its currency",
    }
    assert few == {first.contract_id: None}
    assert {pinned(first), pinned(later)} == {old}


def test_a_move_takes_two_people_and_an_approved_schedule(connection: Connection) -> None:
    """By their own codes; a promotion is pinned at acceptance alone."""
    schedule_id = hold(connection)
    spring = hold(connection, "spring", scope=Scope(promotion="s"), promotion=Promotion())
    command = propose(connection, schedule_id)
    alone = DecideMove(actor=command.actor, move_id=command.move_id)
    strange = [
        PrepareMove(actor=finance(), move_id=new_id(), schedule_id=each)
        for each in (new_id(), spring)
    ]

    refused = [each.code for each in service.prepare_move(connection, strange, at=START + DAY)]
    same = approve(connection, command.move_id, command.actor)
    withdrawn = service.withdraw_move(connection, [alone], at=START + DAY)[0]

    assert refused == ["fees.unknown_schedule", "fees.bad_schedule"]
    assert (same.code, withdrawn.code) == ("fees.same_person", "done")
    assert approve(connection, command.move_id).code == "fees.wrong_state"
    assert approve(connection, new_id()).code == "fees.unknown_move"
    move = store_fee_move.find_moves(connection, [command.move_id])[command.move_id]
    with pytest.raises(errors.Error), connection.begin_nested():
        store_fee_move.save_move(connection, move, after=move)


def test_an_approved_move_runs_by_its_timer_and_goes_on_where_it_was(
    connection: Connection,
) -> None:
    """Step by step, counted; each contract once, though a step is played again."""
    old = hold(connection, tariffs=flat(1_000))
    stages = [accepted(connection) for _ in range(5)]
    new = hold(connection, at=START + DAY, replaces=old, tariffs=(tariff("EUR", *TIERS[1:]),))
    command = propose(connection, new)
    assert approve(connection, command.move_id).is_done

    first = service.run_step(connection, command.move_id, at=START + DAY, limit=2)
    assert first is not None
    assert (first.state, first.moved_count) == (MoveState.APPROVED, 2)
    due = timers.list_due(connection, at=START + DAY, limit=100, grace=timedelta())
    mine = [each for each in due if each.kind == service.TIMER]
    assert TIMERS[service.TIMER](connection, mine, START + DAY) == 1
    again = service.run_step(connection, command.move_id, at=START + DAY)

    assert again is not None
    assert (again.state, again.moved_count, again.skipped_count) == (MoveState.DONE, 5, 0)
    assert {pinned(stage) for stage in stages} == {new}
    assert len(store_choice.list_choices(connection, [s.contract_id for s in stages])) == 10


BANDS = st.lists(
    st.tuples(st.integers(1, 2_000), st.integers(0, 10_000)), max_size=4, unique_by=lambda b: b[0]
)
PRICES = st.builds(
    lambda bands, last, flat_minor, floor, cap: Tariff(
        "EUR",
        (*(Band(*band) for band in sorted(bands)), Band(None, last)),
        flat_minor,
        floor,
        cap,
    ),
    BANDS,
    st.integers(0, 10_000),
    st.integers(0, 50),
    st.integers(0, 50),
    st.none() | st.integers(50, 500),
)


@given(PRICES, PRICES, st.integers(0, 3_000), st.lists(st.integers(1, 500), max_size=6))
def test_a_schedule_that_is_never_dearer_never_charges_more(
    new: Tariff, old: Tariff, billed: int, payments: list[int]
) -> None:
    """Each payment costs no more but for the minor unit that rounding may put into it."""
    if dearer_by(new, than=old) is not None:
        return

    for amount in payments:
        before = Before(billed)
        assert fee(new, amount, before) <= fee(old, amount, before) + 1
        billed += amount


def test_a_schedule_is_never_dearer_than_itself() -> None:
    """And cheaper in each part is cheaper."""
    given_prices = Tariff("EUR", TIERS, 30, 100, 9_000, 90_000)
    lower = Tariff("EUR", TIERS[1:], 0, 0, 8_000, 80_000)

    assert dearer_by(given_prices, than=given_prices) is None
    assert dearer_by(lower, than=given_prices) is None
    assert dearer_by(given_prices, than=lower) == "rate"
