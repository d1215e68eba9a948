"""Chargebacks and disputes about the same money: frozen once, and nobody is paid meanwhile."""

import pytest
from sqlalchemy import Connection

from tests.escrow.stage import Stage, check_balances
from tests.escrow.stage_chargeback import Bank, prove
from tests.escrow.stage_dispute import Court


@pytest.mark.parametrize("back", [(5_150, 5_150), (1, 10_299), (10_299, 1), (3_000, 3_000, 4_300)])
def test_what_was_frozen_comes_back_frozen_once(
    connection: Connection, back: tuple[int, ...]
) -> None:
    """50.00 of 100.00 are in dispute, all is taken and comes back in parts; then it goes on."""
    stage = Stage(connection).submitted()
    court = Court(stage)
    assert court.open(stage.client, 5_000).is_done
    bank = Bank(stage)
    assert bank.says("needs_response").is_done
    assert bank.takes(fee=0).is_done

    for amount in back:
        assert bank.gives(amount).is_done
        prove(stage)
    assert bank.says("won").is_done

    assert stage.slot().disputed_minor == 5_000
    assert court.act("withdraw_dispute", stage.client).is_done
    check_balances(connection, "EUR", "escrow disputed 0.00")
    assert stage.approve().is_done
    check_balances(connection, "EUR", "escrow 0.00 · earned pending 90.00")
    prove(stage)


def test_contested_money_is_not_put_back_to_the_payee(connection: Connection) -> None:
    """A dispute after release, then a chargeback: withdrawing the dispute pays nobody out."""
    stage = Stage(connection).submitted()
    assert stage.approve().is_done
    court = Court(stage)
    assert court.open().is_done
    stage.wait(days=6)
    bank = Bank(stage).opened()

    assert court.act("withdraw_dispute", stage.client).code == "escrow.held"

    check_balances(connection, "EUR", "earned available 0.00")
    assert bank.gives().is_done
    assert bank.says("won").is_done
    assert court.act("withdraw_dispute", stage.client).is_done
    check_balances(connection, "EUR", "earned available 90.00 · earned reserved 0.00")
    prove(stage)


def test_a_review_goes_on_after_chargeback_and_dispute(connection: Connection) -> None:
    """Submitted, disputed, warned of and closed, withdrawn: the review runs in full, and pays."""
    stage = Stage(connection).submitted()
    court = Court(stage)
    assert court.open(stage.client, 5_000).is_done
    bank = Bank(stage)
    assert bank.says("warning").is_done
    assert bank.says("closed").is_done
    assert court.act("withdraw_dispute", stage.client).is_done
    assert stage.slot().state == "submitted"

    stage.wait(days=15)

    assert stage.slot().state == "released"
    prove(stage)
