"""MAE: masked auto-encoding on a vision transformer (He et al. 2022; SupReMix, Table 20)."""

from typing import cast

import torch
from monai.networks.blocks.transformerblock import TransformerBlock
from torch import Tensor, nn

from contrasweep.trainers.config import ModelConfig
from contrasweep.trainers.encoders.vit import VisionTransformer, drop_unused, heads_and_hidden
from contrasweep.trainers.errors import UserError
from contrasweep.trainers.losses.base import Loss, Rows, register
from contrasweep.trainers.network import Embedded, Network
from contrasweep.trainers.parameters import Count, Fraction

_HEAD_SIZE = 32


@register("mae")
class MAE(Loss):
    """Mean squared error of the masked patches, from an encoder that sees only the others.

    `network` builds what makes these errors, one for each image: z is [N, 1]. Labels and groups are not read. Of
    each image `mask_ratio` of the patches are masked, drawn anew each time from torch's generator; with
    `norm_patches` each patch is reconstructed at mean 0 and standard deviation 1 of its own. The decoder has
    `decoder_blocks` blocks of `decoder_width` channels, but never more than the encoder. Positions are learned, in
    the encoder and in the decoder, where the paper's are fixed sines.

    >>> import torch
    >>> float(MAE()(torch.tensor([[1.0], [3.0]]), torch.tensor([20.0, 30.0])))
    2.0
    """

    features = "encoder"
    needs_labels = False

    def __init__(
        self,
        *,
        mask_ratio: Fraction = 0.75,
        norm_patches: bool = True,
        decoder_width: Count = 512,
        decoder_blocks: Count = 8,
    ) -> None:
        super().__init__()
        self.mask_ratio = mask_ratio
        self.norm_patches = norm_patches
        self.decoder_width = decoder_width
        self.decoder_blocks = decoder_blocks

    def compute(self, rows: Rows) -> Tensor:
        return rows.z.mean()

    def network(self, encoder: nn.Module, model: ModelConfig) -> Network:
        """The encoder with a decoder. Raises UserError for other encoders than `vit`, and for images of one patch."""
        if not isinstance(encoder, VisionTransformer):
            raise UserError(f"loss 'mae': encoder is '{model.encoder}'; allowed: vit")
        if encoder.patch_embedding.n_patches < 2:
            raise UserError(f"loss 'mae': patch is {encoder.patch}, as large as the image; allowed: smaller ones")
        decoder = Decoder(encoder, min(self.decoder_width, encoder.feature_dim), self.decoder_blocks)
        return MaskedNetwork(encoder, decoder, self.mask_ratio, self.norm_patches)


class MaskedNetwork(Network):
    """In training, the error of each image's masked patches; in evaluation, the encoder's features alone."""

    encoder: VisionTransformer
    head: nn.Module

    def __init__(self, encoder: VisionTransformer, decoder: nn.Module, mask_ratio: float, norm_patches: bool) -> None:
        super().__init__(encoder, decoder, "encoder")
        self.feature_spaces = ("encoder",)  # the head is the decoder
        self.mask_ratio, self.norm_patches = mask_ratio, norm_patches

    def forward(self, images: Tensor) -> Embedded:
        """Errors [N, 1] and class tokens of images [N, C, *S] in training; features twice in evaluation."""
        if not self.training:
            features = self.encoder(images)
            return Embedded(features, features)
        padded = self.encoder.pad(images)
        tokens = self.encoder.embed(padded)
        kept, masked = random_split(tokens, self.mask_ratio)
        encoded = self.encoder.encode(pick(tokens, kept))
        predicted = pick(self.head(encoded, kept), masked)
        targets = pick(patches(padded, self.encoder.patch), masked)
        if self.norm_patches:
            targets = standardised(targets)
        return Embedded((predicted.float() - targets).square().mean((1, 2))[:, None], encoded[:, 0])


class Decoder(nn.Module):
    """A narrower transformer, from the tokens that were seen to the voxels of all patches."""

    def __init__(self, encoder: VisionTransformer, width: int, blocks: int) -> None:
        super().__init__()
        heads, hidden = heads_and_hidden(width, _HEAD_SIZE)
        embedding = encoder.patch_embedding
        self.embed = nn.Linear(encoder.feature_dim, hidden)
        self.mask_token = nn.Parameter(0.02 * torch.randn(1, 1, hidden))
        self.positions = nn.Parameter(0.02 * torch.randn(1, int(embedding.n_patches), hidden))
        layers = [
            TransformerBlock(hidden, 4 * hidden, heads, qkv_bias=True) for _ in range(min(blocks, len(encoder.blocks)))
        ]
        drop_unused(layers)
        self.blocks = nn.Sequential(*layers, nn.LayerNorm(hidden))
        self.predict = nn.Linear(hidden, embedding.patch_dim)

    def forward(self, encoded: Tensor, kept: Tensor) -> Tensor:
        """Voxels [N, P, C * patch^dims] of all patches.

        `encoded` [N, 1 + K, F] are the class token and the tokens at places `kept` [N, K].
        """
        x = self.embed(encoded)
        seen = x[:, 1:]
        tokens = self.mask_token.to(x).expand(len(x), self.positions.shape[1], -1)
        tokens = tokens.scatter(1, kept[:, :, None].expand_as(seen), seen) + self.positions
        return cast(Tensor, self.predict(self.blocks(torch.cat([x[:, :1], tokens], 1))[:, 1:]))


def random_split(tokens: Tensor, mask_ratio: float) -> tuple[Tensor, Tensor]:
    """Places of the kept and of the masked among the P tokens of each image, [N, K] and [N, P - K], each at least one.

    K is P * (1 - mask_ratio), rounded down.
    """
    count = tokens.shape[1]
    keep = min(max(int(count * (1 - mask_ratio)), 1), count - 1)
    order = torch.rand(tokens.shape[:2], device=tokens.device).argsort(1)
    return order[:, :keep], order[:, keep:]


def pick(tokens: Tensor, places: Tensor) -> Tensor:
    """The tokens [N, K, F] at places [N, K] of tokens [N, P, F]."""
    return tokens.gather(1, places[:, :, None].expand(-1, -1, tokens.shape[2]))


def patches(images: Tensor, patch: int) -> Tensor:
    """Voxels [N, P, C * patch^dims] of the patches that tile images [N, C, *S], in row-major order."""
    dims = images.ndim - 2
    for axis in range(dims):
        images = images.unflatten(2 + 2 * axis, (-1, patch))
    grid, inside = range(2, 2 + 2 * dims, 2), range(3, 3 + 2 * dims, 2)
    return images.permute(0, *grid, 1, *inside).flatten(1 + dims).flatten(1, dims)


def standardised(targets: Tensor) -> Tensor:
    """Patches [N, P, V] at mean 0 and standard deviation 1 each; 0 where a patch is constant."""
    variance, mean = torch.var_mean(targets.float(), -1, correction=0, keepdim=True)
    return (targets.float() - mean) * (variance + 1e-6).rsqrt()
