"""Liveness and readiness: what a load balancer asks, without a key and without cost."""

import asyncio

import httpx
from sqlalchemy import Engine

from engine.api.app import make_app
from engine.api.doors import TenantDoors
from engine.api.health import REMEMBERED_S, Readiness
from kernel.database import connect
from tests.engine.api.conftest import Api, World, make_deal, pay


def test_a_process_that_runs_is_alive(api: Api) -> None:
    """`/healthz` asks nothing of the database."""
    assert api.with_key("").get("/healthz").body == {"status": "ok"}


def test_a_migrated_database_is_ready(api: Api, world: World) -> None:
    """`/readyz` says that schema and database are good, and how late clocks and queues are."""
    deal = make_deal(api, "10.00")
    pay(deal, world, deal.slots[0])
    found = api.with_key("").get("/readyz").body

    assert found["status"] == "ready"
    assert (found["database"], found["migrations"]) == (True, True)
    assert found["timer_late_s"] in {0, None}


def test_an_unreachable_database_is_not_ready() -> None:
    """503, and every other call is 503 with Retry-After: nothing hangs, nothing is a 500."""
    engine = connect("postgresql+psycopg://holdfast_app@127.0.0.1:1/none?connect_timeout=1")
    doors = TenantDoors(engine)
    app = make_app(engine, doors, logs_access=False)

    answers = asyncio.run(_ask(app, "/healthz", "/readyz", "/v1/clock"))
    doors.close()
    engine.dispose()

    assert [each.status_code for each in answers] == [200, 503, 503]
    assert answers[1].json()["database"] is False
    assert answers[2].json()["code"] == "unavailable"
    assert answers[2].headers["retry-after"] == "1"


async def _ask(app: object, *paths: str) -> list[httpx.Response]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)  # type: ignore[arg-type]
    headers = {"Authorization": "Bearer hf_" + "A" * 43}
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return [await client.get(path, headers=headers) for path in paths]


def test_asking_often_costs_one_look_a_second(api_engine: Engine) -> None:
    """A flood of health checks does not reach the database."""
    now = [100.0]
    readiness = Readiness(api_engine, tick=lambda: now[0])

    first = readiness.look()
    now[0] += REMEMBERED_S
    again = readiness.look()
    now[0] += 0.1
    later = readiness.look()

    assert first is again
    assert later is not first
