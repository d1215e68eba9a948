"""JSON that readers could disagree about is refused; what is left reads the same everywhere.

Numbers are lines of domain/audit-and-reliability.md 4.3.
"""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.api.refusals import Unreadable
from engine.api.strict_json import DEEPEST, canonical, parse

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b'{"a": NaN}', "number"),
        (b'{"a": Infinity}', "number"),
        (b'{"a": -Infinity}', "number"),
        (b'{"a": 1e400}', "number"),
        (b'{"a": ' + b"9" * 5_000 + b"}", "number"),
        (b'{"a": 0.' + b"9" * 5_000 + b"}", "number"),
        (b'{"a": 1, "a": 2}', "duplicate_key"),
        (b'{"a": 1, "\\u0061": 2}', "duplicate_key"),
        (b'{"b": [{"a": 1, "a": 1}]}', "duplicate_key"),
        (b'{"a": "\\ud800"}', "lone_surrogate"),
        (b'{"\\udfff": 1}', "lone_surrogate"),
        (b'{"a": ["\\u0000"]}', "nul"),
        (b'{"a": "\x00"}', "syntax"),
        (b"\xef\xbb\xbf{}", "byte_order_mark"),
        ('{"a": 1}'.encode("utf-16"), "encoding"),
        (b'{"a": "\xed\xa0\x80"}', "encoding"),
        (b'{"a": "\xc0\xaf"}', "encoding"),
        (b"[" * 100_000 + b"]" * 100_000, "depth"),
        (b'{"a":' * 17 + b"1" + b"}" * 17, "depth"),
        (b"[" * 100_000, "depth"),
        (b"", "syntax"),
        (b"{} {}", "syntax"),
        (b"{'a': 1}", "syntax"),
        (b'{"a": 1,}', "syntax"),
        (b'{"a": 01}', "syntax"),
    ],
)
def test_what_parsers_disagree_about_is_refused(body: bytes, why: str) -> None:
    """Lines 8, 10, 12, 13, 14, 18, 19: refused, with the reason and never the content."""
    with pytest.raises(Unreadable) as refusal:
        parse(body)

    assert refusal.value.facts["why"] == why


def test_brackets_inside_a_text_are_no_nesting() -> None:
    """Depth counts lists and objects, not characters that look like them."""
    body = json.dumps({"a": "[" * 100, "b": '"[{' * 20, "c": "\\" * 9}).encode()

    assert parse(body)["a"] == "[" * 100


def test_nesting_up_to_the_limit_is_read() -> None:
    """Sixteen levels are read; the seventeenth is not."""
    assert parse(b"[" * DEEPEST + b"]" * DEEPEST)


def test_an_escaped_pair_is_one_character() -> None:
    """A surrogate pair is a character; only a lone half is refused."""
    assert parse(b'{"a": "\\ud83d\\ude00"}') == {"a": "\N{GRINNING FACE}"}


@given(VALUES)
def test_what_is_accepted_reads_like_any_json(value: object) -> None:
    """Whatever a good writer writes is read as it was meant, unless it holds NUL."""
    body = json.dumps({"value": value}).encode()
    if b"\\u0000" in body:
        with pytest.raises(Unreadable):
            parse(body)
        return

    assert parse(body) == {"value": value}


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), VALUES))
def test_canonical_bytes_do_not_depend_on_the_order_of_keys(value: dict[str, object]) -> None:
    """The same request hashes alike, however its keys were ordered."""
    reversed_keys = dict(reversed(value.items()))

    assert canonical(value) == canonical(reversed_keys)
    assert json.loads(canonical(value)) == value
