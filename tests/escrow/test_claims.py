"""Claims on payees: recovered from later releases with a cap (P23), written off by two (P24)."""

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from kernel.ids import new_id
from kernel.principals import Actor, PrincipalKind
from tests.escrow.stage import Stage, check_balances, person
from tests.escrow.stage_claims import (
    another_release,
    approve,
    claims,
    propose,
    prove_claims,
    released,
    send_back,
    set_rules,
    take_out,
)


def owing(connection: Connection, *, bps: int = 2_500) -> Stage:
    """A payee who owes the platform 40.00 for a refund that it fronted."""
    stage = released(connection)
    take_out(stage, 4_000)
    assert set_rules(stage, fronts=True, bps=bps).is_done
    assert send_back(stage, 10_000).is_done
    return stage


def test_e9_a_quarter_of_each_release_pays_the_claim(connection: Connection) -> None:
    """E9, P23: 90.00 become available, 22.50 of it goes to the claim, then 17.50 of the next."""
    stage = owing(connection)

    another_release(stage, 10_000)

    check_balances(connection, "EUR", "claim on payee 17.50 · earned available 67.50")
    assert claims(stage)[0].remaining_minor == 1_750
    prove_claims(stage)
    another_release(stage, 10_000)
    assert (claims(stage)[0].remaining_minor, claims(stage)[0].state) == (0, "recovered")
    check_balances(connection, "EUR", "claim on payee 0.00 · earned available 140.00")
    prove_claims(stage)
    another_release(stage, 10_000)
    check_balances(connection, "EUR", "earned available 230.00")


def test_p23_the_whole_of_40_is_recovered_where_the_cap_allows(connection: Connection) -> None:
    """P23 with its own numbers: 40.00 from one release."""
    stage = owing(connection, bps=10_000)

    another_release(stage, 10_000)

    check_balances(connection, "EUR", "claim on payee 0.00 · earned available 50.00")
    prove_claims(stage)


def test_the_oldest_claim_is_paid_first(connection: Connection) -> None:
    """Two claims and one release: what the older leaves goes to the newer."""
    stage = owing(connection)
    other = another_release(stage, 1_000)
    take_out(stage, 675)
    assert send_back(other, 1_000).is_done
    first, second = claims(stage)
    assert (first.remaining_minor, second.remaining_minor) == (4_000 - 225, 900)

    another_release(stage, 16_000)

    first, second = claims(stage)
    assert (first.remaining_minor, second.remaining_minor) == (175, 900)
    another_release(stage, 1_600)
    first, second = claims(stage)
    assert (first.state, second.remaining_minor) == ("recovered", 900 - (360 - 175))
    prove_claims(stage)


def test_claims_of_another_currency_or_payee_take_nothing(connection: Connection) -> None:
    """A claim is in one currency and on one payee."""
    stage = owing(connection)
    other = Stage(connection, amounts=(10_000,), now=stage.now).submitted()
    assert other.approve().is_done
    other.wait(days=5)
    abroad = Stage(connection, "USD", now=other.now)
    abroad.payee = stage.payee
    assert abroad.submitted().approve().is_done
    abroad.wait(days=5)

    assert claims(stage)[0].remaining_minor == 4_000
    check_balances(connection, "EUR", "earned available 90.00")
    check_balances(connection, "USD", "earned available 90.00")
    prove_claims(stage)


def test_p24_two_people_write_a_claim_off(connection: Connection) -> None:
    """P24: what remains is our loss, once another person has approved."""
    stage = owing(connection)
    (claim,) = claims(stage)
    second = person(None, is_operator=True)
    assert approve(stage, claim.id, second).code == "claim.not_proposed"
    assert propose(stage, claim.id, stage.operator).is_done
    assert propose(stage, claim.id, second).code == "claim.proposed_already"
    assert approve(stage, claim.id, stage.operator).code == "claim.second_person"
    check_balances(connection, "EUR", "claim on payee 40.00 · expense.bad debt 0.00")

    assert approve(stage, claim.id, second).is_done

    check_balances(connection, "EUR", "claim on payee 0.00 · expense.bad debt 40.00")
    assert claims(stage)[0].state == "written_off"
    assert approve(stage, claim.id, second).code == "escrow.wrong_state"
    assert propose(stage, claim.id, second).code == "escrow.wrong_state"
    prove_claims(stage)


def test_only_what_remains_is_written_off(connection: Connection) -> None:
    """What was recovered between proposal and approval is no loss."""
    stage = owing(connection)
    (claim,) = claims(stage)
    assert propose(stage, claim.id, stage.operator).is_done
    another_release(stage, 10_000)

    assert approve(stage, claim.id, person(None, is_operator=True)).is_done

    check_balances(connection, "EUR", "expense.bad debt 17.50 · claim on payee 0.00")
    prove_claims(stage)


def test_programs_and_parties_write_nothing_off(connection: Connection) -> None:
    """A write-off and its rules take operators in person."""
    stage = owing(connection)
    (claim,) = claims(stage)

    assert propose(stage, claim.id, stage.operator_key).code == "claim.in_person_only"
    assert propose(stage, claim.id, stage.payee).code == "escrow.not_yours"
    assert propose(stage, claim.id, stage.operator, reason=" ").code == "escrow.reason_required"
    assert propose(stage, new_id(), stage.operator).code == "claim.unknown"
    assert propose(stage, claim.id, stage.operator).is_done
    key = Actor(new_id(), PrincipalKind.KEY, None, is_operator=True)
    assert approve(stage, claim.id, key).code == "claim.in_person_only"
    assert approve(stage, claim.id, stage.client).code == "escrow.not_yours"
    assert set_rules(stage, fronts=True, actor=stage.payee).code == "escrow.not_yours"
    assert set_rules(stage, fronts=True, actor=key).code == "claim.in_person_only"
    assert set_rules(stage, fronts=True, bps=10_001).code == "claim.bad_rules"
    prove_claims(stage)


def _run_now(connection: Connection, statement: str, given: tuple[object, ...]) -> None:
    connection.exec_driver_sql(statement, given)
    connection.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")


def _refused(connection: Connection, why: str, statement: str, *given: object) -> None:
    nested = connection.begin_nested()
    with pytest.raises(DBAPIError, match=why):
        _run_now(connection, statement, given)
    nested.rollback()


def test_the_database_holds_four_eyes_and_the_sum(connection: Connection) -> None:
    """E14: `approver <> proposer`, a claim only falls, and by what was recovered or given up."""
    stage = owing(connection)
    (claim,) = claims(stage)
    assert propose(stage, claim.id, stage.operator).is_done
    proposer = stage.operator.principal_id

    _refused(
        connection,
        "claim_write_off_takes_two",
        "UPDATE claim_write_off SET approver_id = %s, approved_at = now(), amount_minor = 4000",
        proposer,
    )
    grown = "UPDATE claim SET remaining_minor = %s, version = version + 1"
    _refused(connection, "claim_adds_up", grown, 3_999)
    _refused(connection, "claim_open_while_it_remains", grown, 0)
    assert set_rules(stage, fronts=True, bps=1_000).is_done
    another_release(stage, 10_000)
    _refused(connection, "grows from 3100 to 4000", grown, 4_000)
    _refused(connection, "permission denied", "DELETE FROM claim")
    _refused(connection, "permission denied", "UPDATE claim_recovery SET amount_minor = 1")


def test_the_owner_cannot_change_what_was_recovered(owner_connection: Connection) -> None:
    """Recoveries are a list that only grows, for the owner too."""
    stage = owing(owner_connection)
    another_release(stage, 10_000)

    for statement in ("DELETE FROM claim_recovery", "DELETE FROM claim", "TRUNCATE claim_recovery"):
        nested = owner_connection.begin_nested()
        with pytest.raises(DBAPIError):
            owner_connection.exec_driver_sql(statement)
        nested.rollback()
