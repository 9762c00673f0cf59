"""Objectives: what the head's end means and what the loss is. A kind is one file here that defines `Objective`."""

from rustk.training.objectives.base import Objective
from rustk.vocabulary.instrument import Instrument
from rustk.vocabulary.kinds import load_kind


def find_objective(name: str, instrument: Instrument) -> Objective:
    """The objective of this name for an instrument's labels. Raises BadStudy for a name that there is none of."""
    found: Objective = load_kind("training/objectives", name, "model.objective").Objective(instrument)
    return found
