"""What tests of statements and matches share: an operator, accounts, camt files, a rail."""

from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Final
from uuid import UUID

import pytest
from sqlalchemy import Connection

from kernel.commands import Outcome
from kernel.ids import new_id
from kernel.money import format_minor
from kernel.principals import SYSTEM, Actor, PrincipalKind
from ledger.chart import account
from ledger.model import Book, Draft, Entry, Line
from ledger.service import post
from rails.simulated.service import SimulatedRail
from reconciliation import service, service_matching
from reconciliation.commands import OpenAccount, RunMatching, TakeFile
from reconciliation.rail_lines import take_log
from tests.payouts.builders import NOON

OPERATOR: Final = Actor(UUID(int=9), PrincipalKind.PERSON, is_operator=True)
STRANGER: Final = Actor(UUID(int=8), PrincipalKind.PERSON, party_id=UUID(int=77))
TODAY: Final = NOON.date()
IBAN: Final = "DE02120300000000202051"
DATA: Final = Path(__file__).parents[3] / "shared" / "data"

needs_data = pytest.mark.skipif(
    not DATA.is_dir(), reason="../shared/data with the samples of banks and Stripe is not here"
)


def open_bank(connection: Connection, currency: str = "EUR", reference: str = IBAN) -> Outcome:
    """Let a bank's account stand for the custody bank."""
    command = OpenAccount(
        actor=OPERATOR, reference=reference, currency=currency, place="custody_bank"
    )
    (outcome,) = service.open_accounts(connection, [command], at=NOON)
    return outcome


def take(
    connection: Connection, data: bytes, name: str = "a.xml", actor: Actor = OPERATOR
) -> Outcome:
    """Take a file in."""
    command = TakeFile(actor=actor, name=name, data=data)
    (outcome,) = service.take_files(connection, [command], at=NOON)
    return outcome


def run(
    connection: Connection,
    place: str = "custody_bank",
    currency: str = "EUR",
    *,
    rail_account: str = "",
    is_dry: bool = False,
    at: datetime = NOON,
) -> Outcome:
    """Match what is open of a place."""
    command = RunMatching(
        actor=OPERATOR,
        place=place,
        currency=currency,
        rail_account=rail_account,
        is_dry=is_dry,
    )
    (outcome,) = service_matching.run_matching(connection, [command], at=at)
    assert outcome.is_done, outcome
    return outcome


def entry(
    amount_minor: int,
    *,
    ref: str = "",
    end: str = "",
    text: str = "",
    currency: str = "EUR",
    on: date = TODAY,
    status: str = "BOOK",
) -> str:
    """One entry of a camt file."""
    direction = "CRDT" if amount_minor > 0 else "DBIT"
    told = f"<AcctSvcrRef>{ref}</AcctSvcrRef>" if ref else ""
    return (
        f'<Ntry><Amt Ccy="{currency}">{format_minor(abs(amount_minor), currency)}</Amt>'
        f"<CdtDbtInd>{direction}</CdtDbtInd><Sts>{status}</Sts>"
        f"<BookgDt><Dt>{on}</Dt></BookgDt><ValDt><Dt>{on}</Dt></ValDt>{told}"
        f"<NtryDtls><TxDtls><Refs><EndToEndId>{end or 'NOTPROVIDED'}</EndToEndId></Refs>"
        f"<RmtInf><Ustrd>{text}</Ustrd></RmtInf></TxDtls></NtryDtls></Ntry>"
    )


def camt(
    opening_minor: int,
    closing_minor: int,
    entries: Sequence[str],
    *,
    currency: str = "EUR",
    on: date = TODAY,
    statement: str = "S1",
    iban: str = IBAN,
    version: str = "053.001.02",
) -> bytes:
    """A camt.053 file of one day with one entry a line."""
    balances = "\n".join(
        f"<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp>"
        f'<Amt Ccy="{currency}">{format_minor(abs(minor), currency)}</Amt>'
        f"<CdtDbtInd>{'CRDT' if minor >= 0 else 'DBIT'}</CdtDbtInd>"
        f"<Dt><Dt>{on}</Dt></Dt></Bal>"
        for code, minor in (("OPBD", opening_minor), ("CLBD", closing_minor))
    )
    body = "\n".join(entries)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.{version}"><BkToCstmrStmt>\n'
        f"<GrpHdr><MsgId>{statement}</MsgId></GrpHdr><Stmt><Id>{statement}</Id>"
        f"<FrToDt><FrDtTm>{on}T00:00:00</FrDtTm><ToDtTm>{on}T23:59:59</ToDtTm></FrToDt>"
        f"<Acct><Id><IBAN>{iban}</IBAN></Id><Ccy>{currency}</Ccy></Acct>\n"
        f"{balances}\n{body}\n</Stmt></BkToCstmrStmt></Document>\n"
    ).encode()


def book(
    connection: Connection,
    amount_minor: int,
    *,
    name: str = "",
    currency: str = "EUR",
    at: datetime = NOON,
    reason: str = "",
) -> int:
    """Money in the custody bank by the books alone, known by a name; the event's number."""
    lines = (
        Line(account("custody.bank", currency), amount_minor),
        Line(account("custody.fx", currency), -amount_minor),
    )
    (posted,) = post(
        connection,
        [
            Draft(
                "bank.moved",
                f"test:{new_id()}",
                SYSTEM,
                at,
                (Entry(Book.CUSTODY, currency, lines),),
                reason=reason,
                detail={"transaction": name} if name else {},
            )
        ],
    )
    assert not isinstance(posted, Exception), posted
    return posted.event_id


def take_simulated(connection: Connection, rail: SimulatedRail, at: datetime) -> int:
    """The whole log of the simulated rail as statement lines."""
    return take_log(connection, rail.log(after=0, limit=100_000, at=at), rail=rail.name, at=at)


def rows(connection: Connection, table: str) -> int:
    """How many rows a table has."""
    return int(connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one())
