"""Where the data files that ship with rustk lie: the studies of jobs/ and the manifests of k8s/."""

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]


def resource_dir(name: str) -> Path:
    """The folder `jobs` or `k8s`: within the package of an installed wheel, beside it in a checkout."""
    packaged = _PACKAGE / name
    return packaged if packaged.is_dir() else _PACKAGE.parent / name
