#!/usr/bin/env bash
# Prints the path of a Python that scangate can be installed with: 3.11 or later, CPython, able to make a virtual
# environment. PATH stays as it is. Nothing that lies in the workspace is run.
#
# SCANGATE_INPUT_PYTHON, where it is set, is the only candidate. Exit code 2 where there is none.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=action/common.sh
. "$here/common.sh"

# Those that the tests run on first; 3.14 and what comes later where there is nothing else.
versions="3.13 3.12 3.11 3.14"

usable='
import sys, sysconfig
if sys.version_info < (3, 11) or sys.implementation.name != "cpython" or sysconfig.get_config_var("Py_GIL_DISABLED"):
    sys.exit(1)
import ensurepip, venv
'

# The folder's real path; nothing where there is none.
real_folder() { (cd "$1" 2>/dev/null && pwd -P) || true; }

workspace=$(real_folder "${GITHUB_WORKSPACE:-/nonexistent}")

# Whether the file lies there, or a link to it, however many links there are on the way.
in_workspace() {
  local file=$1 folder target
  [ -n "$workspace" ] || return 1
  for _ in {1..40}; do
    folder=$(real_folder "$(dirname "$file")")
    case $folder/ in "$workspace"/*) return 0 ;; esac
    target=$(readlink "$file") || return 1
    case $target in /*) file=$target ;; *) file=$folder/$target ;; esac
  done
}

# Prints the candidate and ends, where it will do.
try() {
  if [ -x "$1" ] && ! in_workspace "$1" && "$1" -I -c "$usable" </dev/null >/dev/null 2>&1; then
    printf '%s\n' "$1"
    exit 0
  fi
}

try_on_path() {
  local candidate
  while IFS= read -r candidate; do
    try "$candidate"
  done < <(type -aP "$1")
}

# GitHub's images keep Pythons at Python/VERSION/ARCHITECTURE, under Windows without bin/.
try_tool_cache() {
  local root=${RUNNER_TOOL_CACHE:-${AGENT_TOOLSDIRECTORY:-}} architecture version folder
  [ -n "$root" ] || return 0
  case ${RUNNER_ARCH:-X64} in ARM64) architecture=arm64 ;; X86) architecture=x86 ;; *) architecture=x64 ;; esac
  for version in $versions; do
    for folder in "${root//\\//}/Python/$version."*/"$architecture"; do
      try "$folder/bin/python3"
      try "$folder/bin/python"
      try "$folder/python.exe"
    done
  done
}

named=${SCANGATE_INPUT_PYTHON:-}
if [ -n "$named" ]; then
  case $named in
    -*) fail 2 "Input python: '$named' looks like an option. Name a Python 3.11 or later: its path, or its name on PATH." ;;
    */* | *\\*) try "$named" ;;
    *) try_on_path "$named" ;;
  esac
  fail 2 "Input python: '$named' is no CPython 3.11 or later with venv and ensurepip outside of the workspace. Name another, or leave the input out to have one found."
fi

try_on_path python3
for version in $versions; do
  try_on_path "python$version"
done
try_on_path python
try_tool_cache
fail 2 "There is no Python 3.11 or later on this runner (CPython with venv and ensurepip; on Debian and Ubuntu the package python3-venv). Add a step with actions/setup-python before this one, or name a Python with the input python."
