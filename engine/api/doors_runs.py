"""The services of payout runs, schedules, instant payouts and bank files, by their names."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from engine.group_commit import Service
from payouts import service_bank, service_instant, service_runs, service_schedules

RUN_SERVICES: Final[Mapping[str, Service]] = MappingProxyType(
    {
        "payout_schedules.set": service_schedules.set_schedules,
        "payout_runs.prepare": service_runs.prepare,
        "payout_runs.approve": service_runs.approve,
        "payout_runs.start": service_runs.start,
        "payout_runs.stop": service_runs.stop,
        "payout_runs.withdraw": service_runs.withdraw,
        "payout_runs.prepare_limit": service_schedules.prepare_limits,
        "payout_runs.approve_limit": service_schedules.approve_limits,
        "instant_payouts.request": service_instant.request,
        "instant_payouts.set_fee": service_instant.set_fees,
        "instant_payouts.allow": service_instant.allow,
        "bank.add_account": service_bank.add_accounts,
        "bank.end_account": service_bank.end_accounts,
        "bank.make_file": service_bank.make_files,
        "bank.release_file": service_bank.release_files,
        "bank.withdraw_file": service_bank.withdraw_files,
    }
)
