import pytest
from hypothesis import given
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
    assert set(study_names()) == set(SEVEN)


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


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.batchsize=64", "'training.batchsize'; did you mean batch_size?"),
        ("trainin.batch_size=64", "'trainin'; did you mean training?"),
        ("search.trials=5", "no field 'search.trials'; expected one of kind, parameters"),
        ("search.parameters.training.epsilonn=[1]", "'training.epsilonn'; did you mean training.epsilon?"),
        ("training.batch_size=0", "training.batch_size = 0: input should be greater than or equal to 1"),
        ("training.batch_size=many", "training.batch_size = 'many': input should be a valid integer"),
        ("training.learning_rate=.inf", "training.learning_rate = inf: input should be a finite number"),
        ("training.learning_rate=-1", "training.learning_rate = -1: input should be greater than 0"),
        ("model.dropout=1", "model.dropout = 1: input should be less than 1"),
        ("model.architecture=vgg", "model.architecture = 'vgg': expected inception_v3, lenet, or"),
        ("model.weights=../../etc", "model.weights = '../../etc': expected a name"),
        ("model.weights=mine.h5", "model.weights = 'mine.h5': expected a name: workers read weights from the store"),
        ("folds.k=1", "folds.k = 1: input should be greater than or equal to 2"),
        ("name=Über", "name = 'Über': expected at most 63"),
        ("training=3", "training = 3"),
        ("training.flips=[diagonal]", "training.flips.0 = 'diagonal': input should be 'horizontal' or 'vertical'"),
        ("training.batch_size", "expected FIELD=VALUE"),
        ("training.batch_size=[", "is not a YAML value"),
        ("name.first=3", "name is 'regime2' and has no field 'first'"),
        ("search.parameters.training.epsilon=[1e-3, 1e-3]", "a value stands there twice"),
        ("search.parameters.training.epsilon=[0.1, -1]", r"search.parameters.training.epsilon: .*greater than 0"),
        ("search.parameters.training.epsilon=[]", "search.parameters.training.epsilon"),
    ],
)
def test_nonsense_names_field_value_and_what_was_expected(override: str, message: str) -> None:
    with pytest.raises(BadStudy) as caught:
        load_study("regime2", [override])
    text = str(caught.value)
    assert "\n" not in text
    import re

    assert message in text or re.search(message, text), text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "test.yaml: expected a mapping"),
        ("- 1", "test.yaml: expected a mapping"),
        ("name: [", "test.yaml, line 1: not YAML"),
        ("title: x", "test.yaml: name: missing"),
        ("{name: a, extends: 3}", "extends: 3: expected one study"),
        ("{name: a, model: {architecture: lenet}}", "lenet has no pretrained weights"),
        (
            "{name: a, search: {kind: random, trials: 2, parameters: {training.batch_size: {low: 1, high: 2}}}}",
            "a batch size is whole: set type: int",
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


def test_a_circle_of_extends_is_named() -> None:
    with pytest.raises(BadStudy, match="a: extends itself by way of a -> b -> a"):
        resolve_study(
            "{extends: b}", source="a", read_base=lambda name, by: (f"{{extends: {'a' if name == 'b' else 'b'}}}", name)
        )


def test_a_file_of_ones_own_extends_by_relative_path(tmp_path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "base.yaml").write_text("extends: lenet\nname: base\ntraining: {epochs: 3}\n")
    (tmp_path / "inner" / "mine.yaml").write_text("extends: ../base.yaml\nname: mine\n")
    study = load_study(str(tmp_path / "inner" / "mine.yaml"))
    assert (study.name, study.training.epochs, study.model.architecture) == ("mine", 3, "lenet")


@pytest.mark.parametrize(
    ("study", "message"),
    [
        ("regime3", "there is no study 'regime3'; did you mean regime2?"),
        ("nothing.yaml", "nothing.yaml: No such file or directory: expected a study file"),
    ],
)
def test_studies_that_are_not_there(study: str, message: str) -> None:
    with pytest.raises(BadStudy) as caught:
        load_study(study)
    assert message in str(caught.value)


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
    assert run_id(load_study("regime2"), "digest", "sha") == "regime2-47285504"


def test_taking_leaves_what_is_searched() -> None:
    study = load_study("regime2").taking({"batch_size": 1599, "dropout": 0.2045, "learning_rate": 0.5, "epsilon": 0.5})
    assert (study.training.batch_size, study.model.dropout) == (1599, 0.2045)
    assert (study.training.learning_rate, study.training.epsilon) == (1e-3, 1e-7)
    assert study.search == load_study("regime2").search


@given(learning_rate=st.floats(1e-12, 1e3), batch_size=st.integers(1, 10**6), dropout=st.floats(0, 1, exclude_max=True))
def test_hyperparameters_of_a_trial_reach_the_study(learning_rate: float, batch_size: int, dropout: float) -> None:
    values = {"learning_rate": learning_rate, "batch_size": batch_size, "dropout": dropout, "epsilon": 1e-5}
    trial: Study = load_study("regime1").with_hyperparameters(values)
    assert trial.hyperparameters == values
    assert trial.search is None
