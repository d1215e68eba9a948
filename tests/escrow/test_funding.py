"""What a rail may say of a payment: in any order, twice, late, in another amount (2.3, P06)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection

from escrow import service, store
from escrow.commands import FundingCommand
from escrow.model import Method
from escrow.rules_funding import business_days_after
from rails.model import RailOutcome
from tests.escrow.stage import Stage, add_party, check_balances, person, prove_books


@pytest.fixture
def stage(connection: Connection) -> Stage:
    """A signed contract whose payment has just begun."""
    stage = Stage(connection)
    assert stage.propose().is_done
    assert stage.accept().is_done
    assert stage.start_funding().is_done
    return stage


def events(stage: Stage) -> int:
    return int(stage.connection.exec_driver_sql("SELECT count(*) FROM event").scalar_one())


def test_the_rail_is_asked_once_the_command_commits(stage: Stage) -> None:
    """Paying writes an intent of amount and fee together, under the funding's id."""
    row = stage.connection.exec_driver_sql(
        "SELECT kind, handler, amount_minor, state FROM rail_operation WHERE id = %s",
        (stage.funding_id,),
    ).one()

    assert tuple(row) == ("fund", "escrow.funding", 10_300, "created")
    assert stage.slot().state == "funding"


def test_a_result_that_comes_twice_counts_once(stage: Stage) -> None:
    """E2: the second word of the same fact is no news and writes nothing."""
    first = stage.hear(stage.result(fee_minor=329))
    before = events(stage)

    second = stage.hear(stage.result(fee_minor=329))

    assert (first.facts["is_news"], second.facts["is_news"]) == (True, False)
    assert events(stage) == before
    check_balances(stage.connection, "EUR", "escrow 100.00")


def test_twins_in_one_batch_count_once(stage: Stage) -> None:
    """E2: two words of one fact in one batch are heard one after the other."""
    twins = [stage.result(fee_minor=329), stage.result(fee_minor=329)]

    outcomes = service.funding_results(stage.connection, twins, at=stage.now)

    assert [each.facts["is_news"] for each in outcomes] == [True, False]
    prove_books(stage.connection)


def test_an_older_word_that_comes_late_is_no_news(stage: Stage) -> None:
    """E3: pending after done, and refused after done, change nothing."""
    assert stage.hear(stage.result()).is_done

    late = stage.hear(stage.result(RailOutcome.PENDING))

    assert late.facts["is_news"] is False
    assert stage.slot().state == "funded"


def test_a_debit_funds_but_does_not_release_until_cleared(stage: Stage) -> None:
    """E38: work may start on uncleared money, but it is not released, refunded or rolled."""
    assert stage.hear(stage.result(cleared=False)).is_done
    assert stage.submit().is_done

    refusals = [stage.approve(), stage.release_part(1), stage.on_slot("give_back", stage.payee)]
    stage.wait(days=15)

    assert {each.code for each in refusals} == {"escrow.not_cleared"}
    assert stage.slot().state == "submitted"
    assert stage.hear(stage.result(cleared=True)).is_done
    stage.wait(days=1)
    assert stage.slot().state == "released"
    prove_books(stage.connection)


def test_money_after_expiry_goes_to_the_wallet(stage: Stage) -> None:
    """P06: a payment that came after its time lies in suspense, then in the client's wallet."""
    stage.wait(minutes=16)
    assert stage.slot().state == "awaiting_funding"

    late = stage.hear(stage.result(fee_minor=329))

    assert late.facts["funding_state"] == "credited"
    check_balances(
        stage.connection,
        "EUR",
        "wallet 103.00 · suspense 0.00 · escrow 0.00 · processor pending 99.71"
        " · due from platform 3.29",
    )
    prove_books(stage.connection)


def test_an_expired_payment_can_be_tried_again(stage: Stage) -> None:
    """The slot awaits funding again, and a second payment funds it."""
    stage.wait(minutes=16)

    assert stage.fund(329).is_done

    check_balances(stage.connection, "EUR", "escrow 100.00")
    prove_books(stage.connection)


def test_another_amount_waits_for_a_person(stage: Stage) -> None:
    """Money of another amount lies in suspense; an operator credits it to the wallet."""
    heard = stage.hear(stage.result(amount_minor=10_299, fee_minor=329))
    assert heard.facts["funding_state"] == "mismatch"
    assert stage.slot().state == "awaiting_funding"
    check_balances(stage.connection, "EUR", "suspense 102.99 · escrow 0.00")
    command = FundingCommand(actor=stage.operator, funding_id=stage.funding_id)

    credited = service.credit_receipt(stage.connection, [command], at=stage.now)[0]

    assert credited.is_done
    check_balances(stage.connection, "EUR", "suspense 0.00 · wallet 102.99")
    prove_books(stage.connection)


def test_a_lost_payment_neither_expires_nor_is_cancelled(stage: Stage) -> None:
    """Unknown stays unknown until a read proves it; then it goes on as if nothing had been."""
    assert stage.hear(stage.result(RailOutcome.UNKNOWN)).is_done
    stage.wait(days=1)
    command = FundingCommand(actor=stage.client, funding_id=stage.funding_id)

    cancelled = service.cancel_funding(stage.connection, [command], at=stage.now)[0]

    assert cancelled.code == "escrow.wrong_state"
    assert stage.slot().state == "funding"
    assert stage.hear(stage.result()).is_done
    assert stage.slot().state == "funded"


def test_a_refused_payment_frees_the_slot(stage: Stage) -> None:
    """The rail's code is kept, and the client may try again."""
    heard = stage.hear(stage.result(RailOutcome.REFUSED, code="card_declined"))

    assert heard.facts["code"] == "card_declined"
    assert store.find_fundings(stage.connection, [stage.funding_id])[0].state == "failed"
    assert stage.slot().state == "awaiting_funding"


def test_money_taken_back_after_it_funded_unfunds_the_slot(stage: Stage) -> None:
    """A late bank return is lost at once: the slot awaits funding, said twice it is no news."""
    assert stage.hear(stage.result(cleared=False)).is_done

    returned = stage.hear(stage.result(RailOutcome.REFUSED))

    assert returned.is_done
    assert stage.slot().state == "awaiting_funding"
    assert stage.slot().uncleared_minor == 0
    assert not stage.hear(stage.result(RailOutcome.REFUSED)).facts["is_news"]
    assert not stage.hear(stage.result(cleared=True)).facts["is_news"]


def test_a_top_up_that_finds_its_slot_closed_goes_to_the_wallet(stage: Stage) -> None:
    """Money for a slot that was released meanwhile is the client's again."""
    assert stage.hear(stage.result()).is_done
    assert stage.amend(new_amount_minor=15_000).is_done
    assert stage.start_funding().is_done
    assert stage.approve().is_done

    assert stage.hear(stage.result()).facts["funding_state"] == "credited"

    check_balances(stage.connection, "EUR", "escrow 0.00 · wallet 51.50")
    prove_books(stage.connection)


def test_only_clear_parties_pay_in(connection: Connection) -> None:
    """Row 3: identity verified and no sanctions hit, for both parties."""
    stage = Stage(connection)
    stage.payee = person(add_party(connection, "freelancer", kyc="pending"))
    assert stage.propose().is_done
    assert stage.accept().is_done

    refused = stage.start_funding()

    assert refused.code == "escrow.party_not_clear"
    assert refused.facts["party_ids"] == [str(stage.payee.party_id)]


def test_a_slot_has_one_open_payment(stage: Stage) -> None:
    """A second payment for the same slot is refused while the first may still succeed."""
    assert stage.start_funding().code == "escrow.wrong_state"


def test_unknown_payments_are_refused(stage: Stage) -> None:
    """A result about no funding of ours is refused with its id."""
    stray = replace(stage.result(), operation_id=stage.contract_id)

    assert stage.hear(stray).code == "escrow.unknown_funding"


def test_a_tip_by_debit_waits_for_its_clearing(connection: Connection) -> None:
    """The security hold of an uncleared tip begins when it clears."""
    stage = Stage(connection).ready()
    assert stage.tip(2_000, Method.BANK_DEBIT).is_done
    assert stage.hear(stage.result(cleared=False)).is_done
    stage.wait(days=10)
    check_balances(connection, "EUR", "earned pending 18.00")

    assert stage.hear(stage.result(cleared=True)).is_done
    stage.wait(days=5)

    check_balances(connection, "EUR", "earned pending 0.00 · earned available 18.00")
    prove_books(connection)


def test_a_bank_payment_has_five_business_days() -> None:
    """From a Thursday that is the next Thursday, and from a Saturday the next Friday."""
    thursday = datetime(2026, 3, 5, 9, tzinfo=UTC)

    assert business_days_after(thursday, 5) == thursday + timedelta(days=7)
    assert business_days_after(thursday + timedelta(days=2), 5) == thursday + timedelta(days=8)
