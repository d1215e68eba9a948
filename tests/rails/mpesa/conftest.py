"""What the tests of M-Pesa stand on."""

from collections.abc import Iterator

import pytest

from tests.rails.mpesa.stage import Stage, staged


@pytest.fixture
def stage() -> Iterator[Stage]:
    """A rail against a double that listens on loopback."""
    with staged() as made:
        yield made
