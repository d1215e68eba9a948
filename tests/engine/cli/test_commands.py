"""The command line: exit codes, JSON with stable keys, and trouble in one sentence."""

import json
from pathlib import Path

import click
import psycopg
import pytest
from click.testing import CliRunner, Result

from engine.__main__ import main
from engine.ports import listen
from kernel.database import Tenant
from migrations import runner
from tests.fixtures.databases import TestDatabase

KEYS = {
    *("tenant", "source", "seed", "days", "first_day", "last_day", "is_complete"),
    *("contracts", "slots", "funded", "released", "refunded", "held", "tips", "wallets"),
    *("paid_out", "revenue", "timers_fired", "timers", "commands", "refusals", "skipped"),
    *("unreadable", "events", "entries", "lines", "seconds", "lines_per_second"),
    *("proven", "safeguarding", "findings"),
    *("weeks", "periods", "disputes", "lines_disputed", "claims", "open", "open_items"),
    *("chargebacks", "charged_back", "reinstated", "returned", "accounts", "contract_states"),
    *("midnights", "midnights_told_late", "digest", "rates", "exchange", "fees", "documents"),
}


@pytest.fixture
def house(own_database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> TestDatabase:
    """A database of one's own that the commands find in their settings; its tenant is `test`."""
    monkeypatch.setenv("DATABASE_URL", own_database.app_url)
    monkeypatch.setenv("HOLDFAST_OWNER_URL", own_database.owner_url)
    return own_database


def holdfast(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


def expect_sentence(result: Result, *words: str) -> None:
    """One sentence on standard error, and exit code 2."""
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    for word in words:
        assert word in result.stderr


def test_every_command_has_a_module_and_helps() -> None:
    """The table of names leads to real commands, and each of them explains itself."""
    group = main
    assert isinstance(group, click.Group)
    for name in group.list_commands(click.Context(group)):
        assert holdfast(name, "--help").exit_code == 0


def test_an_unknown_command_or_option_could_not_tell() -> None:
    """Exit code 2, as for everything that was not answered."""
    assert holdfast("dance").exit_code == 2
    assert holdfast("replay", "--days", "-1").exit_code == 2
    assert holdfast("statement", "one").exit_code == 2


def test_reports_are_json_with_stable_keys(house: TestDatabase) -> None:  # noqa: ARG001  settings
    """Each report on an empty tenant: exit code 0 and the keys that scripts rely on."""
    proof = json.loads(holdfast("prove", "--json").stdout)
    totals = json.loads(holdfast("trial-balance", "--json").stdout)
    clean = json.loads(holdfast("invariants", "--json").stdout)
    time = json.loads(holdfast("clock", "show", "--json").stdout)

    assert {"tenant", "clean", "counts", "promises", "findings"} <= set(proof)
    assert totals == {"balanced": True, "rows": [], "totals": []}
    assert clean == {
        "clean": True,
        "tenants": [
            {"tenant": "test", "proven": True, "safeguarding": True, "findings": [], "notes": []}
        ],
    }
    assert set(time) == {"tenant", "mode", "now", "next_timer"}
    assert json.loads(holdfast("balance", "--json").stdout) == []


@pytest.mark.slow
def test_a_replay_by_command_is_proven_and_can_be_read(house: TestDatabase) -> None:  # noqa: ARG001
    """A tenant of its own each time; balances, statement and trial balance show what it left."""
    first = holdfast("replay", "--contracts", "8", "--days", "4", "--json")
    report = json.loads(first.stdout)

    assert first.exit_code == 0
    assert set(report) == KEYS
    assert (report["tenant"], report["proven"], report["safeguarding"]) == ("replay", True, True)
    accounts = json.loads(holdfast("balance", "--tenant", "replay", "--json").stdout)
    number = str(accounts[0]["account_id"])
    extract = json.loads(holdfast("statement", number, "--tenant", "replay", "--json").stdout)
    assert extract["balance"] == extract["lines"][-1]["balance_after"]
    assert holdfast("trial-balance", "--tenant", "replay").exit_code == 0
    assert holdfast("invariants").exit_code == 0
    expect_sentence(holdfast("prove"), "There are 2 tenants", "--tenant")


@pytest.mark.slow
def test_books_that_were_tampered_with_are_bad_news(house: TestDatabase) -> None:
    """Exit code 1 from prove and invariants, and the finding in words."""
    holdfast("replay", "--contracts", "8", "--days", "4", "--tenant", "played")
    tamper(house, "UPDATE tenant_played.account SET balance_minor = balance_minor - 1")

    proof = holdfast("prove", "--tenant", "played")
    invariants = holdfast("invariants", "--json")

    assert (proof.exit_code, invariants.exit_code) == (1, 1)
    assert "BROKEN" in proof.stdout
    assert json.loads(invariants.stdout)["clean"] is False


def tamper(house: TestDatabase, statement: str) -> None:
    """Do as a superuser, without any guard, what nobody may do."""
    url = house.admin_url.replace("postgresql+psycopg", "postgresql")
    with psycopg.connect(url) as admin:
        admin.execute("SET session_replication_role = replica")
        admin.execute("ALTER TABLE tenant_played.account DROP CONSTRAINT account_within_bounds")
        admin.execute(statement.encode())


def test_a_sandbox_is_made_and_its_clock_moved(house: TestDatabase) -> None:  # noqa: ARG001
    """Forward only; a live tenant's clock is refused."""
    assert holdfast("tenant", "create", "play", "--sandbox").exit_code == 0
    before = json.loads(holdfast("clock", "show", "--tenant", "play", "--json").stdout)
    after = json.loads(
        holdfast("clock", "advance", "--tenant", "play", "--days", "2", "--json").stdout
    )

    assert (before["mode"], after["mode"]) == ("sandbox", "sandbox")
    assert after["now"] > before["now"]
    expect_sentence(
        holdfast("clock", "advance", "--tenant", "play", "--to", "2020-01-01"), "forward"
    )
    expect_sentence(holdfast("clock", "advance", "--tenant", "play", "--to", "soon"), "no time")
    expect_sentence(holdfast("clock", "advance", "--tenant", "test", "--days", "1"), "sandbox")


def test_keys_are_made_rotated_and_revoked(house: TestDatabase) -> None:  # noqa: ARG001
    """The secret is shown when it is made and never again."""
    made = json.loads(
        holdfast("keys", "create", "--scope", "ledger:read", "--label", "x", "--json").stdout
    )
    turned = json.loads(holdfast("keys", "rotate", made["id"], "--json").stdout)
    revoked = json.loads(holdfast("keys", "revoke", turned["id"], "--json").stdout)
    listed = holdfast("keys", "list", "--json").stdout

    assert turned["principal_id"] == made["principal_id"]
    assert revoked["revoked_at"] is not None
    assert made["secret"] not in listed
    assert {each["id"] for each in json.loads(listed)} == {made["id"], turned["id"]}
    expect_sentence(holdfast("keys", "revoke", "0" * 32), "no key")


def test_unknown_names_are_told(house: TestDatabase) -> None:  # noqa: ARG001
    """A tenant or account that is not there, a name that is taken or cannot be one."""
    expect_sentence(holdfast("prove", "--tenant", "nobody"), "No tenant")
    expect_sentence(holdfast("statement", "99"), "no account with number 99")
    expect_sentence(holdfast("tenant", "create", "test"), "there already")
    expect_sentence(holdfast("tenant", "create", "Not-A-Name"), "Not-A-Name")


def test_a_file_that_is_no_list_of_postings_is_told(tmp_path: Path) -> None:
    """Before any database is opened."""
    picture = tmp_path / "jobs.csv"
    picture.write_bytes(bytes(range(256)) * 10)

    expect_sentence(holdfast("replay", "--jobs", str(picture)), "no list of job postings")
    assert holdfast("replay", "--jobs", str(tmp_path / "none.csv")).exit_code == 2


def test_a_bad_database_url_is_told_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence that names the variable; the password is nowhere in it."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://app:hush@127.0.0.1:1/books")
    unreachable = holdfast("prove")
    monkeypatch.setenv("DATABASE_URL", "mysql://app:hush@localhost/books")
    other = holdfast("prove")

    expect_sentence(unreachable, "127.0.0.1", "DATABASE_URL")
    expect_sentence(other, "DATABASE_URL", "postgresql://")
    assert "hush" not in unreachable.stderr + other.stderr


def test_an_old_schema_is_refused_with_what_to_run(
    house: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A schema of another revision is told with what to run; migrate --check says it too."""
    url = house.admin_url.replace("postgresql+psycopg", "postgresql")
    with psycopg.connect(url) as admin:
        admin.execute("UPDATE tenant_test.alembic_version SET version_num = '0001'")

    assert holdfast("migrate", "--check").exit_code == 1
    expect_sentence(holdfast("prove"), "tenant test", "0001", "holdfast migrate")
    monkeypatch.delenv("HOLDFAST_OWNER_URL")
    expect_sentence(holdfast("migrate"), "HOLDFAST_OWNER_URL")


def test_migrate_brings_an_empty_database_up_to_date(house: TestDatabase) -> None:
    """And says so; a second time there is nothing left to bring."""
    runner.create_tenant(house.owner_url, Tenant("more"))

    result = holdfast("migrate", "--json")

    assert json.loads(result.stdout)["behind"] == []
    assert holdfast("migrate", "--check").exit_code == 0


@pytest.mark.slow
def test_run_once_replays_a_month_and_later_shows_it_again(house: TestDatabase) -> None:  # noqa: ARG001
    """The first start makes the tenant `demo`; the second prints the same report and makes none."""
    first = holdfast("run", "--once", "--contracts", "5", "--json")
    second = holdfast("run", "--once", "--contracts", "5", "--json")

    assert (first.exit_code, second.exit_code) == (0, 0)
    assert json.loads(first.stdout) == json.loads(second.stdout)
    assert json.loads(holdfast("tenant", "list", "--json").stdout) == ["demo", "test"]


def test_run_tells_of_a_port_in_use_before_anything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for a month to be replayed to learn that the API cannot listen."""
    with listen("127.0.0.1", 0) as taken:
        monkeypatch.setenv("HOLDFAST_PORT", str(taken.getsockname()[1]))
        result = holdfast("run")

    expect_sentence(result, "in use", "HOLDFAST_PORT")
