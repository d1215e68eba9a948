"""Every refusal of the product has its words, and every word belongs to a refusal."""

import importlib
import pkgutil
import re
from collections.abc import Iterator

import pytest

from engine.refusals import REFUSALS, sentence, words
from kernel.errors import Refusal
from tests.fixtures.sources import PRODUCT

_STARTS_SOMETHING = re.compile(r"__main__$|\.env$|\.versions\.")


def _load_everything() -> None:
    for package in (*PRODUCT, "migrations"):
        found = importlib.import_module(package)
        for module in pkgutil.walk_packages(found.__path__, f"{package}."):
            if not _STARTS_SOMETHING.search(module.name):
                importlib.import_module(module.name)


def _refusals(root: type[Refusal] = Refusal) -> Iterator[type[Refusal]]:
    for refusal in root.__subclasses__():
        if refusal.__module__.partition(".")[0] != "tests":
            yield refusal
        yield from _refusals(refusal)


def test_every_refusal_has_its_words() -> None:
    """No code of the product is told as a mere conflict because nobody thought of it."""
    _load_everything()

    missing = sorted({refusal.code for refusal in _refusals()} - set(REFUSALS))

    assert not missing


def test_no_words_are_left_over() -> None:
    """A code that nothing refuses with any more is taken out of the table."""
    _load_everything()

    assert not sorted(set(REFUSALS) - {refusal.code for refusal in _refusals()})


@pytest.mark.parametrize("code", sorted(REFUSALS))
def test_words_are_a_status_a_title_and_a_sentence(code: str) -> None:
    """4xx for what the caller can mend, 5xx for what is ours; facts may be missing."""
    status, title, detail = words(code)

    assert status in {400, 401, 403, 404, 405, 408, 409, 413, 415, 422, 500, 503}
    ours = {"internal", "unavailable", "request.outcome_unknown", "log.signer_away"}
    assert (status >= 500) == (code in ours)
    assert title[0].isupper()
    assert title[-1] not in ".!"
    assert detail.rstrip().endswith((".", '".', "..."))
    assert "{" not in sentence(code, {})


def test_an_unlisted_code_is_told_plainly() -> None:
    """A new refusal that came without words is a conflict, not a fault."""
    assert words("moon.full").status == 409
    assert "moon.full" in sentence("moon.full", {"a": 1})


def test_a_fact_cannot_break_its_sentence() -> None:
    """Facts are put in as they are: braces in them are no names."""
    assert "{trigger}" in sentence("escrow.wrong_state", {"state": "{trigger}", "trigger": "x"})
