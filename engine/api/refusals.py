"""What the edge itself refuses, before any service hears of a request."""

from kernel.errors import Refusal


class Unreadable(Refusal):
    """The body is not JSON that every reader would understand alike."""

    code = "request.unreadable"


class Invalid(Refusal):
    """The request is readable, but its fields are not what this call takes."""

    code = "request.invalid"


class BodyTooLarge(Refusal):
    """The body is larger than this call takes."""

    code = "request.too_large"


class BodyTooSlow(Refusal):
    """The body did not arrive in time."""

    code = "request.too_slow"


class NotJson(Refusal):
    """The body must be plain, uncompressed application/json in UTF-8."""

    code = "request.media_type"


class BadIdempotencyKey(Refusal):
    """A write carries one Idempotency-Key of 1 to 255 visible ASCII characters."""

    code = "request.idempotency_key"


class BadCursor(Refusal):
    """The cursor was not given out by this list to this caller."""

    code = "request.cursor"


class BadHeader(Refusal):
    """A header stands there twice or cannot be read."""

    code = "request.header"


class Unauthenticated(Refusal):
    """No API key, or one that is unknown, expired or revoked."""

    code = "auth.unauthenticated"


class ScopeMissing(Refusal):
    """The key is good, but not for this call."""

    code = "auth.scope_missing"


class PartyNotAllowed(Refusal):
    """The key may not act for this party."""

    code = "auth.party_not_allowed"


class PlatformOnly(Refusal):
    """What belongs to nobody's party is shown to the platform alone."""

    code = "auth.platform_only"


class NotFound(Refusal):
    """There is nothing here, or nothing that this caller may know of."""

    code = "not_found"


class MethodNotAllowed(Refusal):
    """The path exists; it takes other methods."""

    code = "method_not_allowed"


class CurrencyMismatch(Refusal):
    """The amount is in another currency than the deal."""

    code = "money.currency_mismatch"


class OutcomeUnknown(Refusal):
    """The answer did not come in time; the same key tells what became of the request."""

    code = "request.outcome_unknown"


class Unavailable(Refusal):
    """The database cannot be reached; nothing is known to have been written."""

    code = "unavailable"


class Fault(Refusal):
    """Our own promise failed; someone was woken."""

    code = "internal"
