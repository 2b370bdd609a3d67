#!/usr/bin/env bash
# Prepares this machine for `scangate check --local`, as far as `scangate doctor` finds something missing: the sandbox's
# programs by apt, and on Ubuntu 24.04 and later AppArmor's leave for bwrap and unshare to make a user namespace.
#
# SCANGATE_PYTHON is the Python that scangate is installed in. Exit code 2 where something is still missing.
# With --packages: the programs alone, for `make demo` and `make test`.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=action/common.sh
. "$here/common.sh"
PATH=$PATH:/usr/sbin:/sbin
restriction=kernel.apparmor_restrict_unprivileged_userns
profile=/etc/apparmor.d/scangate

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null; then sudo "$@"; else return 127; fi
}

install_packages() {
  local packages=() pair
  for pair in bwrap:bubblewrap strace:strace ip:iproute2 unshare:util-linux setpriv:util-linux node:nodejs npm:npm; do
    command -v "${pair%%:*}" >/dev/null || packages+=("${pair#*:}")
  done
  [ "${#packages[@]}" -gt 0 ] || return 0
  echo "scangate: installing the sandbox's programs: ${packages[*]}"
  command -v apt-get >/dev/null || { echo "scangate: there is no apt-get; install ${packages[*]} by hand" >&2; return 1; }
  as_root apt-get update -q &&
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${packages[@]}"
}

is_restricted() { [ "$(sysctl -n "$restriction" 2>/dev/null)" = 1 ]; }

# As `scangate doctor` advises: these two programs, and no others.
allow_by_profile() {
  echo "scangate: AppArmor keeps user namespaces from bwrap and unshare: $profile allows them"
  printf 'abi <abi/4.0>,\nprofile scangate-bwrap %s flags=(unconfined) { userns, }\nprofile scangate-unshare %s flags=(unconfined) { userns, }\n' \
    "$(command -v bwrap)" "$(command -v unshare)" | as_root tee "$profile" >/dev/null &&
    as_root apparmor_parser -r "$profile"
}

allow_by_switch() {
  echo "scangate: the profile does not do; switching $restriction off on this machine"
  as_root sysctl -q -w "$restriction=0"
}

doctor() { "$SCANGATE_PYTHON" -I -m scangate doctor; }

if [ "${1:-}" = --packages ]; then
  install_packages
  exit
fi

cd "${RUNNER_TEMP//\\//}"
[ "$(uname -s)" = Linux ] || fail 2 "Input local: the analysis on the runner itself needs Linux. Use runs-on: ubuntu-latest, or an analysis service (api-key)."
doctor 2>/dev/null && exit 0
# Each step may fail: doctor says in the end whether it did, and what is missing.
install_packages || true
if is_restricted; then
  allow_by_profile || true
  doctor 2>/dev/null && exit 0
  allow_by_switch || true
fi
doctor || fail 2 "Input local: this runner lacks something that the sandbox needs; the log names it, and the command that mends it. There is no mode with less isolation."
