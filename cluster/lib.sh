#!/usr/bin/env bash
# Shared by cluster/quickstart and tests/run. Sourced, not run.
# shellcheck disable=SC2034  # whoever sources this uses the variables

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${VARVE_CACHE:-$root/.cache}

say() { printf '\n== %s\n' "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

build_packages=(ca-certificates cmake ninja-build ccache g++ pkg-config libopenmpi-dev openmpi-bin
  libboost-dev libyaml-cpp-dev nlohmann-json3-dev libfmt-dev libpcre2-dev libutf8proc-dev libssl-dev
  libcli11-dev libhwy-dev)
data_packages=(python3 python3-pip unzip bible-kjv)
test_packages=(libgtest-dev libgmock-dev libboost-context-dev clang-14 libclang-rt-14-dev
  clang-format-14 procps iproute2 shellcheck)

# install_packages NAME...: installs what is missing with apt-get, as root or through sudo.
install_packages() {
  local missing=() name
  for name in "$@"; do
    dpkg-query -W -f '${Status}' "$name" 2>/dev/null | grep -q '^install ok installed' ||
      missing+=("$name")
  done
  if [ ${#missing[@]} -eq 0 ]; then
    echo "all ${#} Debian packages are there"
    return
  fi
  echo "installing: ${missing[*]}"
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || die "not root and no sudo; install these by hand: ${missing[*]}"
    as_root=(sudo)
  fi
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
    --no-install-recommends "${missing[@]}" >/dev/null
}

# build_tree FOLDER CMAKE_ARGS... [-- TARGETS...]: configures, then builds what changed.
build_tree() {
  local folder=$1 options=()
  shift
  while [ $# -gt 0 ] && [ "$1" != -- ]; do options+=("$1"); shift; done
  [ $# -eq 0 ] || shift
  mkdir -p "$folder"
  cmake -S "$root" -B "$folder" -G Ninja -DCMAKE_CXX_COMPILER_LAUNCHER=ccache "${options[@]}" \
    >"$folder/configure.log" 2>&1 || { cat "$folder/configure.log" >&2; die "cmake failed"; }
  local begin=$SECONDS
  cmake --build "$folder" --target "${@:-all}" -- --quiet || die "the build failed"
  echo "$folder built in $((SECONDS - begin)) s"
}

# check_sha256 FILE SUM
check_sha256() { echo "$2  $1" | sha256sum --check --status; }

# Two clones of the project share what the compiler cache knows.
export CCACHE_BASEDIR=$root CCACHE_NOHASHDIR=1
# What it wants to be told before it caches a compilation with precompiled headers.
export CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime

# Open MPI refuses to start as root, and more ranks than cores, unless told; and it pins each of two
# ranks to a single core.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none
