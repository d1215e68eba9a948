"""camt.052, camt.053 and camt.054 of every version: reports, statements and notifications.

The sign is that of `CdtDbtInd`, also of a reversal (`RvslInd` only says that it is one). An entry
with several transactions is one line for each where their amounts make the entry; where they carry
no amounts it stays one line with all their references.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from rails.statements.model import (
    MOST_LINES,
    Statement,
    StatementLine,
    Unreadable,
    check_total,
    check_totals,
    identified,
    known_currency,
    masked,
    named,
    read_count,
    read_day,
    read_minor,
)
from rails.statements.xml_events import Node, walk

_KINDS: Final = {"Stmt": "camt.053", "Rpt": "camt.052", "Ntfctn": "camt.054"}
_BOOKED: Final = "BOOK"
_OPENING: Final = ("OPBD", "PRCD")
_CLOSING: Final = ("CLBD",)


@dataclass(slots=True)
class _Entries:
    """The lines of the statement that is being read, and what its totals must say."""

    lines: list[StatementLine] = field(default_factory=list)
    amounts: list[int] = field(default_factory=list)
    currency: str = ""


def read(data: bytes) -> list[Statement]:
    """The statements of a file, in its order; `statement.unreadable` if one is not sound."""
    found: list[Statement] = []
    entries = _Entries()

    def take(node: Node, above: tuple[str, ...]) -> bool:
        nonlocal entries
        if node.name == "Ntry" and above and above[-1] in _KINDS:
            _take_entry(entries, node)
            return True
        if node.name in _KINDS and len(above) == 2:
            found.append(_statement(node, entries))
            entries = _Entries()
            return True
        return False

    walk(data, take)
    if not found:
        raise Unreadable(1, "there is no camt.052, .053 or .054 statement in it")
    return found


def _take_entry(entries: _Entries, node: Node) -> None:
    if len(entries.lines) >= MOST_LINES:
        raise Unreadable(node.line, f"there are more than {MOST_LINES} lines")
    minor, currency = _amount(node)
    entries.currency = entries.currency or currency
    if currency != entries.currency:
        raise Unreadable(node.line, f"an entry in {currency} among entries in {entries.currency}")
    whole = _line(node, minor, currency)
    entries.lines += _parts(node, whole)
    entries.amounts.append(minor)


def _line(node: Node, minor: int, currency: str) -> StatementLine:
    status = node.say("Sts/Cd") or node.say("Sts/Prtry") or node.say("Sts")
    if not status:
        raise Unreadable(node.line, "the entry has no status (Sts)")
    booked, valued = _day(node, "BookgDt"), _day(node, "ValDt")
    day = booked or valued
    if day is None:
        raise Unreadable(node.line, "the entry has neither a booking nor a value date")
    return StatementLine(
        amount_minor=minor,
        currency=currency,
        booked_on=day,
        value_on=valued or day,
        ref=named(node.say("AcctSvcrRef")),
        group_ref=_group(node),
        other_refs=_names(node.say("NtryRef")),
        kind=_code(node),
        text=masked(node.say("AddtlNtryInf")),
        is_reversal=node.say("RvslInd") in {"true", "1"},
        is_pending=status != _BOOKED,
        file_line=node.line,
    )


def _parts(node: Node, whole: StatementLine) -> list[StatementLine]:
    """The transactions of an entry as lines of their own, or the entry with their references."""
    details = [part for group in node.all("NtryDtls") for part in group.all("TxDtls")]
    if not details:
        return [whole]
    if len(details) == 1:
        return [_with_references(whole, details)]
    _check_batches(node)
    amounts = [_part_amount(part, whole) for part in details]
    if any(amount is None for amount in amounts):
        return [_with_references(whole, details)]
    minors = [amount for amount in amounts if amount is not None]
    signed = [
        -minor if _is_debit(part, whole.amount_minor < 0) else minor
        for minor, part in zip(minors, details, strict=True)
    ]
    if sum(signed) != whole.amount_minor and sum(minors) == abs(whole.amount_minor):
        signed = [-minor if whole.amount_minor < 0 else minor for minor in minors]
    check_total("transactions", told=whole.amount_minor, found=sum(signed), line=node.line)
    return [
        _part(whole, part, minor, number)
        for number, (part, minor) in enumerate(zip(details, signed, strict=True), start=1)
    ]


def _part(whole: StatementLine, part: Node, minor: int, number: int) -> StatementLine:
    own = named(part.say("Refs/AcctSvcrRef"))
    if own in {"", whole.ref}:
        own = f"{whole.ref}/{number}" if whole.ref else ""
    line = StatementLine(
        amount_minor=minor,
        currency=whole.currency,
        booked_on=whole.booked_on,
        value_on=whole.value_on,
        ref=own,
        group_ref=whole.group_ref or whole.ref,
        kind=whole.kind,
        is_reversal=whole.is_reversal,
        is_pending=whole.is_pending,
        file_line=part.line,
    )
    return _with_references(line, [part])


def _with_references(line: StatementLine, details: Sequence[Node]) -> StatementLine:
    ends = [end for part in details if (end := named(part.say("Refs/EndToEndId")))]
    others = [
        name
        for part in details
        for path in ("InstrId", "TxId", "ClrSysRef", "AcctSvcrRef", "ChqNb", "MndtId")
        if (name := named(part.say(f"Refs/{path}")))
    ]
    others += [name for part in details for name in part.every("RmtInf/Strd/CdtrRefInf/Ref")]
    texts = [text for part in details for text in part.every("RmtInf/Ustrd")]
    is_one = len(ends) == 1
    return StatementLine(
        amount_minor=line.amount_minor,
        currency=line.currency,
        booked_on=line.booked_on,
        value_on=line.value_on,
        ref=line.ref,
        end_to_end_id=ends[0] if is_one else "",
        group_ref=line.group_ref or next(iter(_payment_groups(details)), ""),
        trace_ref=next((t for p in details if (t := named(p.say("Refs/UETR")))), ""),
        other_refs=tuple(dict.fromkeys((*line.other_refs, *(() if is_one else ends), *others)))[
            :200
        ],
        kind=line.kind,
        text=masked(" ".join([*texts, line.text])),
        is_reversal=line.is_reversal,
        is_pending=line.is_pending,
        file_line=line.file_line,
    )


def _payment_groups(details: Sequence[Node]) -> list[str]:
    return [name for part in details if (name := named(part.say("Refs/PmtInfId")))]


def _check_batches(node: Node) -> None:
    """How many transactions a batch says it has, where it lists them."""
    for group in node.all("NtryDtls"):
        batch = group.at("Btch")
        if batch is not None and (told := batch.say("NbOfTxs")):
            listed = sum(1 for _ in group.all("TxDtls"))
            check_total(
                "transactions of the batch",
                told=read_count(told, batch.line),
                found=listed,
                line=batch.line,
            )


def _part_amount(part: Node, whole: StatementLine) -> int | None:
    node = part.at("Amt") or part.at("AmtDtls/TxAmt/Amt")
    if node is None:
        return None
    currency = node.attributes.get("Ccy", whole.currency)
    minor = read_minor(node.text, currency, node.line)
    return minor if currency == whole.currency else None


def _is_debit(part: Node, otherwise: bool) -> bool:  # noqa: FBT001  what stands where it says none
    told = part.say("CdtDbtInd")
    return told == "DBIT" if told else otherwise


def _amount(node: Node) -> tuple[int, str]:
    amount, direction = node.at("Amt"), node.say("CdtDbtInd")
    if amount is None or direction not in {"CRDT", "DBIT"}:
        raise Unreadable(node.line, f"{node.name} lacks its amount or its direction")
    currency = known_currency(amount.attributes.get("Ccy", ""), amount.line)
    minor = read_minor(amount.text, currency, amount.line)
    if amount.text.strip().startswith(("-", "+")):
        raise Unreadable(amount.line, "an amount has a sign beside its direction")
    return (minor if direction == "CRDT" else -minor), currency


def _statement(node: Node, entries: _Entries) -> Statement:
    currency = node.say("Acct/Ccy") or entries.currency
    opening = _balance(node, _OPENING)
    closing = _balance(node, _CLOSING)
    for balance in (opening, closing):
        if balance is not None:
            currency = currency or balance[1]
            if balance[1] != currency:
                raise Unreadable(balance[3], f"a balance in {balance[1]}, an account in {currency}")
    if entries.currency and entries.currency != currency:
        raise Unreadable(node.line, f"entries in {entries.currency}, an account in {currency}")
    if node.name == "Stmt" and (opening is None or closing is None):
        raise Unreadable(node.line, "the statement lacks its opening or its closing balance")
    known_currency(currency, node.line)
    begins, ends = _period(node, "Fr"), _period(node, "To")
    days = [line.booked_on for line in entries.lines]
    has_both = opening is not None and closing is not None
    return check_totals(
        Statement(
            source=_KINDS[node.name],
            account=node.say("Acct/Id/IBAN") or node.say("Acct/Id/Othr/Id"),
            currency=currency,
            reference=named(node.say("Id")),
            from_on=begins or (min(days) if days else opening[2] if opening else None),
            to_on=ends or (closing[2] if closing else max(days, default=begins)),
            opening_minor=opening[0] if has_both and opening else None,
            closing_minor=closing[0] if has_both and closing else None,
            lines=identified(entries.lines),
            controls=_controls(node, entries),
            file_line=node.line,
        )
    )


def _balance(node: Node, codes: tuple[str, ...]) -> tuple[int, str, date, int] | None:
    for code in codes:
        for balance in node.all("Bal"):
            if balance.say("Tp/CdOrPrtry/Cd") == code:
                day = balance.say("Dt/Dt") or balance.say("Dt/DtTm")
                return (*_amount(balance), read_day(day, balance.line), balance.line)
    return None


def _controls(node: Node, entries: _Entries) -> dict[str, int]:
    """The counts and sums of `TxsSummry`, checked."""
    checked: dict[str, int] = {}
    summary = node.at("TxsSummry")
    if summary is None:
        return checked
    wanted = (
        ("TtlNtries", entries.amounts),
        ("TtlCdtNtries", [minor for minor in entries.amounts if minor > 0]),
        ("TtlDbtNtries", [minor for minor in entries.amounts if minor < 0]),
    )
    for name, amounts in wanted:
        total = summary.at(name)
        if total is None:
            continue
        if told := total.say("NbOfNtries"):
            count = read_count(told, total.line)
            check_total(f"{name}/NbOfNtries", told=count, found=len(amounts), line=total.line)
            checked[f"{name}/NbOfNtries"] = count
        if told := total.say("Sum"):
            minor = read_minor(told, entries.currency or node.say("Acct/Ccy"), total.line)
            found = sum(abs(each) for each in amounts)
            check_total(f"{name}/Sum", told=minor, found=found, line=total.line)
            checked[f"{name}/Sum"] = minor
    return checked


def _period(node: Node, end: str) -> date | None:
    told = node.say(f"FrToDt/{end}DtTm") or node.say(f"FrToDt/{end}Dt")
    return read_day(told, node.line) if told else None


def _day(node: Node, what: str) -> date | None:
    told = node.say(f"{what}/Dt") or node.say(f"{what}/DtTm")
    return read_day(told, node.line) if told else None


def _group(node: Node) -> str:
    return named(node.say("NtryDtls/Btch/PmtInfId") or node.say("NtryDtls/Btch/MsgId"))


def _code(node: Node) -> str:
    family = (node.say(f"BkTxCd/Domn/{path}") for path in ("Cd", "Fmly/Cd", "Fmly/SubFmlyCd"))
    return "/".join(part for part in family if part) or node.say("BkTxCd/Prtry/Cd")


def _names(name: str) -> tuple[str, ...]:
    found = named(name)
    return (found,) if found else ()
