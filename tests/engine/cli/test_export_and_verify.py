"""`holdfast export` and `holdfast verify`: exit codes, JSON, and trouble in one sentence."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from engine.__main__ import main
from kernel.database import Tenant, connect
from tests.fixtures.databases import TestDatabase
from tests.ledger.sealing import post_some, seal_everything


@pytest.fixture
def house(
    own_database: TestDatabase, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> TestDatabase:
    """A database of one's own with five sealed events, which the commands find."""
    monkeypatch.setenv("DATABASE_URL", own_database.app_url)
    engine = connect(own_database.app_url)
    post_some(engine, tenant, 5)
    seal_everything(engine, tenant)
    engine.dispose()
    return own_database


def holdfast(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments], catch_exceptions=False)


def test_an_export_is_written_and_verified(house: TestDatabase, tmp_path: Path) -> None:
    """Folder, packed folder and bundle: exit 0, the root in the JSON, and nothing is altered."""
    plain = holdfast("export", "--to", tmp_path / "plain", "--json")
    packed = holdfast("export", "--to", tmp_path / "packed", "--gz", "--as-of", "3")
    bundle = holdfast("export", "--bundle", tmp_path / "bundle.zip", "--proof", "2")

    assert [each.exit_code for each in (plain, packed, bundle)] == [0, 0, 0]
    told = json.loads(plain.stdout)
    assert set(told) == {"tenant", "written", "size", "root", "arguments", "files"}
    assert told["size"] == 5
    assert f"holdfast verify {tmp_path / 'packed'}" in packed.stdout
    for place in ("plain", "packed", "bundle.zip"):
        assert holdfast("verify", tmp_path / place).exit_code == 0
    checked = holdfast("verify", "--json")
    assert (checked.exit_code, house.app_url in checked.output) == (0, False)


@pytest.mark.usefixtures("house")
def test_an_alteration_is_bad_news(tmp_path: Path) -> None:
    """Exit 1, and the number in the first lines."""
    assert holdfast("export", "--to", tmp_path / "export").exit_code == 0
    log = tmp_path / "export" / "log.jsonl"
    log.write_bytes(log.read_bytes().replace(b'"journal_no":4,', b'"journal_no":9,'))

    result = holdfast("verify", tmp_path / "export")

    assert result.exit_code == 1
    assert "ALTERED, journal number 4" in result.stdout


@pytest.mark.usefixtures("house")
@pytest.mark.parametrize(
    "arguments",
    [
        ("export",),
        ("export", "--to", "{}/a", "--bundle", "{}/b"),
        ("export", "--to", "{}/a", "--proof", "1"),
        ("export", "--to", "{}"),
        ("export", "--to", "{}/a", "--as-of", "6"),
        ("export", "--to", "{}/a", "--as-of", "yesterday"),
        ("export", "--to", "{}/a", "--as-of", "2026-01-01T00:00:00"),
        ("export", "--to", "{}/a", "--from", "2026-01-01"),
        ("export", "--bundle", "{}/a.zip", "--proof", "6"),
        ("export", "--to", "{}/a", "--tenant", "nobody"),
        ("verify", "{}/nowhere"),
        ("verify", "{}"),
        ("verify", "--public-key", "nonsense"),
        ("verify", "--checkpoint", "{}/mine.txt"),
    ],
)
def test_what_cannot_be_done_is_told_in_a_sentence(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    """Exit 2, a sentence on standard error, and nothing is written."""
    (tmp_path / "mine.txt").write_text("mine\n")

    result = holdfast(*(each.format(tmp_path) for each in arguments))

    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr
    assert "Traceback" not in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
