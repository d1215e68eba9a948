"""A contract on hours over HTTP, for the tests of its calls."""

from dataclasses import dataclass
from typing import Any

from tests.engine.api.conftest import Api, make_party


def eur(amount: str) -> dict[str, str]:
    """An amount of euros as the API writes it."""
    return {"amount": amount, "currency": "EUR"}


@dataclass
class Hours:
    """One contract on hours: 40.00 an hour, by card unless said otherwise."""

    client: Api
    payee: Api
    client_id: str
    payee_id: str
    contract_id: str
    term_id: str

    @property
    def path(self) -> str:
        """The term's address."""
        return f"/v1/hourly_terms/{self.term_id}"

    def log(self, *spans: tuple[str, str], **given: Any) -> Any:
        """Log hours, each from and to an instant; memo and activity as they should be."""
        entry = {"source": "tracked", "memo": "work", "activity": 80, **given}
        entries = [{"started_at": start, "ended_at": end, **entry} for start, end in spans]
        return self.payee.post(f"{self.path}/entries", {"entries": entries})

    def weeks(self) -> list[Any]:
        """All weeks, oldest first."""
        found: list[Any] = self.client.get(f"{self.path}/weeks").body["items"]
        return found

    def week(self, number: int = 0) -> Any:
        """A week in full, as the client sees it."""
        return self.client.get(f"/v1/weeks/{self.weeks()[number]['id']}").body


def make_hours(api: Api, *, accept: bool = True, **hours: Any) -> Hours:
    """A contract on hours that the payee offered and, unless told otherwise, the client signed."""
    client_id, payee_id = make_party(api, "client"), make_party(api, "freelancer")
    client, payee = api.as_party(client_id), api.as_party(payee_id)
    offered = payee.post(
        "/v1/hourly_contracts",
        {
            "client_id": client_id,
            "payee_id": payee_id,
            "currency": "EUR",
            "hours": {"rate": eur("40.00"), "limit_minutes": 2_400, **hours},
        },
    )
    assert offered.status == 201, offered.body
    made = Hours(
        client, payee, client_id, payee_id, offered.body["contract_id"], offered.body["term_id"]
    )
    if accept:
        signed = client.post(f"{made.path}/accept")
        assert signed.status == 200, signed.body
    return made
