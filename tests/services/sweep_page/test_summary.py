from pathlib import Path

from contrasweep.services.sweep_page.summary import summary
from tests.services.sweep_page.left import Left, finished, study, with_cohort


def test_the_headline_and_the_leaderboard(tmp_path: Path) -> None:
    lines = summary(finished(tmp_path).content()).splitlines()
    assert lines[0].startswith("**finished** · 4 configurations begun · 2 seed runs saved by racing")
    assert lines[1].startswith("**Test MAE 4.930 [4.020, 5.880]** age over 4 subjects, mean prediction of 3 seeds,")
    assert lines[2].strip() == "PCA + ridge 5.200, predict-the-mean 18.90"
    assert lines[3].startswith("not better than PCA + ridge beyond chance: 0.2700 [-0.1000, 0.7000] age better")
    assert lines[4].startswith(
        "Best validation MAE 5.100 age: trial 0, too good: it chose the best of 2 configurations"
    )
    assert "| 0 | dynlocrep | 5.10 ± 0.10 | 3/3 | complete, evaluated |" in lines


def test_cohorts_come_after_the_test_split(tmp_path: Path) -> None:
    lines = summary(with_cohort(tmp_path, "site_b").content()).splitlines()
    assert lines[1].startswith("**Test MAE 4.930")
    assert lines[4].strip() == r"site\_b MAE 4.930 [4.020, 5.880] over 4 subjects"


def test_before_the_first_configuration(tmp_path: Path) -> None:
    assert "|" not in summary(Left(tmp_path, study(), state="stopped").content())


def test_words_are_not_taken_for_markdown(tmp_path: Path) -> None:
    text = summary(finished(tmp_path, label="a|b](http://x) <img>").content())
    assert r"a\|b\](http://x) \<img\>" in text
