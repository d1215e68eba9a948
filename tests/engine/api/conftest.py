"""The API over a database of one test module's own, with a sandbox clock and a simulated rail.

`api` speaks HTTP to the application without a socket. Every answer it gets is checked against the
OpenAPI document's shapes by `Api.call`.
"""

import asyncio
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx
import pytest
from sqlalchemy import Engine

from engine.api.access import Scope
from engine.api.app import make_app
from engine.api.doors import TenantDoors
from engine.handlers import RAIL_NOTICES, RAIL_RESULTS, TIMERS
from engine.scanner import Scanner
from kernel import clock, keys
from kernel.database import Tenant, connect, transaction
from kernel.embedded import EmbeddedServer
from ledger.proof import prove
from payouts import settlement
from rails.caller import run_until_quiet
from rails.port import Rail
from rails.simulated.service import SimulatedRail
from tests.engine.api.shapes import check_shape
from tests.fixtures.databases import TENANT, TestDatabase, cloned_database

START: Final = datetime(2026, 3, 2, 9, tzinfo=UTC)
ALL: Final = [scope.value for scope in Scope]
_KEYS: Final = itertools.count(1)


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def code(self) -> str:
        """The stable code of a problem."""
        return str(self.body["code"])


@dataclass
class Api:
    """One caller of the API: a key, and the party it acts for."""

    app: Any
    engine: Engine
    secret: str
    party: str | None = None

    def as_party(self, party_id: str) -> "Api":
        """The same key acting for a party."""
        return Api(self.app, self.engine, self.secret, party_id)

    def with_key(self, secret: str) -> "Api":
        """Another key."""
        return Api(self.app, self.engine, secret)

    def get(self, path: str, **query: Any) -> Answer:
        return self.call("GET", path, params=query)

    def post(self, path: str, body: Any = None, *, key: str | None = None) -> Answer:
        headers = {"Idempotency-Key": key or f"test-{next(_KEYS)}"}
        return self.call("POST", path, json={} if body is None else body, headers=headers)

    def post_raw(self, path: str, content: bytes, **headers: str) -> Answer:
        given = {"Idempotency-Key": f"test-{next(_KEYS)}", "Content-Type": "application/json"}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.call("POST", path, content=content, headers=given | named)

    def call(self, method: str, path: str, *, headers: Any = None, **more: Any) -> Answer:
        given = list(headers.items()) if isinstance(headers, dict) else list(headers or ())
        if self.secret:
            given.append(("Authorization", f"Bearer {self.secret}"))
        if self.party is not None:
            given.append(("Holdfast-Party", self.party))
        response = asyncio.run(self._send(method, path, given, more))
        body = response.json() if response.content else None
        check_shape(self.app.openapi(), method, path, response.status_code, body)
        return Answer(response.status_code, response.headers, body)

    async def _send(
        self, method: str, path: str, headers: list[Any], more: dict[str, Any]
    ) -> httpx.Response:
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, path, headers=headers, **more)


@dataclass
class World:
    """The tenant with its clock, its rail and its timers, to be walked through days."""

    engine: Engine
    tenant: Tenant
    rail: SimulatedRail

    def find_rail(self, _tenant: Tenant, name: str) -> Rail | None:
        """The one rail of this world by its name."""
        return self.rail if name == self.rail.name else None

    def settle(self) -> None:
        """Fire what is due, hear what rails say, settle the day; until all is quiet."""
        scanner = Scanner(
            engine=self.engine,
            tenants=lambda: [self.tenant],
            handlers=TIMERS,
            grace=timedelta(0),
        )
        for _ in range(3):
            scanner.fire_due(self.tenant)
            with transaction(self.engine, self.tenant) as connection:
                at = clock.now(connection)
            run_until_quiet(
                self.engine,
                self.tenant,
                self.rail,
                RAIL_RESULTS,
                at,
                notice_handlers=RAIL_NOTICES,
            )

    def settle_day(self) -> None:
        """The daily settlement between the books."""
        with transaction(self.engine, self.tenant) as connection:
            settlement.settle(connection, at=clock.now(connection))
        self.settle()

    def prove(self) -> None:
        """The books are whole."""
        with transaction(self.engine, self.tenant) as connection:
            proof = prove(connection)
        assert proof.is_clean, proof

    def count_rows(self) -> dict[str, int]:
        """How much is written: events, lines, stored answers, contracts, parties."""
        tables = ("event", "line", "idempotency", "contract", "party", "payout", "hold")
        with transaction(self.engine, self.tenant) as connection:
            return {
                table: connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one()
                for table in tables
            }


@pytest.fixture(scope="module")
def api_database(server: EmbeddedServer) -> Iterator[TestDatabase]:
    """A database for the tests of one module, which may commit."""
    with cloned_database(server) as database:
        yield database


@pytest.fixture(scope="module")
def api_engine(api_database: TestDatabase) -> Iterator[Engine]:
    """The program's engine, with the clock of the tenant in March 2026."""
    engine = connect(api_database.app_url, pool_size=10, max_overflow=10)
    with transaction(engine, TENANT) as connection:
        clock.make_sandbox(connection, at=START)
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def world(api_engine: Engine) -> World:
    """The tenant's days."""
    return World(api_engine, TENANT, SimulatedRail(api_engine, TENANT.name))


@pytest.fixture(scope="module")
def app(api_engine: Engine, world: World) -> Iterator[Any]:
    """The application."""
    doors = TenantDoors(api_engine)
    yield make_app(api_engine, doors, find_rail=world.find_rail, logs_access=False)
    doors.close()


@pytest.fixture(scope="module")
def api(app: Any, api_engine: Engine) -> Api:
    """The platform's own key: an operator with every scope."""
    return Api(app, api_engine, make_key(api_engine, scopes=ALL, is_operator=True))


def make_key(engine: Engine, tenant: Tenant = TENANT, **given: Any) -> str:
    """A new key's secret."""
    with engine.begin() as connection:
        return keys.create(connection, tenant, **{"scopes": ALL, **given}).secret


def make_party(api: Api, kind: str, **given: Any) -> str:
    """A party whose identity is verified."""
    made = api.post("/v1/parties", {"kind": kind, **given})
    assert made.status == 201, made.body
    states = {"kyc_state": "verified", "sanction_state": "clear"}
    assert api.post(f"/v1/parties/{made.body['id']}/states", states).status == 200
    return str(made.body["id"])


@dataclass
class Deal:
    """A contract of one client and one freelancer, and its slots."""

    client: Api
    payee: Api
    client_id: str
    payee_id: str
    contract_id: str
    slots: list[str]


def make_deal(api: Api, *amounts: str, currency: str = "EUR", **terms: Any) -> Deal:
    """A contract that both sides accepted, one slot for each amount."""
    client_id, payee_id = make_party(api, "client"), make_party(api, "freelancer")
    client, payee = api.as_party(client_id), api.as_party(payee_id)
    offered = client.post(
        "/v1/contracts",
        {
            "client_id": client_id,
            "payee_id": payee_id,
            "currency": currency,
            "milestones": [{"amount": {"amount": each, "currency": currency}} for each in amounts],
            "terms": terms,
        },
    )
    assert offered.status == 201, offered.body
    contract_id = offered.body["contract_id"]
    accepted = payee.post(f"/v1/contracts/{contract_id}/accept")
    assert accepted.status == 200, accepted.body
    return Deal(client, payee, client_id, payee_id, contract_id, offered.body["slot_ids"])


def pay(deal: Deal, world: World, slot: str) -> None:
    """The client pays by card, and the rail takes the money."""
    paid = deal.client.post(f"/v1/slots/{slot}/fundings", {"method": "card"})
    assert paid.status == 201, paid.body
    world.settle()


def advance(api: Api, world: World, **by: int) -> None:
    """Move the clock on and let everything happen that falls due."""
    now = datetime.fromisoformat(api.get("/v1/clock").body["now"])
    to = (now + timedelta(**by)).isoformat().replace("+00:00", "Z")
    moved = api.post("/v1/clock/advance", {"to": to})
    assert moved.status == 200, moved.body
    world.settle()
