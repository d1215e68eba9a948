"""Decisions on tips: what the client gives on top is the payee's as soon as it is paid (P25)."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from commissions.model import Tariff
from escrow.commands import Tip
from escrow.machine import FUNDINGS, Trigger
from escrow.model import Contract, Funding, FundingState, Method, Plan, Purpose
from escrow.model_price import Price, Pricing
from escrow.movements import p25_tip
from escrow.refusals import ContractNotRunning, Held, PartyNotClear
from escrow.rules import check_amount, check_text, roles, step
from escrow.rules_deal import event
from escrow.rules_funding import LONGEST_TOKEN, ask_of, created, fund_alarm, funding_facts
from escrow.rules_payout import Payout, pay, rows_of, security_alarm
from escrow.rules_price import client_fee_minor
from escrow.rules_rails import check_rail_account
from kernel.commands import Command
from ledger.chart import account
from ledger.model import Draft
from rails.capabilities import check_amount as check_possible


def tip(
    contract: Contract,
    *,
    unclear_parties: tuple[UUID, ...],
    held_by: tuple[str, ...],
    pricing: Pricing,
    command: Tip,
    release_id: UUID,
    at: datetime,
) -> Plan:
    """The client gives something on top, by a rail or from his wallet (P25)."""
    check_amount(command.amount_minor)
    check_text(command.method_token, field="method_token", longest=LONGEST_TOKEN)
    check_rail_account(command.rail_account)
    funding = _tip_funding(contract, pricing.client_tariff, command, at)
    is_wallet = command.method is Method.WALLET
    if not is_wallet:
        check_possible(funding.rail_account, funding.asked_minor, currency=funding.currency)
    trigger = Trigger.FUND_FROM_WALLET if is_wallet else Trigger.CREATE
    row, _ = step(FUNDINGS, None, trigger, roles(command.actor, contract))
    if contract.accepted_at is None:
        raise ContractNotRunning(contract_id=str(contract.id), state=contract.state)
    if unclear_parties:
        raise PartyNotClear(party_ids=[str(each) for each in unclear_parties])
    if not is_wallet:
        return Plan(
            drafts=(created(funding, command, at),),
            facts=funding_facts(funding),
            fundings=(funding,),
            alarms=(fund_alarm(funding, at),),
            asks=(ask_of(funding),),
        )
    if held_by:
        raise Held(contract_id=str(contract.id), holds=list(held_by))
    paid = replace(
        funding,
        state=FundingState(row.to),
        captured_minor=funding.asked_minor,
        release_id=release_id,
    )
    payout = tip_payout(paid, contract, pricing.price, release_id, at)
    return Plan(
        drafts=(tipped_event(paid, contract, payout, command, at),),
        facts=funding_facts(paid, release_id=str(release_id)),
        fundings=(paid,),
        **rows_of(payout),
        alarms=(security_alarm(payout.release),),
    )


def _tip_funding(contract: Contract, client_tariff: Tariff, command: Tip, at: datetime) -> Funding:
    return Funding(
        command.funding_id,
        contract.id,
        None,
        Purpose.TIP,
        command.method,
        command.rail_account,
        contract.currency,
        command.amount_minor,
        client_fee_minor(client_tariff, command.amount_minor),
        FundingState.CREATED,
        1,
        at,
        method_token=command.method_token,
    )


def tip_payout(
    funding: Funding, contract: Contract, price: Price, release_id: UUID, at: datetime
) -> Payout:
    """The payee's money of a tip, in its security hold; the client's fee is earned at once."""
    return pay(
        contract,
        price,
        funding.amount_minor,
        fee_earned_minor=funding.client_fee_minor,
        release_id=release_id,
        slot_id=None,
        at=at,
        strict=False,
    )


def tipped_event(
    paid: Funding, contract: Contract, payout: Payout, command: Command, at: datetime
) -> Draft:
    """What happened to the tip, with the entries of P25."""
    source = account("custody.processor_pending", paid.currency, paid.rail_account or "-")
    if paid.method is Method.WALLET:
        source = account("custody.wallet", paid.currency, contract.client_id)
    entries = p25_tip(
        source=source,
        payee_id=contract.payee_id,
        currency=paid.currency,
        amount_minor=paid.amount_minor,
        commission_minor=payout.charge.ours_minor,
        client_fee_minor=paid.client_fee_minor,
        rail_fee_minor=paid.rail_fee_minor,
    )
    detail = {
        "contract_id": str(contract.id),
        "release_id": str(payout.release.id),
        **payout.detail,
    }
    return event(
        command,
        at,
        kind="funding.tipped",
        subject=f"funding:{paid.id}",
        entries=payout.entries(entries),
        detail=detail,
    )
