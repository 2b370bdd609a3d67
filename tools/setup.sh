#!/usr/bin/env bash
# Makes the virtual environment that development, tests and the demo run in. Says what it installs before it does.
# With --sandbox: installs what `scangate check --local` needs of the system, where it is missing and apt is there.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${1:-.venv}

find_python() {
  local candidate
  for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11 python3.14; do
    [ -n "$candidate" ] || continue
    if command -v "$candidate" >/dev/null 2>&1 &&
      "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
      command -v "$candidate"
      return 0
    fi
  done
  return 1
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null 2>&1; then sudo "$@"; else return 127; fi
}

install_system_packages() {
  echo "setup: installing the system packages: $*"
  if ! as_root apt-get update -q ||
    ! as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"; then
    echo "setup: could not install $*: install them by hand and run this again" >&2
    exit 2
  fi
}

if [ "$venv" = --sandbox ]; then
  # Without them `make demo` goes on, and says what is missing.
  action/sandbox.sh --packages || echo "setup: going on without the sandbox" >&2
  exit 0
fi

python=$(find_python) || {
  if command -v apt-get >/dev/null 2>&1; then
    install_system_packages python3 python3-venv
    python=$(find_python) || { echo "setup: Python 3.11 or later is needed; set PYTHON=/path/to/python3.11" >&2; exit 2; }
  else
    echo "setup: Python 3.11 or later is needed; set PYTHON=/path/to/python3.11" >&2
    exit 2
  fi
}

# Debian and Ubuntu ship Python without ensurepip, which makes a venv without pip.
if ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1 && command -v apt-get >/dev/null 2>&1; then
  version=$("$python" -c 'import sys; print(f"{sys.version_info[0]}.{sys.version_info[1]}")')
  install_system_packages "python$version-venv"
fi

echo "setup: virtual environment in $venv (with $python), packages of requirements/dev.txt, all by hash"
"$python" -m venv --clear "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements/dev.txt
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index --editable .
