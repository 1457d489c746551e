import itertools
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from contrasweep.trainers import encoders, losses
from contrasweep.trainers.config import ModelConfig
from contrasweep.trainers.encoders.vit import VisionTransformer
from contrasweep.trainers.errors import UserError
from contrasweep.trainers.losses.mae import MaskedNetwork, patches, random_split, standardised

CONFIG = ModelConfig(encoder="vit", spatial_dims=2)


def network(shape: tuple[int, ...] = (1, 16, 16), *, patch: int = 4, **params: Any) -> MaskedNetwork:
    torch.manual_seed(0)
    encoder = encoders.build("vit", image_shape=shape, width=0.0625, depth=0.2, patch=patch)
    built = losses.build("mae", **{"decoder_blocks": 1, **params}).network(encoder, CONFIG)
    assert isinstance(built, MaskedNetwork)
    return built


def images(count: int = 4, shape: tuple[int, ...] = (1, 16, 16)) -> Tensor:
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(1))


def plain_patches(image: Tensor, patch: int) -> list[Tensor]:
    """The patches of one image [C, *S], cut out one by one."""
    starts = [range(0, side, patch) for side in image.shape[1:]]
    return [
        image[(slice(None), *(slice(s, s + patch) for s in start))].flatten() for start in itertools.product(*starts)
    ]


class Constant(nn.Module):
    """A decoder that knows nothing: the same voxel everywhere."""

    def __init__(self, tokens: int, voxels: int, value: float = 0.0) -> None:
        super().__init__()
        self.shape, self.value, self.kept = (tokens, voxels), value, torch.empty(0)

    def forward(self, encoded: Tensor, kept: Tensor) -> Tensor:
        self.kept = kept
        return torch.full((len(encoded), *self.shape), self.value)


def test_the_loss_is_the_mean_error() -> None:
    z = torch.tensor([[1.0], [2.0], [6.0]])
    assert float(losses.build("mae")(z, torch.tensor([20.0, 30.0, 40.0]))) == 3


@pytest.mark.parametrize("shape", [(3, 12), (2, 8, 12), (2, 4, 8, 12)])
def test_patches_are_cut_in_row_major_order(shape: tuple[int, ...]) -> None:
    given = images(3, shape)
    expected = torch.stack([torch.stack(plain_patches(image, 4)) for image in given])
    assert torch.equal(patches(given, 4), expected)


def test_patches_are_in_the_order_of_the_tokens() -> None:
    encoder = network((2, 8, 12)).encoder
    given = images(2, (2, 8, 12))
    convolution = encoder.patch_embedding.patch_embeddings
    assert isinstance(convolution, nn.Conv2d) and convolution.bias is not None
    by_hand = patches(given, 4) @ convolution.weight.flatten(1).T + convolution.bias
    torch.testing.assert_close(encoder.embed(given), by_hand + encoder.patch_embedding.position_embeddings)


def test_targets_have_mean_zero_and_unit_spread_in_each_patch() -> None:
    targets = standardised(3 * torch.rand(2, 5, 64) + torch.arange(5.0)[:, None])
    torch.testing.assert_close(targets.mean(-1), torch.zeros(2, 5), rtol=0, atol=1e-5)
    torch.testing.assert_close(targets.std(-1, correction=0), torch.ones(2, 5), rtol=0, atol=1e-4)
    assert standardised(torch.full((1, 1, 8), 4.0)).eq(0).all()


@pytest.mark.parametrize("norm_patches", [True, False])
def test_the_error_is_that_of_the_masked_patches(norm_patches: bool) -> None:
    model = network(norm_patches=norm_patches)
    model.head = Constant(16, 16, value=0.5)
    given = images() * 3 + 1
    errors = model(given).output
    expected = []
    for image, kept in zip(given, model.head.kept.tolist(), strict=True):
        masked = [patch for place, patch in enumerate(plain_patches(image, 4)) if place not in kept]
        if norm_patches:
            masked = [(patch - patch.mean()) / patch.std(correction=0) for patch in masked]
        expected.append(torch.stack([(0.5 - patch).square().mean() for patch in masked]).mean())
    assert errors.shape == (4, 1)
    torch.testing.assert_close(errors, torch.stack(expected)[:, None], rtol=1e-4, atol=0)


def changed_error(kept_one: bool) -> tuple[Tensor, Tensor]:
    """Errors before and after changing one kept, or one masked patch, with a decoder that ignores what it is given."""
    model = network()
    model.head = Constant(16, 16)
    given = images(1)
    torch.manual_seed(3)
    before = model(given).output
    kept = model.head.kept[0].tolist()
    place = next(p for p in range(16) if (p in kept) == kept_one)
    row, column = 4 * (place // 4), 4 * (place % 4)
    changed = given.clone()
    changed[0, 0, row : row + 4, column : column + 4] = 0
    torch.manual_seed(3)
    return before, model(changed).output


def test_a_kept_patch_is_no_target() -> None:
    before, after = changed_error(kept_one=True)
    assert torch.equal(before, after)


def test_a_masked_patch_is_a_target() -> None:
    before, after = changed_error(kept_one=False)
    assert not torch.equal(before, after)


def test_the_encoder_never_sees_a_masked_patch() -> None:
    model, given = network(), images(2).requires_grad_()
    model.head = Constant(16, 16)
    torch.manual_seed(3)
    tokens = model(given).features
    (gradient,) = torch.autograd.grad(tokens.square().sum() + tokens[:, 0].sum(), given)
    seen = patches(gradient, 4).abs().sum(2) > 0
    for row, kept in zip(seen, model.head.kept, strict=True):
        assert row.nonzero().flatten().tolist() == sorted(kept.tolist())


@pytest.mark.parametrize(("ratio", "kept"), [(0.75, 4), (0.5, 8), (0.99, 1), (0.01, 15)])
def test_the_ratio_of_masked_patches(ratio: float, kept: int) -> None:
    seen, masked = random_split(torch.zeros(5, 16, 2), ratio)
    assert (seen.shape, masked.shape) == ((5, kept), (5, 16 - kept))
    assert torch.equal(torch.cat([seen, masked], 1).sort(1).values, torch.arange(16).expand(5, -1))
    assert len({tuple(row) for row in masked.tolist()}) > 1


def test_masks_follow_torchs_generator() -> None:
    model, given = network(), images()

    def error(seed: int) -> Tensor:
        torch.manual_seed(seed)
        return cast(Tensor, model(given).output)

    assert torch.equal(error(0), error(0))
    assert not torch.equal(error(0), error(1))


def test_the_decoder_puts_each_token_in_its_place() -> None:
    model = network()
    encoded, kept = torch.randn(1, 5, 48), torch.tensor([[9, 2, 14, 5]])
    order = torch.tensor([2, 0, 3, 1])
    shuffled = torch.cat([encoded[:, :1], encoded[:, 1:][:, order]], 1)
    torch.testing.assert_close(model.head(shuffled, kept[:, order]), model.head(encoded, kept), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(model.head(shuffled, kept), model.head(encoded, kept), rtol=1e-2, atol=1e-2)


def test_training_reduces_the_error() -> None:
    model = network()
    stripes = torch.sin(torch.arange(16.0))[None, None, None, :] * torch.ones(4, 1, 16, 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    errors = []
    for _ in range(40):
        error = model(stripes).output.mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        errors.append(float(error.detach()))
    assert errors[-1] < errors[0] / 3
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_evaluation_gives_the_encoders_features() -> None:
    model = network().eval()
    output, features = model(images())
    assert torch.equal(features, model.encoder(images())) and torch.equal(output, features)


def test_the_encoders_weights_load_into_a_plain_encoder() -> None:
    model = network()
    state = {key: value for key, value in model.state_dict().items() if key.startswith("encoder.")}
    assert {id(p) for p in model.encoder.parameters()} <= {id(p) for p in model.parameters()}
    torch.manual_seed(5)
    plain = encoders.build("vit", image_shape=(1, 16, 16), width=0.0625, depth=0.2, patch=4)
    plain.load_state_dict({key.removeprefix("encoder."): value for key, value in state.items()})
    assert torch.equal(plain(images()), model.eval()(images()).features)


def test_an_image_that_patches_do_not_tile() -> None:
    model = network((1, 7, 9, 6))
    assert model(images(2, (1, 7, 9, 6))).output.isfinite().all()


def test_the_decoder_is_the_published_one_and_no_larger_than_the_encoder() -> None:
    with torch.device("meta"):
        encoder = VisionTransformer(image_shape=(1, 32, 32))
        head = losses.build("mae").network(encoder, CONFIG).head
    assert isinstance(head, nn.Module)
    assert (head.embed.out_features, len(head.blocks) - 1) == (512, 8)  # type: ignore[union-attr, arg-type]
    small = network(decoder_blocks=8).head
    assert (small.embed.out_features, len(small.blocks) - 1) == (48, 2)  # type: ignore[union-attr, arg-type]


def test_other_encoders_are_refused() -> None:
    encoder = nn.Flatten()
    with pytest.raises(UserError, match="loss 'mae': encoder is 'resnet18'; allowed: vit"):
        losses.build("mae").network(encoder, ModelConfig(encoder="resnet18"))


def test_an_image_of_one_patch_is_refused() -> None:
    with pytest.raises(UserError, match="loss 'mae': patch is 16, as large as the image; allowed: smaller ones"):
        network(patch=16)


@pytest.mark.parametrize("ratio", [0.0, 1.0, -1, float("nan"), "half", True])
def test_mask_ratios_that_leave_nothing_are_refused(ratio: object) -> None:
    with pytest.raises(UserError, match=f"loss 'mae': mask_ratio is {ratio!r}; allowed: numbers between 0 and 1"):
        losses.build("mae", mask_ratio=ratio)
