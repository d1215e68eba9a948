"""The shapes of what is answered about chargebacks."""

from typing import Any

from engine.api.answers import Answer, IdText, Money, OpenAnswer, TimeText


class ChargebackAnswer(Answer):
    """What the client's bank claims of a payment, and how far that is."""

    chargeback_id: IdText
    funding_id: IdText
    contract_id: IdText
    rail: str
    rail_ref: str
    reason: str
    disputed: Money
    state: str
    decision: str | None
    is_settled: bool
    version: int
    opened_at: TimeText
    due_by: TimeText | None
    told_at: TimeText | None
    heard_by: TimeText | None
    answered_at: TimeText | None
    submitted_at: TimeText | None


class MovementAnswer(Answer):
    """One balance transaction of the rail; it stands for `disputed` of the payment."""

    movement: str
    direction: str
    moved: Money
    disputed: Money
    network_fee: Money
    occurred_at: TimeText


class PieceAnswer(Answer):
    """What one withdrawal took from one place, and what of it is still away."""

    piece_no: int
    movement: str
    source: str
    slot_id: IdText | None
    money: Money
    client_fee: Money
    away: Money
    is_lost: bool
    claim_id: IdText | None


class StatementAnswer(Answer):
    """A document that was filed for the evidence."""

    statement_no: int
    filed_by: str
    reference: str
    sha256: str
    filed_at: TimeText


class ToldAnswer(Answer):
    """Proof that the payee was told."""

    channel: str
    proof: str
    told_at: TimeText


class ChargebackInFull(ChargebackAnswer):
    """A chargeback with its lists; a client sees the movements, and not what was filed."""

    movements: list[MovementAnswer]
    pieces: list[PieceAnswer]
    reserved: Money
    statements: list[StatementAnswer]
    notices: list[ToldAnswer]


class EvidenceAnswer(Answer):
    """What there is to show to the bank: references and hashes, never a content."""

    chargeback: ChargebackAnswer
    contract: dict[str, Any]
    payment: dict[str, Any]
    slots: list[dict[str, Any]]
    submissions: list[dict[str, Any]]
    history: list[dict[str, Any]]
    statements: list[StatementAnswer]
    notices: list[ToldAnswer]


class ChargebackActed(OpenAnswer):
    """What became of a chargeback."""

    chargeback_id: IdText
    state: str
    version: int


class BankActed(Answer):
    """What the simulated bank did: the id of the notice that tells of it."""

    notice_id: str
