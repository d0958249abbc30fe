# shellcheck shell=bash
# Sourced by .ci/run: runs steps, and sums up what they counted.
#
# A step that counts leaves JUnit files in $BUN_VFIO_JUNIT; their totals are what is summed, never a step's own word.
# A skipped test is a failed one here: where everything is to be proved, nothing is left out.

passed=0
failed=0
BUN_VFIO_JUNIT=$(mktemp -d)
export BUN_VFIO_JUNIT
trap 'rm -rf "$BUN_VFIO_JUNIT"' EXIT

# attribute NAME FILE: the number in NAME="..." of the file's <testsuites> element, or nothing
attribute() {
  sed -n "s/.*<testsuites [^>]*\b$1=\"\([0-9][0-9]*\)\".*/\1/p" "$2" | head -n 1
}

# fail REASON: one more failed, with the reason on a line of its own
fail() {
  failed=$((failed + 1))
  echo "ci: failed: $1" >&2
}

# count FILE: adds a JUnit file's totals
count() {
  local tests failures skipped name bad
  name=$(basename "$1")
  tests=$(attribute tests "$1")
  failures=$(attribute failures "$1")
  skipped=$(attribute skipped "$1")
  if [ -z "$tests" ] || [ -z "$failures" ] || [ -z "$skipped" ]; then
    fail "$name has no totals"
    return
  fi
  if [ "$tests" -eq 0 ]; then
    fail "$name holds no test"
    return
  fi
  bad=$((failures + skipped))
  passed=$((passed + tests - bad))
  failed=$((failed + bad))
  [ "$skipped" -eq 0 ] || echo "ci: $skipped tests of $name were skipped and count as failed" >&2
}

# step REPORTS COMMAND...: runs a command, and counts the JUnit files that it leaves. REPORTS names those it has to leave
# ("-" for none): a missing one counts as one failed, and so does a command that fails though nothing it counted did.
step() {
  local reports=$1 report status=0 before=$failed
  shift
  echo "== $*"
  rm -f "$BUN_VFIO_JUNIT"/*.xml
  "$@" </dev/null || status=$?
  for report in $reports; do
    [ "$report" = - ] || [ -f "$BUN_VFIO_JUNIT/$report.xml" ] || fail "$* left no report $report"
  done
  for report in "$BUN_VFIO_JUNIT"/*.xml; do
    [ ! -f "$report" ] || count "$report"
  done
  if [ "$status" -ne 0 ] && [ "$failed" -eq "$before" ]; then
    fail "$* exited with $status"
  fi
}

# finish: prints the totals as the last line and exits with 1 if anything failed, or if nothing ran
finish() {
  [ $((passed + failed)) -gt 0 ] || fail "nothing ran"
  echo "$passed passed, $failed failed"
  [ "$failed" -eq 0 ] && exit 0
  exit 1
}
