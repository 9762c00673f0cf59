"""Numbers as a paper prints them. The CSV files keep every digit; what is read by people is made here."""

import math
import numbers
import re
import statistics
from collections.abc import Callable, Iterable
from decimal import Decimal
from functools import partial
from typing import Any

ABSENT = "–"

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_SCIENTIFIC = re.compile(r"(?<![\w.])(-?\d+(?:\.\d+)?)e(-?\d+)(?!\w|\.\d)")
_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        "±": r"$\pm$",
        "–": "--",
        "≥": r"$\geq$",
        "≤": r"$\leq$",
        "×": r"$\times$",
    }
)


def is_absent(value: Any) -> bool:
    """Whether there is no value: None, NaN or a null of pandas."""
    # NA answers every comparison with NA, which is neither true nor false.
    return value is None or type(value).__name__ == "NAType" or value != value


def are_powers(values: Iterable[Any]) -> bool:
    """Whether all values are powers of ten, and more than one: a column such as 1e-1, 1e-2, 1e-3."""
    found = {value for value in values if not is_absent(value)}
    return len(found) > 1 and all(isinstance(value, float) and _power(value) is not None for value in found)


def column_format(values: Iterable[Any]) -> Callable[[Any], str]:
    """How to write the values of one hyperparameter so that they read well below each other.

    Powers of ten as 1e-3; drawn shares and the like (0.2045) with four decimals each; others as `format_value` does.
    """
    found = [value for value in values if not is_absent(value)]
    if found and all(isinstance(value, bool) for value in found):
        return lambda value: ABSENT if is_absent(value) else str(value).lower()  # as a study's file has it
    if are_powers(found):
        return partial(format_value, power=True)
    floats = [value for value in found if isinstance(value, float) and 0 <= value < 10]
    drawn = any(f"{value:.4g}" != repr(value) for value in floats)
    if floats and len(floats) == len(found) and drawn and statistics.median(floats) >= 0.01:
        return lambda value: ABSENT if is_absent(value) else f"{value:.4f}"
    return format_value


def format_value(value: Any, *, power: bool = False) -> str:
    """One hyperparameter: 1599, 0.2045, 3e-5; with `power`, a power of ten as 1e-3. At most four significant digits."""
    if is_absent(value):
        return ABSENT
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return str(value)
    if isinstance(value, numbers.Integral):
        return str(int(value))
    number = float(value)
    if not math.isfinite(number):
        return str(number)
    if power and (exponent := _power(number)) is not None:
        return f"1e{exponent}"
    if number == 0 or 1e-3 <= abs(number) < 1e5:
        return f"{number:.4g}" if abs(number) < 1e4 else f"{number:.0f}"
    mantissa, _, exponent_text = f"{number:.3e}".partition("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent_text)}"


def format_mean(mean: Any, deviation: Any = None) -> str:
    """`0.7969 ± 0.0123`; the mean alone where there is no deviation. Four decimals, fewer for large numbers."""
    if is_absent(mean):
        return ABSENT
    if abs(mean) >= 1e5 or 0 < abs(mean) < 1e-3:
        shown = format_value(float(mean))
        return shown if is_absent(deviation) else f"{shown} ± {format_value(float(deviation))}"
    decimals = 4 if abs(mean) < 10 else 2 if abs(mean) < 1000 else 0
    shown = f"{mean:.{decimals}f}"
    return shown if is_absent(deviation) else f"{shown} ± {deviation:.{decimals}f}"


def with_superscripts(text: str) -> str:
    """`1e-3` and `1e-03` as 10⁻³, `2.5e-4` as 2.5×10⁻⁴; other text as it is."""
    return _SCIENTIFIC.sub(
        lambda match: (f"{match[1]}×" if match[1] != "1" else "") + "10" + str(int(match[2])).translate(_SUPERSCRIPTS),
        text,
    )


def escape_latex(text: str, *, numeric: bool = False) -> str:
    """The text with LaTeX's special characters escaped; where it is `numeric`, 1e-3 becomes $10^{-3}$."""
    if not numeric:
        return text.translate(_LATEX)
    parts = []
    end = 0
    for match in _SCIENTIFIC.finditer(text):
        mantissa = rf"{match[1]} \times " if match[1] != "1" else ""
        parts += [text[end : match.start()].translate(_LATEX), f"${mantissa}10^{{{int(match[2])}}}$"]
        end = match.end()
    return "".join([*parts, text[end:].translate(_LATEX)])


def _power(value: float) -> int | None:
    """k where `value` is written 10^k, else None."""
    if not math.isfinite(value) or value <= 0:
        return None
    number = Decimal(repr(float(value))).normalize()
    exponent = number.as_tuple().exponent
    return exponent if number.as_tuple().digits == (1,) and isinstance(exponent, int) else None
