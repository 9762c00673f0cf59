"""The errors that rustk raises, and their exit codes.

The codes are the contract with the Job's podFailurePolicy: 65 and 78 fail a Job at once, anything else counts against
its back-off limit. The numbers are those of sysexits.h.
"""

EXIT_BAD_DATA = 65
EXIT_FAILED = 1
EXIT_STORE_FAILED = 75
EXIT_BAD_STUDY = 78
# What trying again can't mend.
FINAL_EXIT_CODES = (EXIT_BAD_DATA, EXIT_BAD_STUDY)

_LONGEST_MESSAGE = 2000


class RustkError(Exception):
    """Something the user can act on. Its text is one line: what is wrong, where, what was expected, what to do.

    Whatever the message quotes, it stays one line: line ends become spaces, and other control characters are escaped.
    """

    exit_code = EXIT_FAILED

    def __init__(self, message: str, *, exit_code: int | None = None) -> None:
        """exit_code: of this one error, where it differs from that of its class."""
        super().__init__(one_line(message, _LONGEST_MESSAGE))
        if exit_code is not None:
            self.exit_code = exit_code


class BadData(RustkError):
    """A dataset, weights file or result in the store is missing, corrupt or not what its digest says."""

    exit_code = EXIT_BAD_DATA


class BadStudy(RustkError):
    """A study, setting or argument that can't be run as it stands."""

    exit_code = EXIT_BAD_STUDY


class StoreFailed(RustkError):
    """The store could not be reached, or refused; trying again later may succeed."""

    exit_code = EXIT_STORE_FAILED


class KeyMissing(RustkError):
    """A key that is not in the store."""

    exit_code = EXIT_BAD_DATA

    def __init__(self, key: str, store_url: str, obstacle: str = "") -> None:
        """obstacle: what lies in its place, in words."""
        super().__init__(
            f"{key} is not in the store {store_url}{f': {obstacle} lies in its place' if obstacle else ''}"
        )
        self.key = key
        self.obstacle = obstacle


class BackendFailed(RustkError):
    """What trains the folds (a cluster's API server, a worker process) could not be reached, or refused."""


def one_line(text: str, longest: int = 200) -> str:
    """The text on one line, without control characters, and cut in the middle where it is longer than `longest`."""
    if len(text) > 20 * longest:  # a value of megabytes: what lies between is not shown
        text = text[: 10 * longest] + text[-10 * longest :]
    joined = " ".join(text.split())
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in joined)
    if len(shown) <= longest:
        return shown
    head = longest * 2 // 3
    return f"{shown[:head]} ... {shown[-(longest - head - 5) :]}"
