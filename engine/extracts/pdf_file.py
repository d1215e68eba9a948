"""An account extract as PDF: balances by kind of account, our fees, and every line by currency.

Each page of lines ends with what is carried forward and the next begins with it. The same extract
gives the same bytes.
"""

from collections.abc import Callable, Iterable
from datetime import UTC
from functools import partial
from typing import IO, Final, NamedTuple

from fpdf import FPDF
from fpdf.enums import XPos, YPos

from engine.extracts.shown import Extract
from escrow.model_extract import Fees, Movement, Summary
from escrow.rules_extract import ACCOUNT_WORDS
from kernel.errors import Refusal
from kernel.money import format_minor
from tax import fonts

LONGEST: Final = 10_000
"""Lines of an extract on paper; a longer one is read as CSV."""

_FONT: Final = "DejaVu"
_FALLBACK: Final = "Droid"
_MARGIN: Final = 12.0
_ROW: Final = 4.6
_SMALL: Final = 3.8
_FOOT: Final = 16.0
_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
_GREY: Final = (110, 110, 110)
_LINE_GREY: Final = 205
_BAND: Final = (240, 243, 247)

LinesOf = Callable[[str], Iterable[Movement]]
"""The lines of one currency, in order."""


class TooLongForPaper(Refusal):
    """The extract has more lines than anybody reads on paper: take it as CSV."""

    code = "extract.too_long_for_paper"


class _Column(NamedTuple):
    """A column of a table: its heading, width in millimetres, and side."""

    heading: str
    width: float
    side: str = "L"


_LINES: Final = (
    _Column("Date, UTC", 30),
    _Column("What", 107),
    _Column("Account", 36),
    _Column("Out", 32, "R"),
    _Column("In", 32, "R"),
    _Column("Balance", 36, "R"),
)
_STANDINGS: Final = (
    _Column("Account", 93),
    _Column("Opening", 45, "R"),
    _Column("In", 45, "R"),
    _Column("Out", 45, "R"),
    _Column("Closing", 45, "R"),
)


class _Paper(FPDF):
    """A4 across, with a head and a foot on every page."""

    def __init__(self, extract: Extract) -> None:
        super().__init__(orientation="landscape", format="A4")
        self.extract = extract
        for style, font in (("", "regular"), ("B", "bold")):
            self.add_font(_FONT, style, str(fonts.path_of(font)))
        self._has_fallback = False
        self.set_margins(_MARGIN, _MARGIN)
        self.set_auto_page_break(auto=False)
        self.heading = f"Account extract, {_month(extract)}"
        self.set_title(self.heading)
        self.set_lang("en")
        if extract.span.end is not None:
            self.set_creation_date(extract.span.end)

    def header(self) -> None:
        """Whose extract of which month it is."""
        self.say(9, "B")
        self.cell(0, 5, self.heading, align="L")
        self.say(7, grey=True)
        self.set_x(_MARGIN)
        whose = f"{self.extract.party_kind} {self.extract.party_id}"
        self.cell(0, 5, whose, align="R", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        self.rule()
        self.ln(2)

    def footer(self) -> None:
        """How far the books are known, and the page."""
        self.set_y(-10)
        self.say(7, grey=True)
        known = self.extract.known
        told = f"As known at journal number {known.journal_no:,}"
        if known.provisional:
            told = f"Provisional: journal number {known.journal_no:,} and what is not sealed yet"
        self.cell(0, 4, f"{told}. All times are UTC.")
        self.set_x(_MARGIN)
        self.cell(0, 4, f"Page {self.page_no()} of {{nb}}", align="R")

    def say(self, size: float, style: str = "", *, grey: bool = False) -> None:
        """The type that follows."""
        self.set_font(_FONT, style, size)
        self.set_text_color(*(_GREY if grey else (0, 0, 0)))

    def rule(self) -> None:
        """A thin line across."""
        self.set_draw_color(_LINE_GREY)
        self.line(_MARGIN, self.get_y(), self.w - _MARGIN, self.get_y())

    def printed(self, text: str) -> str:
        """A caller's text as our fonts can print it; the second font is taken in when needed."""
        plain = fonts.printable(text)
        if not self._has_fallback and fonts.needs_fallback(plain):
            self.add_font(_FALLBACK, "", str(fonts.path_of("fallback")))
            self.set_fallback_fonts([_FALLBACK], exact_match=False)
            self._has_fallback = True
        return plain

    def has_room(self, height: float) -> bool:
        """Whether so many millimetres fit above the foot."""
        return self.get_y() + height <= self.h - _FOOT

    def row(
        self,
        columns: Iterable[_Column],
        cells: Iterable[str],
        *,
        height: float = _ROW,
        is_filled: bool = False,
    ) -> None:
        """One row of a table; a cell that is too wide is cut with an ellipsis."""
        self.set_fill_color(*_BAND)
        for column, text in zip(columns, cells, strict=True):
            fitted = self.fitted(text, column.width - 2)
            self.cell(column.width, height, fitted, align=column.side, fill=is_filled)
        self.ln(height)

    def fitted(self, text: str, width: float) -> str:
        """As much of a text as the width takes."""
        if self.get_string_width(text) <= width:
            return text
        low, high = 0, len(text)
        while low < high:
            middle = (low + high + 1) // 2
            if self.get_string_width(text[:middle].rstrip() + "…") <= width:
                low = middle
            else:
                high = middle - 1
        return text[:low].rstrip() + "…"

    def wrapped(self, text: str, width: float, *, most: int) -> list[str]:
        """A text as lines of this width, at most so many; the last is cut where more would follow.

        Broken between words, and within one that no line takes.
        """
        lines: list[str] = []
        left = " ".join(text.split())
        while left and len(lines) < most - 1:
            if self.get_string_width(left) <= width:
                break
            taken = self._takes(left, width)
            lines.append(left[:taken].rstrip())
            left = left[taken:].lstrip()
        if left:
            lines.append(self.fitted(left, width))
        return lines

    def _takes(self, text: str, width: float) -> int:
        low, high = 1, len(text)
        while low < high:
            middle = (low + high + 1) // 2
            if self.get_string_width(text[:middle]) <= width:
                low = middle
            else:
                high = middle - 1
        space = text.rfind(" ", 0, low + 1)
        return space if space > 0 else low


def write(file: IO[bytes], extract: Extract, lines_of: LinesOf) -> None:
    """Write the extract; refuses `extract.too_long_for_paper`."""
    count = sum(each.line_count for some in extract.summaries for each in some.standings)
    if count > LONGEST:
        raise TooLongForPaper(line_count=count, longest=LONGEST)
    paper = _Paper(extract)
    paper.add_page()
    _summarise(paper, extract)
    for summary in extract.summaries:
        if summary.standings:
            _list(paper, summary, lines_of(summary.currency))
    file.write(bytes(paper.output()))


def _summarise(paper: _Paper, extract: Extract) -> None:
    if not extract.summaries:
        paper.say(9)
        paper.cell(0, 8, "No money was held in this month, and none came or went.")
        return
    for summary in extract.summaries:
        needed = _ROW * (len(summary.standings) + 6)
        if not paper.has_room(needed):
            paper.add_page()
        paper.say(10, "B")
        paper.cell(0, 7, summary.currency, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        if summary.standings:
            _standings(paper, summary)
        _fees(paper, summary.fees)
        paper.ln(3)


def _standings(paper: _Paper, summary: Summary) -> None:
    amount = partial(_amount, currency=summary.currency)
    paper.say(7.5, "B")
    paper.row(_STANDINGS, [each.heading for each in _STANDINGS], is_filled=True)
    paper.say(8)
    for each in summary.standings:
        paper.row(
            _STANDINGS,
            (
                ACCOUNT_WORDS[each.account],
                *map(amount, (each.opening_minor, each.credits_minor)),
                *map(amount, (each.debits_minor, each.closing_minor)),
            ),
        )
    if len(summary.standings) > 1:
        paper.say(8, "B")
        paper.rule()
        paper.row(
            _STANDINGS,
            (
                "All accounts",
                # What moved between them came and went: only the ends say anything.
                *(amount(summary.opening_minor), "", "", amount(summary.closing_minor)),
            ),
        )


def _fees(paper: _Paper, fees: Fees) -> None:
    """Our fees in one sentence; none where there were none."""
    amount = partial(_amount, currency=fees.currency)
    told = [
        f"{name} {amount(minor)}"
        for name, minor in (
            ("commission", fees.commission_minor),
            ("client fee", fees.client_fee_minor),
            ("plans and products", fees.other_minor),
            ("tax on fees", fees.tax_minor),
        )
        if minor
    ]
    if told:
        paper.say(8, grey=True)
        gross = f" on {amount(fees.gross_minor)} earned" if fees.gross_minor else ""
        words = f"Fees of the month{gross}: {', '.join(told)}; in all {amount(fees.total_minor)}."
        paper.cell(0, 6, words, new_x=XPos.LMARGIN, new_y=YPos.NEXT)


def _list(paper: _Paper, summary: Summary, lines: Iterable[Movement]) -> None:
    """All lines of a currency, from its opening to its closing balance."""
    balance = summary.opening_minor
    if not paper.has_room(_ROW * 9):
        paper.add_page()
    _heading(paper, summary.currency)
    _carry(paper, "Opening balance", balance, summary.currency)
    for line in lines:
        what, details = _told(paper, line)
        height = _ROW * len(what) + _SMALL * len(details)
        if not paper.has_room(height + _ROW * 2):
            _carry(paper, "Carried forward", balance, summary.currency)
            paper.add_page()
            _heading(paper, summary.currency)
            _carry(paper, "Brought forward", balance, summary.currency)
        _movement(paper, line, what, details)
        balance = line.balance_minor
    _carry(paper, "Closing balance", balance, summary.currency)
    paper.ln(4)


def _heading(paper: _Paper, currency: str) -> None:
    paper.say(10, "B")
    paper.cell(0, 7, f"Movements in {currency}", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    paper.say(7.5, "B")
    paper.row(_LINES, [each.heading for each in _LINES], is_filled=True)


def _carry(paper: _Paper, words: str, minor: int, currency: str) -> None:
    paper.say(8, "B")
    paper.row(_LINES, ("", words, "", "", "", _amount(minor, currency=currency)))
    paper.rule()


def _told(paper: _Paper, line: Movement) -> tuple[list[str], list[str]]:
    """What happened and for which work, and in small type what we took and what was exchanged."""
    width = _LINES[1].width - 2
    paper.say(8)
    title = f": {line.about.title}" if line.about.title else ""
    # Broken as it is read; each line is put in visual order by itself.
    told = paper.wrapped(paper.printed(line.what + title), width, most=2)
    what = list(map(fonts.as_seen, told))
    paper.say(6.5)
    details = []
    if line.fees is not None and line.fees.total_minor:
        details.append(_fee_words(line.fees))
    if line.exchange is not None:
        sold = _amount(line.exchange.sold_minor, currency=line.exchange.sold)
        bought = _amount(line.exchange.bought_minor, currency=line.exchange.bought)
        details.append(f"{sold} {line.exchange.sold} became {bought} {line.exchange.bought}")
    return what, [paper.fitted(each, width) for each in details]


def _fee_words(fees: Fees) -> str:
    amount = partial(_amount, currency=fees.currency)
    ours = fees.total_minor - fees.tax_minor
    of = f" of {amount(fees.gross_minor)}" if fees.gross_minor else ""
    tax = f" and tax {amount(fees.tax_minor)}" if fees.tax_minor else ""
    return f"Our fee {amount(ours)}{tax}{of}, in {fees.currency}"


def _movement(paper: _Paper, line: Movement, what: list[str], details: list[str]) -> None:
    amount = partial(_amount, currency=line.currency)
    paper.say(8)
    cells = (
        f"{line.effective_at.astimezone(UTC):%Y-%m-%d %H:%M}",
        what[0],
        ACCOUNT_WORDS[line.account],
        amount(line.debit_minor) if line.debit_minor else "",
        amount(line.credit_minor) if line.credit_minor else "",
        amount(line.balance_minor),
    )
    paper.row(_LINES, cells)
    for text in what[1:]:
        _under(paper, text, _ROW)
    paper.say(6.5, grey=True)
    for text in details:
        _under(paper, text, _SMALL)
    paper.rule()


def _under(paper: _Paper, text: str, height: float) -> None:
    paper.set_x(_MARGIN + _LINES[0].width)
    paper.cell(_LINES[1].width, height, text)
    paper.ln(height)


def _month(extract: Extract) -> str:
    """The month as people write it."""
    start = extract.span.start
    return extract.month if start is None else f"{_MONTHS[start.month - 1]} {start.year}"


def _amount(minor: int, *, currency: str) -> str:
    """An amount for people, its thousands apart."""
    whole, point, part = format_minor(abs(minor), currency).partition(".")
    return f"{'-' if minor < 0 else ''}{int(whole):,}{point}{part}"
