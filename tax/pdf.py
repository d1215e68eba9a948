"""A document on paper: drawn from what is stored and nothing else, to the same bytes each time."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from fpdf import FPDF
from fpdf.enums import Align, MethodReturnValue, XPos, YPos

from tax import fonts
from tax.words import NOTES, TITLES, TREATMENTS, fee_words, rate_words

_MARGIN_MM: Final = 20
_WIDTH_MM: Final = 170
_LINE_MM: Final = 5
_GREY: Final = (95, 95, 95)
_COLUMNS: Final = (("", 66), ("Base", 30), ("Rate", 16), ("Net", 30), ("Tax", 28))
_MISSING: Final = (
    "Where a script stands in square brackets, this page cannot print its letters; the document in"
    " JSON has them."
)
_UNSEEN: Final = re.compile(r"^-?0+(\.0+)?$")

Json = Mapping[str, Any]


class _Page(FPDF):
    """A page with its number at the foot."""

    def __init__(self, number: str) -> None:
        super().__init__(format="A4")
        self.document_number = number

    def footer(self) -> None:
        """The document's number and the page's, on every page."""
        self.set_y(-15)
        self.set_font("main", size=8)
        self.set_text_color(*_GREY)
        self.cell(_WIDTH_MM, 5, f"{self.document_number} · {self.page_no()}/{{nb}}", align=Align.R)


def draw(shown: Json) -> bytes:
    """The PDF of a document as `rules_invoice.as_json` shows it."""
    page = _Page(shown["number"])
    texts = [*_strings(shown), *NOTES.values()]
    _fonts(page, texts)
    page.set_creation_date(datetime.fromisoformat(shown["issued_at"]))
    page.set_title(f"{TITLES[shown['kind']]} {shown['number']}")
    page.set_margins(_MARGIN_MM, 18, _MARGIN_MM)
    page.set_auto_page_break(auto=True, margin=20)
    page.add_page()
    _head(page, shown)
    _parties(page, shown)
    _lines(page, shown)
    _totals(page, shown)
    _notes(page, shown, is_whole=all(map(fonts.is_whole, texts)))
    return bytes(page.output())


def money(amount: Json, *, with_currency: bool = False) -> str:
    """An amount for people: EUR 63,985.71."""
    whole, point, cents = amount["amount"].partition(".")
    sign, digits = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
    number = f"{sign}{int(digits):,}{point}{cents}"
    return f"{amount['currency']} {number}" if with_currency else number


def _fonts(page: _Page, texts: Sequence[str]) -> None:
    page.add_font("main", "", fonts.path_of("regular"))
    page.add_font("main", "B", fonts.path_of("bold"))
    # It takes a while to read, and most documents need none of it.
    if any(map(fonts.needs_fallback, texts)):
        page.add_font("fallback", "", fonts.path_of("fallback"))
        page.set_fallback_fonts(["fallback"], exact_match=False)


def _head(page: _Page, shown: Json) -> None:
    supplier = shown["supplier"]
    top = page.get_y()
    _text(page, supplier["name"], 95, size=12, style="B")
    _text(page, f"{supplier['address']}\n{supplier['country']}", 95)
    if supplier["tax_number"]:
        _text(page, f"Tax number {supplier['tax_number']}", 95)
    bottom = page.get_y()
    page.set_xy(_MARGIN_MM + 95, top)
    page.set_font("main", "B", 18)
    page.cell(75, 9, TITLES[shown["kind"]], align=Align.R, new_x=XPos.LEFT, new_y=YPos.NEXT)
    facts = [("Number", shown["number"]), ("Date", _day(shown["issued_at"]))]
    facts.append(("Date of supply", _day(shown["supplied_at"])))
    facts += [("Refers to", number) for number in shown["originals"]]
    page.set_font("main", size=9)
    for name, value in facts:
        page.set_x(_MARGIN_MM + 95)
        page.set_text_color(*_GREY)
        page.cell(35, _LINE_MM, name, align=Align.R)
        page.set_text_color(0)
        page.cell(40, _LINE_MM, value, align=Align.R, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    page.set_y(max(bottom, page.get_y()) + 8)


def _parties(page: _Page, shown: Json) -> None:
    _label(page, "To")
    buyer = shown["buyer"]
    if buyer is None:
        _text(page, "Personal data were erased", _WIDTH_MM, style="B")
    else:
        _text(page, buyer["name"] or "Name not known", _WIDTH_MM, size=11, style="B")
        if buyer["address"]:
            _text(page, buyer["address"], _WIDTH_MM)
        if buyer["tax_number"]:
            _text(page, f"Tax number {buyer['tax_number']}", _WIDTH_MM)
    page.set_text_color(*_GREY)
    _text(page, f"Party {shown['party_id']}", _WIDTH_MM, size=8)
    if shown["contract_id"]:
        _text(page, f"Contract {shown['contract_id']}", _WIDTH_MM, size=8)
    if shown["release_id"]:
        _text(page, f"Release {shown['release_id']}", _WIDTH_MM, size=8)
    page.set_text_color(0)
    page.ln(6)


def _lines(page: _Page, shown: Json) -> None:
    tax = shown["taxes"][0]
    page.set_font("main", size=8)
    page.set_text_color(*_GREY)
    currency = shown["total"]["currency"]
    for name, width in _COLUMNS:
        side = Align.R if name else Align.L
        page.cell(width, 6, name or f"Amounts in {currency}", border="B", align=side)
    page.ln(7)
    page.set_text_color(0)
    for line in shown["lines"]:
        words = f"{fee_words(line['what'])}, {_day(line['supplied_at'])}"
        base = line["gross"]
        cells = (
            words,
            "" if _UNSEEN.match(base["amount"]) else money(base),
            rate_words(tax["rate_bps"]),
            money(line["net"]),
            money(line["tax"]),
        )
        _row(page, cells)
    page.cell(_WIDTH_MM, 2, "", border="B", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    page.ln(2)


def _row(page: _Page, cells: Sequence[str]) -> None:
    page.set_font("main", size=9)
    for (name, width), text in zip(_COLUMNS, cells, strict=True):
        side = Align.R if name else Align.L
        # A long amount shall not run into its neighbour: the letters become smaller.
        size = 9
        while page.get_string_width(text) > width - 2 and size > 5:
            size -= 1
            page.set_font_size(size)
        page.cell(width, 6, text, align=side)
        page.set_font_size(9)
    page.ln(6)


def _totals(page: _Page, shown: Json) -> None:
    for tax in shown["taxes"]:
        treated = TREATMENTS.get(tax["treatment"])
        words = treated or f"{tax['country']} {rate_words(tax['rate_bps'])}"
        _total(page, f"Net, {words}", money(tax["net"], with_currency=True))
        if not treated:
            _total(page, f"Tax, {words}", money(tax["tax"], with_currency=True))
        if tax["national"] is not None:
            _national(page, tax["national"])
    _total(page, "Total", money(shown["total"], with_currency=True), style="B", size=11)
    page.ln(6)


def _national(page: _Page, national: Json) -> None:
    currency = national["currency"]
    if national["tax"] is None:
        _total(page, f"Tax in {currency}", "no rate of exchange is known", size=8)
        return
    source, rate, as_of = national["source"].upper(), national["rate"], national["as_of"]
    said = f"Tax in {currency}, {source} rate {rate} of {as_of}"
    _total(page, said, money(national["tax"], with_currency=True), size=8)


def _total(page: _Page, name: str, amount: str, *, style: str = "", size: int = 9) -> None:
    page.set_font("main", style, size)
    page.cell(115, 6, name, align=Align.R)
    page.cell(55, 6, amount, align=Align.R, new_x=XPos.LMARGIN, new_y=YPos.NEXT)


def _notes(page: _Page, shown: Json, *, is_whole: bool) -> None:
    for note in shown["notes"]:
        _text(page, NOTES[note], _WIDTH_MM, style="B" if note == "reverse_charge" else "")
    if shown["originals"]:
        _text(page, f"This corrects {', '.join(shown['originals'])}.", _WIDTH_MM)
    if not is_whole:
        page.set_text_color(*_GREY)
        _text(page, _MISSING, _WIDTH_MM, size=8)
        page.set_text_color(0)


def _label(page: _Page, words: str) -> None:
    page.set_text_color(*_GREY)
    _text(page, words, _WIDTH_MM, size=8)
    page.set_text_color(0)


def _text(page: _Page, text: str, width: int, *, size: int = 9, style: str = "") -> None:
    """Lines of text at the left margin, wrapped, each in the order that it is read in."""
    page.set_font("main", style, size)
    height = size * 52 / 90
    for line in fonts.printable(text).split("\n"):
        wrapped = page.multi_cell(width, height, line, dry_run=True, output=MethodReturnValue.LINES)
        assert isinstance(wrapped, list)
        for each in wrapped or [""]:
            seen = fonts.as_seen(str(each))
            page.cell(width, height, seen, new_x=XPos.LMARGIN, new_y=YPos.NEXT)


def _day(written: str) -> str:
    return datetime.fromisoformat(written).astimezone(UTC).date().isoformat()


def _strings(shown: Json) -> list[str]:
    """The texts that somebody else wrote."""
    buyer = shown["buyer"] or {}
    supplier = shown["supplier"]
    return [supplier["name"], supplier["address"], *buyer.values()]
