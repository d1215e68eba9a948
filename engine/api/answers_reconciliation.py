"""The shapes of answers about statements, runs of matching, matches and proposals."""

from typing import Any

from engine.api.answers import Answer, IdText, Money, Number, OpenAnswer, TimeText


class StatementAccountAnswer(Answer):
    """An account on statements, by the end of its name, and the place that it stands for."""

    account_id: IdText
    label: str
    currency: str
    place: str
    rail_account: str


class TakenStatementAnswer(OpenAnswer):
    """What a statement of a file brought."""

    statement_id: IdText
    account_id: IdText
    source: str
    new_lines: int
    known_lines: int
    left_out: int


class TakenFileAnswer(OpenAnswer):
    """What a file brought; `known_since` where the same file was read before."""

    name: str
    hash: str
    known_since: TimeText | None
    new_lines: int
    statements: list[TakenStatementAnswer]


class StatementAnswer(Answer):
    """One statement of one account; balances are null where a format has none."""

    id: IdText
    account_id: IdText
    label: str
    place: str
    rail_account: str
    source: str
    reference: str
    from_on: str | None
    to_on: str | None
    opening: Money | None
    closing: Money | None
    new_lines: int
    known_lines: int
    left_out: int
    taken_at: TimeText


class MatchingDone(OpenAnswer):
    """What a run of matching came to."""

    run_id: IdText | None
    is_dry: bool
    place: str
    rail_account: str
    currency: str
    lines: int
    items: int
    open_lines: int
    open_items: int
    counts: dict[str, int]
    digest: str


class RunOfMatchingAnswer(Answer):
    """A run that was made."""

    id: IdText
    place: str
    rail_account: str
    currency: str
    from_on: str | None
    to_on: str | None
    rules_version: str
    lines: int
    items: int
    counts: dict[str, Any]
    digest: str
    ran_at: TimeText


class MatchAnswer(Answer):
    """Statement lines that are items of the books; `undone_at` where a person took it back."""

    id: IdText
    run_id: IdText | None
    rule: str
    score: int
    place: str
    rail_account: str
    amount: Money
    difference: Money
    line_ids: list[IdText]
    event_ids: list[Number]
    made_at: TimeText
    undone_at: TimeText | None


class ProposalAnswer(Answer):
    """What a person is asked: are these the same? `difference` would be posted."""

    id: IdText
    rule: str
    score: int
    place: str
    rail_account: str
    difference: Money
    line_ids: list[IdText]
    event_ids: list[Number]
    proposed_at: TimeText


class ProposalDecided(OpenAnswer):
    """What was decided of a proposal; `match_id` where it was accepted."""

    proposal_id: IdText
    is_accepted: bool
    match_id: IdText | None


class MatchUndone(OpenAnswer):
    """A match that was taken back."""

    match_id: IdText
    undo_id: IdText
