"""Lists as Stripe gives them: newest first, by pages, filtered; and objects opened in place."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from tests.doubles.stripe_double.trouble import StripeError, missing
from tests.doubles.stripe_double.world import PLATFORM, Obj, World

PAGING: Final = frozenset({"limit", "starting_after", "ending_before", "expand"})
RANGES: Final = {
    "gt": lambda value, bound: value > bound,
    "gte": lambda value, bound: value >= bound,
    "lt": lambda value, bound: value < bound,
    "lte": lambda value, bound: value <= bound,
}


def page(newest_first: list[Obj], params: Obj, url: str) -> Obj:
    """One page of a list that is already filtered."""
    limit = params.get("limit", 10)
    if not 1 <= limit <= 100:
        raise StripeError(400, "parameter_invalid_integer", "limit is 1 to 100.", param="limit")
    rows = newest_first
    if "starting_after" in params:
        rows = rows[_position(rows, params["starting_after"]) + 1 :]
    if "ending_before" in params:
        before = rows[: _position(rows, params["ending_before"])]
        shown = before[-limit:]
        return {"object": "list", "data": shown, "has_more": len(before) > limit, "url": url}
    return {"object": "list", "data": rows[:limit], "has_more": len(rows) > limit, "url": url}


def _position(rows: list[Obj], identifier: str) -> int:
    for position, row in enumerate(rows):
        if row["id"] == identifier:
            return position
    raise missing("object", identifier)


def filtered(objects: Iterable[Obj], params: Obj) -> list[Obj]:
    """The objects that fit every filter, newest first."""
    asked = {name: value for name, value in params.items() if name not in PAGING}
    kept = [one for one in objects if all(_fits(one, n, v) for n, v in asked.items())]
    return kept[::-1]


def _fits(one: Obj, name: str, wanted: Any) -> bool:
    if name == "types":
        return one["type"] in wanted
    if name == "delivery_success":
        return True
    value = one.get("_payout" if name == "payout" else name)
    if isinstance(wanted, Mapping):
        return all(RANGES[how](value, bound) for how, bound in wanted.items())
    return bool(value == wanted)


def expand(world: World, account: str, shown: Obj, paths: Iterable[str]) -> None:
    """Put objects in the place of their ids, along paths such as `latest_charge.refunds`."""
    for path in paths:
        _expand(world, account, shown, path.split("."))


def _expand(world: World, account: str, shown: Any, steps: list[str]) -> None:
    if isinstance(shown, list):
        for one in shown:
            _expand(world, account, one, steps)
        return
    if not steps or not isinstance(shown, dict) or shown.get(steps[0]) is None:
        return
    value = shown[steps[0]]
    if isinstance(value, str):
        shown[steps[0]] = value = world.public(_found(world, account, value, steps[0]))
    _expand(world, account, value, steps[1:])


def _found(world: World, account: str, identifier: str, name: str) -> Obj:
    """The object behind an id; a payee's payment opens the platform's transfer."""
    for ledger in (world.ledger(account), world.ledger(PLATFORM)):
        if identifier in ledger.objects:
            return ledger.objects[identifier]
    message = f"This property cannot be expanded ({name})."
    raise StripeError(400, message=message, param="expand")
