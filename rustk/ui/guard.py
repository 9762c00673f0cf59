"""Who may read the live page, and what a browser may do with it.

On this machine's own address, requests must name it as their host: a page of another site that has its name point here
(DNS rebinding) names itself. On any other address they must bring the token of the printed address, once; a cookie
keeps it. Nothing but reading is answered.
"""

import hmac
from collections.abc import MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


class Guard:
    """token None: the server listens on this machine's own address."""

    def __init__(self, app: ASGIApp, *, token: str | None, cookie: str) -> None:
        self._app = app
        self._token = token
        self._cookie = cookie

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers: dict[str, str] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.decode("latin-1"), value.decode("latin-1"))

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                _add(message, _HEADERS)
            await send(message)

        response = self._refusal(scope, headers) if self._token is None else self._unknown(scope, headers)
        await (response or self._app)(scope, receive, guarded)

    def _refusal(self, scope: Scope, headers: MutableMapping[str, str]) -> Response | None:
        host = headers.get("host", "").lower()
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        if name not in _LOOPBACK:
            return PlainTextResponse("This server answers to the names localhost and 127.0.0.1 only.", 403)
        return _only_reading(scope)

    def _unknown(self, scope: Scope, headers: MutableMapping[str, str]) -> Response | None:
        assert self._token is not None
        try:
            kept = SimpleCookie(headers.get("cookie", "")).get(self._cookie)
        except CookieError:
            kept = None
        asked = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = next((value for name, value in asked if name == "token"), None)
        if given is not None and self._is_token(given) and scope["method"] in ("GET", "HEAD"):
            # The address bar, and what is copied from it, must not go on holding the token.
            rest = urlencode([(name, value) for name, value in asked if name != "token"])
            response = RedirectResponse(_local(scope["path"]) + (f"?{rest}" if rest else ""), 303)
            response.set_cookie(self._cookie, self._token, httponly=True, samesite="lax")
            return response
        if kept is None or not self._is_token(kept.value):
            return PlainTextResponse(
                "This page is read by the address that `rustk ui` printed, with its token: open that one first.", 403
            )
        return _only_reading(scope)

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), (self._token or "").encode())


def _only_reading(scope: Scope) -> Response | None:
    if scope["method"] in ("GET", "HEAD"):
        return None
    return PlainTextResponse("Nothing can be changed here.", 405, headers={"Allow": "GET, HEAD"})


def _local(path: str) -> str:
    """A path of this server: one that begins with two slashes would lead to another."""
    return "/" + path.lstrip("/\\")


def _add(message: MutableMapping[str, Any], headers: MutableMapping[str, str]) -> None:
    """Put headers to a response, but for those that it has set itself."""
    there = {name.lower() for name, _ in message["headers"]}
    added = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    message["headers"] = [*message["headers"], *(header for header in added if header[0] not in there)]
