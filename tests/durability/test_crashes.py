"""Acknowledged is durable: the clients' own logs against the books, after `kill -9` under load."""

from pathlib import Path

import pytest

from tests.durability.crashes import crash


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_and_nothing_doubled(directory: Path) -> None:
    """The server, a client, and both at once are killed; every answer a client heard still holds.

    Twenty rounds and more: `python -m tests.durability --rounds 20`.
    """
    report = crash(directory, rounds=3, seed=7)

    assert report.complaints == ()
    assert report.kills == {"postgresql": 2, "client": 2}
    assert report.sent == report.acknowledged > 400
    assert report.events > 200
