"""How long the sweeps of these tests are: changes to the small study."""

from typing import Any

MEDIUM: dict[str, dict[str, Any]] = {
    "training": {"epochs": 30},
    "search": {"racing": {"rungs": [3], "finalists": 1}, "trials": 4},
}
"""Long enough to be disturbed in the middle, short enough to run to its end."""
SHORT: dict[str, dict[str, Any]] = {
    "training": {"epochs": 2},
    "search": {"spaces": ["exponential"], "trials": 2, "seeds": [0], "racing": None},
}
ENDLESS: dict[str, dict[str, Any]] = {
    "training": {"epochs": 5000},
    "search": {"spaces": ["exponential"], "trials": 2, "seeds": [0, 1], "racing": None},
}
"""For what takes its time whatever the machine; it is stopped."""
