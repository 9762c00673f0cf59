"""`rustk ui`: the runs in a browser, as they go on."""

from typing import Annotated

import typer

from rustk.cli.backend_options import BackendOption, NamespaceOption, backend_from, on_cluster
from rustk.cli.context import StoreOption, settings, store_from
from rustk.vocabulary.errors import RustkError

_PORT = 8470


def ui(
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", help="The port to listen on; 0 takes a free one.", min=0, max=65535)
    ] = _PORT,
    backend: BackendOption = None,
    namespace: NamespaceOption = None,
    store: StoreOption = None,
) -> None:
    """Serve pages that show the runs as they go on: every fold's state, curves, logs, time left. They change nothing.

    Only this machine reaches them. With another --host whoever has the printed address does, for it holds a token; the
    connection is not encrypted.
    """
    try:
        from rustk.ui.serving import serve
    except ImportError as error:
        raise RustkError(
            f"{error.name} is not installed, and the live page needs it: pip install 'rustk[ui]'"
        ) from None
    current = settings(store=store, backend=backend, kubernetes=on_cluster(namespace))
    opened = store_from(current)
    used = backend_from(current, opened, namespace=namespace)
    serve(opened, used, host=host, port=port, tell=lambda address: typer.echo(f"{address}  (Ctrl-C ends it)"))
