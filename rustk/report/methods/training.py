"""What was trained, and how: the sentences on the model, its training and the software, from what was in effect."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from rustk.planning.searchable import SEARCHABLE
from rustk.planning.sections import Model, Training
from rustk.report.data.numbers import format_value
from rustk.report.data.results import RunResults
from rustk.report.data.words import (
    asked_section,
    chosen_hyperparameters,
    counted,
    last_blocks,
    listed,
    otherwise_in_effect,
    title_of,
    weights_note,
)
from rustk.report.methods.references import BACKBONES, OBJECTIVES, OPTIMIZERS, SOFTWARE, WEIGHTS
from rustk.store.documents import HistoryMetadata

_POOLED = {"max": "global max pooling", "flatten": "flattening"}
# Fields of a study that the sentences below put into words; what else a study has is listed as it stands.
_TOLD = frozenset(
    (
        *("architecture", "weights", "trainable", "pooling", "head", "dropout", "objective"),
        *("epochs", "batch_size", "learning_rate", "epsilon", "flips", "features", "optimizer"),
    )
)


def cite(key: str) -> str:
    """` [@key]`; nothing for what has no reference."""
    return f" [@{key}]" if key else ""


def model_words(results: RunResults, trial: int) -> str:
    """The network of a trial, and where its weights came from; empty where the run does not say."""
    model = _section(results, trial, "model")
    if not model.get("architecture"):
        return ""
    architecture = str(model["architecture"])
    title, key = BACKBONES.get(architecture, (f"The backbone `{architecture}`", ""))
    head_epochs = _section(results, trial, "training").get("head_epochs") or 0
    said = [f"{title}{cite(key)} {_weights(results, model.get('trainable'), int(head_epochs))}."]
    dropout = chosen_hyperparameters(results, trial).get("dropout")
    parts = [_POOLED[model["pooling"]]] if model.get("pooling") in _POOLED else []
    if head := model.get("head"):
        units = f"{listed([f'{width:,}' for width in head])} units" if len(head) > 1 else counted(head[0], "unit")
        parts.append(f"{'dense layers' if len(head) > 1 else 'a dense layer'} of {units}")
    if parts:
        each = ", each" if head and len(head) > 1 else ""
        dropped = f"{each} followed by dropout of {format_value(dropout)}{cite('dropout')}" if head and dropout else ""
        said.append(f"It was followed by {listed(parts)}{dropped}.")
    parameters = {value for value in _in_effect(results, trial, "trainable_parameters") if isinstance(value, int)}
    if len(parameters) == 1:
        said.append(f"{parameters.pop():,} parameters were trained.")
    if weights_note(results):
        blocks = model.get("trainable")
        but = f", but for its {last_blocks(blocks)}," if blocks else ""
        said.append(
            f"The backbone's weights were drawn at random and{but} never trained, so the figures say nothing of what a "
            "pretrained network reaches and are not a scientific result."
        )
    return " ".join(said)


def training_words(results: RunResults, trial: int) -> str:
    """How a trial was trained: as it was read back from training, or else as it was asked for, and says which."""
    instrument = results.instrument
    model, training = _section(results, trial, "model"), _section(results, trial, "training")
    if not training and not _metadata(results, trial):
        return ""
    objective = str(model.get("objective") or "")
    words = instrument.words.model_dump() if instrument else {"site": "site", "sites": "sites"}
    optimizer = next(iter(_distinct(_in_effect(results, trial, "optimizer"))), training.get("optimizer", ""))
    title, key = OPTIMIZERS.get(str(optimizer).lower(), (str(optimizer), ""))
    values = chosen_hyperparameters(results, trial)
    named = [
        f"{'an' if name == 'epsilon' else 'a'} {title_of(name).lower()} of {_used(results, trial, name, values[name])}"
        for name in ("learning_rate", "epsilon")
        if name in values
    ]
    how = f" with {title}{cite(key)}" if title else ""
    with_values = f"{', ' if how else ' with '}{listed(named)}" if named else ""
    size = values.get("batch_size")
    batches = f", in batches of {_used(results, trial, 'batch_size', size)}" if size is not None else ""
    epochs = training.get("epochs") or results.study.planned.epochs
    length = f" for {counted(int(epochs), 'epoch')}" if epochs else ""
    said = [f"Training ran{length}{how}{with_values}{batches}."]
    if objective:
        what, source = OBJECTIVES.get(objective, (f"the objective `{objective}`", ""))
        said.append(f"The objective was {what.format(**words)}{cite(source)}.")
    if flips := training.get("flips"):
        said.append(
            f"As augmentation, {'each of ' if len(flips) > 1 else 'a '}{listed([*map(str, flips)])} "
            f"flip{'s' if len(flips) > 1 else ''} was drawn for half of the training images."
        )
    if "cached" in {found.features for found in _metadata(results, trial)}:
        said.append("The frozen backbone's features of each image were computed once and shared by all folds.")
    # What stands at its default is as studies were before the field was there, but where it was searched.
    told = [
        f"{title_of(name).lower()} {_plain(value)}"
        for fields, schema in ((model, Model), (training, Training))
        for name, value in fields.items()
        if name not in _TOLD and value is not None and (name in results.searched or value != _default(schema, name))
    ]
    if told:
        said.append(f"Further settings: {listed(told)}.")
    if read := [title_of(name).lower() for name in values if _in_effect(results, trial, name)]:
        read[0] = read[0].capitalize()
        said.append(f"{listed(read)} {'were' if len(read) > 1 else 'was'} read back from the training itself.")
    else:
        said.append("These values are those that were asked for; what was in effect was not recorded.")
    return " ".join(said)


def software_words(results: RunResults) -> str:
    """Versions, devices and time, as far as the folds recorded them."""
    found = list(results.fold_metadata.values())
    versions: dict[str, list[str]] = {}
    for metadata in found:
        for name, version in metadata.versions.items():
            if name != "commit" and version not in versions.setdefault(name, []):
                versions[name].append(version)
    if not versions:
        return "The versions of the software that trained the folds were not recorded."
    told = []
    for name in sorted(versions, key=lambda name: (name not in SOFTWARE, [*SOFTWARE, name].index(name))):
        title, key = SOFTWARE.get(name, (name, ""))
        told.append(f"{title} {' and '.join(versions[name])}{cite(key)}")
    devices = _distinct(metadata.device for metadata in found)
    on = f" on {listed(devices)}" if devices else ""
    images = _distinct(metadata.digests.get("image") for metadata in found)
    inside = f", in the container image {listed(images)}" if images else ""
    return f"Folds were trained with {listed(told)}{on}{inside}."


def _section(results: RunResults, trial: int, section: Literal["model", "training"]) -> dict[str, Any]:
    """A section of the study as the trial was asked for it, and as its folds read it back where they did."""
    return {**asked_section(results, trial, section), **_recorded(results, trial, section)}


def _recorded(results: RunResults, trial: int, section: str) -> dict[str, Any]:
    """The words and lists of a section as all of the trial's folds read them back; numbers have words of their own."""
    found = {}
    for name, field in SEARCHABLE.items():
        if field.path.partition(".")[0] == section and (field.is_list or field.type is str):
            values = {value for value in _in_effect(results, trial, name) if isinstance(value, str)}
            if len(values) == 1:
                found[name] = field.decode(values.pop())
    return found


def _weights(results: RunResults, trainable: object, head_epochs: int) -> str:
    """trainable: as in the study, false, true or how many of the backbone's last blocks are trained. head_epochs: in
    how many of the first epochs none of it was."""
    named = results.study.weights
    name = str(results.study.study.model.get("weights") or (named.name if named else ""))
    kept = "trained throughout"
    if trainable is False:
        kept = "kept frozen"
    elif isinstance(trainable, int) and trainable is not True:
        kept = f"fine-tuned in its {last_blocks(trainable)}"
    if head_epochs and trainable is not False:
        kept += f", after {counted(head_epochs, 'epoch')} in which the head alone was trained"
    if not name:
        return f"was {kept}"
    drawn = {"random": "random weights", "calibrated-random": "calibrated random weights"}.get(name)
    digest = f" (sha256 {named.sha256[:16]})" if named and named.sha256 else ""
    return f"was initialised with {drawn or f'the weights `{name}`{digest}{cite(WEIGHTS.get(name, str()))}'} and {kept}"


def _metadata(results: RunResults, trial: int) -> list[HistoryMetadata]:
    return [found for (at, _), found in results.fold_metadata.items() if at == trial]


def _in_effect(results: RunResults, trial: int, name: str) -> list[Any]:
    return [found.in_effect[name] for found in _metadata(results, trial) if name in found.in_effect]


def _used(results: RunResults, trial: int, name: str, asked: Any) -> str:
    """A hyperparameter as training had it, and how it was asked for where that was otherwise."""
    written = format_value(asked, power=name in ("learning_rate", "epsilon"))
    found = otherwise_in_effect(results, name, asked, trial)
    return f"{listed([*map(format_value, found)])} ({written} was asked for)" if found else written


def _distinct(values: Iterable[object]) -> list[str]:
    return list(dict.fromkeys(str(value) for value in values if value not in (None, "")))


def _default(schema: type[Model] | type[Training], name: str) -> Any:
    found = schema.model_fields.get(name)
    return None if found is None else schema().model_dump(mode="json")[name]


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(part)}" for name, part in value.items())
    if isinstance(value, list | tuple):
        return " and ".join(map(_plain, value))
    if isinstance(value, bool):
        return "on" if value else "off"
    return format_value(value)
