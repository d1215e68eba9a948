"""Plays the machines: how long, how seeded, and what a full run must have done."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import hypothesis
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import Engine

from kernel.database import Tenant
from tests.model.bazaar_house import focused
from tests.model.books import open_books
from tests.model.machine import Market

LONGEST: Final = 100
"""Acts of one example. About every second example is short: hypothesis looks at those first."""


@dataclass(frozen=True)
class World:
    """A machine, the commands that must take effect in it, and the clocks that must ring."""

    name: str
    machines: tuple[Callable[..., Any], ...]
    commands: frozenset[str]
    clocks: frozenset[str]

    def not_done(self, tally: Counter[str]) -> list[str]:
        """Commands that never took effect, and clocks that never rang."""
        commands = [name for name in sorted(self.commands) if not tally[f"{name} done"]]
        silent = [f"clock {kind}" for kind in sorted(self.clocks) if not tally[f"clock {kind}"]]
        return commands + silent


MILESTONES: Final = World(
    "milestones",
    (Market,),
    frozenset(
        {"create_party", "change_party", "place_hold", "lift_hold", "propose", "add_milestones"}
        | {"accept", "pause", "resume", "end", "close", "cancel", "submit", "withdraw_submission"}
        | {"request_changes", "approve", "release_part", "confirm", "ask_refund", "accept_refund"}
        | {"give_back", "settle_dormant", "propose_amendment", "sign_amendment roll"}
        | {"sign_amendment price", "fund card", "fund bank_debit", "fund bank_transfer"}
        | {"fund wallet", "tip", "tip wallet", "cancel_funding", "credit_receipt", "set_fees"}
        | {"add_methods", "open_capital", "request_payout", "submit_payout", "submit_due"}
        | {"cancel_payout", "resume_payouts", "settle"}
    ),
    frozenset(
        {"auto_release", "refund_reply", "dormant", "security_hold", "fund_interactive"}
        | {"fund_bank", "close_contract"}
    ),
)
"""Milestones in and out, answers, states, clocks and books to the second and the cent."""

KINDS: Final = World(
    "kinds",
    focused(),
    frozenset(
        {"open_dispute", "open_dispute later", "serve_dispute", "concede_dispute"}
        | {"withdraw_dispute", "offer_in_dispute", "accept_dispute_offer", "file_evidence"}
        | {"extend_dispute", "mediate_dispute", "recommend_in_dispute", "elect_arbitration"}
        | {"propose_decision", "approve_decision", "appeal_dispute", "set_dispute_rules"}
        | {"refund_later", "propose_write_off", "approve_write_off", "set_claim_rules"}
        | {"offer_retainer", "accept_retainer", "cancel_retainer", "draw_down"}
        | {"approve_drawdown", "reject_drawdown", "withdraw_drawdown"}
        | {"propose_hours", "add_hours", "accept_hours", "change_hours", "log_time", "edit_time"}
        | {"delete_time", "approve_late", "start_time", "stop_time", "discard_time", "write_off"}
        | {"dispute_line", "serve_line", "reply_line", "concede_line", "withdraw_line"}
        | {"propose_line", "approve_line", "reserve", "post_reserved", "void"}
        | {"prepare_journal", "approve_journal", "reject_journal", "set_limits"}
        | {"soft_close period", "close period", "ask_reopening period", "reopen period"}
        | {"set_clock_rules", "record_notice", "hear_chargebacks", "tell_payee"}
        | {"file_statement", "submit_evidence", "pause_retainer", "resume_retainer"}
        | {"propose_term_amendment", "sign_term_amendment", "reject_term_amendment"}
        | {"withdraw_term_amendment", "set_reserve_rule", "set_hold_limit", "flag_empty"}
        | {"prepare_schedule", "approve_schedule", "withdraw_schedule", "name_promotion", "quote"}
        | {"set_supplier", "set_buyer", "store_check", "credit_tax", "quote_exchange", "convert"}
    ),
    frozenset(
        {"dispute_reply", "dispute_negotiation", "mediation_max", "arbitration_elect"}
        | {"period_open", "period_start", "period_close", "fund_retry", "drawdown_review"}
        | {"retainer_ends", "week_close", "week_invoice", "week_charge", "week_review_end"}
        | {"line_reply", "reservation_expiry", "journal_expiry"}
    ),
)
"""Every other kind of contract and claim: who may act, the sums of slots, and the books."""

WORLDS: Final = (MILESTONES, KINDS)


def play(
    world: World,
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
    chosen = settings(
        max_examples=max(1, 2 * steps // LONGEST // len(world.machines)),
        stateful_step_count=LONGEST,
        derandomize=seed is None,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink) if shrinks else (Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    for machine in world.machines:

        def market(machine: Callable[..., Any] = machine) -> Any:
            return machine(open_books(engine, tenant), tally)

        begin: Callable[[], Any] = market if seed is None else hypothesis.seed(seed)(market)
        run_state_machine_as_test(begin, settings=chosen)  # type: ignore[arg-type]
    return tally


def play_until_all_is_done(
    world: World, engine: Engine, tenant: Tenant, *, steps: int, most_rounds: int = 12
) -> Counter[str]:
    """Play the same steps as always, then more of them until every command has taken effect.

    What a change of the machine makes others draw less often is so drawn later, not never.
    """
    tally = play(world, engine, tenant, steps=steps)
    for seed in range(1, most_rounds + 1):
        if not world.not_done(tally):
            break
        tally += play(world, engine, tenant, steps=steps * 2 // 5, seed=seed)
    return tally
