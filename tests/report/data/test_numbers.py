import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustk.report.data.numbers import (
    are_powers,
    column_format,
    escape_latex,
    format_mean,
    format_value,
    with_superscripts,
)


@pytest.mark.parametrize(
    ("value", "power", "written"),
    [
        (1e-3, True, "1e-3"),
        (1e-8, True, "1e-8"),
        (0.1, True, "1e-1"),
        (0.1, False, "0.1"),
        (100.0, True, "1e2"),
        (2e-4, True, "2e-4"),
        (0.00025, False, "2.5e-4"),
        (0.20451234, False, "0.2045"),
        (1599, False, "1599"),
        (1600.0, False, "1600"),
        (12345.6, False, "12346"),
        (1234567.0, False, "1.235e6"),
        (0.0, True, "0"),
        (-0.5, True, "-0.5"),
        (math.inf, False, "inf"),
        ("adam", False, "adam"),
        (True, False, "True"),
        (None, False, "–"),
        (math.nan, False, "–"),
        (pd.NA, True, "–"),
    ],
)
def test_a_hyperparameter_is_written_as_a_paper_would(value: object, power: bool, written: str) -> None:
    assert format_value(value, power=power) == written


@given(st.integers(-12, 12))
def test_every_power_of_ten_is_seen(exponent: int) -> None:
    assert format_value(float(f"1e{exponent}"), power=True) == f"1e{exponent}"


def test_a_column_is_written_in_one_way() -> None:
    assert are_powers([0.1, 0.01, None])
    assert not are_powers([0.1, 0.1])
    assert not are_powers([0.1, 0.02])
    assert not are_powers([10, 100])  # integers are counts
    powers = column_format([1e-1, 1e-8])
    assert [powers(value) for value in (1e-1, 1e-8, None)] == ["1e-1", "1e-8", "–"]
    drawn = column_format([0.23, 0.20451, 0.4])
    assert [drawn(value) for value in (0.23, 0.20451, None)] == ["0.2300", "0.2045", "–"]
    chosen = column_format([0.1, 0.2, 0.25])
    assert chosen(0.25) == "0.25"
    rates = column_format([3.1415e-4, 2.7e-3])
    assert rates(3.1415e-4) == "3.142e-4" or rates(3.1415e-4) == "3.141e-4"
    assert column_format([16, 1599])(16) == "16"


@pytest.mark.parametrize(
    ("mean", "deviation", "written"),
    [
        (0.79693213, 0.01234, "0.7969 ± 0.0123"),
        (0.79693213, None, "0.7969"),
        (0.79693213, math.nan, "0.7969"),
        (128.622, 3.3, "128.62 ± 3.30"),
        (2984.1, 12.0, "2984 ± 12"),
        (1.5e6, 2.5e5, "1.5e6 ± 2.5e5"),
        (0.00012, None, "1.2e-4"),
        (math.nan, 0.1, "–"),
        (pd.NA, pd.NA, "–"),
    ],
)
def test_a_mean_stands_beside_its_deviation(mean: object, deviation: object, written: str) -> None:
    assert format_mean(mean, deviation) == written


def test_powers_are_raised() -> None:
    assert with_superscripts("learning rate 1e-3, epsilon 2.5e-10") == "learning rate 10⁻³, epsilon 2.5×10⁻¹⁰"
    assert with_superscripts("epsilon 1e-07") == "epsilon 10⁻⁷", "as Python writes it"
    assert with_superscripts("epsilon 1e-3. AUROC, 1e-3.5") == "epsilon 10⁻³. AUROC, 1e-3.5"
    assert with_superscripts("run regime2-1e5a2b3c") == "run regime2-1e5a2b3c"


def test_latex_is_escaped() -> None:
    assert escape_latex("5 % of a_b & {c} #1 ~ ^ $x$ \\d") == (
        r"5 \% of a\_b \& \{c\} \#1 \textasciitilde{} \textasciicircum{} \$x\$ \textbackslash{}d"
    )
    assert escape_latex("0.7969 ± 0.0123", numeric=True) == r"0.7969 $\pm$ 0.0123"
    assert escape_latex("1e-3", numeric=True) == "$10^{-3}$"
    assert escape_latex("2.5e-4 ± 1e-5", numeric=True) == r"$2.5 \times 10^{-4}$ $\pm$ $10^{-5}$"
    assert escape_latex("1e-3") == "1e-3"
