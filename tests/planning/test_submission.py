from rustk.planning.submission import decide

TASKS = [(trial, fold) for trial in range(2) for fold in range(3)]


def test_a_fold_is_created_only_without_history_and_without_live_job() -> None:
    decision = decide(TASKS, jobs={(0, 1): "live"}, done={(0, 0)}, failures=set(), retry_failed=False)
    assert decision.create == ((0, 2), (1, 0), (1, 1), (1, 2))
    assert decision.failed == ()


def test_a_failed_fold_waits_until_it_is_asked_for() -> None:
    jobs = {(0, 0): "failed"}
    left = decide(TASKS, jobs=jobs, done=set(), failures={(0, 1)}, retry_failed=False)  # type: ignore[arg-type]
    assert left.failed == ((0, 0), (0, 1))
    assert not set(left.failed) & set(left.create)
    retried = decide(TASKS, jobs=jobs, done=set(), failures={(0, 1)}, retry_failed=True)  # type: ignore[arg-type]
    assert retried.create == tuple(TASKS)
    assert retried.failed == ()


def test_a_history_counts_more_than_a_failed_job_or_record() -> None:
    decision = decide(TASKS, jobs={(0, 0): "failed"}, done=set(TASKS), failures={(0, 0)}, retry_failed=True)
    assert decision.create == ()


def test_a_job_that_succeeded_without_a_history_counts_for_nothing() -> None:
    decision = decide(TASKS, jobs={(0, 0): "succeeded"}, done=set(), failures=set(), retry_failed=False)
    assert decision.create[0] == (0, 0)


def test_a_live_job_is_left_to_retry_its_own_failure() -> None:
    decision = decide(TASKS, jobs={(0, 0): "live"}, done=set(), failures={(0, 0)}, retry_failed=True)
    assert (0, 0) not in decision.create
