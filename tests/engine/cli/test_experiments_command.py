"""`holdfast experiments`, as two people use it."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from engine.__main__ import main
from kernel.database import Tenant, connect, transaction
from tests.commissions.trials import pair, price, propose, settle
from tests.fixtures.databases import TestDatabase

DESIGN = {
    "name": "launch",
    "unit": "pair",
    "arms": [{"name": "control", "share_bps": 5_000}, {"name": "low", "share_bps": 2_500}],
    "stop_after_units": 100,
    "reason": "is less more?",
}


@pytest.fixture
def house(
    own_database: TestDatabase, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> TestDatabase:
    """A marketplace with two pairs, whose arm `low` has a price."""
    monkeypatch.setenv("DATABASE_URL", own_database.app_url)
    monkeypatch.setenv("HOLDFAST_OWNER_URL", own_database.owner_url)
    engine = connect(own_database.app_url)
    with transaction(engine, tenant) as connection:
        settle(connection, [pair(1), pair(2)])
        price(connection)
    engine.dispose()
    return own_database


def holdfast(*arguments: str, secret: str = "") -> Result:
    environment = {"HOLDFAST_KEY": secret} if secret else {}
    return CliRunner().invoke(main, arguments, env=environment, catch_exceptions=False)


def person() -> str:
    made = holdfast("keys", "create", "--person", "--operator", "--json")
    return str(json.loads(made.stdout)["secret"])


def test_an_experiment_by_command(house: TestDatabase, tenant: Tenant, tmp_path: Path) -> None:
    """From a file to a decision; exit 1 where the rules say no, 2 where nothing can be told."""
    ann, bob = person(), person()
    file = tmp_path / "experiment.json"
    file.write_text(json.dumps(DESIGN), encoding="utf-8")

    prepared = holdfast("experiments", "prepare", str(file), "--json", secret=ann)
    which = json.loads(prepared.stdout)["id"]
    own = holdfast("experiments", "start", which, secret=ann)
    started = holdfast("experiments", "start", which, secret=bob)
    engine = connect(house.app_url)
    with transaction(engine, tenant) as connection:
        for number in (1, 2):
            assert propose(connection, pair(number)).accept().is_done
    engine.dispose()
    read = holdfast("experiments", "readout", which, "--json")
    table = holdfast("experiments", "readout", which)
    stopped = holdfast("experiments", "stop", which, "--reason", "enough", secret=ann)
    decided = holdfast(
        *("experiments", "decide", which, "--arm", "control", "--reason", "no gain"), secret=bob
    )
    listed = holdfast("experiments", "list", "--state", "decided", "--json")

    assert own.exit_code == 1
    assert "experiment.same_person" in own.stdout
    done = [prepared, started, read, table, stopped, decided, listed]
    assert [each.exit_code for each in done] == [0] * len(done), [each.output for each in done]
    told = json.loads(read.stdout)
    assert [each["arm"] for each in told["arms"]] == ["control", "low", "holdout"]
    assert sum(each["units"] for each in told["arms"]) == 2
    assert "dispute share" in table.stdout
    (shown,) = json.loads(listed.stdout)
    assert (shown["decided_arm"], shown["decision"]) == ("control", "no gain")
    assert "launch" in holdfast("experiments", "list").stdout


@pytest.mark.usefixtures("house")
def test_what_cannot_be_told(tmp_path: Path) -> None:
    """No key, a file that is no experiment, one that there is not."""
    file = tmp_path / "experiment.json"
    file.write_text(json.dumps(DESIGN | {"unit": "payment"}), encoding="utf-8")
    nothing = "0190a5d0-0000-7000-8000-000000000000"

    malformed = holdfast("experiments", "prepare", str(file), secret=person())
    without = holdfast("experiments", "start", nothing)
    unknown = holdfast("experiments", "readout", nothing)
    refused = holdfast("experiments", "start", nothing, secret=person())

    told = [malformed, without, unknown, refused]
    assert [each.exit_code for each in told] == [2, 2, 2, 1]
    assert "unit" in malformed.stderr
    assert "experiment.unknown" in refused.stdout
