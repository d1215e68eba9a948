"""What every format promises: the trial balance's totals, the same bytes, odd texts unharmed."""

import random
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from kernel.database import Tenant, snapshot
from ledger import reads
from ledger.chart import CHART
from ledger.exports.ads import DoesNotFit, user_id
from ledger.exports.csv_files import cell
from ledger.exports.formats import FORMATS
from ledger.exports.model import ExportedFile, Period
from ledger.exports.names import kind_and_subject, tool_name
from ledger.exports.saft import account_id
from ledger.model import Draft
from tests.exports.stage import Export, keep, seal, story
from tests.ledger.drafts import fund, move, wallet

ALL: Final = sorted(FORMATS)

# The tables that show every line once (or what it adds up to); ADS names its own.
_ONCE: Final = ("/lines/", "/entries/", "/trial_balance/", "/accounts.", "/GL_Detail_")
_WHOLE: Final = (*_ONCE, "/Trial_Balance_", "saft/", "hledger/", "beancount/")

MARCH_AND_APRIL: Final = (date(2026, 3, 1), date(2026, 4, 30))


def sums(files: Sequence[ExportedFile], part: str) -> Mapping[str, tuple[int, int]]:
    """The totals of those files whose name has a part, added up by currency; no zeros."""
    found: dict[str, tuple[int, int]] = {}
    for file in files:
        if part in f"/{file.name}":
            for currency, (debit, credit) in file.totals.items():
                before = found.get(currency, (0, 0))
                found[currency] = before[0] + debit, before[1] + credit
    return {currency: sides for currency, sides in sorted(found.items()) if any(sides)}


def moved(engine: Engine, tenant: Tenant, period: Period | None) -> Mapping[str, tuple[int, int]]:
    """What the lines of the period debit and credit, by currency, from the accounts' extracts."""
    found: dict[str, tuple[int, int]] = {}
    with snapshot(engine, tenant) as connection:
        for account in reads.list_accounts(connection):
            for line in reads.list_lines(connection, account.id, limit=10_000):
                day = line.effective_at.astimezone(UTC).date()
                if period is None or period[0] <= day <= period[1]:
                    debit, credit = found.get(account.currency, (0, 0))
                    amount = line.amount_minor
                    found[account.currency] = debit + max(amount, 0), credit + max(-amount, 0)
    return dict(sorted(found.items()))


def wandering(seed: int, *, events: int) -> list[Draft]:
    """Funds and moves at random between a few wallets, in three currencies, over five months."""
    dice = random.Random(seed)
    drafts = []
    for _ in range(events):
        currency = dice.choice(("EUR", "JPY", "KWD"))
        at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=dice.randrange(24 * 140))
        source, target = dice.sample("abcd", 2)
        drafts.append(fund(dice.randint(100, 10**9), wallet(source, currency), at=at))
        drafts.append(
            move(dice.randint(1, 100), wallet(source, currency), wallet(target, currency), at=at)
        )
    return drafts


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_totals_of_every_file_are_those_of_the_lines(
    own_engine: Engine, tenant: Tenant, tmp_path: Path, seed: int
) -> None:
    """For the whole journal and for any span of days, in every format and table."""
    keep(own_engine, tenant, *wandering(seed, events=150))
    seal(own_engine, tenant)
    export = Export(own_engine, tenant, tmp_path)
    dice = random.Random(seed)
    first = date(2026, 1, 1) + timedelta(days=dice.randrange(100))
    spans = (None, (first, first), (first, first + timedelta(days=dice.randrange(1, 60))))

    for period in spans:
        expected = moved(own_engine, tenant, period)
        for name in ALL:
            files = export(name, period=period)
            parts = [part for part in _WHOLE if sums(files, part) or part in f"/{files[0].name}"]

            assert parts
            assert {part: sums(files, part) for part in parts} == dict.fromkeys(parts, expected)


@pytest.mark.parametrize("name", ALL)
def test_the_same_arguments_leave_the_same_bytes(export: Export, name: str) -> None:
    """Twice into two folders; and what is told of a file is what stands there."""
    first = export(name, into="one")
    second = export(name, into="two")

    assert first == second
    for file in first:
        for folder in "one", "two":
            data = (export.folder / folder / file.name).read_bytes()
            assert sha256(data).hexdigest() == file.sha256


@pytest.mark.parametrize("name", ALL)
def test_later_events_change_nothing_of_a_prefix(
    own_engine: Engine, tenant: Tenant, tmp_path: Path, name: str
) -> None:
    """Not even one that is dated back into the days that were exported."""
    export = Export(own_engine, tenant, tmp_path)
    early, *late = story()
    keep(own_engine, tenant, *early)
    seal(own_engine, tenant)
    before = export(name, journal_no=2, into="before")
    for drafts in late:
        keep(own_engine, tenant, *drafts)
    seal(own_engine, tenant)

    assert export(name, journal_no=2, into="after") == before
    assert export(name, into="all") != before


@pytest.mark.parametrize("name", ALL)
def test_progress_counts_lines(export: Export, name: str) -> None:
    """Of the whole journal and of a period."""
    export(name)
    assert sum(export.steps) == 12

    export.steps.clear()
    export(name, period=MARCH_AND_APRIL, into="period")
    assert sum(export.steps) == 10


@pytest.mark.parametrize("name", ALL)
def test_books_without_a_line_can_be_exported(
    own_engine: Engine, tenant: Tenant, tmp_path: Path, name: str
) -> None:
    """Nothing is sealed, nothing breaks, nothing is summed."""
    files = Export(own_engine, tenant, tmp_path)(name)

    assert sum(file.rows for file in files) == 0
    assert all(sums([file], "") == {} for file in files)


@given(subject=st.text(min_size=1), kind=st.sampled_from(sorted(CHART)))
def test_names_for_the_tools_lead_back(subject: str, kind: str) -> None:
    """Any subject of any kind becomes a legal name, and the name becomes that subject again."""
    name = tool_name(kind=kind, nature=CHART[kind].nature, subject=subject)

    assert kind_and_subject(name) == (kind, subject)
    for word in name.split(":"):
        assert word.isascii()
        assert word.replace("-", "").isalnum()
        assert word[0].isupper()


@pytest.mark.parametrize("kind", sorted(CHART))
def test_every_kind_has_a_name_of_its_own(kind: str) -> None:
    """With no subject, too."""
    name = tool_name(kind=kind, nature=CHART[kind].nature, subject="")

    assert kind_and_subject(name) == (kind, "")


@given(text=st.text())
def test_no_text_cell_begins_like_a_formula(text: str) -> None:
    """One apostrophe taken from the front gives the text back."""
    written = str(cell(text))

    assert written[:1] not in {"=", "+", "-", "@", "\t", "\r"}
    assert (written.removeprefix("'")) == text


@given(one=st.uuids(), other=st.uuids())
def test_users_of_the_standard_have_25_digits(one: UUID, other: UUID) -> None:
    """No two principals share a User_ID."""
    first, second = user_id(one), user_id(other)

    assert len(first) == len(second) == 25
    assert int(first, 36) == one.int
    assert (first == second) is (one == other)


def test_what_does_not_fit_is_refused_and_never_cut() -> None:
    """An account's name is its identity: SAF-T has room for 70 characters of it."""
    assert account_id("custody.wallet", subject="x" * 62) == f"wallet[{'x' * 62}]"

    with pytest.raises(DoesNotFit) as refused:
        account_id("custody.wallet", subject="x" * 63)

    assert refused.value.facts["longest"] == 70
