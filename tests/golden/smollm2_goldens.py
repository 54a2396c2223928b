"""What transformers computes in float32 from SmolLM2-135M-Instruct's GGUF file: statistics of every
position of a long text, hidden states from which whole rows of logits follow, greedy continuations."""
import copy
import math
from pathlib import Path

import gguf
import jinja2
import numpy as np
import torch
import transformers
from safetensors.torch import save_file

OUT = Path(__file__).parent / "smollm2"
TOKENS = 4096
HIDDEN_STEP, HIDDEN_FIRST = 8, 7
ROWS = 256  # of logits at a time: 4096 rows would take 800 MB
NEW_TOKENS = 64

# Of each kind the first two are kept on whose paths every decision is clearer than MIN_GAP: a hundred
# times what rounding moves a logit, so that a token that differs is a fault and not noise.
MIN_GAP = 0.02
CANDIDATES = {
    "chat": [
        "What is the capital of France?",
        "How many legs does a spider have?",
        "Name the four seasons of the year.",
        "Why is the sky blue?",
        "Translate to French: Good morning, my friend.",
        "Who built the ark in the Bible?",
        "What is photosynthesis?",
        "Write a haiku about the sea.",
        "Explain what a binary search does in two sentences.",
        "Give me three tips for better sleep.",
    ],
    "text": [
        "In the beginning God created the heaven and the earth. And the earth was without form,",
        "The quick brown fox jumps over the lazy dog. The lazy dog",
        "Once upon a time, in a village by the sea, there lived an old fisherman who",
        "The Roman Empire reached its greatest extent under the emperor",
        "Water boils at one hundred degrees Celsius at sea level because",
        "It was the best of times, it was the worst of times, it was the age of wisdom,",
        "The mitochondrion is the organelle that",
        "Four score and seven years ago our fathers brought forth on this continent,",
    ],
    "code": [
        "def fibonacci(n):\n    if n < 2:\n        return n\n",
        "#include <stdio.h>\n\nint main(void) {\n    for (int i = 0; i < 10; i++) {\n",
        "SELECT name, age FROM people WHERE",
        "import math\n\ndef is_prime(n):\n    \"\"\"Return True if n is prime.\"\"\"\n",
        "function add(a, b) {\n  return a + b;\n}\n\nfunction subtract(a, b) {\n",
        "class Stack:\n    def __init__(self):\n        self.items = []\n\n    def push(self, item):\n",
        "<html>\n<head>\n<title>My page</title>\n</head>\n<body>\n",
        "def gcd(a, b):\n    while b:\n",
    ],
    "list": [
        "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,",
        "Shopping list:\n- milk\n- eggs\n- bread\n-",
        "Monday\nTuesday\nWednesday\n",
        "January, February, March,",
        "1. Mercury\n2. Venus\n3. Earth\n4.",
        "a b c d e f g h",
        "Genesis\nExodus\nLeviticus\n",
        "2 4 6 8 10 12 14 16",
    ],
}


# The model ----------------------------------------------------------------------------------------


def load(path):
    return transformers.AutoModelForCausalLM.from_pretrained(
        path.parent, gguf_file=path.name, dtype=torch.float32, attn_implementation="sdpa"
    ).eval().requires_grad_(False)


def halves(weight, heads):
    """Undoes GGUF's interleaving of each head's two halves."""
    pairs = weight.reshape(heads, weight.shape[0] // heads // 2, 2, weight.shape[1])
    return pairs.swapaxes(1, 2).reshape(weight.shape)


def check_weights(model, path):
    """Every parameter equals, bit for bit, what the gguf package makes of its tensor."""
    config = model.config
    tensors = {t.name: gguf.dequantize(t.data, t.tensor_type) for t in gguf.GGUFReader(path).tensors}
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    parameters = dict(model.named_parameters())
    for name, parameter in parameters.items():
        expected = tensors.pop(names.get_name(name, (".weight",)))
        if "q_proj" in name:
            expected = halves(expected, config.num_attention_heads)
        if "k_proj" in name:
            expected = halves(expected, config.num_key_value_heads)
        assert np.array_equal(parameter.numpy(), expected), name
    assert not tensors, f"unused: {list(tensors)}"
    assert config.rope_parameters == {"rope_type": "default", "rope_theta": 100000.0}, config
    return len(parameters)


# The Bible ----------------------------------------------------------------------------------------


def position_statistics(logits, targets):
    """Per row: argmax, its log probability, the lead in logits over the second, the target's log
    probability. The normaliser is summed in float64."""
    top = logits.topk(2)
    normaliser = logits.double().logsumexp(-1)

    def log_probability(ids):
        return (logits.gather(1, ids[:, None])[:, 0].double() - normaliser).float()

    return {
        "argmax": top.indices[:, 0].int(),
        "argmax_logprob": log_probability(top.indices[:, 0]),
        "gap": top.values[:, 0] - top.values[:, 1],
        "target_logprob": log_probability(targets),
    }


def in_rows(function, *tensors):
    """Concatenates what `function` makes of ROWS rows at a time."""
    parts = [function(*rows) for rows in zip(*(t.split(ROWS) for t in tensors))]
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def kl_to(double_head):
    """KL(float64 || float32) per row, and whether the argmax agrees: how sure the reference itself is."""

    def rows(hidden, double_hidden, head):
        p = (double_hidden @ double_head.T).log_softmax(-1)
        q = (hidden @ head.T).double().log_softmax(-1)
        return {"kl": (p.exp() * (p - q)).sum(-1), "same": p.argmax(-1) == q.argmax(-1)}

    return rows


def check_against_float64(model, tokens, hidden):
    double = copy.deepcopy(model).double()
    double_hidden = double.model(tokens[None]).last_hidden_state[0]
    head, rows = model.lm_head.weight, kl_to(double.lm_head.weight)
    result = in_rows(lambda h, d: rows(h, d, head), hidden, double_hidden)
    return {
        "mean_kl": result["kl"].mean().item(),
        "max_kl": result["kl"].max().item(),
        "same_argmax": result["same"].float().mean().item(),
        "hidden": (hidden.double() - double_hidden).abs().max().item(),
    }


def check_reconstruction(model, tokens, hidden):
    """The model's own logits of the kept positions, against hidden @ head^T from what is stored."""
    kept = torch.arange(HIDDEN_FIRST, TOKENS, HIDDEN_STEP)
    head = torch.from_numpy(np.array(model.lm_head.weight))
    worst = 0.0
    for positions in kept.split(ROWS):
        own = model(tokens[None], logits_to_keep=positions).logits[0]
        worst = max(worst, (own - hidden[positions] @ head.T).abs().max().item())
    return worst


def make_bible(model, ids):
    """smollm2/bible.safetensors from the first 4097 token ids of the text, the last of which is only a
    target. Returns what was measured."""
    tokens, targets = torch.tensor(ids[:TOKENS]), torch.tensor(ids[1 : TOKENS + 1])
    hidden = model.model(tokens[None]).last_hidden_state[0]
    head = model.lm_head.weight
    tensors = in_rows(lambda h, t: position_statistics(h @ head.T, t), hidden, targets)
    tensors |= {
        "tokens": tokens.int(),
        "targets": targets.int(),
        "hidden": hidden[HIDDEN_FIRST::HIDDEN_STEP].contiguous(),
    }
    save_file(tensors, OUT / "bible.safetensors")
    return {
        "perplexity": math.exp(-tensors["target_logprob"].double().mean().item()),
        "smallest_gap": tensors["gap"].min().item(),
        "positions_with_gap_under_1e-3": int((tensors["gap"] < 1e-3).sum()),
        "logits_minus_reconstruction": check_reconstruction(model, tokens, hidden),
        "against_float64": check_against_float64(model, tokens, hidden),
    }


# Greedy continuations -----------------------------------------------------------------------------


def chat(path, question):
    """The question as the file's own template renders it."""
    template = gguf.GGUFReader(path).fields["tokenizer.chat_template"].contents()
    messages = [{"role": "user", "content": question}]
    return jinja2.Template(template).render(messages=messages, add_generation_prompt=True)


def greedy(model, prompt):
    """NEW_TOKENS argmax tokens (the end of text is a token like any other) and each one's lead in logits
    over the second; None once a lead is no more than MIN_GAP."""
    tokens, gaps, rows = [], [], []
    step, cache = torch.tensor([prompt]), None
    for _ in range(NEW_TOKENS):
        output = model(step, past_key_values=cache, use_cache=True, logits_to_keep=1)
        cache = output.past_key_values
        rows.append(output.logits[0, -1])
        top = rows[-1].topk(2)
        tokens.append(top.indices[0].item())
        gaps.append((top.values[0] - top.values[1]).item())
        if gaps[-1] <= MIN_GAP:
            return None
        step = torch.tensor([[tokens[-1]]])
    return {"prompt": prompt, "tokens": tokens, "gaps": gaps, "logits": torch.stack(rows)}


def check_path(model, path):
    """One pass without a cache must choose the same tokens. Returns how far its logits lie from those
    of the path."""
    sequence = torch.tensor([path["prompt"] + path["tokens"][:-1]])
    logits = model(sequence, logits_to_keep=NEW_TOKENS).logits[0]
    assert logits.argmax(-1).tolist() == path["tokens"]
    return (logits - path["logits"]).abs().max().item()


def clear_paths(model, texts, encode):
    """The first two texts with clear paths."""
    found = []
    for text in texts:
        path = greedy(model, encode(text))
        print(f"{'kept' if path else 'unclear'}: {text!r}", flush=True)
        if path:
            found.append({"text": text, **path})
        if len(found) == 2:
            return found
    raise ValueError(f"too few of {texts} have clear paths")


def make_greedy(model, path, tokenizer):
    """smollm2/greedy.safetensors: prompt0 to prompt7, tokens [8, 64], gaps [8, 64]. Returns the texts and
    what was measured."""

    def encode(text):
        return tokenizer.encode(text, add_special_tokens=False).ids

    def encode_chat(question):
        return encode(chat(path, question))

    chosen = []
    for kind, texts in CANDIDATES.items():
        chosen += clear_paths(model, texts, encode_chat if kind == "chat" else encode)
    tensors = {f"prompt{i}": torch.tensor(p["prompt"]).int() for i, p in enumerate(chosen)}
    tensors["tokens"] = torch.tensor([p["tokens"] for p in chosen]).int()
    tensors["gaps"] = torch.tensor([p["gaps"] for p in chosen])
    save_file(tensors, OUT / "greedy.safetensors")
    double = copy.deepcopy(model).double()
    return [
        {
            "text": p["text"],
            "continuation": tokenizer.decode(p["tokens"], skip_special_tokens=False),
            "smallest_gap": min(p["gaps"]),
            "logits_with_minus_without_cache": check_path(model, p),
            "logits_minus_float64": check_path(double, p),
        }
        for p in chosen
    ]
