"""What an augmentation asks of images: a mistake is one line that says what is allowed."""

from collections.abc import Sequence

from contrasweep.trainers.errors import UserError


def require_dims(augmentation: str, image_shape: Sequence[int], *allowed: int) -> None:
    """Images of shape (C, *spatial) have one of the `allowed` numbers of spatial dimensions."""
    dims = len(image_shape) - 1
    if dims not in allowed:
        raise UserError(
            f"augmentation '{augmentation}': the images have {dims} spatial dimension{'s' * (dims > 1)}; "
            f"allowed: {' or '.join(map(str, allowed))}"
        )
