"""One contract with a milestone, hours and a retainer: side by side, and ended to zero."""

from dataclasses import replace
from datetime import UTC, date, datetime
from uuid import UUID

import pytest
from sqlalchemy import Connection

from escrow import service, store_hybrid
from escrow.commands import ProposeAmendment, SignAmendment
from escrow.commands_hourly import ChangeHours
from escrow.model import Role, Terms
from escrow.model_hybrid import OfferState, Price, TermAction, TermAmendment
from escrow.model_retainer import Every, RetainerKind, RetainerTerms, Unused
from kernel.ids import new_id
from kernel.money import MAX_MINOR
from tests.escrow.stage import check_balances, prove_books
from tests.escrow.stage_hybrid import Trio
from tests.escrow.stage_retainer import Lease

MARCH = date(2026, 3, 2)
ACCESS = RetainerTerms(
    kind=RetainerKind.ACCESS_FEE,
    amount_minor=310_000,
    every=Every.MONTH,
    anchor_on=date(2026, 3, 5),
    notice_days=7,
)
HOURS = RetainerTerms(
    kind=RetainerKind.HOURS_DRAWDOWN,
    amount_minor=310_000,
    every=Every.MONTH,
    anchor_on=date(2026, 3, 5),
    hourly_minor=10_000,
    notice_days=7,
)


def at(day: int, hour: int, minute: int = 0) -> datetime:
    """A time of March 2026."""
    return datetime(2026, 3, day, hour, minute, tzinfo=UTC)


def trio(connection: Connection, terms: RetainerTerms, *, client_fee_bps: int = 0) -> Trio:
    made = Trio(connection, terms, at(2, 0), Terms(client_fee_bps=client_fee_bps))
    return made.agreed()


def books(made: Trio, line: str) -> None:
    check_balances(made.connection, "USD", line)
    prove_books(made.connection)


def escrow_accounts(made: Trio) -> set[int]:
    """The balances of every escrow account there ever was."""
    rows = made.connection.exec_driver_sql(
        "SELECT balance_minor FROM account WHERE kind LIKE 'custody.escrow%%'"
    )
    return set(rows.scalars())


@pytest.mark.parametrize("client_fee_bps", [0, 300])
def test_three_terms_from_acceptance_to_ended(connection: Connection, client_fee_bps: int) -> None:
    """Each term has its own slots; the end runs each term's exit, and all accounts are zero.

    The milestone's money is asked back and granted, the hours end in a short week that is paid,
    the retainer is divided pro rata after its notice (P31): 1,200.00 of 3,100.00 for 12 days.
    """
    made = trio(connection, ACCESS, client_fee_bps=client_fee_bps)
    stage = made.stage
    assert stage.fund().is_done
    made.until(date(2026, 3, 3))
    assert made.log((at(2, 8), at(2, 12))).is_done
    books(made, "escrow 4100.00 · earned pending 0.00")
    made.until(date(2026, 3, 5))
    assert [each.state for each in made.periods] == ["active", "scheduled"]
    assert stage.submit().is_done
    assert stage.release_part(40_000).is_done
    books(made, "escrow 3700.00 · earned pending 360.00")

    made.until(date(2026, 3, 10))
    assert made.log((at(10, 8), at(10, 11))).is_done
    ended = stage.on_contract("end", stage.client)
    assert (ended.code, made.contract_state) == ("done", "ending")
    assert stage.slot().state == "refund_requested"
    assert made.on_retainer("cancel_retainer", stage.client).code == "escrow.other_party_must_sign"
    assert stage.on_contract("close", stage.client).code == "escrow.not_settled"

    assert stage.on_slot("accept_refund", stage.payee).is_done
    made.until(date(2026, 3, 16))
    assert made.contract_state == "ending"
    made.until(date(2026, 3, 18))
    assert [each.state for each in made.periods] == ["cancelled", "cancelled"]
    made.until(date(2026, 4, 1))

    assert made.contract_state == "ended"
    assert escrow_accounts(made) == {0}
    worked = 28_000
    earned = 40_000 + worked + 120_000
    books(
        made,
        f"escrow 0.00 · deferred fees 0.00 · refund in transit 0.00"
        f" · commission {earned // 10 // 100}.{earned // 10 % 100:02d}"
        f" · earned available {earned * 9 // 10 // 100}.{earned * 9 // 10 % 100:02d}",
    )


def test_an_operator_ends_all_at_once(connection: Connection) -> None:
    """Without notice: the retainer is divided on the day, never refunded in full."""
    made = trio(connection, ACCESS)
    made.until(date(2026, 3, 15))
    assert made.stage.on_contract("end", made.stage.operator).is_done

    assert [each.state for each in made.periods] == ["cancelled", "cancelled"]
    books(made, "escrow 0.00 · earned pending 900.00 · refund in transit 2100.00")


def test_an_open_drawdown_is_decided_before_the_retainer_ends(connection: Connection) -> None:
    """The operator's end waits for the client's word on what was drawn, and comes by itself."""
    made = trio(connection, HOURS)
    made.until(date(2026, 3, 15))
    assert made.draw((at(14, 8), at(14, 18))).is_done
    assert made.stage.on_contract("end", made.stage.operator).is_done
    assert [each.state for each in made.periods] == ["active", "scheduled"]

    assert made.approve_drawdown().is_done
    made.until(date(2026, 3, 17))

    assert [each.state for each in made.periods] == ["cancelled", "cancelled"]
    made.until(date(2026, 4, 1))
    assert made.contract_state == "ended"
    assert escrow_accounts(made) == {0}


def test_a_pause_stops_hours_and_openings_but_no_review(connection: Connection) -> None:
    """Paused: nothing is logged, no period opens; the milestone's review goes on and pays."""
    made = trio(connection, ACCESS)
    stage = made.stage
    assert stage.fund().is_done
    made.until(date(2026, 3, 20))
    assert stage.submit().is_done
    assert stage.on_contract("pause", stage.client).is_done

    assert made.log((at(20, 8), at(20, 9))).code == "escrow.contract_not_running"
    made.until(date(2026, 4, 5))

    assert stage.slot().state == "released"
    assert [each.state for each in made.periods] == ["settled", "scheduled"]
    assert stage.on_contract("resume", stage.payee).is_done
    made.until(date(2026, 4, 7))
    assert [each.state for each in made.periods] == ["settled", "active", "scheduled"]


def test_what_was_worked_before_a_pause_is_drawn_in_it(connection: Connection) -> None:
    """The period ends while the contract rests; the payee has shown his hours by then."""
    made = trio(connection, HOURS)
    made.until(date(2026, 3, 7))
    assert made.stage.on_contract("pause", made.stage.client).is_done
    made.until(date(2026, 4, 4))
    assert made.log((at(6, 8), at(6, 9))).code == "escrow.contract_not_running"

    assert made.draw((at(6, 8), at(6, 18))).is_done
    assert made.approve_drawdown().is_done

    made.until(date(2026, 4, 6))
    assert [each.state for each in made.periods] == ["settled", "scheduled"]
    books(made, "earned available 0.00 · earned pending 900.00")


def test_no_hour_is_billed_by_two_terms(connection: Connection) -> None:
    """What was logged is not drawn, what was drawn is not logged; a rejected draw is free again."""
    made = trio(connection, HOURS)
    stage = made.stage
    made.until(date(2026, 3, 7))
    assert made.log((at(6, 8), at(6, 12))).is_done

    assert made.draw((at(6, 11), at(6, 13))).code == "escrow.hours_overlap"
    assert made.draw(units=60).code == "retainer.bad_drawdown"
    assert made.draw((at(6, 12), at(6, 14)), (at(6, 13), at(6, 15))).code == "escrow.hours_overlap"
    assert made.draw((at(6, 12), at(6, 14))).is_done
    assert made.log((at(6, 13), at(6, 16))).code == "escrow.hours_overlap"
    rejected = made.on_drawdown("reject_drawdown", stage.client, reason="not agreed")
    assert rejected.is_done
    assert made.log((at(6, 13), at(6, 16))).is_done
    prove_books(connection)


def test_a_term_ends_by_both_and_the_others_go_on(connection: Connection) -> None:
    """Both sign the end of the hours: a short week is paid; the retainer and milestone stay."""
    made = trio(connection, ACCESS)
    stage = made.stage
    made.until(date(2026, 3, 4))
    assert made.log((at(3, 8), at(3, 12))).is_done
    assert made.amend(made.term_id, stage.stranger).code == "escrow.not_yours"
    assert made.amend(made.term_id, stage.payee).is_done
    assert made.on_amendment("sign", stage.payee).code == "escrow.other_party_must_sign"
    assert made.on_amendment("sign", stage.stranger).code == "escrow.not_yours"

    assert made.on_amendment("sign", stage.client).is_done

    assert made.on_amendment("sign", stage.client).code == "escrow.wrong_state"
    made.until(date(2026, 3, 6))
    assert not made.log((at(6, 8), at(6, 9))).is_done
    change = ChangeHours(actor=stage.client, term_id=made.term_id, limit_minutes=3_000)
    assert service.change_hours(connection, [change], at=stage.now)[0].code == "term.over"
    made.until(date(2026, 3, 25))
    assert made.contract_state == "active"
    assert [each.state for each in made.periods] == ["active", "scheduled"]
    books(made, "earned available 144.00 · escrow 3100.00")


def test_the_end_of_a_retainer_by_both_is_pro_rata(connection: Connection) -> None:
    """One signature offers, the other ends it: 900.00 of 3,100.00 for 9 of 31 days."""
    made = trio(connection, ACCESS)
    made.until(date(2026, 3, 14))
    assert made.amend(made.retainer_id, made.stage.client).is_done
    first = made.amendment_id
    assert made.amend(made.retainer_id, made.stage.payee).code == "term.amendment_open"
    made.amendment_id = first
    assert made.on_amendment("reject", made.stage.payee).is_done
    assert made.amend(made.retainer_id, made.stage.client).is_done

    assert made.on_amendment("sign", made.stage.payee).is_done

    assert [each.state for each in made.periods] == ["cancelled", "cancelled"]
    books(made, "escrow 0.00 · earned pending 810.00 · refund in transit 2200.00")
    assert made.amend(made.retainer_id, made.stage.client).is_done
    assert made.on_amendment("sign", made.stage.payee).code == "term.over"


def test_a_price_counts_from_the_next_period(connection: Connection) -> None:
    """What runs keeps its price; a charged period keeps it too; a bad price is refused."""
    made = trio(connection, ACCESS)
    stage = made.stage
    made.until(date(2026, 3, 10))
    assert made.amend(made.retainer_id, stage.payee, Price(310_000)).code == "term.bad_price"
    assert made.amend(made.retainer_id, stage.payee, Price(1, 5)).code == "term.bad_price"
    assert made.amend(made.term_id, stage.payee, Price(1)).code == "term.bad_price"
    assert made.amend(made.retainer_id, stage.payee, Price(400_000)).is_done
    assert made.on_amendment("sign", stage.client).facts["from_period"] == 2

    made.until(date(2026, 4, 3))
    assert made.amend(made.retainer_id, stage.payee, Price(500_000)).is_done
    assert made.on_amendment("sign", stage.client).facts["from_period"] == 3
    made.until(date(2026, 5, 6))

    amounts = [
        row[0]
        for row in connection.exec_driver_sql(
            "SELECT funded_minor FROM slot WHERE term_id = %s ORDER BY seq", (made.retainer_id,)
        )
    ]
    assert amounts == [310_000, 400_000, 500_000, 0]
    books(made, "escrow 5000.00")


def test_a_price_leaves_room_for_what_rolls(connection: Connection) -> None:
    """With the cap it is still an amount that a slot can hold."""
    made = trio(connection, replace(HOURS, unused=Unused.ROLL, roll_cap_minor=100_000))
    largest = MAX_MINOR - 100_000

    refused = made.amend(made.retainer_id, made.stage.payee, Price(largest + 1, 10_000))

    assert refused.code == "term.bad_price"
    assert made.amend(made.retainer_id, made.stage.payee, Price(largest, 10_000)).is_done


def test_a_retainer_that_nobody_accepted_has_no_price_to_change(connection: Connection) -> None:
    """Neither is another price offered nor, where such an offer lies there already, signed."""
    made = Trio(connection, ACCESS, at(2, 0), Terms()).offered()
    stage = made.stage

    assert made.amend(made.retainer_id, stage.client, Price(400_000)).code == "term.over"

    offer = TermAmendment(
        made.amendment_id,
        stage.contract_id,
        made.retainer_id,
        TermAction.CHANGE,
        Role.CLIENT,
        OfferState.PROPOSED,
        1,
        stage.now,
        amount_minor=400_000,
        hourly_minor=0,
        quota=0,
    )
    store_hybrid.add_amendment(connection, offer)
    assert made.on_amendment("sign", stage.payee).code == "term.over"
    assert made.periods == []


def roll(made: Trio, source: UUID, target: UUID) -> str:
    """The payee offers to roll the rest of one slot into another, the client signs."""
    offer = ProposeAmendment(
        actor=made.stage.payee, slot_id=source, amendment_id=new_id(), to_slot_id=target
    )
    (offered,) = service.propose_amendment(made.connection, [offer], at=made.stage.now)
    if not offered.is_done:
        return offered.code
    sign = SignAmendment(actor=made.stage.client, amendment_id=offer.amendment_id)
    return service.sign_amendment(made.connection, [sign], at=made.stage.now)[0].code


def test_p11_money_crosses_terms_by_two_signatures(connection: Connection) -> None:
    """A milestone's rest of 600.00 rolls into the running period, and is drawn from there."""
    made = trio(connection, HOURS, client_fee_bps=300)
    stage = made.stage
    assert stage.fund().is_done
    made.until(date(2026, 3, 7))
    assert stage.release_part(40_000).is_done
    period = made.periods[0].id

    assert roll(made, stage.slot_id, period) == "done"

    assert (stage.slot().state, stage.slot().held_minor) == ("released", 0)
    books(made, "escrow 3700.00 · earned pending 360.00")
    assert made.draw((at(5, 0), at(6, 12))).is_done
    assert made.approve_drawdown().is_done
    books(made, "escrow 100.00 · deferred fees 0.00")
    made.until(date(2026, 4, 6))
    books(made, "wallet 100.00 · escrow 3100.00")


def test_p11_the_rest_of_a_period_becomes_a_milestones(connection: Connection) -> None:
    """What nobody drew rolls into the milestone: the period is settled, the next goes on."""
    made = trio(connection, HOURS)
    stage = made.stage
    assert stage.fund().is_done
    made.until(date(2026, 3, 7))
    assert made.draw((at(5, 8), at(5, 18))).is_done
    period = made.periods[0].id
    assert roll(made, period, stage.slot_id) == "escrow.not_a_milestone"
    assert made.approve_drawdown().is_done

    assert roll(made, period, stage.slot_id) == "done"

    assert [each.state for each in made.periods] == ["settled", "scheduled"]
    assert stage.slot().held_minor == 310_000
    books(made, "escrow 3100.00 · earned pending 900.00")
    made.until(date(2026, 4, 6))
    assert [each.state for each in made.periods] == ["settled", "active", "scheduled"]


def test_p11_an_access_fee_and_a_week_do_not_roll(connection: Connection) -> None:
    """What is earned by time, and what was invoiced, stays where it is."""
    made = trio(connection, ACCESS)
    stage = made.stage
    assert stage.fund().is_done
    assert made.log().code == "escrow.bad_entry"
    made.until(date(2026, 3, 3))
    assert made.log((at(2, 8), at(2, 12))).is_done
    made.until(date(2026, 3, 10))
    week = connection.exec_driver_sql("SELECT slot_id FROM work_week WHERE slot_id IS NOT NULL")

    for other in (made.periods[0].id, week.scalars().first()):
        assert isinstance(other, UUID)
        assert roll(made, stage.slot_id, other) == "escrow.not_a_milestone"
        assert roll(made, other, stage.slot_id) == "escrow.not_a_milestone"


def test_a_draft_that_ends_takes_its_offer_along(connection: Connection) -> None:
    """A retainer that nobody accepted is declined when its contract ends."""
    lease = Lease(connection, HOURS)
    assert lease.offer().is_done

    assert lease.stage.on_contract("end", lease.stage.payee).is_done

    assert lease.retainer.state == "ended"
    assert lease.on_retainer("accept_retainer", lease.stage.client).code == "escrow.wrong_state"
