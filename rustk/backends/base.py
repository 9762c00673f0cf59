"""What the commands need of whatever trains the folds.

A kind is a file or folder beside this one that defines `open_backend(settings, store) -> Backend`. No command asks
which backend it has: what a backend can't honour of a command's flags it does not list in `honours`, and what it has to
say it says in its own sentences.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol

from rustk.planning.progress import LiveSource

if TYPE_CHECKING:
    from rustk.planning.plan import Plan


@dataclass(frozen=True)
class FoldEvent:
    """Something that happened to a fold, told while a backend trains in the foreground.

    kind: total (done, total: how many folds there are, at the start, and again where a search dropped some or asked for
    more), round (round, sentence: what a search decided), started, features (done, total), epoch
    (epoch, epochs, val_auroc, loss), done (outcome, diverged_epoch), retried (message), failed (exit_code, message).
    """

    kind: str
    worker: int = 0
    trial: int = -1
    fold: int = -1
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SubmitOptions:
    """What a submit was asked for besides the plan. None and False: not asked for."""

    workers: int | None = None
    retry_failed: bool = False
    allow_tag: bool = False


@dataclass(frozen=True)
class Preview:
    """What a submit would start, without starting it: in words, and as a YAML stream where there is one.

    Both are called when they are to be printed, because of a large run they take a while.
    """

    sentence: Callable[[], str]  # "6 folds would be trained on this machine"
    yaml: Callable[[], str] | None = None


@dataclass(frozen=True)
class Submitted:
    """What a submit did: sentences for the user, whether anything started, and whether the run is complete now."""

    sentences: tuple[str, ...]
    started: int = 0
    complete: bool = False


@dataclass(frozen=True)
class FinalRequest:
    """The final model to train: what was chosen, and why the seal is opened again, if it is.

    given_trial, given_epochs: those that the user chose by hand, None for what cross-validation chose. with_images:
    whether examples of the test split are written beside the model, pictures of patients.
    """

    given_trial: int | None = None
    given_epochs: int | None = None
    again: str | None = None
    allow_tag: bool = False
    with_images: bool = False

    @property
    def arguments(self) -> list[str]:
        """What of it was chosen by hand, as `python -m rustk.training final` takes it."""
        given = (("--trial", self.given_trial), ("--epochs", self.given_epochs), ("--again", self.again))
        arguments = [text for flag, value in given if value is not None for text in (flag, str(value))]
        return [*arguments, *(["--with-images"] if self.with_images else [])]


@dataclass(frozen=True)
class AgainRequest:
    """A fold to train once more beside its history: the `number`-th time, from 1."""

    trial: int
    fold: int
    number: int
    allow_tag: bool = False

    @property
    def arguments(self) -> list[str]:
        """As `python -m rustk.training again` takes it."""
        return ["--task", f"{self.trial}/{self.fold}", "--number", str(self.number)]


@dataclass(frozen=True)
class Cancelled:
    """What a cancel ended, and how much of it was still stopping when the time to wait was over."""

    sentence: str
    still_stopping: int = 0


@dataclass(frozen=True)
class Check:
    """One line of `rustk doctor`. verdict "note": not there, or not to be looked at, and need not be wrong."""

    verdict: Literal["ok", "note", "fail"]
    what: str
    found: str


_SKEW_SECONDS = 60.0


def skew_check(what: str, whose: str, theirs: datetime, ours: datetime) -> Check:
    """Whether another clock agrees with this machine's, to a minute."""
    skew = (theirs - ours).total_seconds()
    if abs(skew) > _SKEW_SECONDS:
        ahead = "ahead of" if skew > 0 else "behind"
        return Check("fail", what, f"{whose} is {abs(skew):.0f} s {ahead} this machine: set both by NTP")
    return Check("ok", what, f"within {max(1.0, abs(skew)):.0f} s of {whose}")


class Backend(Protocol):
    """One way to train folds. Every method may raise BackendFailed or StoreFailed."""

    name: str
    # The flags that mean something here, of those that not every backend can honour: image, workers, max_live...
    # (see `rustk.cli.backend_options.backend_from`).
    honours: frozenset[str]

    def preview(self, plan: "Plan", options: SubmitOptions, *, ask_server: bool = False) -> Preview:
        """What `submit` would start. With `ask_server` whoever would take it has checked it. Starts nothing.

        Raises BadStudy, at once, for settings that the plan can't be run with.
        """

    def check_run(self, run: str) -> None:
        """Before it is published: raise BackendFailed where what is at work under a run's name is another store's."""

    def submit(self, plan: "Plan", options: SubmitOptions, on_event: Callable[[FoldEvent], None]) -> Submitted:
        """Train, or have trained, every fold of a published plan that has neither a history nor somebody at work.

        A backend that trains in the foreground returns when all is done and tells `on_event` meanwhile; it raises
        RustkError where folds failed for good.
        """

    def advance(self, plan: "Plan") -> bool:
        """Start what may be started by now of a run that is waited for. Whether anything started, or waits for room."""

    def observe(self, run: str, *, watched: bool = False) -> AbstractContextManager[LiveSource]:
        """Which folds of a run are alive; `watched` keeps that up to date by the backend's own means."""

    def logs(self, run: str, trial: int, fold: int, *, follow: bool = False) -> Iterator[str]:
        """The lines of a fold's latest log; with `follow`, until the fold ends. Raises RustkError without a log."""

    def cancel(self, run: str, *, wait_seconds: float, tell: Callable[[str], None]) -> Cancelled:
        """End whatever is at work on a run, and wait so long until it has stopped. Its results stay.

        `tell` gets lines of progress where it takes a while.
        """

    def train_final(self, plan: "Plan", request: FinalRequest, tell: Callable[[str], None]) -> None:
        """Train and test a run's final model, to its end; `tell` gets lines of progress."""

    def train_again(self, plan: "Plan", request: AgainRequest, tell: Callable[[str], None]) -> None:
        """Train one fold once more, to its end, beside what the run has of it; `tell` gets lines of progress."""

    def check(self) -> Iterator[Check]:
        """Is everything there that folds need, besides the store? One check a line."""
