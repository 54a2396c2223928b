#!/usr/bin/env python3
"""Writes kvpress_kept.safetensors and kvpress_scores.safetensors beside this file: which cache rows
NVIDIA's kvpress keeps of SmolLM2's 4096 tokens of the Bible, and the scores that its presses give on a
tiny model. README.md says what each tensor holds; what made them goes to made_with.json.

  python3 tests/golden/make_kvpress.py --smollm MODEL.gguf [--only kept scores]

MODEL.gguf is the file that cluster/fetch_model fetches. The tokens are those of
smollm2/bible.safetensors. Needs the packages kvpress, transformers < 5.3 and gguf.

Nothing of kvpress is computed again here. In its prefill a press acts on a layer once its attention is
done, and later layers do not notice; so one pass serves all presses, each of which is called with what
kvpress's own hook hands over. The rows that it kept are found again by their bytes.
"""
import argparse
import copy
import hashlib
import importlib.metadata
import json
import platform
from pathlib import Path

import kvpress
import numpy as np
import torch
import transformers
from safetensors.torch import load_file, save_file

import smollm2_goldens

HERE = Path(__file__).parent
REPORT = HERE / "made_with.json"
PACKAGES = ("kvpress", "torch", "transformers", "gguf", "safetensors", "numpy")

RATIOS = (0.5, 0.8, 0.9)  # shares that are removed
LAYERS = (0, 1, 2, 9, 14, 19, 24, 29)
NEAR = 1e-3  # rows whose margin is smaller are listed

SCORERS = {
    "snapkv": kvpress.SnapKVPress,  # window 64, kernel 5
    "streaming_llm": kvpress.StreamingLLMPress,  # 4 sinks
    "tova": kvpress.TOVAPress,
    "knorm": kvpress.KnormPress,
    "keydiff": kvpress.KeyDiffPress,
    "expected_attention": kvpress.ExpectedAttentionPress,  # 512 future positions, 4 sinks
}
ADAKV = {  # floor 0.2 of the budget
    "adakv_snapkv": kvpress.SnapKVPress,
    "adakv_expected_attention": kvpress.ExpectedAttentionPress,
}
# A cosine, whose rounding does not shrink with it; 0 or 1.
ABSOLUTE = (kvpress.KeyDiffPress, kvpress.StreamingLLMPress)


# What a press does --------------------------------------------------------------------------------


def row_bytes(keys, values):
    """[heads][rows] bytes of a key and its value."""
    rows = torch.cat([keys, values], dim=-1)[0].contiguous().numpy()
    return [[row.tobytes() for row in head] for head in rows]


def kept_rows(press, module, keys, values, result):
    """bool [heads, rows]: read from the rows that the press returned or, where it returns all of them
    (AdaKV), from those that it will mask."""
    heads, rows = keys.shape[1:3]
    if isinstance(press, kvpress.AdaKVPress):
        kept = torch.ones(heads, rows, dtype=torch.bool)
        _, head, row = module.masked_key_indices
        kept[head, row] = False
        module.masked_key_indices = None
        return kept
    kept = torch.zeros(heads, rows, dtype=torch.bool)
    for h, (before, after) in enumerate(zip(row_bytes(keys, values), row_bytes(*result))):
        position = {row: j for j, row in enumerate(before)}
        assert len(position) == rows, "two rows are equal: they cannot be told apart"
        kept[h, [position[row] for row in after]] = True
    return kept


def call(press, module, arguments):
    """The scores [heads, rows] that the press computes on the way, and the rows that it keeps."""
    scorer = getattr(press, "press", press)
    seen, score = [], scorer.score

    def remember(*inputs):
        seen.append(score(*inputs))
        return seen[-1].clone()  # AdaKV writes into it

    scorer.score = remember
    result = press.compress(module, *arguments)
    del scorer.score
    (scores,) = seen
    return scores[0], kept_rows(press, module, *arguments[1:3], result)


class Recorder(kvpress.BasePress):
    """Calls every press on the chosen layers and leaves the cache as it is."""

    def __init__(self, presses, layers):
        self.presses, self.layers = presses, layers
        self.scores = {name: [] for name in presses}
        self.kept = {name: [] for name in presses}
        self.inputs = []

    def compress(self, module, hidden_states, keys, values, attentions, kwargs):
        if module.layer_idx in self.layers:
            arguments = (hidden_states, keys, values, attentions, kwargs)
            self.inputs.append((module, hidden_states, keys, values, kwargs))  # probabilities are large
            for name, press in self.presses.items():
                scores, kept = call(press, module, arguments)
                self.scores[name].append(scores)
                self.kept[name].append(kept)
        return keys, values


def record(model, tokens, presses, layers, attention):
    """Runs the prefill; returns the Recorder."""
    model.set_attn_implementation(attention)
    recorder = Recorder(presses, layers)
    with recorder(model):
        model.model(tokens[None], use_cache=True)
    return recorder


# How clear the cut is -----------------------------------------------------------------------------


def cuts(scores, kept):
    """[heads, 2]: each head's lowest score that is kept and highest that is dropped."""
    least_kept = scores.masked_fill(~kept, torch.inf).amin(-1)
    most_dropped = scores.masked_fill(kept, -torch.inf).amax(-1)
    return torch.stack([least_kept, most_dropped], dim=-1)


def margins(scores, kept, absolute):
    """[heads, rows]: how far each row's score is from the other side of its head's cut, as it is or
    relative to the highest score that was dropped."""
    least_kept, most_dropped = cuts(scores, kept).split(1, dim=-1)
    distance = torch.where(kept, scores - most_dropped, least_kept - scores)
    return distance if absolute else distance / most_dropped.abs()


def adakv_margins(scores, kept, floor):
    """The same where one cut runs through all heads of a layer, and the `floor` best rows of each head
    stay. A row leaves if it fails both, and comes back if it passes either."""
    best = torch.zeros_like(kept).scatter(1, scores.topk(floor).indices, True)
    own = margins(scores, best, absolute=False)
    least_kept = scores[kept & ~best].amin() if (kept & ~best).any() else torch.inf
    most_dropped = scores[~kept].amax()
    common = torch.where(kept, scores - most_dropped, least_kept - scores) / most_dropped.abs()
    others = torch.where(kept, common, torch.minimum(own, common))
    return torch.where(best, torch.maximum(own, common), others)


def floor_of(press, kept):
    budget = int(kept.sum()) // kept.shape[0]
    return max(1, int(budget * press.alpha_safeguard)) if press.alpha_safeguard > 0 else 0


def margins_of(press, scores, kept):
    if isinstance(press, kvpress.AdaKVPress):
        return adakv_margins(scores.double(), kept, floor_of(press, kept))
    return margins(scores.double(), kept, isinstance(press, ABSOLUTE))


# kvpress_kept -------------------------------------------------------------------------------------


def all_presses(names, ratios):
    """name/ratio -> press"""
    result = {}
    for name in names:
        for ratio in ratios:
            inner = (SCORERS | ADAKV)[name](compression_ratio=ratio)
            result[f"{name}/{ratio}"] = kvpress.AdaKVPress(inner) if name in ADAKV else inner
    return result


def record_all(model, tokens):
    """AdaKV refuses eager attention; the others read its probabilities where there are some."""
    eager = record(model, tokens, all_presses(SCORERS, RATIOS), LAYERS, "eager")
    sdpa = record(model, tokens, all_presses(ADAKV | SCORERS, RATIOS), LAYERS, "sdpa")
    ours = {name: (eager if name in eager.presses else sdpa) for name in sdpa.presses}
    scores = {name: torch.stack(r.scores[name]) for name, r in ours.items()}
    kept = {name: torch.stack(r.kept[name]) for name, r in ours.items()}
    return scores, kept, {name: torch.stack(sdpa.kept[name]) for name in eager.presses}


def bitmap(kept):
    """Bit j % 8, the least significant first, of byte j / 8 is row j."""
    return torch.from_numpy(np.packbits(kept.numpy(), axis=-1, bitorder="little"))


def tensors_of(name, press, scores, kept):
    """What is stored of one press and ratio, and all margins."""
    margin = torch.stack([margins_of(press, s, k) for s, k in zip(scores, kept)]).float()
    near = (margin.flatten() < NEAR).nonzero()[:, 0]
    tensors = {
        f"{name}/kept": bitmap(kept),
        f"{name}/cut": torch.stack([cuts(s, k) for s, k in zip(scores, kept)]).float(),
        f"{name}/near": near.int(),
        f"{name}/near_margin": margin.flatten()[near],
    }
    return tensors, margin


def difference(kept, other, margin):
    """How many rows another computation chooses otherwise, and the widest margin among them."""
    changed = kept != other
    widest = margin[changed].max().item() if changed.any() else 0.0
    return {"rows": int(changed.sum()), "widest_margin": widest}


def make_kept(path):
    model = smollm2_goldens.load(path)
    smollm2_goldens.check_weights(model, path)
    tokens = load_file(HERE / "smollm2/bible.safetensors")["tokens"]
    scores, kept, kept_sdpa = record_all(model, tokens.long())
    _, kept_double, _ = record_all(copy.deepcopy(model).double(), tokens.long())
    tensors, report = {"layers": torch.tensor(LAYERS).int()}, {}
    for name, press in all_presses(SCORERS | ADAKV, RATIOS).items():
        stored, margin = tensors_of(name, press, scores[name], kept[name])
        tensors |= stored
        report[name] = {
            "kept": int(kept[name].sum()),
            "near": len(stored[f"{name}/near"]),
            "near_1e-5": int((margin < 1e-5).sum()),
            "smallest_margin": margin.min().item(),
            "float64_differs": difference(kept[name], kept_double[name], margin),
        }
        if name in kept_sdpa:
            report[name]["sdpa_differs"] = difference(kept[name], kept_sdpa[name], margin)
    metadata = {"tokens_sha256": hashlib.sha256(tokens.int().numpy().tobytes()).hexdigest()}
    save_file(tensors, HERE / "kvpress_kept.safetensors", metadata=metadata)
    return metadata | report


# kvpress_scores -----------------------------------------------------------------------------------

SCORE_LAYER = 1
SCORE_PRESSES = {
    "snapkv": kvpress.SnapKVPress(0.5),
    "snapkv_window16_kernel7": kvpress.SnapKVPress(0.5, window_size=16, kernel_size=7),
    "snapkv_window1_kernel1": kvpress.SnapKVPress(0.5, window_size=1, kernel_size=1),
    "streaming_llm": kvpress.StreamingLLMPress(0.5),
    "tova": kvpress.TOVAPress(0.5),
    "knorm": kvpress.KnormPress(0.5),
    "keydiff": kvpress.KeyDiffPress(0.5),
    "expected_attention": kvpress.ExpectedAttentionPress(0.5),
    "expected_attention_future32": kvpress.ExpectedAttentionPress(0.5, n_future_positions=32),
    "expected_attention_mean_only": kvpress.ExpectedAttentionPress(0.5, use_covariance=False),
    "expected_attention_no_value_norm": kvpress.ExpectedAttentionPress(0.5, use_vnorm=False),
    "expected_attention_epsilon": kvpress.ExpectedAttentionPress(0.5, epsilon=0.02),
}
FLOORS = {  # on SmolLM2 no head comes down to its floor
    f"adakv{floor}_{name}/{ratio}": kvpress.AdaKVPress(press(ratio, **options), alpha_safeguard=floor)
    for floor in (0.0, 0.2, 0.9, 1.0)
    for ratio in (0.5, 0.8)
    for name, press, options in (
        ("snapkv_window16_kernel7", kvpress.SnapKVPress, {"window_size": 16, "kernel_size": 7}),
        ("expected_attention", kvpress.ExpectedAttentionPress, {}),
    )
}


def queries_of(module, hidden, kwargs):
    """[tokens, heads * head_dim] before and after RoPE."""
    before = kvpress.utils.get_prerope_query_states(module, hidden)
    cos, sin = kwargs["position_embeddings"]
    after, _ = transformers.models.llama.modeling_llama.apply_rotary_pos_emb(before, before, cos, sin)
    return [q[0].transpose(0, 1).flatten(1).contiguous() for q in (before, after)]


def make_scores():
    """One layer of the tiny llama: the inputs of every scorer, what it makes of them, and what AdaKV
    keeps by such scores."""
    folder = HERE / "models/llama"
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    model = model.eval().requires_grad_(False)
    tokens = load_file(folder / "reference.safetensors")["tokens"].long()
    layers = (SCORE_LAYER,)
    recorder = record(model, tokens, SCORE_PRESSES, layers, "eager")
    floors = record(model, tokens, FLOORS, layers, "sdpa")
    ((module, hidden, keys, values, kwargs),) = recorder.inputs
    before, after = queries_of(module, hidden, kwargs)
    tensors = {"queries_before_rope": before, "queries": after, "keys": keys[0], "values": values[0]}
    tensors |= {f"{name}/scores": scores[0] for name, scores in recorder.scores.items()}
    tensors |= {f"{name}/kept": kept[0].byte() for name, kept in floors.kept.items()}
    save_file({k: v.contiguous() for k, v in tensors.items()}, HERE / "kvpress_scores.safetensors")
    double = record(copy.deepcopy(model).double(), tokens, SCORE_PRESSES, layers, "eager")
    differences = {
        name: (scores[0].double() - double.scores[name][0]).abs().max().item()
        for name, scores in recorder.scores.items()
    }
    margin = {
        name: margins_of(FLOORS[name], floors.scores[name][0], kept[0]).min().item()
        for name, kept in floors.kept.items()
    }
    return {"scores_minus_float64": differences, "smallest_margin": margin}


# --------------------------------------------------------------------------------------------------


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smollm", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=("kept", "scores"), default=("kept", "scores"))
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.use_deterministic_algorithms(True)
    transformers.logging.disable_progress_bar()
    report = json.loads(REPORT.read_text())
    mine = report.setdefault("kvpress", {})
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    gguf_sha256 = hashlib.sha256(args.smollm.read_bytes()).hexdigest()
    mine["environment"] = {"python": platform.python_version(), **versions}
    mine["environment"]["smollm2_gguf_sha256"] = gguf_sha256
    if "scores" in args.only:
        mine["scores"] = make_scores()
    if "kept" in args.only:
        mine["kept"] = make_kept(args.smollm)
    REPORT.write_text(json.dumps(report, indent=1, sort_keys=True) + "\n")
    print(json.dumps(mine, indent=1, sort_keys=True))


if __name__ == "__main__":
    main()
