"""For every pair of conflicting commands the result is that of one of the two serial orders.

A sample of schedules of every pair, always the same; `python -m tests.interleave --all` plays all
that switch once.
"""

from collections.abc import Iterator

import pytest

from kernel.database import Tenant
from kernel.embedded import EmbeddedServer
from tests.fixtures.databases import cloned_database
from tests.interleave.explore import Lab, open_lab
from tests.interleave.pairs import PAIRS
from tests.interleave.scenes import Pair

SAMPLE = 3
"""Schedules of each pair in each run of the tests."""


@pytest.fixture(scope="module")
def lab(server: EmbeddedServer, tenant: Tenant) -> Iterator[Lab]:
    """One database for all pairs; each begins with empty tables."""
    with cloned_database(server) as database, open_lab(database, tenant) as lab:
        yield lab


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_two_at_once_end_as_one_after_the_other(lab: Lab, pair: Pair) -> None:
    """Answers and every row of every table are those of a serial order; the books are proved."""
    with lab.set_up(pair) as setting:
        found = setting.explore(setting.schedules("sample", SAMPLE, "tests"))

    assert not found, "\n\n".join(f"{each.schedule}: {each.what}" for each in found)
