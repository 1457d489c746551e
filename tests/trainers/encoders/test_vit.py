from typing import Any

import pytest
import torch
from monai.networks.nets.vit import ViT
from torch import Tensor

from contrasweep.trainers import encoders
from contrasweep.trainers.encoders.vit import VisionTransformer, heads_and_hidden
from contrasweep.trainers.errors import UserError


def build(shape: tuple[int, ...] = (1, 16, 16), **params: Any) -> VisionTransformer:
    torch.manual_seed(0)
    small: dict[str, Any] = {"width": 0.0625, "depth": 0.17, "patch": 4}
    encoder = encoders.build("vit", image_shape=shape, **{**small, **params})
    assert isinstance(encoder, VisionTransformer)
    return encoder


def images(shape: tuple[int, ...], count: int = 2) -> Tensor:
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(1))


def heads(encoder: VisionTransformer) -> int:
    (count,) = {block.attn.num_heads for block in encoder.blocks}  # type: ignore[union-attr]
    assert isinstance(count, int)
    return count


def test_it_is_vit_b() -> None:
    with torch.device("meta"):
        encoder = VisionTransformer(image_shape=(3, 224, 224))
    # Dosovitskiy et al., Table 1: 86M with 1000 classes; the class token has no position here
    assert sum(p.numel() for p in encoder.parameters()) == 86_567_656 - (768 * 1000 + 1000) - 768
    assert (encoder.feature_dim, len(encoder.blocks), heads(encoder)) == (768, 12, 12)


def test_vit_l_is_wider_and_deeper() -> None:
    with torch.device("meta"):
        encoder = VisionTransformer(image_shape=(1, 32, 32), width=4 / 3, depth=2)
    assert (encoder.feature_dim, len(encoder.blocks), heads(encoder)) == (1024, 24, 16)


@pytest.mark.parametrize("shape", [(400, 47), (1, 13, 18), (1, 9, 11, 9), (2, 3, 3)])
def test_any_side_will_do(shape: tuple[int, ...]) -> None:
    assert build(shape)(images(shape)).shape == (2, 48)


def test_a_brain_has_6_by_7_by_6_patches() -> None:
    encoder = build((1, 91, 109, 91), patch=16)
    assert encoder.embed(encoder.pad(images((1, 91, 109, 91), 1))).shape == (1, 6 * 7 * 6, 48)


def test_padding_is_even() -> None:
    padded = build((1, 5, 6)).pad(torch.ones(1, 1, 5, 6))[0, 0]
    assert padded.shape == (8, 8)
    assert padded.sum(0).tolist() == [0, 5, 5, 5, 5, 5, 5, 0]
    assert padded.sum(1).tolist() == [0, 6, 6, 6, 6, 6, 0, 0]


def test_padding_is_what_a_user_would_have_done() -> None:
    odd, even = build((1, 6, 10)), build((1, 8, 12))
    even.load_state_dict(odd.state_dict())
    given = images((1, 6, 10))
    by_hand = torch.zeros(2, 1, 8, 12)
    by_hand[:, :, 1:7, 1:11] = given
    assert torch.equal(odd(given), even(by_hand))


def test_features_are_the_class_token_after_the_norm() -> None:
    encoder, given = build().eval(), images((1, 16, 16))
    features = encoder(given)
    assert torch.equal(features, encoder.encode(encoder.embed(given))[:, 0])
    torch.testing.assert_close(features.mean(1), torch.zeros(2), rtol=0, atol=1e-5)
    torch.testing.assert_close(features.std(1, correction=0), torch.ones(2), rtol=1e-3, atol=0)


def test_the_blocks_are_monais() -> None:
    encoder, given = build().eval(), images((1, 16, 16))
    hidden, _ = ViT.forward(encoder, given)
    assert torch.equal(encoder(given), hidden[:, 0])


def test_positions_tell_patches_apart() -> None:
    encoder, given = build().eval(), images((1, 16, 16))
    assert not torch.allclose(encoder(given), encoder(given.roll(4, -1)), atol=1e-4)
    torch.nn.init.zeros_(encoder.patch_embedding.position_embeddings)
    torch.testing.assert_close(encoder(given), encoder(given.roll(4, -1)), rtol=1e-4, atol=1e-4)


def test_every_parameter_has_a_gradient() -> None:
    encoder = build()
    features = encoder(images((1, 16, 16)))
    (features * torch.randn_like(features)).sum().backward()
    assert all(parameter.grad is not None for parameter in encoder.parameters())


def test_features_are_the_class_token_or_the_mean_of_the_others() -> None:
    token, mean = build().eval(), build(pool="mean").eval()
    given = images((1, 16, 16))
    tokens = token.encode(token.embed(token.pad(given)))
    torch.testing.assert_close(token(given), tokens[:, 0])
    torch.testing.assert_close(mean(given), tokens[:, 1:].mean(1))


@pytest.mark.parametrize("hidden", [2, 48, 100, 192, 384, 769, 1280])
def test_heads_divide_the_channels(hidden: int) -> None:
    heads, channels = heads_and_hidden(hidden, 64)
    assert channels % heads == 0
    assert abs(channels - hidden) <= heads / 2
    assert hidden < 64 or 42 <= channels / heads <= 96


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"width": 0.0001}, "width is 0.0001; allowed: numbers from 0.00260417"),
        ({"width": 0.9 / 384}, "width is 0.00234375; allowed: numbers from 0.00260417"),
        ({"patch": 0}, "patch is 0; allowed: whole numbers from 1"),
        ({"patch": 2.5}, "patch is 2.5; allowed: whole numbers from 1"),
        ({"patch": 17}, r"patch is 17; allowed for \[16, 16\] pixels: up to 16"),
        ({"pool": "max"}, "unknown pool 'max'; .*allowed: mean, token"),
    ],
)
def test_what_leaves_nothing_is_refused(params: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=f"encoder 'vit': {message}"):
        build(**params)
