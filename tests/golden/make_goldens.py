#!/usr/bin/env python3
"""Writes the fidelity goldens beside this file and, in made_with.json, what made them and how exact they
are. README.md says what each file holds.

  python3 tests/golden/make_goldens.py --smollm MODEL.gguf --bible FILE [--only NAME ...]

MODEL.gguf is the file that cluster/fetch_model fetches, FILE what tests/support/make_bible.sh writes.
"""
import argparse
import hashlib
import importlib.metadata
import json
import os
import platform
from pathlib import Path

import torch
import transformers

import dequantize_goldens
import smollm2_goldens
import tiny_models
from make_tokenizer_goldens import build as build_tokenizer
from make_tokenizer_goldens import digest

HERE = Path(__file__).parent
REPORT = HERE / "made_with.json"
PACKAGES = ("torch", "transformers", "gguf", "safetensors", "tokenizers", "numpy", "accelerate")
BIBLE_HEAD = 200_000  # bytes: many more than 16384 tokens


def bible_ids(tokenizer, path):
    """The first 16384 ids; the tokenizer goldens know them too."""
    text = path.read_bytes()[:BIBLE_HEAD].decode()
    ids = tokenizer.encode(text, add_special_tokens=False).ids[:16384]
    known = json.loads((HERE / "tokenizers/smollm.json").read_text())["bible"]["blocks"][0]
    assert digest(ids) == known, f"{path} is another text, or the tokenizer goldens are out of date"
    return ids


class SmolLM2:
    """Loaded when first asked for."""

    def __init__(self, path):
        self.path = path
        self.tokenizer, _ = build_tokenizer(path, "smollm")
        self.model = smollm2_goldens.load(path)
        self.parameters_checked = smollm2_goldens.check_weights(self.model, path)
        smollm2_goldens.OUT.mkdir(exist_ok=True)


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def environment(args):
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {
        "python": platform.python_version(),
        **versions,
        "smollm2_gguf_sha256": sha256(args.smollm),
        "bible_sha256": sha256(args.bible),
    }


def main():
    names = ("dequantize", "models", "bible", "greedy")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smollm", type=Path, required=True)
    parser.add_argument("--bible", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count()))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    transformers.logging.disable_progress_bar()
    report = json.loads(REPORT.read_text()) if REPORT.exists() else {}
    report["environment"] = environment(args)
    if "dequantize" in args.only:
        report["dequantize"] = dequantize_goldens.make_all()
    if "models" in args.only:
        report["models"] = tiny_models.make_tiny_models()
    if {"bible", "greedy"} & set(args.only):
        smollm2 = SmolLM2(args.smollm)
        report["smollm2_parameters_equal_to_gguf"] = smollm2.parameters_checked
        if "bible" in args.only:
            ids = bible_ids(smollm2.tokenizer, args.bible)
            report["bible"] = smollm2_goldens.make_bible(smollm2.model, ids)
        if "greedy" in args.only:
            report["greedy"] = smollm2_goldens.make_greedy(smollm2.model, args.smollm, smollm2.tokenizer)
    REPORT.write_text(json.dumps(report, indent=1, sort_keys=True) + "\n")
    print(REPORT.read_text())


if __name__ == "__main__":
    main()
