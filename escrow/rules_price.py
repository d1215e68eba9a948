"""What a release costs and what comes back of it: the one function of quotes and postings.

Amounts are minor units of the contract's currency, unless said.

Source: domain/escrow.md 3.3, rules 1, 2, 4 and 7; P08, P33.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Final, NamedTuple
from uuid import UUID

from commissions.maths import Before, fee, fee_with_promotion
from commissions.model import Band, Tariff
from escrow.model import Contract
from escrow.model_price import Charge, FeeKind, FeeLine, Pair, Price, Returned
from escrow.rules_exchange import exchanged
from kernel.errors import Broken
from kernel.money import share_bps
from tax.model_vat import Decision

_WHOLE_BPS = 10_000


NOTHING_BACK: Final = Returned(0, {}, ())


class Fee(NamedTuple):
    """A commission with its tax, and what a promotion forwent of it."""

    fee_minor: int
    tax_minor: int
    foregone_minor: int


def month_of(at: datetime) -> date:
    """The first day of the calendar month (UTC) of an instant."""
    return at.astimezone(UTC).date().replace(day=1)


@lru_cache(maxsize=4_096)
def flat(currency: str, rate_bps: int) -> Tariff:
    """One rate for all, as a contract's terms name it."""
    return Tariff(currency, (Band(None, rate_bps),))


def fee_of(
    tariff: Tariff,
    promoted: Tariff | None,
    amount_minor: int,
    before: Before,
    *,
    tax_rate_bps: int,
) -> Fee:
    """The commission on an amount with its tax; together they are never more than the amount."""
    foregone = 0
    if promoted is None:
        charged = fee(tariff, amount_minor, before)
    else:
        charged, foregone = fee_with_promotion(tariff, amount_minor, before, promoted=promoted)
    tax = share_bps(charged, tax_rate_bps)
    if charged + tax > amount_minor:
        charged = amount_minor * _WHOLE_BPS // (_WHOLE_BPS + tax_rate_bps)
        tax = min(share_bps(charged, tax_rate_bps), amount_minor - charged)
    return Fee(charged, tax, foregone)


def tax_within(total_minor: int, *, rate_bps: int) -> int:
    """The tax that a price has in it, half up: what the rest bears, to the minor unit."""
    whole = _WHOLE_BPS + rate_bps
    return (2 * total_minor * rate_bps + whole) // (2 * whole)


def client_fee_minor(tariff: Tariff, amount_minor: int, *, before_minor: int = 0) -> int:
    """The client's fee on a payment, its tax included, after what he paid for the same before."""
    return fee(tariff, amount_minor, Before(before_minor))


def charge(
    price: Price,
    amount_minor: int,
    *,
    fee_earned_minor: int,
    strict: bool,
    before: Before | None = None,
) -> Charge:
    """The price of releasing an amount now, after all that the pair was billed before.

    `fee_earned_minor` is the client's deferred fee that the release earns. Where the payee's
    currency has no rate today a `strict` release is refused (`fx.stale_rate`, `fx.no_rate`,
    `fx.too_small`, ...); another pays him in the contract's currency and says so. `before`: after
    that instead, for what a later one would cost.
    """
    found = fee_of(
        price.tariff,
        price.promoted,
        amount_minor,
        _before(price.pair, price.month) if before is None else before,
        tax_rate_bps=_rate(price.tax),
    )
    net = amount_minor - found.fee_minor - found.tax_minor
    paid = exchanged(net, price, strict=strict)
    return Charge(
        gross_minor=amount_minor,
        commission_minor=found.fee_minor,
        tax_minor=found.tax_minor,
        foregone_minor=found.foregone_minor,
        fee_earned_minor=fee_earned_minor,
        fee_tax_minor=tax_within(fee_earned_minor, rate_bps=_rate(price.fee_tax)),
        paid_currency=paid.currency,
        paid_minor=paid.paid_minor,
        unconverted=paid.unconverted,
        exchange=paid.exchange,
        quote=paid.quote,
        instead=paid.instead,
    )


def lines_of(
    made: Charge, price: Price, contract: Contract, *, release_id: UUID, slot_id: UUID | None
) -> tuple[FeeLine, ...]:
    """The fee lines of a release: the commission, and the client's fee that it earned."""
    pair = price.pair
    commission = FeeLine(
        kind=FeeKind.COMMISSION,
        contract_id=contract.id,
        release_id=release_id,
        slot_id=slot_id,
        party_id=contract.payee_id,
        client_id=contract.client_id,
        payee_id=contract.payee_id,
        currency=contract.currency,
        gross_minor=made.gross_minor,
        fee_minor=made.commission_minor,
        tax_minor=made.tax_minor,
        tax_country=_country(price.tax),
        tax_rate_bps=_rate(price.tax),
        treatment=price.tax.treatment.value if price.tax else None,
        note=price.tax.note if price.tax else None,
        before_minor=pair.billed_minor,
        before_month_minor=pair.charged_in(price.month),
        is_promoted=price.promoted is not None,
        foregone_minor=made.foregone_minor,
        schedule_id=price.schedule_id,
        promotion_id=price.promotion_id,
        month=price.month,
    )
    if not made.fee_earned_minor:
        return (commission,)
    return (commission, _client_line(commission, price, contract, made.fee_earned_minor))


def earn_late(price: Price, contract: Contract, fee_minor: int) -> tuple[FeeLine, ...]:
    """The line of a client's fee that is earned after the release that it belongs to: the newest.

    What a week's line leaves of the fee when all of its money went back was paid for money that
    was released before.
    """
    if not fee_minor:
        return ()
    releases = [line for line in price.lines if line.kind is FeeKind.COMMISSION]
    if not releases:
        raise Broken("a fee is earned that nothing was released for", fee_minor=fee_minor)
    return (_client_line(releases[-1], price, contract, fee_minor),)


def _client_line(commission: FeeLine, price: Price, contract: Contract, fee_minor: int) -> FeeLine:
    """A client's fee that a release earns, beside the line of its commission; its tax is in it."""
    tax_minor = tax_within(fee_minor, rate_bps=_rate(price.fee_tax))
    return replace(
        commission,
        kind=FeeKind.CLIENT_FEE,
        party_id=contract.client_id,
        gross_minor=0,
        fee_minor=fee_minor - tax_minor,
        tax_minor=tax_minor,
        tax_country=_country(price.fee_tax),
        tax_rate_bps=_rate(price.fee_tax),
        treatment=price.fee_tax.treatment.value if price.fee_tax else None,
        note=price.fee_tax.note if price.fee_tax else None,
        before_minor=0,
        before_month_minor=0,
        is_promoted=False,
        foregone_minor=0,
        schedule_id=contract.pins.client_schedule_id,
        promotion_id=None,
    )


def give_back(price: Price, amount_minor: int, *, release_id: UUID | None = None) -> Returned:
    """What comes back of the commission when released money does: newest release first.

    `price.lines` are all lines of the slot, oldest first; `release_id` names one release, where
    only that one gives back. What stays is the fee of what the payee keeps, to the minor unit.
    """
    left, made = amount_minor, []
    for lines in reversed(list(_by_release(price.lines, FeeKind.COMMISSION).values())):
        kept = sum(line.gross_minor for line in lines)
        if release_id is None or lines[0].release_id == release_id:
            part = min(left, kept)
            if part:
                made.append(_moved(price, lines, kept, kept - part))
            left -= part
    if left:
        raise Broken("more came back than was released", left_minor=left)
    return _returned(made)


def take_again(price: Price, amount_minor: int, *, release_id: UUID | None = None) -> Returned:
    """The commission that is earned again when money that had come back is the payee's once more.

    The exact inverse of `give_back`: what came back last is restored first. The lines are positive.
    """
    lines = [
        line
        for line in price.lines
        if line.kind is FeeKind.COMMISSION and release_id in {None, line.release_id}
    ]
    groups = _by_release(lines, FeeKind.COMMISSION)
    left, made = amount_minor, []
    for each, gone in reversed(_gone(lines)):
        part = min(left, gone)
        if part:
            kept = sum(line.gross_minor for line in groups[each])
            again = _moved(price, groups[each], kept, kept + part)
            groups[each].append(again)
            made.append(again)
        left -= part
    if left:
        raise Broken("more was restored than had come back", left_minor=left)
    return _returned(made)


def _gone(lines: Sequence[FeeLine]) -> list[tuple[UUID, int]]:
    """What came back and was not restored since: (release, minor units), in its order."""
    stack: list[tuple[UUID, int]] = []
    seen: set[UUID] = set()
    for line in lines:
        if line.release_id not in seen:
            seen.add(line.release_id)
        elif line.gross_minor < 0:
            stack.append((line.release_id, -line.gross_minor))
        else:
            _restored(stack, line)
    return stack


def _restored(stack: list[tuple[UUID, int]], line: FeeLine) -> None:
    """Take a restored part off what had come back of its release, the last of it first."""
    left = line.gross_minor
    for place in range(len(stack) - 1, -1, -1):
        release_id, gone = stack[place]
        if release_id == line.release_id and left:
            part = min(left, gone)
            stack[place] = (release_id, gone - part)
            left -= part


def move_client_fee(price: Price, amount_minor: int) -> tuple[FeeLine, ...]:
    """The lines of a client's earned fee of which so much comes back, or returns (below zero)."""
    left, made = amount_minor, []
    groups = list(_by_release(price.lines, FeeKind.CLIENT_FEE).values())
    for lines in reversed(groups) if amount_minor > 0 else groups:
        kept = sum(line.total_minor for line in lines)
        part = min(left, kept) if left > 0 else max(left, min(0, kept - lines[0].total_minor))
        if part:
            rate = lines[0].tax_rate_bps
            tax = tax_within(kept - part, rate_bps=rate) - tax_within(kept, rate_bps=rate)
            made.append(replace(lines[0], fee_minor=-part - tax, tax_minor=tax))
        left -= part
    if left:
        raise Broken("more of a client's fee moved than was earned", left_minor=left)
    return tuple(made)


def with_lines(price: Price, lines: Sequence[FeeLine]) -> Price:
    """The price after further lines of the same slot."""
    return replace(price, lines=(*price.lines, *lines))


def taxes_of(lines: Sequence[FeeLine]) -> Mapping[str, int]:
    """The tax of lines by country."""
    found: dict[str, int] = defaultdict(int)
    for line in lines:
        if line.tax_minor:
            found[line.tax_country or ""] += line.tax_minor
    return dict(found)


def standing(lines: Sequence[FeeLine]) -> FeeLine:
    """The line of a release that its fee stands on: the last that was earned.

    The first, unless its tax was credited: then it was taken back and earned anew without.
    """
    return next(line for line in reversed(lines) if line.gross_minor > 0)


def _moved(price: Price, lines: Sequence[FeeLine], kept_minor: int, keeps_minor: int) -> FeeLine:
    """The line by which a release that kept so much keeps another part of it."""
    first = standing(lines)
    tariff = price.tariffs[first.schedule_id]
    promoted = price.tariffs[first.promotion_id] if first.is_promoted else None
    before = Before(first.before_minor, first.before_month_minor)
    was, stays = (
        fee_of(tariff, promoted, amount, before, tax_rate_bps=first.tax_rate_bps)
        for amount in (kept_minor, keeps_minor)
    )
    return replace(
        first,
        gross_minor=keeps_minor - kept_minor,
        fee_minor=stays.fee_minor - was.fee_minor,
        tax_minor=stays.tax_minor - was.tax_minor,
        foregone_minor=stays.foregone_minor - was.foregone_minor,
    )


def _returned(lines: Sequence[FeeLine]) -> Returned:
    return Returned(
        abs(sum(line.fee_minor for line in lines)),
        {country: abs(tax) for country, tax in taxes_of(lines).items()},
        tuple(lines),
    )


def _by_release(lines: Sequence[FeeLine], kind: FeeKind) -> dict[UUID, list[FeeLine]]:
    """The lines of each release, in the order of the releases."""
    found: dict[UUID, list[FeeLine]] = {}
    for line in lines:
        if line.kind is kind:
            found.setdefault(line.release_id, []).append(line)
    return found


def _before(pair: Pair, month: date) -> Before:
    return Before(pair.billed_minor, pair.charged_in(month))


def _rate(tax: Decision | None) -> int:
    return tax.rate_bps if tax else 0


def _country(tax: Decision | None) -> str | None:
    return tax.country if tax else None
