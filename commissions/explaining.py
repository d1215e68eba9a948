"""Fee schedules and why a contract got them, in plain words. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from commissions.choosing import Picked
from commissions.model import Schedule, Scope, Side, Tariff
from kernel.money import format_minor

_SIDES: Final = {
    Side.PAYEE: "taken from what the payee earns",
    Side.CLIENT: "added to what the client pays",
}

_NAMES: Final = {
    "contract_id": "this one contract",
    "promotion": "promotion",
    "client_id": "one client's agreement",
    "plan": "payees on plan",
    "client_plan": "clients on plan",
    "arm": "the arm",
    "category": "category",
    "origin": "origin",
    "country": "payees in",
    "basis": "terms of kind",
}

_RESULTS: Final = {
    "won": "holds",
    "level": "lost: the other comes from a stronger place",
    "dimensions": "lost: the other asks for more of the deal",
    "priority": "lost: the other has the higher priority",
    "newer": "lost: the other began later",
    "name": "lost: one promotion is given at a time",
    "budget used up": "passed over: it has forgone its whole budget",
    "party limit reached": "passed over: this payee has saved all that it gives one payee",
}


def percent(rate_bps: int) -> str:
    """A rate as people say it: `12.5 %`."""
    whole, rest = divmod(rate_bps, 100)
    return f"{whole} %" if not rest else f"{whole}.{rest:02d}".rstrip("0") + " %"


def for_whom(scope: Scope) -> str:
    """Which deals a schedule is for."""
    if not scope.named:
        return "everybody"
    return ", ".join(
        _NAMES[name]
        if name in {"contract_id", "client_id"}
        else f"{_NAMES[name]} {getattr(scope, name)}"
        for name in scope.named
    )


def prices(tariff: Tariff) -> list[str]:
    """A tariff, a sentence a line."""
    currency = tariff.currency

    def money(minor: int) -> str:
        return f"{format_minor(minor, currency)} {currency}"

    told = []
    start = 0
    for band in tariff.bands:
        rate = percent(band.rate_bps)
        if band.up_to_minor is None:
            told.append(f"{rate} of all" if not start else f"{rate} above {money(start)}")
        else:
            told.append(f"{rate} from {money(start)} to {money(band.up_to_minor)}")
            start = band.up_to_minor
    if len(tariff.bands) > 1:
        told[-1] += ", counted over all that client and payee ever billed"
    if tariff.per_transaction_minor:
        told.append(f"plus {money(tariff.per_transaction_minor)} per payment")
    if tariff.floor_minor:
        told.append(f"no less than {money(tariff.floor_minor)} per payment")
    if tariff.cap_minor is not None:
        told.append(f"no more than {money(tariff.cap_minor)} per payment")
    if tariff.cap_month_minor is not None:
        told.append(f"no more than {money(tariff.cap_month_minor)} per calendar month (UTC)")
    return told


def choice_json(choice: Picked, schedules: Mapping[str, Schedule], currency: str) -> dict[str, Any]:
    """One choice of a contract with its reasons, and the prices that it pinned."""
    schedule = schedules.get(str(choice.schedule_id))
    tariff = schedule.tariff(currency) if schedule else None
    until = choice.promotion_until
    return {
        "part": "promotion" if choice.is_promotion else choice.side.value,
        "schedule_id": None if choice.schedule_id is None else str(choice.schedule_id),
        "name": schedule.name if schedule else None,
        "version": schedule.version if schedule else None,
        "why": choice.why,
        "chosen_at": choice.chosen_at.isoformat(),
        "promotion_until": None if until is None else until.isoformat(),
        "prices": prices(tariff) if tariff else [],
        "trace": choice.trace,
        "words": list(words(choice, schedules)),
    }


def words(choice: Picked, schedules: Mapping[str, Schedule]) -> Iterable[str]:
    """Why it is this schedule, strongest first."""
    schedule = schedules.get(str(choice.schedule_id))
    day = choice.chosen_at.date().isoformat()
    if schedule is None:
        yield f"No promotion was given on {day}."
    else:
        whose = "A promotion on the fee" if choice.is_promotion else "The fee"
        how = "when the deal was accepted" if choice.why == "acceptance" else "by a move, downwards"
        yield (
            f"{whose} {_SIDES[choice.side]} is {schedule.name} version {schedule.version},"
            f" pinned on {day} {how}."
        )
        if choice.promotion_until is not None:
            yield f"It counts for releases before {choice.promotion_until.isoformat()}."
        elif choice.is_promotion:
            yield "It counts for the life of the contract."
    for step in choice.trace:
        yield _of_step(step, schedules)


def _of_step(step: Mapping[str, Any], schedules: Mapping[str, Schedule]) -> str:
    known = schedules.get(step["schedule_id"])
    named = f"{known.name} version {known.version}" if known else step["schedule_id"]
    whom = for_whom(known.scope) if known else ", ".join(step["dimensions"]) or "everybody"
    result = _RESULTS.get(step["result"], step["result"])
    return f"{named}, for {whom} ({step['level']}): {result}."


def ids_in(choices: Sequence[Picked]) -> set[str]:
    """Every schedule that choices and their traces name."""
    named = {step["schedule_id"] for choice in choices for step in choice.trace}
    return named | {str(choice.schedule_id) for choice in choices if choice.schedule_id}
