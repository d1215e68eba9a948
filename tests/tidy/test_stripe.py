"""Stripe is only ever asked through its own package: nothing stands in for it inside a test.

Objects of the package are no dicts, and its options are no parameters: a stand-in that lets both
pass hides what fails with real money (domain/rails.md 1.3 and 5).
"""

import ast
import re
from typing import Final

from tests.fixtures.sources import BESIDE, PRODUCT, sources

_STAND_INS: Final = re.compile(
    r"""patch(?:\.object)?\(\s*f?["']?stripe\b"""
    r"""|setattr\(\s*["']?stripe\b"""
    r"""|sys\.modules\[["']stripe"""
    r"""|^\s*stripe(?:\.\w+)+\s*=[^=]"""
    r"""|(?:Magic)?Mock\([^)]*stripe"""
)

_STAND_IN_PACKAGES: Final = frozenset({"responses", "respx", "stripe_mock", "unittest.mock", "vcr"})

_OPTIONS: Final = frozenset({"idempotency_key", "stripe_account"})

MAY_ASK_STRIPE: Final = "rails/stripe/"


def test_nothing_stands_in_for_the_stripe_package() -> None:
    """No test patches, replaces or fakes it, and none imports what would."""
    stand_ins = [
        f"{source.path}:{number}"
        for source in sources("tests")
        if source.path != "tests/tidy/test_stripe.py"
        for number, line in enumerate(source.text.splitlines(), start=1)
        if _STAND_INS.search(line)
    ]
    packages = [
        source.at(node)
        for source in sources("tests")
        if "stripe" in source.text
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        if _imported(node) & _STAND_IN_PACKAGES
    ]

    assert not stand_ins + packages, "\n".join(["", *stand_ins, *packages])


def test_the_search_finds_stand_ins() -> None:
    """The pattern knows the usual ways, and lets plain use pass."""
    fakes = (
        'mocker.patch("stripe.PaymentIntent.create")',
        "monkeypatch.setattr(stripe, 'api_base', url)",
        'sys.modules["stripe"] = fake',
        "stripe.api_key = 'x'",
        "fake = MagicMock(spec=stripe.StripeClient)",
    )
    plain = ("stripe.StripeClient(key, http_client=http)", "if stripe.api_key == key:")

    assert all(_STAND_INS.search(line) for line in fakes)
    assert not any(_STAND_INS.search(line) for line in plain)


def test_only_the_stripe_rail_imports_the_package() -> None:
    """One room of the product knows Stripe; everybody else knows a rail."""
    strangers = [
        source.at(node)
        for source in sources(*PRODUCT, *BESIDE)
        if not source.path.startswith((MAY_ASK_STRIPE, "tests/"))
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        if any(name.split(".")[0] == "stripe" for name in _imported(node))
    ]

    assert not strangers, "\n".join(["", *strangers])


def test_keys_and_accounts_go_into_the_options() -> None:
    """Among the parameters an idempotency key is silently lost: only one function names them."""
    lost = [
        source.at(node)
        for source in sources("rails")
        if source.path.startswith(MAY_ASK_STRIPE) and source.path != "rails/stripe/wire.py"
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Constant) and node.value in _OPTIONS
    ]

    assert not lost, "\n".join(["", *lost])


def _imported(node: ast.Import | ast.ImportFrom) -> set[str]:
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    return {node.module or ""}
