"""What retainers refuse: one class per rule, each with its stable code."""

from kernel.errors import Refusal


class UnknownRetainer(Refusal):
    """There is no such retainer."""

    code = "retainer.unknown"


class UnknownPeriod(Refusal):
    """There is no such period."""

    code = "retainer.unknown_period"


class UnknownDrawdown(Refusal):
    """There is no such drawdown."""

    code = "retainer.unknown_drawdown"


class BadRetainer(Refusal):
    """The terms of a retainer are outside their ranges, or do not fit together."""

    code = "retainer.bad_terms"


class NotFunded(Refusal):
    """The period holds no money of the client: work in it is unprotected (edge case 33)."""

    code = "retainer.not_funded"


class Overdrawn(Refusal):
    """The period does not hold so much."""

    code = "retainer.overdrawn"


class NothingToDraw(Refusal):
    """An access fee is earned by the period's end; nothing is drawn from it."""

    code = "retainer.nothing_to_draw"


class DrawdownsOpen(Refusal):
    """Drawdowns that wait for the client are decided before the period's money is divided."""

    code = "retainer.drawdowns_open"


class PeriodBeforeOpen(Refusal):
    """The period before is settled first: what it carries over is used first."""

    code = "retainer.period_before_open"


class NextNotFunded(Refusal):
    """What is left rolls into the next period, which is not funded yet."""

    code = "retainer.next_not_funded"


class BadDrawdown(Refusal):
    """Hours are whole minutes, past, within their period and apart; a quota is drawn in pieces."""

    code = "retainer.bad_drawdown"


class NoRunningPeriod(Refusal):
    """Only a retainer whose period runs can be paused, only a paused one resumed."""

    code = "retainer.no_running_period"
