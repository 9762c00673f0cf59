"""Who may read the page, and what a browser may do with it."""

import pytest
from starlette.testclient import TestClient

from rustk.ui.hub import Hub
from rustk.ui.server import make_app

TOKEN = "a-token-of-some-length"


@pytest.fixture
def shared(hub: Hub) -> TestClient:
    """A server that others reach, and a browser that has not been there."""
    return TestClient(make_app(hub, token=TOKEN, cookie="ui"), base_url="http://10.0.0.7:8470", follow_redirects=False)


@pytest.mark.parametrize("host", ["localhost:8470", "127.0.0.1", "127.0.0.1:9000", "[::1]:8470", "LOCALHOST"])
def test_this_machine_is_answered_by_its_names(client: TestClient, host: str) -> None:
    assert client.get("/health", headers={"Host": host}).text == "ok"


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8470", "localhost.evil.example", "127.0.0.1.evil.example:8470", "", "::1"]
)
def test_a_name_that_was_made_to_point_here_is_refused(client: TestClient, host: str) -> None:
    assert client.get("/health", headers={"Host": host}).status_code == 403


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_only_reading_is_answered(client: TestClient, shared: TestClient, method: str) -> None:
    assert client.request(method, "/").status_code == 405
    shared.cookies.set("ui", TOKEN)
    assert shared.request(method, "/").status_code == 405


def test_others_need_the_token_once(shared: TestClient) -> None:
    refused = shared.get("/health")
    assert refused.status_code == 403
    assert TOKEN not in refused.text
    first = shared.get(f"/runs/x?show=all&token={TOKEN}&page=2")
    assert first.status_code == 303
    assert first.headers["location"] == "/runs/x?show=all&page=2"
    cookie = first.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert first.headers["referrer-policy"] == "no-referrer"
    assert shared.get("/health").text == "ok"


@pytest.mark.parametrize("given", ["", "x", TOKEN[:-1], TOKEN + "x", "é", TOKEN.upper()])
def test_no_other_token_will_do(shared: TestClient, given: str) -> None:
    assert shared.get("/health", params={"token": given}).status_code == 403
    assert shared.get("/health", headers={"Cookie": f"ui={given}".encode()}).status_code == 403
    assert shared.get("/health", headers={"Cookie": f"other={TOKEN}"}).status_code == 403
    assert shared.post("/", params={"token": TOKEN}).status_code == 403


def test_the_token_leads_nowhere_else(shared: TestClient) -> None:
    answer = shared.get(f"http://10.0.0.7:8470//evil.example/x?token={TOKEN}")
    assert answer.headers["location"] == "/evil.example/x"


def test_every_answer_says_what_a_browser_may_do(client: TestClient) -> None:
    for path in ("/", "/health", "/nowhere", "/assets/live.js"):
        headers = client.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
