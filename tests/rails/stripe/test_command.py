"""`holdfast rails prepare`: what must be so at Stripe before client money may lie there."""

import json

import pytest
from click.testing import CliRunner, Result

from engine.__main__ import main
from tests.doubles.stripe_double.double import API_KEY
from tests.fixtures.databases import TestDatabase
from tests.rails.stripe.builders import Stage
from tests.rails.stripe.fixtures import stage, stripe_double

__all__ = ["stage", "stripe_double"]


def _prepare(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["rails", "prepare", *arguments], catch_exceptions=False)


def test_the_platforms_payouts_are_set_to_manual(
    own_database: TestDatabase, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a key there is nothing to do; with one it is set once; an outage is exit 2."""
    monkeypatch.setenv("DATABASE_URL", own_database.app_url)
    monkeypatch.setenv("HOLDFAST_OWNER_URL", own_database.owner_url)
    without = _prepare()
    monkeypatch.setenv("STRIPE_API_KEY", API_KEY)
    monkeypatch.setenv("STRIPE_API_BASE", stage.double.url)

    first, second = _prepare("--json"), _prepare()
    monkeypatch.setenv("STRIPE_API_BASE", "http://127.0.0.1:9")
    away = _prepare()

    assert (without.exit_code, without.stdout) == (0, "No rail in use needs to be set up.\n")
    assert json.loads(first.stdout)["rails"] == [{"rail": "stripe", "was_set_now": True}]
    assert "no" in second.stdout
    assert stage.rail.wire.is_manual()
    assert away.exit_code == 2
