"""Books come in by command: adopted by two people, imported from an export, rebuilt and proven."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from engine.__main__ import main
from kernel.database import Tenant, connect, transaction
from kernel.embedded import EmbeddedServer
from ledger import seal
from ledger.service import post
from tests.fixtures.databases import TestDatabase, cloned_database
from tests.fixtures.sources import ROOT
from tests.ledger.drafts import fund, wallet

FILE = re.search(r"```csv\n(.*?)```", (ROOT / "docs/adoption.md").read_text("utf-8"), re.DOTALL)


@pytest.fixture
def house(own_database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> TestDatabase:
    """A database of one's own that the commands find in their settings; its tenant is `test`."""
    monkeypatch.setenv("DATABASE_URL", own_database.app_url)
    monkeypatch.setenv("HOLDFAST_OWNER_URL", own_database.owner_url)
    return own_database


@pytest.fixture
def books(tmp_path: Path) -> str:
    """The example of docs/adoption.md as a file."""
    assert FILE is not None
    path = tmp_path / "books.csv"
    path.write_text(FILE[1], encoding="utf-8")
    return str(path)


def holdfast(*arguments: str, key: str | None = None) -> Result:
    env = {"HOLDFAST_KEY": key} if key else {}
    return CliRunner(env=env).invoke(main, arguments, catch_exceptions=False)


def told(*arguments: str, key: str | None = None) -> dict[str, Any]:
    result = holdfast(*arguments, "--json", key=key)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    return found


def person() -> str:
    return str(told("keys", "create", "--person", "--operator")["secret"])


def test_the_example_of_the_page_is_adopted_by_two_people(
    house: TestDatabase,
    books: str,
) -> None:
    """Dry run, one person, another person; then the books are proven and the file is done with."""
    ann, ben = person(), person()
    dry = told("adopt", books, "--dry-run")
    nothing = told("prove")["counts"]
    prepared = told("adopt", books, "--prepare", key=ann)
    alone = holdfast("adopt", books, "--approve", key=ann)
    approved = told("adopt", books, "--approve", key=ben)
    again = holdfast("adopt", books, "--approve", "--json", key=ben)

    assert dry["faults"] == []
    assert (dry["parties"], dry["contracts"], dry["milestones"]) == (2, 1, 1)
    assert nothing["line"] == nothing["account"] == 0
    assert prepared["totals"] == dry["totals"] == approved["totals"]
    assert alone.exit_code == 1
    assert "adoption.same_person" in alone.output
    assert approved["event_id"]
    assert again.exit_code == 1
    assert json.loads(again.stdout)["refused"] == "adoption.approved_already"
    assert told("prove", "--leaves")["clean"]
    (checked,) = told("invariants")["tenants"]
    assert (checked["safeguarding"], checked["findings"]) == (True, [])
    (note,) = checked["notes"]
    assert note.startswith("150.00 EUR of custody.bank came in by an adoption: ")
    more = connect(house.app_url)
    with transaction(more, Tenant("test")) as connection:
        post(connection, [fund(1, wallet("x"))])
    more.dispose()
    (missed,) = json.loads(holdfast("invariants", "--json").stdout)["tenants"]
    assert missed["findings"] == [
        "custody.bank is 150.01 EUR in the books and 150.00 elsewhere",
        "150.01 EUR are owed out of client money and 150.00 are there",
    ]


def test_faults_are_bad_news_with_their_lines(
    house: TestDatabase,  # noqa: ARG001  settings
    books: str,
) -> None:
    """Exit 1, a sentence for each fault, and no key is asked for."""
    text = Path(books).read_text(encoding="utf-8")
    Path(books).write_text(text.replace("150.00", "149.00"), encoding="utf-8")

    result = holdfast("adopt", books, "--prepare")

    assert result.exit_code == 1
    assert "149.00 EUR are there and 150.00 EUR are owed" in result.output
    assert "line 9, total of custody EUR" in result.output
    assert "2 faults; nothing is posted." in result.output


def test_what_is_missing_is_asked_for_in_a_sentence(
    house: TestDatabase,  # noqa: ARG001  settings
    books: str,
) -> None:
    """Neither a step nor a live key, and an export that is none: exit 2."""
    assert "Say what to do" in holdfast("adopt", books).stderr
    assert "no live key" in holdfast("adopt", books, "--prepare", key="hf_x").stderr
    refused = holdfast("import", books)

    assert refused.exit_code == 2
    assert "Traceback" not in refused.output


def test_an_export_is_imported_rebuilt_and_proven(
    house: TestDatabase,
    tenant: Tenant,
    tmp_path: Path,
    server: EmbeddedServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Out of one database by command and into another, with the same root."""
    engine = connect(house.app_url)
    at = datetime(2026, 3, 2, tzinfo=UTC)
    with transaction(engine, tenant) as connection:
        post(connection, [fund(1 + n, wallet(f"w{n}"), at=at + timedelta(n)) for n in range(20)])
        seal.seal(connection, at=datetime.now(UTC))
    engine.dispose()
    out = told("export", "--to", str(tmp_path / "out"))
    with cloned_database(server) as other:
        monkeypatch.setenv("DATABASE_URL", other.app_url)
        monkeypatch.setenv("HOLDFAST_OWNER_URL", other.owner_url)
        dry = told("import", str(tmp_path / "out"), "--dry-run")
        done = told("import", str(tmp_path / "out"))
        checked = told("rebuild", "--check")
        rebuilt = told("rebuild")
        proof = told("prove")
    (said,) = {out["root"], dry["root"], done["root"]}

    assert said
    assert (dry["complete"], done["complete"], done["imported"]) == (False, True, 20)
    assert checked["identical"]
    assert rebuilt["identical"]
    assert {each["table"] for each in rebuilt["tables"]} >= {"account", "tree_node", "kind_cell"}
    assert proof["clean"]
    assert "every event's leaf hash is that of its canonical bytes" in proof["promises"]
