"""The files of the AICPA's standard, read back as an auditor's program reads them."""

import csv
import io
from dataclasses import replace
from datetime import date
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import Engine

from kernel.database import Tenant, transaction
from kernel.principals import SYSTEM
from ledger.commands import Reverse
from ledger.correction import reverse
from ledger.exports import ads
from ledger.exports.ads import DoesNotFit, user_id
from ledger.model_journals import Journal, State
from ledger.rules_journals import drafted
from tests.exports.stage import ANN, APRIL, FEBRUARY, MARCH, ODD, ODD_WALLET, Export, keep, seal
from tests.ledger.drafts import fund, wallet

DAYS = "20260210_20260430"


def rows(export: Export, name: str, into: str = "") -> list[dict[str, str]]:
    text = export.text(f"ads/{name}.txt", into)
    assert text.endswith("\r\n")
    return list(csv.DictReader(io.StringIO(text, newline=""), delimiter="|"))


def test_gl_detail_tells_the_story_to_the_cent(export: Export) -> None:
    """Journal_ID is gapless in each book, amounts are positive, D or C says the side."""
    export("ads")

    def told(book: str) -> list[tuple[str, ...]]:
        names = "Journal_ID Effective_Date Amount Amount_Currency Amount_Credit_Debit_Indicator"
        return [
            tuple(row[name] for name in names.split())
            for row in rows(export, f"{book}/GL_Detail_{DAYS}")
        ]

    assert told("custody") == [
        ("1", "20260302", "100.00", "EUR", "D"),
        ("1", "20260302", "100.00", "EUR", "C"),
        ("2", "20260302", "500", "JPY", "D"),
        ("2", "20260302", "500", "JPY", "C"),
        ("3", "20260430", "0.50", "EUR", "D"),
        ("3", "20260430", "0.50", "EUR", "C"),
        ("4", "20260430", "3.33", "EUR", "D"),
        ("4", "20260430", "3.33", "EUR", "C"),
        ("5", "20260210", "7.00", "EUR", "D"),
        ("5", "20260210", "7.00", "EUR", "C"),
    ]
    assert told("platform") == [
        ("1", "20260430", "3.33", "EUR", "D"),
        ("1", "20260430", "3.33", "EUR", "C"),
    ]


def test_a_line_has_all_that_the_standard_requires(export: Export) -> None:
    """And an odd reason comes through whole, in cells that a `|` cannot break."""
    export("ads")

    line = rows(export, f"custody/GL_Detail_{DAYS}")[5]

    assert list(line) == ads.GL_DETAIL
    assert line["JE_Header_Description"] == f"test.moved: {ODD}"
    assert line["JE_Line_Description"] == "slot:1"
    assert line["GL_Account_Number"] == ODD_WALLET
    assert line["Business_Unit_Code"] == "custody"
    assert (line["Fiscal_Year"], line["Period"], line["Source"]) == ("2026", "M4", "test")
    assert line["Entered_By"] == user_id(ANN.principal_id)
    assert len(line["Entered_By"]) == 25
    assert (len(line["Entered_Date"]), len(line["Entered_Time"])) == (8, 6)
    assert line["Segment01"] == "3"


def test_the_trial_balance_goes_from_before_the_period_to_its_end(export: Export) -> None:
    """What was dated back into February stands in the opening balance of March."""
    export("ads", period=(date(2026, 3, 1), date(2026, 3, 31)))

    found = {
        row["GL_Account_Number"]: (row["Amount_Beginning"], row["Amount_Ending"])
        for row in rows(export, "custody/Trial_Balance_20260301_20260331")
    }

    assert found == {
        "custody.bank[] EUR": ("7.00", "107.00"),
        "custody.bank[] JPY": ("0", "500"),
        "custody.wallet[ann] EUR": ("-7.00", "-107.00"),
        "custody.wallet[ann] JPY": ("0", "-500"),
    }
    assert rows(export, "platform/Trial_Balance_20260301_20260331") == []


def test_accounts_have_parents_and_users_are_listed(export: Export) -> None:
    """Every number of the detail is in the chart, every parent too, every user in the listing."""
    export("ads")

    for book in "custody", "platform":
        detail = rows(export, f"{book}/GL_Detail_{DAYS}")
        chart = rows(export, f"{book}/Chart_Of_Accounts_{DAYS}")
        numbers = [row["GL_Account_Number"] for row in chart]
        parents = {row["Parent_GL_Account_Number"] for row in chart} - {""}
        users = {row["User_ID"] for row in rows(export, f"{book}/User_Listing_{DAYS}")}

        assert len(set(numbers)) == len(numbers)
        assert {row["GL_Account_Number"] for row in detail} | parents == set(numbers)
        assert {row["Entered_By"] for row in detail} == users


def test_reversals_name_each_other_once_both_are_known(
    own_engine: Engine, tenant: Tenant, tmp_path: Path
) -> None:
    """1 marks the reversal, 2 what it undid; a prefix that ends between them marks neither."""
    (posted,) = keep(own_engine, tenant, fund(100, wallet("ann"), at=MARCH))
    keep(own_engine, tenant, fund(200, wallet("ann"), at=MARCH))
    with transaction(own_engine, tenant) as connection:
        command = Reverse(actor=SYSTEM, event_id=posted.event_id, reason="wrong client")
        reverse(connection, [replace(command, effective_at=MARCH)], at=MARCH)
    seal(own_engine, tenant)
    export = Export(own_engine, tenant, tmp_path)
    export("ads")
    export("ads", journal_no=2, into="before")

    def marks(into: str) -> list[tuple[str, str, str]]:
        return [
            (row["Journal_ID"], row["Reversal_Indicator"], row["Reversal_Journal_ID"])
            for row in rows(export, "custody/GL_Detail_20260302_20260302", into)[::2]
        ]

    assert marks("") == [("1", "2", "3"), ("2", "", ""), ("3", "1", "1")]
    assert marks("before") == [("1", "", ""), ("2", "", "")]


def test_a_manual_journal_is_entered_by_one_person_and_approved_by_another(
    own_engine: Engine, tenant: Tenant, tmp_path: Path
) -> None:
    """The event says who approved it, its detail who prepared it; both are listed as users."""
    preparer = UUID(int=77)
    journal = Journal(
        id=UUID(int=1),
        state=State.PREPARED,
        entries=fund(100, wallet("ann")).entries,
        reason="found on the statement",
        attachment_sha256=b"a" * 32,
        effective_at=MARCH,
        original_effective_on=None,
        reverse_at=None,
        expires_at=APRIL,
        prepared_by=preparer,
        prepared_at=FEBRUARY,
    )
    keep(own_engine, tenant, drafted(journal, ANN))
    seal(own_engine, tenant)
    export = Export(own_engine, tenant, tmp_path)
    export("ads")

    (line, _) = rows(export, "custody/GL_Detail_20260302_20260302")
    users = rows(export, "custody/User_Listing_20260302_20260302")

    assert line["Entered_By"] == user_id(preparer)
    assert (line["Entered_Date"], line["Entered_Time"]) == ("20260210", "090000")
    assert line["Approved_By"] == user_id(ANN.principal_id)
    assert len(line["Approved_Date"]) == 8
    assert [user["Actor_ID"] for user in users] == [str(preparer), str(ANN.principal_id)]


def test_a_description_is_cut_and_a_name_is_refused(
    own_engine: Engine, tenant: Tenant, tmp_path: Path
) -> None:
    """1,000 characters of a description are kept; an account longer than 100 stops the format."""
    export = Export(own_engine, tenant, tmp_path)
    keep(own_engine, tenant, replace(fund(1, wallet("ann"), at=MARCH), reason="é" * 2_000))
    seal(own_engine, tenant)
    export("ads")
    (line, _) = rows(export, "custody/GL_Detail_20260302_20260302")

    assert line["JE_Header_Description"] == f"test.moved: {'é' * 988}"

    keep(own_engine, tenant, fund(1, wallet("x" * 100), at=MARCH))
    seal(own_engine, tenant)

    with pytest.raises(DoesNotFit) as refused:
        export("ads")
    assert refused.value.facts["field"] == "GL_Account_Number"
