from rustk.planning.progress import FoldStatus
from rustk.planning.reasons import grouped_reasons


def test_reasons_that_differ_in_numbers_and_order_are_one() -> None:
    said = [
        "0/4 nodes are available: 3 Insufficient cpu, 1 node had a taint",
        "0/5 nodes are available: 1 node had a taint, 4 Insufficient cpu",
        "0/5 nodes are available: 1 node had a taint, 4 Insufficient cpu",
        "waits for a worker",
        "",
    ]
    folds = [FoldStatus(0, fold, "pending", reason) for fold, reason in enumerate(said)]
    assert grouped_reasons(folds) == [(3, said[1]), (1, "waits for a worker")]
    assert grouped_reasons([]) == []
