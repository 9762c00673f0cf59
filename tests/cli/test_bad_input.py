"""Bad input of every class, through the whole command line: one clear line, a non-zero exit, and nothing half-written.

Each case is what somebody types, or finds in a file or in a store, that can't be used. The line must name what is
meant by `says` (the file, field, value or what to do).
"""

import contextlib
import io
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest

from rustk.cli.app import main

HUGE = "9" * 5000
# Ten million values once its aliases are written out.
BOMB = "a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n" for before, name in pairwise("abcdefg")
)
# A grid of 27 million trials.
ENDLESS = ", ".join(
    f"{path}: [{', '.join(str(i / 1000) for i in range(1, 301))}]"
    for path in ("training.epsilon", "training.learning_rate", "model.dropout")
)
DEEP = 3000
Prepare = Callable[[Path], object]


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


def run(*arguments: str) -> Outcome:
    """The command line in this process."""
    out, err = io.StringIO(), io.StringIO()
    code = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["rustk", *arguments])
        patch.setattr("sys.stdin", io.StringIO())
        try:
            main()
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
    return Outcome(code, out.getvalue(), err.getvalue())


@dataclass(frozen=True)
class Case:
    name: str
    arguments: str | tuple[str, ...]
    says: tuple[str, ...]
    prepare: Prepare | None = None
    environment: dict[str, str] = field(default_factory=dict)


def write(name: str, content: str | bytes) -> Prepare:
    """Prepare a file in the working directory."""

    def prepare(folder: Path) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))

    return prepare


def edit_json(name: str, change: Callable[[dict], object]) -> Prepare:
    """Damage a document of the store; what `change` returns replaces it, unless that is None."""

    def prepare(folder: Path) -> None:
        path = folder / "store" / name
        document = json.loads(path.read_text())
        changed = change(document)
        path.write_text(json.dumps(document if changed is None else changed))

    return prepare


def put(name: str, content: bytes) -> Prepare:
    return write(f"store/{name}", content)


def images(folder: Path) -> None:
    """An empty folder of images and a table of one row."""
    (folder / "images").mkdir()
    (folder / "labels.csv").write_text("image,patient,view,medial,lateral,anterior,posterior\na.png,1,ap,1,1,,\n")


def paths(folder: Path) -> None:
    """Beside the images: a link to itself, and one that leads nowhere."""
    images(folder)
    (folder / "circle").symlink_to("circle")
    (folder / "gone").symlink_to("nowhere")


DATASET = "datasets/small/dataset.json"
STUDY = "runs/published/study.json"


def set_at(*path: str | int, value: object) -> Callable[[dict], None]:
    def change(document: dict) -> None:
        at: object = document
        for step in path[:-1]:
            at = at[step]  # type: ignore[index]
        at[path[-1]] = value  # type: ignore[index]

    return change


STUDY_HEAD = "extends: regime2\nname: mine\n"
RUN_NAMES = ("..", "x/", "/", "", "../x", "published/", "a" * 300, "x\ny", "\x1b[31m", "runs/published", ".", "-", "*")
RUN_COMMANDS = (
    "status {}",
    "aggregate {}",
    "wait {}",
    "logs {}",
    "cancel {}",
    "final {} --yes",
    "plan regime2 --from {}",
    "methods {}",
    "export tensorboard {} events",
    "fold redo {} --trial 0 --fold 0",
)

CASES = [
    *(
        Case(
            f"run name {number} in {command.split()[0]}",
            tuple(name if part == "{}" else part for part in command.split()),
            ("run",),
        )
        for command in RUN_COMMANDS
        for number, name in enumerate(RUN_NAMES)
        if not name.startswith("-")
    ),
    # The command line itself.
    Case("no such command", "sumbit regime2", ("sumbit", "--help")),
    Case("no such option", "submit regime2 --datset small", ("--datset", "--help")),
    Case("an argument is missing", "plan", ("study", "--help")),
    Case("a number that is none", "submit regime2 --workers two", ("--workers", "two")),
    Case("a number that is too small", "submit regime2 --workers 0", ("--workers", "0")),
    Case("no such study", "plan regime3", ("regime3", "did you mean")),
    Case("a study by a path that is not there", "plan nowhere.yaml", ("nowhere.yaml",)),
    Case(
        "a study that is a folder",
        "plan folder.yaml",
        ("folder.yaml",),
        lambda folder: (folder / "folder.yaml").mkdir(),
    ),
    Case("no such dataset", "plan regime2 --dataset smal", ("smal", "small")),
    Case("no such backend", "status --backend kubernets", ("backend", "kubernets", "kubernetes")),
    Case("a run's name that can't be one", ("plan", "lenet", "--name", "Mine!"), ("--name", "Mine!")),
    Case("a store of an unknown kind", "status --store ftp://x/y", ("ftp://x/y", "s3://bucket/prefix")),
    Case("a store of nobody's", "status --store ~nobody-at-all/x", ("~nobody-at-all",)),
    Case("a bucket that can't be", "status --store s3://BAD_bucket!/x", ("BAD_bucket!",)),
    Case("a bucket without a name", "status --store s3:///x", ("s3:///x",)),
    Case("an empty store", ("status", "--store", ""), ("store",)),
    Case("a store that is a file", "runs --store file", ("file",), write("file", "x")),
    # --set
    Case("a field that is not there", "plan regime2 --set training.epsilom=1", ("training.epsilom", "epsilon")),
    Case("no value", "plan regime2 --set training.epsilon", ("FIELD=VALUE",)),
    Case("no block at all", "plan regime2 --set model.trainable=0", ("model.trainable", "0", "1 to 1000")),
    Case("a turn of features", "plan regime2 --set training.shift=0.1", ("training.shift = 0.1", "features = off")),
    Case("a rate of nothing", "plan regime2 --set training.backbone_rate=0.1", ("backbone_rate", "frozen backbone")),
    Case(
        "no joint epoch",
        "plan regime2 --set model.trainable=3 --set training.head_epochs=20",
        ("training.head_epochs = 20", "training.epochs = 20"),
    ),
    Case("no YAML", ("plan", "regime2", "--set", "title=[[["), ("title=[[[",)),
    Case("a title of lists", ("plan", "regime2", "--set", f"title={'[' * DEEP}"), ("--set",)),
    Case("a huge integer", ("plan", "regime2", "--set", f"training.batch_size={HUGE}"), ("thousands of digits",)),
    Case("a huge batch", ("plan", "regime2", "--set", f"training.batch_size={10**30}"), ("training.batch_size",)),
    Case("a huge seed", ("plan", "regime2", "--set", f"folds.seed={10**40}"), ("folds.seed",)),
    Case("a negative rate", "plan regime2 --set training.learning_rate=-1", ("learning_rate", "-1")),
    Case("a rate that is not finite", "plan regime2 --set training.learning_rate=.nan", ("learning_rate",)),
    Case("text for a number", "plan regime2 --set training.epochs=many", ("training.epochs", "many")),
    Case("a fraction for a whole number", "plan regime2 --set training.epochs=1.5", ("training.epochs", "1.5")),
    Case("more folds than images", "plan lenet --set folds.k=999", ("folds.k", "999")),
    Case("one fold", "plan regime2 --set folds.k=1", ("folds.k",)),
    Case(
        "a race over two folds",
        "plan regime2 --set search.race=halving --set folds.k=2",
        ("search.race", "folds.k", "at least 3"),
    ),
    Case("no such race", "plan regime2 --set search.race=halvin", ("search.race", "halving")),
    Case(
        "a race that keeps all",
        ("plan", "regime2", "--set", "search.race={kind: halving, keep: 1.0}"),
        ("search.race.keep", "less than 1"),
    ),
    Case(
        "a race that keeps more than there are",
        (
            *("plan", "regime2", "--set", "model.architecture=lenet", "--set", "model.weights=random"),
            *("--set", "folds.k=3", "--set", "search.race={kind: halving, least: 33}"),
        ),
        ("search.race.least", "33", "32 trials"),
    ),
    Case("a flip twice", ("plan", "regime2", "--set", "training.flips=[horizontal, horizontal]"), ("flips",)),
    Case("no such objective", "plan regime2 --set model.objective=onehott", ("model.objective", "onehot")),
    Case("no such backbone", "plan regime2 --set model.architecture=inception", ("inception_v3",)),
    Case("a path for weights", "plan regime2 --set model.weights=a.h5", ("weights add",)),
    Case("weights that are not there", "plan regime2", ("imagenet", "weights add")),
    Case(
        "images too small",
        "plan regime2 --set model.weights=random",
        ("75x75", "32x32"),
        edit_json(DATASET, lambda document: {**document, "image_shape": [32, 32, 1], "preparation": {}}),
    ),
    Case("lenet with weights", "plan lenet --set model.weights=imagenet", ("lenet", "weights")),
    Case("a section for a field", "plan regime2 --set training=5", ("training",)),
    Case("a field of a value", "plan regime2 --set training.epochs.more=5", ("epochs",)),
    # study files
    *(
        Case(f"a study file: {name}", "plan mine.yaml", ("mine.yaml", *says), write("mine.yaml", text))
        for name, text, says in (
            ("empty", "", ()),
            ("a list", "- 1\n- 2\n", ()),
            ("a number", "5", ()),
            ("not YAML", "a: [", ("line",)),
            ("NUL", "name: a\0b", ()),
            ("latin-1", b"name: caf\xe9", ("UTF-8",)),
            ("a key twice", STUDY_HEAD + "seed: 1\nseed: 2\n", ("seed", "twice")),
            ("a key that is no text", "5: 6\n", ()),
            ("nested", STUDY_HEAD + "title: " + "[" * DEEP + "]" * DEEP, ()),
            ("a huge integer", STUDY_HEAD + f"seed: {HUGE}\n", ("thousands of digits",)),
            (
                "a bomb",
                BOMB,
                (),
            ),
            ("an alias of itself", "a: &a [*a]\n", ()),
            ("extends nothing", "extends: nothing\nname: mine\n", ("nothing",)),
            ("extends a number", "extends: 5\nname: mine\n", ("extends", "5")),
            ("extends itself", "extends: mine.yaml\nname: mine\n", ("extends itself",)),
            ("no name", "title: x\n", ("name",)),
            ("a bad name", "extends: regime2\nname: Mine!\n", ("name", "Mine!")),
            ("a tag", STUDY_HEAD + "title: !!python/object/apply:os.system [ls]\n", ()),
            (
                "a search without a kind",
                STUDY_HEAD + "search: {parameters: {training.epsilon: [1]}}\n",
                ("search.kind",),
            ),
            ("a search of no kind", STUDY_HEAD + "search: {kind: bayes, parameters: {}}\n", ("search.kind", "bayes")),
            ("a search that is a list", STUDY_HEAD + "search: [1]\n", ("search",)),
            ("a search over nothing", STUDY_HEAD + "search: {kind: grid, parameters: {}}\n", ("search.parameters",)),
            (
                "a search over prose",
                STUDY_HEAD + "search: {kind: grid, parameters: {title: [a]}}\n",
                ("search.parameters",),
            ),
            (
                "a search with text",
                STUDY_HEAD + "search: {kind: grid, parameters: {training.epsilon: [small]}}\n",
                ("small",),
            ),
            (
                "a value twice",
                STUDY_HEAD + "search: {kind: grid, parameters: {training.epsilon: [1, 1]}}\n",
                ("twice",),
            ),
            (
                "an endless grid",
                STUDY_HEAD + f"search: {{kind: grid, parameters: {{{ENDLESS}}}}}\n",
                ("trials",),
            ),
            (
                "low above high",
                STUDY_HEAD + "search: {kind: random, trials: 2, parameters: {training.epsilon: {low: 2, high: 1}}}\n",
                ("low 2",),
            ),
            (
                "a range beyond numbers",
                STUDY_HEAD + "search: {kind: random, trials: 2, "
                "parameters: {training.batch_size: {low: 1, high: 1e19, type: int}}}\n",
                ("high",),
            ),
            (
                "no trials",
                STUDY_HEAD + "search: {kind: random, trials: 0, parameters: {training.epsilon: {low: 1, high: 2}}}\n",
                ("trials",),
            ),
            *(
                (f"a search: {what}", STUDY_HEAD + f"search: {{{search}}}\n", said)
                for what, search, said in (
                    (
                        "sobol without trials",
                        "kind: sobol, trials: 0, parameters: {training.epsilon: {low: 1, high: 2}}",
                        ("search.trials = 0",),
                    ),
                    (
                        "a logarithm of nothing",
                        "kind: sobol, trials: 4, parameters: {training.epsilon: {low: 0, high: 1, log: true}}",
                        ("training.epsilon", "low 0 must be more than 0"),
                    ),
                    (
                        "a choice twice",
                        "kind: random, trials: 4, parameters: {model.head: {values: [[8], [8]]}}",
                        ("model.head", "twice"),
                    ),
                    (
                        "flips twice in another order",
                        "kind: grid, parameters: {training.flips: [[vertical, horizontal], [horizontal, vertical]]}",
                        ("training.flips", "twice"),
                    ),
                    (
                        "choices of two types",
                        "kind: random, trials: 4, parameters: {training.batch_size: {values: [8, many]}}",
                        ("training.batch_size: 'many'", "whole numbers"),
                    ),
                    (
                        "a choice that the field does not take",
                        "kind: grid, parameters: {model.pooling: [max, mean]}",
                        ("model.pooling = 'mean'", "'max' or 'flatten'"),
                    ),
                    (
                        "a range of words",
                        "kind: random, trials: 4, parameters: {model.pooling: {low: 0, high: 1}}",
                        ("model.pooling: 0: expected texts, each listed",),
                    ),
                    (
                        "a batch of none",
                        "kind: tpe, trials: 8, batch: 0, parameters: {training.epsilon: {low: 1, high: 2}}",
                        ("search.batch = 0",),
                    ),
                    (
                        "a batch of more than all",
                        "kind: tpe, trials: 4, batch: 8, parameters: {training.epsilon: {low: 1, high: 2}}",
                        ("search.batch = 8", "at most as many as search.trials, 4"),
                    ),
                    (
                        "an unknown path",
                        "kind: tpe, trials: 8, parameters: {model.heads: {values: [[8], [16]]}}",
                        ("'model.heads'; did you mean model.head?",),
                    ),
                    (
                        "what no search is worth",
                        "kind: grid, parameters: {training.epochs: [10, 20]}",
                        ("training.epochs can't be searched: a trial is judged after each",),
                    ),
                    (
                        "dropout without a layer to drop of",
                        "kind: grid, parameters: {model.dropout: [0, 0.5], model.head: [[], [8]]}",
                        ("model.dropout: it has no effect where model.head is []",),
                    ),
                    (
                        "a backbone that there is none of",
                        "kind: grid, parameters: {model.architecture: [inception_v3, resnet51]}",
                        ("model.architecture = 'resnet51': did you mean resnet50?",),
                    ),
                )
            ),
            (
                "whole numbers drawn as reals",
                STUDY_HEAD
                + "search: {kind: random, trials: 2, parameters: {training.batch_size: {low: 1, high: 5}}}\n",
                ("batch_size",),
            ),
        )
    ),
    Case(
        "a study file: extends itself by a detour",
        "plan mine.yaml",
        ("mine.yaml", "extends itself"),
        lambda folder: (
            (folder / "sub").mkdir(),
            (folder / "mine.yaml").write_text("extends: sub/../mine.yaml\nname: mine\n"),
        ),
    ),
    # settings
    *(
        Case(f"rustk.toml: {name}", "status", ("rustk.toml", *says), prepare)
        for name, prepare, says in (
            ("not TOML", write("rustk.toml", "store = "), ()),
            ("latin-1", write("rustk.toml", b"store = '\xe9'"), ("UTF-8",)),
            ("nested", write("rustk.toml", "store = " + "[" * DEEP + "]" * DEEP), ()),
            ("a huge number", write("rustk.toml", f"store = {HUGE}"), ()),
            ("a wrong type", write("rustk.toml", "store = 5"), ("store", "5")),
            ("an unknown setting", write("rustk.toml", "stor = 'x'"), ("stor", "store")),
            ("an unknown setting of a section", write("rustk.toml", "[local]\nworker = 5"), ("worker", "workers")),
            ("a section that is a text", write("rustk.toml", "local = 'x'"), ("local",)),
            ("a bad backend", write("rustk.toml", "backend = 'slurm'"), ("backend", "slurm")),
            ("a credential", write("rustk.toml", "[kubernetes.env]\nAWS_SECRET_ACCESS_KEY = 'x'"), ("Secret",)),
            ("a batch", write("rustk.toml", "[kubernetes]\nfolds_per_job = 'all'"), ("folds_per_job", "all", "auto")),
            ("a folder", lambda folder: (folder / "rustk.toml").mkdir(), ()),
            ("a circle of links", lambda folder: (folder / "rustk.toml").symlink_to(folder / "rustk.toml"), ()),
            ("a link to nowhere", lambda folder: (folder / "rustk.toml").symlink_to(folder / "nowhere"), ()),
        )
    ),
    *(
        Case(f"environment: {variable}={value[:12]}", "status", (variable,), environment={variable: value})
        for variable, value in (
            ("RUSTK_LOCAL", "garbage"),
            ("RUSTK_KUBERNETES", "{"),
            ("RUSTK_LOCAL__WORKERS", "many"),
            ("RUSTK_LOCAL__WORKERS", "0"),
            ("RUSTK_LOCAL__RETRIES", "-1"),
            ("RUSTK_BACKEND", "slurm"),
            ("RUSTK_KUBERNETES__GPUS", "x"),
            ("RUSTK_LOCAL__WORKERS", HUGE),
            ("RUSTK_LOCAL_WORKERS", "2"),
            ("RUSTK_KUBERNETES__MEMORY", "8GB"),
        )
    ),
    # a damaged store
    *(
        Case(f"dataset.json: {name}", "dataset show small", ("dataset.json", *says), prepare)
        for name, prepare, says in (
            ("null", put(DATASET, b"null"), ()),
            ("a list", put(DATASET, b"[]"), ()),
            ("not JSON", put(DATASET, b"{"), ()),
            ("empty", put(DATASET, b""), ()),
            ("not text", put(DATASET, b"\xff\xfe\x00"), ()),
            ("nested", put(DATASET, b"[" * 100_000), ()),
            ("shards of text", edit_json(DATASET, set_at("shards", value=["a"])), ("shards",)),
            ("a digest that is a number", edit_json(DATASET, set_at("digest", value=5)), ("digest",)),
            ("a shape that is a word", edit_json(DATASET, set_at("image_shape", value="big")), ("image_shape",)),
            ("a negative shape", edit_json(DATASET, set_at("image_shape", value=[-1, 2, 1])), ("image_shape",)),
            (
                "a shard elsewhere",
                edit_json(DATASET, set_at("shards", 0, "key", value="../../../x")),
                ("shards", "key"),
            ),
            ("another schema", edit_json(DATASET, set_at("schema", value=99)), ("schema",)),
            ("another name", edit_json(DATASET, set_at("name", value="other")), ("name",)),
            (
                "no instrument worth the name",
                edit_json(DATASET, set_at("instrument", "sites", value=[])),
                ("instrument.sites",),
            ),
            ("an instrument that is a word", edit_json(DATASET, set_at("instrument", value="mrust")), ("instrument",)),
        )
    ),
    *(
        Case(f"dataset.json: {name}", "plan lenet", ("dataset.json: digest", "build the dataset again"), prepare)
        for name, prepare in (
            ("fewer shards", edit_json(DATASET, lambda document: document["shards"].pop() and None)),
            ("no shards", edit_json(DATASET, set_at("shards", value=[]))),
            ("a shape with colours", edit_json(DATASET, set_at("image_shape", value=[80, 80, 3]))),
            ("another digest", edit_json(DATASET, set_at("digest", value="0" * 64))),
        )
    ),
    Case("index.parquet: another one", "plan lenet", ("index.parquet",), put("datasets/small/index.parquet", b"x")),
    *(
        Case(f"study.json: {name} ({command})", f"{command} published", ("study.json", *says), prepare)
        for command in ("status", "aggregate")
        for name, prepare, says in (
            ("null", put(STUDY, b"null"), ()),
            ("not JSON", put(STUDY, b"{"), ()),
            ("nested", put(STUDY, b'{"a":' * 100_000), ()),
            ("no name", edit_json(STUDY, set_at("study", value={})), ("study.name",)),
            ("no plan", edit_json(STUDY, set_at("planned", value={})), ("planned",)),
            ("endless folds", edit_json(STUDY, set_at("planned", "folds", value=10**12)), ("planned.folds",)),
            ("no trials", edit_json(STUDY, set_at("planned", "trials", value=0)), ("planned.trials",)),
            ("a fraction of a fold", edit_json(STUDY, set_at("planned", "folds", value=1.5)), ("planned.folds",)),
            ("text for a plan", edit_json(STUDY, set_at("planned", value="much")), ("planned",)),
            ("a dataset elsewhere", edit_json(STUDY, set_at("dataset", value={"name": "../x"})), ("dataset.name",)),
        )
    ),
    *(
        Case(f"{name}", "aggregate published", says, prepare)
        for name, prepare, says in (
            ("trials.parquet is none", put("runs/published/trials.parquet", b"PAR1"), ("trials.parquet",)),
            ("a history is none", put("runs/published/histories/trial=0000/fold=0.parquet", b""), ("fold=0.parquet",)),
            (
                "a history of no fold",
                put("runs/published/histories/trial=0000/fold=x.parquet", b""),
                ("fold=x.parquet",),
            ),
            (
                "a history that was not planned",
                put("runs/published/histories/trial=0009/fold=0.parquet", b""),
                ("trial",),
            ),
            (
                "a history without a figure",
                lambda folder: pd.DataFrame({"epoch": [1]}).to_parquet(
                    folder / "store/runs/published/histories/trial=0000/fold=0.parquet"
                ),
                ("val_auroc",),
            ),
            (
                "a history of text",
                lambda folder: pd.DataFrame({"epoch": ["a"], "val_auroc": [0.5]}).to_parquet(
                    folder / "store/runs/published/histories/trial=0000/fold=0.parquet"
                ),
                ("epoch",),
            ),
            (
                "a figure above one",
                lambda folder: pd.DataFrame({"epoch": [1], "val_auroc": [1.5]}).to_parquet(
                    folder / "store/runs/published/histories/trial=0000/fold=0.parquet"
                ),
                ("val_auroc", "1.5"),
            ),
            (
                "an epoch twice",
                lambda folder: pd.DataFrame({"epoch": [1, 1], "val_auroc": [0.5, 0.5]}).to_parquet(
                    folder / "store/runs/published/histories/trial=0000/fold=0.parquet"
                ),
                ("epoch",),
            ),
            (
                "an epoch before the first",
                lambda folder: pd.DataFrame({"epoch": [0], "val_auroc": [0.5]}).to_parquet(
                    folder / "store/runs/published/histories/trial=0000/fold=0.parquet"
                ),
                ("epoch",),
            ),
            (
                "a fold is missing",
                lambda folder: (folder / "store/runs/published/histories/trial=0000/fold=1.parquet").unlink(),
                ("fold", "--allow-partial"),
            ),
        )
    ),
    Case("an output that is a file", "aggregate published -o file", ("file",), write("file", "x")),
    # data of one's own
    *(
        Case(
            f"dataset build: {name}",
            ("dataset", "build", "images", "--labels", "labels.csv", "--name", "mine", *more),
            says,
            prepare,
        )
        for name, more, says, prepare in (
            ("no folder", (), ("images",), write("labels.csv", "image,patient,view\n")),
            ("no table", (), ("labels.csv",), lambda folder: (folder / "images").mkdir()),
            ("a seed below zero", ("--seed", "-1"), ("--seed",), images),
            ("a seed beyond all", ("--seed", str(10**40)), ("--seed",), images),
            ("no such instrument", ("--instrument", "mrus"), ("mrus", "mrust"), None),
            ("an instrument that is none", ("--instrument", "odd.yaml"), ("odd.yaml",), write("odd.yaml", "name: odd")),
            (
                "an instrument twice over",
                ("--instrument", "odd.yaml"),
                ("odd.yaml", "twice"),
                write("odd.yaml", "name: odd\nname: odd"),
            ),
            ("a size of nothing", ("--size", "0"), ("--size",), None),
            ("a share beyond all", ("--test-fraction", "2"), ("--test-fraction",), images),
            ("a share that is no number", ("--test-fraction", "nan"), ("--test-fraction",), images),
            ("no such preparation", ("--preparation", "crop"), ("--preparation", "crop"), None),
            ("a work folder that is a file", ("--work-dir", "file"), ("file",), write("file", "x")),
            *(
                (f"{option} {kind}", (option, path), (option.replace("--salt-file", "salt"), said), paths)
                for option in ("--work-dir", "--key-file", "--salt-file")
                for kind, path, said in (
                    ("of 300 letters", "x" * 300, "ile name too long"),
                    ("within one of 300 letters", f"{'x' * 300}/k", "ile name too long"),
                    ("that is a link to itself", "circle", "a link that leads back to itself"),
                    ("within a link to itself", "circle/k", "a link that leads back to itself"),
                )
            ),
            (
                "a work folder that is a device",
                ("--work-dir", "/dev/null"),
                ("is a device, a pipe",),
                images,
            ),
            (
                "a work folder that leads nowhere",
                ("--work-dir", "gone"),
                ("gone: is a link that leads nowhere",),
                paths,
            ),
            ("a key that leads nowhere", ("--key-file", "gone"), ("gone: is already there",), paths),
            ("a salt that is the table", ("--salt-file", "labels.csv"), ("is the file of --labels, too",), images),
            (
                "a salt among the images",
                ("--salt-file", "images/a.png"),
                ("--salt-file", "folder of the images"),
                images,
            ),
            (
                "a store among the images",
                ("--store", "images/st"),
                ("/images/st: lies in the folder of the images",),
                images,
            ),
            (
                "a store that is the images",
                ("--store", "images"),
                ("/images: lies in the folder of the images",),
                images,
            ),
        )
    ),
    Case("phantom: a bad name", "phantom --name Mine!", ("--name",)),
    Case("phantom: endless", f"phantom --name mine --images {10**12}", ("--images",)),
    Case("phantom: too few", "phantom --name mine --images 1", ("--images",)),
    Case("phantom: no number", "phantom --name mine --signal nan", ("--signal",)),
    Case("phantom: a seed below zero", "phantom --name mine --seed -1", ("--seed",)),
    Case("phantom: another of this name", "phantom --name small --images 40", ("small", "--name")),
    Case("phantom: no such instrument", "phantom --name mine --instrument x", ("instrument",)),
    Case("phantom: an instrument elsewhere", "phantom --name mine --instrument nowhere.yaml", ("nowhere.yaml",)),
    Case("instruments: no such one", "instruments mrsut", ("mrsut", "mrust")),
    Case("ui: a port beyond all", "ui --port 65536", ("--port", "65536")),
    Case("ui: a port that is no number", "ui --port http", ("--port", "http")),
    Case("ui: a host that is none", ("ui", "--host", "no such host"), ("--host", "no such host")),
    Case("ui: a host of nothing", ("ui", "--host", ""), ("--host",)),
    Case("ui: a host of another machine", "ui --host 192.0.2.1", ("192.0.2.1", "--host")),
    Case("ui: a port of none", "ui --port 70000", ("--port", "at most 65535", "70000")),
    Case("ui: a store of no kind", "ui --port 0 --store ftp://x", ("ftp://x",)),
    # final, predict, weights
    Case("methods: an output that is a file", "methods published -o file", ("--output", "file"), write("file", "x")),
    Case("methods: a name of 300", ("methods", "published", "-o", "a" * 300), ("--output", "at most 255")),
    Case("aggregate: a name of 300", ("aggregate", "published", "-o", f"x/{'a' * 300}/y"), ("--output", "at most 255")),
    Case("logs: a trial too many", "logs published --trial 9999", ("no trial 9999 fold 0", "counted from 0")),
    Case("logs: a fold too many", "logs published --fold 99", ("fold 99", "counted from 0")),
    Case("submit: workers without number", "submit regime2 --workers 999999999", ("--workers", "at most 1024")),
    Case("store: a bucket of one letter", "runs --store s3://b/c", ("can't be a bucket", "3 to 63")),
    Case("aggregate: an output in the store", "aggregate published -o store", ("--output store", "another place")),
    Case(
        "aggregate: an output deep in the store",
        "aggregate published -o store/runs/zz",
        ("--output store/runs/zz", "lies in the store", "choose another place"),
    ),
    Case(
        "methods: an output in the store", "methods published -o store/runs/zz", ("--output store/runs/zz", "lies in")
    ),
    Case(
        "predict: heat maps in the store", "predict . --run published --explain store/x", ("--explain store/x", "lies")
    ),
    Case("store: one slash", "runs --store s3:/bucket/p", ("did you mean s3://bucket/p?",)),
    Case("export: a folder that is a file", "export tensorboard published file", ("FOLDER",), write("file", "x")),
    Case(
        "export: a database in memory",
        "export mlflow published --tracking-uri sqlite:///",
        ("--tracking-uri 'sqlite:///'", "in memory", "sqlite:///mlflow.db"),
    ),
    Case("export: a word for an address", "export mlflow published --tracking-uri nope", ("--tracking-uri 'nope'",)),
    Case("export: no address of MLflow", "export mlflow published", ("--tracking-uri", "--help")),
    Case("fold redo: a run that rustk did not plan", "fold redo published --trial 0 --fold 0", ("planned",)),
    Case("fold redo: no trial", "fold redo published --fold 0", ("--trial", "--help")),
    Case("final: a run that rustk did not plan", "final published", ("published", "planned")),
    Case("final: a trial that was not planned", "final published --trial 99 --yes", ("99",)),
    Case("final: pictures of a run that rustk did not plan", "final published --with-images", ("published",)),
    Case("aggregate: no pictures", "aggregate published --with-images", ("rustk final published --with-images",)),
    Case("predict: no model", "predict a.png --run published", ("published",)),
    Case("predict: no model, to be explained", "predict . --run published --explain maps", ("published",)),
    Case("weights: no name", ("weights", "add", "Bad Name!", "x.h5"), ("Bad Name!",)),
    Case("weights: random", "weights add random x.h5", ("random",)),
    Case("weights: neither file nor download", "weights add imagenet", ("FILE",)),
    # flags of another backend
    *(
        Case(f"local: {flags}", f"submit lenet {flags}", (flags.split()[0].split("=")[0], "local"))
        for flags in (
            "--image x@sha256:0",
            "--max-live 3",
            "--folds-per-job auto",
            "-o yaml",
            "--namespace x",
            "--dry-run=server",
            "--allow-tag",
        )
    ),
    Case("no such dry run", "submit lenet --dry-run=maybe", ("--dry-run", "maybe")),
]


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a small dataset and a published run of one trial and two folds."""
    folder = tmp_path_factory.mktemp("stores") / "store"
    done = run(
        "phantom", "--images", "24", "--size", "80", "--name", "small", "--processes", "1", "--store", str(folder)
    )
    assert done.code == 0, done.err
    published = folder / "runs" / "published"
    (published / "histories" / "trial=0000").mkdir(parents=True)
    described = {"study": {"name": "published"}, "planned": {"trials": 1, "folds": 2}}
    (published / "study.json").write_text(json.dumps(described))
    pd.DataFrame({"trial": [0]}).to_parquet(published / "trials.parquet")
    for fold in range(2):
        history = pd.DataFrame({"epoch": [1, 2], "val_auroc": [0.6, 0.7]})
        history.to_parquet(published / "histories" / "trial=0000" / f"fold={fold}.parquet")
    return folder


@pytest.fixture
def folder(stores: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a copy of the store."""
    shutil.copytree(stores, tmp_path / "store")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUSTK_STORE", "store")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def contents(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("case", CASES, ids=lambda case: re.sub(r"[^\w .:-]+", "_", case.name)[:70])
def test_bad_input_gets_one_clear_line(case: Case, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if case.prepare is not None:
        case.prepare(folder)
    for name, value in case.environment.items():
        monkeypatch.setenv(name, value)
    before = contents(folder / "store")
    arguments = case.arguments.split() if isinstance(case.arguments, str) else case.arguments
    if any(text in case.name for text in ("rustk.toml", "environment")):
        monkeypatch.delenv("RUSTK_STORE")
    ended = run(*arguments)
    assert ended.code not in (0, -1), ended.out
    lines = ended.err.splitlines()
    assert lines, "nothing was said"
    assert lines[-1].startswith("rustk: "), ended.err
    assert len(lines) == 1, ended.err
    assert len(lines[0]) < 2100
    assert lines[0].isprintable(), lines[0]
    for said in case.says:
        assert said in lines[0], lines[0]
    assert contents(folder / "store") == before, "something was written"
    assert not (folder / "rustk-store").exists()
