"""A COMMIT whose answer is lost: a key learns the truth, and nothing runs a second time."""

from collections.abc import Iterator, Sequence
from concurrent.futures import wait
from dataclasses import dataclass
from datetime import datetime
from threading import Event
from typing import Final
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine, make_url
from sqlalchemy.exc import DBAPIError

from engine.group_commit import Door, GroupCommit
from kernel.commands import Command, Outcome, done
from kernel.database import Tenant, connect, snapshot
from kernel.embedded import EmbeddedServer
from kernel.idempotency import IdempotencyKey
from kernel.principals import SYSTEM
from ledger.service import balances, post
from tests.durability.wire import Wire, wire_to
from tests.fixtures.databases import TestDatabase
from tests.ledger.drafts import fund, prove_clean, wallet

ANN: Final = wallet("ann")
PATIENCE_S: Final = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Fund(Command):
    """One minor unit for Ann."""


@dataclass
class Funding:
    """The service: held inside its first batch until the others have gathered behind it."""

    entered: Event
    gate: Event

    def __call__(
        self, connection: Connection, commands: Sequence[Fund], *, at: datetime
    ) -> list[Outcome]:
        self.entered.set()
        assert self.gate.wait(PATIENCE_S)
        post(connection, [fund(1, ANN, at=at) for _ in commands])
        return [done() for _ in commands]


@pytest.fixture
def wire(server: EmbeddedServer) -> Iterator[Wire]:
    """A wire to the tests' server."""
    with wire_to(server.socket_dir) as wire:
        yield wire


@pytest.fixture
def wired_engine(wire: Wire, own_database: TestDatabase) -> Iterator[Engine]:
    """The program's engine, with the wire between it and its database."""
    url = make_url(own_database.app_url).set(query={"host": str(wire.directory)})
    engine = connect(url.render_as_string(hide_password=False))
    yield engine
    engine.dispose()


@pytest.mark.parametrize(
    ("keys", "lost"),
    [
        (["a"], 0),
        (["a", "b", "c"], 0),
        (["", "a", "", "b"], 2),
        (["", ""], 2),
        ([""], 1),
    ],
)
def test_a_lost_answer_to_a_commit_doubles_nothing(
    own_engine: Engine, wired_engine: Engine, wire: Wire, tenant: Tenant, keys: list[str], lost: int
) -> None:
    """Every command took effect once: those with a key learn it, those without get the error."""
    service = Funding(Event(), Event())
    group = GroupCommit(wired_engine, tenant, {"fund": Door(service, lambda _: ())})
    named = [IdempotencyKey(UUID(int=9), k, bytes(32)) if k else None for k in keys]
    first = group.submit("fund", Fund(actor=SYSTEM))
    assert service.entered.wait(PATIENCE_S)
    futures = [group.submit("fund", Fund(actor=SYSTEM), key=key) for key in named]
    first.add_done_callback(lambda _: wire.cut_at_next_commit())
    service.gate.set()
    wait([first, *futures], PATIENCE_S)
    group.close()

    assert wire.cuts == 1
    errors = [future.exception() for future in futures if future.exception() is not None]
    assert len(errors) == lost
    assert all(isinstance(error, DBAPIError) for error in errors)
    assert all(future.result().replayed for future, key in zip(futures, named, strict=True) if key)
    with snapshot(own_engine, tenant) as connection:
        assert balances(connection, [ANN]) == {ANN: -1 - len(keys)}
    prove_clean(own_engine, tenant)
