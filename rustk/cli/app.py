"""The register of commands. Each stands in a file of its own and imports what it needs when it is called."""

import atexit
import errno
import gc
import io
import os
import re
import sys
from typing import Annotated, NoReturn, cast

import typer

import rustk
from rustk.cli.commands.aggregate import aggregate
from rustk.cli.commands.cancel import cancel
from rustk.cli.commands.dataset import app as dataset_app
from rustk.cli.commands.doctor import doctor
from rustk.cli.commands.export import app as export_app
from rustk.cli.commands.final import final
from rustk.cli.commands.fold import app as fold_app
from rustk.cli.commands.instruments import instruments
from rustk.cli.commands.logs import logs
from rustk.cli.commands.methods import methods
from rustk.cli.commands.phantom import phantom
from rustk.cli.commands.plan import plan
from rustk.cli.commands.predict import predict
from rustk.cli.commands.runs import app as runs_app
from rustk.cli.commands.status import status
from rustk.cli.commands.studies import studies
from rustk.cli.commands.submit import submit
from rustk.cli.commands.ui import ui
from rustk.cli.commands.version import version
from rustk.cli.commands.wait import wait
from rustk.cli.commands.weights import app as weights_app
from rustk.vocabulary.errors import EXIT_BAD_STUDY, RustkError, one_line

_EXIT_INTERRUPTED = 130
_EXIT_USAGE = 2
_EXIT_CANT_WRITE = 74  # EX_IOERR of sysexits.h
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)

app = typer.Typer(
    name="rustk",
    help="Cross-validated model studies of radiographs, on Kubernetes or on this machine.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    # Help rendered by rich takes three times as long to come.
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

# In the order in which a study meets them; the short help must fit a line of 80 columns.
app.command(short_help="List the studies that ship with rustk.")(studies)
app.command(short_help="What a submit would run, and what it would cost.")(plan)
app.command(short_help="Run a study: every fold that is not done yet.")(submit)
app.command(short_help="What is done, running, pending, failed or missing.")(status)
app.command(short_help="The runs in a browser, as they go on.")(ui)
app.command(short_help="Wait until every fold is done.")(wait)
app.command(short_help="What the worker of a fold printed.")(logs)
app.command(short_help="End what is at work on a run, and keep its results.")(cancel)
app.add_typer(runs_app, name="runs", short_help="The runs of the store.")
app.command(short_help="Tables, figures and a page from finished runs.")(aggregate)
app.command(short_help="The methods section of a paper on a run.")(methods)
app.add_typer(fold_app, name="fold", short_help="Train one fold again, and compare.")
app.add_typer(export_app, name="export", short_help="A run for other tools: MLflow, TensorBoard.")
app.command(short_help="The chosen model, tested once on the sealed split.")(final)
app.command(short_help="What a final model says of images.")(predict)
app.command(short_help="Check the store, its data and the backend.")(doctor)
app.command(short_help="Scoring instruments: what they score, and how.")(instruments)
app.command(short_help="Draw a phantom dataset.")(phantom)
app.add_typer(dataset_app, name="dataset", short_help="Datasets: build, show, list, verify.")
app.add_typer(weights_app, name="weights", short_help="Pretrained backbone weights in the store.")
app.command(short_help="The versions that decide a result.")(version)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"rustk {rustk.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print rustk's version.")
    ] = False,
) -> None:
    """Cross-validated model studies of radiographs, on Kubernetes or on this machine."""


# typer brings its own copy of click, or click itself, by its version; either way bad command lines raise this class.
_UsageError = cast("type[typer.BadParameter]", typer.BadParameter.__bases__[0])


def main() -> None:
    """Run the command line; whatever is wrong with it ends it with one line on stderr and a non-zero exit code.

    The code is that of rustk's own error, 2 for a command line that can't be understood, 130 after Ctrl-C.
    """
    # What is imported stays to the end: looking through it again and again, and once more at the exit, is of no use.
    gc.set_threshold(50_000, 20, 100)
    atexit.register(gc.freeze)
    # typer has no options with an optional value; --dry-run alone means what it does to kubectl.
    arguments = ["--dry-run=client" if given == "--dry-run" else given for given in sys.argv[1:]]
    if sys.stdout is None:  # closed by whoever called: what is written there must not be lost in silence
        os.open(os.devnull, os.O_WRONLY)  # in its place, or the next file opened would be taken for it
        sys.stdout = _Closed()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that knows ASCII only gets \xb1 for a plus-minus sign
            stream.reconfigure(errors="backslashreplace")
    _refuse_empty(arguments)
    try:
        os.getcwd()  # noqa: PTH109 (a path object does not look)
    except OSError:
        _end("the working directory is gone: change to one that is there", EXIT_BAD_STUDY)
    try:
        code = app(arguments, prog_name="rustk", standalone_mode=False)
    except RustkError as error:
        _end(str(error), error.exit_code)
    except _UsageError as error:
        message = error.format_message()
        if "\n" in message:  # the help, which a command without arguments shows
            typer.echo(message)
            sys.exit(error.exit_code)
        command = error.ctx.command_path if error.ctx else _command_in(arguments)
        said = _in_our_words(message.rstrip(".")) + _given(error, arguments)
        _end(f"{said}{'' if said.endswith('?') else ':'} `{command} --help` lists what it takes", error.exit_code)
    except typer.Abort:
        code = _EXIT_INTERRUPTED
    except OSError as error:
        # Where files are written, faults are told by their names; what is left is what the command prints.
        if error.errno not in _FULL or error.filename is not None:
            raise
        _give_up_output()
        todo = (
            "it is closed: send it somewhere"
            if error.errno == errno.EBADF
            else f"{error.strerror}: make room, or send it elsewhere"
        )
        _end(f"could not write the output: {todo}", _EXIT_CANT_WRITE)
    if code == _EXIT_INTERRUPTED:  # what typer makes of Ctrl-C, without a word
        _end("stopped", _EXIT_INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)


class _Closed(io.TextIOBase):
    """In place of an output that is closed."""

    def write(self, text: str) -> int:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    def fileno(self) -> int:
        return 1


def _refuse_empty(arguments: list[str]) -> None:
    """End where an argument is empty, as an unset variable of a script makes it: it means no file, name or number.

    As a path it would mean the working directory.
    """
    for place, argument in enumerate(arguments):
        option, separator, value = argument.partition("=")
        if argument and not (option.startswith("--") and separator and not value):
            continue
        after = option if argument else arguments[place - 1] if place else "rustk"
        _end(
            f"the value after {one_line(after)} is empty: expected a run, name, number, path or other text (is a "
            "variable of a script unset?)",
            _EXIT_USAGE,
        )


# What typer has pydantic say of an option's value, in the words of rustk's other messages.
_OUR_WORDS = (
    (r"Input should be greater than or equal to ", "expected at least "),
    (r"Input should be less than or equal to ", "expected at most "),
    (r"Input should be a valid integer(, .*)?$", "expected a whole number"),
    (r"Input should be a valid number(, .*)?$", "expected a number"),
    (r"Option '(.*)' requires an argument$", r"the value after \1 is missing"),
    (r"Value error, '.*' is not one of (.*)$", r"expected one of \1"),
)


def _command_in(arguments: list[str]) -> str:
    """The command that arguments begin with, as far as they do: `rustk dataset build`."""
    found, path = typer.main.get_command(app), ["rustk"]
    for argument in arguments:
        inner = getattr(found, "commands", {}).get(argument)
        if inner is None:
            break
        found, path = inner, [*path, argument]
    return " ".join(path)


def _in_our_words(message: str) -> str:
    for theirs, ours in _OUR_WORDS:
        message = re.sub(theirs, ours, message)
    return message


def _given(error: typer.BadParameter, arguments: list[str]) -> str:
    """What was given for the option that an error is about, which the error itself does not say; or nothing."""
    from rustk.vocabulary.checking import clip

    for option in getattr(getattr(error, "param", None), "opts", ()):
        # Of an option that is given twice, the last one counts.
        for place, argument in reversed(list(enumerate(arguments))):
            if argument.startswith(f"{option}="):
                return f", not {clip(argument.partition('=')[2])}"
            if argument == option and place + 1 < len(arguments):
                return f", not {clip(arguments[place + 1])}"
    return ""


def _give_up_output() -> None:
    """Have the interpreter not try again, in its last moment, to write what was not taken."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _end(message: str, code: int) -> NoReturn:
    typer.echo(f"rustk: {one_line(message, 2000)}", err=True)
    sys.exit(code)
