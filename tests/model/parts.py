"""What each event of domain/escrow.md 2.10 does to accounts and slots, in arithmetic of our own.

Amounts are minor units; in accounts debit is positive. An effect is worked out from what was seen
before the act, and nothing else.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from tests.model.prices import Ours, Tax
from tests.model.sight import Row, Sight


@dataclass
class Effect:
    """What changes: balances, and the sums of slots. `is_told`: False where it is not known."""

    accounts: Counter[str] = field(default_factory=Counter)
    slots: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    is_told: bool = True

    def put(self, kind: str, amount: int, subject: object = "") -> None:
        """Add to an account."""
        self.accounts[f"{kind}[{subject}]"] += amount

    def slot(self, slot_id: str, **changes: int) -> None:
        """Add to the sums of a slot."""
        for name, amount in changes.items():
            self.slots[slot_id][f"{name}_minor"] += amount

    def to_platform(self, amount: int) -> None:
        """Client money owes the platform so much more, in both books."""
        self.put("custody.due_to_platform", -amount)
        self.put("platform.due_from_custody", amount)

    def from_platform(self, amount: int) -> None:
        """The platform owes client money so much more, in both books."""
        self.put("custody.due_from_platform", amount)
        self.put("platform.due_to_custody", -amount)

    def earn(self, ours: Ours) -> None:
        """A commission is earned: the fee is ours, its tax is owed to a country."""
        self.put("platform.revenue.commission", -ours.fee)
        for country, tax in ours.taxes.items():
            self.put("platform.vat_payable", -tax, country)

    def unearn(self, ours: Ours) -> None:
        """A commission goes back with its tax."""
        self.earn(Ours(-ours.fee, Counter({each: -tax for each, tax in ours.taxes.items()})))

    def earn_client_fee(self, total: int, tax: Tax) -> None:
        """A client's fee is earned; its tax is in it. Less than nothing goes back."""
        part = tax.within(abs(total)) * (1 if total > 0 else -1)
        self.put("platform.revenue.client_fee", part - total)
        self.put("platform.vat_payable", -part, tax.country)


@dataclass
class Purse:
    """A slot's money while an act takes it apart."""

    now: Sight
    slot: Row
    effect: Effect
    held_in: str = "custody.escrow"

    def __post_init__(self) -> None:
        """Take what was seen before."""
        self.held = self.slot["held_minor"]
        self.kept = self.slot["released_minor"] - self.slot["returned_minor"]
        self.fee = self.slot["fee_deferred_minor"]
        self.deal = self.now.one("contract", id=self.slot["contract_id"])
        self.gone: Counter[int] = Counter()
        self.billed = self._billed()

    def _billed(self) -> int:
        """All that the pair was billed by now."""
        names = ("client_id", "payee_id", "currency")
        mine = {name: self.deal[name] for name in names}
        found = self.now.all_of("pair_billing", lambda row: mine.items() <= row.items())
        return found[0]["billed_minor"] if found else 0

    @property
    def id(self) -> str:
        return str(self.slot["id"])

    def lots(self) -> list[tuple[Row, int]]:
        """Newest first, each with what the slot still holds of it."""
        left, found = self.held, []
        mine = self.now.all_of("lot", lambda lot: lot["slot_id"] == self.id)
        for lot in sorted(mine, key=lambda each: -each["seq"]):
            there = lot["amount_minor"] - lot["gone_minor"] - self.gone[lot["seq"]]
            found.append((lot, min(left, there)))
            left -= found[-1][1]
        return found

    def commission(self, amount: int) -> Ours:
        """Ours on the next part that the payee keeps."""
        return self.now.book.charge(self.deal, amount, self.billed)

    def unwound(self, amount: int) -> Ours:
        """Our commission on so much of what was released: newest release first, from its top."""
        left, ours = amount, Ours()
        families: dict[str, list[Row]] = {}
        for line in sorted(self.now.all_of("fee_line"), key=lambda each: int(each["id"])):
            if line["slot_id"] == self.id and line["kind"] == "commission":
                families.setdefault(line["release_id"], []).append(line)
        for lines in reversed(families.values()):
            kept = sum(line["gross_minor"] for line in lines)
            part = min(left, kept)
            if part:
                standing = next(each for each in reversed(lines) if each["gross_minor"] > 0)
                ours += self.now.book.gone(self.deal, standing, kept, part)
            left -= part
        assert not left
        return ours

    def release(self, amount: int) -> None:
        """P07, P10: to the payee, with commission; the client's whole fee is earned."""
        if not amount:
            return
        ours = self.commission(amount)
        self.effect.put(self.held_in, amount, self.id)
        self.effect.put("custody.earned_pending", ours.whole - amount, self.deal["payee_id"])
        self.effect.to_platform(ours.whole)
        self.effect.earn(ours)
        self.effect.earn_client_fee(self.fee, self.now.book.tax(self.deal["client_id"]))
        self.effect.put("platform.deferred_fees", self.fee)
        self.effect.slot(self.id, held=-amount, released=amount, fee_deferred=-self.fee)
        self.held, self.kept, self.fee = self.held - amount, self.kept + amount, 0
        self.billed += amount

    def send_back(self, amount: int, *, to_wallet: bool = False) -> None:
        """P14, P32b: newest lot first, with its part of the fee, rounded down."""
        whole, fees, left = amount, 0, amount
        for lot, there in self.lots():
            part = min(left, there)
            if not part:
                continue
            fee = self._deferred(lot) * part // there
            self._give(lot, part + fee, to_wallet=to_wallet)
            self.gone[lot["seq"]] += part
            left, fees = left - part, fees + fee
        assert not left
        self.effect.put(self.held_in, whole, self.id)
        self.effect.from_platform(fees)
        self.effect.put("platform.deferred_fees", fees)
        self.effect.slot(self.id, held=-whole, refunded=whole, fee_deferred=-fees)
        self.held, self.fee = self.held - whole, self.fee - fees

    def _deferred(self, lot: Row) -> int:
        """What is not earned of a lot's fee: the first release after it came earns it all."""
        is_deferred = lot["released_before_minor"] == self.slot["released_minor"] and self.fee
        return lot["fee_minor"] - lot["fee_gone_minor"] if is_deferred else 0

    def _give(self, lot: Row, amount: int, *, to_wallet: bool) -> None:
        funding = self.now.one("funding", id=lot["funding_id"])
        if to_wallet or funding["method"] == "wallet":
            self.effect.put("custody.wallet", -amount, self.deal["client_id"])
        else:
            self.effect.put("custody.refund_in_transit", -amount)

    def returned(self, amount: int) -> Ours:
        """Released money on its way back to the client; our commission on it, which goes along."""
        self.kept -= amount
        left = amount
        for lot, there in self.lots():
            part = min(left, lot["amount_minor"] - lot["gone_minor"] - there)
            if part:
                self._give(lot, part, to_wallet=False)
                left -= part
        assert not left
        return self.unwound(amount)


def funded(funding: Row, *, rail_fee: int) -> Effect:
    """P01, P26: paid by a rail that keeps its fee; the client's fee is due but not earned."""
    effect = Effect()
    amount, fee = funding["amount_minor"], funding["client_fee_minor"]
    effect.put("custody.processor_pending", amount + fee - rail_fee)
    effect.put("platform.expense.processor", rail_fee)
    effect.from_platform(rail_fee)
    effect.put("custody.escrow", -amount, funding["slot_id"])
    effect.to_platform(fee)
    effect.put("platform.deferred_fees", -fee)
    effect.slot(funding["slot_id"], held=amount, fee_deferred=fee)
    return effect


def refund_ends(refund: Row, *, bounces: bool) -> Effect:
    """P15, or P16."""
    effect = Effect()
    total = refund["amount_minor"] + refund["fee_minor"]
    effect.put("custody.refund_in_transit", total)
    if bounces:
        effect.put("custody.wallet", -total, refund["client_id"])
    else:
        effect.put("custody.processor_available", -total)
    return effect


def frozen(slot: Row, amount: int) -> Effect:
    """P12."""
    effect = Effect()
    effect.put("custody.escrow", amount, slot["id"])
    effect.put("custody.escrow_disputed", -amount, slot["id"])
    effect.slot(slot["id"], disputed=amount)
    return effect


def arbitration_paid(deal: Row, side: str, amount: int) -> Effect:
    """P45: from the client's wallet, or what the payee may withdraw."""
    effect = Effect()
    _arbitration(effect, deal, side, amount)
    return effect


def _arbitration(effect: Effect, deal: Row, side: str, amount: int) -> None:
    effect.put(*_pocket(deal, side, amount))
    effect.to_platform(amount)
    effect.put("platform.arbitration_fees_held", -amount)


def _pocket(deal: Row, side: str, amount: int) -> tuple[str, int, str]:
    kind = "custody.wallet" if side == "client" else "custody.earned_available"
    return kind, amount, deal[f"{side}_id"]


def dispute_ends(now: Sight, dispute: Row, payee: int | None, *, resolution: str) -> Effect:
    """P12 back, or P13; then P45: fees back, and the loser's."""
    effect = Effect()
    slot = now.one("slot", id=dispute["slot_id"])
    if dispute["release_id"] is None:
        _thaw_or_split(effect, now, slot, dispute, payee)
    else:
        _from_reserve(effect, now, slot, dispute, payee)
    _fees_back(effect, now, dispute, payee, resolution)
    return effect


def _thaw_or_split(effect: Effect, now: Sight, slot: Row, dispute: Row, payee: int | None) -> None:
    claim = dispute["claim_minor"]
    effect.slot(slot["id"], disputed=-claim)
    if payee is None:
        effect.put("custody.escrow_disputed", claim, slot["id"])
        effect.put("custody.escrow", -claim, slot["id"])
        return
    purse = Purse(now, slot, effect, held_in="custody.escrow_disputed")
    purse.release(payee)
    if claim - payee:
        purse.send_back(claim - payee)


def _from_reserve(effect: Effect, now: Sight, slot: Row, dispute: Row, payee: int | None) -> None:
    """P12 back or P13, of released money that was set aside."""
    reserved, claim = dispute["reserved_minor"], dispute["claim_minor"]
    release = now.one("release", id=dispute["release_id"])
    earned = "earned_available" if release["state"] == "available" else "earned_pending"
    back = 0 if payee is None else claim - payee
    purse = Purse(now, slot, effect)
    ours = purse.returned(back) if back else Ours()
    net = reserved - (back - ours.whole)
    lost, net = max(0, -net), max(0, net)
    effect.put("custody.earned_reserved", reserved, release["payee_id"])
    effect.put(f"custody.{earned}", -net, release["payee_id"])
    effect.from_platform(ours.whole + lost)
    effect.unearn(ours)
    effect.put("platform.expense.bad_debt", lost)
    effect.slot(slot["id"], contested=-claim, returned=back)


def _fees_back(
    effect: Effect, now: Sight, dispute: Row, payee: int | None, resolution: str
) -> None:
    """The winner has his fee back, who settles his own; who lost unpaid pays what he has."""
    deal = now.one("contract", id=dispute["contract_id"])
    winner = ""
    if resolution == "decided":
        to_payee, to_client = payee or 0, dispute["claim_minor"] - (payee or 0)
        winner = {0: ""}.get(to_payee - to_client, "payee" if to_payee > to_client else "client")
    fee = dispute["fee_minor"]
    for side in ("client", "payee"):
        if dispute[f"{side}_elected"] and (resolution != "decided" or winner == side):
            kind, amount, whose = _pocket(deal, side, -fee)
            effect.put(kind, amount, whose)
            effect.from_platform(fee)
            effect.put("platform.arbitration_fees_held", fee)
    loser = {"client": "payee", "payee": "client", "": ""}[winner]
    owes = loser and not dispute[f"{loser}_elected"]
    if owes and (dispute["is_small"] or dispute[f"{winner}_elected"]):
        kind, _, whose = _pocket(deal, loser, 0)
        _arbitration(effect, deal, loser, min(fee, now.balance(kind, whose)))


def set_aside(now: Sight, slot: Row, release: Row, claim: int) -> Effect:
    """P12, of released money in its security hold: the payee's own part of it."""
    effect = Effect()
    purse = Purse(now, slot, Effect())
    own = max(0, min(claim - purse.unwound(claim).whole, _free(release)))
    effect.put("custody.earned_pending", own, release["payee_id"])
    effect.put("custody.earned_reserved", -own, release["payee_id"])
    effect.slot(slot["id"], contested=claim)
    return effect


def _free(release: Row) -> int:
    """What is left to the payee of a release."""
    names = ("commission_minor", "tax_minor", "taken_net_minor")
    return int(release["gross_minor"] - sum(release[name] for name in names))


def becomes_available(now: Sight, release: Row, *, recovery_bps: int) -> Effect:
    """P09, and P23 for what the payee owes."""
    effect = Effect()
    payee = release["payee_id"]
    net = _free(release)
    owed = sum(
        claim["remaining_minor"]
        for claim in now.all_of("claim", lambda claim: claim["payee_id"] == payee)
    )
    taken = min(owed, net * recovery_bps // 10_000)
    effect.put("custody.earned_pending", net, payee)
    effect.put("custody.earned_available", taken - net, payee)
    effect.to_platform(taken)
    effect.put("platform.claim_on_payee", -taken, payee)
    return effect


def refunded_later(now: Sight, slot: Row, amount: int) -> Effect:
    """P17: the payee's part, and what the platform fronts where he has too little."""
    effect = Effect()
    purse = Purse(now, slot, effect)
    ours = purse.returned(amount)
    payee = purse.deal["payee_id"]
    mine = min(amount - ours.whole, now.balance("custody.earned_available", payee))
    fronted = amount - ours.whole - mine
    effect.put("custody.earned_available", mine, payee)
    effect.from_platform(ours.whole + fronted)
    effect.unearn(ours)
    effect.put("platform.claim_on_payee", fronted, payee)
    effect.slot(slot["id"], returned=amount)
    return effect


def written_off(claim: Row) -> Effect:
    """P24."""
    effect = Effect()
    effect.put("platform.expense.bad_debt", claim["remaining_minor"])
    effect.put("platform.claim_on_payee", -claim["remaining_minor"], claim["payee_id"])
    return effect


def advanced(now: Sight, week: Row) -> Effect:
    """P28: the protected part of an unpaid week, with commission and fee on it."""
    effect = Effect()
    slot = now.one("slot", id=week["slot_id"])
    purse = Purse(now, slot, effect)
    gross = week["protected_minor"]
    ours, fee = purse.commission(gross), now.book.client_fee(purse.deal, gross)
    effect.from_platform(gross - ours.whole)
    effect.put("custody.earned_pending", ours.whole - gross, purse.deal["payee_id"])
    effect.put("platform.claim_on_client", gross + fee, purse.deal["client_id"])
    effect.earn(ours)
    effect.earn_client_fee(fee, now.book.tax(purse.deal["client_id"]))
    return effect


def never_paid(now: Sight, claim: Row, slot: Row) -> Effect:
    """P30: what stands of the commission goes back with its tax, and the client's fee with its."""
    effect = Effect()
    gross, fee = claim["gross_minor"], claim["fee_minor"]
    ours = Purse(now, slot, effect).unwound(gross)
    effect.put("platform.expense.protection", gross - ours.whole)
    effect.unearn(ours)
    for line in now.all_of("fee_line", lambda each: each["slot_id"] == slot["id"]):
        if line["kind"] == "client_fee":
            effect.earn_client_fee(-fee, Tax(line["tax_rate_bps"], line["tax_country"] or ""))
    effect.put("platform.claim_on_client", -gross - fee, claim["client_id"])
    return effect


def untold(_why: Any = None) -> Effect:
    """What the model does not work out: only what always holds is compared."""
    return Effect(is_told=False)
