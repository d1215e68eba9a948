"""All pairs of commands that want the same money."""

from typing import Final

from tests.interleave import (
    pairs_chargeback,
    pairs_deal,
    pairs_dispute,
    pairs_house,
    pairs_later,
    pairs_lines,
    pairs_money,
    pairs_plans,
    pairs_terms,
)
from tests.interleave.scenes import Pair

PAIRS: Final[tuple[Pair, ...]] = (
    *pairs_deal.PAIRS,
    *pairs_dispute.PAIRS,
    *pairs_later.PAIRS,
    *pairs_money.PAIRS,
    *pairs_house.PAIRS,
    *pairs_lines.PAIRS,
    *pairs_chargeback.PAIRS,
    *pairs_terms.PAIRS,
    *pairs_plans.PAIRS,
)
