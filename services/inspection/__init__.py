"""What may be wrong with the images of a study: leaks first, then duplicates, outliers and mixed sources."""

from services.inspection.alike import leaks
from services.inspection.problems import Problem

__all__ = ["Problem", "leaks"]
