"""Where a search stands after the rounds that are decided, and which folds may be trained now.

A round trains some folds of some trials, and is decided once all of them have a history. In a race it trains one fold,
the next in the race's order, of every trial that is still in it. A search that learns asks for its trials in batches:
without a race, a round trains a batch whole; with one, a batch is raced, compared with the whole trials of earlier
batches. The last round is not decided, because nothing hangs on it.

All of it follows from the study, its first trials and the decided rounds: never from a clock, or from the order in
which folds ended.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Protocol

from rustk.planning.batches import FoldTask
from rustk.planning.search.base import AdaptiveSearch, Hyperparameters
from rustk.planning.study import Study
from rustk.vocabulary.names import fold_path


class DroppedTrial(Protocol):
    """A trial that a round ended."""

    @property
    def trial(self) -> int: ...
    @property
    def figure(self) -> float | None: ...
    @property
    def best_figure(self) -> float: ...


class DecidedRound(Protocol):
    """What a round's file says (`store.documents.Round`)."""

    @property
    def number(self) -> int: ...
    @property
    def trials(self) -> tuple[int, ...]: ...
    @property
    def whole(self) -> tuple[int, ...]: ...
    @property
    def folds(self) -> tuple[int, ...]: ...
    @property
    def rule(self) -> Mapping[str, Any] | None: ...
    @property
    def figures(self) -> Mapping[int, float | None]: ...
    @property
    def kept(self) -> tuple[int, ...]: ...
    @property
    def dropped(self) -> Sequence[DroppedTrial]: ...
    @property
    def asked(self) -> Sequence[Mapping[str, Any]]: ...
    @property
    def histories(self) -> Mapping[str, str]: ...


class Contradiction(ValueError):
    """A round that does not follow from those before it, or from its own figures. number: its own."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.number = number


@dataclass(frozen=True)
class OpenRound:
    """The round that comes next, or is being trained.

    folds: those that it trains of each of `trials`. seen: the folds that its figures are of, those of earlier rounds
    too. later: the folds that are left for the trials that stay. whole: trials of earlier batches, for comparison.
    decides: False for the last one.
    """

    number: int
    trials: tuple[int, ...]
    folds: tuple[int, ...]
    seen: tuple[int, ...]
    later: tuple[int, ...]
    whole: tuple[int, ...]
    decides: bool

    @property
    def tasks(self) -> list[FoldTask]:
        """What it trains, trial by trial."""
        return [(trial, fold) for trial in self.trials for fold in self.folds]


@dataclass(frozen=True)
class SearchState:
    """A search after some rounds.

    trials: all that there are by now. open: None once nothing is left to train or decide. trained: what the decided
    rounds trained. dropped: by trial, the round that dropped it. to_come: how many trials will still be asked for.
    """

    trials: tuple[Hyperparameters, ...]
    open: OpenRound | None
    trained: tuple[FoldTask, ...]
    dropped: Mapping[int, int]
    to_come: int


def is_race(study: Study) -> bool:
    """Whether rounds of a run of the study may drop trials."""
    return study.search is not None and study.search.race is not None


def is_decided_in_rounds(study: Study) -> bool:
    """Whether a run of the study has rounds: it is a race, or its search learns."""
    return is_race(study) or (study.search is not None and study.search.adaptive)


def search_state(study: Study, trials: Sequence[Hyperparameters], rounds: Sequence[DecidedRound]) -> SearchState:
    """Where the search of `study` stands. trials: those planned, of which a search that learns asked for the first
    batch at planning; its others are those that the rounds asked for.

    Raises Contradiction for a round that does not follow from the study, the rounds before it and its own figures.
    """
    walk = _Walk(study, trials)
    for decided in rounds:
        walk.take(decided)
    return walk.state()


def tasks_now(study: Study, state: SearchState, done: Set[FoldTask], certain: Iterable[int] = ()) -> list[FoldTask]:
    """The (trial, fold) pairs that may be trained now, in the order to begin them.

    certain: trials that the open round keeps whatever the rest of it gives; those may be trained ahead. Folds of
    decided rounds that have lost their history come first.
    """
    tasks = list(state.trained)
    if state.open is not None:
        tasks += [*state.open.tasks, *_ahead(study, state.open, certain)]
    return [task for task in dict.fromkeys(tasks) if task not in done]


def _ahead(study: Study, current: OpenRound, certain: Iterable[int]) -> list[FoldTask]:
    rule = study.search.race if study.search else None
    if rule is None or not current.later:
        return []
    if rule.settled(len(current.trials), len(current.whole)):
        return [(trial, fold) for fold in current.later for trial in current.trials]
    sure = set(certain)
    return [(trial, current.later[0]) for trial in current.trials if trial in sure]


def dropped_folds(rounds: Iterable[DecidedRound], folds: int) -> dict[FoldTask, str]:
    """The folds, of `folds` each, that are not trained because a round dropped their trial; each with its reason."""
    trained: dict[int, set[int]] = {}
    found: dict[FoldTask, str] = {}
    for decided in rounds:
        for trial in decided.trials:
            trained.setdefault(trial, set()).update(decided.folds)
        for one in decided.dropped:
            own = "no figure" if one.figure is None else f"{one.figure:.4f}"
            reason = f"dropped in round {decided.number}: {own} against {one.best_figure:.4f}"
            found |= {(one.trial, fold): reason for fold in range(folds) if fold not in trained[one.trial]}
    return found


@dataclass(frozen=True)
class RaceBounds:
    """How few and how many folds a search may train in all. A trial that diverges may be dropped earlier still."""

    least: int
    most: int


def race_bounds(study: Study, trials: int) -> RaceBounds:
    """The bounds for a search of `trials` trials in all."""
    folds, search = study.folds.k, study.search
    if search is None or search.race is None:
        return RaceBounds(trials * folds, trials * folds)
    batch = search.batch if isinstance(search, AdaptiveSearch) else trials
    least = whole = 0
    for first in range(0, trials, batch):
        racing = min(batch, trials - first)
        for step in range(folds):
            least += racing
            if step < folds - 1:
                racing = search.race.fewest_kept(racing, whole)
        whole += racing
    return RaceBounds(least, trials * folds)


class _Walk:
    """Follows the rounds one by one."""

    def __init__(self, study: Study, trials: Sequence[Hyperparameters]) -> None:
        search = study.search
        self._adaptive = search if isinstance(search, AdaptiveSearch) else None
        self._race = search.race if search else None
        folds = study.folds.k
        self._order = self._race.order(study.seed, folds) if self._race else tuple(range(folds))
        first = tuple(trials[: self._adaptive.batch] if self._adaptive else trials)
        self._trials = first
        self._racing = tuple(range(len(first)))
        self._step = 0
        self._number = 1
        self._whole: tuple[int, ...] = ()
        self._trained: list[FoldTask] = []
        self._dropped: dict[int, int] = {}

    @property
    def _to_come(self) -> int:
        return max(0, self._adaptive.trials - len(self._trials)) if self._adaptive else 0

    def state(self) -> SearchState:
        return SearchState(self._trials, self._open(), tuple(self._trained), dict(self._dropped), self._to_come)

    def _open(self) -> OpenRound | None:
        if not self._racing and not self._to_come:
            return None
        at = self._step
        # Without a race, a round trains all folds. Nobody left: nothing to train before the next batch is asked for.
        until = at + 1 if self._race else len(self._order)
        folds = self._order[at:until] if self._racing else ()
        later = self._order[until:] if self._racing else ()
        return OpenRound(
            number=self._number,
            trials=self._racing,
            folds=folds,
            seen=self._order[:until],
            later=later,
            whole=self._whole,
            decides=bool(later) or self._to_come > 0,
        )

    def take(self, decided: DecidedRound) -> None:
        current = self._open()
        if current is None or not current.decides:
            raise Contradiction(decided.number, "the rounds before it leave nothing to decide")
        rule = self._race.describe() if self._race else None
        for what, found, expected in (
            ("number", decided.number, current.number),
            ("rule", dict(decided.rule) if decided.rule else None, rule),
            ("trials", decided.trials, current.trials),
            ("whole", decided.whole, current.whole),
            ("folds", decided.folds, current.folds),
        ):
            if found != expected:
                raise Contradiction(decided.number, f"{what} = {_shown(found)}: expected {_shown(expected)}")
        self._check_verdict(decided, current)
        self._trained += current.tasks
        self._dropped |= {one.trial: decided.number for one in decided.dropped}
        self._number += 1
        stays = tuple(trial for trial in current.trials if trial in set(decided.kept))
        is_over = not current.later or not stays
        if decided.asked and not (is_over and self._adaptive):
            raise Contradiction(decided.number, "asked: expected no trials before those of the round are trained whole")
        if is_over and not decided.asked and (stays or not current.trials):
            raise Contradiction(decided.number, "asked: expected the search's next trials")
        for asked in decided.asked:
            if set(asked) != set(self._trials[0]):
                varied = ", ".join(self._trials[0])
                raise Contradiction(decided.number, f"asked: {_shown(asked)}: expected a value for each of {varied}")
        if is_over:
            self._whole += stays
            first = len(self._trials)
            self._trials += tuple(dict(asked) for asked in decided.asked)
            self._racing, self._step = tuple(range(first, len(self._trials))), 0
        else:
            self._racing, self._step = stays, self._step + 1

    def _check_verdict(self, decided: DecidedRound, current: OpenRound) -> None:
        """Raise Contradiction for a verdict that its rule does not give on the round's figures."""
        compared = current.trials + current.whole
        needed = {fold_path(trial, fold) for trial in compared for fold in current.seen}
        if odd := sorted(needed ^ set(decided.histories)):
            raise Contradiction(decided.number, f"histories: {odd[0]} is there without need, or missing")
        kept = current.trials
        if self._race is not None:
            kept = self._race.keeps(decided.trials, decided.whole, decided.figures)
        if set(kept) != set(decided.kept):
            shown = f"kept = {_shown(decided.kept)}: by its figures expected {_shown(kept)}"
            raise Contradiction(decided.number, shown)


def _shown(value: object) -> str:
    text = str(list(value)) if isinstance(value, tuple) else str(value)
    return text if len(text) <= 120 else f"{text[:120]}..."
