"""A small file of another system's books, and how a test spoils it."""

from pathlib import Path
from typing import Final

import orjson

from ledger.adoption_file import Sheet, read_sheet

Rows = list[dict[str, str]]

AS_OF: Final = "2026-03-01T00:00:00Z"


def small_books() -> Rows:
    """Two clients, a payee, a contract with milestones in every state; both books."""
    return [
        {"record": "header", "format": "holdfast-adoption/1", "source": "old", "as_of": AS_OF},
        {"record": "party", "ref": "c-1", "kind": "client", "kyc": "verified", "country": "NL"},
        {"record": "party", "ref": "f-1", "kind": "freelancer", "kyc": "verified"},
        _balance("custody.bank", "EUR", debit="950.00"),
        _balance("custody.processor_available", "EUR", "acct_1", debit="400.00"),
        _balance("custody.wallet", "EUR", "c-1", credit="50.00"),
        _balance("custody.earned_available", "EUR", "f-1", credit="500.00"),
        _balance("platform.bank", "EUR", debit="1000.00"),
        _balance("platform.vat_payable", "EUR", "NL", credit="21.00"),
        {
            "record": "contract",
            "ref": "k-1",
            "client": "c-1",
            "payee": "f-1",
            "currency": "EUR",
            "commission_bps": "1000",
            "auto_release_hours": "336",
            "accepted_at": "2026-01-05T10:00:00Z",
        },
        _milestone("awaiting_funding", amount="100.00"),
        _milestone("funded", amount="300.00", held="300.00", fee="9.00"),
        _milestone(
            *("submitted",),
            amount="500.00",
            held="500.00",
            shown="old:message:77",
            submitted_at="2026-02-20T10:00:00Z",
        ),
        _total("custody", "1350.00", "1350.00"),
        _total("platform", "1000.00", "30.00"),
        *(
            {"record": "count", "of": of, "number": number}
            for of, number in (
                *(("parties", "2"), ("balances", "6")),
                *(("contracts", "1"), ("milestones", "3")),
            )
        ),
    ]


def as_sheet(rows: Rows, folder: Path, *, as_csv: bool = False) -> Sheet:
    """The rows written into a file and read again."""
    if as_csv:
        columns = list(dict.fromkeys(name for row in rows for name in row))
        lines = [columns, *([row.get(name, "") for name in columns] for row in rows)]
        text = "\n".join(",".join(cells) for cells in lines) + "\n"
    else:
        text = "".join(orjson.dumps(row).decode() + "\n" for row in rows)
    file = folder / "books.csv"
    file.write_text(text, encoding="utf-8")
    return read_sheet(file)


def _balance(kind: str, currency: str, subject: str = "", **side: str) -> dict[str, str]:
    named = {"subject": subject} if subject else {}
    return {"record": "balance", "account": kind, "currency": currency, **named, **side}


def _milestone(state: str, **cells: str) -> dict[str, str]:
    return {"record": "milestone", "contract": "k-1", "state": state, **cells}


def _total(book: str, debit: str, credit: str) -> dict[str, str]:
    return {"record": "total", "book": book, "currency": "EUR", "debit": debit, "credit": credit}
