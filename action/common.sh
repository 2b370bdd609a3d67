# shellcheck shell=bash
# Sourced by the action's scripts: messages and outputs in the runner's own language.

# A text as a workflow command may carry it.
escaped() {
  local text=${1//%/%25}
  text=${text//$'\r'/%0D}
  printf '%s' "${text//$'\n'/%0A}"
}

# An error that ends the step: what is wrong and what to do now.
fail() {
  echo "::error title=scangate::$(escaped "$2")" >&2
  exit "$1"
}

# output NAME VALUE: an output of the step. The delimiter cannot be guessed, so that no value can end it.
output() {
  local delimiter
  delimiter=scangate_$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
  printf '%s<<%s\n%s\n%s\n' "$1" "$delimiter" "$2" "$delimiter" >>"$GITHUB_OUTPUT"
}
