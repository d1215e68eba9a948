"""Readers of statements: every sample read or refused by name, and hostile files refused whole."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rails.statements import bai2, camt, mt940, stripe_csv
from rails.statements.model import (
    LARGEST_BYTES,
    Statement,
    Unreadable,
    masked,
    named,
    read_minor,
)
from rails.statements.reading import read_any, reader_of

DATA: Final = Path(__file__).parents[3] / "shared" / "data"

SAMPLES: Final[dict[str, tuple[int, int] | tuple[int, str]]] = {
    "statements/bai2/sample1.txt": (2, 17),
    "statements/bai2/sample3.txt": (15, 26),
    "statements/camt/camt052.v2.xml": (1, 1),
    "statements/camt/camt053.v2.minimal.xml": (54, "a balance in SEK, an account in EUR"),
    "statements/camt/camt053.v3.xml": (74, "a balance in SEK, an account in EUR"),
    "statements/camt/camt053.v4.xml": (74, "a balance in SEK, an account in EUR"),
    "statements/camt/camt053.v8.xml": (74, "a balance in SEK, an account in EUR"),
    "statements/camt/camt054.v4.xml": (
        87,
        "transactions of the batch: the file says 2, its records make 3",
    ),
    "statements/mt940/cmxl/mt940.sta": (3, 16),
    "statements/mt940/jejik/abnamro.sta": (
        4,
        "opening 323628 and lines -32144 make 291484, not closing 87684",
    ),
    "statements/mt940/jejik/ing.sta": (
        4,
        "opening 0 and lines -4559 make -4559, not closing 347",
    ),
    "statements/mt940/jejik/postfinance.sta": (
        15,
        "opening 22920 and lines -6980 make 15940, not closing 15960",
    ),
    "statements/mt940/jejik/rabobank-iban.sta": (2, 4),
    "stripe/seeds/balance_transaction_data.csv": (1, 9),
    "stripe/seeds/dispute_data.csv": (1, "no report that moves a balance"),
    "stripe/seeds/fee_data.csv": (1, "no report that moves a balance"),
    "stripe/seeds/payout_balance_transaction_data.csv": (1, "no report that moves a balance"),
    "stripe/seeds/payout_data.csv": (1, 15),
    "stripe/seeds/refund_data.csv": (1, 4),
    "stripe/seeds/transfer_data.csv": (1, 10),
}
"""Statements and lines of each sample that is read; line and reason of each that is refused."""


def refused(read: Callable[[bytes], list[Statement]], data: bytes) -> str:
    """Line and reason with which a file is refused."""
    with pytest.raises(Unreadable) as caught:
        read(data)
    facts = caught.value.facts
    return f"{facts['line']}: {facts['reason']}"


@pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data with the samples is not here")
def test_every_sample_is_in_the_table() -> None:
    """No sample of a statement, and no seed of Stripe's, is left out."""
    kinds = ("statements/**/*.xml", "statements/**/*.sta", "statements/**/*.txt")
    found = {
        path.relative_to(DATA).as_posix()
        for kind in (*kinds, "stripe/seeds/*.csv")
        for path in DATA.glob(kind)
    }

    assert found == SAMPLES.keys()


@pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data with the samples is not here")
@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_is_read_or_refused_by_name(name: str) -> None:
    """Its totals were checked on the way, or its line and the reason are told."""
    first, told = SAMPLES[name]
    data = (DATA / name).read_bytes()

    if isinstance(told, int):
        statements = read_any(name, data)
        assert (len(statements), sum(len(each.lines) for each in statements)) == (first, told)
        for each in statements:
            if each.opening_minor is not None and each.closing_minor is not None:
                total = sum(line.amount_minor for line in each.lines)
                assert each.opening_minor + total == each.closing_minor
    else:
        assert refused(lambda raw: read_any(name, raw), data).startswith(f"{first}: {told}")


CAMT: Final = """<?xml version="1.0" encoding="UTF-8"?>
<d:Document xmlns:d="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><d:BkToCstmrStmt>
<d:Stmt><d:Id>S</d:Id><d:Acct><d:Id><d:IBAN>DE02</d:IBAN></d:Id><d:Ccy>{ccy}</d:Ccy></d:Acct>
<d:Bal><d:Tp><d:CdOrPrtry><d:Cd>OPBD</d:Cd></d:CdOrPrtry></d:Tp><d:Amt Ccy="{ccy}">0</d:Amt>
<d:CdtDbtInd>CRDT</d:CdtDbtInd><d:Dt><d:Dt>2026-03-01</d:Dt></d:Dt></d:Bal>
<d:Bal><d:Tp><d:CdOrPrtry><d:Cd>CLBD</d:Cd></d:CdOrPrtry></d:Tp><d:Amt Ccy="{ccy}">{closing}</d:Amt>
<d:CdtDbtInd>CRDT</d:CdtDbtInd><d:Dt><d:Dt>2026-03-02</d:Dt></d:Dt></d:Bal>
{summary}
<d:Ntry><d:Amt Ccy="{ccy}">{amount}</d:Amt><d:CdtDbtInd>CRDT</d:CdtDbtInd>
<d:RvslInd>{reversal}</d:RvslInd><d:Sts><d:Cd>{status}</d:Cd></d:Sts>
<d:BookgDt><d:DtTm>2026-03-02T10:00:00+01:00</d:DtTm></d:BookgDt>
<d:ValDt><d:Dt>2026-03-03</d:Dt></d:ValDt><d:AcctSvcrRef>REF1</d:AcctSvcrRef>{details}</d:Ntry>
</d:Stmt></d:BkToCstmrStmt></d:Document>
"""
_TOLD: Final = {
    "ccy": "EUR",
    "amount": "12.50",
    "closing": "12.50",
    "summary": "",
    "reversal": "false",
    "status": "BOOK",
    "details": "",
}


def a_camt(**told: str) -> bytes:
    """A camt.053.001.08 with a prefix on every name."""
    return CAMT.format(**_TOLD | told).encode()


def test_a_camt_entry_is_read_whole() -> None:
    """Reference, days, reversal, status and the totals, whatever the prefix and the version."""
    (statement,) = camt.read(a_camt(reversal="true"))
    (line,) = statement.lines

    assert (statement.account, statement.currency, statement.reference) == ("DE02", "EUR", "S")
    assert (statement.opening_minor, statement.closing_minor) == (0, 1_250)
    assert (line.amount_minor, line.ref, line.is_reversal) == (1_250, "REF1", True)
    assert (line.booked_on, line.value_on) == (date(2026, 3, 2), date(2026, 3, 3))
    assert line.own_id == "2026-03-02/REF1"


@pytest.mark.parametrize(
    ("currency", "amount", "minor"),
    [("JPY", "1250", 1_250), ("EUR", "12.5", 1_250), ("KWD", "1.250", 1_250)],
)
def test_amounts_have_the_currencys_decimals(currency: str, amount: str, minor: int) -> None:
    """Read exactly in camt and in a report of Stripe's; finer than the currency is refused."""
    (statement,) = camt.read(a_camt(ccy=currency, amount=amount, closing=amount))
    (report,) = stripe_csv.read(a_report(currency=currency.lower(), gross=amount, net=amount))

    assert statement.lines[0].amount_minor == report.lines[0].amount_minor == minor
    finer = f"{amount}.5" if currency == "JPY" else f"{amount}{'0' * 4}1"
    assert "money.too_many_decimals" in refused(
        camt.read, a_camt(ccy=currency, amount=finer, closing=amount)
    )
    assert "money.too_many_decimals" in refused(
        stripe_csv.read, a_report(currency=currency.lower(), gross=finer, net=amount)
    )


PARTS: Final = """<d:NtryDtls><d:Btch><d:PmtInfId>RUN7</d:PmtInfId><d:NbOfTxs>{count}</d:NbOfTxs>
</d:Btch>{parts}</d:NtryDtls>"""
PART: Final = """<d:TxDtls><d:Refs><d:EndToEndId>{end}</d:EndToEndId></d:Refs>
<d:Amt Ccy="EUR">{amount}</d:Amt><d:CdtDbtInd>CRDT</d:CdtDbtInd></d:TxDtls>"""


def test_a_batch_is_a_line_for_each_transaction() -> None:
    """With amounts that make the entry; each has its own end-to-end id and the batch as group."""
    parts = PART.format(end="E1", amount="10.00") + PART.format(end="E2", amount="2.50")
    (statement,) = camt.read(a_camt(details=PARTS.format(count=2, parts=parts)))

    assert [line.amount_minor for line in statement.lines] == [1_000, 250]
    assert [line.end_to_end_id for line in statement.lines] == ["E1", "E2"]
    assert {line.group_ref for line in statement.lines} == {"RUN7"}
    assert [line.own_id for line in statement.lines] == ["2026-03-02/REF1/1", "2026-03-02/REF1/2"]


TWO: Final = PART.format(end="E1", amount="10.00") + PART.format(end="E2", amount="2.49")
BILLION: Final = (
    b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>'
    b"<Document>&b;</Document>"
)
XXE: Final = (
    b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    b"<Document>&x;</Document>"
)
SUMMARY: Final = (
    "<d:TxsSummry><d:TtlNtries><d:NbOfNtries>2</d:NbOfNtries></d:TtlNtries></d:TxsSummry>"
)
HOSTILE_CAMT: Final = {
    "external entity": (XXE, "the XML has a DTD or entities"),
    "billion laughs": (BILLION, "the XML has a DTD or entities"),
    "truncated": (a_camt()[:-60], "no sound XML"),
    "NUL": (a_camt().replace(b"REF1", b"RE\0F"), "no sound XML"),
    "wrong encoding": (a_camt().replace(b"REF1", b"\xff\xfe\xfd"), "no sound XML"),
    "unknown encoding": (a_camt().replace(b"UTF-8", b"KLINGON"), "no sound XML"),
    "too deep": (b"<a>" * 100, "deeper than any statement"),
    "no statement": (b"<Document/>", "there is no camt.052"),
    "exponent": (a_camt(amount="1.25e1"), "is no amount"),
    "NaN": (a_camt(amount="NaN"), "is no amount"),
    "comma": (a_camt(amount="12,50"), "is no amount"),
    "thousands": (a_camt(amount="1 250"), "is no amount"),
    "sign": (a_camt(amount="-12.50"), "a sign beside its direction"),
    "2**63": (a_camt(amount="92233720368547758.08"), "money.too_large"),
    "no currency": (a_camt(ccy="XXX"), "is no currency of ours"),
    "does not add up": (a_camt(closing="12.51"), "not closing 1251"),
    "count of entries": (a_camt(summary=SUMMARY), "the file says 2, its records make 1"),
    "count of a batch": (
        a_camt(details=PARTS.format(count=3, parts=TWO)),
        "the file says 3, its records make 2",
    ),
    "sum of a batch": (a_camt(details=PARTS.format(count=2, parts=TWO)), "1250, its records"),
    "empty": (b"  \n", "the file is empty"),
    "100 MB": (b"<" + b" " * LARGEST_BYTES, "more than"),
    "one endless text": (a_camt(details="x" * 20_000), "is too long"),
}


@pytest.mark.parametrize("name", HOSTILE_CAMT)
def test_a_hostile_camt_is_refused(name: str) -> None:
    """With line and reason, and never by another error."""
    data, reason = HOSTILE_CAMT[name]

    assert reason in refused(camt.read, data)


def test_a_pending_entry_does_not_count() -> None:
    """It is told as pending, and is no part of the closing balance."""
    (statement,) = camt.read(a_camt(status="PDNG", closing="0"))

    assert [line.is_pending for line in statement.lines] == [True]


MT940: Final = """:20:START
:25:10020030/1234567
:28C:5/1
:60F:C260301EUR100,
:61:2603020302RC10,00NTRFNONREF//BANK1
:86:/EREF/0190AABB/REMI/back
:61:2603020302D5,5NTRFCUST2//BANK2
:86:fee
:62F:C260302EUR84,50
-
"""


def test_mt940_is_read_whole() -> None:
    """A reversed credit takes, commas are points, and the end-to-end id is found."""
    (statement,) = mt940.read(MT940.encode())
    first, second = statement.lines

    assert (statement.opening_minor, statement.closing_minor) == (10_000, 8_450)
    assert (first.amount_minor, first.is_reversal, first.end_to_end_id) == (
        -1_000,
        True,
        "0190AABB",
    )
    assert (second.amount_minor, second.ref, second.other_refs) == (-550, "BANK2", ("CUST2",))
    assert [line.file_line for line in statement.lines] == [5, 7]


HOSTILE_MT940: Final = {
    "does not add up": (MT940.replace("84,50", "84,51"), "1: opening 10000 and lines -1550"),
    "no closing": (MT940.replace(":62F:", ":64:"), "there is no closing balance"),
    "no opening": (MT940.replace(":60F:", ":64:"), "there is no opening balance"),
    "truncated": (MT940[:120], "1: "),
    "a point and a comma": (MT940.replace("10,00N", "1.0,00N"), "entries: the file says 2"),
    "yen with decimals": (MT940.replace("EUR", "JPY"), "money.too_many_decimals"),
    "other currency": (MT940.replace("EUR84", "USD84"), "opening in EUR, closing in USD"),
    "NUL": (MT940.replace("fee", "f\0e"), "8: there is a NUL in it"),
    "nothing": ("hello", "there is no :20: in it"),
    "UTF-16": (MT940, "the file is in UTF-16"),
    "no date": (MT940.replace(":61:260302", ":61:269902", 1), "the library cannot read"),
    "total": (MT940.replace(":62F:", ":90D:3EUR15,50\n:62F:"), "number: the file says 3"),
}


@pytest.mark.parametrize("name", HOSTILE_MT940)
def test_a_hostile_mt940_is_refused(name: str) -> None:
    """With line and reason, and never by another error."""
    text, reason = HOSTILE_MT940[name]
    data = text.encode("utf-16") if name == "UTF-16" else text.encode()

    assert reason in refused(mt940.read, data)


BAI: Final = """01,A,B,260302,0800,1,,,2/
02,B,A,1,260301,,EUR,2/
03,4711,EUR,010,10000,,,015,11500,,,100,2000,1,,400,500,1,/
16,195,2000,V,260302,,REF1,END1,money in/
16,475,500,,REF2,,fee/
88,for the month/
49,26500,5/
98,26500,1,7/
99,26500,1,9/
"""


def test_bai2_is_read_whole() -> None:
    """Signs by type code, value dates, continued texts and every control total."""
    (statement,) = bai2.read(BAI.encode())
    first, second = statement.lines

    assert (statement.opening_minor, statement.closing_minor) == (10_000, 11_500)
    assert (first.amount_minor, first.ref, first.end_to_end_id) == (2_000, "REF1", "END1")
    assert (first.booked_on, first.value_on) == (date(2026, 3, 1), date(2026, 3, 2))
    assert (second.amount_minor, second.text) == (-500, "fee for the month")


HOSTILE_BAI: Final = {
    "account total": (BAI.replace("49,26500", "49,26501"), "7: account total"),
    "account records": (BAI.replace("49,26500,5", "49,26500,4"), "7: account records"),
    "group total": (BAI.replace("98,26500", "98,1"), "8: total of accounts"),
    "accounts": (BAI.replace("98,26500,1", "98,26500,2"), "8: accounts"),
    "records": (BAI.replace("99,26500,1,9", "99,26500,1,8"), "9: records"),
    "credits": (BAI.replace("100,2000", "100,1999").replace("26500", "26499"), "3: credits"),
    "number of debits": (BAI.replace("400,500,1", "400,500,2"), "3: debits, number"),
    "balance": (BAI.replace("11500", "11400").replace("26500", "26400"), "3: opening"),
    "truncated": (BAI[:160], "0: the file ends before its record 99"),
    "float": (BAI.replace(",2000,V", ",20.00,V"), "is no whole amount"),
    "deletion": (BAI.replace("02,B,A,1", "02,B,A,2"), "2: the group is no update"),
    "type": (BAI.replace("16,195", "16,900"), "says neither credit nor debit"),
    "date": (BAI.replace("260301", "261301"), "is no date"),
    "after the end": (BAI + "16,195,1,,,,x/\n", "10: record 16 is not in its place"),
    "no code": ("hello\n" + BAI, "1: the line begins with no record code"),
    "out of place": (BAI.replace("03,4711", "49,4711"), "3: record 49 stands outside"),
    "latin": (BAI.replace("fee", "f\xe9e"), "5: the file is not in UTF-8"),
}


@pytest.mark.parametrize("name", HOSTILE_BAI)
def test_a_hostile_bai2_is_refused(name: str) -> None:
    """With line and reason, and never by another error."""
    text, reason = HOSTILE_BAI[name]

    assert reason in refused(bai2.read, text.encode("latin-1"))


HEAD: Final = (
    "balance_transaction_id,created_utc,currency,gross,fee,net,reporting_category,source_id"
)


def a_report(**told: str) -> bytes:
    """An itemized balance change with one row."""
    row = {
        "ref": "txn_1",
        "day": "2026-03-02 10:00:00",
        "currency": "eur",
        "gross": "12.50",
        "fee": "0",
        "net": "12.50",
        "kind": "charge",
        "source": "ch_1",
    } | told
    return f"{HEAD}\n{','.join(row.values())}\n".encode()


def test_a_report_is_read_by_the_names_of_its_columns() -> None:
    """In any order, with columns that nobody knows; each payee's account is one statement."""
    text = (
        "more,net,currency,connected_account_id,fee,gross,reporting_category,created,"
        "balance_transaction_id,automatic_payout_id,trace_id\n"
        "x,9.00,usd,acct_1,1.00,10.00,charge,2026-03-02 01:00:00,txn_2,po_1,TRACE\n"
        "x,-4.00,usd,,0.00,-4.00,refund,2026-03-02 02:00:00,txn_3,,\n"
    )
    platform, payee = stripe_csv.read(text.encode())

    assert (platform.account, payee.account) == ("stripe", "stripe:acct_1")
    (line,) = payee.lines
    assert (line.amount_minor, line.fee_minor, line.own_id) == (900, 100, "txn_2")
    assert (line.group_ref, line.trace_ref) == ("po_1", "TRACE")
    assert platform.lines[0].amount_minor == -400


@pytest.mark.parametrize(("kind", "minor"), [("payout", -1_250), ("payout_reversal", 1_250)])
def test_a_payout_takes_from_the_balance(kind: str, minor: int) -> None:
    """Whichever sign the report of payouts gives it."""
    for net in ("12.50", "-12.50"):
        text = (
            "payout_id,effective_at_utc,currency,gross,fee,net,reporting_category,"
            f"balance_transaction_id\npo_1,2026-03-02,eur,{net},0,{net},{kind},txn_9\n"
        )
        (statement,) = stripe_csv.read(text.encode())

        assert statement.lines[0].amount_minor == minor
        assert statement.lines[0].other_refs == ("po_1",)


HOSTILE_CSV: Final = {
    "lacks a column": (b"a,b\n1,2\n", "1: no report that moves a balance: it lacks"),
    "net": (a_report(net="12.49"), "2: gross 1250 less fee 0 is not net 1249"),
    "float": (a_report(gross="1.25e1"), "2: '1.25e1' is no amount"),
    "currency": (a_report(currency="zzz"), "2: 'ZZZ' is no currency of ours"),
    "no id": (a_report(ref=""), "2: balance_transaction_id is empty"),
    "the id twice": (
        a_report() + a_report().split(b"\n", 1)[1],
        "3: txn_1 stands in line 2 already",
    ),
    "a field too many": (a_report(source="ch_1,x"), "2: 9 fields under 8 columns"),
    "open quote": (a_report(source='"ch'), "no sound CSV"),
    "column twice": (a_report().replace(b"fee", b"net", 1), "the column net stands there twice"),
    "date": (a_report(day="yesterday"), "2: 'yesterday' is no date"),
    "encoding": (a_report(source="ch_\xe9").replace(b"\xc3", b""), "2: the file is not in UTF-8"),
    "NUL": (a_report(source="ch\0"), "2: there is a NUL in it"),
    "truncated": (a_report()[:-12], "2: 7 fields under 8 columns"),
}


@pytest.mark.parametrize("name", HOSTILE_CSV)
def test_a_hostile_report_is_refused(name: str) -> None:
    """With line and reason, and never by another error."""
    data, reason = HOSTILE_CSV[name]

    assert reason in refused(stripe_csv.read, data)


@pytest.mark.parametrize(
    ("name", "data", "reader"),
    [
        ("x", b"\xef\xbb\xbf <Document/>", camt.read),
        ("x", b"\n01,A", bai2.read),
        ("x", b"ABNANL2A\n940\n:20:X", mt940.read),
        ("x.sta", b"nothing", mt940.read),
        ("x", a_report(), stripe_csv.read),
    ],
)
def test_a_file_finds_its_reader(
    name: str, data: bytes, reader: Callable[[bytes], list[Statement]]
) -> None:
    """By what it holds; a file that is nothing of it is refused."""
    assert reader_of(name, data) is reader
    assert refused(lambda raw: read_any("x", raw), b"hello") == (
        "0: it is no camt, MT940, BAI2 or Stripe report"
    )


def _is_told(data: bytes) -> bool:
    """Whether a file is read, or refused with a reason."""
    try:
        return isinstance(read_any("any", data), list)
    except Unreadable as refusal:
        return bool(refusal.facts["reason"])


@settings(max_examples=300)
@given(
    noise=st.one_of(st.binary(max_size=300), st.text(max_size=200).map(str.encode)),
    sound=st.sampled_from([a_camt(), MT940.encode(), BAI.encode(), a_report()]),
    at=st.integers(0, 400),
    cuts=st.booleans(),
)
def test_no_file_ends_in_another_error(*, noise: bytes, sound: bytes, at: int, cuts: bool) -> None:
    """Sound files with noise in them, or cut there, are read or refused, and nothing else."""
    broken = sound[:at] + noise + (b"" if cuts else sound[at:])
    for data in (broken, noise):
        assert _is_told(data)


@given(st.integers(-(10**14), 10**14), st.sampled_from(["JPY", "EUR", "KWD"]))
def test_amounts_are_read_exactly(minor: int, currency: str) -> None:
    """What was written by exact decimals comes back."""
    decimals = {"JPY": 0, "EUR": 2, "KWD": 3}[currency]

    assert read_minor(f"{Decimal(minor).scaleb(-decimals):f}", currency, 1) == minor


def test_bank_numbers_are_cut_and_empty_references_are_none() -> None:
    """Four signs are left of a number; words for nothing are nothing; ids of ours stay."""
    told = "to GB29NWBK60161331926819 / 0001234567 ref 0190aabbccddeeff0011"

    assert masked(told) == "to ...6819 / ...4567 ref 0190aabbccddeeff0011"
    assert [named(each) for each in ("NONREF", "NOTPROVIDED", None, " a  b ")] == [
        "",
        "",
        "",
        "a b",
    ]
