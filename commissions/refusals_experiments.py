"""What those who try out fees are refused; `fees.bad_experiment` stands in `experiments`."""

from kernel.errors import Refusal


class UnknownExperiment(Refusal):
    """There is no such experiment."""

    code = "experiment.unknown"


class PeopleOnly(Refusal):
    """Experiments are prepared, started and decided by people of the platform."""

    code = "experiment.people_only"


class SamePerson(Refusal):
    """Who prepared an experiment neither starts nor decides it."""

    code = "experiment.same_person"


class WrongState(Refusal):
    """The experiment is not where this may be done with it."""

    code = "experiment.wrong_state"


class NameTaken(Refusal):
    """Another experiment has this name, or this id."""

    code = "experiment.name_taken"


class NoPrice(Refusal):
    """An arm other than the control has no approved fee schedule that holds now."""

    code = "experiment.no_price"


class UnknownArm(Refusal):
    """The experiment has no such arm."""

    code = "experiment.unknown_arm"


class ReasonMissing(Refusal):
    """Stopping and deciding take a reason."""

    code = "experiment.reason_missing"
