"""The shapes of what is answered about claims on payees."""

from engine.api.answers import Answer, IdText, Money, OpenAnswer, TimeText


class ClaimAnswer(Answer):
    """What a payee owes the platform, and what it came of."""

    claim_id: IdText
    payee_id: IdText
    cause: str
    subject: str
    amount: Money
    remaining: Money
    state: str
    version: int
    created_at: TimeText


class ClaimActed(OpenAnswer):
    """What became of a claim."""

    claim_id: IdText
    remaining: Money
    state: str
    version: int


class ClaimRulesActed(OpenAnswer):
    """How the platform acts in a currency from now on."""

    currency: str
    fronts_refunds: bool
    recovery_bps: int
