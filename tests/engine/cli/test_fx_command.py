"""`holdfast fx`: rates are taken and shown, what stands open is told, months are closed."""

import json
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine

from engine.__main__ import main
from kernel import clock
from kernel.database import Tenant, transaction
from tests.escrow.stage_fx import Desk
from tests.fixtures.databases import TestDatabase

NOON = datetime(2020, 6, 3, 12, tzinfo=UTC)


@pytest.fixture
def sandbox(
    own_database: TestDatabase, own_engine: Engine, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> Engine:
    """A sandbox on a Wednesday of 2020."""
    monkeypatch.setenv("DATABASE_URL", own_database.app_url)
    with transaction(own_engine, tenant) as connection:
        clock.make_sandbox(connection, at=NOON)
    return own_engine


def holdfast(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["fx", *arguments])


@pytest.mark.usefixtures("sandbox")
def test_rates_of_the_installed_history_are_taken_once() -> None:
    """Two days of thirty-two currencies; again, and nothing is new."""
    assert holdfast("rates").exit_code == 1

    first = json.loads(holdfast("take", "--since", "2020-06-02", "--json").stdout)
    again = json.loads(holdfast("take", "--json").stdout)
    shown = json.loads(holdfast("rates", "--json").stdout)

    assert (first["taken"] > 60, first["known"], again["taken"]) == (True, 0, 0)
    found = {each["bought"]: each["rate"] for each in shown["rates"]}
    assert (found["USD"], found["JPY"]) == ("1.1194", "121.54")
    assert "1.1194" in holdfast("rates").stdout


@pytest.mark.usefixtures("sandbox")
def test_a_table_of_ones_own_is_taken(tmp_path: Path) -> None:
    """CSV; a line that is no rate is refused in words, and exit 2 says that nothing was done."""
    good, bad = tmp_path / "rates.csv", tmp_path / "bad.csv"
    good.write_text("as_of,sold,bought,rate\n2020-06-03,EUR,KWD,0.345\n", encoding="utf-8")
    bad.write_text("as_of,sold,bought,rate\n2020-06-03,EUR,KWD,0\n", encoding="utf-8")

    taken = holdfast("take", "--table", str(good))
    refused = holdfast("take", "--table", str(bad))
    both = holdfast("take", "--table", str(good), "--file", str(bad))

    assert (taken.exit_code, refused.exit_code, both.exit_code) == (0, 2, 2)
    assert "1 rates taken" in taken.stdout
    assert "0 is no rate" in refused.stderr


def test_what_stands_open_is_told(sandbox: Engine, tenant: Tenant) -> None:
    """Nothing at first; a conversion stands on both sides until it is filled."""
    nothing = holdfast("exposure")
    with transaction(sandbox, tenant) as connection:
        desk = Desk(connection, now=NOON - timedelta(hours=1))
        desk.earn(10_000, "EUR")
        assert desk.convert(desk.quote(10_000).facts["quote_id"]).is_done

    shown = holdfast("exposure")
    as_json = json.loads(holdfast("exposure", "--json").stdout)

    assert (nothing.exit_code, nothing.stdout) == (0, "Nothing waits for a fill.\n")
    assert shown.exit_code == 0
    assert "-100.00" in shown.stdout
    assert [each["open"]["amount"] for each in as_json["currencies"]] == ["-100.00", "108.35"]
    assert as_json["currencies"][0]["oldest_s"] == 3600


@pytest.mark.usefixtures("sandbox")
def test_a_revaluation_needs_to_know_who() -> None:
    """Without a key nobody acts."""
    refused = holdfast("revalue", "--on", "2020-05-31")

    assert refused.exit_code == 2
    assert "HOLDFAST_KEY" in refused.stderr


class _Bank(BaseHTTPRequestHandler):
    """A bank's daily file, as it is published: a day in words, and a comma at the end."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/daily.csv" else 404)
        self.end_headers()
        self.wfile.write(b"Date, USD, JPY, \n02 June 2020, 1.1174, 121.23, \n")

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


@pytest.mark.usefixtures("sandbox")
def test_the_daily_file_is_read_from_its_address() -> None:
    """A file of one day over HTTP from this machine; no other address without encryption."""
    with HTTPServer(("127.0.0.1", 0), _Bank) as bank:
        Thread(target=bank.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{bank.server_port}"
        taken = holdfast("take", "--url", f"{address}/daily.csv", "--json")
        missing = holdfast("take", "--url", f"{address}/other.csv")
        bank.shutdown()
    refused = holdfast("take", "--url", "http://rates.example/daily.csv")

    assert (taken.exit_code, json.loads(taken.stdout)["taken"] > 0) == (0, True)
    assert missing.exit_code == 2
    assert refused.exit_code == 2
