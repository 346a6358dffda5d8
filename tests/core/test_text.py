"""Text for a person: cut between words, counted in the right number."""

from hypothesis import given
from hypothesis import strategies as st

from runner.core.text import counted, shortened


@given(text=st.text(), most=st.integers(1, 60))
def test_a_short_text_stays_and_a_long_one_says_that_it_is_cut(text: str, most: int) -> None:
    told = shortened(text, most)
    assert len(told) <= most
    if len(text) <= most:
        assert told == text
    else:
        assert told.endswith("…")
        assert text.startswith(told[:-1])


@given(
    words=st.lists(st.text("abcđà", min_size=1, max_size=9), min_size=2), most=st.integers(22, 60)
)
def test_words_of_a_usual_length_are_never_cut(words: list[str], most: int) -> None:
    told = shortened(" ".join(words), most)
    assert set(told.removesuffix("…").split()) <= set(words)


def test_names_lose_what_hangs_at_the_cut() -> None:
    name = "1584 Da Nang, Vietnam (TP Đà Nẵng) (synthetic)"
    assert shortened(name, 40) == "1584 Da Nang, Vietnam (TP Đà Nẵng)…"
    assert shortened(name, 36) == "1584 Da Nang, Vietnam (TP Đà Nẵng)…"
    assert shortened("Hải Phòng/Phủ Liễn, Núi Kha Lâm, Kiến An", 20) == "Hải Phòng/Phủ Liễn…"
    assert shortened("W" * 100, 10) == "W" * 9 + "…"


def test_one_is_singular() -> None:
    told = [counted(n, "more station-days") for n in (0, 1, 2, 1234)]
    assert told == ["0 more station-days", "1 more station-day", "2 more station-days",
                    "1,234 more station-days"]  # fmt: skip
