"""The edges of chargebacks, by their numbers in domain/escrow.md 2.11, and disputes beside them."""

from uuid import UUID

import pytest
from sqlalchemy import Connection

from escrow import store
from escrow.model import Method
from rails.model import RailOutcome
from tests.escrow.stage import Stage, check_balances
from tests.escrow.stage_chargeback import Bank, funding_of, open_holds, prove
from tests.escrow.stage_claims import released, send_back
from tests.escrow.stage_dispute import Court


def rolled(connection: Connection) -> tuple[Stage, UUID, UUID]:
    """100.00 by one card, 40.00 released, 60.00 rolled to a slot with 50.00 of another card."""
    stage = Stage(connection, amounts=(10_000, 5_000)).submitted()
    first, (one, two) = stage.funding_id, stage.slot_ids
    stage.slot_id = two
    assert stage.fund().is_done
    second = stage.funding_id
    stage.slot_id = one
    assert stage.release_part(4_000).is_done
    assert stage.amend(to_slot_id=two).is_done
    stage.slot_id, stage.funding_id = two, first
    return stage, first, second


def test_e34_only_the_remainder_of_a_rolled_lot_freezes(connection: Connection) -> None:
    """E34: of 110.00 in the second slot the 60.00 of the charged-back card go; 50.00 go on."""
    stage, first, _ = rolled(connection)
    one, two = stage.slot_ids

    bank = Bank(stage).opened()

    slot = stage.slot(two)
    assert (slot.held_minor, slot.recalled_minor) == (5_000, 6_000)
    assert open_holds(stage, two) == []
    assert open_holds(stage, one) == ["chargeback"]
    check_balances(connection, "EUR", "escrow 50.00 · chargebacks contested 43.00")
    check_balances(connection, "EUR", "earned reserved 36.00")
    prove(stage)
    assert stage.submit().is_done
    assert stage.approve().code == "escrow.held"
    assert stage.release_part(5_000).is_done
    assert stage.slot(two).state == "submitted"
    prove(stage)

    assert bank.gives().is_done
    assert bank.says("won").is_done
    assert stage.slot(two).held_minor == 6_000
    assert stage.approve().is_done
    check_balances(connection, "EUR", "escrow 0.00 · commission 15.00")
    assert funding_of(stage, first) == ("succeeded", 0, False)
    prove(stage)


def test_e34_the_rest_of_a_rolled_lot_is_lost(connection: Connection) -> None:
    """E34: lost, the second slot keeps the other card's money and lacks 60.00 of its price."""
    stage, _, _ = rolled(connection)
    bank = Bank(stage).opened()

    assert bank.says("lost").is_done

    slot = stage.slot(stage.slot_ids[1])
    assert (slot.state, slot.held_minor, slot.unpaid_minor) == ("funded", 5_000, 6_000)
    assert stage.submit().is_done
    stage.wait(days=14)
    assert stage.slot().state == "released"
    prove(stage)


def test_a_review_beside_a_charged_back_part_goes_on(connection: Connection) -> None:
    """The clock of a slot with other money rings, finds a part away, and waits for the end."""
    stage, _, _ = rolled(connection)
    assert stage.submit().is_done
    bank = Bank(stage).opened()

    stage.wait(days=30)
    assert stage.slot().state == "submitted"
    assert bank.gives().is_done
    assert bank.says("won").is_done
    stage.wait(days=13)
    assert stage.slot().state == "submitted"
    stage.wait(days=2)

    assert stage.slot().state == "released"
    prove(stage)


def test_e6_a_refunded_payment_is_charged_back_too(connection: Connection) -> None:
    """E6: the client has it twice: the second is the platform's loss, and nobody else's."""
    stage = Stage(connection).ready()
    assert stage.on_slot("give_back", stage.payee).is_done

    bank = Bank(stage).opened()

    check_balances(connection, "EUR", "chargebacks contested 103.00 · earned reserved 0.00")
    assert funding_of(stage) == ("succeeded", 0, True)
    prove(stage)
    assert bank.says("lost").is_done
    check_balances(connection, "EUR", "chargeback loss 103.00 · chargebacks contested 0.00")
    prove(stage)
    assert bank.gives().is_done
    check_balances(connection, "EUR", "chargeback loss 0.00 · chargebacks contested 0.00")
    prove(stage)


def test_e6_no_refund_while_the_bank_looks_at_the_payment(connection: Connection) -> None:
    """E6: he has his case or a refund: neither released money nor held money goes back."""
    stage, _, _ = rolled(connection)
    bank = Bank(stage, amount_minor=1_000)
    assert bank.says("needs_response").is_done

    assert stage.on_slot("give_back", stage.payee).code == "escrow.held"
    stage.slot_id = stage.slot_ids[0]
    assert send_back(stage, 1_000).code == "escrow.held"
    assert bank.says("won").is_done

    stage.slot_id = stage.slot_ids[1]
    assert stage.on_slot("give_back", stage.payee).is_done
    prove(stage)


def test_e6_partly_refunded_then_charged_back_in_full(connection: Connection) -> None:
    """E6: what is left of the payment is taken where it lies, what is beyond it is ours."""
    stage = Stage(connection).submitted()
    assert stage.release_part(4_000).is_done
    stage.wait(days=5)
    assert send_back(stage, 1_000).is_done

    bank = Bank(stage).opened()

    sources = [(each.source.value, each.money_minor, each.fee_minor) for each in bank.pieces]
    assert sources == [("held", 6_000, 0), ("released", 3_000, 300), ("beyond", 1_000, 0)]
    prove(stage)
    assert bank.says("lost").is_done
    check_balances(connection, "EUR", "chargeback loss 10.00 · commission 0.00")
    assert funding_of(stage) == ("succeeded", 9_300, False)
    prove(stage)


def test_e38_a_cleared_debit_is_returned_after_release(connection: Connection) -> None:
    """E38: P20 and P21 at once: reserved, taken, and no fee of a network."""
    stage = Stage(connection, method=Method.BANK_DEBIT)
    assert stage.propose().is_done
    assert stage.accept().is_done
    assert stage.start_funding().is_done
    assert stage.hear(stage.result(cleared=False)).is_done
    assert stage.submit().is_done
    assert stage.approve().code == "escrow.not_cleared"
    assert stage.hear(stage.result(cleared=True)).is_done
    assert stage.approve().is_done
    stage.wait(days=300)

    assert stage.hear(stage.result(RailOutcome.REFUSED)).is_done

    assert funding_of(stage) == ("reversed", 10_300, False)
    check_balances(connection, "EUR", "earned available 0.00 · commission 0.00 · client fee 0.00")
    check_balances(connection, "EUR", "chargeback fee 0.00 · claim on payee 0.00")
    prove(stage)


def test_an_uncleared_debit_is_returned(connection: Connection) -> None:
    """2.3: succeeded_uncleared -> reversed: P18 without a fee, the slot awaits funding."""
    stage = Stage(connection, method=Method.BANK_DEBIT)
    assert stage.propose().is_done
    assert stage.accept().is_done
    assert stage.start_funding().is_done
    assert stage.hear(stage.result(cleared=False, fee_minor=82)).is_done

    assert stage.hear(stage.result(RailOutcome.REFUSED)).is_done

    assert funding_of(stage) == ("reversed", 10_300, False)
    slot = stage.slot()
    assert (slot.state, slot.uncleared_minor) == ("awaiting_funding", 0)
    check_balances(connection, "EUR", "escrow 0.00 · deferred fees 0.00 · chargeback fee 0.00")
    prove(stage)


def test_late_money_in_the_wallet_is_returned(connection: Connection) -> None:
    """A debit that had become a wallet's money and is returned is the platform's loss."""
    stage = Stage(connection, method=Method.BANK_DEBIT)
    stage.fill_wallet(10_300)
    (funding_id,) = connection.exec_driver_sql(
        "SELECT id FROM funding WHERE state = 'credited'"
    ).scalars()
    stage.funding_id = funding_id

    assert stage.hear(stage.result(RailOutcome.REFUSED)).is_done

    check_balances(connection, "EUR", "wallet 103.00 · chargeback loss 103.00")
    prove(stage)


def test_frozen_money_is_charged_back(connection: Connection) -> None:
    """P18 takes what a dispute froze; while it is away the dispute stands, won it goes on."""
    stage = Stage(connection).submitted()
    court = Court(stage).in_negotiation()
    check_balances(connection, "EUR", "escrow disputed 100.00")

    bank = Bank(stage).opened()

    check_balances(connection, "EUR", "escrow disputed 0.00 · escrow 0.00")
    assert open_holds(stage) == ["chargeback", "dispute"]
    assert court.act("withdraw_dispute", stage.client).code == "escrow.held"
    prove(stage)
    assert bank.gives().is_done
    assert bank.says("won").is_done
    check_balances(connection, "EUR", "escrow disputed 100.00")
    prove(stage)
    assert court.act("withdraw_dispute", stage.client).is_done
    assert stage.slot().state == "submitted"
    prove(stage)


def test_a_dispute_over_money_that_is_lost_is_over(connection: Connection) -> None:
    """There is nothing left to judge: fees go back, the hold is lifted, the slot is unfunded."""
    stage = Stage(connection, amounts=(30_000,)).submitted()
    stage.fill_wallet(10_000)
    court = Court(stage).in_negotiation()
    bank = Bank(stage, amount_minor=30_900).opened()

    assert bank.says("lost").is_done

    assert court.dispute.state == "withdrawn"
    assert stage.slot().state == "awaiting_funding"
    assert open_holds(stage) == []
    prove(stage)


def test_the_undisputed_part_goes_first(connection: Connection) -> None:
    """Of a slot with 30.00 frozen a chargeback of 50.00 takes free money; the dispute goes on."""
    stage = Stage(connection).submitted()
    court = Court(stage)
    assert court.open(amount_minor=3_000).is_done
    bank = Bank(stage, amount_minor=5_150).opened()

    check_balances(connection, "EUR", "escrow disputed 30.00 · escrow 20.00")
    assert bank.says("lost").is_done

    assert court.dispute.state == "opened"
    assert stage.slot().state == "disputed"
    prove(stage)


def test_released_money_in_dispute_is_charged_back(connection: Connection) -> None:
    """What a dispute set aside of a release pays the loss, and the dispute is over."""
    stage = Stage(connection).submitted()
    assert stage.approve().is_done
    court = Court(stage)
    assert court.open().is_done
    check_balances(connection, "EUR", "earned reserved 90.00 · earned pending 0.00")

    bank = Bank(stage).opened()
    assert bank.says("lost").is_done

    assert court.dispute.state == "withdrawn"
    check_balances(connection, "EUR", "earned reserved 0.00 · claim on payee 0.00")
    check_balances(connection, "EUR", "chargebacks contested 0.00 · commission 0.00")
    assert stage.slot().contested_minor == 0
    prove(stage)


def test_two_chargebacks_of_one_payment(connection: Connection) -> None:
    """Each takes what the other left; the payment is in dispute until both are over."""
    stage = released(connection)
    one = Bank(stage, "dp_1", 5_150).opened()
    two = Bank(stage, "dp_2", 5_150).opened()

    check_balances(connection, "EUR", "earned reserved 90.00 · chargebacks contested 103.00")
    prove(stage)
    assert one.says("lost").is_done
    assert funding_of(stage) == ("succeeded", 10_300, True)
    assert open_holds(stage) == ["chargeback"]
    prove(stage)
    assert two.gives().is_done
    assert two.says("won").is_done
    check_balances(connection, "EUR", "earned available 45.00 · commission 5.00 · client fee 1.50")
    assert funding_of(stage) == ("succeeded", 5_150, False)
    prove(stage)


@pytest.mark.parametrize("amount", [1, 33, 5_000, 10_299])
def test_a_part_in_odd_cents(connection: Connection, amount: int) -> None:
    """Parts of any size, taken, half given back and lost: nothing is left over."""
    stage = Stage(connection).submitted()
    assert stage.release_part(3_333).is_done
    stage.wait(days=5)
    bank = Bank(stage, amount_minor=amount)

    assert bank.says("needs_response").is_done
    assert bank.takes(fee=0).is_done
    prove(stage)
    if amount > 1:
        assert bank.gives(amount // 2).is_done
        prove(stage)
    assert bank.says("lost").is_done
    prove(stage)
    assert bank.gives(amount - amount // 2).is_done
    prove(stage)
    found = store.find_fundings(connection, [stage.funding_id])[0]
    assert found.charged_back_minor == 0


@pytest.mark.parametrize("price", [1, 17, 18, 50, 84])
def test_a_chargeback_that_leaves_a_cent(connection: Connection, price: int) -> None:
    """All but one cent is taken, and comes back cent by cent: no fee is left without its money."""
    stage = Stage(connection, amounts=(price,)).submitted()
    fee = stage.slot().fee_deferred_minor
    bank = Bank(stage, amount_minor=price + fee)
    assert bank.says("needs_response").is_done
    taken = price + fee - 1
    if not taken:
        return

    assert bank.takes(taken, fee=0).is_done

    prove(stage)
    assert stage.slot().held_minor >= (1 if fee else 0)
    for _ in range(taken):
        assert bank.gives(1).is_done
        prove(stage)
    assert bank.says("won").is_done
    prove(stage)
    found = store.find_fundings(connection, [stage.funding_id])[0]
    assert found.charged_back_minor == 0
