#!/usr/bin/env python3
"""Runs varve's bench and llama.cpp's llama-bench in alternation and prints paired ratios.

A pair is one run of each, right after the other, so that what the machine does meanwhile hits
both; every other pair runs in the other order. llama.cpp runs with flash attention on and off, and
the setting with the better median counts, test by test.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys

DEPTHS = (0, 4096)
PROMPT, GENERATE = 512, 32
# The least ratio that varve sets itself to reach: (kind, depth) -> varve / llama.cpp.
BARS = {("pp", 0): 3.5, ("pp", 4096): 3.0, ("tg", 0): 2.0, ("tg", 4096): 3.5}
FLASH = ("on", "off")


def main():
    options = parse_options()
    warn_if_busy()
    runs = {"varve": [], **{flash: [] for flash in FLASH}}  # engine -> [pairs] of {test: tokens/s}
    notes = {}
    for pair in range(options.pairs):
        print(f"pair {pair + 1} of {options.pairs}", file=sys.stderr)
        for speeds in runs.values():
            speeds.append({})
        for depth in DEPTHS:
            engines = list(runs) if pair % 2 == 0 else list(reversed(runs))
            for engine in engines:
                rows = bench(options, engine, depth)
                runs[engine][pair].update(speeds_of(rows))
                notes.setdefault(engine, rows[0])
    print_setting(options, notes)
    print_table(runs)


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--varve", required=True, help="the program")
    parser.add_argument("--peer", required=True, help="llama-bench")
    parser.add_argument("--model", required=True, help="a GGUF file")
    parser.add_argument("--backend", default="auto", help="varve's, such as cpu:avx2")
    parser.add_argument("--peer-build", default="native", help="how the peer was built, to print")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--pairs", type=int, default=5)
    options = parser.parse_args()
    if options.pairs < 1 or options.threads < 1:
        parser.error("--pairs and --threads must be at least 1")
    return options


def warn_if_busy():
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"warning: the load is {load:.1f}; other work makes these figures worthless",
              file=sys.stderr)


def bench(options, engine, depth):
    """The rows of one run, as the program's JSON has them."""
    arguments = ["-m", options.model, "--threads", options.threads, "-p", PROMPT, "-n", GENERATE,
                 "-d", depth, "-r", 1, "-o", "json"]
    if engine == "varve":
        command = [options.varve, "bench", *arguments, "--backend", options.backend]
    else:
        command = [options.peer, *arguments, "-fa", engine]
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"error: exit code {done.returncode} of {' '.join(map(str, command))}\n"
                 f"{done.stderr}")
    answer = json.loads(done.stdout)
    return answer["tests"] if engine == "varve" else answer


def speeds_of(rows):
    """{(kind, depth): tokens/s}"""
    return {("pp" if row["n_prompt"] > 0 else "tg", row["n_depth"]): row["avg_ts"] for row in rows}


def print_setting(options, notes):
    peer = notes[FLASH[0]]
    print(f"CPU        {peer['cpu_info']}")
    print(f"sets       {', '.join(vector_sets()) or 'unknown'}")
    print(f"threads    {options.threads}")
    print(f"model      {peer['model_type']}, {peer['model_size'] / 1e6:.1f} MB")
    print(f"varve      {notes['varve']['backend']}; keeps its threads on cores, llama.cpp does not")
    print(f"llama.cpp  {peer['backends']}, {options.peer_build} build, cache of {peer['type_k']} rows")


def vector_sets():
    """What this CPU has of the instruction sets that matter, as the system names them."""
    wanted = ("avx2", "fma", "f16c", "avx512f", "avx512_vnni", "avx512_bf16", "asimd", "sve", "bf16")
    try:
        with open("/proc/cpuinfo", encoding="ascii") as file:
            words = set(file.read().split())
    except OSError:
        return []
    return [name for name in wanted if name in words]


def print_table(runs):
    count = len(runs["varve"])
    print(f"\nMedians of tokens/s and of the ratios of {count} pairs\n")
    print("| test | varve | llama.cpp | flash attention | ratio (least to most) | bar | |")
    print("| --- | ---: | ---: | --- | --- | ---: | --- |")
    for test, bar in BARS.items():
        speeds = {engine: [pair[test] for pair in pairs] for engine, pairs in runs.items()}
        flash = max(FLASH, key=lambda setting: statistics.median(speeds[setting]))
        ratios = [ours / theirs for ours, theirs in zip(speeds["varve"], speeds[flash])]
        median = statistics.median(ratios)
        print(f"| {name_of(test)} | {statistics.median(speeds['varve']):.1f} "
              f"| {statistics.median(speeds[flash]):.1f} | {flash} "
              f"| {median:.2f} ({min(ratios):.2f} to {max(ratios):.2f}) | {bar} "
              f"| {'reached' if median >= bar else 'below'} |")


def name_of(test):
    kind, depth = test
    name = f"pp{PROMPT}" if kind == "pp" else f"tg{GENERATE}"
    return f"{name} @ d{depth}" if depth else name


if __name__ == "__main__":
    main()
