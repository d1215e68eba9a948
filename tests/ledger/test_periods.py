"""The life of a period through its services: who may do what, when, and what stands against it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from uuid import UUID

import orjson
import pytest
from sqlalchemy import Connection, text

from kernel import timers
from kernel.commands import Outcome
from kernel.errors import Refusal
from kernel.principals import RAIL, SYSTEM, Actor, PrincipalKind
from kernel.timers import Arm
from ledger import periods, store_periods
from ledger.chart import account
from ledger.commands import Reverse
from ledger.correction import reverse
from ledger.model import Posted
from ledger.model_periods import Act, State
from ledger.periods import ClosePeriod, PeriodCommand
from ledger.proof import prove
from ledger.rules_periods import TRANSITIONS
from ledger.seal import seal
from ledger.service import post
from tests.ledger.drafts import bank, fund, move, wallet
from tests.ledger.period_rows import (
    ANN,
    APRIL,
    BOB,
    IN_APRIL,
    IN_MARCH,
    IN_MAY,
    MARCH,
    act_by_hand,
    add_period,
    ask,
    close,
    one,
    period_row,
    reopen,
    soft_close,
)

KEY = Actor(UUID(int=73), PrincipalKind.KEY, is_operator=True)
CLERK = Actor(UUID(int=74), PrincipalKind.PERSON)
FOR_A_PARTY = replace(ANN, party_id=UUID(int=75))
TAKE: dict[Act, Callable[..., Outcome]] = {
    Act.SOFT_CLOSE: soft_close,
    Act.CLOSE: close,
    Act.ASK_REOPENING: ask,
    Act.REOPEN: reopen,
}


def sealed(connection: Connection) -> None:
    """Seal what this very transaction wrote, too."""
    seal(connection, at=datetime.now(UTC))


def march_closed(connection: Connection) -> int:
    """March with 10.00 EUR in it, closed by Ann."""
    post(connection, [fund(1_000, wallet("ann"), at=IN_MARCH)])
    period_id = march(connection)
    assert soft_close(connection, period_id).is_done
    sealed(connection)
    assert close(connection, period_id).is_done
    return period_id


def march(connection: Connection) -> int:
    period = store_periods.find_at(connection, IN_MARCH)
    assert period is not None
    return period.id


def brought_to(connection: Connection, state: State) -> int:
    """A March in this state, with a question to reopen it where it is closed."""
    if state is State.OPEN:
        return add_period(connection, MARCH)
    if state is State.SOFT_CLOSED:
        period_id = add_period(connection, MARCH)
        assert soft_close(connection, period_id).is_done
        return period_id
    period_id = march_closed(connection)
    assert ask(connection, period_id).is_done
    if state is State.REOPENED:
        assert reopen(connection, period_id).is_done
    sealed(connection)
    return period_id


@pytest.mark.parametrize(("state", "act"), list(product(State, Act)), ids=str)
@pytest.mark.parametrize(
    "actor",
    [BOB, KEY, CLERK, FOR_A_PARTY, SYSTEM, RAIL],
    ids=["bob", "key", "clerk", "for a party", "system", "rail"],
)
def test_a_period_moves_by_its_table_and_finance_people_alone(
    connection: Connection, state: State, act: Act, actor: Actor
) -> None:
    """In the table it moves, outside it and for anyone but a person of finance it is refused."""
    period_id = brought_to(connection, state)
    before = period_row(connection, period_id)

    outcome = TAKE[act](connection, period_id, actor=actor)

    step = TRANSITIONS.get((state, act))
    if actor is BOB and step is not None:
        assert outcome.is_done
        assert period_row(connection, period_id)["state"] == step.to
    else:
        expected = "period.wrong_state" if actor is BOB else "period.finance_only"
        assert outcome.code == expected
        assert period_row(connection, period_id) == before


def test_the_database_has_the_same_table(connection: Connection) -> None:
    """`period_step` is the transition table, row by row."""
    rows = connection.exec_driver_sql(
        "SELECT from_state, act, to_state, event_kind FROM period_step"
    )

    assert {tuple(row) for row in rows} == {
        (state.value, act.value, step.to.value, step.event_kind)
        for (state, act), step in TRANSITIONS.items()
    }


def test_a_running_period_is_not_closed(connection: Connection) -> None:
    """Closing the month that runs would stop every machine: it waits a minute after its end."""
    period_id = add_period(connection, APRIL)
    ends = datetime(2026, 5, 1, tzinfo=UTC)

    early = soft_close(connection, period_id, at=ends + timedelta(seconds=59))
    later = soft_close(connection, period_id, at=ends + timedelta(seconds=60))

    assert (early.code, later.is_done) == ("period.not_over", True)


def test_a_closing_keeps_the_trial_balance_and_its_hash(connection: Connection) -> None:
    """What was there before, what came and went, what is left; the event holds the hash."""
    post(connection, [fund(300, wallet("ann"), at=IN_MARCH - timedelta(days=28))])
    february = store_periods.find_at(connection, IN_MARCH - timedelta(days=28))
    assert february is not None
    post(connection, [fund(1_000, wallet("ann"), at=IN_MARCH)])
    post(connection, [fund(7, wallet("ann"), at=IN_APRIL)])
    for period_id in (february.id, march(connection)):
        assert soft_close(connection, period_id).is_done
        sealed(connection)
        outcome = close(connection, period_id)
        assert outcome.is_done

    (closing,) = store_periods.list_closings(connection, march(connection))
    rows = {row["kind"]: row for row in orjson.loads(closing.trial_balance)["rows"]}
    event = connection.exec_driver_sql(
        "SELECT detail FROM event WHERE kind = 'period.closed' ORDER BY id DESC LIMIT 1"
    ).scalar_one()

    named = ("opening", "debit", "credit", "closing")
    assert [rows["custody.bank"][name] for name in named] == ["300", "1000", "0", "1300"]
    assert [rows["custody.wallet"][name] for name in named] == ["-300", "0", "1000", "-1300"]
    assert orjson.loads(event)["trial_balance_sha256"] == closing.trial_balance_sha256.hex()
    assert outcome.facts["closing"]["log_root"] is not None
    assert periods.check_closings(connection) == []


def test_what_is_not_sealed_is_not_closed(connection: Connection) -> None:
    """A batch that counts before the end and waits for the sealer stands against the closing."""
    post(connection, [fund(1_000, wallet("ann"), at=IN_MARCH)])
    period_id = march(connection)
    soft_close(connection, period_id)

    refused = close(connection, period_id)
    sealed(connection)

    assert (refused.code, refused.facts) == ("period.not_sealed", {"batches": 1})
    assert close(connection, period_id).is_done


def test_an_earlier_period_is_closed_first_and_reopened_last(connection: Connection) -> None:
    """Closed periods stand before all others, so that no opening balance changes behind one."""
    post(connection, [fund(1, wallet("a"), at=IN_MARCH), fund(1, wallet("a"), at=IN_APRIL)])
    first = march(connection)
    second = store_periods.find_at(connection, IN_APRIL)
    assert second is not None
    for period_id in (first, second.id):
        soft_close(connection, period_id)
    sealed(connection)

    early = close(connection, second.id)
    assert close(connection, first).is_done
    assert close(connection, second.id).is_done
    behind = ask(connection, first)
    before = post(connection, [fund(1, wallet("a"), at=IN_MARCH - timedelta(days=40))])

    assert early.facts == {"periods": [str(first)]}
    assert (early.code, behind.code) == ("period.earlier_not_closed", "period.later_closed")
    assert isinstance(before[0], Refusal)
    assert before[0].facts["open_from"] == "2026-05-01T00:00:00+00:00"


def test_findings_timers_and_halves_stand_against_a_closing(connection: Connection) -> None:
    """A finding of the proof, a timer that did not fire, half a conversion: each by its code."""
    half = account("custody.fx", "EUR")
    post(connection, [move(5, bank(), half, at=IN_MARCH)])
    period_id = march(connection)
    soft_close(connection, period_id)
    sealed(connection)
    found = ClosePeriod(actor=ANN, period_id=period_id, findings=("a line is missing",))
    proven = ClosePeriod(actor=ANN, period_id=period_id)

    by_others = one(periods.close(connection, [found], at=IN_MAY))
    by_us = one(periods.close(connection, [proven], at=IN_MAY))
    halves = close(connection, period_id)
    timers.arm(connection, [Arm("slot:x", "escrow.auto_release", IN_MARCH, 1)])
    due = close(connection, period_id)

    assert by_others.facts == {"findings": ["a line is missing"]}
    assert (by_others.code, by_us.code) == ("period.not_proven", "period.not_proven")
    assert (halves.code, due.code) == ("period.conversion_open", "period.timers_due")
    assert period_row(connection, period_id)["state"] == "soft_closed"


def test_suspense_is_noted_and_not_refused(connection: Connection) -> None:
    """Money that nobody has claimed yet may outlast a month; the closing says so."""
    post(connection, [move(5, bank(), account("custody.suspense", "EUR"), at=IN_MARCH)])
    period_id = march(connection)
    soft_close(connection, period_id)
    sealed(connection)

    outcome = close(connection, period_id)

    assert outcome.facts["closing"]["warnings"] == ["custody.suspense EUR stands at -5"]


def test_a_reopening_takes_two_people_a_reason_and_no_longer_than_three_days(
    connection: Connection,
) -> None:
    """Not without a question, not by who asked, not when it is old, not without a reason."""
    period_id = march_closed(connection)
    silent = PeriodCommand(actor=BOB, period_id=period_id, reason=" ")

    unasked = reopen(connection, period_id)
    assert ask(connection, period_id, actor=ANN).is_done
    same = reopen(connection, period_id, actor=ANN)
    late = reopen(connection, period_id, at=IN_MAY + timedelta(hours=72))
    without = one(periods.reopen(connection, [silent], at=IN_MAY))
    done = reopen(connection, period_id)

    codes = [unasked.code, same.code, late.code, without.code, done.code]
    assert codes == [
        "period.reopening_not_asked",
        "period.same_person",
        "period.reopening_not_asked",
        "period.reason_missing",
        "done",
    ]
    assert done.facts["asked_by"] == str(ANN.principal_id)


def test_the_next_closing_is_the_next_version_and_the_old_one_stays(connection: Connection) -> None:
    """A question answers one closing: the second one needs a question of its own."""
    period_id = march_closed(connection)
    ask(connection, period_id)
    reopen(connection, period_id)
    sealed(connection)

    outcome = close(connection, period_id)
    again = reopen(connection, period_id)

    versions = [each.version for each in store_periods.list_closings(connection, period_id)]
    assert (outcome.facts["version"], versions) == (2, [1, 2])
    assert again.code == "period.reopening_not_asked"
    assert periods.check_closings(connection) == []


def test_a_late_fact_counts_in_the_open_period_and_shows_its_date(connection: Connection) -> None:
    """A refusal says from when on an entry is taken; `redated` moves it there."""
    act_by_hand(connection, add_period(connection, MARCH), "soft_close")
    late = fund(5, wallet("ann"), at=IN_MARCH)

    (refused,) = post(connection, [late])
    (moved,) = periods.redated(connection, [late])
    (posted,) = post(connection, [moved])

    assert isinstance(refused, Refusal)
    assert (
        refused.facts["open_from"] == moved.effective_at.isoformat() == "2026-04-01T00:00:00+00:00"
    )
    assert moved.detail["original_effective_at"] == IN_MARCH.isoformat()
    assert isinstance(posted, Posted)


def test_a_reversal_counts_in_an_open_period_and_the_original_keeps_its_own(
    connection: Connection,
) -> None:
    """Statement 14: into the closed month it is refused, without a date it counts now."""
    (posted,) = post(connection, [fund(1_000, wallet("ann"), at=IN_MARCH)])
    assert isinstance(posted, Posted)
    period_id = march(connection)
    soft_close(connection, period_id)
    sealed(connection)
    close(connection, period_id)
    undo = Reverse(actor=SYSTEM, event_id=posted.event_id, reason="twice")

    into = one(reverse(connection, [replace(undo, effective_at=IN_MARCH)], at=IN_MAY))
    now = one(reverse(connection, [undo], at=IN_MAY))

    times = connection.execute(
        text("SELECT effective_at FROM event WHERE entry_count > 0 ORDER BY id")
    ).scalars()
    assert (into.code, now.is_done) == ("ledger.period_not_open", True)
    assert list(times) == [IN_MARCH, IN_MAY]
    assert periods.check_closings(connection) == []


def test_a_closing_that_was_altered_does_not_tie(owner_connection: Connection) -> None:
    """The recount tells which closing is not what the journal says."""
    period_id = march_closed(owner_connection)
    owner_connection.exec_driver_sql("ALTER TABLE period_closing DISABLE TRIGGER USER")
    owner_connection.exec_driver_sql(
        "UPDATE period_closing SET trial_balance = replace(trial_balance, '1000', '1001'),"
        " trial_balance_sha256 = sha256(convert_to(replace(trial_balance, '1000', '1001'), 'UTF8'))"
    )

    (found,) = periods.check_closings(owner_connection)

    assert found == f"closing 1 of period {period_id} does not tie with its recount"


def test_the_proof_tells_a_period_that_moved_without_an_act(owner_connection: Connection) -> None:
    """Whoever switches the guards off is found by the next proof."""
    period_id = add_period(owner_connection, MARCH)
    assert prove(owner_connection).is_clean
    owner_connection.exec_driver_sql("ALTER TABLE period DISABLE TRIGGER USER")
    owner_connection.exec_driver_sql("UPDATE period SET state = 'closed', version = 1")

    (finding,) = prove(owner_connection).findings

    assert finding.examples == (f"period {period_id} is closed in version 1 after act 0",)
