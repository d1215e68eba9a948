"""The books of a tenant proven, and its client money held against the rail, in one snapshot."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Engine

from engine.rails import RailHouse
from escrow.store_fee_proof import prove_fees
from kernel import clock
from kernel.database import Tenant, snapshot
from kernel.money import format_minor
from ledger.proof import Proof, prove
from ledger.store_adoption import list_opening
from payouts.safeguarding import ACCOUNTS, CurrencyReport, safeguarding
from rails import service as operations
from rails.capabilities import BANK, SIMULATED
from rails.model import RailBalance
from rails.port import Rail
from rails.simulated.service import SimulatedRail

_BANKS: Final = (SIMULATED.rail_account, BANK.rail_account)
"""Rails that count our banks' money themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """Whether the books are proven and client money is safe; a sentence for each thing wrong.

    `notes` says what was taken on the word of others.
    """

    is_proven: bool
    is_safe: bool
    findings: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def is_clean(self) -> bool:
        """Whether nothing is wrong."""
        return self.is_proven and self.is_safe


def check_books(engine: Engine, tenant: Tenant, rails: Sequence[Rail] | None = None) -> Checked:
    """Recount the books and compare them with what the rails themselves say that they hold.

    `rails` are those of the environment if left out. Rails out there are asked before the books
    are read: what moves meanwhile shows as a difference, and is gone when asked again. Money that
    an adoption opened the books with lies at rails and banks of before, which no rail here knows.
    It is counted as there, and told; so is what a processor sent to our banks and has not arrived.
    """
    serving = RailHouse(engine).every(tenant) if rails is None else rails
    own = [rail for rail in serving if isinstance(rail, SimulatedRail)]
    with snapshot(engine, tenant) as connection:
        at = clock.now(connection)
    balances = [
        balance
        for rail in serving
        if not isinstance(rail, SimulatedRail)
        for balance in rail.balances(at=at)
    ]
    with snapshot(engine, tenant) as connection:
        for rail in own:
            balances += rail.balances(at=clock.now(connection))
        proof = prove(connection)
        adopted = list_opening(connection, [kind for kind, _ in ACCOUNTS])
        between = operations.list_between(connection, _BANKS)
        balances += [balance for balance, _ in between]
        safe = safeguarding(connection, [*balances, *_elsewhere(adopted)])
        fees = prove_fees(connection)
    findings = (*_of_books(proof), *fees, *_of_money(safe.currencies))
    return Checked(
        is_proven=proof.is_clean and not fees,
        is_safe=safe.is_safe,
        findings=findings,
        notes=(
            *(
                f"{format_minor(amount_minor, currency)} {currency} of {kind} came in by an"
                " adoption: no rail here knows it, so it is taken as told"
                for kind, currency, amount_minor in adopted
            ),
            *(
                f"{format_minor(each.amount_minor, each.currency)} {each.currency} are on their way"
                " from a processor to our bank"
                for each, is_coming in between
                if is_coming
            ),
        ),
    )


def _elsewhere(adopted: Iterable[tuple[str, str, int]]) -> list[RailBalance]:
    shown_by = dict(ACCOUNTS)
    return [
        RailBalance(shown_by[kind], currency, amount_minor)
        for kind, currency, amount_minor in adopted
    ]


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
        if each.missing_minor:
            found.append(
                f"{format_minor(each.requirement_minor, currency)} {currency} are owed out of"
                f" client money and {format_minor(each.resource_minor, currency)} are there"
            )
    return found
