"""What is offered as open is not refused; what is blocked says the very code; no one else may."""

from collections.abc import Iterator
from dataclasses import fields
from typing import Any, Final
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from sqlalchemy import Connection, Engine

from escrow.model import Terms
from escrow.service_options import SUBJECTS, find, options
from kernel.commands import Command, Outcome
from kernel.database import Tenant, enter
from kernel.options import Option, Way
from kernel.principals import Actor
from tests.escrow.every_scene import SCENES
from tests.escrow.scenes import Scene, of
from tests.escrow.stage import Stage
from tests.escrow.test_wandering import ACTS, deals, walks

TABLES: Final = {"week": "work_week", "period": "retainer_period"}
_NEW_IDS: Final = frozenset(
    {"funding_id", "amendment_id", "dispute_id", "write_off_id", "appeal_id"}
    | {"drawdown_id", "over_id", "milestones", "line_dispute_id"}
)


ALWAYS: Final = frozenset({"client", "payee", "operator", "system"})
JUDGED: Final = frozenset({"dispute", "claim", "week", "line_dispute", "chargeback"})
"""Where it matters whether an operator is a person, and which."""

COMMON: Final = frozenset({("contract", "active"), ("funding", "succeeded")})
"""What stands in nearly every scene is tried in every fourth."""


def every_subject(connection: Connection) -> Iterator[tuple[str, Any]]:
    """All that has a machine, as it stands."""
    for kind in SUBJECTS:
        table = TABLES.get(kind, kind)
        for subject_id in connection.exec_driver_sql(
            f"SELECT id FROM {table} ORDER BY id"
        ).scalars():
            row = find(connection, kind, subject_id)
            assert row is not None
            yield kind, row


def one_of_each(connection: Connection) -> list[tuple[str, Any]]:
    """Every kind of subject in every state that it is in here; the newest of each."""
    return list(
        {(kind, row.state): (kind, row) for kind, row in every_subject(connection)}.values()
    )


def try_out(
    connection: Connection, kind: str, row_id: UUID, way: Way, command: Command, scene: Scene
) -> tuple[Outcome, str]:
    """Execute a command for good in a savepoint, look at the state after it, and take it back."""
    point = connection.begin_nested()
    (outcome,) = way.service(connection, [command], at=scene.now)
    after = find(connection, kind, row_id)
    assert after is not None
    state = str(after.state)
    point.rollback()
    return outcome, state


def follows(kind: str, state: str) -> set[str]:
    """The state itself, and where the engine takes it on at once."""
    on = {
        str(row.to)
        for (start, _), row in SUBJECTS[kind].machine.items()
        if str(start) == state and any(str(role) == "system" for role in row.who)
    }
    return {state, *on}


def same(first: Command, second: Command) -> bool:
    """Whether two commands ask for the same thing, new ids aside."""
    names = [each.name for each in fields(first) if each.name not in _NEW_IDS]
    return type(first) is type(second) and all(
        getattr(first, name) == getattr(second, name) for name in names
    )


def check_option(
    connection: Connection, kind: str, row: Any, option: Option, scene: Scene, who: str
) -> None:
    """One of the caller's own: the answer of the rehearsal is the answer."""
    assert option.way is not None
    assert option.command is not None
    assert option.answer is not None
    outcome, state = try_out(connection, kind, row.id, option.way, option.command, scene)
    place = f"{who}: {option.trigger} of {kind} in {row.state}"
    assert option.answer.code == outcome.code, (place, option.answer, outcome)
    if not outcome.is_done:
        assert state == str(row.state), place
    elif not option.way.is_half(option.command):
        assert state in follows(kind, option.leads_to), place


def check_rest(
    connection: Connection, kind: str, row: Any, mine: list[Option], scene: Scene, actor: Actor
) -> None:
    """What is not offered is refused."""
    subject = SUBJECTS[kind]
    births = {trigger: way for trigger, (_, way) in subject.births.items()}
    for trigger, way in {**subject.ways, **births}.items():
        command = way.command(connection, actor, row)
        is_half = way.is_half(command) and trigger not in births
        if is_half or not way.applies(connection, row, actor):
            continue
        if any(each.command and same(each.command, command) for each in mine):
            continue
        outcome, _ = try_out(connection, kind, row.id, way, command, scene)
        assert not outcome.is_done, (actor, str(trigger), kind, row.state)


@pytest.mark.parametrize("name", sorted(SCENES))
def test_an_action_is_open_if_and_only_if_it_is_not_refused(
    connection: Connection, name: str
) -> None:
    """For every subject and everybody: offered and open is done, blocked gives its very code."""
    scene = SCENES[name](connection)
    is_fourth = sorted(SCENES).index(name) % 4 == 0

    for number, (kind, row) in enumerate(one_of_each(connection)):
        if (kind, str(row.state)) in COMMON and not is_fourth:
            continue
        actors = {
            who: actor
            for who, actor in scene.actors.items()
            if who in ALWAYS or kind in JUDGED or is_fourth
        }
        for order, (who, actor) in enumerate(actors.items()):
            seen = options(connection, kind, row, actor=actor, at=scene.now)
            mine = [each for each in seen if each.is_yours]
            for option in mine:
                check_option(connection, kind, row, option, scene, who)
            if (number + len(name)) % len(actors) == order:  # each in his turn
                check_rest(connection, kind, row, mine, scene, actor)


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(walks, deals)
def test_it_holds_wherever_a_deal_has_wandered(
    engine: Engine, tenant: Tenant, walk: list[tuple[int, int]], terms: Terms
) -> None:
    """After any walk of up to forty acts, each done or refused, what is open is what works."""
    with engine.connect() as connection, connection.begin() as transaction:
        enter(connection, tenant)
        stage = Stage(connection, terms=terms, amounts=(1_000, 333, 1))
        assert stage.propose().is_done
        assert stage.accept().is_done
        for slot_id in stage.slot_ids[:2]:
            stage.slot_id = slot_id
            assert stage.fund(3).is_done
        for number, size in walk:
            ACTS[number](stage, size)
        scene = of(stage)

        for kind, row in one_of_each(connection):
            for who in ("client", "payee", "operator", "system"):
                actor = scene.actors[who]
                for option in options(connection, kind, row, actor=actor, at=scene.now):
                    if option.is_yours:
                        check_option(connection, kind, row, option, scene, who)
        transaction.rollback()


def test_a_look_at_a_pairs_first_deal_leaves_no_counter_behind(connection: Connection) -> None:
    """Who never billed has no row to lock: a rehearsal makes none, as a snapshot could not."""
    stage = Stage(connection, amounts=(10_000,)).submitted()
    scene = of(stage)
    counters = "SELECT count(*) FROM pair_billing WHERE client_id = %s"
    whose = (scene.actors["client"].party_id,)

    row = find(connection, "slot", stage.slot_id)
    assert row is not None
    seen = options(connection, "slot", row, actor=scene.actors["client"], at=scene.now)

    assert {str(each.trigger) for each in seen if each.is_yours and each.answer} >= {"approve"}
    assert connection.exec_driver_sql(counters, whose).scalar_one() == 0


def test_the_scenes_show_every_state_of_every_machine(connection: Connection) -> None:
    """No state of a subject is left out."""
    seen = set()
    for build in SCENES.values():
        point = connection.begin_nested()
        build(connection)
        seen |= {(kind, str(row.state)) for kind, row in every_subject(connection)}
        point.rollback()

    there_are = {
        (kind, str(state))
        for kind, subject in SUBJECTS.items()
        for (start, _), row in subject.machine.items()
        for state in (start, row.to)
        if state is not None
    }

    assert there_are - seen == set()


def test_whatever_people_may_do_can_be_asked_for() -> None:
    """Every row of a table that is a person's has a way, so that it is never offered in vain."""
    people = {"client", "payee", "operator"}

    missing = {
        (kind, str(trigger))
        for kind, subject in SUBJECTS.items()
        for (start, trigger), row in subject.machine.items()
        if start is not None and people & {str(role) for role in row.who}
        if trigger not in subject.ways
    }

    assert missing == {("period", "cancel")}, "a period ends with its retainer"
