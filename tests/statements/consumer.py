"""Reads `GET /v1/log/events` in a process of its own, to be killed: on from what it remembers.

A consumer as a stranger would write one, with the standard library alone. It appends each event to
`delivered` when it has it, and remembers its place only every third page: what came since is
delivered once more to whoever goes on. Told to, it kills itself in a page, when it has so many
events of which the last are not in the place that it remembers.
"""

import http.client
import json
import os
import signal
import sys
from pathlib import Path

PAGE = 20
REMEMBER_EVERY = 3


def consume(
    port: int, secret: str, folder: Path, until: int | None, *, dies_after: int | None
) -> None:
    """Page after page, for ever, or until the number `until` of the journal is delivered.

    With `dies_after` its last act is to deliver that many events: what it remembers is never the
    last one, which is therefore delivered again.
    """
    place = folder / "place"
    after = int(place.read_text()) if place.exists() else 0
    server = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    delivered = os.open(folder / "delivered", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(delivered, b"life\n")
    pages = count = 0
    while until is None or after < until:
        server.request(
            "GET",
            f"/v1/log/events?after={after}&limit={PAGE}",
            headers={"Authorization": f"Bearer {secret}"},
        )
        for event in json.load(server.getresponse())["items"]:
            os.write(delivered, f"{event['journal_no']} {event['id']}\n".encode())
            after = int(event["journal_no"])
            count += 1
            if count == dies_after:
                os.kill(os.getpid(), signal.SIGKILL)
        pages += 1
        if pages % REMEMBER_EVERY == 0:
            (folder / "next").write_text(str(after))
            (folder / "next").replace(place)


if __name__ == "__main__":
    _, at_port, key, where, until_no, so_many = sys.argv
    consume(int(at_port), key, Path(where), int(until_no) or None, dies_after=int(so_many) or None)
