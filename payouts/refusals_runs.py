"""What payout runs, schedules and instant payouts refuse, and why a payee is left out of a run."""

from kernel.errors import Refusal


class UnknownRun(Refusal):
    """No payout run has this id."""

    code = "payouts.unknown_run"


class RunExists(Refusal):
    """A payout run of this id is there already."""

    code = "payouts.run_exists"


class RunIsOpen(Refusal):
    """One run of a currency and cut-off is open at a time."""

    code = "payouts.run_is_open"


class RunWrongState(Refusal):
    """The run has no such step from its state."""

    code = "payouts.run_wrong_state"


class RunTakesTwo(Refusal):
    """Who prepared a run, or its limit, does not approve it."""

    code = "payouts.run_takes_two"


class RunInPerson(Refusal):
    """A run is approved by a person, never by a program."""

    code = "payouts.run_in_person"


class RunChanged(Refusal):
    """The items are not those that were prepared, or not those that the approver has seen."""

    code = "payouts.run_changed"


class RunEmpty(Refusal):
    """There is nobody whom the run would pay."""

    code = "payouts.run_is_empty"


class BadCutOff(Refusal):
    """A run looks back from its cut-off, which is today or earlier."""

    code = "payouts.bad_cut_off"


class BadSchedule(Refusal):
    """The days do not fit the cadence."""

    code = "payouts.bad_schedule"


class ScheduleTooEarly(Refusal):
    """A schedule counts from today or later: what was due already stays as it was."""

    code = "payouts.schedule_too_early"


class UnknownLimit(Refusal):
    """No limit of runs has this id, or it was approved already."""

    code = "payouts.unknown_run_limit"


class NoMethod(Refusal):
    """The payee has named no place to be paid to."""

    code = "payouts.no_method"


class ByHandOnly(Refusal):
    """The payee is paid when he asks, and not by runs."""

    code = "payouts.by_hand_only"


class InAnotherRun(Refusal):
    """Another open run of the currency pays this money."""

    code = "payouts.in_another_run"


class NoInstant(Refusal):
    """Instant payouts are not offered in this currency, or not to this method."""

    code = "payouts.no_instant"


class BadInstantFee(Refusal):
    """Rate, fixed part or bounds do not fit, or a fee that counts from a time stays."""

    code = "payouts.bad_instant_fee"


class PriceChanged(Refusal):
    """The instant fee is no longer the one that was quoted."""

    code = "payouts.instant_fee_changed"
