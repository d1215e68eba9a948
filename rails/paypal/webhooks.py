"""Whether a webhook comes from PayPal: a signature by a certificate that PayPal itself serves."""

import base64
import binascii
import itertools
import threading
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from rails.http import Api
from rails.refusals import BadSignature

ALGORITHM: Final = "SHA256withRSA"

OLDEST: Final = timedelta(days=4)
"""A webhook that was first sent longer ago is not believed: PayPal tries for three days."""

AHEAD: Final = timedelta(minutes=5)
"""How far its clock may be before ours."""

_PATH: Final = "/v1/notifications/certs/"
_DOMAIN: Final = ".paypal.com"
_SMALLEST_KEY_BITS: Final = 2048
_MOST_BYTES: Final = 64 * 1024
_MOST_KEPT: Final = 32
_MOST_FETCHES: Final = 10
_HEADERS: Final = ("transmission-id", "transmission-time", "transmission-sig", "cert-url")


@dataclass(slots=True)
class Certificates:
    """Certificates by address, kept once they were checked; few are fetched in a minute.

    `bases` are addresses besides PayPal's own that may serve them.
    """

    api: Api
    bases: tuple[str, ...] = ()
    _kept: dict[str, x509.Certificate] = field(default_factory=dict)
    _fetched_at: list[datetime] = field(default_factory=list)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def get(self, url: str, *, at: datetime) -> x509.Certificate:
        """The certificate at an address, good at this time; BadSignature if we do not trust it.

        RailTrouble if it cannot be fetched now.
        """
        if not is_trusted(url, self.bases):
            raise BadSignature(why="certificate from elsewhere")
        with self._guard:
            found = self._kept.get(url)
            if found is None:
                self._count(at)
        if found is None:
            found = chain_checked(self.api.download(url, most_bytes=_MOST_BYTES), at=at)
            with self._guard:
                if len(self._kept) >= _MOST_KEPT:
                    self._kept.clear()
                self._kept[url] = found
        _check_time(found, at)
        return found

    def _count(self, at: datetime) -> None:
        """Refuse to be sent about: whoever posts to us chooses the address."""
        recent = [when for when in self._fetched_at if abs(at - when) < timedelta(minutes=1)]
        if len(recent) >= _MOST_FETCHES:
            raise BadSignature(why="too many new certificates")
        self._fetched_at = [*recent, at]


def verify(
    body: bytes,
    headers: Mapping[str, str],
    *,
    webhook_id: str,
    certificates: Certificates,
    at: datetime,
) -> None:
    """Nothing, if PayPal signed this body for this webhook of ours; else BadSignature."""
    sent = {name: headers.get(f"paypal-{name}", "") for name in _HEADERS}
    if not webhook_id or not all(sent.values()):
        raise BadSignature(why="no signature")
    if headers.get("paypal-auth-algo", ALGORITHM) != ALGORITHM:
        raise BadSignature(why="unknown algorithm")
    check_age(sent["transmission-time"], at=at)
    try:
        signature = base64.b64decode(sent["transmission-sig"], validate=True)
    except binascii.Error:
        raise BadSignature(why="unreadable signature") from None
    key = certificates.get(sent["cert-url"], at=at).public_key()
    assert isinstance(key, RSAPublicKey)
    signed = signed_text(
        body,
        transmission_id=sent["transmission-id"],
        sent_at=sent["transmission-time"],
        webhook_id=webhook_id,
    )
    try:
        key.verify(signature, signed, PKCS1v15(), SHA256())
    except InvalidSignature:
        raise BadSignature(why="signature does not hold") from None


def signed_text(body: bytes, *, transmission_id: str, sent_at: str, webhook_id: str) -> bytes:
    """What PayPal signs: the body only by its checksum, in decimal digits."""
    return f"{transmission_id}|{sent_at}|{webhook_id}|{zlib.crc32(body)}".encode()


def check_age(sent_at: str, *, at: datetime) -> None:
    """BadSignature for a time that cannot be read, is long ago or is still to come."""
    try:
        when = datetime.fromisoformat(sent_at)
    except ValueError:
        raise BadSignature(why="unreadable time") from None
    if when.tzinfo is None or not -AHEAD <= at - when <= OLDEST:
        raise BadSignature(why="too old or too new")


def is_trusted(url: str, bases: tuple[str, ...]) -> bool:
    """Whether a certificate may come from here: PayPal's own hosts over https, or a given base."""
    if any(url.startswith(f"{base}/") for base in bases):
        return True
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    is_theirs = (parts.hostname or "").endswith(_DOMAIN) and parts.username is None
    is_plain = port in {None, 443} and parts.path.startswith(_PATH) and ".." not in parts.path
    return parts.scheme == "https" and is_theirs and is_plain


def chain_checked(pem: bytes, *, at: datetime) -> x509.Certificate:
    """The first certificate of a file: PayPal's by its name, each signed by the one behind it.

    Who signed the last one is not asked: that PayPal's own host served the file, over TLS, is
    what makes us believe it.
    """
    try:
        chain = x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise BadSignature(why="unreadable certificate") from None
    first = chain[0]
    key = first.public_key()
    if not isinstance(key, RSAPublicKey) or key.key_size < _SMALLEST_KEY_BITS:
        raise BadSignature(why="weak certificate")
    if not any(name.endswith(_DOMAIN) for name in _names(first)):
        raise BadSignature(why="certificate of someone else")
    for each, issuer in itertools.pairwise(chain):
        _check_time(issuer, at)
        try:
            each.verify_directly_issued_by(issuer)
        except (InvalidSignature, TypeError, ValueError):
            raise BadSignature(why="broken chain of certificates") from None
    return first


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        common = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        return [str(each.value) for each in common]
    return extension.value.get_values_for_type(x509.DNSName)


def _check_time(certificate: x509.Certificate, at: datetime) -> None:
    if not certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc:
        raise BadSignature(why="certificate is not valid now")
