"""The application: routes from the declared calls, problems for all that goes wrong, no state.

Made by `make_app`; importing this module starts nothing.
"""

import gc
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

import uvicorn
from fastapi import FastAPI
from sqlalchemy import Engine
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from engine.api import (
    answers_books,
    keys,
    log_reads,
    payee_doors,
    rail_doors,
    reads_extracts,
    reads_runs,
    reads_tax,
    statement_doors,
    webhook_endpoints,
    webhooks_in,
    writes_periods,
    writes_quotes,
)
from engine.api.access import Scope
from engine.api.bulk import bulk_model, bulk_route
from engine.api.calls import Nothing, Page, PageQuery, Read, page_of
from engine.api.document import Operation, draw
from engine.api.edge import (
    Edge,
    json_response,
    page_response,
    query_of,
    read_route,
    simulated_only,
    write_route,
)
from engine.api.health import Readiness
from engine.api.log_reads import LOG_READS, no_signer
from engine.api.logs import AccessLog
from engine.api.notices import RailFinder
from engine.api.problems import add_handlers
from engine.api.reads_actions import ACTION_READS
from engine.api.reads_books import BOOK_READS
from engine.api.reads_breaks import BREAK_READS
from engine.api.reads_care import CARE_READS
from engine.api.reads_chargebacks import CHARGEBACK_READS
from engine.api.reads_claims import CLAIM_READS
from engine.api.reads_clocks import CLOCK_READS
from engine.api.reads_deals import DEAL_READS
from engine.api.reads_disputes import DISPUTE_READS
from engine.api.reads_exchange import EXCHANGE_READS
from engine.api.reads_experiments import EXPERIMENT_READS
from engine.api.reads_extracts import EXTRACT_READS
from engine.api.reads_fees import FEE_READS
from engine.api.reads_hourly import HOURLY_READS
from engine.api.reads_house import HOUSE_READS
from engine.api.reads_journals import JOURNAL_READS
from engine.api.reads_open_items import OPEN_ITEM_READS
from engine.api.reads_payouts import PAYOUT_READS
from engine.api.reads_periods import PERIOD_READS
from engine.api.reads_plans import PLAN_READS
from engine.api.reads_rails import RAIL_READS
from engine.api.reads_reconciliation import RECONCILIATION_READS
from engine.api.reads_reports import REPORT_READS
from engine.api.reads_reservations import RESERVATION_READS
from engine.api.reads_retainers import RETAINER_READS
from engine.api.reads_runs import RUN_READS
from engine.api.reads_tax import TAX_READS
from engine.api.reads_webhooks import WEBHOOK_READS
from engine.api.views import api_key
from engine.api.writes import WRITES
from engine.group_commit import GroupCommit
from engine.sealer import Ask
from kernel.database import Tenant
from kernel.keys import KeyRing

READS: Final = (
    *DEAL_READS,
    *HOUSE_READS,
    *PAYOUT_READS,
    *BOOK_READS,
    *LOG_READS,
    *RESERVATION_READS,
    *RETAINER_READS,
    *FEE_READS,
    *EXPERIMENT_READS,
    *PLAN_READS,
    *REPORT_READS,
    *PERIOD_READS,
    *JOURNAL_READS,
    *DISPUTE_READS,
    *CLAIM_READS,
    *CHARGEBACK_READS,
    *CLOCK_READS,
    *HOURLY_READS,
    *ACTION_READS,
    *OPEN_ITEM_READS,
    *RAIL_READS,
    *WEBHOOK_READS,
    *RECONCILIATION_READS,
    *BREAK_READS,
    *EXTRACT_READS,
    *TAX_READS,
    *RUN_READS,
    *EXCHANGE_READS,
    *CARE_READS,
)
VERSION: Final = "1"

_KEY: Final = "/v1/keys/{key_id}"

Endpoint = Callable[[Request], Awaitable[Response]]


def make_app(
    engine: Engine,
    doors: Callable[[Tenant], GroupCommit],
    *,
    find_rail: RailFinder = rail_doors.no_rails,
    default_rail: Callable[[Tenant], str] = simulated_only,
    ring: KeyRing | None = None,
    ask_signer: Ask = no_signer,
    readers: int = 8,
    answer_timeout_s: float = 30.0,
    body_timeout_s: float = 20.0,
    logs_access: bool = True,
) -> FastAPI:
    """The application for one process.

    Args:
        engine: logs in as the app; its pool holds `readers` connections and one for each door.
        doors: a tenant's group commit, the same at every call; closed by whoever made it.
        find_rail: a tenant's rails, whose notices are taken in.
        default_rail: where a tenant's clients pay if a call does not say.
        ring: the keys that the process trusts for a few seconds.
        ask_signer: how the signer is asked for a checkpoint on demand.
        readers: threads for reads.
        answer_timeout_s: how long a command's answer is awaited.
        body_timeout_s: how long a body may take to arrive.
        logs_access: one line per request.
    """
    pool = ThreadPoolExecutor(readers, thread_name_prefix="api-reader")
    edge = Edge(
        engine,
        ring or KeyRing(engine),
        doors,
        pool,
        answer_timeout_s=answer_timeout_s,
        body_timeout_s=body_timeout_s,
        default_rail=default_rail,
    )

    closed: dict[str, Any] = {"docs_url": None, "redoc_url": None, "redirect_slashes": False}
    app = FastAPI(openapi_url="/v1/openapi.json", lifespan=partial(_lifespan, pool), **closed)
    app.router.routes.extend(_routes(endpoints(edge, find_rail, ask_signer)))
    document = draw(operations(), version=VERSION)
    app.openapi = lambda: document  # type: ignore[method-assign]
    add_handlers(app)
    if logs_access:
        app.add_middleware(AccessLog)
    return app


@asynccontextmanager
async def _lifespan(pool: ThreadPoolExecutor, _app: FastAPI) -> AsyncIterator[None]:
    calm_the_collector()
    yield
    pool.shutdown(wait=False, cancel_futures=True)


def calm_the_collector() -> None:
    """Keep what start-up made out of the collector's sight, let it run seldom, share fairly.

    Full collections cost 47 to 70 ms at the 99th percentile (domain/stack.md section 3). The writer
    of the group commit waits for the event loop to give way: half a millisecond, not five.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    sys.setswitchinterval(0.0005)


def server_config(app: FastAPI, *, host: str, port: int) -> uvicorn.Config:
    """How uvicorn shall serve the application: uvloop, httptools, no log or header of its own."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        access_log=False,
        server_header=False,
        date_header=True,
        log_config=None,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=20,
        backlog=2_048,
    )


def endpoints(
    edge: Edge, find_rail: RailFinder, ask_signer: Ask = no_signer
) -> dict[tuple[str, str], Endpoint]:
    """Every (method, path) with its route; the hot ones first, since paths are tried in order."""
    found: dict[tuple[str, str], Endpoint] = {}
    for write in WRITES:
        if write.bulk:
            found["POST", write.bulk] = bulk_route(edge, write)
        found["POST", write.path] = write_route(edge, write)
    for read in READS:
        found["GET", read.path] = read_route(edge, read)
    for path, verb in writes_periods.PATHS.items():
        found["POST", path] = partial(writes_periods.take, edge, verb)
    found["GET", "/v1/keys"] = partial(_list_keys, edge)
    found["POST", "/v1/keys"] = partial(keys.create, edge)
    found["POST", f"{_KEY}/rotate"] = partial(keys.rotate, edge)
    found["POST", f"{_KEY}/revoke"] = partial(keys.revoke, edge)
    found |= rail_doors.endpoints(edge, find_rail)
    found |= payee_doors.endpoints(edge, find_rail)
    found["POST", writes_quotes.ONE] = partial(writes_quotes.take_one, edge)
    found["POST", writes_quotes.MANY] = partial(writes_quotes.take_many, edge)
    found["GET", reads_tax.PDF] = partial(reads_tax.show_pdf, edge)
    found["GET", reads_runs.CONTENT] = partial(reads_runs.show_content, edge)
    found["GET", reads_extracts.EXTRACT] = partial(reads_extracts.show_extract, edge)
    found["GET", log_reads.CHECKPOINT] = partial(log_reads.show_checkpoint, edge)
    found["POST", log_reads.CHECKPOINT] = partial(log_reads.make_checkpoint, edge, ask_signer)
    found |= webhooks_in.routes(edge, find_rail)
    found |= webhook_endpoints.routes(edge)
    found |= statement_doors.routes(edge)
    readiness = Readiness(edge.engine)
    found["GET", "/healthz"] = _healthz
    found["GET", "/readyz"] = partial(_readyz, edge, readiness)
    return found


def operations() -> Sequence[Operation]:
    """Every method of every path, for the document."""
    found = []
    for write in WRITES:
        told = partial(Operation, method="POST", summary=write.summary, scope=write.scope)
        found.append(
            told(path=write.path, body=write.body, answer=write.answer, status=write.status)
        )
        if write.bulk:
            found.append(
                told(path=write.bulk, body=bulk_model(write), answer=answers_books.BulkAnswer)
            )
    found += [
        Operation(
            method="GET",
            path=read.path,
            summary=read.summary,
            scope=read.scope,
            answer=read.answer,
            query=read.query,
            pages=read.pages,
        )
        for read in READS
    ]
    return (
        *(*found, *log_reads.operations(), *writes_periods.OPERATIONS),
        *reads_extracts.operations(),
        *reads_tax.operations(),
        *reads_runs.operations(),
        *writes_quotes.operations(),
        *webhooks_in.operations(),
        *webhook_endpoints.operations(),
        *statement_doors.operations(),
        *rail_doors.operations(),
        *payee_doors.operations(),
        *_odd_operations(),
    )


def _odd_operations() -> Sequence[Operation]:
    """What is no command of a service and no read of a snapshot."""
    made = partial(Operation, method="POST", scope=Scope.KEYS_WRITE, answer=answers_books.KeyAnswer)
    return (
        made(path="/v1/keys", summary="Make an API key", body=keys.KeyBody, status=201),
        made(
            path=f"{_KEY}/rotate",
            summary="A second key of the same principal",
            body=keys.RotateBody,
            status=201,
        ),
        made(path=f"{_KEY}/revoke", summary="End a key", body=Nothing),
        Operation(
            method="GET",
            path="/v1/keys",
            summary="API keys, without their secrets",
            scope=Scope.KEYS_WRITE,
            answer=answers_books.KeyAnswer,
            query=PageQuery,
            pages=True,
        ),
        Operation(
            method="GET", path="/healthz", summary="Alive", answer=answers_books.HealthAnswer
        ),
        Operation(method="GET", path="/readyz", summary="Ready", answer=answers_books.ReadyAnswer),
    )


def _routes(found: Mapping[tuple[str, str], Endpoint]) -> list[Route]:
    by_path: dict[str, dict[str, Endpoint]] = {}
    for (method, path), endpoint in found.items():
        by_path.setdefault(path, {})[method] = endpoint
    return [
        Route(path, _dispatch(path, methods), methods=list(methods))
        for path, methods in by_path.items()
    ]


def _dispatch(path: str, methods: Mapping[str, Endpoint]) -> Endpoint:
    """One route per path, so that a wrong method is told which ones there are."""

    async def choose(request: Request) -> Response:
        request.state.route = path
        method = "GET" if request.method == "HEAD" else request.method
        return await methods[method](request)

    return choose


async def _list_keys(edge: Edge, request: Request) -> Response:
    read = Read(
        path="/v1/keys",
        scope=Scope.KEYS_WRITE,
        fetch=lambda _connection, _look: None,
        answer=answers_books.KeyAnswer,
        summary="",
        query=PageQuery,
    )
    caller = await edge.admit(request, read.scope)
    query, after, bound_to = query_of(read, caller, request)
    found = await edge.call(lambda: keys.list_keys(edge, caller, query, after))
    page: Page = page_of(
        found, query.limit, show=api_key, key=lambda row: (row.created_at.isoformat(), row.id)
    )
    return page_response(page, bound_to)


async def _healthz(_request: Request) -> Response:
    return json_response({"status": "ok"}, 200)


async def _readyz(edge: Edge, readiness: Readiness, _request: Request) -> Response:
    found = await edge.call(readiness.look)
    return json_response(found, 200 if found["status"] == "ready" else 503)
