import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rustk.cli.context import load_study, read_study_file, study_names
from rustk.planning.resolving import resolve_study
from rustk.planning.study import Study, run_id, study_fields, study_from_fields
from rustk.vocabulary.errors import BadStudy
from tests.planning.plans import study_of

# The table of the seven studies: epochs, folds, batch size, dropout, weights, trainable.
SEVEN = {
    "lenet": (50, 10, 128, 0.0, "random", True),
    "inception-scratch": (50, 10, 128, 0.0, "random", True),
    "inception-radimagenet": (50, 10, 128, 0.0, "radimagenet", False),
    "inception-imagenet": (50, 10, 128, 0.0, "imagenet", False),
    "regime1": (20, 6, 128, 0.0, "imagenet", False),
    "regime2": (20, 6, 1600, 0.2, "imagenet", False),
    "final": (40, 10, 1600, 0.2, "imagenet", False),
}


def test_the_thesis_has_seven_studies() -> None:
    assert set(SEVEN) <= set(study_names())


@pytest.mark.parametrize("name", sorted(SEVEN))
def test_shipped_studies_say_what_the_thesis_did(name: str) -> None:
    study = load_study(name)
    epochs, k, batch_size, dropout, weights, trainable = SEVEN[name]
    assert study.name == name
    assert (study.training.epochs, study.folds.k, study.training.batch_size) == (epochs, k, batch_size)
    assert (study.model.dropout, study.model.weights, study.model.trainable) == (dropout, weights, trainable)
    assert study.folds.scheme == "shard"
    assert study.training.flips == ("horizontal", "vertical")
    assert study.model.head == ((1024,) if name == "lenet" else (1024, 512, 256))
    # Keras's defaults for Adam, but for what is searched.
    assert (study.training.learning_rate, study.training.epsilon) == (1e-3, 1e-7)


@pytest.mark.parametrize("name", sorted(SEVEN))
def test_a_study_file_opens_with_cost_result_and_command(name: str) -> None:
    text, _ = read_study_file(name)
    head = [line for line in text.splitlines() if line.startswith("#")]
    for word in ("# Costs", "# Gives", f"# Command rustk submit {name}"):
        assert any(line.startswith(word) for line in head), word


def test_a_study_that_says_nothing_keeps_patients_together() -> None:
    assert study_of("name: mine").folds.scheme == "patient"


def test_numbers_in_scientific_notation_are_numbers() -> None:
    assert study_of("{name: a, training: {learning_rate: 1e-3}}").training.learning_rate == 1e-3


def test_a_seed_that_no_cut_takes_is_refused() -> None:
    with pytest.raises(BadStudy, match=r"folds\.seed = 7: it has no effect with folds\.scheme = shard: leave it out"):
        study_from_fields({"name": "a", "folds": {"scheme": "shard", "seed": 7}}, "a.yaml")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.batchsize=64", "there is no field training.batchsize; did you mean batch_size?"),
        ("epochs=64", "there is no field epochs; did you mean training.epochs?"),
        ("training.head=[8]", "there is no field training.head; did you mean model.head?"),
        ("trainin.batch_size=64", "there is no field trainin; did you mean training?"),
        ("search.trials=5", "no field search.trials; expected one of kind, race, parameters"),
        (
            "search.parameters.training.epsilonn=[1]",
            "there is no field 'training.epsilonn'; did you mean training.epsilon?",
        ),
        ("training.batch_size=0", "training.batch_size = 0: expected at least 1"),
        ("training.batch_size=many", "training.batch_size = 'many': expected a whole number"),
        ("training.learning_rate=.inf", "training.learning_rate = inf: expected a finite number"),
        ("training.learning_rate=-1", "training.learning_rate = -1: expected at least 1e-37"),
        ("model.dropout=1", "model.dropout = 1: expected less than 1"),
        ("model.architecture=vgg", "model.architecture = 'vgg': expected one of .*inception_v3, lenet"),
        ("model.weights=../../etc", "model.weights = '../../etc': expected a name"),
        ("model.weights=mine.h5", "model.weights = 'mine.h5': expected a name: workers read weights from the store"),
        ("folds.k=1", "folds.k = 1: expected at least 2"),
        ("numbers={best-trial: '1'}", "there is no table or figure 'best-trial': did you mean best-trials?"),
        ("training.epsilon=1e-320", "training.epsilon = 1e-320: expected at least 1e-37"),
        ("name=Über", "name = 'Über': expected at most 63"),
        ("model.architecture=inception_v2", "model.architecture = 'inception_v2': did you mean inception_v3?"),
        ("model.objective=onehott", "model.objective = 'onehott': did you mean onehot?"),
        ("model.head=[0]", "model.head.0 = 0: expected at least 1"),
        ("model.head=[100000]", "model.head.0 = 100000: expected at most 65536"),
        ("model.head=5", "model.head = 5: expected a list"),
        ("model.head={a: 1}", "model.head = {'a': 1}"),
        ("training.batch_size=true", "training.batch_size = true: expected a whole number"),
        ("training.batch_size=64.5", "training.batch_size = 64.5: expected a whole number"),
        ("training.batch_size='64'", "training.batch_size = '64': expected a whole number"),
        (
            f"training.batch_size={10**30}",
            "training.batch_size = 1000000000000000000000000000000: expected",
        ),
        ("training.batch_size=1e19", "training.batch_size = 1e+19: expected a whole number"),
        (f"training.batch_size={'9' * 5000}", "a number of thousands of digits"),
        (f"training.batch_size=0x{'f' * 5000}", "a number of thousands of digits"),
        (f"training.batch_size={'9' * 4000}", "training.batch_size = 9999"),
        ("training.epochs=2025-01-31", "training.epochs = '2025-01-31': expected a whole number"),
        ("training.epochs=null", "training.epochs = null: expected a whole number"),
        (
            "training.flips=[vertical, vertical]",
            "training.flips = ['vertical', 'vertical']: expected each flip at",
        ),
        (f"folds.seed={10**40}", "folds.seed = 1000"),
        ("folds.seed=-1", "folds.seed = -1: expected at least 0"),
        (f"folds.k={10**12}", "folds.k = 1000000000000: expected at most 1000"),
        (f"seed={10**40}", "seed = 1000"),
        (f"title={'[' * 100_000}", "nested too deeply"),
        (f"title={'[' * 70}{']' * 70}", "nested too deeply"),
        ("title=[[[", "not YAML"),
        ("title=!!binary aGk=", "expected a plain value"),
        ("title=a\0b", "not YAML"),
        ("title=\udcff", "not YAML"),
        (f"title={'x' * 10**6}", "title = 'xxx"),
        ("a..b=1", "expected FIELD=VALUE"),
        ("training.=1", "--set 'training.=1': expected FIELD=VALUE"),
        ("numbers=[a]", "numbers = ['a']: expected a section"),
        ("=5", "expected FIELD=VALUE"),
        ("extends=lenet", "there is no field extends"),
        ("training=3", "training = 3"),
        ("training.flips=[diagonal]", "training.flips.0 = 'diagonal': expected 'horizontal' or 'vertical'"),
        ("training.batch_size", "expected FIELD=VALUE"),
        ("training.batch_size=[", "--set 'training.batch_size=[', line 1: not YAML"),
        ("name.first=3", "name is 'regime2' and has no field 'first'"),
        ("search.parameters.training.epsilon=[1e-3, 1e-3]", "a value appears twice"),
        ("training.learning_rate=1e-3", "searches training.learning_rate, so that this value would have no effect"),
        ("search.parameters={model.trainable: [false, true, 1]}", "model.trainable can't be searched"),
        (
            "search.parameters.training.epsilon=[0.1, -1]",
            "search.parameters.training.epsilon = -1.0: expected",
        ),
        ("search.parameters.training.epsilon=[]", "search.parameters.training.epsilon"),
    ],
)
def test_nonsense_names_field_value_and_what_was_expected(override: str, message: str) -> None:
    with pytest.raises(BadStudy) as caught:
        load_study("regime2", [override])
    text = str(caught.value)
    assert text.isprintable()
    assert len(text) < 600
    assert message in text or re.search(message, text), text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "test.yaml: the file is empty: expected a mapping of fields (name, "),
        ("- 1", "test.yaml: [1]: expected a mapping of fields"),
        ("name: [", "test.yaml, line 1: not YAML"),
        ("title: x", "test.yaml: name: missing: expected text"),
        ("{name: a, extends: 3}", "test.yaml: extends = 3: expected the name or path of one study"),
        ("{name: a, extends: [b, c]}", "test.yaml: extends = ['b', 'c']: expected the name or path of one study"),
        ("{name: a, extends: ''}", "test.yaml: extends = '': expected the name or path of one study"),
        ("{name: a, name: b}", "test.yaml, line 1: 'name' appears twice"),
        ("name: a\ntraining:\n  epochs: 1\n  epochs: 2", "test.yaml, line 4: 'epochs' appears twice"),
        ("{5: a}", "test.yaml: 5: expected the name of a field (name, title,"),
        ("{name: a, model: {5: 6}}", "test.yaml: model: the name 5: expected text, in quotes"),
        ("{name: a, model: null}", "test.yaml: model = null: "),
        ("{name: a, model: []}", "test.yaml: model = []: "),
        (f"{{name: a, title: {'[' * 3000}{']' * 3000}}}", "test.yaml: nested too deeply"),
        ("a: &a [*a]", "nested too deeply"),
        ("{name: 2025-01-31, title: 5}", "test.yaml: title = 5: expected text"),
        ("{name: a, title: !!binary aGk=}", "expected a plain value"),
        ("name: \0", "test.yaml: not YAML"),
        ("name: \ud800", "test.yaml: not YAML"),
        (
            "{name: a, search: {kind: random, trials: 2, parameters: {training.batch_size: {low: 1, high: 2}}}}",
            "search.parameters.training.batch_size.type = float: expected int, since its values are whole numbers",
        ),
        (
            "{name: a, search: {kind: random, trials: 2, parameters: "
            "{training.batch_size: {low: 1, high: 10000000000000000000, type: int}}}}",
            "search.parameters.training.batch_size.high = 10000000000000000000: ",
        ),
        (
            "{name: a, search: {kind: random, trials: 2, parameters: {model.dropout: {low: 0.5, high: 0.1}}}}",
            "low 0.5 must be below high 0.1",
        ),
    ],
)
def test_nonsense_files_are_one_line(text: str, message: str) -> None:
    with pytest.raises(BadStudy) as caught:
        study_of(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_extends_merges_fields_and_replaces_searches() -> None:
    texts = {
        "base": "{name: base, title: Base, training: {epochs: 7, batch_size: 9}, search: {kind: grid, parameters: "
        "{training.epsilon: [1e-3]}}}",
        "mine": "{extends: base, name: mine, training: {batch_size: 4}, search: {kind: grid, parameters: "
        "{training.learning_rate: [1e-3]}}}",
    }

    def read(name: str, extended_by: str) -> tuple[str, str]:
        return texts[name], name

    study = resolve_study(texts["mine"], source="mine", read_base=read)
    assert (study.name, study.title) == ("mine", "")
    assert (study.training.epochs, study.training.batch_size) == (7, 4)
    assert study.search is not None
    assert set(study.search.parameters) == {"training.learning_rate"}


def test_a_fault_names_the_file_that_has_it() -> None:
    texts = {"base": "{name: base, training: {epochs: 7, foo: 1}}", "good": "{name: good, training: {epochs: 7}}"}

    def resolve(text: str, *overrides: str) -> None:
        resolve_study(text, source="mine", read_base=lambda name, by: (texts[name], name), overrides=overrides)

    with pytest.raises(BadStudy, match=r"^base: there is no field training\.foo"):
        resolve("{extends: base, name: mine, training: {batch_size: 4}}")
    with pytest.raises(BadStudy, match=r"^mine: training\.epochs = 0: "):
        resolve("{extends: good, name: mine, training: {epochs: 0}}")
    with pytest.raises(BadStudy, match=r"^mine with --set: training\.epochs = 0: "):
        resolve("{extends: good, name: mine}", "training.epochs=0")


@pytest.mark.parametrize("first", ["training.epochs=2", "training={epochs: 3}"])
def test_a_field_is_given_once(first: str) -> None:
    with pytest.raises(BadStudy, match=r"was set before, to '.*': set it once"):
        load_study("regime2", [first, "training={epochs: 3}"])


def test_a_circle_of_extends_is_named() -> None:
    with pytest.raises(BadStudy, match="a: extends itself: a -> b -> a"):
        resolve_study(
            "{extends: b}", source="a", read_base=lambda name, by: (f"{{extends: {'a' if name == 'b' else 'b'}}}", name)
        )


@pytest.mark.parametrize("by", ["a.yaml", "sub/../a.yaml", "./a.yaml", "link.yaml"])
def test_one_file_is_one_file_by_whatever_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.yaml").write_text("{name: a, extends: b.yaml}")
    (tmp_path / "b.yaml").write_text(f"{{name: b, extends: {by}}}")
    (tmp_path / "link.yaml").symlink_to("a.yaml")
    for start in ("a.yaml", "sub/../a.yaml", str(tmp_path / "a.yaml")):
        with pytest.raises(BadStudy) as caught:
            load_study(start)
        assert str(caught.value) == "a.yaml: extends itself: a.yaml -> b.yaml -> a.yaml"


def test_a_file_may_be_called_as_the_shipped_one_that_it_extends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "lenet.yaml").write_text("{extends: lenet, name: lenet, training: {epochs: 3}}")
    assert load_study("jobs/lenet.yaml").training.epochs == 3


def test_a_chain_without_end_is_refused() -> None:
    def read(name: str, extended_by: str) -> tuple[str, str]:
        return f"{{extends: '{int(name) + 1}'}}", name

    with pytest.raises(BadStudy, match="start: extends 21 by way of 20 others: expected a shorter chain"):
        resolve_study("{extends: '1'}", source="start", read_base=read)


def test_a_file_of_ones_own_extends_by_relative_path(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "base.yaml").write_text("extends: lenet\nname: base\ntraining: {epochs: 3}\n")
    (tmp_path / "inner" / "mine.yaml").write_text("extends: ../base.yaml\nname: mine\n")
    study = load_study(str(tmp_path / "inner" / "mine.yaml"))
    assert (study.name, study.training.epochs, study.model.architecture) == ("mine", 3, "lenet")


@pytest.mark.parametrize(
    ("study", "message"),
    [
        ("regime3", "there is no study 'regime3': did you mean regime2? (or the path of a .yaml file)"),
        ("", "there is no study '': expected one of "),
        ("../regime2", "there is no study '../regime2'"),
        ("nothing.yaml", "nothing.yaml: no such file or directory: expected a study file in YAML"),
        ("a\0b.yaml", "embedded null byte"),
        ("~nobody-of-this-name/x.yaml", "'~nobody-of-this-name/x.yaml': "),
        ("x" * 5000 + ".yaml", "file name too long"),
    ],
)
def test_studies_that_are_not_there(study: str, message: str) -> None:
    with pytest.raises(BadStudy) as caught:
        load_study(study)
    assert message in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_base_that_is_not_there_is_told_with_the_file_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text("{name: mine, extends: nothing.yaml}")
    with pytest.raises(BadStudy, match=r"mine\.yaml: extends = nothing\.yaml: no such file or directory"):
        load_study("mine.yaml")
    Path("mine.yaml").write_text("{name: mine, extends: regime3}")
    with pytest.raises(BadStudy, match=r"mine\.yaml: extends = 'regime3': there is no such study: did you mean"):
        load_study("mine.yaml")
    Path("latin.yaml").write_bytes("title: é".encode("latin-1"))
    with pytest.raises(BadStudy, match=r"latin\.yaml: byte 7 is not UTF-8: expected a study file in YAML"):
        load_study("latin.yaml")


def test_study_json_gives_the_study_back() -> None:
    for name in study_names():
        study = load_study(name)
        assert study_from_fields(study_fields(study), "study.json") == study


def test_run_id_covers_what_decides_the_result_and_nothing_else() -> None:
    study = load_study("regime1")
    same = [
        load_study("regime1", ["title=Other", "description=words"]),
        load_study("regime1", ["search.trials=200"]),
    ]
    other = [
        load_study("regime1", [change])
        for change in ("seed=1", "training.epochs=21", "folds.k=5", "search.parameters.model.dropout.high=0.4")
    ]
    identity = run_id(study, "digest", "sha")
    assert {run_id(each, "digest", "sha") for each in same} == {identity}
    assert len({run_id(each, "digest", "sha") for each in other} | {identity}) == len(other) + 1
    assert len({run_id(study, "digest2", "sha"), run_id(study, "digest", None), identity}) == 3


def test_run_id_is_the_same_on_every_machine() -> None:
    assert run_id(load_study("regime2"), "digest", "sha") == "regime2-fe963d3e"


def test_taking_leaves_what_is_searched() -> None:
    study = load_study("regime2").taking({"batch_size": 1599, "dropout": 0.2045, "learning_rate": 0.5, "epsilon": 0.5})
    assert (study.training.batch_size, study.model.dropout) == (1599, 0.2045)
    assert (study.training.learning_rate, study.training.epsilon) == (1e-3, 1e-7)
    assert study.search == load_study("regime2").search
    own = load_study("regime2").taking({"batch_size": 1599, "dropout": 0.2045}, own=["batch_size"])
    assert (own.training.batch_size, own.model.dropout) == (load_study("regime2").training.batch_size, 0.2045)


def test_a_value_that_no_trial_of_the_search_has_is_refused() -> None:
    grid = load_study("regime2")
    for value in (0.1, 0.1 * (1 + 1e-8)):
        grid.searched_check("training.learning_rate")(value)
    for value in (0.5, "a", None, float("nan"), True):
        with pytest.raises(ValueError, match=r"^expected one of 0\.1, 0\.0"):
            grid.searched_check("training.learning_rate")(value)
    drawn = load_study("regime1")
    drawn.searched_check("model.dropout")(0.25)
    for wrong in (-0.1, 1.5, "0.2", None, float("nan")):
        with pytest.raises(ValueError, match=r"^expected 0 to 0\.\d"):
            drawn.searched_check("model.dropout")(wrong)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**4000),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150)
@given(data=st.data(), value=_JSON)
def test_any_value_of_any_field_is_taken_or_refused(data: st.DataObject, value: object) -> None:
    fields: dict = study_fields(load_study("regime1"))
    section = data.draw(st.sampled_from([None, "model", "training", "folds", "search"]))
    at = fields[section] if section else fields
    at[data.draw(st.sampled_from([*at, "beside"]))] = value
    shown = "s: "
    try:
        study = study_from_fields(fields, "s")
        study.with_hyperparameters(study.trials()[0])
        assert study_from_fields(study_fields(study), "s") == study
    except BadStudy as error:
        shown = str(error)
    assert shown.startswith("s: ")


@given(learning_rate=st.floats(1e-12, 1e3), batch_size=st.integers(1, 10**6), dropout=st.floats(0, 1, exclude_max=True))
def test_hyperparameters_of_a_trial_reach_the_study(learning_rate: float, batch_size: int, dropout: float) -> None:
    values = {"learning_rate": learning_rate, "batch_size": batch_size, "dropout": dropout, "epsilon": 1e-5}
    trial: Study = load_study("regime1").with_hyperparameters(values)
    assert trial.hyperparameters == values
    assert trial.search is None
