"""The platform's side of a replay in each currency: its capital, its payout fee, its claims."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import NAMESPACE_URL, uuid5

from engine.replay.currencies import Local, local_of
from engine.replay.deals import Deal
from engine.replay.postings import CURRENCY
from engine.replay.stage import Stage
from kernel.principals import SYSTEM
from payouts import methods, service_policy, settlement
from payouts.commands import OpenCapital, PreparePolicy, SetFee
from rails.rates.model import Source

PAYOUT_FEE_MINOR: Final = 100
"""What a payout costs, in cents of a dollar; in other currencies what that was on the first day."""

LEAST_PAYOUT_MINOR: Final = 2_000
"""Freelancers leave less than this with us until more has come together; cents of a dollar."""

CAPITAL_BPS: Final = 1_000
"""The owner's capital for each replay, as a share of all budgets: rails take their fees first."""

LEAST_CAPITAL_MINOR: Final = 1_000_000
"""Cents of a dollar, in each currency."""


@dataclass(slots=True)
class Treasury:
    """What the platform needs to deal in the currencies of these deals, from the first day on.

    `locals` are those currencies at the rate of that day; `least_payouts` what is paid out at once.
    """

    source: Source | None
    currencies: tuple[str, ...] = ()
    locals: tuple[Local, ...] = ()
    least_payouts: Mapping[str, int] = field(default_factory=dict)

    def open(self, stage: Stage, deals: Iterable[Deal], at: datetime) -> None:
        """Let methods be paid at once, pay the capital in and set the fees of payouts."""
        stage.serve(
            service_policy.prepare_policy,
            [
                PreparePolicy(
                    actor=SYSTEM,
                    policy_id=uuid5(NAMESPACE_URL, f"holdfast:payouts:{at.isoformat()}"),
                    valid_from=at,
                    cooling_days=0,
                    needs_verifying=False,
                    reason="a replay pays to methods on the day on which they are named",
                )
            ],
        )
        budgets: Counter[str] = Counter({CURRENCY: 0})
        for deal in deals:
            budgets[deal.currency] += deal.worth_minor
            if deal.payee_currency is not None:
                budgets[deal.payee_currency] += 0
        self.currencies = tuple(sorted(budgets))
        locals_ = {each: self._local(each, at) for each in self.currencies}
        self.locals = tuple(locals_.values())
        self.least_payouts = {each: locals_[each].of(LEAST_PAYOUT_MINOR) for each in locals_}
        stage.serve(
            settlement.open_capital,
            [
                OpenCapital(
                    actor=SYSTEM,
                    currency=each,
                    amount_minor=max(
                        locals_[each].of(LEAST_CAPITAL_MINOR),
                        budgets[each] * CAPITAL_BPS // 10_000,
                    ),
                )
                for each in self.currencies
            ],
        )
        stage.serve(
            methods.set_fees,
            [
                SetFee(
                    actor=SYSTEM,
                    currency=each,
                    fee_minor=locals_[each].of(PAYOUT_FEE_MINOR),
                    valid_from=at,
                )
                for each in self.currencies
            ],
        )

    def _local(self, currency: str, at: datetime) -> Local:
        return local_of(self.source, currency, at.date())
