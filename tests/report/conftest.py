import pytest

from rustk.report.evaluation.analysis import Analysis, analyse
from tests.report.planted import CLEAN, aggregated


@pytest.fixture(scope="session")
def clean() -> Analysis:
    """The clean run, analysed once for all tests: read it, don't change it."""
    return analyse(aggregated(CLEAN))
