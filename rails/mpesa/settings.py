"""What a tenant's shortcode at M-Pesa needs to be known, read from the environment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from kernel.database import Tenant
from kernel.settings import CannotStart
from rails.http import check_base

LIVE: Final = "https://api.safaricom.co.ke"
SANDBOX: Final = "https://sandbox.safaricom.co.ke"

SHORTEST_TOKEN: Final = 24
"""Characters of the secret that makes our callback addresses unguessable."""

_NEEDED: Final = (
    "MPESA_CONSUMER_KEY",
    "MPESA_CONSUMER_SECRET",
    "MPESA_SHORTCODE",
    "MPESA_PASSKEY",
    "MPESA_INITIATOR",
    "MPESA_SECURITY_CREDENTIAL",
    "MPESA_CALLBACK_BASE",
    "MPESA_CALLBACK_TOKEN",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MpesaSettings:
    """One shortcode at M-Pesa.

    Args:
        consumer_key, consumer_secret: of the app in the Daraja portal.
        shortcode: the paybill that is paid and that pays.
        passkey: signs STK pushes.
        initiator: the API operator's name, who pays out and asks.
        security_credential: his password, encrypted with Safaricom's certificate.
        callback_base: our own address as Safaricom reaches it, up to and with
            `/webhooks/<tenant>/mpesa`.
        callback_token: a secret of ours that makes the rest of the address unguessable.
        api_base: where Daraja answers, without a slash at the end.
        connect_s: seconds until a connection must stand.
        read_s: seconds until an answer must come.
    """

    consumer_key: str = field(repr=False)
    consumer_secret: str = field(repr=False)
    shortcode: str
    passkey: str = field(repr=False)
    initiator: str = field(repr=False)
    security_credential: str = field(repr=False)
    callback_base: str
    callback_token: str = field(repr=False)
    api_base: str = SANDBOX
    connect_s: float = 3.0
    read_s: float = 30.0

    @property
    def is_live(self) -> bool:
        """Whether money is real there."""
        return urlsplit(self.api_base).hostname == urlsplit(LIVE).hostname

    @classmethod
    def from_environment(cls, env: Mapping[str, str], tenant: Tenant) -> "MpesaSettings | None":
        """The settings of a tenant, or None where nothing is set.

        A name with `__<TENANT>` behind it goes before the name alone. `MPESA_CALLBACK_BASE` is
        the address of this server, behind which the tenant's path is put, unless it has a path
        already. CannotStart if something is missing, no https, or too short.
        """

        def read(name: str) -> str:
            return env.get(f"{name}__{tenant.name.upper()}") or env.get(name) or ""

        missing = [name for name in _NEEDED if not read(name)]
        if len(missing) == len(_NEEDED):
            return None
        if missing:
            raise CannotStart(f"M-Pesa needs {', '.join(missing)} too.")
        if len(read("MPESA_CALLBACK_TOKEN")) < SHORTEST_TOKEN:
            raise CannotStart(f"MPESA_CALLBACK_TOKEN has less than {SHORTEST_TOKEN} characters.")
        base = (read("MPESA_API_BASE") or SANDBOX).rstrip("/")
        ours = read("MPESA_CALLBACK_BASE").rstrip("/")
        check_base(base, variable="MPESA_API_BASE")
        check_base(ours, variable="MPESA_CALLBACK_BASE")
        return cls(
            consumer_key=read("MPESA_CONSUMER_KEY"),
            consumer_secret=read("MPESA_CONSUMER_SECRET"),
            shortcode=read("MPESA_SHORTCODE"),
            passkey=read("MPESA_PASSKEY"),
            initiator=read("MPESA_INITIATOR"),
            security_credential=read("MPESA_SECURITY_CREDENTIAL"),
            callback_base=ours if urlsplit(ours).path else f"{ours}/webhooks/{tenant.name}/mpesa",
            callback_token=read("MPESA_CALLBACK_TOKEN"),
            api_base=base,
        )
