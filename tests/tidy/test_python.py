"""The conventions that a machine can hold, for every Python file.

What ruff holds is not repeated here: imports at the top (PLC0415), docstrings of public functions
and modules (D1), blind `except` (BLE001), 100 columns (E501).
"""

import ast
import re
from pathlib import PurePosixPath
from typing import Final

from tests.fixtures.sources import BESIDE, PRODUCT, Source, sources

LONGEST_FUNCTION: Final = 50
LONGEST_FILE: Final = 400
LONGEST_TEST_FILE: Final = 600

# A stranger runs it alone, without the rest: one file by promise.
ONE_FILE_BY_PROMISE: Final = frozenset({"ledger/verify.py"})

BANNED_NAMES: Final = frozenset(
    {"base", "common", "helper", "helpers", "misc", "util", "utils", "manager", "managers"}
)

# Where money is: no float may be written here.
MONEY: Final = ("commissions", "escrow", "ledger", "payouts", "reconciliation", "tax")

# The outermost frames of worker and API, which answer for whatever comes up from below.
MAY_CATCH_ALL: Final = frozenset(
    {"engine/group_commit.py", "engine/scanner.py", "engine/worker.py"}
)

# Called everywhere, and read aloud in this order: (amount, currency), (amount, rate),
# (kind, currency).
PLAIN_IN_ORDER: Final = frozenset(
    {
        "kernel/money.py parse_minor",
        "kernel/money.py share_bps",
        "ledger/cells.py write",
        "ledger/chart.py account",
    }
)

_TODO: Final = re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b(?!\(#\d+\))")


def test_a_function_fits_a_screen() -> None:
    """No function is longer than 50 lines: branch in the parent, compute in the leaves."""
    too_long = [
        f"{source.at(function)} {function.name}: {length} lines"
        for source in sources(*PRODUCT, *BESIDE)
        for function in source.functions()
        if (length := (function.end_lineno or 0) - function.lineno + 1) > LONGEST_FUNCTION
    ]

    assert not too_long, "\n".join(["", *too_long])


def test_a_file_is_read_in_one_sitting() -> None:
    """No file of the product is longer than 400 lines, no test file longer than 600."""
    too_long = [
        f"{source.path}: {length} lines"
        for source in sources(*PRODUCT, *BESIDE)
        if source.path not in ONE_FILE_BY_PROMISE
        and (length := source.text.count("\n"))
        > (LONGEST_TEST_FILE if source.path.startswith("tests/") else LONGEST_FILE)
    ]

    assert not too_long, "\n".join(["", *too_long])


def test_a_package_says_only_what_is_in_it() -> None:
    """An `__init__.py` is a docstring: a re-export would drag I/O into its pure siblings."""
    more = [
        source.path
        for source in sources(*PRODUCT, *BESIDE)
        if PurePosixPath(source.path).name == "__init__.py"
        and (len(source.tree.body) != 1 or ast.get_docstring(source.tree) is None)
    ]

    assert not more, "\n".join(["", *more])


def test_no_module_is_a_drawer() -> None:
    """A file or folder named utils, helpers, common or misc hides what it is about."""
    drawers = [
        source.path
        for source in sources(*PRODUCT, *BESIDE)
        if BANNED_NAMES & set(PurePosixPath(source.path).with_suffix("").parts)
    ]

    assert not drawers, "\n".join(["", *drawers])


def test_no_float_comes_near_money() -> None:
    """The packages that reckon money write no float literal and never call float()."""
    near_money = [source for source in sources("kernel") if source.path == "kernel/money.py"]
    floats = [
        source.at(node)
        for source in (*sources(*MONEY), *near_money)
        for node in ast.walk(source.tree)
        if (isinstance(node, ast.Constant) and isinstance(node.value, float))
        or (isinstance(node, ast.Name) and node.id == "float")
    ]

    assert not floats, "\n".join(["", *floats])


def test_nothing_catches_everything() -> None:
    """`except Exception` stands only in the outermost frames, or cleans up and raises again."""
    blind = [
        source.at(handler)
        for source in sources(*PRODUCT, *BESIDE)
        if source.path not in MAY_CATCH_ALL
        for handler in ast.walk(source.tree)
        if isinstance(handler, ast.ExceptHandler) and _is_blind(handler)
    ]

    assert not blind, "\n".join(["", *blind])


def test_a_todo_names_its_issue() -> None:
    """`TODO(#12)` is allowed, any other promise is not."""
    promises = [
        f"{source.path}:{number}"
        for source in sources(*PRODUCT, *BESIDE)
        if source.path != "tests/tidy/test_python.py"
        for number, line in enumerate(source.text.splitlines(), start=1)
        if "#" in line and _TODO.search(line.partition("#")[2])
    ]

    assert not promises, "\n".join(["", *promises])


def test_two_arguments_of_one_type_are_named_by_the_caller() -> None:
    """A public function with two amounts cannot be called with them in the wrong order."""
    confusable = [
        f"{source.at(function)} {function.name}"
        for source in sources(*PRODUCT)
        for function in _public_functions(source)
        if _has_twins(function) and f"{source.path} {function.name}" not in PLAIN_IN_ORDER
    ]

    assert not confusable, "\n".join(["", *confusable])


def _is_blind(handler: ast.ExceptHandler) -> bool:
    kind = handler.type
    catches_all = kind is None or (
        isinstance(kind, ast.Name) and kind.id in {"Exception", "BaseException"}
    )
    last = handler.body[-1]
    return catches_all and not (isinstance(last, ast.Raise) and last.exc is None)


def _public_functions(source: Source) -> list[ast.FunctionDef]:
    return [
        node
        for node in source.tree.body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    ]


def _has_twins(function: ast.FunctionDef) -> bool:
    """Whether two arguments of the same type can be given by position."""
    kinds = [
        ast.unparse(argument.annotation)
        for argument in (*function.args.posonlyargs, *function.args.args)
        if argument.annotation is not None
    ]
    return any(kinds.count(kind) > 1 for kind in kinds)
