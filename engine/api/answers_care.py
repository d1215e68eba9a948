"""The shapes of what is answered about the treasury, sanctions, unclaimed money and wallets."""

from engine.api.answers import Answer, IdText, Money, OpenAnswer, TimeText
from engine.api.answers_exchange import DayText


class TreasuryRuleAnswer(Answer):
    """What becomes of free money at a rail account; `currency` null: of every other one."""

    rail_account: str
    currency: str | None
    mode: str
    floor: Money | None
    valid_from: TimeText


class TreasuryTransfer(Answer):
    """Money that the next settlement moves."""

    source: str
    target: str
    rail_account: str
    amount: Money


class TreasuryPlace(Answer):
    """What lies at one rail account of ours, and why it stays there."""

    rail_account: str
    mode: str
    pending: Money
    available: Money
    reserved: Money
    promised_refunds: Money
    promised_payouts: Money
    floor: Money
    stays_at_most_days: int | None
    why: str


class TreasuryRow(Answer):
    """One currency: where its money lies, and what settles next."""

    currency: str
    bank: Money
    platform_bank: Money
    promised_by_bank: Money
    due_to_platform: Money
    due_from_platform: Money
    places: list[TreasuryPlace]
    set_off: Money
    next: list[TreasuryTransfer]
    shortfall: Money
    payouts_stopped: bool


class TreasuryAnswer(Answer):
    """What is where, why it stays, and what settles next."""

    at: TimeText
    currencies: list[TreasuryRow]


class BlockAnswer(OpenAnswer):
    """Money that is or was blocked; `from` is the account that it came from."""

    id: IdText
    party_id: IdText
    amount: Money
    list: str
    blocked_at: TimeText
    report_due_on: DayText
    reported_on: DayText | None
    report_ref: str
    licence_ref: str | None
    released_at: TimeText | None


class RescreenAnswer(OpenAnswer):
    """How many parties a list named, and what was blocked."""

    run_id: IdText
    list: str
    list_date: DayText
    matches: int
    new: int


class BlockReleaseAnswer(OpenAnswer):
    """A release of a party's blocked money; `approved_by` null: it waits for a second person."""

    release_id: IdText
    party_id: IdText
    licence_ref: str
    reason: str
    prepared_by: IdText
    prepared_at: TimeText
    approved_by: IdText | None
    approved_at: TimeText | None


class ReportedAnswer(Answer):
    """A blocking that was reported."""

    block_id: IdText
    reported_on: DayText
    report_ref: str


class DormancyRuleAnswer(Answer):
    """After how many years of silence money is due to a state."""

    jurisdiction: str
    owner: str
    valid_from: DayText
    years: int
    notice_days: int
    source: str


class ResidenceAnswer(Answer):
    """Where a party lives from a day on."""

    party_id: IdText
    jurisdiction: str
    since: DayText


class ContactAnswer(Answer):
    """A word of an owner."""

    party_id: IdText
    contact_at: TimeText
    how: str


class UnclaimedAnswer(OpenAnswer):
    """Money that is owed to a state; `from` is the account that it came from."""

    id: IdText
    party_id: IdText
    amount: Money
    jurisdiction: str
    last_contact_at: TimeText
    noticed_at: TimeText
    moved_at: TimeText
    state: str
    remittance_id: IdText | None
    ended_at: TimeText | None


class ReactivatedAnswer(OpenAnswer):
    """What an owner who turned up has back."""

    party_id: IdText


class RemittanceAnswer(Answer):
    """Unclaimed money on its way to a state."""

    remittance_id: IdText
    jurisdiction: str
    amount: Money
    state: str
    reason: str
    prepared_by: IdText
    prepared_at: TimeText
    approved_by: IdText | None
    approved_at: TimeText | None
    ended_at: TimeText | None


class TopUpAnswer(Answer):
    """A payment into a wallet."""

    top_up_id: IdText
    client_id: IdText
    asked: Money
    captured: Money
    refunded: Money
    rail_account: str
    state: str
    asked_at: TimeText
    paid_at: TimeText | None
    code: str


class WithdrawalPart(Answer):
    """A part of a withdrawal: back by a payment, or by the payout of its id."""

    id: IdText
    withdrawal_id: IdText
    party_id: IdText
    amount: Money
    way: str
    top_up_id: IdText | None
    state: str
    code: str
    asked_at: TimeText
    ended_at: TimeText | None


class WithdrawalAnswer(Answer):
    """A withdrawal with its parts."""

    withdrawal_id: IdText
    party_id: IdText
    parts: list[WithdrawalPart]


class LeftAnswer(Answer):
    """What could not go, and why: the code of the refusal."""

    amount: Money
    why: str


class ClosedAnswer(Answer):
    """A wallet that gave all back; `may_erase`: no money is the party's any more."""

    party_id: IdText
    parts: list[WithdrawalPart]
    left: list[LeftAnswer]
    may_erase: bool


class WalletAnswer(Answer):
    """What lies in a wallet."""

    party_id: IdText
    balances: list[Money]
    top_ups: list[TopUpAnswer]
    withdrawals: list[WithdrawalPart]


class MinimumAnswer(Answer):
    """The least of top-ups and withdrawals from a time on."""

    currency: str
    top_up: Money
    withdrawal: Money
    valid_from: TimeText
