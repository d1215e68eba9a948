"""Releases and refunds of the same pairs at once: locked rows order them, nothing is lost."""

from random import Random
from uuid import UUID

import pytest
from sqlalchemy import Engine

from escrow import service, service_claims
from escrow.commands import SlotCommand
from escrow.model_chargeback import RefundLater
from kernel.database import Tenant, transaction
from kernel.principals import Actor
from tests.commissions.books import TIERS, tariff
from tests.commissions.deals import cumulated
from tests.escrow.stage import Stage
from tests.escrow.stage_price import commission_of, prove_prices, stand_tiers, submitted
from tests.escrow.test_races import Act, race

BANDS = tariff("EUR", *TIERS)


def approve(stage: Stage, *slot_ids: UUID) -> Act:
    commands = [SlotCommand(actor=stage.client, slot_id=slot_id) for slot_id in slot_ids]
    return lambda late: [each.code for each in service.approve(late, commands, at=stage.now)]


def give_back(stage: Stage, actor: Actor, slot_id: UUID, amount_minor: int) -> Act:
    command = RefundLater(actor=actor, slot_id=slot_id, amount_minor=amount_minor, agreement_ref="")
    return lambda late: [service_claims.refund_later(late, [command], at=stage.now)[0].code]


def test_batches_of_two_pairs_in_opposite_orders(own_engine: Engine, tenant: Tenant) -> None:
    """Three batches, each with both pairs, the other way round: no deadlock, each total is F."""
    with transaction(own_engine, tenant) as connection:
        stand_tiers(connection)
        one = submitted(connection, 20_001, 20_002, 20_003)
        other = submitted(connection, 30_001, 30_002, 30_003)

    def both(number: int) -> Act:
        ours = SlotCommand(actor=one.client, slot_id=one.slot_ids[number])
        theirs = SlotCommand(actor=other.client, slot_id=other.slot_ids[number])
        commands = [ours, theirs] if number % 2 else [theirs, ours]
        return lambda late: [each.code for each in service.approve(late, commands, at=one.now)]

    assert race(own_engine, tenant, both(0), both(1), both(2)) == [["done", "done"]] * 3

    with transaction(own_engine, tenant) as connection:
        for stage, total in ((one, 60_006), (other, 90_006)):
            kept = sum(commission_of(connection, slot_id) for slot_id in stage.slot_ids)
            assert kept == cumulated(BANDS, total)
        prove_prices(connection)


@pytest.mark.parametrize("seed", range(3))
def test_a_refund_beside_releases_of_its_pair(
    own_engine: Engine, tenant: Tenant, seed: int
) -> None:
    """300 of 600 go back while 100 and 450 are released: each keeps the fee of where it stood.

    Whatever comes first, the refund brings back its own bands: 10 at 10 % and 20 at 20 % of 300.
    """
    with transaction(own_engine, tenant) as connection:
        stand_tiers(connection)
        stage = submitted(connection, 60_000, 10_000, 45_000)
        first, *others = stage.slot_ids
        stage.slot_id = first
        assert stage.approve().is_done
        stage.wait(days=6)
    acts = [
        give_back(stage, stage.payee, first, 30_000),
        *(approve(stage, slot_id) for slot_id in others),
    ]

    found = race(own_engine, tenant, *Random(seed).sample(acts, len(acts)))

    assert found == [["done"]] * 3
    with transaction(own_engine, tenant) as connection:
        assert commission_of(connection, first) == 6_000
        rows = connection.exec_driver_sql(
            "SELECT before_minor, gross_minor, fee_minor FROM fee_line"
            " WHERE slot_id = ANY (%s) ORDER BY id",
            (others,),
        ).all()
        for before, gross, fee in rows:
            assert fee == cumulated(BANDS, before + gross) - cumulated(BANDS, before)
        prove_prices(connection)
