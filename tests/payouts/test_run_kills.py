"""Workers of a payout run are killed with SIGKILL: everybody is paid once, nobody is forgotten."""

import pytest

from tests.fixtures.databases import TestDatabase
from tests.payouts.run_kills import play


@pytest.mark.slow
def test_kills_at_any_moment_leave_nobody_paid_twice_or_forgotten(
    own_database: TestDatabase,
) -> None:
    """A hundredth of the large run: 100 payees, two kills at moments drawn by a seed."""
    seen = play(own_database, payees=100, kills=2, seed=1, tell=lambda _: None)

    assert seen.wrong == ()
    assert (seen.paid, seen.kills, seen.lives) == (100, 2, 3)
