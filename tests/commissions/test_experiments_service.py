"""Experiments: two people for each, arms that stay, contracts that keep what they pinned."""

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection

from commissions import store_experiments as store
from commissions.experiments import Arm, Experiment, assign
from commissions.model import Band, Scope
from commissions.model_experiments import State, UnitKind, unit_key
from commissions.service_experiments import Joined, Unit, arms_for, pin_arms
from commissions.service_experiments_desk import LOOK, LOOK_EVERY, look, readout
from kernel import timers
from kernel.errors import Broken
from kernel.ids import new_id
from kernel.money import parse_minor
from kernel.principals import SYSTEM, Actor, PrincipalKind
from tests.commissions.books import START, hold, rows, tariff
from tests.commissions.trials import (
    ARMS,
    accept,
    draw_up,
    move,
    pair,
    prepare,
    price,
    propose,
    settle,
    started,
)
from tests.escrow.stage import Stage

TABLES = (
    "experiment",
    "experiment_arm",
    "experiment_unit",
    "experiment_contract",
    "event",
    "timer",
)
DAY = timedelta(days=1)
LAUNCH = Experiment("launch", ARMS, 1_000)


def by_hash(unit: Unit, experiment: Experiment = LAUNCH) -> str:
    """The arm of a pair, reckoned without the database."""
    key = unit_key(UnitKind.PAIR, client_id=unit.client_id, payee_id=unit.payee_id)
    return f"{experiment.name}/{assign(experiment, key) or 'holdout'}"


def test_an_experiment_is_started_by_a_second_person(connection: Connection) -> None:
    """Prepared it has no arm for anybody; started it has one for all, also for those held out."""
    command = draw_up(reason="is less more?")
    price(connection)

    prepared = prepare(connection, command)
    before = arms_for(connection, [pair(1)], START)
    running = move(connection, "start", command.experiment_id)

    assert (prepared.facts["state"], running.facts["state"]) == ("prepared", "running")
    assert running.facts["arms"] == [
        {"name": "control", "share_bps": 4_000},
        {"name": "low", "share_bps": 4_000},
        {"name": "holdout", "share_bps": 2_000},
    ]
    assert before == [frozenset()]
    assert arms_for(connection, [pair(1)], START) == [frozenset({by_hash(pair(1))})]
    assert store.list_studies(connection, after=None, limit=9, state=State.RUNNING)[0].reason == (
        "is less more?"
    )


def test_who_prepared_an_experiment_neither_starts_nor_decides_it(connection: Connection) -> None:
    """Four eyes: refused by its own code, and nothing is written."""
    command = draw_up()
    price(connection)
    prepare(connection, command)
    before = rows(connection, TABLES)

    alone = move(connection, "start", command.experiment_id, actor=command.actor)
    assert (alone.code, rows(connection, TABLES)) == ("experiment.same_person", before)

    assert move(connection, "start", command.experiment_id).is_done
    assert move(connection, "stop", command.experiment_id, actor=command.actor).is_done
    before = rows(connection, TABLES)
    alone = move(connection, "decide", command.experiment_id, actor=command.actor)
    assert (alone.code, rows(connection, TABLES)) == ("experiment.same_person", before)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"arms": (Arm("control", 10_000),)}, "fees.bad_experiment"),
        ({"arms": (Arm("control", 5_000), Arm("holdout", 5_000))}, "fees.bad_experiment"),
        ({"name": "a/b"}, "fees.bad_experiment"),
        ({"stop_after_units": 0}, "fees.bad_experiment"),
        ({"harm_bps": 10_001}, "fees.bad_experiment"),
        ({"quiet_days": 0}, "fees.bad_experiment"),
        ({"name": "taken"}, "experiment.name_taken"),
        ({"actor": Actor(new_id(), PrincipalKind.KEY, None, True)}, "experiment.people_only"),
        ({"actor": Actor(new_id(), PrincipalKind.PERSON)}, "experiment.people_only"),
        ({"actor": SYSTEM}, "experiment.people_only"),
    ],
)
def test_what_is_no_experiment_is_refused(
    connection: Connection, fields: dict[str, Any], code: str
) -> None:
    """By its code, and nothing is written."""
    assert prepare(connection, draw_up("taken")).is_done
    before = rows(connection, TABLES)

    refused = prepare(connection, draw_up(**fields))

    assert (refused.code, rows(connection, TABLES)) == (code, before)


ALLOWED = {
    (State.PREPARED, "withdraw"),
    (State.PREPARED, "start"),
    (State.RUNNING, "stop"),
    (State.STOPPED, "decide"),
}
WAYS: dict[State, tuple[str, ...]] = {
    State.PREPARED: (),
    State.WITHDRAWN: ("withdraw",),
    State.RUNNING: ("start",),
    State.STOPPED: ("start", "stop"),
    State.DECIDED: ("start", "stop", "decide"),
}


@pytest.mark.parametrize("verb", ["withdraw", "start", "stop", "decide"])
@pytest.mark.parametrize("state", list(State))
def test_each_state_allows_its_verbs_alone(connection: Connection, state: State, verb: str) -> None:
    """Every state with every verb; outside the table it is refused and nothing is written."""
    command = draw_up()
    price(connection)
    prepare(connection, command)
    for each in WAYS[state]:
        assert move(connection, each, command.experiment_id).is_done
    before = rows(connection, TABLES)

    outcome = move(connection, verb, command.experiment_id)

    assert outcome.is_done == ((state, verb) in ALLOWED)
    if not outcome.is_done:
        assert (outcome.code, rows(connection, TABLES)) == ("experiment.wrong_state", before)


def test_other_refusals_name_themselves(connection: Connection) -> None:
    """An unknown one, an arm without a price, no reason, an arm that there is not, a party."""
    command = draw_up()
    prepare(connection, command)
    which = command.experiment_id

    assert move(connection, "start", new_id()).code == "experiment.unknown"
    unpriced = move(connection, "start", which)
    assert (unpriced.code, unpriced.facts) == ("experiment.no_price", {"arm": "launch/low"})
    price(connection)
    assert move(connection, "start", which).is_done
    assert move(connection, "stop", which, reason=" ").code == "experiment.reason_missing"
    party = Actor(new_id(), PrincipalKind.PERSON, new_id(), is_operator=True)
    assert move(connection, "stop", which, actor=party).code == "experiment.people_only"
    assert move(connection, "stop", which).is_done
    assert move(connection, "decide", which, arm="high").code == "experiment.unknown_arm"
    assert move(connection, "decide", which, reason="").code == "experiment.reason_missing"
    decided = move(connection, "decide", which, arm="low")
    assert (decided.facts["decided_arm"], decided.facts["decision"]) == ("low", "as agreed")


def test_units_get_the_arm_of_their_hash_by_their_shares(connection: Connection) -> None:
    """2,000 pairs, always the same: near four, four and two in ten; asking writes nothing."""
    started(connection)
    units = [pair(number) for number in range(2_000)]
    before = rows(connection, TABLES)

    arms = arms_for(connection, units, START)

    assert arms == [frozenset({by_hash(unit)}) for unit in units]
    assert arms_for(connection, units[::-1], START) == arms[::-1]
    assert rows(connection, TABLES) == before
    counted = Counter(arm for each in arms for arm in each)
    wanted = {"launch/control": 800, "launch/low": 800, "launch/holdout": 400}
    # Two degrees of freedom: one in a thousand lies above 13.82. The pairs are the same each run.
    assert sum((counted[arm] - of) ** 2 * 100 // of for arm, of in wanted.items()) < 1_382


def test_a_contract_is_pinned_and_its_unit_keeps_its_arm(connection: Connection) -> None:
    """Recorded at acceptance; a second contract has the same arm, also when the first ended."""
    which = started(connection)
    units = [pair(number) for number in range(12)]
    settle(connection, units)

    first = [accept(connection, propose(connection, unit)) for unit in units]
    second = [accept(connection, propose(connection, unit)) for unit in units]

    assert first == second == [frozenset({by_hash(unit)}) for unit in units]
    pinned = connection.exec_driver_sql(
        "SELECT c.unit_key, u.arm, count(*) FROM experiment_contract c"
        " JOIN experiment_unit u USING (experiment_id, unit_key) WHERE c.experiment_id = %s"
        " GROUP BY 1, 2",
        (which,),
    ).all()
    assert {tuple(row) for row in pinned} == {
        (f"{unit.client_id}:{unit.payee_id}", by_hash(unit).split("/")[1], 2) for unit in units
    }


def test_a_stopped_experiment_assigns_nobody_new_and_takes_nothing_away(
    connection: Connection,
) -> None:
    """Who joined keeps his arm, until it is decided; then nobody has one."""
    which = started(connection)
    old, new = pair(1), pair(2)
    settle(connection, [old, new])
    joined = accept(connection, propose(connection, old))

    assert move(connection, "stop", which).is_done
    again = accept(connection, propose(connection, old))
    assert (again, joined) == (frozenset({by_hash(old)}),) * 2
    assert accept(connection, propose(connection, new)) == frozenset()

    assert move(connection, "decide", which).is_done
    assert arms_for(connection, [old, new], START) == [frozenset(), frozenset()]
    late = Joined(propose(connection, old).contract_id, old, joined)
    with pytest.raises(Broken):
        pin_arms(connection, [late], START)


def test_a_client_is_in_one_arm_with_all_of_his_payees(connection: Connection) -> None:
    """Where the unit is the client, his payees do not matter; where it is the pair, they do."""
    started(connection, "house", unit=UnitKind.CLIENT)
    started(connection)
    units = [Unit(pair(1).client_id, pair(number).payee_id) for number in range(40)]
    settle(connection, units)

    arms = arms_for(connection, units, START)

    of_client = {arm for each in arms for arm in each if arm.startswith("house/")}
    assert len(of_client) == 1
    assert len({arm for each in arms for arm in each if arm.startswith("launch/")}) == 3
    assert all(len(each) == 2 for each in arms)
    for unit in units[:2]:
        assert accept(connection, propose(connection, unit)) >= of_client
    joined = "SELECT count(*), count(payee_id) FROM experiment_unit"
    assert connection.exec_driver_sql(joined).one() == (3, 2)


@pytest.mark.parametrize(
    ("currency", "amount_minor", "tenth", "third"),
    [("EUR", 10_000, 1_000, 3_000), ("JPY", 7_777, 778, 2_333), ("KWD", 12_345, 1_235, 3_703)],
)
def test_no_experiment_touches_a_contract_that_runs(
    connection: Connection, currency: str, amount_minor: int, tenth: int, third: int
) -> None:
    """Start, stop and decide leave its row, its pins and its fee alone; only new ones differ.

    Before the experiment a tenth is taken, in its arm three tenths: a contract pays for life what
    held when it was accepted. The odd half of 3,703.5 was rounded up in what was billed before.
    """
    unit = next(pair(n) for n in range(99) if by_hash(pair(n)) == "launch/low")
    settle(connection, [unit])
    hold(connection, tariffs=(tariff(currency),))
    dear = tariff(currency, Band(None, 3_000))
    hold(connection, "dear", scope=Scope(arm="launch/low"), tariffs=(dear,))
    before = propose(connection, unit, currency=currency, amount_minor=amount_minor)
    accept(connection, before)
    command = draw_up()
    prepare(connection, command)
    assert move(connection, "start", command.experiment_id).is_done
    within = propose(connection, unit, currency=currency, amount_minor=amount_minor)
    accept(connection, within)
    kept = kept_of(connection)

    for verb in ("stop", "decide"):
        assert move(connection, verb, command.experiment_id).is_done
        assert kept_of(connection) == kept
    after = propose(connection, unit, currency=currency, amount_minor=amount_minor)
    accept(connection, after)

    assert [commission_minor(stage) for stage in (before, within, after)] == [tenth, third, tenth]


def kept_of(connection: Connection) -> list[Any]:
    """Every contract with its pins, and every choice of fees."""
    return [
        connection.exec_driver_sql(f"SELECT * FROM {table} ORDER BY 1, 2").all()
        for table in ("contract", "fee_choice", "experiment_contract")
    ]


def commission_minor(stage: Stage) -> int:
    """What we take of all of a contract's money."""
    assert stage.fund().is_done
    assert stage.submit().is_done
    told = stage.approve().facts["commission"]
    return parse_minor(told["amount"], told["currency"])


def test_the_rule_stops_an_experiment_that_has_its_units(connection: Connection) -> None:
    """Looked at each day: while an arm lacks units it runs on, then the engine stops it."""
    units = {by_hash(pair(n)): pair(n) for n in range(99)}
    settle(connection, list(units.values()))
    which = started(connection, stop_after_units=1)
    accept(connection, propose(connection, units["launch/low"]))

    assert ring(connection, days=1) == 1
    found = readout(connection, which, at=START + DAY)
    assert found is not None
    assert (found[0].state, found[2]) == (State.RUNNING, None)

    accept(connection, propose(connection, units["launch/control"]))
    assert ring(connection, days=2) == 1
    study = store.find_study(connection, which)
    assert study is not None
    assert (study.state, study.stop_why) == (State.STOPPED, "rule: units")
    assert study.stopped_by == SYSTEM.principal_id
    assert ring(connection, days=9) == 0
    assert move(connection, "stop", which).code == "experiment.wrong_state"


def ring(connection: Connection, *, days: int) -> int:
    """Fire the looks that are due by then."""
    at = START + LOOK_EVERY * days
    waiting = timers.list_due(connection, at=at, limit=9, grace=timedelta())
    return look(connection, [each for each in waiting if each.kind == LOOK], at)


def test_a_batch_answers_each_command(connection: Connection) -> None:
    """One that is refused does not touch its neighbours; the same name is taken once."""
    commands = [draw_up("one"), draw_up("a/b"), draw_up("one"), draw_up("two")]

    codes = [prepare(connection, command).code for command in commands]

    assert codes == ["done", "fees.bad_experiment", "experiment.name_taken", "done"]
    page = store.list_studies(connection, after=None, limit=9)
    assert {each.experiment.name for each in page} == {"one", "two"}
    assert page == sorted(page, key=lambda each: each.id)
    assert store.list_studies(connection, after=page[0].id, limit=9) == page[1:]
