"""The shapes of answers about breaks, write-offs and certificates."""

from typing import Any

from engine.api.answers import Answer, IdText, Money, Number, OpenAnswer, TimeText


class BreakAnswer(Answer):
    """One line of a statement or item of the books that is left over."""

    id: IdText
    place: str
    rail_account: str
    kind: str
    meaning: str
    amount: Money
    arose_on: str
    age_days: int
    bucket: str
    due_on: str
    is_late: bool
    what: str
    state: str
    owner_id: IdText | None
    line_id: IdText | None
    event_id: Number | None
    write_off_id: IdText | None
    opened_at: TimeText
    closed_at: TimeText | None


class BreakNoteAnswer(Answer):
    """What happened to a break, or was said of it."""

    kind: str
    told: str
    actor_id: IdText
    noted_at: TimeText


class BreakTrailAnswer(Answer):
    """All notes of a break, the oldest first."""

    break_id: IdText
    notes: list[BreakNoteAnswer]


class BreakDone(OpenAnswer):
    """A break that something was said of."""

    break_id: IdText


class CertificateAnswer(Answer):
    """A certificate without its figures."""

    id: IdText
    currency: str
    on: str
    version: int
    state: str
    digest: str
    unexplained: Money
    made_by: IdText
    made_at: TimeText
    signatures: list[dict[str, Any]]


class WholeCertificateAnswer(CertificateAnswer):
    """A certificate with its figures and items, as they were digested."""

    certificate: dict[str, Any]


class CertificateMade(OpenAnswer):
    """A certificate that was made, or that was there with the same figures."""

    certificate_id: IdText
    version: int
    digest: str
    certificate: dict[str, Any]


class CertificateSigned(OpenAnswer):
    """A certificate that was signed."""

    certificate_id: IdText
    digest: str
    state: str


class HourSet(OpenAnswer):
    """The hour of the daily run."""

    hour: int
