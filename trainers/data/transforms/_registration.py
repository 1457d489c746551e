"""Linear registration through SimpleITK: the same bits every time."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from contrasweep.trainers.data.readers.base import UnreadableError
from contrasweep.trainers.data.transforms._sitk import one_thread, shrinks, to_array

BINS, SAMPLES, SEED = 32, 50_000, 1
"""Of Mattes mutual information: histogram bins, voxels that are looked at, and the seed that chooses them."""
LEAST_SHARED = 0.05
"""Mutual information in nats; head to head it is above 0.3, head to noise below 0.02."""
LEAST_COVERED = 0.5
"""The smallest share of the template's bright half that the moved image must cover."""
MOST_STRETCHED = 2.0
"""No two adult heads differ by more along an axis."""


def rigid(fixed: Any, moving: Any) -> Any:
    """The transform (6 dof) from points of `fixed` to `moving`, started where they lie: they differ by little.

    Raises UnreadableError where they share no information.
    """
    import SimpleITK as sitk

    middle = [(side - 1) / 2 for side in fixed.GetSize()]
    start = sitk.Euler3DTransform()
    start.SetCenter(fixed.TransformContinuousIndexToPhysicalPoint(middle))
    _check_shared("the frames", _optimise(fixed, moving, start, (4, 2)))
    return start


def affine(fixed: Any, moving: Any) -> Any:
    """The transform (12 dof) from points of `fixed` to `moving`: centres of mass, then 6 dof, then 12.

    Raises UnreadableError where they share no information, or the transform is none that heads differ by.
    """
    import SimpleITK as sitk

    moments = sitk.CenteredTransformInitializerFilter.MOMENTS
    placed = sitk.CenteredTransformInitializer(fixed, moving, sitk.Euler3DTransform(), moments)
    turned = sitk.Euler3DTransform(placed)
    _optimise(fixed, moving, turned, (4, 2))
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(turned.GetMatrix())
    transform.SetTranslation(turned.GetTranslation())
    transform.SetCenter(turned.GetCenter())
    _check_shared("image and template", _optimise(fixed, moving, transform, (4, 2, 1)))
    _check_affine(fixed, moving, transform)
    return transform


def _optimise(fixed: Any, moving: Any, transform: Any, levels: Sequence[int]) -> float:
    """Change `transform`, coarse to fine; the mutual information that is reached, in nats."""
    import SimpleITK as sitk

    factors = [min(shrinks(fixed.GetSize(), level)) for level in levels]
    shares = [min(1.0, SAMPLES * factor**3 / fixed.GetNumberOfPixels()) for factor in factors]
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(BINS)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentagePerLevel(shares, SEED)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=1.0, minStep=1e-3, numberOfIterations=200, relaxationFactor=0.7, gradientMagnitudeTolerance=1e-8
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel(factors)
    method.SetSmoothingSigmasPerLevel([factor / 2 if factor > 1 else 0 for factor in factors])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOff()
    method.SetInitialTransform(transform, inPlace=True)
    with one_thread():
        try:
            method.Execute(fixed, moving)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise UnreadableError(f"registration fails: {reason}") from error
    return -float(method.GetMetricValue())


def _check_shared(who: str, shared: float) -> None:
    if not shared >= LEAST_SHARED:
        raise UnreadableError(f"registration fails: {who} share {shared:.2g} nats of information")


def _check_affine(fixed: Any, moving: Any, transform: Any) -> None:
    import SimpleITK as sitk

    stretches = np.linalg.svd(np.reshape(transform.GetMatrix(), (3, 3)), compute_uv=False)
    if stretches.max() > MOST_STRETCHED or stretches.min() < 1 / MOST_STRETCHED:
        listed = ", ".join(f"{stretch:.2g}" for stretch in stretches)
        raise UnreadableError(f"registration fails: it would stretch by {listed}; allowed: 1/2 to 2")
    inside = to_array(sitk.Resample(moving * 0 + 1, fixed, transform, sitk.sitkNearestNeighbor))
    bright = to_array(fixed)
    covered = float(inside[bright > bright.mean()].mean())
    if covered < LEAST_COVERED:
        raise UnreadableError(f"registration fails: the image covers {covered:.0%} of the template")
