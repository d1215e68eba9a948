"""Acknowledged is durable for whole deals: API, worker and PostgreSQL are killed under load."""

from pathlib import Path

import pytest

from tests.durability.rounds import play


@pytest.mark.slow
def test_no_deal_is_lost_or_doubled_by_a_kill(directory: Path) -> None:
    """API and worker at once, then PostgreSQL; logs, books and rail agree on every deal.

    Twenty rounds and more: `python -m tests.durability --rounds 20 --scenario engine`.
    """
    told: list[str] = []

    played = play(directory, rounds=2, seed=7, tell=told.append)

    assert played.complaints == ()
    assert played.kills == {"api": 1, "worker": 1, "postgresql": 1}
    assert len(told) == 2
    assert played.sent == played.acknowledged >= 200
    assert played.audit.done["payout.requested"] >= 3
