"""The pages as a browser gets them."""

import re
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from rustk.backends import open_backend
from rustk.cli.context import load_study
from rustk.planning.races.base import Standing
from rustk.planning.races.halving import Race as Halving
from rustk.planning.study import study_fields
from rustk.report.data.decided import curve_of, stacked
from rustk.report.data.histories import read_histories
from rustk.store import Store
from rustk.store.documents import DroppedTrial, Round
from rustk.store.rounds import put_round
from rustk.ui.hub import Hub
from rustk.ui.reading import ReadOnlyStore
from rustk.ui.server import make_app
from rustk.vocabulary import names
from rustk.vocabulary.errors import StoreFailed
from rustk.vocabulary.settings import load_settings
from tests.ui.conftest import Watched, eventually
from tests.ui.growing import RUN, Growing

PAGE = f"/runs/{RUN}"


def text_of(client: TestClient, path: str, until: str, status: int = 200) -> str:
    """The page once it has these words: it fills itself."""

    def found() -> str:
        answer = client.get(path)
        return answer.text if until in answer.text and answer.status_code == status else ""

    text: str = eventually(found)
    return text


def cells(page: str) -> dict[str, str]:
    """What each cell of the matrix is called, and what stands in it."""
    return dict(re.findall(r'<td class="state-[a-z-]+"><a [^>]*aria-label="([^"]*)">([^<]*)</a>', page))


def test_no_runs_yet_and_then_one(client: TestClient, store: Store) -> None:
    text_of(client, "/", "There are no runs yet: start one with")
    grown = Growing(store)
    grown.finish(1, 0)
    page = text_of(client, "/", "0.8000")
    assert f'href="/runs/{RUN}"' in page
    assert "1 of 6" in page
    assert "trial 1 at epoch 4, 1 fold" in page
    assert "2026-05-01 10:00 UTC" in page
    assert "<b>" not in page  # the title has it


def test_a_damaged_run_is_listed_with_its_fault(client: TestClient, store: Store, grown: Growing) -> None:
    store.write("runs/odd/study.json", b"{")
    page = text_of(client, "/", RUN)
    assert "damaged: runs/odd/study.json: not JSON" in page
    assert "runs/odd/study.json: not JSON" in text_of(client, "/runs/odd", "can&#39;t be shown")


def test_every_state_of_a_fold_stands_in_words(client: TestClient, grown: Growing) -> None:
    grown.finish(0, 0, level=0.75)
    grown.fail(2, 0, "shard 3 is torn")
    grown.tasks = [task for task in grown.tasks if task[0] != 2]
    with grown.at_work() as runner:
        runner.tell("started", 0, 1)
        runner.tell("epoch", 0, 1, epoch=2, epochs=4)
        found = cells(text_of(client, PAGE, "0.750"))
        assert found == {
            "trial 0 fold 0: done 0.750": "0.750",
            "trial 0 fold 1: running 2/4": "2/4",
            "trial 1 fold 0: pending waits": "waits",
            "trial 1 fold 1: pending waits": "waits",
            "trial 2 fold 0: failed": "failed",
            "trial 2 fold 1: missing": "missing",
        }
        page = client.get(PAGE).text
    assert "exit code 65: shard 3 is torn" in page
    assert "2 folds: waits for a worker of this machine" in page
    assert (
        "Best so far: trial 0 (learning rate 1e-1), validation AUROC 0.7500 at epoch 4, the mean over 1 of 2 folds."
        in page
    )
    assert "rustk submit demo --retry-failed" in page


def test_a_page_that_is_known_is_not_sent_again(client: TestClient, grown: Growing) -> None:
    grown.finish(0, 0)
    grown.finish(0, 1)
    text_of(client, f"{PAGE}/trial/0/fold/0", "batch size")
    tag = client.get(f"{PAGE}/trial/0/fold/0").headers["etag"]
    answer = client.get(f"{PAGE}/trial/0/fold/0", headers={"If-None-Match": tag})
    assert (answer.status_code, answer.content) == (304, b"")
    assert client.get(f"{PAGE}/trial/0/fold/1", headers={"If-None-Match": tag}).status_code == 200


def test_a_fold_shows_its_curves_log_and_what_was_in_effect(client: TestClient, grown: Growing) -> None:
    with grown.at_work() as runner:
        runner.tell("started", 1, 1)
        for number in range(300):
            runner.say(f"line {number} <script>alert(1)</script>")
        path = f"{PAGE}/trial/1/fold/1"
        page = text_of(client, path, "line 299")
        assert "line 100 &lt;script&gt;" in page
        assert "line 99 " not in page
        assert "Its curves come when the fold is done." in page
        runner.tell("epoch", 1, 1, epoch=3, epochs=4)
        text_of(client, path, "epoch 3 of 4")
        grown.finish(1, 1)
        runner.tell("done", 1, 1, outcome="completed")
        page = text_of(client, path, "outcome=completed")
    page = text_of(client, path, "at the last epoch training 0.8000, validation 0.8000")
    assert "Loss by epoch; at the last epoch training 0.7000, validation 0.7000" in page
    assert "<dt>batch size</dt><dd>64</dd>" in page
    assert "<dt>images of train</dt><dd>200</dd>" in page
    assert "has no log on this machine" in text_of(client, f"{PAGE}/trial/0/fold/0", "has no log")


def test_what_is_not_there(client: TestClient, grown: Growing) -> None:
    text_of(client, "/runs/none-00000000", "there is no run none-00000000", 404)
    text_of(client, f"{PAGE}/trial/7/fold/0", "has no trial 7 fold 0", 404)
    for path in (f"{PAGE}/trial/{10**30}/fold/0", "/runs/..%2f..", "/nowhere", "/assets/..%2f..%2fserver.py"):
        assert client.get(path).status_code == 404
    for odd in ("0", "-1", "x", "9" * 5000, "٣"):
        assert client.get(PAGE, params={"page": odd, "show": odd}).status_code == 200


def test_a_run_that_is_deleted_while_somebody_looks(client: TestClient, store: Store, grown: Growing) -> None:
    text_of(client, PAGE, "Every fold")
    for entry in store.list(names.run_prefix(RUN)):
        store.delete(entry.key)
    text_of(client, PAGE, "it may have been deleted", 404)
    Growing(store, trials=1)
    assert len(cells(text_of(client, PAGE, "Every fold"))) == 2


def test_a_damaged_history_does_not_hide_the_others(client: TestClient, store: Store, grown: Growing) -> None:
    grown.finish(0, 0, level=0.75)
    key = names.history_key(RUN, 0, 1)
    store.write(key, b"no parquet")
    page = text_of(client, PAGE, "What can't be read")
    assert f"{key}: not a Parquet file" in page
    assert cells(page)["trial 0 fold 1: done damaged"] == "damaged"
    assert cells(page)["trial 0 fold 0: done 0.750"] == "0.750"
    grown.finish(0, 1, level=0.85)  # somebody mends it
    assert "trial 0 fold 1: done 0.850" in cells(text_of(client, PAGE, "0.850"))


def raced_study() -> dict[str, Any]:
    """Three trials over three folds, of which a round keeps two."""
    race = ["search.race.kind=halving", "search.race.keep=0.5", "search.race.least=2"]
    grid = "search.parameters={training.learning_rate: [1e-1, 1e-2, 1e-3]}"
    return study_fields(load_study("regime2", [*race, grid, "folds.k=3", "training.epochs=4"]))


def decide_first(store: Store, grown: Growing, study: dict[str, Any]) -> Round:
    """Train the first round, and decide it: trial 0 is dropped."""
    rule = Halving(least=2)
    first = rule.order(study["seed"], 3)[0]
    for trial in range(3):
        grown.finish(trial, first, level=0.7 + trial / 100)
    key_of = {(trial, first): names.history_key(RUN, trial, first) for trial in range(3)}
    curves = {task: curve_of(history) for task, history in read_histories(store, key_of)[1].items()}
    verdict = rule.decide(Standing((0, 1, 2), stacked(curves, (0, 1, 2), (first,))))
    return put_round(
        store,
        RUN,
        Round(
            number=1,
            trials=(0, 1, 2),
            folds=(first,),
            rule=rule.describe(),
            figures=dict(verdict.figures),
            kept=verdict.kept,
            dropped=tuple(DroppedTrial.model_validate(vars(one)) for one in verdict.dropped),
            histories={names.fold_path(*task): curve.digest for task, curve in curves.items()},
        ),
    )


def test_a_search_with_rounds(client: TestClient, store: Store) -> None:
    study = raced_study()
    grown = Growing(store, folds=3, study=study)
    decided = decide_first(store, grown, study)
    gone, (first,) = decided.dropped[0], decided.folds
    second, third = (fold for fold in range(3) if fold != first)
    page = text_of(client, PAGE, "<h3>Rounds</h3>")
    assert f"trial 0: {gone.why}" in page
    assert cells(page)[f"trial 0 fold {second}: dropped"] == "dropped"
    reason = f"dropped in round 1: {gone.figure:.4f} against {gone.best_figure:.4f}"
    assert reason in text_of(client, f"{PAGE}/trial/0/fold/{second}", "state-dropped")
    # The mean of those that were kept falls below what was dropped: of one fold, that is not the best of any.
    for trial in (1, 2):
        grown.finish(trial, second, level=0.4)
    page = text_of(client, PAGE, "0.400")
    assert "Best so far: trial 2 " in page
    assert page.index('id="best-0"') > page.index('id="best-1"')
    for trial in (1, 2):
        grown.finish(trial, third)
    page = text_of(client, "/", "7 of 9, 2 dropped")
    assert 'max="9" value="9"' in page


def test_a_history_that_changed_after_its_round_is_said(client: TestClient, store: Store) -> None:
    study = raced_study()
    grown = Growing(store, folds=3, study=study)
    (first,) = decide_first(store, grown, study).folds
    text_of(client, PAGE, "<h3>Rounds</h3>")
    grown.finish(0, first, level=0.99)
    page = text_of(client, PAGE, "is not the history that")
    assert names.history_key(RUN, 0, first) in page


def test_large_matrices_come_in_parts(client: TestClient, store: Store) -> None:
    grown = Growing(store, trials=700, folds=5, run="large-00000000")
    grown.fail(600, 2, "no")
    grown.finish(0, 0)
    page = text_of(client, "/runs/large-00000000", "Every fold")
    assert len(cells(page)) == 1500
    assert "Trials 0 to 299, page 1 of 3" in page
    last = client.get("/runs/large-00000000?page=99").text
    assert len(cells(last)) == 500
    assert "trial 699 fold 4: missing" in cells(last)
    failed = cells(client.get("/runs/large-00000000?show=failed").text)
    assert list(failed) == [f"trial 600 fold {fold}: {'failed' if fold == 2 else 'missing'}" for fold in range(5)]


def test_the_report_is_served_in_a_sandbox(client: TestClient, store: Store, grown: Growing) -> None:
    assert "--allow-partial" in text_of(client, PAGE, "Every fold")
    answer = client.get(f"{PAGE}/report/index.html")
    assert (answer.status_code, f"rustk aggregate {RUN}" in answer.text) == (404, True)
    for name, data in (("index.html", b"<p>hello"), ("tables/all.csv", b"a,b"), ("tables/all.tex", b"\\x")):
        store.write(f"{names.report_prefix(RUN)}{name}", data)
    text_of(client, PAGE, f'href="{PAGE}/report/index.html"')
    kinds = {"index.html": "text/html", "tables/all.csv": "text/csv", "tables/all.tex": "text/plain"}
    for name, kind in kinds.items():
        answer = client.get(f"{PAGE}/report/{name}")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith(kind)
        assert answer.headers["content-security-policy"].startswith("sandbox allow-scripts")
        assert "allow-same-origin" not in answer.headers["content-security-policy"]
    store.write("secret.csv", b"x")
    for path in ("..%2f..%2f..%2fsecret.csv", "%2fetc%2fpasswd.csv", "study.json", "tables%2f%00.csv", "index.exe"):
        assert client.get(f"{PAGE}/report/{path}").status_code == 404


def test_a_backend_that_can_not_be_asked_leaves_what_the_store_says(
    seen: Watched, grown: Growing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    grown.finish(0, 0)
    settings = load_settings({"store": seen.url, "backend": "kubernetes"})
    hub = Hub(seen, open_backend(settings, seen), seconds=0.1)
    with TestClient(make_app(hub), base_url="http://localhost") as client:
        page = text_of(client, PAGE, "what is running is not known: ")
        assert "trial 0 fold 0: done" in " ".join(cells(page))
    hub.close()


def test_a_store_that_fails_leaves_what_was_known(
    seen: Watched, grown: Growing, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    grown.finish(0, 0)
    text_of(client, PAGE, "0.800")

    def fail(prefix: str) -> None:
        raise StoreFailed("the store is away")

    monkeypatch.setattr(seen, "list", fail)
    page = text_of(client, PAGE, "the store is away")
    assert "trial 0 fold 0: done 0.800" in cells(page)
    monkeypatch.undo()
    eventually(lambda: "the store is away" not in client.get(PAGE).text)


def test_nothing_is_written(client: TestClient, seen: Watched, grown: Growing) -> None:
    grown.finish(0, 0)
    grown.fail(1, 1, "no")
    root = Path(seen.url)

    def there() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in root.rglob("*")}

    before = there()
    text_of(client, "/", "0.8000")
    text_of(client, PAGE, "0.800")
    text_of(client, f"{PAGE}/trial/0/fold/0", "batch size")
    client.get(f"{PAGE}/report/index.html")
    assert seen.changed == []
    assert there() == before


@pytest.mark.parametrize("change", ["write", "write_new", "delete"])
def test_the_store_can_not_be_written_even_if_somebody_tries(seen: Watched, change: str) -> None:
    arguments = ("key",) if change == "delete" else ("key", b"x")
    with pytest.raises(StoreFailed, match="does not write"):
        getattr(ReadOnlyStore(seen), change)(*arguments)
    assert seen.changed == []


def test_many_readers_cost_the_store_what_one_does(client: TestClient, hub: Hub, seen: Watched, grown: Growing) -> None:
    for task in grown.tasks[:4]:
        grown.finish(*task)
    text_of(client, PAGE, "Every fold")
    watch = hub.run(RUN)
    eventually(lambda: len(watch.figures.trials()) == 2)
    prefix = names.histories_prefix(RUN)
    looks, listed = watch.state().version, seen.listed[prefix]
    while watch.state().version < looks + 3:
        for _ in range(20):
            client.get(PAGE)
    looks = watch.state().version - looks
    assert 3 <= seen.listed[prefix] - listed <= looks + 1
    grown.finish(*grown.tasks[4])
    eventually(lambda: len(watch.figures.trials()) == 3)
    read = {key: number for key, number in seen.read_keys.items() if key.startswith(prefix)}
    assert read == {names.history_key(RUN, *task): 1 for task in grown.tasks[:5]}


def test_the_end_of_a_run_is_known_without_reading_it_again(
    client: TestClient, hub: Hub, seen: Watched, grown: Growing
) -> None:
    for task in grown.tasks:
        grown.finish(*task)
    text_of(client, PAGE, "Elapsed")
    assert {n for key, n in seen.read_keys.items() if key.startswith(names.histories_prefix(RUN))} == {1}


def test_nobody_looks_when_nobody_reads(seen: Watched, grown: Growing) -> None:
    backend = open_backend(load_settings({"store": seen.url}), seen)
    hub = Hub(seen, backend, seconds=0.05, idle_seconds=0.2)
    watch = hub.run(RUN)
    eventually(lambda: watch.state().progress)
    eventually(lambda: not watch.watched)
    listed = seen.listed.total()
    assert watch.state(0).progress is not None  # what was known is there at once, and somebody looks again
    eventually(lambda: seen.listed.total() > listed)
    hub.close()
    assert not watch.watched


def test_pages_hold_nothing_that_their_policy_forbids(client: TestClient, grown: Growing) -> None:
    for trial in range(3):
        grown.finish(trial, 0, level=0.7 + trial / 100)
    pages = [
        text_of(client, "/", "0.7200"),
        text_of(client, PAGE, "<svg"),
        text_of(client, f"{PAGE}/trial/0/fold/0", "<svg"),
        text_of(client, "/runs/none", "there is no run", 404),
    ]
    for page in pages:
        assert re.findall(r"<script(?! src=\"/assets/live.js\" defer></script>)", page) == []
        assert re.findall(r"<style|\sstyle=|\son[a-z]+=|javascript:", page) == []
        assert re.findall(r"(?:src|href)=\"(?!/|#)", page) == []
    for name in ("style.css", "ui.css", "live.js", "icon.svg"):
        answer = client.get(f"/assets/{name}")
        assert answer.status_code == 200
        assert not re.search(r"https?://(?!www\.w3\.org)|@import", answer.text)
