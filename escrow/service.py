"""All use cases of escrow behind one door; each is `verb(connection, commands, *, at) -> outcomes`.

They live by topic in `service_deal`, `service_funding`, `service_work`, `service_release` and
`service_refund`; what the clocks set off is in `escrow.timers`.
"""

from escrow.maths import quote
from escrow.service_deal import accept, add_milestones, close, end, pause, propose, resume
from escrow.service_funding import (
    cancel_funding,
    credit_receipt,
    expire_funding,
    fund,
    funding_results,
    tip,
)
from escrow.service_look import look
from escrow.service_refund import (
    accept_refund,
    give_back,
    propose_amendment,
    refund_results,
    refund_unanswered,
    settle_dormant,
    sign_amendment,
)
from escrow.service_release import (
    approve,
    auto_release,
    confirm,
    end_security_hold,
    release_part,
)
from escrow.service_work import (
    ask_refund,
    cancel,
    request_changes,
    submit,
    withdraw_submission,
)

__all__ = [
    "accept",
    "accept_refund",
    "add_milestones",
    "approve",
    "ask_refund",
    "auto_release",
    "cancel",
    "cancel_funding",
    "close",
    "confirm",
    "credit_receipt",
    "end",
    "end_security_hold",
    "expire_funding",
    "fund",
    "funding_results",
    "give_back",
    "look",
    "pause",
    "propose",
    "propose_amendment",
    "quote",
    "refund_results",
    "refund_unanswered",
    "release_part",
    "request_changes",
    "resume",
    "settle_dormant",
    "sign_amendment",
    "submit",
    "tip",
    "withdraw_submission",
]
