"""One deal's news in any order, twice and late: a fraction of what the command plays."""

from typing import Final

from sqlalchemy import Engine

from kernel.database import Tenant
from tests.scenarios.permutations import begin, differences, play, play_many, serial

IN_CI: Final = 20
"""Of ten thousand, which `python -m tests.scenarios.permutations` plays."""


def test_any_order_ends_in_the_books_of_the_serial_one(own_engine: Engine, tenant: Tenant) -> None:
    """Late, twice, in any order, or only when gaps are filled."""
    begin(own_engine, tenant)

    wrong = play_many(own_engine, tenant, count=IN_CI, seed=20_000, tell=lambda _: None)

    assert wrong == []


def test_what_is_never_heard_is_missed(own_engine: Engine, tenant: Tenant) -> None:
    """The comparison can fail: without the last word the money is still at the payee's account."""
    begin(own_engine, tenant)
    home = frozenset({"called home", "call's line"})

    first = play(own_engine, tenant, serial())
    without = play(own_engine, tenant, [*serial()[:-1], []], never=home)

    assert "custody.processor_available[stripe:acct_1]" in differences(first.books, without.books)
