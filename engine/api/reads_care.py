"""What can be looked at of the treasury, of blocked and unclaimed money, and of wallets."""

from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import BeforeValidator
from sqlalchemy import Connection

from engine.api import answers_care as answers
from engine.api.access import Scope
from engine.api.calls import Look, Page, PageQuery, Read, after_id, by_id, declare, page_of
from engine.api.models import Id
from engine.api.refusals import PlatformOnly
from kernel import clock
from kernel.money import to_json
from payouts import store_blocked, store_dormant, store_treasury, store_wallet
from payouts.model_blocked import block_facts
from payouts.model_dormant import remittance_facts, rule_facts, unclaimed_facts
from payouts.model_wallet import top_up_facts, withdrawal_facts
from payouts.treasury import rule_facts as treasury_facts
from payouts.treasury_page import page

_NEWEST: Final = 100


def _truth(text: object) -> object:
    return {"true": True, "false": False}.get(str(text), text)


class BlocksQuery(PageQuery):
    """All blocks, or those that stand; of all parties, or of one."""

    standing: Annotated[bool, BeforeValidator(_truth)] = False
    party_id: Id | None = None


def _platform(look: Look) -> None:
    if look.sees_only is not None:
        raise PlatformOnly


def _treasury(connection: Connection, look: Look) -> dict[str, Any]:
    _platform(look)
    at = clock.now(connection)
    return {"at": at.isoformat(), "currencies": page(connection, at=at)}


def _rules(connection: Connection, look: Look) -> Page:
    _platform(look)
    rules = store_treasury.list_rules(connection, clock.now(connection))
    return Page([treasury_facts(each) for each in rules], None)


def _blocks(connection: Connection, look: Look) -> Page:
    _platform(look)
    limit = look.query.limit
    rows = store_blocked.list_blocks(
        connection,
        party_id=look.query.party_id,
        standing=look.query.standing,
        after=after_id(look),
        limit=limit + 1,
    )
    return page_of(rows, limit, show=block_facts, key=by_id)


def _dormancy(connection: Connection, look: Look) -> Page:
    _platform(look)
    return Page([rule_facts(each) for each in store_dormant.list_rules(connection)], None)


def _unclaimed(connection: Connection, look: Look) -> Page:
    limit = look.query.limit
    rows = store_dormant.list_unclaimed(
        connection, party_id=look.sees_only, after=after_id(look), limit=limit + 1
    )
    return page_of(rows, limit, show=unclaimed_facts, key=by_id)


def _remittances(connection: Connection, look: Look) -> Page:
    _platform(look)
    limit = look.query.limit
    rows = store_dormant.list_remittances(connection, after=after_id(look), limit=limit + 1)
    return page_of(rows, limit, show=remittance_facts, key=by_id)


def _wallet(connection: Connection, look: Look) -> dict[str, Any] | None:
    party_id: UUID = look.ids["party_id"]
    if look.sees_only not in {None, party_id}:
        return None
    balances = store_wallet.list_balances(connection, party_id)
    top_ups = store_wallet.list_top_ups(connection, party_id, after=None, limit=_NEWEST)
    parts = store_wallet.list_withdrawals(connection, party_id, after=None, limit=_NEWEST)
    return {
        "party_id": str(party_id),
        "balances": [to_json(minor, currency) for currency, minor in balances.items()],
        "top_ups": [top_up_facts(each) for each in top_ups],
        "withdrawals": [withdrawal_facts(each) for each in parts],
    }


CARE_READS: Final[tuple[Read, ...]] = (
    declare(
        "/v1/treasury",
        Scope.LEDGER_READ,
        _treasury,
        answers.TreasuryAnswer,
        summary="What is where, why it stays, and what settles next",
    ),
    declare(
        "/v1/treasury/rules",
        Scope.LEDGER_READ,
        _rules,
        answers.TreasuryRuleAnswer,
        summary="What becomes of free money at rail accounts now",
        query=PageQuery,
        pages=True,
    ),
    declare(
        "/v1/sanctions/blocks",
        Scope.LEDGER_READ,
        _blocks,
        answers.BlockAnswer,
        summary="Blocked money, when it is to be reported, and what was given back",
        query=BlocksQuery,
        pages=True,
    ),
    declare(
        "/v1/unclaimed/rules",
        Scope.LEDGER_READ,
        _dormancy,
        answers.DormancyRuleAnswer,
        summary="Rules of dormancy",
        query=PageQuery,
        pages=True,
    ),
    declare(
        "/v1/unclaimed",
        Scope.PAYOUTS_READ,
        _unclaimed,
        answers.UnclaimedAnswer,
        summary="Money that became unclaimed, and where it is now",
        query=PageQuery,
        pages=True,
    ),
    declare(
        "/v1/remittances",
        Scope.LEDGER_READ,
        _remittances,
        answers.RemittanceAnswer,
        summary="Unclaimed money on its way to states",
        query=PageQuery,
        pages=True,
    ),
    declare(
        "/v1/wallets/{party_id}",
        Scope.PAYOUTS_READ,
        _wallet,
        answers.WalletAnswer,
        summary="What lies in a client's wallet, how it came and went (the first hundred)",
    ),
)
"""Every look at money at rest."""
