"""Which runs there are, in which order, and which of them a name means."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rustk.store import Store, open_store
from rustk.store.documents import Planned, RunDocument, StudyPart, write_document
from rustk.store.run_list import find_run, list_runs
from rustk.store.runs import check_run_name, publish_plan, read_run
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadData, BadStudy
from tests.planning.plans import random_plan


@pytest.fixture
def here(tmp_path: Path) -> Store:
    return open_store(str(tmp_path))


def put_run(store: Store, run: str, study: str, planned_at: datetime | None = None) -> None:
    document = RunDocument(
        run=run, study=StudyPart(name=study), planned=Planned(trials=1, folds=2), planned_at=planned_at
    )
    write_document(store, names.run_study_key(run), document)


def test_runs_are_found_by_id_or_study(here: Store) -> None:
    with pytest.raises(BadStudy, match="has no runs yet: start one with `rustk submit STUDY`"):
        find_run(here, "regime2")
    plan = random_plan(trials=2)
    publish_plan(here, plan)
    assert find_run(here, plan.run) == plan.run
    assert find_run(here, plan.study.name) == plan.run
    with pytest.raises(BadStudy, match=r"no run 'serched' and no run of a study of that name: did you mean searched\?"):
        find_run(here, "serched")


def test_a_study_of_several_runs_does_not_name_one(here: Store) -> None:
    """The last one may be a smoke run; the seal was opened for such a one, for good."""
    put_run(here, "first", "regime2", datetime(2025, 1, 1, 12, 30, tzinfo=UTC))
    put_run(here, "smoke", "regime2", datetime(2025, 1, 2, tzinfo=UTC))
    put_run(here, "theirs", "regime2")
    with pytest.raises(BadStudy) as caught:
        find_run(here, "regime2")
    assert str(caught.value).endswith(
        "name one of smoke (planned 2025-01-02 00:00), first (planned 2025-01-01 12:30), theirs"
    )
    assert find_run(here, "first") == "first"
    put_run(here, "regime2", "regime2")
    assert find_run(here, "regime2") == "regime2"
    for number in range(20):
        put_run(here, f"more-{number:02}", "many")
    with pytest.raises(BadStudy, match=r"the study many has 20 runs in .*more-07 and 12 more$"):
        find_run(here, "many")


def test_the_run_planned_last_comes_first_by_its_own_words(here: Store) -> None:
    put_run(here, "b-old", "s", datetime(2024, 1, 1, tzinfo=UTC))
    put_run(here, "a-new", "s", datetime(2025, 1, 1, tzinfo=UTC))
    put_run(here, "c-silent", "s")
    put_run(here, "a-silent", "s")
    later = datetime.now(UTC).timestamp() + 60
    os.utime(Path(here.url, names.run_study_key("b-old")), (later, later))  # as when a store is copied
    here.write("runs/broken/study.json", b"[]")
    here.write("runs/half/folds.parquet", b"")
    entries = list_runs(here)
    assert [entry.run for entry in entries] == ["a-new", "b-old", "a-silent", "broken", "c-silent"]
    (broken,) = (entry for entry in entries if entry.document is None)
    assert broken.fault.startswith("runs/broken/study.json: ")
    assert find_run(here, "broken") == "broken"
    with pytest.raises(
        BadStudy, match=r"; of 1 run the study is not known: runs/broken/study\.json: .*put back the file"
    ):
        find_run(here, "t")
    with pytest.raises(BadData, match=r"^runs/broken/study\.json: "):
        read_run(here, "broken")


@pytest.mark.parametrize(
    "name", ["..", ".", "/", "", "x/", "../x", "a/b", "/etc", "a\0b", "a\n", "~", " ", "a" * 101, "\ud800", "-x"]
)
def test_what_can_be_no_run_is_refused_before_the_store_is_asked(here: Store, name: str) -> None:
    put_run(here, "x", "s")
    for use in (lambda: find_run(here, name), lambda: read_run(here, name), lambda: check_run_name(name)):
        with pytest.raises(BadStudy, match="can't be a run: expected the name of a run or study") as caught:
            use()
        assert str(caught.value).isprintable()
