"""Nobody out there stops a tenant: not a receiver of webhooks, nor a rail that tells nonsense."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NoReturn
from uuid import UUID

import httpx
import pytest
from sqlalchemy import Engine

from engine.api import views
from engine.loops import MoneyLoop
from engine.webhooks import wire
from engine.webhooks.model import Answer, Delivery, DeliveryState, Endpoint, EndpointState
from engine.webhooks.wire import Parcel, Wire
from kernel.database import Tenant, transaction
from kernel.money import UnknownCurrency
from rails import events, service
from rails.model import NoticePage, RailOperation, RailOutcome, RailResult
from rails.model_events import TransactionKind
from rails.simulated.service import SimulatedRail
from tests.rails.builders import NOON, BadLine, operation
from tests.rails.hinting import HintingRail, event, line
from tests.rails.mpesa import stage as mpesa
from tests.rails.paypal import stage as paypal


@dataclass
class Talker(BadLine):
    """A rail that raises what its answers made of us, and counts how often it was heard."""

    raises: Exception | None = None
    heard: int = 0

    def notices(self, *, after: str, limit: int, at: datetime) -> NoticePage:
        self.heard += 1
        if self.raises is not None:
            raise self.raises
        return super().notices(after=after, limit=limit, at=at)


@pytest.mark.parametrize("word", [b"\xb2", b"\xb3\xb9", b"-1", b"soon"])
def test_an_answer_that_only_looks_like_a_number_is_no_wait(word: bytes) -> None:
    """A superscript is a digit to Python, and no number: it ended the sender of every tenant."""
    assert wire._retry_after(httpx.Headers([(b"retry-after", word)])) is None


def test_what_a_name_does_to_the_resolver_is_an_answer() -> None:
    """Whatever a try raises about its own endpoint ends that try alone."""

    async def odd(_host: str, _port: int) -> list[str]:
        raise UnicodeError("label too long")

    endpoint = Endpoint(
        id=UUID(int=1),
        url="https://hooks.example.com/x",
        kinds=(),
        label="",
        state=EndpointState.ACTIVE,
        reason="",
        planned_to=0,
        round_no=0,
        made_at=NOON,
    )
    delivery = Delivery(
        delivery_no=1,
        endpoint_id=endpoint.id,
        journal_no=None,
        round_no=0,
        state=DeliveryState.WAITING,
        tries=0,
        made_at=NOON,
    )
    parcel = Parcel(delivery=delivery, endpoint=endpoint, secrets=[], event=None)

    answer = asyncio.run(Wire(views.event, resolve=odd).send(parcel))

    assert answer == Answer(None, "UnicodeError")


@pytest.mark.parametrize(
    "nonsense",
    [
        KeyError("data"),
        AttributeError("get"),
        ValueError("amount"),
        TypeError("None"),
        UnknownCurrency(currency="XXQ"),
    ],
)
def test_a_rail_that_tells_nonsense_stops_no_other(
    own_engine: Engine, tenant: Tenant, nonsense: Exception
) -> None:
    """The other rails of the tenant are heard, the tenants behind it served, the worker lives."""
    odd = Talker(SimulatedRail(own_engine, "test"), raises=nonsense)
    good = Talker(SimulatedRail(own_engine, "test"))
    rails: Sequence[Talker] = (odd, good)
    loop = MoneyLoop(own_engine, lambda: [tenant, tenant], lambda _tenant: rails)

    loop.run_once(threading.Event())

    assert (odd.heard, good.heard) == (2, 2)


@pytest.mark.parametrize("staged", [paypal.staged, mpesa.staged])
@pytest.mark.parametrize("nonsense", [KeyError("id"), AttributeError("get"), TypeError("None")])
def test_one_odd_answer_is_one_unknown_operation(
    staged: Callable[[], Any], nonsense: Exception
) -> None:
    """Of PayPal and M-Pesa: its neighbours keep their answers, and the rail its round."""

    def odd(_operation: RailOperation, _at: datetime) -> NoReturn:
        raise nonsense

    with staged() as stage:
        result = stage.rail._safely(operation(), odd, NOON)

    assert (result.outcome, result.code) == (RailOutcome.UNKNOWN, "")


def test_a_line_that_we_cannot_keep_keeps_no_event_waiting(
    own_engine: Engine, tenant: Tenant
) -> None:
    """A movement in a currency that is none of ours stops the statement, and no payment's word."""
    paid = replace(operation(), rail="stripe")
    rail = HintingRail(statement=[line("txn_odd", TransactionKind.OTHER, 5, currency="XQX")])
    rail.objects[f"pi_{paid.id.hex}"] = paid
    heard: list[RailResult] = []
    with transaction(own_engine, tenant) as connection:
        service.intend(connection, [paid], at=NOON)
        service.take(connection, 1, NOON, rail="stripe")
        events.take_in(connection, [event("evt_1", f"pi_{paid.id.hex}")], NOON)

    events.step(
        own_engine,
        tenant,
        rail,
        {"test.heard": lambda _connection, results, _at: heard.extend(results)},
        {},
        NOON,
    )

    assert [each.operation_id for each in heard] == [paid.id]
