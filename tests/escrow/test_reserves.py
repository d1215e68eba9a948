"""A part of a release is kept back for a while; and what a rail may keep only so long."""

from datetime import timedelta
from typing import Any

import orjson
import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from engine.handlers import TIMERS, hear_fundings
from escrow import service_reserve, store_reserve
from escrow.model import Method, Role
from escrow.model_claim import ClaimCause
from escrow.model_clocks import ReserveState, SetHoldLimit, SetReserveRule
from escrow.rules_claims import new_claim
from escrow.store_chargeback import add_claims
from kernel import timers
from kernel.commands import Outcome
from kernel.ids import new_id
from kernel.principals import Actor
from ledger.chart import account
from ledger.model import Book, Draft, Entry, Line
from ledger.service import post
from tests.escrow.stage import Stage, check_balances, prove_books


def keep(stage: Stage, *, bps: int = 1_000, days: int = 30, actor: Actor | None = None) -> Outcome:
    """A tenth of this payee's releases is kept back for thirty days."""
    assert stage.payee.party_id is not None
    command = SetReserveRule(
        actor=actor or stage.operator,
        payee_id=stage.payee.party_id,
        reserve_bps=bps,
        reserve_days=days,
        reason="a new payee",
    )
    return service_reserve.set_reserve_rule(stage.connection, [command], at=stage.now)[0]


def released(connection: Connection) -> Stage:
    stage = Stage(connection)
    assert keep(stage).is_done
    stage.submitted()
    assert stage.approve().is_done
    return stage


def events(connection: Connection, kind: str) -> list[Any]:
    rows = connection.exec_driver_sql(
        "SELECT subject, detail FROM event WHERE kind = %s ORDER BY id", (kind,)
    )
    return [(row.subject, orjson.loads(row.detail)) for row in rows]


def test_a_tenth_is_kept_back_and_given_after_thirty_days(connection: Connection) -> None:
    """2.2, `reserve_release`: 90.00 net, 9.00 of it stay reserved until day 35."""
    stage = released(connection)

    stage.wait(days=5)
    check_balances(connection, "EUR", "earned pending 0.00 · earned available 81.00")
    check_balances(connection, "EUR", "earned reserved 9.00")
    prove_books(connection)
    stage.wait(days=29, hours=23)
    check_balances(connection, "EUR", "earned reserved 9.00")

    stage.wait(hours=1)

    check_balances(connection, "EUR", "earned available 90.00 · earned reserved 0.00")
    prove_books(connection)
    assert stage.payee.party_id is not None
    (kept,) = store_reserve.list_reserves(connection, stage.payee.party_id, after=None, limit=9)
    assert (kept.amount_minor, kept.state) == (900, ReserveState.GIVEN)


def test_a_hold_extends_the_reserve(connection: Connection) -> None:
    """2.2: as long as a chargeback stands, what was kept back stays."""
    stage = released(connection)
    stage.wait(days=6)
    stage.hold(f"slot:{stage.slot_id}", "chargeback")

    stage.wait(days=60)
    check_balances(connection, "EUR", "earned reserved 9.00")
    stage.lift(f"slot:{stage.slot_id}")
    stage.wait(days=1)

    check_balances(connection, "EUR", "earned reserved 0.00 · earned available 90.00")
    prove_books(connection)


def test_without_a_rule_nothing_is_kept(connection: Connection) -> None:
    """Nor after the rule was set to nothing."""
    stage = Stage(connection)
    assert keep(stage).is_done
    assert keep(stage, bps=0).is_done
    stage.submitted()
    assert stage.approve().is_done

    stage.wait(days=5)

    check_balances(connection, "EUR", "earned available 90.00 · earned reserved 0.00")


def test_what_the_payee_owes_goes_first(connection: Connection) -> None:
    """P23 takes its 25 %; all that is left of the net may be kept back, and no more."""
    stage = Stage(connection)
    assert keep(stage, bps=10_000).is_done
    assert stage.payee.party_id is not None
    _owe(connection, stage, 10_000)
    stage.submitted()
    assert stage.approve().is_done

    stage.wait(days=5)

    check_balances(connection, "EUR", "earned available 0.00 · earned reserved 67.50")
    assert events(connection, "claim.recovered")


def _owe(connection: Connection, stage: Stage, amount_minor: int) -> None:
    assert stage.payee.party_id is not None
    assert stage.client.party_id is not None
    owed = new_claim(
        claim_id=new_id(),
        payee_id=stage.payee.party_id,
        currency="EUR",
        cause=ClaimCause.REFUND,
        subject=f"slot:{new_id()}",
        amount_minor=amount_minor,
        role=Role.PAYEE,
        at=stage.now,
    )
    entries = (
        Entry(
            Book.CUSTODY,
            "EUR",
            (
                Line(account("custody.due_from_platform", "EUR"), amount_minor),
                Line(account("custody.wallet", "EUR", stage.client.party_id), -amount_minor),
            ),
        ),
        Entry(
            Book.PLATFORM,
            "EUR",
            (
                Line(account("platform.claim_on_payee", "EUR", stage.payee.party_id), amount_minor),
                Line(account("platform.due_to_custody", "EUR"), -amount_minor),
            ),
        ),
    )
    post(connection, [Draft("test.owed", "", stage.operator, stage.now, entries)])
    add_claims(connection, [owed])


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"bps": 10_001}, "clock.bad_rules"),
        ({"days": 0}, "clock.bad_rules"),
        ({"days": 366}, "clock.bad_rules"),
    ],
)
def test_a_rule_out_of_range_is_refused(
    connection: Connection, changes: dict[str, Any], code: str
) -> None:
    """Nothing is kept by a rule that was refused."""
    stage = Stage(connection)

    assert keep(stage, **{"bps": 1_000, "days": 30, **changes}).code == code
    assert stage.payee.party_id is not None
    assert not store_reserve.find_rules(connection, [stage.payee.party_id])


def test_only_an_operator_in_person_keeps_money_back(connection: Connection) -> None:
    """Neither the payee nor a program."""
    stage = Stage(connection)

    assert keep(stage, actor=stage.payee).code == "clock.not_yours"
    assert keep(stage, actor=stage.operator_key).code == "clock.in_person_only"


def test_a_reserve_is_given_once(connection: Connection, owner_connection: Connection) -> None:
    """The database lets it go from kept to given, and nowhere else; not even its owner may."""
    stage = released(connection)
    stage.wait(days=40)

    with pytest.raises(DBAPIError), connection.begin_nested():
        connection.exec_driver_sql("UPDATE reserve SET state = 'kept'")
    with pytest.raises(DBAPIError), owner_connection.begin_nested():
        owner_connection.exec_driver_sql("TRUNCATE reserve")


# --- what a rail may keep only so long


def limited(connection: Connection, most_days: int = 90, method: Method = Method.CARD) -> Stage:
    """A funded slot whose rail keeps money for so many days at most."""
    stage = Stage(connection)
    command = SetHoldLimit(actor=stage.operator, rail_account="simulated", most_days=most_days)
    assert service_reserve.set_hold_limit(connection, [command], at=stage.now)[0].is_done
    assert stage.propose().is_done
    assert stage.accept().is_done
    assert stage.start_funding(method).is_done
    hear_fundings(connection, [stage.result()], stage.now)
    return stage


def ring(stage: Stage, days: int) -> None:
    """Let so many days pass for the clock of the rail's limit alone."""
    stage.now += timedelta(days=days)
    due = [
        each
        for each in timers.list_due(stage.connection, at=stage.now, limit=10, grace=timedelta())
        if each.kind == "escrow.max_hold"
    ]
    if due:
        TIMERS["escrow.max_hold"](stage.connection, due, stage.now)


def test_money_at_a_rail_with_a_limit_is_alerted_and_then_moved(connection: Connection) -> None:
    """2.2, `max_hold`: alarms after 60, 75 and 85 of 90 days; on day 90 it is to be paid out."""
    stage = limited(connection)
    ends_at = (stage.now + timedelta(days=90)).isoformat()

    told = []
    for length in (59, 1, 14, 1, 9, 1, 4):
        ring(stage, length)
        told.append(len(events(connection, "funding.max_hold_near")))
    alarms = events(connection, "funding.max_hold_near")
    assert told == [0, 1, 1, 2, 2, 3, 3]
    assert {subject for subject, _ in alarms} == {f"funding:{stage.funding_id}"}
    assert {detail["ends_at"] for _, detail in alarms} == {ends_at}
    assert not events(connection, "funding.max_hold_over")
    ring(stage, 1)

    ((subject, detail),) = events(connection, "funding.max_hold_over")
    assert detail["rail_account"] == "simulated"
    left = timers.list_of(connection, [subject])
    assert not [each for each in left if each.kind == "escrow.max_hold"]


def test_a_rails_own_limit_counts_where_nobody_set_one() -> None:
    """Stripe keeps money for 90 days at most, PayPal and the simulated rail as long as we like."""
    limits = {name: service_reserve.rail_limit(name) for name in ("stripe", "paypal", "simulated")}

    assert limits == {"stripe": 90, "paypal": None, "simulated": None}


def test_nothing_stops_the_clock_of_a_rail(connection: Connection) -> None:
    """Neither a hold nor the release of the slot: the money may still lie there."""
    stage = limited(connection)
    stage.hold(f"slot:{stage.slot_id}")
    stage.lift(f"slot:{stage.slot_id}")
    assert stage.submit().is_done
    assert stage.approve().is_done

    ring(stage, 60)

    assert events(connection, "funding.max_hold_near")


def test_news_that_comes_twice_starts_one_clock(connection: Connection) -> None:
    """E2: the second report of one payment changes nothing."""
    stage = limited(connection)
    stage.now += timedelta(days=10)
    hear_fundings(connection, [stage.result()], stage.now)

    ring(stage, 50)

    assert len(events(connection, "funding.max_hold_near")) == 1


def test_a_rail_without_a_limit_has_no_clock(connection: Connection) -> None:
    """Only accounts that somebody gave a limit are watched."""
    stage = Stage(connection)
    assert stage.propose().is_done
    assert stage.accept().is_done
    assert stage.start_funding().is_done

    hear_fundings(connection, [stage.result()], stage.now)

    ring(stage, 400)
    assert not events(connection, "funding.max_hold_near")


def test_a_failed_payment_has_no_clock(connection: Connection) -> None:
    """Where no money came in, none can stay too long."""
    stage = Stage(connection)
    command = SetHoldLimit(actor=stage.operator, rail_account="simulated", most_days=80)
    assert service_reserve.set_hold_limit(connection, [command], at=stage.now)[0].is_done
    assert stage.propose().is_done
    assert stage.accept().is_done
    assert stage.start_funding().is_done
    stage.wait(hours=1)

    ring(stage, 400)

    assert not events(connection, "funding.max_hold_near")


@pytest.mark.parametrize(
    ("rail_account", "most_days", "code"),
    [("simulated", 0, "clock.bad_rules"), ("Not A Rail", 90, "escrow.bad_text")],
)
def test_a_limit_out_of_range_is_refused(
    connection: Connection, rail_account: str, most_days: int, code: str
) -> None:
    """Nothing is watched by a limit that was refused."""
    stage = Stage(connection)
    command = SetHoldLimit(actor=stage.operator, rail_account=rail_account, most_days=most_days)

    assert service_reserve.set_hold_limit(connection, [command], at=stage.now)[0].code == code
