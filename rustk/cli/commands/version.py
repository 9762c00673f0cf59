"""`rustk version`: the versions that decide a result."""

import typer

from rustk.cli.context import JsonOption

_PACKAGES = (
    "tensorflow",
    "tensorflow-cpu",
    "keras",
    "numpy",
    "pandas",
    "pyarrow",
    "scikit-learn",
    "kubernetes",
    "boto3",
)


def version(json: JsonOption = False) -> None:
    """Print rustk's version, and those of the packages that it works with."""
    import platform
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    import rustk

    found = {"rustk": rustk.__version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = installed(package)
        except PackageNotFoundError:
            continue
    if json:
        import json as json_module

        typer.echo(json_module.dumps(found, indent=2))
        return
    for name, number in found.items():
        typer.echo(f"{name} {number}")
