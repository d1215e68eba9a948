"""The two axes on the command line: `--effective-at`, `--from` and `--as-of`."""

from datetime import UTC, date, datetime
from typing import Final

import click

_HINT: Final = "2026-04-01, or 2026-04-01T00:00:00+02:00"


def read_time(text: str) -> datetime:
    """A time, or a date for its first instant in UTC; without an offset the ledger refuses it."""
    try:
        if len(text) == len("2026-04-01"):
            day = date.fromisoformat(text)
            return datetime(day.year, day.month, day.day, tzinfo=UTC)
        return datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no time: write {_HINT}.") from None


def read_point(text: str) -> datetime | int:
    """Digits are a `journal_no`, all else a time: the last block sealed at or before it."""
    return int(text) if text.isascii() and text.isdigit() else read_time(text)


effective_at_option = click.option(
    "--effective-at",
    type=read_time,
    metavar="TIME",
    help=f"Only what counts before it: {_HINT}.",
)
effective_from_option = click.option(
    "--from", "effective_from", type=read_time, metavar="TIME", help="Where a span begins."
)
as_of_option = click.option(
    "--as-of",
    type=read_point,
    metavar="NO|TIME",
    help="As it was known at a journal number, or at the last seal by a time.",
)


def told(journal_no: int, *, provisional: bool) -> str:
    """How far the journal reaches that an answer rests on, for people."""
    if provisional:
        return f"Provisional: journal number {journal_no:,} and what is not sealed yet."
    return f"As known at journal number {journal_no:,}."
