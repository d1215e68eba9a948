"""The shapes of answers about the books, the house and many commands at once."""

from typing import Any, Literal

from engine.api.answers import Answer, IdText, Money, Number, OpenAnswer, Problem, TimeText


class AccountAnswer(Answer):
    """An account; its balance is signed like lines: debit positive."""

    id: Number
    code: str
    kind: str
    subject: str
    currency: str
    book: str
    nature: str
    state: str
    balance: Money
    line_count: int
    opened_at: TimeText


class LineAnswer(Answer):
    """A line of an account extract."""

    account_seq: int
    event_id: Number
    entry_no: int
    line_no: int
    amount: Money
    balance_after: Money
    effective_at: TimeText
    recorded_at: TimeText
    event_kind: str
    event_subject: str


class ReservationAnswer(OpenAnswer):
    """Money set aside. Past `expires_at` an open one can only expire: its timer gives it back."""

    id: IdText
    account: str
    kind: str
    subject: str
    state: Literal["open", "posted", "voided", "expired"]
    version: int
    amount: Money
    remaining: Money
    posted: Money
    returned: Money
    reason: str
    made_at: TimeText
    expires_at: TimeText | None
    ended_at: TimeText | None


class ActorAnswer(Answer):
    """Who acted, and for which party."""

    principal_id: IdText
    kind: str
    party_id: IdText | None


class EventAnswer(Answer):
    """An event of the log."""

    id: Number
    kind: str
    subject: str
    actor: ActorAnswer
    effective_at: TimeText
    recorded_at: TimeText
    reason: str
    detail: dict[str, Any]
    entry_count: int
    leaf_hash: str
    journal_no: Number | None
    sealed: bool


class EntryLineAnswer(Answer):
    """A line of a journal entry; one of `debit` and `credit` is there."""

    line_no: int
    account_id: Number
    account: str
    debit: Money | None
    credit: Money | None


class ReversedAnswer(Answer):
    """The entry that another one undoes."""

    event_id: Number
    entry_no: int


class EntryAnswer(Answer):
    """A journal entry."""

    event_id: Number
    entry_no: int
    book: str
    currency: str
    reverses: ReversedAnswer | None
    lines: list[EntryLineAnswer]


class TrialRowAnswer(Answer):
    """All accounts of one kind in one currency."""

    book: str
    kind: str
    nature: str
    accounts: int
    debit: Money
    credit: Money


class TrialTotalAnswer(Answer):
    """The columns of one book in one currency."""

    book: str
    debit: Money
    credit: Money
    balanced: bool


class TrialBalanceAnswer(Answer):
    """The trial balance: debit and credit are equal in each book and currency."""

    at: TimeText
    rows: list[TrialRowAnswer]
    totals: list[TrialTotalAnswer]


class TimeAnswer(Answer):
    """The tenant's clock."""

    now: TimeText
    mode: Literal["live", "sandbox"]


class KeyAnswer(Answer):
    """An API key. `secret` is there once, in the answer that made it."""

    id: str
    prefix: str
    principal_id: IdText
    kind: str
    party_id: IdText | None
    is_operator: bool
    scopes: list[str]
    label: str
    created_at: TimeText
    expires_at: TimeText | None
    revoked_at: TimeText | None
    secret: str | None = None


class BulkItemAnswer(Answer):
    """What became of one item: its answer, or its problem."""

    status: int
    replayed: bool
    result: dict[str, Any] | None
    problem: Problem | None


class BulkAnswer(Answer):
    """What became of each item, in the order given."""

    done: int
    refused: int
    results: list[BulkItemAnswer]


class NoticesAnswer(Answer):
    """How many notices were received, how many of them are new, and how many wait."""

    received: int
    new: int
    parked: int


class HealthAnswer(Answer):
    """Whether the process lives."""

    status: Literal["ok"]


class ReadyAnswer(Answer):
    """Whether it can serve; `timer_late_s` and `job_waits_s` are the worst of all tenants."""

    status: Literal["ready", "not_ready"]
    database: bool
    migrations: bool
    timer_late_s: int | None
    job_waits_s: int | None
