"""Money made of rounding: exchange a few of the smallest coins, and buy them back."""

import pytest
from sqlalchemy import Connection

from commissions.model_fx import FixedSide, Policy
from kernel.money import parse_minor
from tests.escrow.stage_fx import Desk

AMOUNTS = (1, 2, 3, 4, 5, 8, 13, 50, 99)


def got(desk: Desk, amount: int, sold: str, bought: str, fixed: FixedSide) -> tuple[int, int]:
    """What a quote sells and buys, minor units; nothing where it is refused."""
    outcome = desk.quote(amount, sold, bought, fixed=fixed)
    if not outcome.is_done:
        assert outcome.code == "fx.too_small"
        return 0, 0
    return tuple(  # type: ignore[return-value]
        parse_minor(outcome.facts[side]["amount"], outcome.facts[side]["currency"])
        for side in ("sold", "bought")
    )


@pytest.mark.parametrize("margin_bps", [0, 150])
@pytest.mark.parametrize("pair", [("JPY", "EUR"), ("EUR", "USD"), ("KWD", "EUR"), ("KWD", "JPY")])
def test_nobody_is_richer_for_going_there_and_back(
    connection: Connection, pair: tuple[str, str], margin_bps: int
) -> None:
    """One yen is not worth a cent, and no cent buys back two yen, whichever side is fixed."""
    desk = Desk(connection, Policy(margin_bps=margin_bps))
    for sold, bought in (pair, pair[::-1]):
        for amount in AMOUNTS:
            for fixed in FixedSide:
                gave, has = got(desk, amount, sold, bought, fixed)
                _, back = got(desk, has, bought, sold, FixedSide.SELL) if has else (0, 0)
                assert back <= gave, (amount, sold, bought, fixed)
