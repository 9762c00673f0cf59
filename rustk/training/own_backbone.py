"""A backbone of the user's own: a function `package.module:function` that is given (image_shape, seed).

Whatever the user's code does wrong is BadStudy with its file, line and error: trying the fold again would not mend it.
"""

import ast
import importlib
import inspect
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rustk.planning.cost import BackboneCost
from rustk.planning.sections import RANDOM
from rustk.planning.study import Model
from rustk.training.backbones.base import Backbone, ImageShape
from rustk.training.requirement import has_tensorflow
from rustk.vocabulary.checking import clip
from rustk.vocabulary.errors import EXIT_BAD_STUDY, BadStudy, RustkError, one_line

if TYPE_CHECKING:
    import keras

# What the checking process says last on stdout.
FITS, NOT_HERE = "fits", "not here"
_LONGEST_CHECK_SECONDS = 600


class OwnBackbone(Backbone):
    """What a function of the user's returns. Its weights are those that it draws from `seed`, or a file's."""

    title = "a function of your own"
    sample_side = 224
    name_decides = False

    def cost(self, image_shape: ImageShape, pooling: str) -> BackboneCost | None:
        return None

    def check(self, model: Model, image_shape: ImageShape) -> None:
        """Also calls the function, in a process of its own, where its module and TensorFlow are installed here.

        A process that has loaded TensorFlow is about to build the network anyway, and does not.
        """
        super().check(model, image_shape)
        module, _, function = self.architecture.partition(":")
        if module.endswith(".py"):  # also where neither TensorFlow nor the module is here to be asked
            raise BadStudy(
                f"{self._named}: `.py` is no part of a module's name: expected {module.removesuffix('.py')}:{function}"
            )
        if "tensorflow" not in sys.modules and has_tensorflow():
            blocks = 0 if isinstance(model.trainable, bool) else model.trainable
            check_in_a_process(self.architecture, image_shape, blocks)

    def build(self, image_shape: ImageShape) -> "keras.Model":
        return self._call((image_shape[0], image_shape[1], 3), 0)

    def draw(self, network: "keras.Model", seed: int, weights: str = RANDOM) -> None:
        fresh = self._call(tuple(network.input.shape[1:]), seed)
        shapes, others = ([tuple(one.shape) for one in made.weights] for made in (network, fresh))
        if shapes != others:
            raise BadStudy(
                f"{self._named}: {_definition(self._function())}its second call made another network, with weights of "
                "other shapes: expected the same layers for the same image_shape, whatever the seed"
            )
        with self._running(self._function()):
            network.set_weights(fresh.get_weights())

    def describe(self, network: "keras.Model") -> list[Any] | None:
        """The layers as their configurations, without the names that Keras counts up through a process."""
        with self._running(self._function()):
            return [[type(layer).__name__, {**layer.get_config(), "name": ""}] for layer in network.layers]

    @contextmanager
    def blamed(self) -> Iterator[None]:
        try:
            yield
        except RustkError:
            raise
        except Exception as error:
            # Only where the user's own file is on the way to the error: the rest is not theirs.
            if _place(error, self._file()) is None:
                raise
            raise self._fault(error, self._file()) from error

    def _function(self) -> Callable[..., Any]:
        """The user's function. Raises BadStudy where it can't be imported, or is none."""
        module_name, _, name = self.architecture.partition(":")
        with self._running(None):
            module = importlib.import_module(module_name)
            function = getattr(module, name, None)
        if function is None:
            raise BadStudy(f"{self._named}: can't be imported: {self._file() or module_name} has no function {name}")
        if not callable(function):
            where = _assignment(self._file(), name)
            raise BadStudy(
                f"{self._named}: {where}{name} = {clip(function)}: expected a function of image_shape and seed"
            )
        return function

    def _call(self, shape: tuple[int, ...], seed: int) -> "keras.Model":
        function = self._function()
        expected = f"expected a keras.Model from [batch, {shape[0]}, {shape[1]}, 3]"
        with self._running(function):
            _check_signature(function, shape, seed)
            network = function(image_shape=shape, seed=seed)
            import keras  # not before: code that fails at once is told at once

            where = _definition(function)
            if not isinstance(network, keras.Model):
                raise BadStudy(f"{self._named}: {where}{expected}, not a value of type {type(network).__name__}")
            inputs, outputs = (list(getattr(network, name, None) or ()) for name in ("inputs", "outputs"))
            if len(inputs) != 1 or len(outputs) != 1:
                raise BadStudy(
                    f"{self._named}: {where}{expected} with one input and one output, made by Keras's functional API; "
                    f"it has {len(inputs)} and {len(outputs)}"
                )
            found, made = tuple(inputs[0].shape), tuple(outputs[0].shape)
            if found != (None, *shape) or len(made) != 4 or made[0] is not None or not all(made[1:]):
                raise BadStudy(
                    f"{self._named}: {where}{expected} to a feature map [batch, height, width, channels], it maps "
                    f"{list(found)} to {list(made)}"
                )
        return network

    @property
    def _named(self) -> str:
        return f"model.architecture = {self.architecture}"

    def _file(self) -> str | None:
        return getattr(sys.modules.get(self.architecture.partition(":")[0]), "__file__", None)

    @contextmanager
    def _running(self, function: Callable[..., Any] | None) -> Iterator[None]:
        """The user's code runs in this block: whatever it raises is BadStudy, with where it happened."""
        try:
            yield
        except RustkError:
            raise
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:  # whatever class it is of, it is not to end this process
            raise self._fault(error, self._file(), _definition(function) if function else "") from error

    def _fault(self, error: BaseException, file: str | None, otherwise: str = "") -> BadStudy:
        if isinstance(error, ModuleNotFoundError) and _is_module_itself(error, self.architecture):
            return BadStudy(
                f"{self._named}: can't be imported: {error}; its module must be installed, or lie in the working "
                "directory"
            )
        if isinstance(error, ModuleNotFoundError) and (module := _module_above(error, self.architecture)):
            function = self.architecture.partition(":")[2]
            return BadStudy(
                f"{self._named}: can't be imported: {module} is a module, and no package that {error.name} could lie "
                f"in: expected {module}:{function}"
            )
        where = _place(error, file) or otherwise
        said = one_line(str(error), 500)
        return BadStudy(f"{self._named}: {where}{type(error).__name__}{f': {said}' if said else ''}")


def missing_module(architecture: str) -> str:
    """The module of an architecture of the user's own that is not on this machine; empty for any other one."""
    module, is_own, _ = architecture.partition(":")
    # Workers look where the command was called from, too.
    is_missing = is_own and PathFinder.find_spec(module.partition(".")[0], [str(Path.cwd()), *sys.path]) is None
    return module if is_missing else ""


def check_here(architecture: str, height: int, width: int, blocks: int = 0) -> str:
    """Call the user's function for images of this shape in this process: FITS, or NOT_HERE for a module that is not.

    blocks: how many of its last blocks are to be trained. Raises BadStudy for whatever it does wrong.
    """
    backbone = OwnBackbone(architecture)
    try:
        network = backbone.build((height, width, 3))
        backbone.draw(network, 1)  # a fold calls it again
        if blocks:
            backbone.freeze_all_but(network, blocks)
    except BadStudy as error:
        if isinstance(error.__cause__, ModuleNotFoundError) and _is_module_itself(error.__cause__, architecture):
            return NOT_HERE
        raise
    return FITS


def check_in_a_process(architecture: str, image_shape: ImageShape, blocks: int = 0) -> bool:
    """`check_here` in a process of its own, so that neither TensorFlow nor the user's code touches this one.

    Whether the module was there. Raises BadStudy for whatever the user's code does wrong.
    """
    size = ["--height", str(image_shape[0]), "--width", str(image_shape[1])]
    command = [sys.executable, "-m", "rustk.training", "check", "--architecture", architecture, *size]
    command += ["--trainable", str(blocks)]
    named = f"model.architecture = {architecture}"
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=False, timeout=_LONGEST_CHECK_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise BadStudy(f"{named}: its function did not return within {_LONGEST_CHECK_SECONDS} s") from None
    said = done.stdout.strip().rpartition("\n")[2]
    if done.returncode == 0 and said in (FITS, NOT_HERE):
        return said == FITS
    last = done.stderr.strip().rpartition("\n")[2]
    if done.returncode == EXIT_BAD_STUDY and last.startswith("rustk: "):
        raise BadStudy(last.removeprefix("rustk: "))
    raise BadStudy(f"{named}: its function ended the process with code {done.returncode}: {last or 'it said nothing'}")


def _check_signature(function: Callable[..., Any], shape: tuple[int, ...], seed: int) -> None:
    try:
        signature = inspect.signature(function)
    except ValueError:  # something built in
        return
    try:
        signature.bind(image_shape=shape, seed=seed)
    except TypeError as error:
        raise TypeError(f"{error}: expected a function of (image_shape, seed), it takes {signature}") from None


def _is_module_itself(error: ModuleNotFoundError, architecture: str) -> bool:
    """Whether what was not found is the module of the architecture, or a package that it should lie in."""
    return _is_named(error, architecture) and _module_above(error, architecture) is None


def _module_above(error: ModuleNotFoundError, architecture: str) -> str | None:
    """The module that is here and no package, in which the architecture names another one; None where there is none."""
    above = (error.name or "").rpartition(".")[0]
    is_here = above in sys.modules and not hasattr(sys.modules[above], "__path__")
    return above if is_here and _is_named(error, architecture) else None


def _is_named(error: ModuleNotFoundError, architecture: str) -> bool:
    module = architecture.partition(":")[0]
    return error.name is not None and (module == error.name or module.startswith(f"{error.name}."))


def _definition(function: Callable[..., Any]) -> str:
    """`file, line 7: ` of a function's definition, empty where that is not known."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return f"{_short(code.co_filename)}, line {code.co_firstlineno}: " if code else ""


def _assignment(file: str | None, name: str) -> str:
    """`file, line 7: ` where a module gives a name its value; only the file where that is not found."""
    if file is None:
        return ""
    with suppress(OSError, SyntaxError, ValueError):
        for node in ast.parse(Path(file).read_text(encoding="utf-8")).body:
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            if any(isinstance(target, ast.Name) and target.id == name for target in targets):
                return f"{_short(file)}, line {node.lineno}: "
    return f"{_short(file)}: "


def _place(error: BaseException, file: str | None) -> str | None:
    """`file, line 7: ` of the innermost line of the user's own on the way to an error; None where there is none."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{_short(error.filename)}, line {error.lineno}: "
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_users(frame.filename, file)]
    return f"{_short(own[-1].filename)}, line {own[-1].lineno}: " if own else None


def _is_users(filename: str, file: str | None) -> bool:
    """Whether a line's file is the user's module, or, while that is not known, anybody's but Python's and rustk's."""
    if file is not None:
        return filename == file
    path = Path(filename)
    foreign = ("site-packages", "dist-packages")
    rustk = Path(__file__).parents[1]
    library = Path(importlib.__file__).parents[1]
    return path.is_file() and not (
        path.is_relative_to(rustk) or path.is_relative_to(library) or any(part in path.parts for part in foreign)
    )


def _short(filename: str) -> str:
    path = Path(filename)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else filename
