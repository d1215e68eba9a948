"""What brings released money back to the client: a refund that the payee agrees to."""

from dataclasses import dataclass

from escrow.commands import SlotCommand


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundLater(SlotCommand):
    """Send released money back; minor units before commission.

    An operator names the payee's agreement (`agreement_ref`): a message, a signed paper.
    """

    amount_minor: int
    agreement_ref: str = ""
