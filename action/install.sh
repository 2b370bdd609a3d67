#!/usr/bin/env bash
# Installs scangate from the action's own files into a virtual environment of its own, every package by hash.
#
# The workspace is the attacker's: no setting and no module of it is looked for. Of pip's settings only the
# environment's index and its connection count; whatever the index serves has to have the hash of the lock.
# Outputs: python (the environment's), id (of this installation), cache (the folder of the reports' cache), fresh
# (whether that has to be restored); verdict where nothing can be installed, and no input is to blame.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=action/common.sh
. "$here/common.sh"
action=$(dirname "$here")
temporary=${RUNNER_TEMP//\\//}
cd "$temporary"

for name in "${!PIP_@}"; do
  case $name in
    PIP_INDEX_URL | PIP_PROXY | PIP_CERT | PIP_CLIENT_CERT | PIP_DEFAULT_TIMEOUT | PIP_RETRIES) ;;
    *) unset "$name" ;;
  esac
done
# pip starts the build backend without -I.
for name in "${!PYTHON@}"; do
  unset "$name"
done

incomplete() {
  output verdict incomplete
  fail 3 "scangate could not be installed$1"
}

python=$(bash "$here/python.sh")
venv=$(mktemp -d "$temporary/scangate-XXXXXXXX")
PIP_CONFIG_FILE=$("$python" -I -c 'import os; print(os.devnull)')
export PIP_CONFIG_FILE PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

echo "scangate: installing with $python into $venv, every package by hash"
"$python" -I -m venv "$venv" || incomplete ": no virtual environment can be made with $python. This is no finding; name another Python with the input python."
bin=$venv/bin/python
[ -x "$bin" ] || bin=$venv/Scripts/python.exe
{
  "$bin" -I -m pip install --quiet --require-hashes --only-binary :all: -r "$action/requirements/action.txt" &&
    "$bin" -I -m pip install --quiet --no-deps --no-build-isolation --no-index "$action"
} || incomplete "; the log says why. This is no finding: the package index was out of reach, or served something that has not the hash of the lock. Run the job again; PIP_INDEX_URL names another index."
"$bin" -I -m scangate --version

cache=$temporary/scangate-cache
fresh=false
if [ ! -d "$cache" ]; then
  mkdir -m 700 "$cache"
  fresh=true
fi
output python "$bin"
output id "${venv##*-}"
output cache "$cache"
output fresh "$fresh"
