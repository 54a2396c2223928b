#!/usr/bin/env python3
"""Writes tests/golden/tokenizers/chat_templates.json: what Jinja2 makes of a few conversations by
models' own chat templates.

  python3 tests/golden/make_chat_goldens.py --vocabs DIR --smollm MODEL.gguf

DIR is what tests/support/fetch_vocabs.sh prints. Of its templates those are rendered that amount to
one of varve's; null stands for a conversation that a template refuses. Needs the packages jinja2 and
gguf.
"""
import argparse
import json
import re
from pathlib import Path

import gguf
from jinja2.exceptions import TemplateError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

OUT = Path(__file__).parent / "tokenizers" / "chat_templates.json"
# What varve recognises; it must refuse the others.
KNOWN = """
LFM2-8B-A1B LFM2.5-8B-A1B LFM2.5-Instruct MiMo-VL Qwen-Qwen2.5-7B-Instruct
Qwen-Qwen3-0.6B Qwen3-Coder meta-llama-Llama-3.1-8B-Instruct meta-llama-Llama-3.2-3B-Instruct
meta-llama-Llama-3.3-70B-Instruct mistralai-Mistral-Nemo-Instruct-2407
""".split()

SYSTEM = {"role": "system", "content": "You are a helpful assistant"}
TURNS = [
    {"role": "user", "content": "Hello"},
    {"role": "assistant", "content": "Hi there"},
    {"role": "user", "content": "Who are you"},
    {"role": "assistant", "content": "   I am an assistant   "},
    {"role": "user", "content": " Another question\n"},
]
CONVERSATIONS = {
    "long": ([SYSTEM] + TURNS, True),
    "no_system": (TURNS, True),
    "answered": ([SYSTEM] + TURNS[:2], False),
    "question": (TURNS[:1], True),
    "question_with_system": ([SYSTEM] + TURNS[:1], True),
}


def environment():
    def raise_exception(message):
        raise TemplateError(message)

    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    env.globals["raise_exception"] = raise_exception
    env.filters["tojson"] = lambda x, indent=None: json.dumps(x, ensure_ascii=False, indent=indent)
    return env


def render(template, messages, add_generation_prompt):
    try:
        return template.render(
            messages=messages, add_generation_prompt=add_generation_prompt, bos_token="<BOS>", eos_token="<EOS>"
        )
    except (TemplateError, TypeError):
        return None


def of_gguf(path):
    return gguf.GGUFReader(path).fields["tokenizer.chat_template"].contents()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vocabs", type=Path, required=True)
    parser.add_argument("--smollm", type=Path, required=True)
    args = parser.parse_args()
    sources = {f"{n}.jinja": (args.vocabs / "templates" / f"{n}.jinja").read_text() for n in KNOWN}
    sources["smollm"] = of_gguf(args.smollm)
    sources["qwen2"] = of_gguf(args.vocabs / "ggml-vocab-qwen2.gguf")
    result = {}
    for name, source in sources.items():
        # These tags mark what to train on and write nothing.
        source = re.sub(r"{%-?\s*(end)?generation\s*-?%}", "", source)
        template = environment().from_string(source)
        result[name] = {key: render(template, *value) for key, value in CONVERSATIONS.items()}
    OUT.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    print(f"{len(result)} templates, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
