"""All that moves cash at rails and banks: one function per money event, each giving its entries.

P-numbers are those of domain/escrow.md 2.10. Amounts are minor units; parts of zero leave no
line, and an entry without lines is left out. Every entry balances by itself, and what one book
owes the other stands in both (`ledger.chart.MIRRORS`).
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from ledger.chart import account
from ledger.entries import Entries, custody, platform
from ledger.model import AccountKey
from payouts.machine import Movement
from payouts.model import Payout
from payouts.model_settlement import Transfer
from rails.model import OWNER, RailAccount


def p02_become_available(*, rail_account: str, currency: str, amount_minor: int) -> Entries:
    """The processor's pending money has become available."""
    return custody(
        currency,
        (account("custody.processor_available", currency, rail_account), amount_minor),
        (account("custody.processor_pending", currency, rail_account), -amount_minor),
    )


def p02_land_in_bank(*, rail_account: str, currency: str, amount_minor: int) -> Entries:
    """The processor's available money has landed in the custody bank."""
    return custody(
        currency,
        (account("custody.bank", currency), amount_minor),
        (account("custody.processor_available", currency, rail_account), -amount_minor),
    )


def top_up_processor(*, rail_account: str, currency: str, amount_minor: int) -> Entries:
    """The other way round: client money goes back to the processor for refunds to be paid from."""
    return p02_land_in_bank(
        rail_account=rail_account, currency=currency, amount_minor=-amount_minor
    )


def p03_set_off(*, currency: str, amount_minor: int) -> Entries:
    """What each book owes the other is set off; no money moves."""
    return (
        *custody(
            currency,
            (account("custody.due_to_platform", currency), amount_minor),
            (account("custody.due_from_platform", currency), -amount_minor),
        ),
        *platform(
            currency,
            (account("platform.due_to_custody", currency), amount_minor),
            (account("platform.due_from_custody", currency), -amount_minor),
        ),
    )


def p03_top_up(*, currency: str, amount_minor: int) -> Entries:
    """The platform paid what it owed into the custody bank."""
    return (
        *custody(
            currency,
            (account("custody.bank", currency), amount_minor),
            (account("custody.due_from_platform", currency), -amount_minor),
        ),
        *platform(
            currency,
            (account("platform.due_to_custody", currency), amount_minor),
            (account("platform.bank", currency), -amount_minor),
        ),
    )


def p04_sweep(*, currency: str, amount_minor: int) -> Entries:
    """Earned fees have left client money for the platform's own bank."""
    return (
        *custody(
            currency,
            (account("custody.due_to_platform", currency), amount_minor),
            (account("custody.bank", currency), -amount_minor),
        ),
        *platform(
            currency,
            (account("platform.bank", currency), amount_minor),
            (account("platform.due_from_custody", currency), -amount_minor),
        ),
    )


def open_capital(*, currency: str, amount_minor: int) -> Entries:
    """The owner paid capital into the platform's bank."""
    return platform(
        currency,
        (account("platform.bank", currency), amount_minor),
        (account("platform.capital", currency), -amount_minor),
    )


def p37_request(payout: Payout) -> Entries:
    """The payee's available money is on its way out; the payout fee is earned."""
    currency = payout.currency
    return (
        *custody(
            currency,
            (account("custody.earned_available", currency, payout.payee_id), payout.amount_minor),
            (account("custody.payout_in_transit", currency, payout.id), -payout.net_minor),
            (account("custody.due_to_platform", currency), -payout.fee_minor),
        ),
        *platform(
            currency,
            (account("platform.due_from_custody", currency), payout.fee_minor),
            (account("platform.revenue.payout_fee", currency), -payout.fee_minor),
        ),
    )


def _left_from(payout: Payout) -> AccountKey:
    """The account that a payout leaves from: the custody bank, or one at a rail."""
    if not payout.paid_from:
        return account("custody.bank", payout.currency)
    return account("custody.processor_available", payout.currency, payout.paid_from)


def p38_pay(payout: Payout) -> Entries:
    """The payout has left the custody bank, or the account at the rail that pays it."""
    return custody(
        payout.currency,
        (account("custody.payout_in_transit", payout.currency, payout.id), payout.net_minor),
        (_left_from(payout), -payout.net_minor),
    )


def transfer_to_payee(payout: Payout) -> Entries:
    """The payout's money is at the payee's account, on its way: still client money, elsewhere."""
    return _between_rail_accounts(
        payout.currency, payout.net_minor, source=payout.rail, target=payout.paid_from
    )


def transfer_back(payout: Payout, amount_minor: int) -> Entries:
    """What a payout left in the payee's account is home on the platform's own again."""
    return _between_rail_accounts(
        payout.currency, amount_minor, source=payout.paid_from, target=payout.rail
    )


def _between_rail_accounts(
    currency: str, amount_minor: int, *, source: str, target: str
) -> Entries:
    return custody(
        currency,
        (account("custody.processor_available", currency, target), amount_minor),
        (account("custody.processor_available", currency, source), -amount_minor),
    )


def p39_give_back(payout: Payout) -> Entries:
    """The payout did not reach the payee: his money is available again, our fee is given back."""
    currency = payout.currency
    return (
        *custody(
            currency,
            (account("custody.payout_in_transit", currency, payout.id), payout.net_minor),
            (account("custody.due_from_platform", currency), payout.fee_minor),
            (account("custody.earned_available", currency, payout.payee_id), -payout.amount_minor),
        ),
        *platform(
            currency,
            (account("platform.revenue.payout_fee", currency), payout.fee_minor),
            (account("platform.due_to_custody", currency), -payout.fee_minor),
        ),
    )


def p40_return(payout: Payout) -> Entries:
    """A payout came back to where it had left from; the platform bears what was kept of it."""
    currency, charge_minor = payout.currency, payout.charge_minor
    return (
        *custody(
            currency,
            (_left_from(payout), payout.net_minor - charge_minor),
            (account("custody.due_from_platform", currency), charge_minor),
            (account("custody.payout_in_transit", currency, payout.id), -payout.net_minor),
        ),
        *platform(
            currency,
            (account("platform.expense.payout", currency), charge_minor),
            (account("platform.due_to_custody", currency), -charge_minor),
        ),
    )


PAYOUT_MOVEMENTS: Final[Mapping[Movement, Callable[[Payout], Entries]]] = MappingProxyType(
    {
        Movement.P37_REQUEST: p37_request,
        Movement.P38_PAY: p38_pay,
        Movement.P39_GIVE_BACK: p39_give_back,
        Movement.P40_RETURN: p40_return,
    }
)


def book_transfer(transfer: Transfer, *, rail_account: str, currency: str) -> Entries:
    """What a transfer between two accounts means in the books; KeyError for a way we never go."""
    way = (transfer.source, transfer.target)
    if way in _OF_THE_PROCESSOR:
        return _OF_THE_PROCESSOR[way](
            rail_account=rail_account, currency=currency, amount_minor=transfer.amount_minor
        )
    return _BETWEEN_BANKS[way](currency=currency, amount_minor=transfer.amount_minor)


_OF_THE_PROCESSOR: Final = MappingProxyType(
    {
        (RailAccount.PROCESSOR_AVAILABLE.value, RailAccount.CUSTODY_BANK.value): p02_land_in_bank,
        (RailAccount.CUSTODY_BANK.value, RailAccount.PROCESSOR_AVAILABLE.value): top_up_processor,
    }
)

_BETWEEN_BANKS: Final = MappingProxyType(
    {
        (RailAccount.PLATFORM_BANK.value, RailAccount.CUSTODY_BANK.value): p03_top_up,
        (RailAccount.CUSTODY_BANK.value, RailAccount.PLATFORM_BANK.value): p04_sweep,
        (OWNER, RailAccount.PLATFORM_BANK.value): open_capital,
    }
)
