"""What the guidelines' rows are filled with."""

from dataclasses import replace

import pytest

from rustk.report.evaluation.analysis import analyse
from rustk.report.page.checklist import filled_items
from tests.report.planted import CLEAN, Plan, aggregated

QUICK = replace(CLEAN, patients=40, epochs=1, folds=2)


def filled(plan: Plan) -> dict[str, str]:
    return {item.asked: item.filled for item in filled_items(analyse(aggregated(plan)))}


def model_row(plan: Plan) -> str:
    return filled(plan)["Model, initial weights and training"]


@pytest.mark.parametrize("count", [1, 2])
def test_a_searched_architecture_is_the_chosen_trial_s(count: int) -> None:
    trials = tuple({"architecture": "lenet", "learning_rate": 10.0**-n} for n in range(count))
    row = model_row(replace(QUICK, trials=trials))
    assert row.startswith("lenet, ")
    assert "inception" not in row
