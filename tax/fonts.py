"""Which characters the fonts that we carry can print, and what stands for the others."""

import unicodedata
from collections.abc import Mapping
from functools import cache
from importlib import resources
from itertools import groupby
from pathlib import Path
from types import MappingProxyType
from typing import Final

from fontTools.ttLib import TTFont  # type: ignore[import-untyped]  # it ships no types
from fpdf.bidi import BidiParagraph

from kernel.paper import joined

FILES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "regular": "DejaVuSans.ttf",
        "bold": "DejaVuSans-Bold.ttf",
        "fallback": "DroidSansFallback.ttf",
    }
)
_FROM_RIGHT: Final = frozenset({"R", "AL", "AN", "RLE", "RLO", "RLI"})
_MIRRORED: Final = str.maketrans("()[]{}<>«»", ")(][}{><»«")
_CONTROLS: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})


def path_of(font: str) -> Path:
    """Where a font's file is."""
    return Path(str(resources.files("tax").joinpath("fonts", FILES[font])))


@cache
def characters(font: str) -> frozenset[int]:
    """The code points that a font has a shape for."""
    with TTFont(path_of(font), lazy=True) as opened:
        return frozenset(opened.getBestCmap())


def needs_fallback(text: str) -> bool:
    """Whether the main font lacks a character of a text that is printable."""
    return any(ord(each) not in characters("regular") for each in text if each != "\n")


def printable(text: str) -> str:
    """A text that our fonts can print: a run in another script is told by the script's name.

    `[Thai]` stands where Thai letters stood: never an empty box, and never nothing.
    """
    kept = (each for each in text if each == "\n" or unicodedata.category(each) not in _CONTROLS)
    runs = groupby(unicodedata.normalize("NFC", "".join(kept)), key=_script_missing)
    return "".join(f"[{script}]" if script else "".join(run) for script, run in runs)


def is_whole(text: str) -> bool:
    """Whether a text is printed as it is."""
    return printable(text) == unicodedata.normalize("NFC", text)


def as_seen(line: str) -> str:
    """One line in the order that it is seen in, from left to right, Arabic letters joined."""
    if not any(unicodedata.bidirectional(each) in _FROM_RIGHT for each in line):
        return line
    seen = BidiParagraph(joined(line)).reorder_resolved_levels()
    # What runs from the right turns its brackets round.
    return "".join(
        each.character.translate(_MIRRORED) if each.embedding_level % 2 else each.character
        for each in seen
    )


def _script_missing(character: str) -> str:
    """The script of a character that no font of ours has; nothing for one that can be printed."""
    code = ord(character)
    if character == "\n" or code in characters("regular") or code in characters("fallback"):
        return ""
    return unicodedata.name(character, "unknown").partition(" ")[0].capitalize()
