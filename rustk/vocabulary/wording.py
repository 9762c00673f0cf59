"""Words that depend on a number."""

import re


def written(value: float | int | str | bool) -> str:
    """A hyperparameter's value: `0.001`, `1024-512-256`, `true`."""
    if isinstance(value, bool):
        return str(value).lower()
    # 1e-05 is 1e-5 in every table.
    return value if isinstance(value, str) else re.sub(r"e([+-])0+", r"e\1", f"{value:g}").replace("e+", "e")


def counted(number: int, noun: str) -> str:
    """`1 trial`, `2 trials`, `1,200 trials`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """Seconds as a person reads them: 48s, 12m 05s, 3h 20m, 2d 4h."""
    whole = round(seconds)
    for unit, size, smaller, smaller_size in (("d", 86_400, "h", 3600), ("h", 3600, "m", 60), ("m", 60, "s", 1)):
        if whole >= size:
            return f"{whole // size}{unit} {whole % size // smaller_size:02d}{smaller}"
    return f"{whole}s"
