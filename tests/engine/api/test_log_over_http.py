"""The log over HTTP: a client holds the evidence of its events in its own hands."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine

from engine.api.app import make_app
from engine.api.doors import TenantDoors
from engine.sealer import seal_all
from engine.signer import Signer, open_signer
from kernel.database import Tenant, connect
from kernel.embedded import EmbeddedServer
from ledger import merkle, notes
from tests.engine.api.conftest import ALL, Api, World, make_deal, make_key, pay
from tests.fixtures.databases import cloned_database


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    folder: Path = tmp_path_factory.mktemp("signer")
    return open_signer(folder)


@pytest.fixture(scope="module")
def app(api_engine: Engine, world: World, signer: Signer) -> Any:
    """The application with a signer at hand."""
    doors = TenantDoors(api_engine)
    yield make_app(
        api_engine, doors, find_rail=world.find_rail, ask_signer=signer.answer, logs_access=False
    )
    doors.close()


async def read_text(api: Api, path: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {api.secret}", "Accept": "text/plain"}
    transport = httpx.ASGITransport(api.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return await client.get(path, headers=headers)


def root_of(answer: Any, name: str = "root") -> bytes:
    return bytes.fromhex(answer.body[name])


def hashes(answer: Any) -> list[bytes]:
    return [bytes.fromhex(each) for each in answer.body["proof"]]


def test_an_event_is_proven_to_be_in_a_signed_log(
    api: Api, world: World, signer: Signer, tenant: Tenant
) -> None:
    """Leaf, place, proof and note fit together, checked with nothing but what was answered."""
    deal = make_deal(api, "100.00")
    pay(deal, world, deal.slots[0])
    waiting = api.get("/v1/events").body["items"][-1]
    assert (waiting["journal_no"], waiting["sealed"]) == (None, False)

    made = api.call("POST", "/v1/log/checkpoint", json={})

    assert made.status == 200, made.body
    note = api.get("/v1/log/checkpoint").body["note"]
    assert note == made.body["note"]
    assert notes.is_signed(note, signer.key.public_key())
    checkpoint = notes.parse(note)
    assert checkpoint.origin == f"holdfast/{tenant.name}"
    event = api.get("/v1/events").body["items"][-1]
    assert event["sealed"]
    proof = api.get(f"/v1/log/entries/{event['journal_no']}/proof")
    assert (proof.body["event_id"], proof.body["leaf_hash"]) == (event["id"], event["leaf_hash"])
    assert int(proof.body["size"]) == checkpoint.size
    assert merkle.is_included(
        bytes.fromhex(event["leaf_hash"]),
        index=int(event["journal_no"]) - 1,
        size=checkpoint.size,
        proof=hashes(proof),
        expected=checkpoint.root,
    )


def test_the_log_is_proven_to_have_grown(api: Api, api_engine: Engine, tenant: Tenant) -> None:
    """Between any two sizes there is a consistency proof; beyond the log there is none."""
    make_deal(api, "10.00", "20.00")
    size = seal_all(api_engine, tenant).size

    grown = api.get("/v1/log/consistency", **{"from": "2", "to": str(size)})

    assert grown.status == 200, grown.body
    assert merkle.is_consistent(
        old=2,
        new=size,
        old_root=root_of(grown, "from_root"),
        new_root=root_of(grown, "to_root"),
        proof=hashes(grown),
    )
    for old, new, code in (
        ("2", str(size + 1), "log.not_sealed_yet"),
        ("3", "2", "log.bad_range"),
        ("0", "2", "log.bad_range"),
        ("x", "2", "request.invalid"),
    ):
        assert api.get("/v1/log/consistency", **{"from": old, "to": new}).code == code


def test_a_log_without_an_event_has_no_checkpoint(server: EmbeddedServer, signer: Signer) -> None:
    """Nothing sealed is nothing to sign: asked for it is refused, looked for it is not found."""
    with cloned_database(server) as database:
        engine = connect(database.app_url)
        doors = TenantDoors(engine)
        app = make_app(engine, doors, ask_signer=signer.answer, logs_access=False)
        empty = Api(app, engine, make_key(engine, scopes=ALL, is_operator=True))

        asked = empty.call("POST", "/v1/log/checkpoint", json={})

        assert (asked.status, asked.code) == (409, "log.empty")
        assert empty.get("/v1/log/checkpoint").status == 404
        doors.close()
        engine.dispose()


def test_the_note_comes_as_text_too(api: Api) -> None:
    """Who accepts plain text gets the signed note and nothing around it."""
    make_deal(api, "10.00")
    assert api.call("POST", "/v1/log/checkpoint", json={}).status == 200
    told = api.get("/v1/log/checkpoint").body["note"]

    plain = asyncio.run(read_text(api, "/v1/log/checkpoint"))

    assert plain.headers["content-type"].startswith("text/plain")
    assert plain.text == told


def test_events_are_read_in_the_order_of_the_journal(
    api: Api, api_engine: Engine, tenant: Tenant
) -> None:
    """Page after page gives each number once; a number to begin behind may be given."""
    make_deal(api, "10.00")
    size = seal_all(api_engine, tenant).size
    seen: list[int] = []
    cursor: dict[str, Any] = {}
    while True:
        page = api.get("/v1/log/events", limit=3, **cursor).body
        seen += [int(each["journal_no"]) for each in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}

    rest = api.get("/v1/log/events", after=str(size - 2)).body["items"]

    assert seen == list(range(1, size + 1))
    assert [int(each["journal_no"]) for each in rest] == [size - 1, size]


def test_an_unknown_number_has_no_proof(api: Api, api_engine: Engine, tenant: Tenant) -> None:
    """A number beyond the journal, or none at all, is not found; a size below it is refused."""
    make_deal(api, "10.00")
    assert seal_all(api_engine, tenant).size >= 2
    for number in ("999999999", "0", "x", "9" * 30):
        assert api.get(f"/v1/log/entries/{number}/proof").status == 404
    assert api.get("/v1/log/entries/2/proof", size="1").code == "log.bad_range"


def test_no_party_reads_the_log(api: Api) -> None:
    """The log is of everybody's events: it is the platform's to read."""
    party = api.as_party(make_deal(api, "10.00").client_id)

    for answer in (
        party.get("/v1/log/checkpoint"),
        party.call("POST", "/v1/log/checkpoint", json={}),
        party.get("/v1/log/entries/1/proof"),
        party.get("/v1/log/consistency", **{"from": "1", "to": "2"}),
        party.get("/v1/log/events"),
    ):
        assert answer.status == 403


def test_a_signer_that_is_away_is_said(api_engine: Engine) -> None:
    """Without a signer a checkpoint on demand answers 503, and proofs are there all the same."""
    doors = TenantDoors(api_engine)
    secret = make_key(api_engine, scopes=ALL, is_operator=True)
    alone = Api(make_app(api_engine, doors, logs_access=False), api_engine, secret)
    make_deal(alone, "10.00")

    asked = alone.call("POST", "/v1/log/checkpoint", json={})  # which seals all the same

    assert (asked.status, asked.code) == (503, "log.signer_away")
    assert alone.get("/v1/log/entries/1/proof").status == 200
    doors.close()
