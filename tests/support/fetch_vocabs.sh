#!/usr/bin/env bash
# fetch_vocabs.sh CACHE: takes llama.cpp's vocabulary-only GGUF files, with their test inputs and
# ids, and its chat templates, with their test, out of the sdist of llama-cpp-python on PyPI, and
# prints the folder they are in. A second run only looks.
set -euo pipefail
cache=${1:?usage: fetch_vocabs.sh CACHE}
folder=$cache/llama-vocabs
names=(gpt-2 llama-bpe llama-spm qwen2)

complete() {
  local name
  [ -f "$folder/test-chat-template.cpp" ] && [ -d "$folder/templates" ] || return 1
  for name in "${names[@]}"; do
    for end in gguf gguf.inp gguf.out; do
      [ -f "$folder/ggml-vocab-$name.$end" ] || return 1
    done
  done
}

if ! complete; then
  mkdir -p "$cache"
  tmp=$(mktemp -d "$cache/vocabs.XXXXXX")
  trap 'rm -rf "$tmp"' EXIT
  sdist=$("$(dirname "$0")/fetch_llama_sdist.sh" "$tmp")
  mkdir "$tmp/vocabs"
  members=('*/vendor/llama.cpp/models/templates/*.jinja' '*/vendor/llama.cpp/tests/test-chat-template.cpp')
  for name in "${names[@]}"; do members+=("*/vendor/llama.cpp/models/ggml-vocab-$name.gguf*"); done
  tar -xzf "$sdist" -C "$tmp/vocabs" --strip-components=4 --wildcards "${members[@]}"
  rm -rf "$folder"
  mv "$tmp/vocabs" "$folder"
  complete || { echo "error: the sdist lacks some of the vocabularies" >&2; exit 1; }
fi
echo "$folder"
