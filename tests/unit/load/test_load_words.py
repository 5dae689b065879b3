"""How a load is written."""

from pathlib import Path

import pytest

from beholder.load.words import (
    Arrival,
    BurstWords,
    RateWords,
    read_burst,
    read_counts,
    read_rate,
    read_seconds,
    read_share,
    read_share_and_time,
    read_size,
    read_trace,
    split_weight,
)


def test_times_have_units() -> None:
    assert [read_seconds(text) for text in ("30s", "500ms", "2m", "1h", "1.5")] == [30, 0.5, 120, 3600, 1.5]


def test_shares_are_percents_or_parts() -> None:
    assert [read_share(text) for text in ("5%", "0.05", "100%", "0")] == [0.05, 0.05, 1, 0]
    assert read_share_and_time("5%", 0.1) == (0.05, 0.1)
    assert read_share_and_time("5%:20ms", 0.1) == (0.05, 0.02)


def test_rates_are_one_steps_a_ramp_or_auto() -> None:
    assert read_rate("50") == RateWords((50.0,))
    assert read_rate("20,40,80.5") == RateWords((20.0, 40.0, 80.5))
    assert read_rate("0..200") == RateWords(ramp=(0.0, 200.0))
    assert read_rate("auto").is_auto


def test_bursts_are_a_rate_a_length_and_how_often() -> None:
    assert read_burst("200:2s:1m") == BurstWords(200.0, 2.0, 60.0)


def test_weights_follow_an_equals_sign() -> None:
    assert split_weight("psnr,ssim=3") == ("psnr,ssim", 3.0)
    assert split_weight("taste/ann") == ("taste/ann", 1.0)
    assert split_weight("a=b.jpg") == ("a=b.jpg", 1.0)
    assert split_weight("a=b.jpg=2") == ("a=b.jpg", 2.0)


def test_sizes_are_told_from_names() -> None:
    assert read_size("512x256") == (512, 256, "jpg")
    assert read_size("64x64.png") == (64, 64, "png")
    assert read_size("64x64.jpeg") == (64, 64, "jpg")
    assert read_size("photo.jpg") is None
    assert read_size("holiday-10x15") is None


def test_counts_are_whole() -> None:
    assert read_counts("1,2,4") == (1, 2, 4)


@pytest.mark.parametrize(
    ("read", "text", "message"),
    [
        (read_seconds, "soon", "want a time such as 30s, 500ms or 2m, got 'soon'"),
        (read_seconds, "-1s", "want a time"),
        (read_share, "much", "want a share such as 5% or 0.05, got 'much'"),
        (read_share, "105%", "from 0% to 100%"),
        (read_share, "nan", "from 0% to 100%"),
        (read_rate, "fast", "want requests per second"),
        (read_rate, "0", "want 0.001 to 1000000"),
        (read_rate, "20,,40", "want requests per second"),
        (read_rate, "0..0", "not 0 all along"),
        (read_burst, "200:2s", "want RATE:LENGTH:EVERY"),
        (read_burst, "200:30s:2s", "shorter"),
        (read_counts, "1,two", "whole numbers"),
        (read_counts, "0", "from 1"),
        (split_weight, "psnr=0", "psnr: want a finite weight above 0, got 0"),
        (read_size, "64x64.bmp", "want jpg, png, webp after the size"),
        (read_size, "0x64", "1 pixel to 40 megapixels"),
    ],
)
def test_a_mistake_says_what_is_wanted(read: object, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read(text)  # type: ignore[operator]


def test_a_recording_starts_at_its_first_arrival(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text('seconds,scorers,image\n12.5\n11,psnr;ssim\n13,,64x64\n\n11.5,"a,b", x.png\n')
    assert read_trace(path) == [
        Arrival(0.0, "psnr,ssim"),
        Arrival(0.5, "a,b", "x.png"),
        Arrival(1.5),
        Arrival(2.0, "", "64x64"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no arrival"),
        ("seconds\n", "holds no arrival"),
        ("1\nsoon\n", "line 2: want seconds"),
        ("1,a,b,c\n", "line 1: want seconds"),
        ("1\nnan\n", "line 2"),
    ],
)
def test_a_broken_recording_says_where(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_trace(path)


def test_a_recording_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"can't read .*: No such file"):
        read_trace(tmp_path / "gone.csv")
