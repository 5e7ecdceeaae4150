import pytest

from components.shared import formatting


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (formatting.percent(0.945), "94.5 %"),
        (formatting.percent(None), "—"),
        (formatting.percent(float("inf")), "not finite"),
        (formatting.points(0.046), "+4.6 points"),
        (formatting.points(-0.0001), "0.0 points"),
        (formatting.points(-0.012), "\u22121.2 points"),
        (formatting.latency(0.0123), "12.3 µs"),
        (formatting.latency(0.0062), "6.20 µs"),
        (formatting.latency(0.00001), "10.0 ns"),
        (formatting.latency(0.99996), "1.00 ms"),
        (formatting.latency(12_345), "12.3 s"),
        (formatting.short(formatting.latency(1)), "1 ms"),
        (formatting.short(formatting.latency(100)), "100 ms"),
        (formatting.size(5384), "5.4 kB"),
        (formatting.size(210_432), "210 kB"),
        (formatting.size(999), "999 B"),
        (formatting.counted(1, "row"), "1 row"),
        (formatting.counted(0, "row"), "0 rows"),
        (formatting.counted(1200, "row"), "1,200 rows"),
        (formatting.ratio(1.084, 2), "1.08\u00d7"),
        (formatting.ratio(12.4, 2), "12\u00d7"),
        (formatting.rate(163_398.7), "163,000 rows/s"),
        (formatting.rate(41.27), "41.3 rows/s"),
        (formatting.probability(0.0132), "p = 0.013"),
        (formatting.probability(0.42), "p = 0.42"),
        (formatting.probability(1e-7), "p < 0.001"),
        (formatting.level(0.95), "95 %"),
        (formatting.level(0.9875), "98.75 %"),
        (formatting.interval(0.934, 0.964), "93.4 to 96.4 %"),
    ],
)
def test_numbers_read_as_people_write_them(text: str, expected: str) -> None:
    assert text.replace("\u00a0", " ") == expected
