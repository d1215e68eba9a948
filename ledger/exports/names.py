"""Names of accounts that hledger and beancount both take, and the way back; pure.

`custody.earned_available[0190-ab] EUR` becomes `Liabilities:Custody:Earned-available:S-0190-ab`
with the commodity `EUR`:

- the root says which statement the account belongs to (a clearing account: Equity);
- each word of the kind begins with a capital, and `_` is written `-`;
- the subject, if any, follows `S-`. Letters and digits of ASCII stand for themselves, and so does a
  `-` between two of them; any other character is `--` its code point in hexadecimal `-`.

`docs/exports.md` says the same for readers of the files.
"""

import re
from types import MappingProxyType
from typing import Final

ROOTS: Final = MappingProxyType(
    {
        "asset": "Assets",
        "liability": "Liabilities",
        "equity": "Equity",
        "clearing": "Equity",
        "revenue": "Income",
        "expense": "Expenses",
    }
)

OPENING: Final = "Equity:Opening-balances"
"""Against it the balances before a period are brought in; it ends at zero. No kind is named so."""

_ODD: Final = re.compile(r"(?<![A-Za-z0-9])-|-(?![A-Za-z0-9])|[^A-Za-z0-9-]", re.ASCII)
_ESCAPED: Final = re.compile(r"--([0-9a-f]+)-", re.ASCII)
_KIND: Final = re.compile(r"[a-z][a-z0-9_]*(?:\.(?!s_)[a-z][a-z0-9_]*)+", re.ASCII)


def tool_name(*, kind: str, nature: str, subject: str) -> str:
    """The account's name in both tools; accounts that differ only in currency share one."""
    assert _KIND.fullmatch(kind), kind
    words = [word.capitalize().replace("_", "-") for word in kind.split(".")]
    if subject:
        words.append("S-" + _ODD.sub(_escape, subject))
    return ":".join((ROOTS[nature], *words))


def kind_and_subject(name: str) -> tuple[str, str]:
    """The kind and the subject of the account that `tool_name` named so."""
    words = name.split(":")[1:]
    subject = ""
    if words[-1].startswith("S-"):
        subject = _ESCAPED.sub(_unescape, words.pop()[2:])
    return ".".join(word.lower().replace("-", "_") for word in words), subject


def _escape(match: re.Match[str]) -> str:
    return f"--{ord(match[0]):x}-"


def _unescape(match: re.Match[str]) -> str:
    return chr(int(match[1], 16))
