from typing import Any, cast

import pytest
import torch
from torch import Tensor

from contrasweep.trainers import encoders
from contrasweep.trainers.encoders.glt import GlobalLocalBlock, GlobalLocalTransformer, patches
from contrasweep.trainers.errors import UserError


def built(shape: tuple[int, ...], **params: Any) -> GlobalLocalTransformer:
    torch.manual_seed(0)
    encoder = encoders.build("glt", shape, width=1 / 32, depth=1 / 3, **params)
    assert isinstance(encoder, GlobalLocalTransformer)
    return encoder.eval()


def images(*shape: int) -> Tensor:
    return torch.randn(2, *shape, generator=torch.Generator().manual_seed(1))


def test_the_published_image_has_twelve_patches() -> None:
    given = images(1, 130, 170)
    windows = patches(given, 64)
    expected = [given[:, :, y : y + 64, x : x + 64] for y in range(0, 130 - 64, 32) for x in range(0, 170 - 64, 32)]
    assert len(expected) == 12
    assert torch.equal(windows, torch.stack(expected, 1))


def test_patches_of_volumes() -> None:
    given = images(2, 8, 6, 4)
    expected = [given[:, :, z : z + 4, y : y + 4] for z in (0, 2, 4) for y in (0, 2)]
    assert torch.equal(patches(given, 4), torch.stack(expected, 1))


def test_a_small_image_is_one_patch() -> None:
    given = images(1, 20, 9)
    assert torch.equal(patches(given, 64), given[:, None])


@pytest.mark.parametrize("shape", [(1, 40, 24), (1, 16, 24, 16)])
def test_patch_by_patch_as_in_the_paper(shape: tuple[int, ...]) -> None:
    """Section III: each patch by itself asks the global tokens, block after block; then means over tokens."""
    encoder, given, side = built(shape, patch=16), images(*shape), 16
    context = encoder.global_path(given)
    vectors = [context.mean(2)]
    windows = patches(given, side)
    for index in range(windows.shape[1]):
        tokens = encoder.local_path(windows[:, index])
        for block in encoder.blocks:
            tokens = block(tokens, context)
        vectors.append(tokens.mean(2))
    assert len(vectors) > 2
    torch.testing.assert_close(encoder(given), torch.stack(vectors).mean(0))


def test_attention_is_scaled_dot_products_in_eight_heads() -> None:
    encoder = built((1, 32, 32), patch=16)
    attention = cast(GlobalLocalBlock, encoder.blocks[0]).attention
    channels, heads = encoder.feature_dim, 8
    local, context = torch.randn(2, 3, channels), torch.randn(2, 5, channels)
    query, key, value = (
        (tokens @ weight.T + bias).unflatten(2, (heads, -1)).transpose(1, 2)
        for tokens, weight, bias in zip(
            (local, context, context),
            attention.in_proj_weight.chunk(3),
            attention.in_proj_bias.chunk(3),
            strict=True,
        )
    )
    shares = (query @ key.transpose(2, 3) / (channels / heads) ** 0.5).softmax(3)
    expected = attention.out_proj((shares @ value).transpose(1, 2).flatten(2))
    torch.testing.assert_close(attention(local, context, context)[0], expected)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"patch": 1}, "patch is 1; allowed: whole numbers from 2"),
        ({"dropout": 1.5}, "dropout is 1.5; allowed: numbers from 0 to below 1"),
    ],
)
def test_parameters_that_are_refused(params: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=f"^encoder 'glt': {message}$"):
        built((1, 32, 32), **params)
