"""No cent is moved twice at a rail: keys while something is on its way, and answers under them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import Engine

from kernel.database import Tenant, transaction
from kernel.errors import Broken, RailTrouble
from rails import service
from rails.caller import Counts, run_once
from rails.model import (
    KEY_SPENT,
    NOT_FOUND,
    NOT_NOW,
    Capabilities,
    RailOperation,
    RailOutcome,
    RailResult,
    ResolveBy,
)
from rails.simulated.service import SimulatedRail
from tests.rails.builders import NOON, BadLine, operation, payout, result

DAY = timedelta(days=1)


@dataclass
class Keeping(BadLine):
    """A rail that keeps keys for 20 hours and lists what it has done; `says` is what it answers."""

    says: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)

    @property
    def capabilities(self) -> Capabilities:
        able = self.rail.capabilities
        return replace(able, idempotency_ttl_hours=20, resolve_by=ResolveBy.LISTING)

    def execute(self, operations: Sequence[RailOperation], *, at: datetime) -> list[RailResult]:
        (operation,) = operations
        word = self.says.pop(0)
        if word == NOT_NOW:
            return [result(operation, RailOutcome.UNKNOWN, code=NOT_NOW, at=at)]
        self.keys.append(operation.key)
        if word == "under way":
            raise RailTrouble("the line was cut while the rail was at work")
        outcome = RailOutcome.UNKNOWN if word == KEY_SPENT else RailOutcome.DONE
        return [result(operation, outcome, code=word if word == KEY_SPENT else "", at=at)]

    def resolve(self, operations: Sequence[RailOperation], *, at: datetime) -> list[RailResult]:
        """What is still at work is in no list yet."""
        return [result(each, RailOutcome.UNKNOWN, code=NOT_FOUND, at=at) for each in operations]


def _rail(engine: Engine, *says: str) -> Keeping:
    return Keeping(SimulatedRail(engine, "test"), says=list(says))


def _intended(engine: Engine, tenant: Tenant) -> UUID:
    operation = payout()
    with transaction(engine, tenant) as connection:
        service.intend(connection, [operation], at=NOON)
    return operation.id


def _run(engine: Engine, tenant: Tenant, rail: Keeping, at: datetime) -> Counts:
    handlers = {"test.heard": lambda _connection, _results, _at: None}
    return run_once(engine, tenant, rail, handlers, at)


def test_what_waited_for_days_keeps_its_key_while_it_is_under_way(
    own_engine: Engine, tenant: Tenant
) -> None:
    """Put off for two days, then cut off at work: sent again it must meet its own key.

    A list does not hold yet what is still at work; under another key the rail would pay twice.
    """
    rail = _rail(own_engine, NOT_NOW, "under way", "under way", "done")
    _intended(own_engine, tenant)

    for days in (0, 2, 2, 2):
        _run(own_engine, tenant, rail, NOON + days * DAY)

    assert len(rail.keys) == 3
    assert len(set(rail.keys)) == 1


def test_after_the_last_sending_is_long_ago_another_key_is_taken(
    own_engine: Engine, tenant: Tenant
) -> None:
    """Nothing is at work for a day, and a whole list holds nothing: the old key is no use."""
    rail = _rail(own_engine, "done")
    operation_id = _intended(own_engine, tenant)
    with transaction(own_engine, tenant) as connection:
        service.lose_replies(connection, service.take(connection, 9, NOON))

    _run(own_engine, tenant, rail, NOON + DAY)

    assert rail.keys == [f"{operation_id}:1"]


def test_a_key_that_answers_for_itself_is_not_sent_again_and_again(
    own_engine: Engine, tenant: Tenant
) -> None:
    """A rail that repeats an old answer under a key: a fresh key, and not in the same breath."""
    rail = _rail(own_engine, KEY_SPENT, "done")
    operation_id = _intended(own_engine, tenant)

    _run(own_engine, tenant, rail, NOON)
    at_once = _run(own_engine, tenant, rail, NOON)
    later = _run(own_engine, tenant, rail, NOON + timedelta(minutes=10))

    assert (at_once.taken, later.taken) == (0, 1)
    assert rail.keys == [str(operation_id), f"{operation_id}:1"]


@pytest.mark.parametrize("named", ["ws_CO_someone_elses", "ws_CO_ours"])
def test_a_payment_is_not_paid_by_another(own_engine: Engine, tenant: Tenant, named: str) -> None:
    """A forged hint names a small push that was paid, to have a great one booked: it is Broken."""
    push = operation()
    with transaction(own_engine, tenant) as connection:
        service.intend(connection, [push], at=NOON)
        service.take(connection, 1, NOON)
        asked = replace(result(push, RailOutcome.PENDING), rail_ref="ws_CO_ours")
        service.store_results(connection, [asked], NOON)
    paid = replace(result(push), rail_ref=named, transaction_ref=named)

    with transaction(own_engine, tenant) as connection:
        if named == "ws_CO_ours":
            assert service.store_results(connection, [paid], NOON)
        else:
            with pytest.raises(Broken, match="another payment"):
                service.store_results(connection, [paid], NOON)
