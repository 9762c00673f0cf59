import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustk.vocabulary.labels import CORTICES, LABELS, VIEWS, decode_label, encode_label


def test_the_order_of_the_thesis() -> None:
    assert LABELS[:2] == ("view_ap", "view_lateral")
    assert LABELS[2:6] == ("medial_1", "medial_2", "medial_3", "medial_4")
    assert LABELS[6] == "lateral_1"
    assert LABELS[10] == "anterior_1"
    assert LABELS[17] == "posterior_4"
    assert len(LABELS) == 18


def test_an_unscored_cortex_is_four_zeros() -> None:
    assert encode_label("ap", {"medial": 2, "lateral": None}) == (1, 0, 0, 1, 0, 0, *[0] * 12)


@given(
    view=st.sampled_from(VIEWS),
    scores=st.fixed_dictionaries({cortex: st.sampled_from([None, 1, 2, 3, 4]) for cortex in CORTICES}),
)
def test_decoding_undoes_encoding(view: str, scores: dict[str, int | None]) -> None:
    assert decode_label(encode_label(view, scores)) == (view, scores)


@pytest.mark.parametrize(
    ("view", "scores", "message"),
    [
        ("oblique", {}, "view 'oblique': expected one of ap, lateral"),
        ("ap", {"dorsal": 1}, "cortex 'dorsal': expected one of"),
        ("ap", {"medial": 5}, "medial score 5: expected 1, 2, 3, 4 or nothing"),
        ("ap", {"medial": 0}, "medial score 0"),
    ],
)
def test_impossible_labels(view: str, scores: dict[str, int | None], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        encode_label(view, scores)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((0,) * 17, "17 values: expected 18"),
        ((0,) * 18, "0 views are set"),
        ((1, 1) + (0,) * 16, "2 views are set"),
        ((1, 0, 1, 1) + (0,) * 14, "cortex medial has two scores, 1 and 2"),
    ],
)
def test_impossible_encodings(values: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decode_label(values)
