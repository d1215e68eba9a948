"""A price that changes while the client's payment is on its way."""

from sqlalchemy import Connection

from escrow.model import SlotState
from tests.escrow.stage import Stage, check_balances, prove_books


def test_a_top_up_that_lands_after_the_price_was_lowered_goes_to_the_clients_wallet(
    connection: Connection,
) -> None:
    """Nobody pays for what was agreed away: the slot never holds more than its price."""
    stage = Stage(connection).ready()
    assert stage.amend(new_amount_minor=20_000).is_done
    assert stage.start_funding().is_done
    assert stage.amend(new_amount_minor=10_000).is_done

    heard = stage.hear(stage.result())

    assert heard.facts["funding_state"] == "credited"
    slot = stage.slot()
    assert (slot.state, slot.held_minor) == (SlotState.FUNDED, 10_000)
    check_balances(connection, "EUR", "escrow 100.00 · wallet 103.00")
    prove_books(connection)


def test_a_top_up_that_only_partly_fits_goes_to_the_wallet_whole(connection: Connection) -> None:
    """The client was charged for 100.00 more and owes 50.00: he pays again, of what he has."""
    stage = Stage(connection).ready()
    assert stage.amend(new_amount_minor=20_000).is_done
    assert stage.start_funding().is_done
    assert stage.amend(new_amount_minor=15_000).is_done

    heard = stage.hear(stage.result())

    assert heard.facts["funding_state"] == "credited"
    assert (stage.slot().held_minor, stage.slot().unpaid_minor) == (10_000, 5_000)
    prove_books(connection)
