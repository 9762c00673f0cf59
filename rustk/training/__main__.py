"""The program inside the container: `python -m rustk.training fold|serve|again|final|check`.

Exit codes are the contract with the Job's podFailurePolicy: 0 done, or done before; 65 bad data; 78 bad study; 75 the
store failed; 143 stopped by SIGTERM. The last line on stderr is the reason.
"""

import argparse
import atexit
import gc
import os
import re
import signal
import sys
import threading
from types import TracebackType

from rustk.planning.batches import FoldTask
from rustk.store import Store, open_store
from rustk.training.requirement import require_tensorflow
from rustk.vocabulary.errors import EXIT_FAILED, RustkError, one_line

_EXIT_SIGTERM = 128 + signal.SIGTERM


def main(arguments: list[str]) -> int:
    options = _parse(arguments)
    _exit_on_sigterm()
    sys.excepthook = _tell_in_one_line
    try:
        require_tensorflow()
        # TensorFlow's own chatter would bury the reason of a failure.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        if options.command == "check":
            from rustk.training.own_backbone import check_here

            found = check_here(options.architecture, options.height, options.width, options.trainable)
            print(found, flush=True)  # noqa: T201
            return 0
        store = open_store(options.store, endpoint_url=os.environ.get("RUSTK_S3_ENDPOINT_URL") or None)
        if options.command == "serve":
            from rustk.training.serve import serve

            serve(store, options.run)
        elif options.command == "fold":
            from rustk.training.batch import train_batch

            train_batch(store, options.run, options.task, _print_event)
        elif options.command == "again":
            _train_again(store, options)
        else:
            _train_final(store, options)
    except RustkError as error:
        sys.stdout.flush()
        print(f"rustk: {error}", file=sys.stderr, flush=True)  # noqa: T201
        return error.exit_code or EXIT_FAILED
    return 0


def _train_final(store: Store, options: argparse.Namespace) -> None:
    from rustk.training import device

    device.prepare()
    from rustk.training.final import train_final

    card = train_final(
        store,
        options.run,
        trial=options.trial,
        epochs=options.epochs,
        again=options.again,
        with_images=options.with_images,
        report=_print_event,
    )
    tested = {"test_auroc": card.test.epoch["auroc"]} if card.test else {}
    _print_event({"event": "done", "run": options.run, **card.chosen.model_dump(), **tested})


def _train_again(store: Store, options: argparse.Namespace) -> None:
    from rustk.training import device

    device.prepare()
    from rustk.training.fold import train_again
    from rustk.training.run_worker import RunWorker

    trial, fold = options.task
    worker = RunWorker(store, options.run, _print_event, device.seconds_since_start())
    train_again(worker, trial, fold, options.number)


def _print_event(event: dict[str, object]) -> None:
    """One line for the container's log."""
    fields = " ".join(
        f"{name}={value:.4f}" if isinstance(value, float) else f"{name}={value}"
        for name, value in event.items()
        if name != "event" and value is not None
    )
    print(f"{event['event']} {fields}", flush=True)  # noqa: T201


def _tell_in_one_line(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """An error that nobody foresaw: where it happened, for its report, and last the reason in one line."""
    sys.stdout.flush()
    sys.__excepthook__(kind, error, trace)
    print(f"rustk: {kind.__name__}: {one_line(str(error), 1000)}", file=sys.stderr, flush=True)  # noqa: T201


def _exit_on_sigterm() -> None:
    """End within moments of a SIGTERM, whatever the main thread is in, and also as a container's process 1.

    A handler would wait for TensorFlow to return to Python, and process 1 ignores signals that it does not handle. So
    every thread blocks the signal, and one waits for it.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

    def wait() -> None:
        signal.sigwait({signal.SIGTERM})
        os.write(2, b"rustk: stopped by SIGTERM; the fold will be trained again\n")
        os._exit(_EXIT_SIGTERM)

    threading.Thread(target=wait, daemon=True).start()


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m rustk.training", description="Train folds of a planned run.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("fold", "train folds, one after the other, and exit"),
        ("serve", "train the folds that stdin names"),
        ("again", "train a fold once more, beside its history"),
        ("final", "train on all of develop, and test once"),
    ):
        command = commands.add_parser(name, help=text)
        store = os.environ.get("RUSTK_STORE")
        command.add_argument("--store", default=store, required=store is None, help="a directory or s3://bucket/prefix")
        command.add_argument("--run", required=True)
        if name == "fold":
            command.add_argument(
                "--task", metavar="TRIAL/FOLD", type=_task, action="append", required=True, help="may stand again"
            )
        elif name == "again":
            command.add_argument("--task", metavar="TRIAL/FOLD", type=_task, required=True)
            command.add_argument("--number", type=int, required=True, help="which time this is, from 1")
        elif name == "final":
            command.add_argument("--trial", type=int, help="instead of the best one")
            command.add_argument("--epochs", type=int, help="instead of what cross-validation chose")
            command.add_argument("--again", metavar="WHY", help="open the test split's seal although it was opened")
            command.add_argument("--with-images", action="store_true", help="also write examples, pictures of patients")
    check = commands.add_parser("check", help="call the function of an architecture of your own")
    check.add_argument("--architecture", metavar="PACKAGE.MODULE:FUNCTION", required=True)
    check.add_argument("--height", type=int, required=True)
    check.add_argument("--width", type=int, required=True)
    check.add_argument("--trainable", type=int, default=0, help="how many of its last blocks are to be trained")
    return parser.parse_args(arguments)


def _task(text: str) -> FoldTask:
    match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r}: expected TRIAL/FOLD, as in 7/3")
    return int(match[1]), int(match[2])


if __name__ == "__main__":
    # What is imported stays to the end: to look through it again and again, and once more at the exit, takes a third
    # of the time that TensorFlow takes to load. `device.prepare` turns the collector on.
    gc.disable()
    atexit.register(gc.freeze)
    sys.exit(main(sys.argv[1:]))
