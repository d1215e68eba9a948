"""The whole price of a payment before anyone signs, by the very functions that post it.

`escrow.rules_price.charge` makes the commission, its tax and the exchange of a quote as of a
release, so that they agree to the minor unit as long as nothing else was billed in between.

Source: domain/escrow.md 3.3 (rules 4, 5) and 3.4.
"""

from commissions.maths import Before
from commissions.maths_parts import Part, What, parts
from commissions.model import Basis
from escrow.maths_hourly import amount_minor as amount_of_hours
from escrow.model import Contract, ConvertAt
from escrow.model_price import Charge, Exchange, Price
from escrow.model_quote import AskQuote, Ground, Quoted
from escrow.rules_price import charge, client_fee_minor
from escrow.rules_quote_net import gross_for_net
from kernel.errors import Refusal
from kernel.money import MAX_MINOR


class BadQuote(Refusal):
    """A quote needs a deal and one amount; `why` says what is wrong."""

    code = "fees.bad_quote"


def check(ask: AskQuote) -> None:
    """Refuses `fees.bad_quote`: neither one deal nor one amount, or more than one."""
    by_hours = ask.minutes is not None or ask.rate_minor is not None
    ways = [ask.amount_minor is not None, by_hours, ask.net_minor is not None]
    if sum(ways) != 1:
        raise BadQuote(why="one of amount, hours with their rate, or net is asked for")
    if by_hours and (ask.minutes is None or ask.rate_minor is None):
        raise BadQuote(why="hours need minutes and a rate")
    if by_hours and ask.kind is not Basis.HOURLY:
        raise BadQuote(why="hours are of an hourly term")
    if ask.kind is Basis.ANY:
        raise BadQuote(why="kind")
    parties = (ask.client_id, ask.payee_id, ask.currency)
    if ask.contract_id is None and None in parties:
        raise BadQuote(why="a contract, or client, payee and currency")
    if ask.contract_id is not None and any(each is not None for each in (*parties, ask.terms)):
        raise BadQuote(why="a contract has parties, currency and terms of its own: leave them out")
    if ask.client_id is not None and ask.client_id == ask.payee_id:
        raise BadQuote(why="client and payee are one party")


def quote(ground: Ground, ask: AskQuote) -> Quoted:
    """The whole price of a payment now, in one piece.

    Refuses `fees.net_out_of_reach`, `fees.bad_quote`, and `fx.*` where the payee's currency has
    no rate that a release would take. The payment after this one, and what this one costs without
    an experiment, refuse nothing: what cannot be converted there is told in the deal's currency.
    """
    _check_currency(ground.contract, ask)
    amount = _amount(ground.price, ask)
    if not 1 <= amount <= MAX_MINOR:
        raise BadQuote(why="the amount comes to nothing, or to more than we keep books of")
    fee = client_fee_minor(ground.client_tariff, amount)
    made = charge(ground.price, amount, fee_earned_minor=fee, strict=True)
    return Quoted(
        kind=ask.kind,
        amount_minor=amount,
        client_fee_minor=fee,
        charge=made,
        parts=commission_parts(ground.price, made),
        exchange=ground.price.exchange if isinstance(ground.price.exchange, Exchange) else None,
        following=charge(
            ground.price,
            amount,
            fee_earned_minor=0,
            strict=False,
            before=_after(ground.price, made),
        ),
        normal=None
        if ground.normal is None
        else charge(ground.normal, amount, fee_earned_minor=fee, strict=False),
    )


def _check_currency(contract: Contract, ask: AskQuote) -> None:
    """A net is what the payee gets in the end; all else is in the deal's currency."""
    wanted = contract.currency
    if ask.net_minor is not None and contract.terms.convert_at is ConvertAt.RELEASE:
        wanted = contract.terms.payee_currency or wanted
    if ask.stated_in not in {None, wanted}:
        raise BadQuote(why=f"the amount is to be in {wanted}")


def _amount(price: Price, ask: AskQuote) -> int:
    if ask.amount_minor is not None:
        return ask.amount_minor
    if ask.net_minor is not None:
        return gross_for_net(price, ask.net_minor)
    assert ask.minutes is not None
    assert ask.rate_minor is not None
    return amount_of_hours(ask.minutes, rate_minor=ask.rate_minor)


def _after(price: Price, made: Charge) -> Before:
    """What stands once this payment was billed."""
    pair = price.pair
    charged = pair.charged_in(price.month) + made.commission_minor
    return Before(pair.billed_minor + made.gross_minor, charged)


def commission_parts(price: Price, made: Charge) -> tuple[Part, ...]:
    """The commission of a charge as the sum of its parts: the normal fee's, then what is less."""
    before = Before(price.pair.billed_minor, price.pair.charged_in(price.month))
    found = parts(price.tariff, made.gross_minor, before)
    full = sum([each.fee_minor for each in found])
    if made.foregone_minor:
        found = (*found, Part(What.PROMOTION, -made.foregone_minor))
    limited = made.commission_minor + made.foregone_minor - full
    if limited:
        found = (*found, Part(What.TAX_WITHIN, limited))
    return found
