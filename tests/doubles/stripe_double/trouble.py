"""What Stripe answers when it does not do as it is asked."""

from typing import Any

from tests.doubles.contract import error_codes
from tests.doubles.frame import Response, as_json


class StripeError(Exception):
    """One refusal, with a code of the package's own list (or none) and an HTTP status."""

    def __init__(
        self,
        status: int,
        code: str = "",
        message: str = "",
        *,
        kind: str = "invalid_request_error",
        param: str = "",
        **more: Any,
    ) -> None:
        """A code that the package does not know is a mistake of the double."""
        assert not code or code in error_codes(), code
        super().__init__(message)
        self.status = status
        given = {"code": code, "message": message, "param": param, "type": kind, **more}
        self.error = {name: value for name, value in given.items() if value != ""}

    def response(self) -> Response:
        """As it goes over the wire."""
        return as_json({"error": self.error}, status=self.status)


def missing(kind: str, identifier: str) -> StripeError:
    """There is no such object, or not in this account."""
    return StripeError(404, "resource_missing", f"No such {kind}: '{identifier}'", param="id")


def not_played(what: str) -> StripeError:
    """A call of Stripe's that the double does not play; recorded as a violation."""
    return StripeError(501, message=f"the double does not play {what}", kind="api_error")
