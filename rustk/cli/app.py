"""The register of commands. Each stands in a file of its own and imports what it needs when it is called."""

import sys

import typer

from rustk.cli.aggregate import aggregate
from rustk.cli.cancel import cancel
from rustk.cli.dataset import app as dataset_app
from rustk.cli.doctor import doctor
from rustk.cli.logs import logs
from rustk.cli.phantom import phantom
from rustk.cli.plan import plan
from rustk.cli.runs import runs
from rustk.cli.status import status
from rustk.cli.studies import studies
from rustk.cli.submit import submit
from rustk.cli.version import version
from rustk.cli.wait import wait
from rustk.cli.weights import app as weights_app
from rustk.vocabulary.errors import RustkError

app = typer.Typer(
    name="rustk",
    help="Cross-validated model studies of radiographs, on Kubernetes or on this machine.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

app.command()(studies)
app.command()(plan)
app.command()(submit)
app.command()(status)
app.command()(wait)
app.command()(logs)
app.command()(cancel)
app.command()(runs)
app.command()(doctor)
app.command()(aggregate)
app.command()(phantom)
app.add_typer(dataset_app, name="dataset")
app.add_typer(weights_app, name="weights")
app.command()(version)


def main() -> None:
    """Run the command line; an error of rustk's own ends it with one line on stderr and that error's exit code."""
    try:
        # typer has no options with an optional value; --dry-run alone means what it does to kubectl.
        app(["--dry-run=client" if given == "--dry-run" else given for given in sys.argv[1:]], prog_name="rustk")
    except RustkError as error:
        typer.echo(f"rustk: {error}", err=True)
        sys.exit(error.exit_code)
