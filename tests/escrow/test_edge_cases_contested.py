"""Edge cases 6, 34 and 38 of domain/escrow.md 2.11: money that the client's bank takes back."""

from sqlalchemy import Connection

from escrow import store
from escrow.model import Lot, Method
from rails.model import RailOutcome
from tests.escrow.stage import Stage, check_balances
from tests.escrow.stage_chargeback import Bank, funding_of, open_holds, prove
from tests.escrow.stage_claims import released, send_back


def test_e6_no_refund_goes_out_while_the_bank_contests_the_payment(
    connection: Connection,
) -> None:
    """E6: with a dispute open on the payment every way back refuses, and nothing is written."""
    stage = Stage(connection).submitted()
    bank = Bank(stage)
    assert bank.says("needs_response").is_done
    before = stage.slot()

    given_back = stage.on_slot("give_back", stage.payee)

    assert given_back.code == "escrow.held"
    assert stage.slot() == before
    assert funding_of(stage)[2]
    prove(stage)


def test_e6_no_refund_after_release_while_the_bank_contests_the_payment(
    connection: Connection,
) -> None:
    """E6: released money is not sent back besides, or the client would have it twice."""
    stage = released(connection)
    bank = Bank(stage)
    assert bank.says("needs_response").is_done

    refused = send_back(stage, 5_000)

    assert refused.code == "escrow.held"
    check_balances(connection, "EUR", "refund in transit 0.00 · earned available 90.00")
    prove(stage)


def test_e6_what_was_refunded_and_charged_back_is_our_loss(connection: Connection) -> None:
    """E6: both happened; what the bank takes beyond the payment is booked to us as a loss."""
    stage = released(connection)
    sent = send_back(stage, 10_000)
    assert sent.is_done, sent
    refund_id = sent.facts["refund_ids"][0]
    assert stage.refund_result(refund_id, RailOutcome.DONE).is_done

    bank = Bank(stage).opened()
    assert bank.says("lost").is_done

    check_balances(connection, "EUR", "chargebacks contested 0.00 · chargeback loss 100.00")
    check_balances(connection, "EUR", "claim on payee 0.00 · earned available 0.00")
    prove(stage)


def test_e34_of_a_rolled_lot_the_exact_remainder_is_frozen(connection: Connection) -> None:
    """E34: 60 of card A rolled beside 50 of card B; A is charged back, and B's money stays."""
    stage = Stage(connection, amounts=(10_000, 5_000)).submitted()
    first, second = stage.slot_ids
    card_a = stage.funding_id
    stage.slot_id = second
    assert stage.fund().is_done
    card_b = stage.funding_id
    stage.slot_id = first
    assert stage.release_part(4_000).is_done
    assert stage.amend(to_slot_id=second).is_done
    check_balances(connection, "EUR", "escrow 110.00 · earned pending 36.00")
    stage.slot_id, stage.funding_id = second, card_a

    bank = Bank(stage, amount_minor=10_300).opened()

    check_balances(connection, "EUR", "escrow 50.00")
    assert stage.slot(second).held_minor == 5_000
    assert {lot.funding_id for lot in _left(connection, stage)} == {card_b}
    assert open_holds(stage, second) == []
    prove(stage)
    assert stage.release_part(1_000).is_done
    assert bank.says("won").is_done
    assert bank.gives().is_done
    assert stage.slot(second).held_minor == 10_000
    check_balances(connection, "EUR", "escrow 100.00 · chargebacks contested 0.00")
    prove(stage)


def test_e38_uncleared_money_is_not_released(connection: Connection) -> None:
    """E38: a debit that its bank may still take back blocks every release."""
    stage = Stage(connection, method=Method.BANK_DEBIT)
    assert stage.propose().is_done
    assert stage.accept().is_done
    assert stage.start_funding().is_done
    assert stage.hear(stage.result(cleared=False)).is_done
    assert stage.submit().is_done

    assert stage.approve().code == "escrow.not_cleared"
    assert stage.release_part(1_000).code == "escrow.not_cleared"
    stage.wait(days=15)
    assert stage.slot().state == "submitted"
    prove(stage)


def test_e38_a_debit_returned_after_release_is_fronted_and_claimed(connection: Connection) -> None:
    """E38: cleared, released, returned all the same: P20 and P21, without a network fee."""
    stage = Stage(connection, method=Method.BANK_DEBIT).submitted()
    assert stage.approve().is_done
    stage.wait(days=5)
    check_balances(connection, "EUR", "earned available 90.00")

    back = stage.hear(stage.result(RailOutcome.REFUSED, code="returned"))

    assert back.is_done, back
    assert funding_of(stage)[0] == "reversed"
    check_balances(connection, "EUR", "chargeback fee 0.00 · chargebacks contested 0.00")
    check_balances(connection, "EUR", "commission 0.00 · client fee 0.00")
    check_balances(connection, "EUR", "earned available 0.00 · claim on payee 0.00")
    prove(stage)


def _left(connection: Connection, stage: Stage) -> list[Lot]:
    lots = store.list_lots(connection, [stage.slot_id])[stage.slot_id]
    return [lot for lot in lots if lot.amount_minor > lot.gone_minor]
