"""The commands on manual journals: prepare, approve, reject, and the limits of both roles."""

from datetime import date
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from engine.api.access import Scope
from engine.api.answers_periods import JournalAnswer, LimitAnswer
from engine.api.calls import Given, Subject, Write
from engine.api.models import Amount, Currency, ReasonBody, Request, Text, Time
from engine.api.refusals import Invalid
from kernel.commands import Command
from kernel.ids import new_id
from kernel.principals import Actor
from ledger.journals import DecideJournal, PrepareJournal, SetLimit
from ledger.model import AccountKey, Book, Entry, Line
from ledger.model_journals import Role
from ledger.rules import MAX_LINES
from ledger.rules_journals import MOST_ENTRIES, UnknownJournal

JOURNAL: Final = Subject("journal", "journal_id", UnknownJournal)


def _read_day(value: object) -> date:
    wrong = PydanticCustomError("day", "a day is written 2026-01-31")
    if not isinstance(value, str) or len(value) != 10 or not value.isascii():
        raise wrong
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise wrong from None


Day = Annotated[
    date,
    BeforeValidator(_read_day),
    Field(json_schema_extra={"pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}),
]
"""A calendar day."""


class JournalLineBody(Request):
    """A line: the account by kind and sub-account, and either a debit or a credit."""

    kind: Annotated[str, StringConstraints(max_length=60), Field(examples=["platform.bank"])]
    subject: Annotated[str, Field(max_length=80, pattern=r"^[A-Za-z0-9_.:-]*$")] = ""
    debit: Amount | None = None
    credit: Amount | None = None


class JournalEntryBody(Request):
    """A balanced entry of one book and one currency."""

    book: Book
    currency: Currency
    lines: Annotated[tuple[JournalLineBody, ...], Field(min_length=2, max_length=MAX_LINES)]


class JournalBody(Request):
    """A manual journal. `attachment_sha256` is the hash of the paper that it rests on."""

    entries: Annotated[tuple[JournalEntryBody, ...], Field(min_length=1, max_length=MOST_ENTRIES)]
    reason: Annotated[Text, Field(min_length=1)]
    attachment_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    effective_at: Time | None = None
    original_effective_on: Day | None = None
    reverse_at: Time | None = None
    expires_at: Time | None = None


class LimitBody(Request):
    """The most that a role may prepare or approve in one journal, from now on."""

    role: Role
    highest: Amount


def command_of(body: JournalBody, actor: Actor) -> PrepareJournal:
    """The command of a body; refuses a line that is not either a debit or a credit."""
    return PrepareJournal(
        actor=actor,
        entries=tuple(_entry(entry) for entry in body.entries),
        reason=body.reason,
        attachment_sha256=bytes.fromhex(body.attachment_sha256),
        effective_at=body.effective_at,
        original_effective_on=body.original_effective_on,
        reverse_at=body.reverse_at,
        expires_at=body.expires_at,
        journal_id=new_id(),
    )


def _entry(body: JournalEntryBody) -> Entry:
    lines = []
    for line in body.lines:
        amount = line.debit or line.credit
        if amount is None or (line.debit and line.credit):
            raise Invalid(errors=[{"field": "lines", "why": "either a debit or a credit"}])
        minor = amount.minor(body.currency)
        key = AccountKey(line.kind, line.subject, body.currency)
        lines.append(Line(key, minor if line.debit else -minor))
    return Entry(body.book, body.currency, tuple(lines))


def _prepare(given: Given[JournalBody]) -> Command:
    return command_of(given.body, given.actor)


def _decide(given: Given[ReasonBody]) -> Command:
    return DecideJournal(
        actor=given.actor, journal_id=given.ids["journal_id"], reason=given.body.reason
    )


def _set_limit(given: Given[LimitBody]) -> Command:
    highest = given.body.highest
    return SetLimit(
        actor=given.actor,
        role=given.body.role,
        currency=highest.currency,
        highest_minor=highest.minor(),
    )


def _decision(verb: str, summary: str, scope: Scope) -> Write[ReasonBody]:
    return Write(
        path=f"/v1/journals/{{journal_id}}/{verb}",
        service=f"journals.{verb}",
        scope=scope,
        body=ReasonBody,
        command=_decide,
        answer=JournalAnswer,
        summary=summary,
        subject=JOURNAL,
    )


JOURNALS: Final[tuple[Write[Any], ...]] = (
    Write(
        path="/v1/journals",
        service="journals.prepare",
        scope=Scope.JOURNALS_WRITE,
        body=JournalBody,
        command=_prepare,
        answer=JournalAnswer,
        summary="Prepare a manual journal; another person approves it",
        status=201,
    ),
    _decision("approve", "Post a journal that another person prepared", Scope.JOURNALS_APPROVE),
    _decision("reject", "Give a journal up before it is posted", Scope.JOURNALS_WRITE),
    Write(
        path="/v1/journal_limits",
        service="journals.set_limits",
        scope=Scope.JOURNALS_APPROVE,
        body=LimitBody,
        command=_set_limit,
        answer=LimitAnswer,
        summary="Limit what one journal of a role may move",
        status=201,
    ),
)
"""Every command on manual journals."""
