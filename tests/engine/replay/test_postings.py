"""The reader of job postings: every row a posting or a reason, and no file can hurt it."""

import gzip
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.replay.postings import (
    LONGEST_LINE,
    Kind,
    NotPostings,
    Posting,
    Unreadable,
    open_postings,
    read_postings,
)
from tests.fixtures.sources import ROOT

HEADER = "job_id,posted_at,type,fixed_budget_usd,duration,client,client_payment_verified"
GOOD = "j{0},2023-01-01T10:00:00Z,fixed_budget,100.50,1 to 3 months,c{0},1"
REAL = ROOT.parent / "shared" / "data" / "jobs-2023-01.csv.gz"


def read(*lines: str, header: str = HEADER) -> list[Posting | Unreadable]:
    return list(read_postings(BytesIO("\n".join([header, *lines]).encode())))


def reasons(rows: list[Posting | Unreadable]) -> list[tuple[int, str]]:
    return [(row.line, row.reason) for row in rows if isinstance(row, Unreadable)]


def test_a_good_row_is_a_posting() -> None:
    """Amounts are read exactly, times are UTC, and 1 says that a payment method is verified."""
    (posting,) = read(GOOD.format(1))

    assert posting == Posting(
        job_id="j1",
        posted_at=datetime(2023, 1, 1, 10, tzinfo=UTC),
        kind=Kind.FIXED_BUDGET,
        budget_minor=10_050,
        duration="1 to 3 months",
        client="c1",
        is_verified=True,
    )


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (GOOD.format(2).replace("100.50", "-5"), "money.malformed_amount"),
        (GOOD.format(2).replace("100.50", "1e5"), "money.malformed_amount"),
        (GOOD.format(2).replace("100.50", "NaN"), "money.malformed_amount"),
        (GOOD.format(2).replace("100.50", "0"), "money.not_positive"),
        (GOOD.format(2).replace("100.50", "0.001"), "money.too_many_decimals"),
        (GOOD.format(2).replace("100.50", "9" * 17), "money.too_large"),
        (GOOD.format(2).replace("2023-01-01", "yesterday"), "not a time"),
        (GOOD.format(2).replace("2023-01-01", "0001-01-01"), "not of this century"),
        (GOOD.format(2).replace("fixed_budget", "barter"), "type is 'barter'"),
        (GOOD.format(2).replace("j2", ""), "job_id is ''"),
        (GOOD.format(2).replace("c2", "c\x00"), "client is"),
        (GOOD.format(2) + ",one more", "it has 8 fields where the header has 7"),
        ("j2,2023", "it has 2 fields"),
        (GOOD.format(1), "job_id 'j1' stands on line 2 already"),
        ('"a"b,c', "expected after"),
    ],
)
def test_a_bad_row_is_told_with_its_line_and_reason(row: str, why: str) -> None:
    """Its neighbours are read all the same."""
    rows = read(GOOD.format(1), row, GOOD.format(3))

    ((line, reason),) = reasons(rows)
    assert line == 3
    assert why in reason
    assert [each.job_id for each in rows if isinstance(each, Posting)] == ["j1", "j3"]


def test_an_hourly_row_has_its_rate_and_hours() -> None:
    """A row without a rate is a posting all the same; one with a rate that is none is told."""
    header = HEADER.replace("duration", "hourly_rate_usd,engagement,duration")
    row = "{0},2023-01-01T10:00:00Z,hourly,,{1},30+ hrs/week,1 to 3 months,c,1"
    rows = read(row.format("a", "11.5"), row.format("b", ""), row.format("c", "-3"), header=header)

    found = [each for each in rows if isinstance(each, Posting)]
    assert [(each.rate_minor, each.engagement) for each in found] == [
        (1_150, "30+ hrs/week"),
        (None, "30+ hrs/week"),
    ]
    ((line, why),) = reasons(rows)
    assert (line, "money.malformed_amount" in why) == (4, True)


def test_lines_are_counted_as_an_editor_counts_them() -> None:
    """Quoted line breaks, lines that are no text and lines too long to hold do not shift them."""
    text = [HEADER, GOOD.format(1).replace("c1", '"c1"'), "x" * (3 * LONGEST_LINE), "\xff", "a,b"]
    data = "\n".join(text).encode("latin-1")

    told = reasons(list(read_postings(BytesIO(data))))

    assert [line for line, _ in told] == [3, 4, 5]
    assert "longer than" in told[0][1]
    assert "not UTF-8" in told[1][1]


def test_a_quote_that_never_closes_is_told_where_it_opens() -> None:
    """What it swallowed is lost with it, and what stood before is read."""
    rows = read(GOOD.format(1), '"j2,2023', GOOD.format(3))

    assert reasons(rows) == [(3, "unexpected end of data (up to line 4)")]


@pytest.mark.parametrize(
    "data",
    [b"", b"\n", b"\x00\x01\xff\xfe" * 100, b"a,b,c\n1,2,3\n", b"\x1f\x8b", b"x" * 1_000_000],
)
def test_what_is_no_list_of_postings_is_refused_whole(data: bytes) -> None:
    """An empty file, a picture, another table."""
    with pytest.raises(NotPostings):
        list(read_postings(BytesIO(data)))


@pytest.mark.parametrize("kept", [0.4, 0.9, 0.999])
def test_a_gzip_that_breaks_off_is_told(tmp_path: Path, kept: float) -> None:
    """What was read before the break counts; that there is a break is said, never hidden."""
    lines = [HEADER, *(GOOD.format(n) for n in range(2_000))]
    whole = gzip.compress("\n".join(lines).encode())
    path = tmp_path / "jobs.csv.gz"
    path.write_bytes(whole[: int(len(whole) * kept)])

    with open_postings(path) as rows:
        found = list(rows)

    assert isinstance(found[-1], Unreadable)
    assert "breaks off here" in found[-1].reason


def test_damaged_gzip_is_told(tmp_path: Path) -> None:
    """A flipped byte ends the reading with a reason."""
    lines = [HEADER, *(GOOD.format(n) for n in range(2_000))]
    whole = bytearray(gzip.compress("\n".join(lines).encode()))
    whole[len(whole) // 2] ^= 0xFF
    path = tmp_path / "jobs.csv.gz"
    path.write_bytes(whole)

    with open_postings(path) as rows:
        told = reasons(list(rows))

    assert told


@given(st.binary(max_size=2_000))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    """Whatever follows a good header is postings and reasons, nothing else."""
    rows = list(read_postings(BytesIO(f"{HEADER}\n".encode() + data)))

    assert all(isinstance(row, Posting | Unreadable) for row in rows)


@pytest.mark.skipif(not REAL.exists(), reason="the real postings are not beside the checkout")
def test_the_real_postings_are_all_read() -> None:
    """4,995 rows, none of them unreadable."""
    with open_postings(REAL) as rows:
        kinds = [row.kind for row in rows if isinstance(row, Posting)]

    counts = {kind.value: kinds.count(kind) for kind in Kind}
    assert counts == {"hourly": 1_790, "fixed_budget": 2_191, "no_budget": 1_014}
