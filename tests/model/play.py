"""Plays the machine: how long, how seeded, and what a full run must have done."""

from collections import Counter
from collections.abc import Callable
from typing import Final

import hypothesis
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import Engine

from kernel.database import Tenant
from tests.model.books import open_books
from tests.model.machine import Market

LONGEST: Final = 100
"""Acts of one example. About every second example is short: hypothesis looks at those first."""

COMMANDS: Final = frozenset(
    {"create_party", "change_party", "place_hold", "lift_hold", "propose", "add_milestones"}
    | {"accept", "pause", "resume", "end", "close", "cancel", "submit", "withdraw_submission"}
    | {"request_changes", "approve", "release_part", "confirm", "ask_refund", "accept_refund"}
    | {"give_back", "settle_dormant", "propose_amendment", "sign_amendment roll"}
    | {"sign_amendment price", "fund card", "fund bank_debit", "fund bank_transfer"}
    | {"fund wallet", "tip", "tip wallet", "cancel_funding", "credit_receipt", "set_fees"}
    | {"add_methods", "open_capital", "request_payout", "submit_payout", "submit_due"}
    | {"cancel_payout", "resume_payouts", "settle"}
)
"""Every public command of the rooms that are driven, some by the way in which they work."""

CLOCKS: Final = frozenset(
    {"auto_release", "refund_reply", "dormant", "security_hold", "fund_interactive", "fund_bank"}
    | {"close_contract"}
)
"""Every clock that rings by itself."""


def play(
    engine: Engine,
    tenant: Tenant,
    *,
    steps: int,
    seed: int | None = None,
    shrinks: bool = True,
) -> Counter[str]:
    """Play about so many steps; what was done and refused. Without a seed always the same.

    A failure is made smaller, which may take minutes, if it `shrinks`.
    """
    tally: Counter[str] = Counter()

    def market() -> Market:
        return Market(open_books(engine, tenant), tally)

    begin: Callable[[], Market] = market if seed is None else hypothesis.seed(seed)(market)
    chosen = settings(
        max_examples=max(1, 2 * steps // LONGEST),
        stateful_step_count=LONGEST,
        derandomize=seed is None,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink) if shrinks else (Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(begin, settings=chosen)  # type: ignore[arg-type]
    return tally


def play_until_all_is_done(
    engine: Engine, tenant: Tenant, *, steps: int, most_rounds: int = 12
) -> Counter[str]:
    """Play the same steps as always, then more of them until every command has taken effect.

    What a change of the machine makes others draw less often is so drawn later, not never.
    """
    tally = play(engine, tenant, steps=steps)
    for seed in range(1, most_rounds + 1):
        if not not_done(tally):
            break
        tally += play(engine, tenant, steps=steps * 2 // 5, seed=seed)
    return tally


def not_done(tally: Counter[str]) -> list[str]:
    """Commands that never took effect, and clocks that never rang."""
    commands = [name for name in sorted(COMMANDS) if not tally[f"{name} done"]]
    return commands + [f"clock {kind}" for kind in sorted(CLOCKS) if not tally[f"clock {kind}"]]
