"""Money that is pressed on someone who never agreed to the terms it comes under."""

import pytest
from sqlalchemy import Connection

from escrow.model import Method
from tests.escrow.stage import Stage, prove_books


@pytest.mark.parametrize("method", [Method.CARD, Method.WALLET])
def test_nobody_is_tipped_under_a_contract_that_was_never_accepted(
    connection: Connection, method: Method
) -> None:
    """Its commission and holds are one side's words alone; an ended offer is no better."""
    stage = Stage(connection)
    stage.fill_wallet(5_000)
    assert stage.propose().is_done

    offered = stage.tip(1_000, method)
    assert stage.on_contract("end", stage.client).is_done
    ended = stage.tip(1_000, method)

    assert {offered.code, ended.code} == {"escrow.contract_not_running"}
    prove_books(connection)
