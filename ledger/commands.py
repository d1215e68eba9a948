"""What the ledger can be asked to do by name: post a draft as it is, reverse an event."""

from dataclasses import dataclass
from datetime import datetime

from kernel.commands import Command
from ledger.model import Draft


@dataclass(frozen=True, slots=True, kw_only=True)
class PostDraft(Command):
    """Write one event with its journal entries, as the caller drew it up."""

    draft: Draft


@dataclass(frozen=True, slots=True, kw_only=True)
class PostLinked(Command):
    """Write several events with their journal entries, all of them or none, one after the other."""

    drafts: tuple[Draft, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reverse(Command):
    """Undo an event in the books by a new one that mirrors all its entries, line by line.

    `effective_at` is when the undoing counts; None: now. The original keeps its own time.
    """

    event_id: int
    reason: str
    effective_at: datetime | None = None
