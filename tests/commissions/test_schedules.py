"""Fee schedules: two people for each, none changed, none that cannot stand beside another."""

from datetime import timedelta

import pytest
from sqlalchemy import Connection

from commissions import service_schedule as service
from commissions import store
from commissions.commands import (
    DecideEnding,
    DecideSchedule,
    PrepareEnding,
    PrepareSchedule,
)
from commissions.model import Band, Mode, Scope, Side
from commissions.model_schedule import Limit, Promotion, ScheduleState
from kernel.ids import new_id
from kernel.principals import Actor, PrincipalKind
from tests.commissions.books import (
    START,
    TIERS,
    approve,
    draw_up,
    finance,
    hold,
    prepare,
    rows,
    tariff,
)

TABLES = ("fee_schedule", "fee_tariff", "fee_band", "fee_ending", "event")
DAY = timedelta(days=1)


def test_a_schedule_holds_once_a_second_person_approved_it(connection: Connection) -> None:
    """Prepared it is nothing yet; approved it reads back as it was written, in three currencies."""
    tariffs = (
        tariff("EUR", *TIERS, per_transaction_minor=30, floor_minor=100, cap_minor=90_000),
        tariff("JPY", Band(None, 1_250), cap_month_minor=5_000),
        tariff("KWD", Band(1_500, 0), Band(None, 10_000)),
    )
    command = draw_up(tariffs=tariffs, reason="the new prices")

    prepared = prepare(connection, command)
    before = store.read_book(connection)
    approved = approve(connection, command.schedule_id)
    after = store.read_book(connection)

    assert (prepared.facts["state"], approved.facts["state"]) == ("prepared", "approved")
    assert before[1] == []
    assert after[0] != before[0]
    assert after[1][0].schedule.tariffs == tariffs
    assert after[1][0].schedule.valid_from == START
    assert after[1][0].state is ScheduleState.APPROVED


def test_who_prepared_a_schedule_does_not_approve_it(connection: Connection) -> None:
    """Four eyes: refused by its own code, and it waits on."""
    command = draw_up()
    prepare(connection, command)
    before = rows(connection, TABLES)

    outcome = approve(connection, command.schedule_id, actor=command.actor)

    assert outcome.code == "fees.same_person"
    assert rows(connection, TABLES) == before
    assert store.read_book(connection)[1] == []


@pytest.mark.parametrize(
    "actor",
    [
        Actor(new_id(), PrincipalKind.KEY, None, is_operator=True),
        Actor(new_id(), PrincipalKind.PERSON, new_id(), is_operator=True),
        Actor(new_id(), PrincipalKind.PERSON),
    ],
    ids=["a key", "who speaks for a party", "no operator"],
)
def test_only_people_of_finance_keep_schedules(connection: Connection, actor: Actor) -> None:
    """Neither a program nor a party prepares, approves or withdraws."""
    command = draw_up()
    prepare(connection, command)

    codes = {
        prepare(connection, draw_up("mine", actor=actor)).code,
        approve(connection, command.schedule_id, actor=actor).code,
        service.withdraw(
            connection,
            [DecideSchedule(actor=actor, schedule_id=command.schedule_id)],
            at=START,
        )[0].code,
    }

    assert codes == {"fees.finance_only"}


BAD = {
    "a rate above one": (draw_up(tariffs=(tariff("EUR", Band(None, 10_001)),)), "above_amount"),
    "no band": (draw_up(tariffs=(tariff("EUR", Band(5, 10)),)), "bad_schedule"),
    "falling bands": (
        draw_up(tariffs=(tariff("EUR", Band(50, 10), Band(40, 5), Band(None, 1)),)),
        "bad_schedule",
    ),
    "no tariff": (draw_up(tariffs=()), "bad_schedule"),
    "a currency twice": (draw_up(tariffs=(tariff(), tariff())), "bad_schedule"),
    "a floor above the cap": (
        draw_up(tariffs=(tariff(floor_minor=2, cap_minor=1),)),
        "bad_schedule",
    ),
    "a name with a bar": (draw_up("a|b"), "bad_schedule"),
    "a plan with a bar": (draw_up(scope=Scope(plan="a|b")), "bad_schedule"),
    "no country": (draw_up(scope=Scope(country="de")), "bad_schedule"),
    "no basis": (draw_up(scope=Scope(basis="any")), "bad_schedule"),
    "no arm": (draw_up(scope=Scope(arm="spring")), "bad_schedule"),
    "no id": (draw_up(scope=Scope(client_id="me")), "bad_schedule"),
    "nobody's contract": (draw_up(scope=Scope(contract_id=str(new_id()))), "unknown_in_scope"),
    "nobody's client": (draw_up(scope=Scope(client_id=str(new_id()))), "unknown_in_scope"),
    "in the past": (draw_up(valid_from=START - DAY), "changes_the_past"),
    "never": (draw_up(valid_from=START + DAY, valid_to=START + DAY), "bad_schedule"),
    "cliffs per payment": (draw_up(mode=Mode.WHOLE_AMOUNT), "bad_schedule"),
    "a promotion without its rule": (draw_up(scope=Scope(promotion="spring")), "bad_schedule"),
    "a promotion of the client's fee": (
        draw_up(side=Side.CLIENT, scope=Scope(promotion="spring"), promotion=Promotion()),
        "bad_schedule",
    ),
    "a budget in no tariff": (
        draw_up(
            scope=Scope(promotion="spring"), promotion=Promotion(limits={"USD": Limit(1, None)})
        ),
        "bad_schedule",
    ),
    "nobody to replace": (draw_up(replaces=new_id()), "not_replaceable"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_no_schedule_may_be_is_refused(connection: Connection, name: str) -> None:
    """Each by its own code, and nothing is written."""
    command, code = BAD[name]
    before = rows(connection, TABLES)

    outcome = prepare(connection, command)

    assert outcome.code == f"fees.{code}"
    assert rows(connection, TABLES) == before


@pytest.mark.parametrize(
    ("bands", "why"),
    [
        (tuple(Band(end, 10) for end in (*range(1, 300), None)), "there are 1 to"),
        ((Band(5, 10),), "the last band, and it alone, has no end"),
        ((Band(None, 10), Band(None, 5)), "the last band, and it alone, has no end"),
        ((Band(50, 10), Band(50, 5), Band(None, 1)), "each band ends above the one before it"),
    ],
)
def test_bands_are_refused_by_what_is_wrong_with_them(
    connection: Connection, bands: tuple[Band, ...], why: str
) -> None:
    """Whoever wrote them learns what bands must be."""
    outcome = prepare(connection, draw_up(tariffs=(tariff("EUR", *bands),)))

    assert outcome.code == "fees.bad_schedule"
    assert outcome.facts["why"].startswith(why)


def test_a_currency_that_nobody_keeps_books_in_is_refused(connection: Connection) -> None:
    """By the code that money has for it."""
    outcome = prepare(connection, draw_up(tariffs=(tariff("XXX"),)))

    assert outcome.code == "money.unknown_currency"


def test_overlapping_schedules_are_refused_when_saved(connection: Connection) -> None:
    """The same side, scope and priority at one time; nothing is written of the second."""
    hold(connection)
    before = rows(connection, TABLES)

    outcome = prepare(connection, draw_up("other"))

    assert outcome.code == "fees.overlap"
    assert rows(connection, TABLES) == before


@pytest.mark.parametrize(
    "command",
    [
        draw_up("other", side=Side.CLIENT),
        draw_up("other", priority=1),
        draw_up("other", scope=Scope(origin="direct")),
        draw_up("other", tariffs=(tariff("JPY"),)),
    ],
    ids=["side", "priority", "scope", "currency"],
)
def test_schedules_that_differ_stand_side_by_side(
    connection: Connection, command: PrepareSchedule
) -> None:
    """Another side, priority, scope or currency is no overlap, in the database neither."""
    hold(connection)

    assert prepare(connection, command).is_done
    assert approve(connection, command.schedule_id).is_done


def test_a_tie_is_refused_when_saved(connection: Connection) -> None:
    """Two scopes that one deal may fit, of one rank; a priority decides."""
    hold(connection, scope=Scope(origin="direct"))

    tied = prepare(connection, draw_up("other", scope=Scope(country="DE")))
    decided = prepare(connection, draw_up("other", scope=Scope(country="DE"), priority=1))

    assert (tied.code, decided.code) == ("fees.tie", "done")


def test_two_in_one_batch_that_overlap_are_told_apart(connection: Connection) -> None:
    """The first is written, the second refused; its neighbour is not touched."""
    first, second, third = draw_up("a"), draw_up("b"), draw_up("c", priority=1)

    outcomes = service.prepare(connection, [first, second, third], at=START)

    assert [each.code for each in outcomes] == ["done", "fees.overlap", "done"]


def test_versions_of_a_name_are_counted(connection: Connection) -> None:
    """The second of a name is version 2, whatever its scope; another name begins at 1."""
    hold(connection)

    second = prepare(connection, draw_up(priority=1))
    other = prepare(connection, draw_up("other", priority=2))

    assert (second.facts["version"], other.facts["version"]) == (2, 1)


def test_a_withdrawn_schedule_is_out_of_the_way(connection: Connection) -> None:
    """What waits stands in the way of others; its own preparer may give it up, once."""
    command = draw_up()
    prepare(connection, command)
    decide = DecideSchedule(actor=command.actor, schedule_id=command.schedule_id)

    blocked = prepare(connection, draw_up("other"))
    withdrawn = service.withdraw(connection, [decide], at=START)[0]
    again = service.withdraw(connection, [decide], at=START)[0]

    assert (blocked.code, withdrawn.code, again.code) == (
        "fees.overlap",
        "done",
        "fees.wrong_state",
    )
    assert approve(connection, command.schedule_id).code == "fees.wrong_state"
    assert prepare(connection, draw_up("other")).is_done


def test_a_version_replaces_its_elder_on_its_first_day(connection: Connection) -> None:
    """One approval ends the one and begins the other, without a gap or an overlap."""
    elder = hold(connection)
    command = draw_up(replaces=elder, valid_from=START + DAY)

    assert prepare(connection, command).is_done
    assert approve(connection, command.schedule_id).is_done

    ends = {each.id: each.schedule.valid_to for each in store.read_book(connection)[1]}
    assert ends == {elder: START + DAY, command.schedule_id: None}
    (ending,) = store.list_endings(connection, elder)
    assert ending.approved_by != ending.prepared_by


def test_a_version_replaces_only_what_is_alike(connection: Connection) -> None:
    """Another scope or priority is no elder: both would hold."""
    elder = hold(connection)

    outcome = prepare(connection, draw_up(replaces=elder, priority=1))

    assert outcome.code == "fees.not_replaceable"


def test_a_schedule_ends_earlier_by_two_people(connection: Connection) -> None:
    """Never in the past, never later than planned, and not by one alone."""
    schedule_id = hold(connection, valid_to=START + 9 * DAY)
    one = finance()

    def propose(ends_at: timedelta) -> PrepareEnding:
        return PrepareEnding(
            actor=one, ending_id=new_id(), schedule_id=schedule_id, ends_at=START + ends_at
        )

    wanted = propose(3 * DAY)
    outcomes = service.prepare_ending(
        connection, [propose(-DAY), propose(9 * DAY), wanted], at=START
    )
    alone = DecideEnding(actor=one, ending_id=wanted.ending_id)
    same = service.approve_ending(connection, [alone], at=START)[0]
    other = DecideEnding(actor=finance(), ending_id=wanted.ending_id)
    late = service.approve_ending(connection, [other], at=START + 4 * DAY)[0]
    token = store.get_token(connection)
    approved = service.approve_ending(connection, [other], at=START + DAY)[0]

    assert [each.code for each in outcomes] == [
        "fees.changes_the_past",
        "fees.bad_schedule",
        "done",
    ]
    assert (same.code, late.code) == ("fees.same_person", "fees.changes_the_past")
    assert approved.is_done
    assert store.read_book(connection)[1][0].schedule.valid_to == START + 3 * DAY
    assert store.get_token(connection) != token


def test_a_schedule_is_not_approved_for_a_time_that_is_over(connection: Connection) -> None:
    """Approved too late it would have held before anybody said so."""
    command = draw_up(valid_from=START + DAY)
    prepare(connection, command)

    outcome = approve(connection, command.schedule_id, START + 2 * DAY)

    assert outcome.code == "fees.changes_the_past"
