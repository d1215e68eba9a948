"""A bank in memory: it reads pain.001 files, keeps accounts, returns, rejects and gives camt.053.

It knows nothing of our code: a file is read as a bank reads it, its totals are checked, and an
amount is only ever moved once for an end-to-end id.
"""

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Final
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape

from defusedxml.ElementTree import fromstring  # type: ignore[import-untyped]

_CENT: Final = Decimal("0.01")


class FileRefused(Exception):  # noqa: N818  the bank's answer
    """The file as a whole is not taken, with the bank's reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One movement on an account; `amount` is signed, in units of the currency."""

    day: date
    amount: Decimal
    end_to_end_id: str
    reference: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A payment that the bank took in: from whom, to whom, how much, when it is due."""

    payer: str
    payee: str
    name: str
    amount: Decimal
    end_to_end_id: str
    on: date


@dataclass(slots=True)
class Bank:
    """Accounts by number. `opening` is what lay on each before the first entry."""

    opening: dict[str, Decimal]
    entries: dict[str, list[Entry]] = field(default_factory=dict)
    waiting: dict[str, Taken] = field(default_factory=dict)
    made: dict[str, Taken] = field(default_factory=dict)
    messages: set[str] = field(default_factory=set)

    def take_in(self, data: bytes) -> int:
        """Read a file of payments; how many. The same message twice is refused."""
        root = fromstring(data.decode())
        message = _text(root, "MsgId")
        if message in self.messages:
            raise FileRefused("duplicate message")
        taken = [each for info in _all(root, "PmtInf") for each in _payments(info)]
        if len(taken) != int(_text(root, "NbOfTxs")):
            raise FileRefused("number of transactions")
        if sum(each.amount for each in taken) != Decimal(_text(root, "CtrlSum")):
            raise FileRefused("control sum")
        if any(each.payer not in self.opening for each in taken):
            raise FileRefused("no such account")
        self.messages.add(message)
        self.waiting |= {each.end_to_end_id: each for each in taken}
        return len(taken)

    def book(self, day: date) -> int:
        """Execute what is due by a day, as far as the money goes; how many."""
        due = [each for each in self.waiting.values() if each.on <= day]
        booked = 0
        for payment in due:
            if self.balance(payment.payer) < payment.amount:
                continue
            del self.waiting[payment.end_to_end_id]
            self.made[payment.end_to_end_id] = payment
            self._enter(payment.payer, day, -payment.amount, payment.end_to_end_id)
            if payment.payee in self.opening:
                self._enter(payment.payee, day, payment.amount, payment.end_to_end_id)
            booked += 1
        return booked

    def reject(self, end_to_end_id: str) -> None:
        """Throw a payment out before it is booked."""
        del self.waiting[end_to_end_id]

    def give_back(self, end_to_end_id: str, day: date, *, kept: str = "0.00") -> None:
        """A payment comes back, less what the banks on the way kept."""
        payment = self.made[end_to_end_id]
        amount = payment.amount - Decimal(kept)
        self._enter(payment.payer, day, amount, end_to_end_id, reason="AC04")

    def balance(self, account: str) -> Decimal:
        """What lies on an account now."""
        moved = (entry.amount for entry in self.entries.get(account, []))
        return sum(moved, self.opening[account])

    def camt053(self, account: str, day: date) -> bytes:
        """The statement of an account for a day."""
        earlier = [e.amount for e in self.entries.get(account, []) if e.day < day]
        opening = sum(earlier, self.opening[account])
        todays = [entry for entry in self.entries.get(account, []) if entry.day == day]
        closing = sum((entry.amount for entry in todays), opening)
        body = "".join(_entry(entry) for entry in todays)
        return (
            '<?xml version="1.0" encoding="UTF-8"?>'
            '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.02"><BkToCstmrStmt>'
            f"<GrpHdr><MsgId>S-{day}</MsgId><CreDtTm>{day}T20:00:00</CreDtTm></GrpHdr><Stmt>"
            f"<Id>S-{day}</Id><CreDtTm>{day}T20:00:00</CreDtTm>"
            f"<Acct><Id><IBAN>{account}</IBAN></Id><Ccy>EUR</Ccy></Acct>"
            f"{_balance('OPBD', opening, day)}{_balance('CLBD', closing, day)}{body}"
            "</Stmt></BkToCstmrStmt></Document>"
        ).encode()

    def _enter(
        self, account: str, day: date, amount: Decimal, end_to_end_id: str, *, reason: str = ""
    ) -> None:
        entries = self.entries.setdefault(account, [])
        reference = f"R{account[-4:]}{len(entries) + 1:06}"
        entries.append(
            Entry(
                day=day,
                amount=amount,
                end_to_end_id=end_to_end_id,
                reference=reference,
                reason=reason,
            )
        )


def _payments(info: Element) -> list[Taken]:
    on = _text(info, "ReqdExctnDt") or _text(info, "Dt")
    payer = _text(_one(info, "DbtrAcct"), "IBAN")
    return [
        Taken(
            payer=payer,
            payee=_text(_one(each, "CdtrAcct"), "IBAN"),
            name=_text(_one(each, "Cdtr"), "Nm"),
            amount=Decimal(_text(each, "InstdAmt")).quantize(_CENT),
            end_to_end_id=_text(each, "EndToEndId"),
            on=date.fromisoformat(on),
        )
        for each in _all(info, "CdtTrfTxInf")
    ]


def _entry(entry: Entry) -> str:
    side = "CRDT" if entry.amount > 0 else "DBIT"
    returned = (
        f"<RtrInf><Rsn><Cd>{escape(entry.reason)}</Cd></Rsn></RtrInf>" if entry.reason else ""
    )
    return (
        f'<Ntry><Amt Ccy="EUR">{abs(entry.amount)}</Amt><CdtDbtInd>{side}</CdtDbtInd>'
        f"<Sts>BOOK</Sts><BookgDt><Dt>{entry.day}</Dt></BookgDt><ValDt><Dt>{entry.day}</Dt></ValDt>"
        f"<AcctSvcrRef>{entry.reference}</AcctSvcrRef>"
        "<BkTxCd><Domn><Cd>PMNT</Cd><Fmly><Cd>ICDT</Cd><SubFmlyCd>ESCT</SubFmlyCd></Fmly></Domn>"
        "</BkTxCd><NtryDtls><TxDtls>"
        f"<Refs><EndToEndId>{escape(entry.end_to_end_id)}</EndToEndId></Refs>{returned}"
        "</TxDtls></NtryDtls></Ntry>"
    )


def _balance(code: str, amount: Decimal, day: date) -> str:
    side = "CRDT" if amount >= 0 else "DBIT"
    return (
        f"<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp>"
        f'<Amt Ccy="EUR">{abs(amount).quantize(_CENT)}</Amt><CdtDbtInd>{side}</CdtDbtInd>'
        f"<Dt><Dt>{day}</Dt></Dt></Bal>"
    )


def _all(node: Element, name: str) -> list[Element]:
    return [each for each in node.iter() if each.tag.rpartition("}")[2] == name]


def _one(node: Element, name: str) -> Element:
    return _all(node, name)[0]


def _text(node: Element, name: str) -> str:
    return (_one(node, name).text or "").strip()
