"""Registers of tax numbers: off by default, asked over HTTP, and silent ones change nothing."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import Engine

from engine.tax_checks import check_number
from kernel.database import Tenant, transaction
from kernel.errors import RailTrouble, Refusal
from tax.registers import HmrcRegister, SimulatedRegister, ViesRegister, configured
from tax.service_vat import decide_for
from tests.tax.stage import OPERATOR, add_buyer, add_party, set_supplier

AT = datetime(2026, 3, 2, tzinfo=UTC)
NUMBER = "DE136695976"


@contextmanager
def answering(status: int, body: object) -> Iterator[tuple[str, list[Any]]]:
    """A register on loopback that always answers so, and what it was asked."""
    asked: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, dict(self.headers)))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, {"isValid": True, "userError": "VALID", "requestIdentifier": "W1"}, (True, "W1")),
        (200, {"isValid": False, "userError": "INVALID"}, (False, "")),
        (200, {"isValid": False, "userError": "MS_UNAVAILABLE"}, None),
        (200, {"isValid": True, "userError": "TIMEOUT"}, None),
        (200, ["VALID"], None),
        (503, {}, None),
        (404, {}, None),
    ],
)
def test_vies_says_valid_invalid_or_nothing(
    status: int, body: object, expected: tuple[bool, str] | None
) -> None:
    """Only a plain word of the member state counts; all else is trouble, and no answer."""
    with answering(status, body) as (url, asked):
        register = ViesRegister("IE6433435F", url)
        if expected is None:
            with pytest.raises(RailTrouble):
                register.ask("DE", NUMBER, at=AT)
        else:
            answer = register.ask("DE", NUMBER, at=AT)
            assert (answer.is_valid, answer.reference) == expected
        ((path, _),) = asked

    assert path.startswith("/ms/DE/vat/136695976?")
    assert "requesterMemberStateCode=IE" in path


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, {"target": {"vatNumber": "980780684"}, "consultationNumber": "C1"}, (True, "C1")),
        (200, {"target": {"vatNumber": "1"}, "consultationNumber": "C1"}, (False, "C1")),
        (404, {"code": "NOT_FOUND"}, (False, "")),
        (401, {}, None),
        (500, {}, None),
    ],
)
def test_hmrc_finds_a_number_or_not(
    status: int, body: object, expected: tuple[bool, str] | None
) -> None:
    """A number that is not found is not valid; a refused token is trouble."""
    with answering(status, body) as (url, asked):
        register = HmrcRegister("123456789", "secret", url)
        if expected is None:
            with pytest.raises(RailTrouble):
                register.ask("GB", "980780684", at=AT)
        else:
            answer = register.ask("GB", "980780684", at=AT)
            assert (answer.is_valid, answer.reference) == expected
        ((path, headers),) = asked

    assert path.endswith("/lookup/980780684/123456789")
    assert headers["Authorization"] == "Bearer secret"
    assert "secret" not in repr(register)


def test_no_register_is_asked_unless_configured() -> None:
    """None by default; VIES needs a number of the EU, HMRC a token and a British number."""
    numbers = {"IE": "IE6433435F", "GB": "980780684"}

    def names(**environment: str) -> list[str]:
        return [each.name for each in configured(environment, numbers=numbers)]

    assert names() == []
    assert names(HOLDFAST_TAX_REGISTERS="vies,hmrc") == ["vies"]
    both = names(HOLDFAST_TAX_REGISTERS="vies, hmrc", HOLDFAST_HMRC_TOKEN="t")
    assert both == ["vies", "hmrc"]
    assert configured({"HOLDFAST_TAX_REGISTERS": "vies"}, numbers={}) == []


def test_a_silent_register_stores_nothing_and_the_tax_is_charged(
    own_engine: Engine, tenant: Tenant
) -> None:
    """Charge now: German tax while it is down, a reverse charge once it says valid."""
    with transaction(own_engine, tenant) as connection:
        set_supplier(connection)
        party_id, other = add_party(connection), add_party(connection)
        add_buyer(connection, party_id, "DE", number=NUMBER)

    def ask(register: SimulatedRegister | None) -> str:
        registers = [register] if register else []
        try:
            return check_number(own_engine, tenant, party_id, registers, OPERATOR).code
        except Refusal as refusal:
            return refusal.code

    def rate() -> int:
        with transaction(own_engine, tenant) as connection:
            now = connection.exec_driver_sql("SELECT now()").scalar_one()
            decision = decide_for(connection, [party_id], now)[party_id]
            assert decision is not None
            return decision.rate_bps

    assert ask(None) == "tax.register_off"
    assert ask(SimulatedRegister(is_down=True)) == "tax.register_silent"
    assert rate() == 1_900
    assert ask(SimulatedRegister()) == "done"
    assert rate() == 1_900
    assert ask(SimulatedRegister(frozenset({NUMBER}))) == "done"
    assert rate() == 0
    with pytest.raises(Refusal) as refused:
        check_number(own_engine, tenant, other, [SimulatedRegister()], OPERATOR)
    assert refused.value.code == "tax.no_number"
