"""What is served: three kinds of page, the report's files, and the pages' own assets."""

import hashlib
import mimetypes
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

import rustk
from rustk.ui.guard import Guard
from rustk.ui.hub import Hub
from rustk.ui.pages import SHOWN, Part, fold_page, run_page, runs_page
from rustk.ui.runs import RunState
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadData, KeyMissing, StoreFailed

# A page that takes longer to be known says so, and fills itself when it is.
_PATIENCE_SECONDS = 0.6
_SOON_SECONDS = 0.5
_ASSETS = {"live.js": "text/javascript", "ui.css": "text/css", "icon.svg": "image/svg+xml"}
_REPORT_KINDS = {".html", ".csv", ".md", ".tex", ".svg", ".png", ".pdf", ".txt", ".json", ".bib", ".parquet"}
# A report is a page of somebody's making: it may run its own script, and reach nothing of this server's.
_REPORT_POLICY = (
    "sandbox allow-scripts allow-downloads; default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def make_app(hub: Hub, *, token: str | None = None, cookie: str = "rustk-ui") -> Starlette:
    """The application. token: that every reader must bring, None where only this machine reaches the server."""
    pages = _Pages(hub)
    return Starlette(
        routes=[
            Route("/", pages.runs),
            Route("/runs/{run}", pages.run),
            Route("/runs/{run}/trial/{trial:int}/fold/{fold:int}", pages.fold),
            Route("/runs/{run}/report/{path:path}", pages.report),
            Route("/assets/{name}", _asset),
            Route("/health", lambda request: PlainTextResponse("ok")),
        ],
        middleware=[
            Middleware(Guard, token=token, cookie=cookie),
            Middleware(GZipMiddleware, minimum_size=1000, compresslevel=4),
        ],
        exception_handlers={HTTPException: pages.refuse, Exception: _fault},
    )


class _Pages:
    """Handlers that render what the watches know. They run in threads, and wait for none but a first look."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._rendered: dict[tuple[str, Part], tuple[int, int, bytes]] = {}

    def runs(self, request: Request) -> Response:
        state = self._hub.runs.state(_PATIENCE_SECONDS)
        return self._answer(request, "runs.html.j2", runs_page(state) | {"store": self._hub.store.url})

    def run(self, request: Request) -> Response:
        watch = self._watch(request)
        state = watch.state(_PATIENCE_SECONDS)
        if state.progress is None:
            return self._nothing(request, state)
        part = _part(request)
        # What several look at, or one asks for twice, is rendered once.
        held = self._rendered.get((state.run, part))
        if held is None or held[:2] != (state.version, id(watch)):
            body = self._render("run.html.j2", run_page(state, watch.figures, part))
            held = (state.version, id(watch), body)
            if len(self._rendered) > 100:
                self._rendered.clear()
            self._rendered[state.run, part] = held
        return _page(request, held[2])

    def fold(self, request: Request) -> Response:
        watch = self._watch(request)
        state = watch.state(_PATIENCE_SECONDS)
        if state.progress is None:
            return self._nothing(request, state)
        trial, fold = request.path_params["trial"], request.path_params["fold"]
        if not any(one.fold == fold for one in state.by_trial.get(trial, ())):
            raise HTTPException(404, f"run {state.run} has no trial {trial} fold {fold}")
        log = self._hub.log(state.run, trial, fold).state(_PATIENCE_SECONDS / 2)
        page = fold_page(state, watch.figures, trial, fold, log)
        assert page is not None
        return self._answer(request, "fold.html.j2", page)

    def report(self, request: Request) -> Response:
        """A file of the run's report, in a sandbox of its own."""
        run, path = request.path_params["run"], request.path_params["path"]
        kind = "." + path.rpartition(".")[2]
        parts = path.split("/")
        if not names.is_folder(run) or not all(names.is_folder(part) for part in parts) or kind not in _REPORT_KINDS:
            raise HTTPException(404, "there is no such file in the report")
        try:
            data = self._hub.store.read(f"{names.report_prefix(run)}{path}")
        except (KeyMissing, BadData):
            raise HTTPException(404, f"run {run} has no report with {path}: rustk aggregate {run} makes one") from None
        except StoreFailed as error:
            raise HTTPException(503, str(error)) from None
        media = mimetypes.guess_type(path)[0] or "application/octet-stream"
        if kind in (".md", ".tex", ".bib"):
            media = "text/plain"
        return Response(data, media_type=media, headers={"Content-Security-Policy": _REPORT_POLICY})

    def refuse(self, request: Request, error: Exception) -> Response:
        """The page of an error."""
        status = getattr(error, "status_code", 500)
        return self._message(request, "Not here", getattr(error, "detail", "something went wrong"), status)

    def _watch(self, request: Request) -> Any:
        run = request.path_params["run"]
        if not names.is_folder(run):
            raise HTTPException(404, "that can't be the name of a run")
        return self._hub.run(run)

    def _nothing(self, request: Request, state: RunState) -> Response:
        """The page of a run of which nothing is known: not yet, no more, or because it is damaged."""
        if not state.fault:
            text = "The store is being read. This page fills itself."
            return self._message(request, state.run, text, 200, seconds=_SOON_SECONDS)
        heading = "No such run" if state.absent else f"{state.run} can't be shown"
        return self._message(request, heading, state.fault, 404 if state.absent else 200)

    def _message(self, request: Request, heading: str, text: str, status: int, **more: Any) -> Response:
        context = {"heading": heading, "text": text, "announce": f"{heading}: {text}", "alarm": "", **more}
        return _page(request, self._render("message.html.j2", context), status)

    def _answer(self, request: Request, template: str, context: dict[str, Any]) -> Response:
        return _page(request, self._render(template, context))

    def _render(self, template: str, context: dict[str, Any]) -> bytes:
        made = _environment().get_template(template)
        return made.render({"version": rustk.__version__, "seconds": self._hub.seconds, **context}).encode()


def _page(request: Request, body: bytes, status: int = 200) -> Response:
    """A page, or word that the reader has it already."""
    tag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
    # A proxy, or the compression of this server, may have made the tag a weak one.
    if status == 200 and request.headers.get("if-none-match", "").removeprefix("W/") == tag:
        return Response(status_code=304, headers={"ETag": tag})
    return Response(body, status, {"ETag": tag}, "text/html")


def _part(request: Request) -> Part:
    show = request.query_params.get("show", "all")
    page = request.query_params.get("page", "1")
    number = int(page) if page.isascii() and page.isdecimal() and len(page) < 8 else 1
    return Part(show if show in SHOWN else "all", max(1, number))


def _asset(request: Request) -> Response:
    name = request.path_params["name"]
    if name == "style.css":  # the report's: one look for both
        return Response(files("rustk.report.page").joinpath("templates", name).read_bytes(), media_type="text/css")
    if name not in _ASSETS:
        raise HTTPException(404, "there is no such file")
    return Response(files("rustk.ui").joinpath("assets", name).read_bytes(), media_type=_ASSETS[name])


def _fault(request: Request, error: Exception) -> Response:
    """What the page of a reader says of a fault of this program, which its terminal shows in full."""
    return PlainTextResponse("rustk ui failed to make this page: its terminal says more.", 500)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("rustk.ui", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["html"] = Markup
    return environment
