"""rustk runs cross-validated model studies on Kubernetes, or on this machine."""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["__version__", "open_run"]

if TYPE_CHECKING:
    from rustk.notebook import open_run


def __getattr__(name: str) -> Any:
    # `rustk --help` must not pay for pandas, so the notebook API is imported at its first use.
    if name == "open_run":
        from rustk.notebook import open_run

        return open_run
    raise AttributeError(f"module 'rustk' has no attribute {name!r}")
