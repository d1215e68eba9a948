"""Whole stories of chargebacks, to the cent, with the figures of domain/escrow.md 2.10."""

from datetime import timedelta

from sqlalchemy import Connection

from escrow.model import Terms
from tests.escrow.stage import Stage, check_balances
from tests.escrow.stage_chargeback import Bank, funding_of, open_holds, prove
from tests.escrow.stage_claims import another_release, claims, released, take_out


def test_e8_taken_while_funded_and_won(connection: Connection) -> None:
    """E8: P18, then P19; nobody loses but time, and the review begins anew in full."""
    stage = Stage(connection).ready(329)
    assert stage.submit().is_done
    stage.wait(days=10)

    bank = Bank(stage).opened()

    check_balances(connection, "EUR", "escrow 0.00 · deferred fees 0.00 · chargeback fee 15.00")
    check_balances(connection, "EUR", "due to custody 21.29 · due from custody 3.00")
    assert open_holds(stage) == ["chargeback"]
    assert stage.approve().code == "escrow.held"
    stage.wait(days=30)
    assert stage.slot().state == "submitted"
    prove(stage)

    assert bank.says("won").is_done
    assert open_holds(stage) == ["chargeback"]
    assert bank.gives().is_done

    assert open_holds(stage) == []
    check_balances(connection, "EUR", "escrow 100.00 · deferred fees 3.00 · chargeback fee 15.00")
    check_balances(connection, "EUR", "due to custody 21.29 · due from custody 6.00")
    prove(stage)
    stage.wait(days=13)
    assert stage.slot().state == "submitted"
    stage.wait(days=1)
    assert stage.slot().state == "released"
    check_balances(connection, "EUR", "escrow 0.00 · commission 10.00 · client fee 3.00")
    prove(stage)


def test_taken_while_funded_and_lost(connection: Connection) -> None:
    """P18 stands: the slot awaits funding again, and can be paid for again."""
    stage = Stage(connection).submitted()
    bank = Bank(stage).opened()

    assert bank.says("lost").is_done

    slot = stage.slot()
    assert (slot.state, slot.recalled_minor, slot.charged_back_minor) == (
        "awaiting_funding",
        0,
        10_000,
    )
    assert open_holds(stage) == []
    assert funding_of(stage) == ("succeeded", 10_300, False)
    check_balances(connection, "EUR", "escrow 0.00 · deferred fees 0.00 · chargeback fee 15.00")
    prove(stage)
    assert stage.fund().is_done
    assert stage.submit().is_done
    assert stage.approve().is_done
    check_balances(connection, "EUR", "escrow 0.00 · earned pending 90.00")
    prove(stage)


def test_taken_after_release_lost_and_recovered(connection: Connection) -> None:
    """P20, P21, P23: the payee has 50 left, 40 become a claim, later releases pay it."""
    stage = released(connection)
    take_out(stage, 4_000)

    bank = Bank(stage).opened()

    check_balances(connection, "EUR", "earned available 0.00 · earned reserved 50.00")
    check_balances(connection, "EUR", "chargebacks contested 103.00 · chargeback fee 15.00")
    check_balances(connection, "EUR", "due to custody 118.00")
    prove(stage)

    assert bank.says("lost").is_done

    check_balances(connection, "EUR", "earned reserved 0.00 · chargebacks contested 0.00")
    check_balances(connection, "EUR", "claim on payee 40.00 · commission 0.00 · client fee 0.00")
    check_balances(connection, "EUR", "due from custody 63.00")
    (claim,) = claims(stage)
    assert (claim.cause, claim.remaining_minor) == ("chargeback", 4_000)
    assert stage.slot().kept_minor == 0
    prove(stage)
    another_release(stage, 20_000)
    (claim,) = claims(stage)
    assert (claim.state, claim.remaining_minor) == ("recovered", 0)
    check_balances(connection, "EUR", "earned available 140.00 · claim on payee 0.00")
    prove(stage)


def test_taken_after_release_and_won(connection: Connection) -> None:
    """P22: the money is back with the platform, and the reserve with the payee."""
    stage = released(connection)
    take_out(stage, 4_000)
    bank = Bank(stage).opened()

    assert bank.gives().is_done
    check_balances(connection, "EUR", "earned available 50.00 · chargebacks contested 0.00")
    assert bank.says("won").is_done

    check_balances(connection, "EUR", "earned available 50.00 · earned reserved 0.00")
    check_balances(connection, "EUR", "commission 10.00 · client fee 3.00 · chargeback fee 15.00")
    assert claims(stage) == []
    assert funding_of(stage) == ("succeeded", 0, False)
    prove(stage)


def test_the_disputed_amount_alone_is_reserved(connection: Connection) -> None:
    """Of 900.00 that a payee has, 90.00 are reserved for one payment; the rest is withdrawable."""
    stage = released(connection, amount=100_000)
    other = Stage(connection, now=stage.now)
    other.payee = stage.payee
    assert other.submitted().approve().is_done
    other.wait(days=5)

    Bank(other).opened()

    check_balances(connection, "EUR", "earned available 900.00 · earned reserved 90.00")
    prove(other)


def test_taken_in_the_security_hold(connection: Connection) -> None:
    """What is pending still is reserved first; the clock of the hold stands until it is decided."""
    stage = Stage(connection).submitted()
    assert stage.approve().is_done

    bank = Bank(stage).opened()

    check_balances(connection, "EUR", "earned pending 0.00 · earned reserved 90.00")
    prove(stage)
    stage.wait(days=20)
    check_balances(connection, "EUR", "earned pending 0.00 · earned reserved 90.00")
    assert bank.gives().is_done
    assert bank.says("won").is_done
    check_balances(connection, "EUR", "earned pending 90.00 · earned reserved 0.00")
    prove(stage)
    stage.wait(days=5)
    check_balances(connection, "EUR", "earned pending 0.00 · earned available 90.00")
    prove(stage)


def test_lost_in_the_security_hold(connection: Connection) -> None:
    """The pending money pays; nothing becomes available later, and no claim is left."""
    stage = Stage(connection).submitted()
    assert stage.approve().is_done
    bank = Bank(stage).opened()

    assert bank.says("lost").is_done

    check_balances(connection, "EUR", "earned reserved 0.00 · claim on payee 0.00")
    prove(stage)
    stage.wait(days=30)
    check_balances(connection, "EUR", "earned pending 0.00 · earned available 0.00")
    prove(stage)


def test_partly_released_partly_held(connection: Connection) -> None:
    """P18 for the 60.00 that are held, P20 for the 40.00 released; lost, each by its own way."""
    stage = Stage(connection).submitted()
    assert stage.release_part(4_000).is_done

    bank = Bank(stage).opened()

    check_balances(connection, "EUR", "escrow 0.00 · chargebacks contested 43.00")
    check_balances(connection, "EUR", "earned reserved 36.00 · earned pending 0.00")
    prove(stage)
    assert bank.says("lost").is_done
    check_balances(connection, "EUR", "commission 0.00 · client fee 0.00 · claim on payee 0.00")
    assert stage.slot().state == "awaiting_funding"
    assert stage.slot().unpaid_minor == 6_000
    prove(stage)


def test_several_movements_of_one_chargeback(connection: Connection) -> None:
    """A part is taken, then the rest; half comes back, the other half is lost."""
    stage = Stage(connection).submitted()
    bank = Bank(stage)
    assert bank.says("needs_response").is_done

    assert bank.takes(5_150).is_done
    check_balances(connection, "EUR", "escrow 50.00 · deferred fees 1.50")
    assert bank.takes(5_150, fee=0).is_done
    check_balances(connection, "EUR", "escrow 0.00 · deferred fees 0.00")
    prove(stage)
    assert bank.gives(5_150).is_done
    check_balances(connection, "EUR", "escrow 50.00 · deferred fees 1.50")
    assert bank.says("lost").is_done

    slot = stage.slot()
    assert (slot.state, slot.held_minor, slot.charged_back_minor) == ("submitted", 5_000, 5_000)
    assert slot.unpaid_minor == 5_000
    assert funding_of(stage) == ("succeeded", 5_150, False)
    prove(stage)
    assert stage.approve().is_done
    check_balances(connection, "EUR", "escrow 0.00 · commission 5.00 · client fee 1.50")
    prove(stage)


def test_e10_won_then_lost_on_appeal(connection: Connection) -> None:
    """E10: funds events are a list: taken, back, taken again; each posts."""
    stage = released(connection)
    bank = Bank(stage).opened()
    assert bank.gives().is_done
    assert bank.says("won").is_done
    stage.wait(days=60)

    assert bank.says("appeal_open").is_done
    assert open_holds(stage) == ["chargeback"]
    assert bank.takes(fee=0).is_done
    check_balances(connection, "EUR", "earned available 0.00 · earned reserved 90.00")
    assert bank.says("appeal_lost").is_done

    check_balances(connection, "EUR", "earned reserved 0.00 · chargebacks contested 0.00")
    check_balances(connection, "EUR", "commission 0.00 · client fee 0.00 · claim on payee 0.00")
    assert open_holds(stage) == []
    prove(stage)


def test_lost_then_won_on_appeal(connection: Connection) -> None:
    """What the payee paid comes back to him, what he owed he owes no longer, our fees are ours."""
    stage = released(connection)
    take_out(stage, 4_000)
    bank = Bank(stage).opened()
    assert bank.says("lost").is_done
    stage.wait(days=60)

    assert bank.says("appeal_open").is_done
    assert bank.gives().is_done
    assert bank.says("appeal_won").is_done

    (claim,) = claims(stage)
    assert (claim.state, claim.remaining_minor, claim.relieved_minor) == ("recovered", 0, 4_000)
    check_balances(connection, "EUR", "earned available 50.00 · claim on payee 0.00")
    check_balances(connection, "EUR", "commission 10.00 · client fee 3.00")
    check_balances(connection, "EUR", "chargebacks contested 0.00")
    assert stage.slot().kept_minor == 10_000
    prove(stage)


def test_a_lost_slot_is_funded_again_by_an_appeal(connection: Connection) -> None:
    """Unfunded by the loss, funded by the appeal; the submission is to be shown again."""
    stage = Stage(connection).submitted()
    bank = Bank(stage).opened()
    assert bank.says("lost").is_done

    assert bank.gives().is_done
    assert bank.says("appeal_won").is_done

    slot = stage.slot()
    assert (slot.state, slot.held_minor, slot.submission_no) == ("funded", 10_000, 0)
    check_balances(connection, "EUR", "escrow 100.00 · deferred fees 3.00")
    prove(stage)


def test_money_for_a_slot_that_was_paid_otherwise_goes_to_the_wallet(
    connection: Connection,
) -> None:
    """The client paid again after the loss; what an appeal brings is his."""
    stage = Stage(connection).submitted()
    bank = Bank(stage).opened()
    assert bank.says("lost").is_done
    assert stage.fund().is_done

    assert bank.gives().is_done
    assert bank.says("appeal_won").is_done

    check_balances(connection, "EUR", "escrow 100.00 · wallet 103.00 · deferred fees 3.00")
    prove(stage)


def test_a_year_after_release_the_recovery_is_capped(connection: Connection) -> None:
    """E9: all was withdrawn long ago; a quarter of each release pays the claim."""
    stage = released(connection)
    take_out(stage, 9_000)
    stage.wait(days=365)
    bank = Bank(stage).opened()
    check_balances(connection, "EUR", "earned reserved 0.00")
    assert bank.says("lost").is_done
    check_balances(connection, "EUR", "claim on payee 90.00")

    another_release(stage, 10_000)

    check_balances(connection, "EUR", "claim on payee 67.50 · earned available 67.50")
    prove(stage)


def test_e7_drift_of_the_rails_currency(connection: Connection) -> None:
    """E7: the processor's amount is posted, the difference is ours."""
    stage = Stage(connection).submitted()
    bank = Bank(stage)
    assert bank.says("needs_response").is_done

    assert bank.moves("withdrawn", 10_350, disputed=10_300, fee=1_500).is_done

    check_balances(connection, "EUR", "escrow 0.00 · expense.fx 0.50 · chargeback fee 15.00")
    prove(stage)
    assert bank.moves("reinstated", 10_270, disputed=10_300).is_done
    assert bank.says("won").is_done
    check_balances(connection, "EUR", "escrow 100.00 · deferred fees 3.00 · expense.fx 0.80")
    prove(stage)


def test_a_warning_holds_and_moves_nothing(connection: Connection) -> None:
    """An inquiry stops the slot; closed without money, the review begins anew."""
    stage = Stage(connection).submitted()
    bank = Bank(stage)

    assert bank.says("warning").is_done
    assert open_holds(stage) == ["chargeback"]
    assert stage.on_slot("give_back", stage.payee).code == "escrow.held"
    stage.wait(days=20)
    assert stage.slot().state == "submitted"
    assert bank.says("closed").is_done

    assert open_holds(stage) == []
    stage.wait(days=14)
    assert stage.slot().state == "released"
    check_balances(connection, "EUR", "chargeback fee 0.00")
    prove(stage)


def test_prevented_is_gone(connection: Connection) -> None:
    """Paid back without a case: what left does not come back."""
    stage = Stage(connection).submitted()
    bank = Bank(stage)

    assert bank.says("prevented").is_done
    assert stage.slot().state == "submitted"
    assert bank.takes(fee=0).is_done

    assert stage.slot().state == "awaiting_funding"
    prove(stage)


def test_a_tip_is_charged_back(connection: Connection) -> None:
    """P20 for a tip of 20.00: 18.00 reserved, lost, both fees returned."""
    stage = Stage(connection, terms=Terms()).ready()
    assert stage.tip(2_000).is_done
    assert stage.hear(stage.result()).is_done
    stage.wait(days=5)

    bank = Bank(stage, amount_minor=2_060).opened()

    check_balances(connection, "EUR", "earned reserved 18.00 · chargebacks contested 20.60")
    assert bank.says("lost").is_done
    check_balances(connection, "EUR", "earned reserved 0.00 · commission 0.00 · client fee 0.00")
    prove(stage)
    assert bank.gives().is_done
    check_balances(connection, "EUR", "earned available 18.00 · commission 2.00 · client fee 0.60")
    prove(stage)


def test_the_client_has_a_year_of_time(connection: Connection) -> None:
    """A chargeback on an ended contract is booked as any other, and closes again."""
    stage = released(connection)
    assert stage.on_contract("end", stage.client).is_done
    stage.wait(days=200)

    bank = Bank(stage).opened()
    assert bank.says("lost", at=stage.now + timedelta(hours=1)).is_done

    check_balances(connection, "EUR", "earned available 0.00 · claim on payee 0.00")
    prove(stage)
