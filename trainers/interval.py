"""A figure with its confidence interval."""

import math
from typing import Annotated

from pydantic import BeforeValidator
from pydantic.dataclasses import dataclass

Number = Annotated[float, BeforeValidator(lambda value: math.nan if value is None else value)]
"""nan is null in JSON."""


@dataclass(frozen=True)
class Interval:
    """A metric on the whole sample and its 95 % percentile interval; nan where the metric is undefined."""

    value: Number
    low: Number
    high: Number
