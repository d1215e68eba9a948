"""Reads `GET /v1/log/events` in a process of its own, to be killed: on from what it remembers.

A consumer as a stranger would write one, with the standard library alone. It appends each event to
`delivered` when it has it, and remembers its place only every third page: what came since is
delivered once more to whoever goes on.
"""

import http.client
import json
import os
import sys
from pathlib import Path

PAGE = 20
REMEMBER_EVERY = 3


def consume(port: int, secret: str, folder: Path, until: int | None) -> None:
    """Page after page, for ever, or until the number `until` of the journal is delivered."""
    place = folder / "place"
    after = int(place.read_text()) if place.exists() else 0
    server = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    delivered = os.open(folder / "delivered", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(delivered, b"life\n")
    pages = 0
    while until is None or after < until:
        server.request(
            "GET",
            f"/v1/log/events?after={after}&limit={PAGE}",
            headers={"Authorization": f"Bearer {secret}"},
        )
        for event in json.load(server.getresponse())["items"]:
            os.write(delivered, f"{event['journal_no']} {event['id']}\n".encode())
            after = int(event["journal_no"])
        pages += 1
        if pages % REMEMBER_EVERY == 0:
            (folder / "next").write_text(str(after))
            (folder / "next").replace(place)


if __name__ == "__main__":
    _, at_port, key, where, *last = sys.argv
    consume(int(at_port), key, Path(where), int(last[0]) if last else None)
