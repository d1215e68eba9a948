"""Walking the lists of our own account and of every payee's, each from where we last stood.

The position is one JSON text: an anchor for each account, and who is still to be asked in this
round. A call may give nothing and still move on; a round has ended when nobody is left.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import Any, Final

import stripe

from rails.stripe.errors import is_final
from rails.stripe.model import Fields, time_of
from rails.stripe.wire import Lister, newer_than

ACCOUNTS_PER_CALL: Final = 100

LAG_S: Final = 60
"""Anchors stay this many seconds behind: what was written in the same moment may be listed late.

The last minute is therefore listed again; who takes it in knows it by its id.
"""

_THIN: Final = "v2"
"""Where the anchors keep the time of the last thin event; no account has this name."""


@dataclass(slots=True)
class Position:
    """Where a walk stands."""

    anchors: dict[str, str]
    todo: list[str]

    @classmethod
    def read(cls, text: str) -> "Position":
        """A position from its text; empty: from the start."""
        said: dict[str, Any] = json.loads(text) if text else {}
        return cls(dict(said.get("anchors", {})), list(said.get("todo", [])))

    def write(self) -> str:
        """The position as text, the same for the same place."""
        return json.dumps({"anchors": self.anchors, "todo": self.todo}, sort_keys=True)


@dataclass(frozen=True, slots=True)
class Walk:
    """What one call found, oldest first within an account; `is_last` when the round has ended."""

    found: tuple[tuple[str, Fields], ...]
    position: str
    is_last: bool


def walk(
    after: str,
    *,
    limit: int,
    accounts: Callable[[], Sequence[str]],
    lister: Callable[[str], Lister],
) -> Walk:
    """The next objects behind a position; "" is our own account and is asked first."""
    position = Position.read(after)
    todo = position.todo or ["", *accounts()]
    found: list[tuple[str, Fields]] = []
    for _ in range(ACCOUNTS_PER_CALL):
        if not todo or len(found) >= limit:
            break
        account = todo[0]
        anchor = position.anchors.get(account, "")
        try:
            some, is_all = newer_than(lister(account), anchor, limit=limit - len(found))
        except stripe.StripeError as error:
            if not (account and is_final(error)):
                raise
            # One payee who took our access away must not hide all others.
            some, is_all = [], True
        found += [(account, one) for one in some]
        anchor = _anchor(some, anchor, is_all=is_all)
        if anchor:
            position.anchors[account] = anchor
        if not is_all:
            break
        todo = todo[1:]
    return Walk(tuple(found), Position(position.anchors, todo).write(), not todo)


def thin_behind(
    position_text: str, events_since: Callable[[str], Sequence[Fields]]
) -> tuple[list[Fields], str]:
    """Thin events behind a position, oldest first, and the position after them.

    They are listed by time, so that those within the lag come again.
    """
    position = Position.read(position_text)
    since = position.anchors.get(_THIN, "")
    found = sorted(events_since(since), key=lambda event: str(event["created"]))
    if found:
        behind = time_of(str(found[-1]["created"])) - timedelta(seconds=LAG_S)
        position.anchors[_THIN] = max(since, behind.astimezone(UTC).isoformat())
    return found, position.write()


def _anchor(found: Sequence[Fields], anchor: str, *, is_all: bool) -> str:
    """The last that was given; at the end of the list the last that is older than the lag."""
    if not found:
        return anchor
    if not is_all:
        return str(found[-1]["id"])
    settled = [one for one in found if one["created"] <= found[-1]["created"] - LAG_S]
    return str(settled[-1]["id"]) if settled else anchor
