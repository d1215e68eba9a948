"""Commands of one pair that are committed together, of which the books refuse one."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future, wait
from dataclasses import replace
from datetime import UTC, datetime

from sqlalchemy import Connection, Engine

from commissions.model import Band
from engine.api.doors import subjects
from engine.group_commit import Door, GroupCommit
from escrow import service
from escrow.commands import Tip
from escrow.model import Method
from kernel.commands import Outcome
from kernel.database import Tenant, transaction
from kernel.ids import new_id
from tests.commissions.books import hold, tariff
from tests.escrow.stage import Stage
from tests.escrow.stage_price import agreed, billed, prove_prices, released

PATIENCE_S = 120


class Gate:
    """The service of tips, which takes no batch until it is opened; how large each was."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.sizes: list[int] = []

    def __call__(
        self, connection: Connection, commands: Sequence[Tip], *, at: datetime
    ) -> list[Outcome]:
        self.sizes.append(len(commands))
        assert self.opened.wait(PATIENCE_S)
        return service.tip(connection, commands, at=at)


def tip(stage: Stage, amount_minor: int) -> Tip:
    return Tip(
        actor=stage.client,
        contract_id=stage.contract_id,
        funding_id=new_id(),
        amount_minor=amount_minor,
        method=Method.WALLET,
    )


def test_no_fee_is_built_on_a_tip_that_the_wallet_could_not_pay(
    own_engine: Engine, tenant: Tenant
) -> None:
    """20 % up to 500.00, then 10 %, 105.00 a month at most: 500.00 and 100.00 are 105.00.

    Between them stands a tip that the wallet cannot pay: it moves neither the band nor the cap.
    """
    prices = replace(tariff("EUR", Band(50_000, 2_000), Band(None, 1_000)), cap_month_minor=10_500)
    with transaction(own_engine, tenant) as connection:
        hold(connection, tariffs=(prices,))
        first = agreed(connection, 10_000)
        others = [agreed(connection, 10_000, like=first) for _ in range(2)]
        first.fill_wallet(60_000)
    gate = Gate()
    group = GroupCommit(own_engine, tenant, {"tips": Door(gate, subjects)})
    stages = (first, *others)
    unknown = replace(tip(first, 1), contract_id=new_id())
    asked = [tip(stage, n) for stage, n in zip(stages, (50_000, 70_000, 10_000), strict=True)]
    futures: list[Future[Outcome]] = [group.submit("tips", each) for each in (unknown, *asked)]
    gate.opened.set()
    wait(futures, PATIENCE_S)
    group.close()

    assert [each.result().code for each in futures] == [
        "escrow.unknown_contract",
        *("done", "ledger.insufficient_funds", "done"),
    ]
    with transaction(own_engine, tenant) as connection:
        first.connection = connection
        rows = connection.exec_driver_sql(
            "SELECT before_minor, gross_minor, fee_minor FROM fee_line ORDER BY id"
        ).all()
        assert [tuple(row) for row in rows] == [(0, 50_000, 10_000), (50_000, 10_000, 500)]
        assert billed(first) == 60_000
        prove_prices(connection)
    assert sum(gate.sizes) >= len(futures)


def test_a_release_that_waited_over_midnight_is_under_a_cap(connection: Connection) -> None:
    """10 %, at most 50.00 a month: March and April are full, and a March release comes late.

    It waited for the pair while April's came before it: it counts in April, whose cap is full.
    """
    prices = replace(tariff("EUR", Band(None, 1_000)), cap_month_minor=5_000)
    before = datetime(2026, 3, 31, 23, 59, 59, 900_000, tzinfo=UTC)
    after = datetime(2026, 4, 1, 0, 0, 0, 100_000, tzinfo=UTC)
    hold(connection, tariffs=(prices,))
    march = agreed(connection, 100_000, now=before)
    april = agreed(connection, 100_000, like=march)
    late = agreed(connection, 100_000, like=march)
    april.now = after

    assert [released(each) for each in (march, april, late)] == [5_000, 5_000, 0]
    prove_prices(connection)
