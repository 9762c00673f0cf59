"""What may be imported at the start of any command."""

import subprocess
import sys

HEAVY = ("numpy", "pyarrow", "pandas", "scipy", "sklearn", "matplotlib", "tensorflow", "kubernetes", "boto3")


def test_the_vocabulary_is_light_to_import() -> None:
    rooms = ("checking", "errors", "instrument", "kinds", "names", "resources", "settings", "wording")
    imports = ", ".join(f"rustk.vocabulary.{room}" for room in rooms)
    program = f"import sys, {imports}; print([m for m in {HEAVY} if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert shown.strip() == "[]"
