"""Text as paper wants it: Arabic letters joined.

A PDF holds glyphs and knows no scripts. An Arabic letter has a form for each place in a word, which
fonts keep as characters of their own (U+FE80 to U+FEFC). `tax.fonts` puts lines in visual order.
"""

import unicodedata
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_PLACES: Final = ("<isolated>", "<final>", "<initial>", "<medial>")
_LAM: Final = "\u0644"


def _read_forms() -> Mapping[str, tuple[str, ...]]:
    """Letter -> its form alone, at the end of a word, at its beginning, within; empty: none."""
    found: dict[str, list[str]] = {}
    for code in range(0xFE80, 0xFEFD):
        place, *letters = unicodedata.decomposition(chr(code)).split()
        text = "".join(chr(int(each, 16)) for each in letters)
        found.setdefault(text, ["", "", "", ""])[_PLACES.index(place)] = chr(code)
    return MappingProxyType({letter: tuple(forms) for letter, forms in found.items()})


_FORMS: Final = _read_forms()
_ARABIC: Final = frozenset(letter for letter in _FORMS if len(letter) == 1)


def joined(text: str) -> str:
    """A text in the order that it is read, its Arabic letters in the forms of their places."""
    if _ARABIC.isdisjoint(text):
        return text
    letters = _ligated(text)
    shaped = []
    for place, letter in enumerate(letters):
        forms = _FORMS.get(letter)
        if forms is None:
            shaped.append(letter)
            continue
        before = _near(letters, place, -1)
        after = _near(letters, place, 1)
        joins_before = bool(before and _FORMS[before][2]) and bool(forms[1])
        joins_after = bool(after) and bool(forms[2])
        shaped.append(forms[joins_before + 2 * joins_after] or letter)
    return "".join(shaped)


def _near(letters: list[str], place: int, step: int) -> str:
    """The next joining letter on one side, marks passed over; empty: the word ends."""
    place += step
    while 0 <= place < len(letters):
        letter = letters[place]
        if letter in _FORMS:
            # The hamza by itself joins with nothing.
            return letter if _FORMS[letter][1] else ""
        if not unicodedata.combining(letter):
            return ""
        place += step
    return ""


def _ligated(text: str) -> list[str]:
    """The letters, lam with alef as one."""
    found: list[str] = []
    for letter in text:
        if found and found[-1] == _LAM and _LAM + letter in _FORMS:
            found[-1] = _LAM + letter
        else:
            found.append(letter)
    return found
