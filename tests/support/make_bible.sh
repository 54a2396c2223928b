#!/usr/bin/env bash
# make_bible.sh CACHE: writes the whole King James Bible, a verse a line, as Debian's bible-kjv
# prints it, to CACHE/text/bible-kjv.txt and prints that path. A second run only checks.
set -euo pipefail
cache=${1:?usage: make_bible.sh CACHE}
file=$cache/text/bible-kjv.txt
size=4404412
sha=cd45f0c9cedab8e4439bd6486c8952c77cc8b0ecc5d1f6ae3513f2039f47229d

check() { [ -f "$1" ] && [ "$(wc -c <"$1")" -eq $size ] && echo "$sha  $1" | sha256sum --check --status; }

if ! check "$file"; then
  mkdir -p "$(dirname "$file")"
  bible -f gen1:1-rev22:21 >"$file.tmp"
  check "$file.tmp" || { echo "error: the text of bible-kjv is not the one with SHA-256 $sha" >&2; exit 1; }
  mv "$file.tmp" "$file"
fi
echo "$file"
