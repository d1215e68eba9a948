"""Statements, runs and proposals over HTTP: the platform's own business, whole or not at all."""

from datetime import date

import pytest
from sqlalchemy import Engine

from kernel.database import transaction
from tests.engine.api.conftest import Api, make_party
from tests.fixtures.databases import TENANT
from tests.reconciliation.desk import IBAN, book, camt, entry

ROOT = "/v1/reconciliation"
STATEMENTS = f"{ROOT}/statements"
ON = date(2026, 3, 2)


def upload(api: Api, data: bytes, name: str = "a.xml") -> tuple[int, dict[str, object]]:
    """Bring a file; status and answer."""
    answer = api.post_raw(STATEMENTS, data, Content_Type="text/xml", Holdfast_File=name)
    return answer.status, answer.body


def test_a_statement_is_brought_matched_decided_and_undone(api: Api, api_engine: Engine) -> None:
    """The way of a file: account, upload, the same again, dry run, run, proposal, match, undo."""
    with transaction(api_engine, TENANT) as connection:
        book(connection, 4_711, reason="rent")
    account = {"reference": IBAN, "currency": "EUR", "place": "custody_bank"}
    data = camt(0, 4_711, [entry(4_711, text="rent", on=ON)], on=ON)

    unknown = upload(api, data)
    opened = api.post(f"{ROOT}/accounts", account)
    first, second = upload(api, data), upload(api, data)
    wish = {"place": "custody_bank", "currency": "EUR"}
    dry = api.post(f"{ROOT}/runs", wish | {"dry_run": True})
    real = api.post(f"{ROOT}/runs", wish | {"from_on": "2026-01-01"})
    (proposal,) = api.get(f"{ROOT}/proposals").body["items"]
    accepted = api.post(f"{ROOT}/proposals/{proposal['id']}/accept", {"reason": "the lease"})
    again = api.post(f"{ROOT}/proposals/{proposal['id']}/reject")
    (match,) = api.get(f"{ROOT}/matches").body["items"]
    undone = api.post(f"{ROOT}/matches/{match['id']}/undo", {"reason": "another flat"})

    assert unknown[0] == 409
    assert unknown[1]["code"] == "statement.unknown_account"
    assert (opened.status, opened.body["label"]) == (201, "...2051")
    assert (first[0], first[1]["new_lines"], second[1]["new_lines"]) == (200, 1, 0)
    assert second[1]["known_since"]
    assert dry.body["digest"] == real.body["digest"]
    assert (dry.body["run_id"], real.body["counts"]) == (None, {"R5 proposed": 1})
    assert proposal["difference"] == {"amount": "0.00", "currency": "EUR"}
    assert (accepted.status, again.code) == (200, "proposal.decided_already")
    assert match["amount"] == {"amount": "47.11", "currency": "EUR"}
    assert undone.status == 200
    assert api.get(f"{ROOT}/matches").body["items"][0]["undone_at"]
    (statement,) = api.get(STATEMENTS).body["items"]
    assert statement["closing"] == {"amount": "47.11", "currency": "EUR"}
    assert [run["id"] for run in api.get(f"{ROOT}/runs").body["items"]] == [real.body["run_id"]]
    assert len(api.get(f"{ROOT}/accounts").body["items"]) == 1


@pytest.mark.parametrize(
    "data",
    [b"", b"hello", b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", camt(0, 1, []), b"01,\0\n"],
)
def test_what_cannot_be_read_is_refused(api: Api, data: bytes) -> None:
    """422 with line and reason; nothing is written."""
    before = len(api.get(STATEMENTS).body["items"])

    status, body = upload(api, data)

    assert (status, body["code"]) == (422, "statement.unreadable")
    assert len(api.get(STATEMENTS).body["items"]) == before


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"place": "vault", "currency": "EUR"}, 422),
        ({"place": "processor", "currency": "EUR"}, 422),
        ({"place": "custody_bank", "currency": "ZZZ"}, 422),
        ({"place": "custody_bank", "currency": "EUR", "from_on": "2026-13-01"}, 422),
        ({"place": "custody_bank", "currency": "EUR", "from_on": 20260101}, 422),
    ],
)
def test_a_run_of_nothing_is_refused(api: Api, body: dict[str, object], status: int) -> None:
    """An unknown place, currency or day."""
    assert api.post(f"{ROOT}/runs", body).status == status


def test_reconciliation_is_hidden_from_parties(api: Api) -> None:
    """Whoever acts for a party sees and does nothing of it."""
    client = api.as_party(make_party(api, "client"))

    for name in ("accounts", "statements", "runs", "matches", "proposals"):
        assert client.get(f"{ROOT}/{name}").status == 403
    assert upload(client, b"x")[0] == 403
    assert client.post(f"{ROOT}/runs", {"place": "custody_bank", "currency": "EUR"}).status == 403
    account = {"reference": "X1", "currency": "EUR", "place": "custody_bank"}
    assert client.post(f"{ROOT}/accounts", account).code == "reconciliation.operator_only"
