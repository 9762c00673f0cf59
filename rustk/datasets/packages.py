"""What to say where a package that only some installs have is absent."""

from rustk.vocabulary.errors import RustkError


def missing_package(error: ImportError) -> RustkError:
    """The error to raise for `error`: the package's name, and how to install it."""
    return RustkError(
        f"{error.name} is not installed, and making or reading images needs it: pip install 'rustk[images]'"
    )
