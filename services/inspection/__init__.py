"""What may be wrong with the images of a study: leaks first, then duplicates, outliers and mixed sources."""

from contrasweep.services.data.alike import leaks
from contrasweep.services.data.problems import Problem

__all__ = ["Problem", "leaks"]
