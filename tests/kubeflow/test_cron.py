"""Cron expressions, and what Kubeflow would make of them."""

import pytest

from components.shared.errors import UserError
from pipelines.kubeflow.cron import for_kubeflow


@pytest.mark.parametrize(
    ("given", "becomes"),
    [
        ("0 3 * * 1", "0 0 3 * * 1"),  # Kubeflow would take it for second 0, minute 3, in January
        ("*/15 8-18 * * MON-FRI", "0 */15 8-18 * * mon-fri"),
        ("30 0 3 1,15 jan-jun ?", "30 0 3 1,15 jan-jun ?"),
        ("  0   3 29 2 * ", "0 0 3 29 2 *"),
        ("@daily", "0 0 0 * * *"),
        ("0 0 31 2 1", "0 0 0 31 2 1"),  # on every Monday of February
    ],
)
def test_five_fields_get_a_second(given, becomes):
    assert for_kubeflow(given) == becomes


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("60 3 * * *", "minute '60': should be 0 to 59"),
        ("0 24 * * *", "hour '24': should be 0 to 23"),
        ("0 3 0 * *", "day of the month '0': should be 1 to 31"),
        ("0 3 * 13 *", "month '13': should be 1 to 12 or jan to dec"),
        ("0 3 * * 7", "day of the week 7: Kubeflow's week has 0 to 6; Sunday is 0"),
        ("0 3 * * monday", "day of the week 'monday': should be 0 to 6 or sun to sat"),
        ("60 0 3 * * *", "second '60'"),
        ("0 5-3 * * *", "hour '5-3': the range ends before it begins"),
        ("*/0 * * * *", "minute '*/0': after / should be a number from 1 on"),
        ("? 3 * * *", "minute '?'"),
        ("1, 3 * * *", "minute ''"),
        ("0 3 * *", "it has 4 fields"),
        ("@often", "use one of @yearly"),
        ("0 0 30 2 *", "that day does not exist in that month"),
    ],
)
def test_a_wrong_expression_names_its_field(given, message):
    with pytest.raises(UserError) as refused:
        for_kubeflow(given)

    assert message in str(refused.value)
    assert str(refused.value).startswith(f"--cron {given!r}: ")
