"""Tiny random models, one per family and variant, as Hugging Face directories and as GGUF files, with
the float32 logits that transformers computes from each.

The shapes are odd on purpose: widths that are no multiple of a vector register, head sizes that are
not hidden / heads, an epsilon large enough that a wrong one shows. `features` is the proof that each
of these matters: a model without the feature misses the reference by far more than a test tolerates.
"""
import copy
import dataclasses
import json
import math
import shutil
from pathlib import Path

import gguf
import numpy as np
import torch
import transformers
from safetensors.torch import save_file

OUT = Path(__file__).parent / "models"
TOKENS = 96


@dataclasses.dataclass(frozen=True)
class TinyModel:
    name: str
    config: transformers.PreTrainedConfig
    seed: int
    dtype: torch.dtype = torch.float32
    max_shard_size: str = "5GB"
    as_transformers_4: bool = False  # config.json as most published models still have it
    gguf_types: tuple = ("f32", "f16")


def shape(vocab, hidden, intermediate, layers=3, q_heads=4, kv_heads=2):
    return dict(
        vocab_size=vocab,
        hidden_size=hidden,
        intermediate_size=intermediate,
        num_hidden_layers=layers,
        num_attention_heads=q_heads,
        num_key_value_heads=kv_heads,
        max_position_embeddings=512,
        bos_token_id=None,
        eos_token_id=None,
    )


def rope(theta, **scaling):
    return {"rope_type": "llama3" if scaling else "default", "rope_theta": theta, **scaling}


LLAMA3 = dict(factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=32)

MODELS = [
    TinyModel(
        "llama",
        transformers.LlamaConfig(**shape(161, 64, 56), rms_norm_eps=1e-2, rope_parameters=rope(500.0)),
        seed=1,
    ),
    TinyModel(
        "llama_tied",
        transformers.LlamaConfig(
            **shape(149, 48, 72, layers=2, kv_heads=4),
            rms_norm_eps=2e-2,
            rope_parameters=rope(10000.0),
            tie_word_embeddings=True,
        ),
        seed=2,
        as_transformers_4=True,
        gguf_types=("f16",),
    ),
    TinyModel(
        "llama_rope_scaled",
        transformers.LlamaConfig(
            **shape(151, 48, 56, layers=2, q_heads=3, kv_heads=1),
            rms_norm_eps=1e-2,
            rope_parameters=rope(500.0, **LLAMA3),
        ),
        seed=3,
        as_transformers_4=True,
        gguf_types=("f16",),
    ),
    TinyModel(
        "mistral",
        transformers.MistralConfig(
            **shape(157, 48, 80), head_dim=16, rms_norm_eps=5e-3, rope_parameters=rope(200.0), sliding_window=16
        ),
        seed=4,
        dtype=torch.bfloat16,
        gguf_types=("f16",),
    ),
    TinyModel(
        "qwen2",
        transformers.Qwen2Config(
            **shape(163, 56, 60), rms_norm_eps=1e-2, rope_parameters=rope(1000.0), use_sliding_window=False
        ),
        seed=5,
        as_transformers_4=True,
        max_shard_size="120KB",
    ),
    TinyModel(
        "qwen3",
        transformers.Qwen3Config(
            **shape(167, 40, 72),
            head_dim=16,
            rms_norm_eps=1e-2,
            rope_parameters=rope(1000.0),
            tie_word_embeddings=True,
        ),
        seed=6,
    ),
]


# Weights and logits -------------------------------------------------------------------------------


def spread(name, columns, tied):
    """Standard deviation that keeps activations near 1, attention peaked and logits a few units."""
    if name.endswith(".bias"):
        return 0.5
    if "embed_tokens" in name:
        return 3 / math.sqrt(columns) if tied else 1.0
    if "lm_head" in name:
        return 3 / math.sqrt(columns)
    if "q_proj" in name or "k_proj" in name:
        return 1.5 / math.sqrt(columns)
    return 1 / math.sqrt(columns)


def randomised(spec):
    """A float32 model whose weights are exact in spec.dtype."""
    model = transformers.AutoModelForCausalLM.from_config(spec.config, attn_implementation="eager").eval()
    generator = torch.Generator().manual_seed(spec.seed)
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if "norm" in name:
            values = 1 + 0.3 * noise
        else:
            values = spread(name, parameter.shape[-1], spec.config.tie_word_embeddings) * noise
        parameter.data = values.to(spec.dtype).float()
    return model.requires_grad_(False)


def random_tokens(spec):
    generator = torch.Generator().manual_seed(1000 + spec.seed)
    return torch.randint(spec.config.vocab_size, (TOKENS,), generator=generator)


def logits(model, tokens):
    return model(tokens[None]).logits[0]


def with_config(model, **changes):
    """The same weights under a changed configuration."""
    config = copy.deepcopy(model.config)
    for key, value in changes.items():
        setattr(config, key, value)
    changed = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
    changed.load_state_dict(model.state_dict())
    return changed.requires_grad_(False)


def with_weights(model, change):
    """A copy whose parameters are what change(name, tensor) returns."""
    changed = copy.deepcopy(model)
    for name, parameter in changed.named_parameters():
        parameter.data = change(name, parameter.data)
    return changed


def features(model):
    """Name -> the model without that feature, or with the mistake that is easy to make."""
    config, parameters = model.config, dict(model.named_parameters())
    q_heads, kv_heads = config.num_attention_heads, config.num_key_value_heads
    result = {
        "rms_norm_eps": with_config(model, rms_norm_eps=1e-6),
        "rope_theta": with_config(model, rope_parameters={**config.rope_parameters, "rope_theta": 300.0}),
        "rope layout": with_weights(model, lambda n, w: permuted(n, w, q_heads, kv_heads)),
        "norm gains": with_weights(model, lambda n, w: torch.ones_like(w) if "norm" in n else w),
    }
    if any(name.endswith(".bias") for name in parameters):
        result["biases"] = with_weights(model, lambda n, w: 0 * w if n.endswith(".bias") else w)
    if any("q_norm" in name for name in parameters):
        result["q/k norm gains"] = with_weights(
            model, lambda n, w: torch.ones_like(w) if "q_norm" in n or "k_norm" in n else w
        )
    if config.rope_parameters["rope_type"] != "default":
        result["rope scaling"] = with_config(model, rope_parameters=rope(config.rope_parameters["rope_theta"]))
    if getattr(config, "sliding_window", None):
        for window in (None, config.sliding_window - 1, config.sliding_window + 1):
            result[f"window {window}"] = with_config(model, sliding_window=window)
    return result


# Hugging Face directories -------------------------------------------------------------------------


def write_directory(spec, model, folder):
    model = copy.deepcopy(model).to(spec.dtype)
    model.save_pretrained(folder, max_shard_size=spec.max_shard_size)
    (folder / "generation_config.json").unlink(missing_ok=True)
    if spec.as_transformers_4:
        path = folder / "config.json"
        path.write_text(json.dumps(as_transformers_4(json.loads(path.read_text())), indent=2, sort_keys=True) + "\n")


def as_transformers_4(config):
    """The keys of transformers 4: theta and scaling at the top, the head size implied, and a window
    that is not in use."""
    scaling = dict(config.pop("rope_parameters"))
    config["rope_theta"] = scaling.pop("rope_theta")
    config["rope_scaling"] = scaling if scaling["rope_type"] != "default" else None
    config["torch_dtype"] = config.pop("dtype")
    implied = config["hidden_size"] // config["num_attention_heads"]
    assert config.pop("head_dim", implied) == implied
    if not config.get("use_sliding_window", True):
        del config["layer_types"]
        config["sliding_window"] = 16
    return config


# GGUF files ---------------------------------------------------------------------------------------


def permuted(name, weight, q_heads, kv_heads):
    """Q and K as GGUF's llama architecture has them: the halves of each head interleaved."""
    if "q_proj" not in name and "k_proj" not in name:
        return weight
    heads = q_heads if "q_proj" in name else kv_heads
    halves = weight.reshape(heads, 2, weight.shape[0] // heads // 2, *weight.shape[1:])
    return halves.swapaxes(1, 2).reshape(weight.shape)


def rope_factors(model):
    """How much llama3 scaling stretches each frequency; what a GGUF file stores of it."""
    config = model.config
    pairs = torch.arange(0, config.head_dim, 2).float() / config.head_dim
    plain = 1.0 / config.rope_parameters["rope_theta"] ** pairs
    return plain / model.model.rotary_emb.inv_freq


def rounded(model, gguf_type):
    """The weights that a GGUF file holds: matrices in its type, vectors in F32."""
    if gguf_type == "f32":
        return model
    return with_weights(model, lambda name, w: w.half().float() if w.dim() == 2 else w)


def architecture(config):
    """Converters write Mistral as a llama, and lose its window on the way."""
    return "llama" if config.model_type == "mistral" else config.model_type


def without_window(model):
    return with_config(model, sliding_window=None) if model.config.model_type == "mistral" else model


def write_gguf(spec, model, gguf_type, path):
    config = model.config
    arch = architecture(config)
    writer = gguf.GGUFWriter(path, arch)
    add_metadata(writer, spec.name, config)
    if config.rope_parameters["rope_type"] == "llama3":
        writer.add_tensor("rope_freqs.weight", rope_factors(model).numpy())
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH[arch.upper()], config.num_hidden_layers)
    for name, weight in model.named_parameters():
        if arch == "llama":
            weight = permuted(name, weight, config.num_attention_heads, config.num_key_value_heads)
        as_type = np.float16 if gguf_type == "f16" and weight.dim() == 2 else np.float32
        writer.add_tensor(names.get_name(name, (".weight", ".bias")), weight.numpy().astype(as_type))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def add_metadata(writer, name, config):
    writer.add_name(f"tiny {name}")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    if config.model_type != "qwen2":  # whose converter writes neither
        writer.add_rope_dimension_count(head_dim)
    if head_dim * config.num_attention_heads != config.hidden_size:
        writer.add_key_length(head_dim)
        writer.add_value_length(head_dim)
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([f"token{i}" for i in range(config.vocab_size)])
    writer.add_token_types([gguf.TokenType.NORMAL] * config.vocab_size)


# Checks -------------------------------------------------------------------------------------------


def difference(a, b):
    return (a.double() - b.double()).abs().max().item()


def directory_error(folder, tokens, expected):
    """transformers must compute the same from what was written."""
    loaded = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager"
    )
    return difference(logits(loaded, tokens), expected)


def gguf_error(model, path, tokens, expected):
    """So must transformers' own GGUF loader, which undoes the permutation by its own code. It knows no
    mistral in a llama's file and ignores rope_freqs and the head size of qwen3: the configuration is
    ours, the stretched frequencies come from the file."""
    config = copy.deepcopy(model.config)
    kind = transformers.AutoModelForCausalLM
    if config.model_type == "mistral":
        kind = transformers.LlamaForCausalLM
        fields = {k: v for k, v in config.to_dict().items() if k not in ("model_type", "sliding_window")}
        config = transformers.LlamaConfig(**fields)
    config.rope_parameters = rope(config.rope_parameters["rope_theta"])
    loaded = kind.from_pretrained(
        path.parent, gguf_file=path.name, config=config, dtype=torch.float32, attn_implementation="eager"
    )
    for tensor in gguf.GGUFReader(path).tensors:
        if tensor.name == "rope_freqs.weight":
            loaded.model.rotary_emb.inv_freq = loaded.model.rotary_emb.inv_freq / torch.tensor(tensor.data)
    return difference(logits(loaded, tokens), expected)


# The golden ---------------------------------------------------------------------------------------


def make_tiny_model(spec):
    """models/NAME: config.json, safetensors, TYPE.gguf, and reference.safetensors with the tokens, the
    logits of the directory and those of each GGUF file. Returns what was measured."""
    folder = OUT / spec.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    model, tokens = randomised(spec), random_tokens(spec)
    reference = logits(model, tokens)
    write_directory(spec, model, folder)
    report = {
        "logits_std": reference.std().item(),
        "float32_minus_float64": difference(reference, logits(copy.deepcopy(model).double(), tokens)),
        "reloaded_directory": directory_error(folder, tokens, reference),
        "moved_by": {name: difference(logits(m, tokens), reference) for name, m in features(model).items()},
    }
    assert report["reloaded_directory"] == 0, report
    assert min(report["moved_by"].values()) > 0.05, report
    tensors = {"tokens": tokens.int(), "logits": reference}
    for gguf_type in spec.gguf_types:
        path = folder / f"{gguf_type}.gguf"
        stored = without_window(rounded(model, gguf_type))
        write_gguf(spec, stored, gguf_type, path)
        tensors[f"logits_{gguf_type}"] = expected = logits(stored, tokens)
        report[f"reloaded_{gguf_type}.gguf"] = error = gguf_error(stored, path, tokens, expected)
        assert error < 1e-5, report
    save_file(tensors, folder / "reference.safetensors")
    return report


def make_tiny_models():
    return {spec.name: make_tiny_model(spec) for spec in MODELS}
