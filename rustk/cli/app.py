"""The register of commands. Each stands in a file of its own and imports what it needs when it is called."""

import sys

import typer

from rustk.cli.aggregate import aggregate
from rustk.cli.cancel import cancel
from rustk.cli.dataset import app as dataset_app
from rustk.cli.doctor import doctor
from rustk.cli.final import final
from rustk.cli.logs import logs
from rustk.cli.phantom import phantom
from rustk.cli.plan import plan
from rustk.cli.predict import predict
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
    # Help rendered by rich takes three times as long to come.
    rich_markup_mode=None,
)

# In the order in which a study meets them; the short help must fit a line of 80 columns.
app.command(short_help="List the studies that ship with rustk.")(studies)
app.command(short_help="What a submit would run, and what it would cost.")(plan)
app.command(short_help="Run a study: every fold that is not done yet.")(submit)
app.command(short_help="What is done, running, pending, failed or missing.")(status)
app.command(short_help="Wait until every fold is done.")(wait)
app.command(short_help="The log of a fold's latest pod.")(logs)
app.command(short_help="Delete a run's Jobs and pods, and keep its results.")(cancel)
app.command(short_help="The runs of the store.")(runs)
app.command(short_help="Tables, figures and a page from finished runs.")(aggregate)
app.command(short_help="The chosen model, tested once on the sealed split.")(final)
app.command(short_help="What a final model says of images.")(predict)
app.command(short_help="Check the store, its data and the cluster.")(doctor)
app.command(short_help="Draw a phantom dataset.")(phantom)
app.add_typer(dataset_app, name="dataset", short_help="Datasets: build, show, list, verify.")
app.add_typer(weights_app, name="weights", short_help="Pretrained backbone weights in the store.")
app.command(short_help="The versions that decide a result.")(version)


def main() -> None:
    """Run the command line; an error of rustk's own ends it with one line on stderr and that error's exit code."""
    try:
        # typer has no options with an optional value; --dry-run alone means what it does to kubectl.
        app(["--dry-run=client" if given == "--dry-run" else given for given in sys.argv[1:]], prog_name="rustk")
    except RustkError as error:
        typer.echo(f"rustk: {error}", err=True)
        sys.exit(error.exit_code)
