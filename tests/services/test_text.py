"""Numbers and times as people read them, and addresses without what is secret in them."""

import math
import string
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contrasweep.services.text import count, duration, first_few, interval, number, over_seeds, spread, without_secrets
from contrasweep.trainers.interval import Interval

SECRET = "Zq7x4Wv9Kp2m"
SIGNS = "/@:?#&=%.,;+~!$()[]{}|\\"

users = st.text(string.ascii_lowercase + string.digits + "_-+.", min_size=2).filter(lambda user: user[0].isalpha())
"""Letters first: `12:30@noon` is a time."""
passwords = st.lists(st.text(SIGNS, max_size=3), min_size=2, max_size=4).map(SECRET.join)
schemes = st.sampled_from(["", "http://", "postgresql+psycopg2://", "//", "s3://", "dsn=redis://"])
places = st.sampled_from(["host", "host:5432/db", "[::1]:80", "10.0.0.1/x?sslmode=require", ""])
sentences = st.sampled_from(
    ["{}", "no answer from {}, try again", "({})", "'{}'", '"{}"', "{};x", "a\n    at {}\nb", "x={}"]
)
addresses = st.builds("{}{}:{}@{}".format, schemes, users, passwords, places)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (8, "8.000"),
        (0.18573, "0.1857"),
        (151, "151.0"),
        (9999.4, "9999"),
        (12345.6, "12,346"),
        (math.inf, "–"),
        (None, "–"),
    ],
)
def test_numbers_have_four_digits(value: float | None, text: str) -> None:
    assert number(value) == text


def test_an_interval_has_its_ends_in_brackets() -> None:
    assert interval(Interval(5.349, 3.984, 6.934)) == "5.349 [3.984, 6.934]"
    assert interval(Interval(0.5, math.nan, 0.75)) == "0.5000 [–, 0.7500]"


@pytest.mark.parametrize(
    ("figure", "text"),
    [
        (Interval(-0.005141, -0.06324, 0.1036), "-0.0051 [-0.0632, 0.1036]"),
        (Interval(8.507, -0.00004, 10.62), "8.51 [0.00, 10.62]"),
        (Interval(151.26, 98.7, 1203.4), "151 [99, 1203]"),
        (Interval(12345.6, 9000.5, 15000), "12,346 [9000, 15,000]"),
        (Interval(1e-7, 0, 2e-7), "1.000e-07 [0.000, 2.000e-07]"),
        (Interval(math.nan, math.nan, math.nan), "– [–, –]"),
    ],
)
def test_an_interval_is_told_to_one_place(figure: Interval, text: str) -> None:
    assert interval(figure) == text


@pytest.mark.parametrize(
    ("mean", "sd", "text"),
    [
        (4.8134, 0.2, "4.81 ± 0.20"),
        (7.4049, 0.0412, "7.405 ± 0.041"),
        (120.0, 31.4, "120 ± 31"),
        (5.0, 0.0, "5.000 ± 0.000"),
        (5.0, None, "5.000"),
        (math.inf, math.nan, "–"),
    ],
)
def test_a_spread_has_two_digits_of_the_deviation(mean: float, sd: float | None, text: str) -> None:
    assert spread(mean, sd) == text


@pytest.mark.parametrize(
    ("mean", "sd", "seeds", "text"),
    [(5.0, 0.25, 3, "5.00 ± 0.25"), (5.0, 0.0, 1, "5.000"), (5.0, 0.0, 0, "(5.000)"), (None, None, 0, "–")],
)
def test_one_seed_has_no_deviation(mean: float | None, sd: float | None, seeds: int, text: str) -> None:
    assert over_seeds(mean, sd, seeds) == text


@pytest.mark.parametrize(
    ("hours", "text"), [(0.0125, "45 s"), (0.38, "23 min"), (1.6, "1.6 h"), (240, "10 d"), (1.49, "89 min")]
)
def test_durations_have_a_unit_of_their_size(hours: float, text: str) -> None:
    assert duration(hours) == text


def test_counts_agree_with_their_noun() -> None:
    assert (count(1, "epoch"), count(0, "epoch"), count(1200, "epoch")) == ("1 epoch", "0 epochs", "1,200 epochs")


def test_the_first_few_say_how_many_there_are_beside_them() -> None:
    assert first_few(["a", "b", "c"]) == "a, b, c"
    assert first_few(list("abcde"), "; ", most=2) == "a; b ... and 3 more"


@given(address=addresses, sentence=sentences)
def test_no_part_of_a_password_is_told(address: str, sentence: str) -> None:
    assert SECRET not in without_secrets(sentence.format(address))


@given(first=addresses, second=addresses, between=st.sampled_from([" ", ", ", ",", " and ", "|", "@"]))
def test_no_part_of_two_passwords_in_one_line_is_told(first: str, second: str, between: str) -> None:
    assert SECRET not in without_secrets(f"from {first}{between}{second} to nowhere")


@given(address=addresses, field=st.sampled_from(["password", "PGPASSWORD", "secret", "token"]), value=passwords)
def test_no_part_of_a_named_secret_is_told(address: str, field: str, value: str) -> None:
    value = value.replace("&", "")  # which ends a field of a query
    for text in (f"{address}?a=b&{field}={value}", f"http://host/db?{field}={value}&x=y", f"{field}={value} host=h"):
        assert SECRET not in without_secrets(text)


@given(address=addresses)
def test_no_part_of_a_password_is_told_in_a_traceback(address: str) -> None:
    try:
        raise ConnectionError(f"no answer from {address}")
    except ConnectionError as error:
        trace = "".join(traceback.format_exception(error))
    assert SECRET not in without_secrets(trace)
    assert __file__ in without_secrets(trace)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("http://user:lo/ve@host", "http://host"),
        ("user:love@lace@host", "host"),
        ("user:lo//ve@host:80/x", "host:80/x"),
        ("user:/love@host", "host"),
        ("ada@corp:love@host", "ada@host"),
        ("dsn=ada:love@host and --server=http://ada:love@host.", "dsn=host and --server=http://host."),
        ("http://ada:love@one and postgresql://ada:love@two/db", "http://one and postgresql://two/db"),
        ("models:/ada:love@host", "host"),
        ("postgresql://host/db?password=lo@ve&user=ada", "postgresql://***&user=ada"),
    ],
)
def test_what_is_left_of_an_address(text: str, told: str) -> None:
    assert without_secrets(text) == told


@pytest.mark.parametrize(
    "text",
    [
        "models:/name@alias",
        "model.init_from: unknown registered model in (models:/brain-age@best): none",
        "ada@example.org",
        "12:30 @ noon",
        "2026-01-31T12:30:05@x and 12:30@noon",
        "C:/x@y and C:\\x\\y@2.nii",
        "/data/ds@v2/sub-01.nii.gz, line 12: not found",
        "http://host:8265/a and s3://bucket/b",
        "    @property\n    def x(self): return a @ b",
        "trial 3: lr 0.1 @ epoch 5",
    ],
)
def test_what_is_no_password_stays(text: str) -> None:
    assert without_secrets(text) == text
