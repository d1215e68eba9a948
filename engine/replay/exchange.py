"""Exchange in a replay: the bank's rates of each day, and a provider that fills what was converted.

Two people agree on a margin. Every business day the rates of the central bank are taken, and what
was converted on an earlier day is filled at the rate of this one, less what the provider keeps:
some basis points, drawn by pair and day. Fills move money at the simulated bank first, and are
posted where it could. On the first of a month our own foreign balances are revalued.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

from commissions import service_fx, service_fx_policy, store_fx
from commissions.commands_fx import ApprovePolicy, AskQuote, PreparePolicy, TakeRates
from commissions.maths_fx import customer_rate
from commissions.model_fx import Conversion, FixedSide, Policy
from engine.replay.acts import APPROVER, OPERATOR
from engine.replay.dice import Dice
from engine.replay.people import Payee
from engine.replay.postings import CURRENCY
from engine.replay.stage import Stage
from engine.replay.store import list_available
from escrow import service_fx as conversions
from escrow.commands_fx import Convert, RecordFill
from kernel.money import convert
from kernel.principals import RAIL, SYSTEM
from payouts import service_revaluation
from payouts.service_revaluation import Revalue
from rails.model import RailAccount
from rails.rates.model import Source
from rails.simulated import exchange as bank

MARGIN_BPS: Final = 150
SLIPPAGE_BPS: Final = (0, 60)
"""What a provider keeps of the mid rate of the day on which he fills."""

PROVIDER: Final = "simulated"

FRIDAY: Final = 4
ORIGIN: Final = "eurofxref-hist"
_LOOK_BACK: Final = timedelta(days=1)
_PAGE: Final = 5_000


@dataclass(slots=True)
class Exchange:
    """Rates and fills of a replay; without a source of rates there is none of it."""

    seed: int
    source: Source | None
    _taken: date | None = field(default=None)

    def open(self, stage: Stage, at: datetime) -> None:
        """The policy, and the newest rates of before the first day."""
        policy_id = Dice(self.seed, "fx").new_id("policy", at)
        policy = Policy(margin_bps=MARGIN_BPS, reporting=CURRENCY)
        stage.serve(
            service_fx_policy.prepare_policy,
            [
                PreparePolicy(
                    actor=OPERATOR, policy_id=policy_id, policy=policy, reason="the replay's"
                )
            ],
        )
        stage.serve(
            service_fx_policy.approve_policy,
            [ApprovePolicy(actor=APPROVER, policy_id=policy_id)],
        )
        self.take_rates(stage, at - _LOOK_BACK)

    def take_rates(self, stage: Stage, at: datetime) -> None:
        """Take the bank's rates of this day; on a day without any there is nothing to take."""
        if self.source is None:
            return
        rates = service_fx.rates_of_day(self.source, at.date())
        newest = max((each.as_of for each in rates), default=None)
        if newest is not None and newest != self._taken:
            self._taken = newest
            stage.serve(
                service_fx.take_rates, [TakeRates(actor=SYSTEM, rates=rates, origin=ORIGIN)]
            )

    def revalue(self, stage: Stage, at: datetime) -> None:
        """On the first of a month book what our own balances gained or lost in the last one."""
        if self.source is not None and at.day == 1:
            yesterday = (at - timedelta(days=1)).date()
            stage.serve(service_revaluation.revalue, [Revalue(actor=OPERATOR, on=yesterday)])

    def fill(self, stage: Stage, at: datetime, *, everything: bool = False) -> None:
        """On business days fill what was converted before, as far as the accounts can pay it.

        `everything`: whatever the day, and whenever it was converted.
        """
        if self.source is None or (at.weekday() > FRIDAY and not everything):
            return
        waiting = stage.read(lambda c: store_fx.list_open(c, after=None, limit=_PAGE))
        due = [each for each in waiting if everything or each.at.date() < at.date()]
        orders = [self._order(self.source, each, at.date()) for each in due]
        made = bank.fill(stage.rail, orders, at=at)
        stage.serve(
            conversions.record_fills,
            [
                RecordFill(
                    actor=RAIL,
                    conversion_id=each.id,
                    provider=PROVIDER,
                    provider_ref=f"fill_{each.id.hex}",
                    filled_minor=each.bought_minor,
                )
                for each in orders
                if each.id in made
            ],
        )

    def _order(self, source: Source, given: Conversion, on: date) -> bank.Fill:
        mid = source.find(sold=given.sold, bought=given.bought, on=on)
        assert mid is not None
        rate = customer_rate(mid.rate, fill_bps(self.seed, (given.sold, given.bought), on))
        bought = convert(given.sold_minor, sold=given.sold, bought=given.bought, rate=rate)
        return bank.Fill(
            id=given.id,
            account=RailAccount.PROCESSOR_AVAILABLE
            if given.rail_account
            else RailAccount.CUSTODY_BANK,
            sold=given.sold,
            sold_minor=given.sold_minor,
            bought=given.bought,
            bought_minor=max(1, bought),
        )

    def convert_earned(
        self, stage: Stage, payees: Mapping[UUID, Payee], least: Mapping[str, int], at: datetime
    ) -> None:
        """Whoever is paid today, and wants it in his currency, exchanges the rest at a quote."""
        if self.source is None:
            return
        found = stage.read(lambda connection: list_available(connection, least))
        asked = [
            AskQuote(
                actor=payee.actor,
                quote_id=payee.dice.new_id(f"quote|{currency}", at),
                party_id=payee.id,
                sold=currency,
                bought=payee.wants,
                fixed=FixedSide.SELL,
                amount_minor=amount,
            )
            for payee_id, currency, amount in found
            if (payee := payees.get(payee_id)) is not None
            and payee.weekday == at.weekday()
            and payee.wants is not None
            and payee.wants != currency
        ]
        quoted = stage.serve(service_fx.quote, asked)
        stage.serve(
            conversions.convert,
            [
                Convert(
                    actor=each.actor,
                    conversion_id=Dice(self.seed, each.quote_id.hex).new_id("conversion", at),
                    quote_id=each.quote_id,
                )
                for each, outcome in zip(asked, quoted, strict=True)
                if outcome.is_done
            ],
        )


def fill_bps(seed: int, pair: tuple[str, str], on: date) -> int:
    """What the provider keeps of a pair (sold, bought) on a day, in basis points of its mid."""
    sold, bought = pair
    lowest, highest = SLIPPAGE_BPS
    return Dice(seed, f"fill|{sold}|{bought}|{on}").between("bps", lowest=lowest, highest=highest)
