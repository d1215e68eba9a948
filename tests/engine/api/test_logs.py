"""What is logged of requests: one line each, and nothing that must not stand there."""

import io
import json
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from engine.api.app import make_app
from engine.api.doors import TenantDoors
from engine.api.logs import configure_logs, redact
from tests.engine.api.conftest import Api


@pytest.fixture
def logged(api: Api) -> Any:
    """The same API with its access log."""
    doors = TenantDoors(api.engine)
    yield Api(make_app(api.engine, doors), api.engine, api.secret)
    doors.close()


def test_a_request_is_one_line_without_its_content(logged: Api) -> None:
    """Method, route, status, tenant and principal; no path of a caller, no body, no key."""
    with capture_logs() as lines:
        answer = logged.post(
            "/v1/parties", {"kind": "client", "reference": "very-private"}, key="key-in-the-log"
        )

    text = json.dumps(lines)
    (line,) = [each for each in lines if each["event"] == "api.request"]
    assert (line["status"], line["route"], line["tenant"]) == (201, "/v1/parties", "test")
    assert answer.headers["request-id"] == line["request_id"]
    assert "very-private" not in text
    assert "key-in-the-log" not in text
    assert logged.secret not in text


def test_a_route_is_named_by_its_template(logged: Api) -> None:
    """Ids stay out of the log's names, so that lines of one route can be counted."""
    with capture_logs() as lines:
        logged.get("/v1/slots/0190a0b0-0000-7000-8000-000000000001")

    assert lines[-1]["route"] == "/v1/slots/{slot_id}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("authorization", "Bearer hf_abc"),
        ("secret", "x"),
        ("body", "{}"),
        ("url", "postgresql://holdfast:hunter2@db/holdfast"),
        ("said", "the key hf_0123456789abcdef did it"),
    ],
)
def test_secrets_are_taken_out(name: str, value: str) -> None:
    """By name and by look: what must not be logged is left out."""
    kept = redact(None, "info", {"event": "x", name: value})

    assert "hunter2" not in str(kept)
    assert "hf_" not in str(kept)
    assert "left out" in kept[name]


def test_a_line_cannot_be_forged(capsys: pytest.CaptureFixture[str]) -> None:
    """Line 46: a line break in a value is escaped; one event is one line of JSON."""
    out = io.BytesIO()
    before = structlog.get_config()
    configure_logs()
    structlog.configure(
        logger_factory=structlog.BytesLoggerFactory(out), cache_logger_on_first_use=False
    )
    try:
        structlog.get_logger("x").info("a.b", path='/x\r\n{"event": "forged"}')
    finally:
        structlog.configure(**before)

    lines = out.getvalue().splitlines()
    assert len(lines) == 1
    assert json.loads(lines[0])["path"].startswith("/x\r\n")
    assert capsys.readouterr().out == ""
