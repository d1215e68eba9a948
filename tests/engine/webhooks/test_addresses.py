"""Where webhooks may go: 25 hostile addresses and more are refused, and names that lead inside."""

import ipaddress

import pytest

from engine.webhooks.addresses import BadUrl, Place, is_public, pick, read_url

HOSTILE = [
    "http://hooks.example.com/x",
    "ftp://hooks.example.com/x",
    "file:///etc/passwd",
    "gopher://hooks.example.com:443/_x",
    "//hooks.example.com/x",
    "https://",
    "https://localhost/x",
    "https://metadata.google.internal/computeMetadata/v1/",
    "https://printer.local/x",
    "https://127.0.0.1/x",
    "https://127.1/x",
    "https://2130706433/x",
    "https://0x7f000001/x",
    "https://0177.0.0.1/x",
    "https://0.0.0.0/x",
    "https://10.0.0.8/x",
    "https://172.16.3.4/x",
    "https://192.168.1.1/x",
    "https://169.254.169.254/latest/meta-data/",
    "https://100.64.0.1/x",
    "https://224.0.0.1/x",
    "https://255.255.255.255/x",
    "https://[::1]/x",
    "https://[::]/x",
    "https://[::ffff:127.0.0.1]/x",
    "https://[::127.0.0.1]/x",
    "https://[64:ff9b::a9fe:a9fe]/x",
    "https://[2002:7f00:1::]/x",
    "https://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/x",
    "https://[fe80::1%25eth0]/x",
    "https://[fd00::1]/x",
    "https://[fec0::1]/x",
    "https://hooks.example.com:22/x",
    "https://hooks.example.com:99999/x",
    "https://hooks.example.com:80/x",
    "https://user:pass@hooks.example.com/x",
    "https://hooks.example.com@10.0.0.8/x",
    "https://hooks.example.com#@10.0.0.8/x",
    "https://hooks.example.com\\@10.0.0.8/x",
    "https://hooks.example.com/\r\nX-Injected: 1",
    "https://hooks.example.com/ x",
    "https://häkchen.example.com/x",
    "https://hooks_under.example.com/x",
    "https://com/x",
    "https://hooks.example.com/" + "x" * 2_000,
]


@pytest.mark.parametrize("url", HOSTILE)
def test_a_hostile_address_is_refused(url: str) -> None:
    """Other schemes and ports, users, fragments, odd spellings, and all that leads inside."""
    with pytest.raises(BadUrl):
        read_url(url)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://hooks.example.com", Place("https", "hooks.example.com", 443, "/")),
        ("https://a.example.com:8443/x?y=1", Place("https", "a.example.com", 8443, "/x?y=1")),
        ("https://8.8.8.8/x", Place("https", "8.8.8.8", 443, "/x")),
    ],
)
def test_a_public_address_is_taken_apart(url: str, place: Place) -> None:
    """Over TLS, at a port of receivers, by a name or a public address."""
    assert read_url(url) == place


@pytest.mark.parametrize(
    "found",
    [
        [],
        ["127.0.0.1"],
        ["93.184.215.14", "10.0.0.8"],
        ["93.184.215.14", "::ffff:10.0.0.8"],
        ["2606:2800:21f:cb07::1", "fd00::1"],
        ["64:ff9b::7f00:1"],
        ["64:ff9b:1::a00:1"],
        ["2002:a9fe:a9fe::1"],
        ["192.88.99.1"],
        ["198.18.0.1"],
        ["203.0.113.9"],
        ["240.0.0.1"],
        ["no address"],
    ],
)
def test_a_name_with_one_address_inside_leads_nowhere(found: list[str]) -> None:
    """Every address that a name has must be public, also the one within another."""
    with pytest.raises(BadUrl):
        pick(found)


def test_a_name_whose_addresses_are_all_public_is_sent_to() -> None:
    """The first that was looked at is the one that is connected to."""
    assert pick(["93.184.215.14", "2606:2800:21f:cb07::1"]) == "93.184.215.14"
    assert is_public(ipaddress.ip_address("64:ff9b::8.8.8.8"))


def test_this_machine_is_sent_to_only_where_that_is_allowed() -> None:
    """`http://127.0.0.1:<port>` in a sandbox that says so; other names of it never."""
    assert read_url("http://127.0.0.1:8080/x", allows_loopback=True).is_loopback
    for url in ("http://127.0.0.1:8080/x", "http://127.0.0.1/x", "http://10.0.0.1:8080/x"):
        with pytest.raises(BadUrl):
            read_url(url, allows_loopback=url != "http://127.0.0.1:8080/x")
