"""All use cases of escrow behind one door; each is `verb(connection, commands, *, at) -> outcomes`.

They live by topic in `service_deal`, `service_funding`, `service_work`, `service_release` and
`service_refund`; what the clocks set off is in `escrow.timers`.
"""

from escrow.service_deal import accept, add_milestones, close, propose, resume
from escrow.service_funding import credit_receipt, tip
from escrow.service_hourly import (
    accept_hours,
    add_hours,
    approve_late,
    delete_time,
    edit_time,
    log_time,
    propose_hours,
)
from escrow.service_hourly_deposit import change_hours
from escrow.service_hourly_end import pause
from escrow.service_hourly_lines import (
    approve_line,
    concede_line,
    dispute_line,
    propose_line,
    reply_line,
    serve_line,
    withdraw_line,
)
from escrow.service_hourly_money import (
    cancel_funding,
    expire_funding,
    fund,
    funding_results,
    write_off,
)
from escrow.service_hourly_run import discard_time, start_time, stop_time
from escrow.service_hybrid import end
from escrow.service_quote import quote
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
    flag_empty,
    request_changes,
    submit,
    withdraw_submission,
)

__all__ = [
    "accept",
    "accept_hours",
    "accept_refund",
    "add_hours",
    "add_milestones",
    "approve",
    "approve_late",
    "approve_line",
    "ask_refund",
    "auto_release",
    "cancel",
    "cancel_funding",
    "change_hours",
    "close",
    "concede_line",
    "confirm",
    "credit_receipt",
    "delete_time",
    "discard_time",
    "dispute_line",
    "edit_time",
    "end",
    "end_security_hold",
    "expire_funding",
    "flag_empty",
    "fund",
    "funding_results",
    "give_back",
    "log_time",
    "pause",
    "propose",
    "propose_amendment",
    "propose_hours",
    "propose_line",
    "quote",
    "refund_results",
    "refund_unanswered",
    "release_part",
    "reply_line",
    "request_changes",
    "resume",
    "serve_line",
    "settle_dormant",
    "sign_amendment",
    "start_time",
    "stop_time",
    "submit",
    "tip",
    "withdraw_line",
    "withdraw_submission",
    "write_off",
]
