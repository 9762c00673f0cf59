"""A tree-structured Parzen estimator: trials where good ones were denser than bad ones, by Optuna's TPESampler.

Bergstra, Bardenet, Bengio and Kegl (NeurIPS 2011); Watanabe (arXiv:2304.11127) says what each part is worth. Optuna
keeps nothing: its study is made anew in memory for each batch, of what came of the trials before, and each trial is
asked for with a seed of its own. What it answers depends on its version, but what was asked is written down.
"""

import importlib.util
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from rustk.planning.distributions import Choices, Range
from rustk.planning.search.base import AdaptiveSearch, Hyperparameters, Told, by_name
from rustk.planning.search.sobol import spread
from rustk.planning.searchable import BY_PATH, short_name
from rustk.vocabulary.errors import RustkError

if TYPE_CHECKING:
    import optuna


class Search(AdaptiveSearch):
    """The first `startup` trials are spread evenly, as by sobol; the others are where earlier ones did well."""

    kind: Literal["tpe"]
    startup: int = Field(16, strict=True, ge=1, le=100_000, description="how many trials are spread evenly first")

    def ask(self, seed: int, told: Sequence[Told], first: int, count: int) -> list[Hyperparameters]:
        """Raises RustkError, saying what to install, where Optuna is missing.

        A trial that a race dropped is Optuna's pruned one: it ranks below all that went through, by the folds that it
        lasted and then by its figure. One that diverged ranks last. Those of a batch know of each other: each is kept
        away from what is asked for already and has no figure.
        """
        # Without it, a run would come to a stand after its first trials.
        if not _has_optuna():
            raise RustkError("search.kind = tpe: Optuna is not installed: install rustk[search]")
        spread_evenly = list(islice(spread(self.parameters, seed, self.startup), first, first + count))
        if len(spread_evenly) == count:
            return spread_evenly
        with _quiet_optuna():
            study = self._study(told, spread_evenly)
            asked = list(spread_evenly)
            for trial in range(first + len(spread_evenly), first + count):
                study.sampler = _sampler(seed, trial)
                values = study.ask(self._distributions()).params
                asked.append(by_name({path: self._inside(path, values[short_name(path)]) for path in self.parameters}))
            return asked

    def _study(self, told: Sequence[Told], pending: Sequence[Hyperparameters]) -> "optuna.Study":
        """A study in memory in which all that was asked for is there, and what came of it."""
        import optuna

        state = optuna.trial.TrialState
        study = optuna.create_study(direction="maximize")
        for one in [*told, *(Told(values, pending=True) for values in pending)]:
            made: dict[str, Any] = {"params": dict(one.hyperparameters), "distributions": self._distributions()}
            if one.pending:
                made |= {"state": state.RUNNING}
            elif one.figure is None:
                made |= {"state": state.PRUNED}
            elif one.folds is not None:
                made |= {"state": state.PRUNED, "intermediate_values": {one.folds: one.figure}}
            else:
                made |= {"state": state.COMPLETE, "value": one.figure}
            study.add_trial(optuna.trial.create_trial(**made))
        return study

    def _distributions(self) -> dict[str, Any]:
        """Optuna's distribution of each field, in the order of the names."""
        return {short_name(path): _distribution(path, self.parameters[path]) for path in sorted(self.parameters)}

    def _inside(self, path: str, value: Any) -> Any:
        """A value that Optuna gave: its ranges hold their upper end, ours of reals do not."""
        found = self.parameters[path]
        if isinstance(found, Choices):
            return value
        least, greatest = found.extremes
        return min(max(value, least), greatest)


def _distribution(path: str, found: Range | Choices) -> Any:
    import optuna

    if isinstance(found, Choices):
        encode = BY_PATH[path].encode
        return optuna.distributions.CategoricalDistribution([encode(value) for value in found.values])
    if found.type == "int":
        return optuna.distributions.IntDistribution(int(found.low), int(found.high), log=found.log)
    return optuna.distributions.FloatDistribution(found.low, found.high, log=found.log)


def _sampler(seed: int, trial: int) -> Any:
    import optuna

    of_trial = int(np.random.SeedSequence([seed, trial]).generate_state(1)[0])
    # Startup is over, whatever diverged or is pending.
    return optuna.samplers.TPESampler(seed=of_trial, n_startup_trials=1, multivariate=True, constant_liar=True)


def _has_optuna() -> bool:
    try:
        return importlib.util.find_spec("optuna") is not None
    except ValueError:  # a module that was blocked has no spec
        return False


@contextmanager
def _quiet_optuna() -> Iterator[None]:
    """Without a word of Optuna: it logs each study that it makes, and warns of what is experimental."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import optuna

        before = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(logging.CRITICAL)
        try:
            yield
        finally:
            optuna.logging.set_verbosity(before)
