"""What a test owes its reader: a rule in one sentence, and something that can fail."""

import ast
from collections.abc import Iterator
from typing import Final

from tests.fixtures.sources import Function, Source, sources

# A call of one of these checks something: our own provers, and pytest's.
_CHECKS: Final = ("assert", "check", "expect", "prove", "raises", "refuses", "run_state_machine")


def _tests() -> Iterator[tuple[Source, Function]]:
    for source in sources("tests"):
        for function in source.functions():
            if function.name.startswith("test_"):
                yield source, function


def test_a_test_states_its_rule_in_a_sentence() -> None:
    """Every test has a docstring whose first paragraph is a sentence."""
    silent = [
        f"{source.at(function)} {function.name}"
        for source, function in _tests()
        if not (ast.get_docstring(function) or "").split("\n\n")[0].endswith((".", ":"))
    ]

    assert not silent, "\n".join(["", *silent])


def test_a_test_can_fail() -> None:
    """Every test asserts, expects a refusal, or calls something named for checking."""
    idle = [
        f"{source.at(function)} {function.name}"
        for source, function in _tests()
        if not any(_checks(node) for node in ast.walk(function))
    ]

    assert not idle, "\n".join(["", *idle])


def test_no_test_sleeps_to_let_something_happen() -> None:
    """A test waits for what it waits for, in steps of at most 50 milliseconds."""
    sleeps = [
        source.at(node)
        for source in sources("tests")
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in {"time.sleep", "sleep"}
        and not _is_short(node.args[0])
    ]

    assert not sleeps, "\n".join(["", *sleeps])


def _is_short(pause: ast.expr) -> bool:
    value = pause.value if isinstance(pause, ast.Constant) else None
    return isinstance(value, int | float) and value <= 0.05


def _checks(node: ast.AST) -> bool:
    if isinstance(node, ast.Assert):
        return True
    if not isinstance(node, ast.Call):
        return False
    name = ast.unparse(node.func).rpartition(".")[2]
    return name.lstrip("_").startswith(_CHECKS)
