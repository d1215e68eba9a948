"""The books of a tenant proven, and its client money held against the rail, in one snapshot."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Engine

from kernel import clock
from kernel.database import Tenant, snapshot
from kernel.money import format_minor
from ledger.proof import Proof, prove
from payouts.safeguarding import CurrencyReport, safeguarding
from rails.simulated.service import SimulatedRail


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """Whether the books are proven and client money is safe; a sentence for each thing wrong."""

    is_proven: bool
    is_safe: bool
    findings: tuple[str, ...]

    @property
    def is_clean(self) -> bool:
        """Whether nothing is wrong."""
        return self.is_proven and self.is_safe


def check_books(engine: Engine, tenant: Tenant) -> Checked:
    """Recount the books and compare them with what the rail itself says that it holds."""
    rail = SimulatedRail(engine, tenant.name)
    with snapshot(engine, tenant) as connection:
        balances = rail.balances(at=clock.now(connection))
        proof = prove(connection)
        safe = safeguarding(connection, balances)
    findings = (*_of_books(proof), *_of_money(safe.currencies))
    return Checked(is_proven=proof.is_clean, is_safe=safe.is_safe, findings=findings)


def _of_books(proof: Proof) -> list[str]:
    return [
        f"{finding.promise} is broken by {finding.count} rows: {'; '.join(finding.examples)}"
        for finding in proof.findings
    ]


def _of_money(currencies: Iterable[CurrencyReport]) -> list[str]:
    found = []
    for each in currencies:
        currency = each.currency
        found += [
            f"{difference.account} is {format_minor(difference.books_minor, currency)} {currency}"
            f" in the books and {format_minor(difference.other_minor, currency)} elsewhere"
            for difference in each.differences
        ]
        if each.resource_minor < each.requirement_minor:
            found.append(
                f"{format_minor(each.requirement_minor, currency)} {currency} are owed out of"
                f" client money and {format_minor(each.resource_minor, currency)} are there"
            )
    return found
