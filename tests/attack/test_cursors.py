"""Cursors made by their own reader: anyone who reads the code can make the mark of his own."""

import base64
import hmac
from hashlib import sha256
from typing import Any

import orjson
import pytest

from kernel.keys import KeyRing
from tests.engine.api.conftest import Api

POSITIONS: list[Any] = [
    ["x"],
    [],
    [1],
    {"a": 1},
    "0",
    None,
    [None],
    [True],
    [-1],
    [2**63 - 1],
    [2**64 - 1],
    [2**63 - 1, 2**63 - 1],
    [2**64 - 1, 1],
    ["2026-01-01T00:00:00", "0" * 32],
    ["2026-01-01T00:00:00+00:00", "zz"],
    ["00000000-0000-0000-0000-000000000000\u0000"],
]
LISTS = ("parties", "contracts", "events", "payouts", "keys", "accounts", "entries")


def _forge(api: Api, path: str, position: Any) -> str:
    """A cursor with a right mark around any position."""
    key = KeyRing(api.engine).find(api.secret)
    assert key is not None
    bound_to = orjson.dumps([key.tenant.name, str(key.principal_id), "None", path, path, []])
    payload = orjson.dumps(position)
    mark = hmac.new(sha256(bound_to).digest(), payload, sha256).digest()[:12]
    return base64.urlsafe_b64encode(mark + payload).decode().rstrip("=")


@pytest.mark.parametrize("name", LISTS)
def test_a_position_that_no_page_ends_at_is_refused(api: Api, name: str) -> None:
    """A forged cursor shows what its maker may see anyway, or is refused: never a fault of ours."""
    path = f"/v1/{name}"

    answers = [api.get(path, cursor=_forge(api, path, position)) for position in POSITIONS]

    refused = [each for each in answers if each.status != 200]
    assert {(each.status, each.code) for each in refused} == {(400, "request.cursor")}
    assert len(refused) >= len(POSITIONS) - 3
