"""The shapes of answers about periods, their closings, and manual journals."""

from engine.api.answers import Answer, IdText, Money, Number, OpenAnswer, TimeText
from ledger.model_journals import State as JournalState
from ledger.model_periods import State as PeriodState


class ActAnswer(Answer):
    """One act on a period."""

    act_no: int
    act: str
    version: int
    by: IdText
    asked_by: IdText | None
    reason: str
    at: TimeText
    event_id: Number


class PeriodAnswer(OpenAnswer):
    """A period: the months of the books, unless somebody made others. `to` is not in it."""

    id: Number
    state: PeriodState
    version: int


class PeriodShown(PeriodAnswer):
    """A period with everything that was done to it."""

    acts: list[ActAnswer]


class CheckpointAnswer(Answer):
    """A signed checkpoint of the log."""

    size: Number
    root: str


class ClosingAnswer(OpenAnswer):
    """One closing. `trial_balance` is the text that the hash is of; a list leaves it out."""

    version: int
    last_journal_no: Number
    trial_balance_sha256: str
    log_root: str | None
    checkpoint: CheckpointAnswer | None
    warnings: list[str]
    closed_by: IdText
    closed_at: TimeText


class JournalLineAnswer(Answer):
    """A line of a manual journal; one of `debit` and `credit` is there."""

    kind: str
    subject: str
    debit: Money | None
    credit: Money | None


class JournalEntryAnswer(Answer):
    """An entry of a manual journal."""

    book: str
    currency: str
    lines: list[JournalLineAnswer]


class JournalAnswer(Answer):
    """A manual journal."""

    id: IdText
    state: JournalState
    reason: str
    attachment_sha256: str
    effective_at: TimeText
    original_effective_on: str | None
    reverse_at: TimeText | None
    expires_at: TimeText
    prepared_by: IdText
    prepared_at: TimeText
    decided_by: IdText | None
    decided_at: TimeText | None
    decision_reason: str
    event_id: Number | None
    reversal_event_id: Number | None
    entries: list[JournalEntryAnswer]


class LimitAnswer(OpenAnswer):
    """The most that a role may prepare or approve in one journal."""

    role: str
    currency: str
    highest: str
    valid_from: TimeText
