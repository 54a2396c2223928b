#!/usr/bin/env bash
# fetch_llama_sdist.sh FOLDER: downloads the sdist of llama-cpp-python 0.3.36 (MIT; 77 MB), which
# carries llama.cpp's sources, from PyPI into the folder, checks its SHA-256, and prints its path.
set -euo pipefail
folder=${1:?usage: fetch_llama_sdist.sh FOLDER}
sdist=$folder/llama_cpp_python-0.3.36.tar.gz
sha=832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e

echo "downloading the sdist of llama-cpp-python 0.3.36 (77 MB)" >&2
# pip asks an sdist for its metadata even to download it, so its build backend comes along, as a
# wheel, into the same folder.
python3 -m pip download --quiet --disable-pip-version-check --no-deps \
  --no-binary llama-cpp-python --dest "$folder" llama-cpp-python==0.3.36 >&2
echo "$sha  $sdist" | sha256sum --check --status ||
  { echo "error: $(basename "$sdist") has another SHA-256 than $sha" >&2; exit 1; }
echo "$sdist"
