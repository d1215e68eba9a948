"""The thin thread: create, accept, fund, submit, approve."""

from sqlalchemy import Connection

from tests.escrow.stage import Stage, check_balances, prove_books


def test_thread(connection: Connection) -> None:
    """A deal goes through."""
    stage = Stage(connection)

    stage.ready(329)
    check_balances(connection, "EUR", "escrow 100.00 · due to platform 3.00")
    assert stage.submit().is_done
    answer = stage.approve()

    assert answer.is_done, answer
    check_balances(connection, "EUR", "escrow 0.00 · earned pending 90.00 · due to platform 13.00")
    stage.wait(days=6)
    check_balances(connection, "EUR", "earned pending 0.00 · earned available 90.00")
    prove_books(connection)
