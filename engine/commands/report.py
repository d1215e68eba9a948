"""`holdfast report NAME`: a report on both axes; tables, or JSON with its hash."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import click
import orjson
from sqlalchemy import Connection

from engine.commands.axes import as_of_option, effective_at_option, effective_from_option, told
from engine.commands.frame import (
    BAD_NEWS,
    database,
    in_words,
    json_option,
    print_table,
    tenant_of,
    tenant_option,
)
from escrow.store import list_held
from kernel import clock
from kernel.database import snapshot
from ledger.known import Known, resolve
from ledger.reports import Json, Span
from ledger.reports_held import ageing, just_after, tie_out
from ledger.reports_lines import Position, general_ledger, statement
from ledger.reports_trial import roll_forward, trial_accounts, trial_balance

_PAGE: Final = 500


class Chosen(NamedTuple):
    """What the command line says."""

    as_of: datetime | int | None
    span: Span
    account_id: int | None = None
    kind: str | None = None
    currency: str | None = None


class Asked(NamedTuple):
    """The same, in one snapshot of the books."""

    connection: Connection
    known: Known
    span: Span
    account_id: int | None
    kind: str | None
    currency: str | None


class Answer(NamedTuple):
    """One page of a report as JSON, and whether what it checks holds."""

    page: Json
    is_good: bool = True


def _trial_balance(asked: Asked) -> Iterator[Answer]:
    report = trial_balance(asked.connection, known=asked.known, span=asked.span)
    yield Answer(report.as_json(), report.is_balanced)


def _accounts(asked: Asked) -> Iterator[Answer]:
    after: int | None = 0
    while after is not None:
        page = trial_accounts(
            asked.connection,
            known=asked.known,
            span=asked.span,
            kind=asked.kind,
            currency=asked.currency,
            after=after,
            limit=_PAGE,
        )
        yield Answer(page.as_json())
        after = page.next_after


def _general_ledger(asked: Asked) -> Iterator[Answer]:
    after: Position | None = Position(0, 0)
    while after is not None:
        page = general_ledger(
            asked.connection,
            known=asked.known,
            span=asked.span,
            kind=asked.kind,
            currency=asked.currency,
            after=after,
            limit=_PAGE,
        )
        yield Answer(page.as_json())
        after = page.goes_on_at


def _statement(asked: Asked) -> Iterator[Answer]:
    if asked.account_id is None:
        raise click.UsageError("The report statement needs --account.")
    seq: int | None = 0
    while seq is not None:
        page = statement(
            asked.connection,
            asked.account_id,
            known=asked.known,
            span=asked.span,
            after_seq=seq,
            limit=_PAGE,
        )
        yield Answer(page.as_json())
        seq = page.goes_on_at and page.goes_on_at.account_seq


def _roll_forward(asked: Asked) -> Iterator[Answer]:
    report = roll_forward(asked.connection, known=asked.known, span=asked.span)
    yield Answer(report.as_json(), report.ties)


def _ageing(asked: Asked) -> Iterator[Answer]:
    end = asked.span.end or just_after(clock.now(asked.connection))
    report = ageing(asked.connection, known=asked.known, effective_at=end)
    yield Answer(report.as_json(), report.ties)


def _tie_out(asked: Asked) -> Iterator[Answer]:
    # The deals have figures of now and no history.
    is_now = asked.known.provisional and asked.span.end is None
    said = list_held(asked.connection) if is_now else None
    report = tie_out(asked.connection, known=asked.known, effective_at=asked.span.end, said=said)
    yield Answer(report.as_json(), report.ties)


_REPORTS: Final[Mapping[str, Callable[[Asked], Iterator[Answer]]]] = MappingProxyType(
    {
        "trial-balance": _trial_balance,
        "accounts": _accounts,
        "general-ledger": _general_ledger,
        "statement": _statement,
        "roll-forward": _roll_forward,
        "ageing": _ageing,
        "tie-out": _tie_out,
    }
)

_SHOWN: Final = ("rows", "totals", "accounts", "lines", "controls", "breaks", "slot_breaks")
"""The lists of a report in the order in which people read them."""

_OF_A_LINE: Final = (
    *("account", "account_seq", "journal_no", "effective_at", "event_kind"),
    *("debit", "credit", "balance"),
)
"""What people read of a line; the rest is in the JSON."""


@click.command()
@click.argument("name", type=click.Choice(list(_REPORTS)))
@tenant_option
@effective_from_option
@effective_at_option
@as_of_option
@click.option("--account", "account_id", type=click.IntRange(min=1), help="For a statement.")
@click.option("--kind", metavar="KIND", help="A kind of the chart, as custody.escrow.")
@click.option("--currency", metavar="CODE")
@json_option
@in_words
def command(
    *,
    name: str,
    tenant_name: str | None,
    effective_from: datetime | None,
    effective_at: datetime | None,
    as_of: datetime | int | None,
    account_id: int | None,
    kind: str | None,
    currency: str | None,
    as_json: bool,
) -> None:
    """A report on both axes; with --json one document a line, each a page with its own hash.

    Exit 1 if the report finds what should not be: columns that differ, a sum that does not tie.
    """
    span = Span(effective_from, effective_at)
    chosen = Chosen(as_of, span, account_id, kind, currency)
    print_report(name, tenant_name, chosen, as_json=as_json)


def print_report(name: str, tenant_name: str | None, chosen: Chosen, *, as_json: bool) -> None:
    """Print a report page by page; exit 1 if it finds what should not be."""
    is_good = True
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        with snapshot(opened.engine, tenant) as connection:
            known = resolve(connection, chosen.as_of)
            for answer in _REPORTS[name](Asked(connection, known, *chosen[1:])):
                is_good = is_good and answer.is_good
                if as_json:
                    click.echo(orjson.dumps(answer.page, option=orjson.OPT_SORT_KEYS))
                else:
                    _show(answer.page)
    if not as_json:
        click.echo(told(known.journal_no, provisional=known.provisional), err=True)
    if not is_good:
        raise click.exceptions.Exit(BAD_NEWS)


def _show(page: Json) -> None:
    for part in _SHOWN:
        rows = page.get(part)
        if rows and part == "lines":
            rows = [{name: row[name] for name in _OF_A_LINE} for row in rows]
        if rows:
            click.echo(part)
            _show_rows(rows)
    if page["header"]["sha256"]:
        click.echo(f"SHA-256 {page['header']['sha256']}", err=True)


def _show_rows(rows: Sequence[Json]) -> None:
    flat = [dict(_flat(each)) for row in rows for each in _unrolled(row)]
    columns = list(flat[0])
    texts = [name for name in columns if not any(row[name][-1:].isdigit() for row in flat)]
    shown = [[row.get(name, "") for name in columns] for row in flat]
    right = [name.replace("_", " ") for name in columns if name not in texts]
    print_table([name.replace("_", " ") for name in columns], shown, right=right)


def _unrolled(row: Json) -> Iterator[Json]:
    """A row of the roll-forward as one row for each activity between opening and closing."""
    if "activities" not in row:
        yield row
        return
    named = {name: row[name] for name in ("book", "kind", "currency")}
    yield {
        **named,
        "what": "opening",
        "debits": row["opening_debit"],
        "credits": row["opening_credit"],
    }
    for each in row["activities"]:
        yield {
            **named,
            "what": each["event_kind"],
            "debits": each["debits"],
            "credits": each["credits"],
        }
    yield {
        **named,
        "what": "closing",
        "debits": row["closing_debit"],
        "credits": row["closing_credit"],
    }


def _flat(row: Json) -> Iterator[tuple[str, str]]:
    """The cells of a row as texts; ages are columns of their own."""
    for name, value in row.items():
        if isinstance(value, dict) and "amount" not in value:
            yield from ((f"{each} days", _text(money)) for each, money in value.items())
        else:
            yield name, _text(value)


def _text(value: Any) -> str:  # noqa: ANN401  any JSON value
    if isinstance(value, dict):
        whole, point, cents = str(value["amount"]).partition(".")
        return f"{'-' if whole.startswith('-') else ''}{int(whole.lstrip('-')):,}{point}{cents}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)
