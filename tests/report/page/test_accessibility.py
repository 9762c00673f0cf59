"""The page by the rules of WCAG, as axe-core checks them in a real browser. Skipped where there is no Chromium."""

import html
import json
import re
import shutil
import subprocess
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from rustk.report.evaluation.analysis import Analysis, analyse
from rustk.report.page.report import make_report
from rustk.report.page.run import write_page
from tests.report.final_models import pictured
from tests.report.planted import CLEAN, plant
from tests.report.raced import raced

CHROMIUM = next((found for name in ("chromium", "google-chrome") if (found := shutil.which(name))), "")
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium on PATH (Debian: apt-get install chromium)")

RUN = """window.addEventListener("load", () => axe.run(document, {resultTypes: ["violations"]}).then(found => {
  const told = found.violations.map(v => [v.id, v.nodes.slice(0, 3).map(n => n.html.slice(0, 160))]);
  document.body.textContent = "axe:" + JSON.stringify(told) + ":axe";
}))"""


def raced_analysis() -> Analysis:
    """A search over four hyperparameters, raced: with every chart of a race and a search."""
    names = ("learning_rate", "epsilon", "dropout", "batch_size")
    trials = tuple(dict(zip(names, (10.0**-n, 1e-7 * n, n / 10, 8 + n), strict=True)) for n in range(1, 7))
    shelf = plant(replace(CLEAN, trials=trials))
    return analyse(raced(shelf, CLEAN.run))


@pytest.mark.parametrize(("scheme", "is_raced"), [("light", False), ("dark", True)])
def test_no_rule_is_violated(clean: Analysis, scheme: str, is_raced: bool, tmp_path: Path) -> None:
    package = find_spec("axe_core_python")
    assert package is not None
    assert package.origin is not None
    axe = (Path(package.origin).parent / "axe.min.js").read_text().replace("</script>", "<\\/script>")
    report = make_report(raced_analysis()) if is_raced else make_report(clean, pictured(CLEAN.run))
    page = write_page(report).decode()
    assert ("The race was repeated" in page) == is_raced
    assert ("data:image/png;base64," in page) == (not is_raced)
    assert "</body>" in page
    checked = tmp_path / "page.html"
    checked.write_text(page.replace("</body>", f"<script>{axe}</script><script>{RUN}</script></body>"))

    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=1280,2000", "--virtual-time-budget=60000"]
    flags += ["--blink-settings=preferredColorScheme=0"] if scheme == "dark" else []
    flags += [f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", checked.as_uri()]
    seen = subprocess.run([CHROMIUM, *flags], capture_output=True, text=True, timeout=200, check=True).stdout
    told = re.search(r"axe:(\[.*?\]):axe", html.unescape(seen), re.DOTALL)
    assert told is not None, seen[:500]
    assert json.loads(told[1]) == []
