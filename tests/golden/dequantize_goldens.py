"""Random blocks of each stored type and the float32 values that the gguf package makes of them."""
from pathlib import Path

import gguf
import numpy as np
from safetensors.numpy import save_file

OUT = Path(__file__).parent / "dequantize"

# Byte offsets of the f16 scales (and minima) within a block.
SCALES = {
    "Q4_0": (0,),
    "Q4_1": (0, 2),
    "Q5_0": (0,),
    "Q5_1": (0, 2),
    "Q8_0": (0,),
    "Q4_K": (0, 2),
    "Q5_K": (0, 2),
    "Q6_K": (208,),
}
BLOCKS_OF_32 = 5  # an odd number, so that rows are no multiple of a wide register's work
BLOCKS_OF_256 = 3


def scale_rows(rng, blocks):
    """f16 scales of four rows: as in models, negative, subnormal, and extreme (zeros, large, smallest)."""
    usual = rng.uniform(1e-3, 0.1, blocks)
    extreme = rng.permutation([0.0, -0.0, 500.0, -500.0, 2.0**-24, -(2.0**-24), 2.0**-14])[:blocks]
    subnormal = rng.integers(-1023, 1024, blocks) * 2.0**-24
    return np.stack([usual, -usual[::-1], subnormal, extreme]).astype(np.float16)


def random_blocks(rng, name):
    """[4, blocks, bytes per block]: random bytes with sane scales."""
    block_size, block_bytes = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[name]]
    blocks = BLOCKS_OF_32 if block_size == 32 else BLOCKS_OF_256
    data = rng.integers(0, 256, (4, blocks, block_bytes), dtype=np.uint8)
    for offset in SCALES[name]:
        data[:, :, offset : offset + 2] = scale_rows(rng, blocks)[..., None].view(np.uint8)
    return data


def finite_halves(rng, exponent_mask):
    """[4, 67] random bit patterns of a 16-bit float, none infinite or NaN; first the zeros, the smallest
    and the largest subnormal, the smallest and the largest number, both signs."""
    lowest = exponent_mask & -exponent_mask
    edges = [0, 1, lowest - 1, lowest, exponent_mask - 1]
    patterns = rng.integers(0, 1 << 16, 4 * 67 - 10, dtype=np.uint16)
    patterns[(patterns & exponent_mask) == exponent_mask] ^= lowest
    patterns = np.concatenate([edges + [e | 0x8000 for e in edges], patterns]).astype(np.uint16)
    return patterns.reshape(4, 67, 1).view(np.uint8)


def make_dequantize(name, seed):
    """dequantize/NAME.safetensors: blocks U8 [4, bytes per row], values F32 [4, columns]."""
    rng = np.random.default_rng(seed)
    if name in SCALES:
        blocks = random_blocks(rng, name)
    else:
        blocks = finite_halves(rng, {"F16": 0x7C00, "BF16": 0x7F80}[name])
    blocks = blocks.reshape(4, -1)
    values = gguf.dequantize(blocks, gguf.GGMLQuantizationType[name])
    assert values.dtype == np.float32 and np.isfinite(values).all()
    OUT.mkdir(exist_ok=True)
    save_file({"blocks": blocks, "values": np.ascontiguousarray(values)}, OUT / f"{name.lower()}.safetensors")
    return {"columns": values.shape[1], "largest": float(np.abs(values).max())}


def make_all():
    names = ["F16", "BF16", *SCALES]
    return {name: make_dequantize(name, seed) for seed, name in enumerate(names)}
