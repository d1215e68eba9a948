"""The double's certificates, made once, and how it signs what it sends."""

import base64
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

DOMAIN = "messageverificationcerts.sandbox.paypal.com"


@cache
def key(name: str = "paypal") -> RSAPrivateKey:
    """A key for all tests of a process."""
    del name
    return generate_private_key(public_exponent=65537, key_size=2048)


@cache
def chain(domain: str = DOMAIN, *, until_year: int = 2099, issuer_key: str = "authority") -> bytes:
    """A certificate and the authority behind it; with another issuer's key it does not hold."""
    authority = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Authority of tests")])
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, domain)])
    leaf = (
        _begun(subject, authority, key(), until_year)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(domain)]), critical=False)
        .sign(key(issuer_key), SHA256())
    )
    root = _begun(authority, authority, key("authority"), 2099).sign(key("authority"), SHA256())
    return leaf.public_bytes(Encoding.PEM) + root.public_bytes(Encoding.PEM)


def _begun(
    subject: x509.Name, issuer: x509.Name, of: RSAPrivateKey, until_year: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(of.public_key())
        .serial_number(7)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(until_year, 1, 1, tzinfo=UTC))
    )


def headers_for(
    body: bytes, *, sent_at: datetime, cert_url: str, webhook_id: str, transmission_id: str
) -> Mapping[str, str]:
    """What PayPal sends with a webhook."""
    when = sent_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    text = f"{transmission_id}|{when}|{webhook_id}|{zlib.crc32(body)}"
    signature = key().sign(text.encode(), PKCS1v15(), SHA256())
    return {
        "paypal-auth-algo": "SHA256withRSA",
        "paypal-cert-url": cert_url,
        "paypal-transmission-id": transmission_id,
        "paypal-transmission-time": when,
        "paypal-transmission-sig": base64.b64encode(signature).decode(),
    }
