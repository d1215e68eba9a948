"""What M-Pesa is told of us, and what it must be told."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.database import Tenant
from kernel.settings import CannotStart
from rails.mpesa.rules import Address, account_reference, address_of, endpoint_of, stamp
from rails.mpesa.settings import LIVE, SANDBOX, MpesaSettings

TENANT = Tenant("test")
ALL = {
    "MPESA_CONSUMER_KEY": "a",
    "MPESA_CONSUMER_SECRET": "b",
    "MPESA_SHORTCODE": "600997",
    "MPESA_PASSKEY": "c",
    "MPESA_INITIATOR": "d",
    "MPESA_SECURITY_CREDENTIAL": "e",
    "MPESA_CALLBACK_BASE": "https://market.test/",
    "MPESA_CALLBACK_TOKEN": "0123456789abcdefghijklmn",
}


def test_settings_come_from_the_environment_or_say_what_is_missing() -> None:
    """All or none; a tenant's own go first; no address in the clear, no short token."""
    found = MpesaSettings.from_environment(ALL, TENANT)
    live = MpesaSettings.from_environment(
        ALL | {"MPESA_API_BASE": LIVE, "MPESA_SHORTCODE__TEST": "1"}, TENANT
    )

    assert MpesaSettings.from_environment({}, TENANT) is None
    assert found is not None
    assert (found.api_base, found.is_live) == (SANDBOX, False)
    assert found.callback_base == "https://market.test/webhooks/test/mpesa"
    mapped = MpesaSettings.from_environment(
        ALL | {"MPESA_CALLBACK_BASE": "https://market.test/in/"}, TENANT
    )
    assert mapped is not None
    assert mapped.callback_base == "https://market.test/in"
    assert live is not None
    assert (live.shortcode, live.is_live) == ("1", True)
    for name in ALL:
        with pytest.raises(CannotStart):
            MpesaSettings.from_environment({**ALL, name: ""}, TENANT)
    for wrong in (
        {"MPESA_CALLBACK_TOKEN": "short"},
        {"MPESA_API_BASE": "http://api.safaricom.co.ke"},
        {"MPESA_CALLBACK_BASE": "http://market.test"},
    ):
        with pytest.raises(CannotStart):
            MpesaSettings.from_environment(ALL | wrong, TENANT)


@given(
    st.sampled_from(["stk", "b2c", "timeout", "status", "late"]),
    st.uuids(),
    st.integers(1, 10**12),
    st.from_regex(r"[0-9A-Za-z]{0,12}", fullmatch=True),
)
def test_an_address_is_read_as_it_was_made(
    what: str, operation_id: UUID, minor: int, reason: str
) -> None:
    """One part of a path, with all that we asked for in it."""
    address = Address(what, operation_id, minor, reason)

    endpoint = endpoint_of(address, token="t")

    assert address_of(endpoint, token="t") == address
    assert len(endpoint) < 120
    assert endpoint.replace("-", "").isalnum()


def test_times_are_nairobis_and_references_short() -> None:
    """Three hours before UTC's clock; twelve letters and digits, always the same for an id."""
    at = datetime(2026, 3, 2, 22, 5, 9, tzinfo=UTC)

    reference = account_reference(UUID(int=7))

    assert stamp(at) == "20260303010509"
    assert reference == account_reference(UUID(int=7)) != account_reference(UUID(int=8))
    assert len(reference) == 12
    assert reference.isalnum()
