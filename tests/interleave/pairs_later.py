"""Pairs on released money: disputed, appealed, sent back, made available, its contract ended."""

from datetime import timedelta
from typing import Final

from sqlalchemy import Connection

from kernel.commands import Outcome
from kernel.ids import new_id
from tests.escrow.stage import Stage
from tests.escrow.stage_dispute import Court
from tests.interleave import pairs_deal as deal
from tests.interleave import pairs_money as money
from tests.interleave.pairs_dispute import by_client, by_payee, on_stage, open_all
from tests.interleave.scenes import Pair, rings


def released(connection: Connection) -> Court:
    """All released; its security hold is over, but nobody has looked yet."""
    return Court(deal.released(connection))


def part_released(connection: Connection) -> Court:
    """40.00 of 100.00 released and available, the rest released now."""
    stage = money.part_released(connection)
    assert stage.approve().is_done
    return Court(stage)


def set_aside(connection: Connection) -> Court:
    """What was released is disputed, and the payee offers to share."""
    court = Court(Stage(connection).submitted())
    assert court.stage.approve().is_done
    assert court.open(amount_minor=6_000).is_done
    assert court.offer(court.stage.payee, 3_000, is_reply=True).is_done
    court.stage.now += timedelta(days=5)
    return court


def lost(connection: Connection) -> Court:
    """The client kept silent and lost; the security hold is over, but nobody has looked yet."""
    court = Court(Stage(connection).submitted())
    assert court.open(court.stage.payee).is_done
    assert court.serve().is_done
    court.stage.wait(days=7)
    court.stage.now += timedelta(days=5)
    court.appeal_ids = (new_id(), new_id())  # type: ignore[attr-defined]
    return court


def open_part(court: Court) -> Outcome:
    return Court(court.stage, dispute_id=court.mediator.principal_id).open(amount_minor=2_000)


def appeal(court: Court) -> Outcome:
    return court.appeal(appeal_id=court.appeal_ids[0])  # type: ignore[attr-defined]


def appeal_too(court: Court) -> Outcome:
    return court.appeal(appeal_id=court.appeal_ids[1])  # type: ignore[attr-defined]


def agree(court: Court) -> Outcome:
    return court.accept(court.stage.client, 1)


_RING_HOLD: Final = rings("escrow.security_hold")

PAIRS: Final = (
    Pair("security hold / dispute later", released, _RING_HOLD, open_all),
    Pair("dispute later / dispute later", released, open_all, open_part),
    Pair("dispute later / refund later", part_released, open_all, on_stage(money.send_back)),
    Pair("dispute later / end", released, open_all, on_stage(deal.end)),
    Pair("split later / security hold", set_aside, agree, _RING_HOLD),
    Pair("split later / withdraw", set_aside, agree, by_client("withdraw_dispute")),
    Pair("split later / end", set_aside, agree, on_stage(deal.end)),
    Pair("split later / hold placed", set_aside, agree, on_stage(deal.hold_payee)),
    Pair(
        "withdraw later / mediate",
        set_aside,
        by_client("withdraw_dispute"),
        by_payee("mediate_dispute"),
    ),
    Pair("appeal / security hold", lost, appeal, _RING_HOLD),
    Pair("appeal / appeal", lost, appeal, appeal_too),
    Pair("appeal / end", lost, appeal, on_stage(deal.end)),
)
