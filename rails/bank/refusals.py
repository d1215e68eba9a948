"""What accounts, orders and files of our banks refuse."""

from kernel.errors import Refusal


class BadAccount(Refusal):
    """An account has a holder of 1 to 70 characters and a number that adds up; never repeated."""

    code = "bank.bad_account"


class UnknownAccount(Refusal):
    """No bank account has this id, or it has ended."""

    code = "bank.unknown_account"


class NoOwnAccount(Refusal):
    """Our own account of this currency is not set up."""

    code = "bank.no_own_account"


class AccountServes(Refusal):
    """Another account serves as this bank of ours already."""

    code = "bank.account_serves"


class NothingToFile(Refusal):
    """No order waits for a file."""

    code = "bank.nothing_to_file"


class UnknownFile(Refusal):
    """No bank file has this id."""

    code = "bank.unknown_file"


class FileWrongState(Refusal):
    """The file has been released or withdrawn already."""

    code = "bank.file_wrong_state"


class FileTakesTwo(Refusal):
    """Who made a file does not release it."""

    code = "bank.file_takes_two"


class FileInPerson(Refusal):
    """Files are made and released by people, never by programs."""

    code = "bank.file_in_person"


class BadDay(Refusal):
    """A file is executed today or within a year."""

    code = "bank.bad_day"


class CannotWrite(Refusal):
    """The bank's format does not take one of the payments."""

    code = "bank.cannot_write"


class DetailsErased(Refusal):
    """Details of an account in it were erased: the file cannot be written again."""

    code = "bank.details_erased"


class UnknownOrder(Refusal):
    """No order to a bank has this id."""

    code = "bank.unknown_order"


class OrderWrongState(Refusal):
    """A statement says of an order what cannot be: it is not with the bank, or ended otherwise."""

    code = "bank.order_wrong_state"


class AmountDiffers(Refusal):
    """A statement names another amount than was ordered."""

    code = "bank.amount_differs"
