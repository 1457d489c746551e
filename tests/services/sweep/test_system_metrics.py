import math

from contrasweep.services.sweep.system_metrics import system_metrics


def test_every_figure_is_a_finite_number_under_system() -> None:
    system_metrics()
    row = system_metrics()
    assert {name.split("/")[0] for name in row} == {"system"}
    assert all(math.isfinite(value) and value >= 0 for value in row.values())
    assert row["system/system_memory_usage_megabytes"] > 10
