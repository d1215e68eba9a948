"""SAF-T read back by a parser of XML: structure, totals, and texts that XML has trouble with."""

from datetime import date
from xml.etree import ElementTree as ET

from ledger.exports.saft import NAMESPACE
from tests.exports.stage import ODD, Export

NS = {"": NAMESPACE}


def parsed(export: Export, name: str) -> ET.Element:
    return ET.fromstring(export.text(f"saft/{name}.xml").encode())  # noqa: S314  our own file


def texts(element: ET.Element, path: str) -> list[str]:
    return [found.text or "" for found in element.findall(path, NS)]


def test_each_book_and_currency_has_a_file_of_its_own(export: Export) -> None:
    """So no total mixes two currencies."""
    files = export("saft")

    assert [(file.name, file.rows, dict(file.totals)) for file in files] == [
        ("saft/custody_EUR.xml", 4, {"EUR": (11_083, 11_083)}),
        ("saft/custody_JPY.xml", 1, {"JPY": (500, 500)}),
        ("saft/platform_EUR.xml", 1, {"EUR": (333, 333)}),
    ]


def test_the_header_of_the_entries_announces_what_follows(export: Export) -> None:
    """NumberOfEntries, TotalDebit and TotalCredit are those of the transactions below."""
    export("saft")
    file = parsed(export, "custody_EUR")

    assert texts(file, "Header/DefaultCurrencyCode") == ["EUR"]
    assert texts(file, "GeneralLedgerEntries/NumberOfEntries") == ["4"]
    assert texts(file, "GeneralLedgerEntries/TotalDebit") == ["110.83"]
    assert texts(file, "GeneralLedgerEntries/TotalCredit") == ["110.83"]
    entry = "GeneralLedgerEntries/Journal/Transaction"
    assert texts(file, f"{entry}/TransactionID") == ["1", "3", "4", "5"]
    assert texts(file, f"{entry}/Line/DebitAmount/Amount") == ["100.00", "0.50", "3.33", "7.00"]
    assert texts(file, f"{entry}/Line/CreditAmount/Amount") == ["100.00", "0.50", "3.33", "7.00"]
    assert set(texts(file, f"{entry}/Line/DebitAmount/CurrencyCode")) == {"EUR"}
    assert texts(file, f"{entry}/Line/DebitAmount/CurrencyAmount")[1] == "0.50"


def test_a_transaction_has_the_elements_of_the_schema_in_their_order(export: Export) -> None:
    """XML schemas care for order, and so do those who read by them."""
    export("saft")
    entry = parsed(export, "platform_EUR").find("GeneralLedgerEntries/Journal/Transaction", NS)

    assert entry is not None
    assert [child.tag.partition("}")[2] for child in entry] == (
        "TransactionID Period PeriodYear TransactionDate SourceID TransactionType Description"
        " BatchID SystemEntryDate GLPostingDate SystemID Line Line"
    ).split()


def test_accounts_open_and_close_with_their_balances(export: Export) -> None:
    """The period's opening balance holds what was dated before it."""
    export("saft", period=(date(2026, 3, 1), date(2026, 3, 31)))
    accounts = parsed(export, "custody_EUR").findall(
        "MasterFiles/GeneralLedgerAccounts/Account", NS
    )

    assert [[child.text for child in account] for account in accounts] == [
        ["bank", "custody.bank[] EUR", "custody.bank", "Asset", "7.00", "107.00"],
        ["wallet[ann]", "custody.wallet[ann] EUR", "custody.wallet", "Liability", "7.00", "107.00"],
    ]
    assert [child.tag.partition("}")[2] for child in accounts[1]][-2:] == [
        "OpeningCreditBalance",
        "ClosingCreditBalance",
    ]


def test_odd_texts_survive_xml(export: Export) -> None:
    """Line ends and angle brackets come back; what XML cannot write is marked as lost."""
    export("saft")
    words = texts(
        parsed(export, "custody_EUR"), "GeneralLedgerEntries/Journal/Transaction/Description"
    )

    assert words[1] == f"test.moved: {ODD}".replace("\x01", "\ufffd")
