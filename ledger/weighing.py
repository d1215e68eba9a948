"""Whether the books would take some drafts now: no lock is taken, nothing opened or written."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import Connection

from kernel.errors import Refusal
from ledger import store_weighing
from ledger.chart import CHART
from ledger.model import AccountKey, Draft
from ledger.rules import Batch, PeriodNotOpen, Standing, check_draft, decide
from ledger.rules_periods import open_from
from ledger.store_periods import list_not_open


def weigh(connection: Connection, drafts: Sequence[Draft]) -> Refusal | None:
    """The first refusal that `ledger.service.post` would answer; None if it would take all."""
    try:
        for draft in drafts:
            check_draft(draft)
        _check_periods(connection, drafts)
    except Refusal as refusal:
        return refusal
    keys = {line.account for draft in drafts for entry in draft.entries for line in entry.lines}
    _, answers = decide(drafts, _standings(connection, keys), Batch(0, "", 0))
    return next((answer for answer in answers if isinstance(answer, Refusal)), None)


def _check_periods(connection: Connection, drafts: Sequence[Draft]) -> None:
    """Refuse what counts where no period takes it, and none would be opened for it."""
    times = sorted({draft.effective_at for draft in drafts if draft.entries})
    for at in store_weighing.list_shut(connection, times, months=[_month(at) for at in times]):
        first = open_from(at, list_not_open(connection, after=at))
        raise PeriodNotOpen(effective_at=at.isoformat(), open_from=first.isoformat())


def _month(at: datetime) -> datetime:
    in_utc = at.astimezone(UTC)
    return datetime(in_utc.year, in_utc.month, 1, tzinfo=UTC)


def _standings(connection: Connection, keys: set[AccountKey]) -> dict[str, Standing]:
    """The accounts as they stand; one that was never opened as it would be opened."""
    found = store_weighing.find_standings(connection, keys)
    for key in keys:
        if key not in found:
            row = CHART[key.kind]
            found[key] = Standing(key, 0, 0, 0, 0, row.lowest_minor, row.highest_minor, True)
    return found
