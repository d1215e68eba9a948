"""What an experiment on fees is beside its arms: its unit, its life, and how it is shown."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from commissions.experiments import HOLDOUT, WHOLE_BPS, Compared, Experiment, Interval, Readout
from kernel.money import EXPONENTS

_SHARE_DIGITS: Final = Decimal("0.0001")


class UnitKind(StrEnum):
    """What is put into arms: a client with one payee, or a client with all of his payees."""

    PAIR = "pair"
    CLIENT = "client"


class State(StrEnum):
    """The life of an experiment.

    `running` takes units on; in a `stopped` one whoever is in an arm stays in it; once it is
    `decided` its arms count no more. Contracts keep what they pinned in every state.
    """

    PREPARED = "prepared"
    WITHDRAWN = "withdrawn"
    RUNNING = "running"
    STOPPED = "stopped"
    DECIDED = "decided"


def unit_key(kind: UnitKind, *, client_id: UUID, payee_id: UUID) -> str:
    """The name of a unit in an experiment of a kind; its hash says the arm."""
    return str(client_id) if kind is UnitKind.CLIENT else f"{client_id}:{payee_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """An experiment with its life.

    `quiet_days` is how long after its first contract a unit without a second one counts as quiet.
    """

    id: UUID
    experiment: Experiment
    unit: UnitKind
    quiet_days: int
    reason: str
    prepared_by: UUID
    prepared_at: datetime
    state: State = State.PREPARED
    withdrawn_by: UUID | None = None
    withdrawn_at: datetime | None = None
    started_by: UUID | None = None
    started_at: datetime | None = None
    stopped_by: UUID | None = None
    stopped_at: datetime | None = None
    stop_why: str | None = None
    decided_by: UUID | None = None
    decided_at: datetime | None = None
    decided_arm: str | None = None
    decision: str | None = None

    @property
    def subject(self) -> str:
        """The experiment's name in events and timers."""
        return f"experiment:{self.id}"

    @property
    def arms(self) -> list[tuple[str, int]]:
        """Name and share of every arm in order; the last ones are held out, if any are."""
        named = [(arm.name, arm.share_bps) for arm in self.experiment.arms]
        rest = WHOLE_BPS - sum(share_bps for _, share_bps in named)
        return [*named, (HOLDOUT, rest)] if rest else named


def as_json(study: Study) -> dict[str, Any]:
    """An experiment as people are shown it."""
    return {
        "id": str(study.id),
        "name": study.experiment.name,
        "state": study.state.value,
        "unit": study.unit.value,
        "arms": [{"name": name, "share_bps": share_bps} for name, share_bps in study.arms],
        "stop_after_units": study.experiment.stop_after_units,
        "harm_bps": study.experiment.harm_bps,
        "quiet_days": study.quiet_days,
        "reason": study.reason,
        "prepared_by": str(study.prepared_by),
        "prepared_at": study.prepared_at.isoformat(),
        "withdrawn_by": _text(study.withdrawn_by),
        "withdrawn_at": _time(study.withdrawn_at),
        "started_by": _text(study.started_by),
        "started_at": _time(study.started_at),
        "stopped_by": _text(study.stopped_by),
        "stopped_at": _time(study.stopped_at),
        "stop_why": study.stop_why,
        "decided_by": _text(study.decided_by),
        "decided_at": _time(study.decided_at),
        "decided_arm": study.decided_arm,
        "decision": study.decision,
    }


def readout_as_json(study: Study, arms: list[Readout], would_stop: str | None) -> dict[str, Any]:
    """The arms beside the control: shares of one, money in its currency's units."""
    return {
        "id": str(study.id),
        "name": study.experiment.name,
        "state": study.state.value,
        "would_stop": would_stop,
        "arms": [
            {
                "arm": each.arm,
                "units": each.units,
                "repeat_share": _shares(each.repeated),
                "dispute_share": _shares(each.disputed),
                "quiet_share": _shares(each.quiet),
                "net_revenue_per_unit": [
                    {"currency": currency, **_compared(found, _money_digits(currency), currency)}
                    for currency, found in each.revenue.items()
                ],
            }
            for each in arms
        ],
    }


def _shares(compared: Compared) -> Mapping[str, Any]:
    return _compared(compared, _SHARE_DIGITS)


def _compared(compared: Compared, digits: Decimal, currency: str | None = None) -> dict[str, Any]:
    unit = 1 if currency is None else 10 ** EXPONENTS[currency]
    return {
        "figure": _interval(compared.figure, digits, unit),
        "above_control": _interval(compared.above_control, digits, unit),
    }


def _interval(found: Interval | None, digits: Decimal, unit: int) -> dict[str, str] | None:
    if found is None:
        return None
    value, low, high = (f"{(each / unit).quantize(digits):f}" for each in found)
    return {"value": value, "low": low, "high": high}


def _money_digits(currency: str) -> Decimal:
    """Two digits more than the currency has: a mean is no amount that anybody pays."""
    return Decimal(1).scaleb(-EXPONENTS[currency] - 2)


def _text(found: UUID | None) -> str | None:
    return None if found is None else str(found)


def _time(found: datetime | None) -> str | None:
    return None if found is None else found.isoformat()
