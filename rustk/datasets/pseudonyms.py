"""Names that say nothing: patients, visits and images as keyed hashes.

A salt of one's own makes the hashes: the same salt gives the same patient the same hash, so that a dataset can be
built again or extended, and nobody without it can find a patient by trying record numbers. It lies in a file on this
machine, and never in a store.
"""

import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from rustk.vocabulary.errors import BadStudy
from rustk.vocabulary.reading import read_small
from rustk.vocabulary.user_paths import resolve_given

MIN_SALT_BYTES = 16
_EXPECTED = "a file with a secret salt, as `openssl rand -hex 32` makes one"
_HEX_DIGITS = 16


def read_salt(path: Path | None) -> bytes:
    """The salt in the file at `path`; without one that of this user, drawn at its first use.

    Raises BadStudy for a file that can't be read or is too short to keep a secret.
    """
    asked_for = path is not None
    path = path or default_salt_file()
    try:
        if not asked_for and not path.exists():
            _draw_salt(path)
    except OSError as error:
        raise BadStudy(f"{path}: {error.strerror}: expected {_EXPECTED}; --salt-file names another place") from None
    salt = read_small(path, _EXPECTED).strip()
    if len(salt) < MIN_SALT_BYTES:
        raise BadStudy(
            f"{path}: {len(salt)} bytes: expected a secret salt of at least {MIN_SALT_BYTES}, "
            "as `openssl rand -hex 32` makes one"
        )
    return salt


def check_salt_is_no_other(path: Path, others: Mapping[str, Path | None]) -> None:
    """Raise BadStudy for a salt that is also the file of another option, which is no secret."""
    found = resolve_given(path, "--salt-file")
    for option, other in others.items():
        if other is not None and resolve_given(other, option) == found:
            raise BadStudy(f"--salt-file {path}: is the file of {option}, too: expected {_EXPECTED}")


def default_salt_file() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "rustk" / "patient-salt"


def _draw_salt(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_hex(32) + "\n")
    try:
        # A link fails where another build was faster, and that one's salt stays.
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()


def pseudonym(salt: bytes, kind: str, *parts: str) -> str:
    """16 hex digits for a thing of this kind; HMAC-SHA256 under the salt. Equal parts of different kinds differ."""
    # A length before each part keeps ("a", "bc") apart from ("ab", "c").
    message = "".join(f"{len(part)}:{part}" for part in (kind, *parts))
    return hmac.new(salt, message.encode(), hashlib.sha256).hexdigest()[:_HEX_DIGITS]
