"""The use cases of the ledger: post, reverse, and read balances.

`post` is the only way into the books. It takes any number of drafts and answers each; a refused
draft leaves no trace and does not touch its neighbours (design.md, sections 4 and 5).
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from sqlalchemy import Connection

from kernel.errors import Refusal
from kernel.rehearsal import Rehearsed, is_rehearsal
from ledger import store
from ledger.model import AccountKey, Draft, Posted
from ledger.rules import (
    Batch,
    PeriodNotOpen,
    Standing,
    check_draft,
    decide,
)
from ledger.rules_linked import batches, broken, check_chains, decide_linked, within
from ledger.rules_periods import MANUAL_JOURNAL, open_from
from ledger.store_periods import list_not_open
from ledger.weighing import weigh

TENANT_PREFIX = "tenant_"


def post(
    connection: Connection, drafts: Sequence[Draft], *, chains: Sequence[range] = ()
) -> list[Posted | Refusal]:
    """Write the drafts as events with their entries and lines; one answer each, in order.

    Runs inside the caller's transaction and never commits. An earlier draft may fund a later one.
    More than 16,384 drafts are written as several batches of the same transaction. `chains` are
    runs of drafts, by their places, that are accepted or refused together: in a refused one
    each draft but the first that was refused is answered `ledger.link_broken`.

    Refuses a single draft with: `ledger.bad_entry`, `ledger.unbalanced`,
    `ledger.unknown_account_kind`, `ledger.bad_effective_at`, `ledger.period_not_open`,
    `ledger.insufficient_funds`, `ledger.account_not_open`.

    Of a command that is only rehearsed the drafts are weighed, and the rehearsal ends here.
    """
    if is_rehearsal(connection):
        raise Rehearsed(weigh(connection, drafts))
    answers: list[Posted | Refusal | None] = [_refusal(draft) for draft in drafts]
    _refuse_closed_periods(connection, drafts, answers)
    check_chains(chains, len(drafts))
    for chain in chains:
        answers[chain.start : chain.stop] = broken(answers[chain.start : chain.stop])
    sound = [i for i, answer in enumerate(answers) if answer is None]
    standings = lock(connection, {key for i in sound for key in _keys(drafts[i])})
    for part in batches(sound, chains):
        linked = within(part, chains)
        posted = _post_batch(connection, [drafts[i] for i in part], standings, linked)
        for i, answer in zip(part, posted, strict=True):
            answers[i] = answer
    return [answer for answer in answers if answer is not None]


def lock(connection: Connection, keys: Iterable[AccountKey]) -> dict[str, Standing]:
    """Open and lock accounts ahead, so that a caller's own transaction can post more than once."""
    wanted = set(keys)
    return store.lock_accounts(connection, wanted) if wanted else {}


def balances(connection: Connection, keys: Sequence[AccountKey]) -> dict[AccountKey, int]:
    """Current balances, signed minor units (debit positive); never opened is zero."""
    known = store.find_balances(connection, [key.code for key in keys])
    return {key: known.get(key.code, 0) for key in keys}


def kind_balances(connection: Connection, kind: str) -> dict[str, int]:
    """Current balance of all accounts of one kind together, per currency, signed."""
    return store.sum_kind(connection, kind)


def _post_batch(
    connection: Connection,
    drafts: Sequence[Draft],
    standings: dict[str, Standing],
    chains: Sequence[range],
) -> list[Posted | Refusal]:
    for standing in standings.values():
        standing.was_line_count = standing.line_count
    batch_id, schema, clock_us = store.open_batch(connection)
    newest_us = max((standing.newest_us for standing in standings.values()), default=0)
    batch = Batch(batch_id, schema.removeprefix(TENANT_PREFIX), max(clock_us, newest_us))
    if chains:
        accepted, answers = decide_linked(drafts, standings, batch, chains)
    else:
        accepted, answers = decide(drafts, standings, batch)
    if accepted:
        store.write_batch(connection, batch, accepted, standings.values())
    recorded_us = iter([taken[3] for taken in accepted])
    return [
        answer if isinstance(answer, Refusal) else Posted(answer, next(recorded_us))
        for answer in answers
    ]


def _refusal(draft: Draft) -> Refusal | None:
    try:
        check_draft(draft)
    except Refusal as refusal:
        return refusal
    return None


def _refuse_closed_periods(
    connection: Connection, drafts: Sequence[Draft], answers: list[Posted | Refusal | None]
) -> None:
    """Open the months that are new, and refuse the drafts that count where no period takes them.

    A softly closed or reopened one takes manual journals; the database asks for their approval.
    """
    times = {
        draft.effective_at
        for draft, answer in zip(drafts, answers, strict=True)
        if answer is None and draft.entries
    }
    if not times:
        return
    shut = _not_open(connection, times)
    if shut:
        store.open_months(connection, sorted({_month(at) for at in shut}))
        shut = _not_open(connection, times)
    if not shut:
        return
    journals = {draft.effective_at for draft in drafts if draft.kind == MANUAL_JOURNAL} & shut
    refused = _not_open(connection, journals, finances=True)
    spans = list_not_open(connection, after=min(shut))
    for i, draft in enumerate(drafts):
        at = draft.effective_at
        if answers[i] is not None or not draft.entries or at not in shut:
            continue
        if draft.kind != MANUAL_JOURNAL or at in refused:
            first = open_from(at, spans).isoformat()
            answers[i] = PeriodNotOpen(effective_at=at.isoformat(), open_from=first)


def _not_open(
    connection: Connection, times: set[datetime], *, finances: bool = False
) -> set[datetime]:
    """Those of the times that lie in no open period; the periods found are locked.

    `finances`: those that lie in none that takes manual journals alone.
    """
    if not times:
        return times
    spans = store.lock_periods(
        connection, earliest=min(times), latest=max(times), finances=finances
    )
    return {at for at in times if not any(start <= at < end for start, end in spans)}


def _month(at: datetime) -> datetime:
    in_utc = at.astimezone(UTC)
    return datetime(in_utc.year, in_utc.month, 1, tzinfo=UTC)


def _keys(draft: Draft) -> Iterable[AccountKey]:
    return (line.account for entry in draft.entries for line in entry.lines)
