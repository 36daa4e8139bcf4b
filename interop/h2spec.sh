#!/usr/bin/env bash
# Runs h2spec in strict mode against our interop server, plaintext and TLS, on
# loopback. Prints the cases that failed and fails when fewer than FLOOR passed.
#
#   FLOOR=135                passed cases needed of 146
#   RUNS=1                   repetitions of each; more of them find flapping cases
#   IMPLEMENTATION=grpc-go   test grpc-go instead, for comparison
#   BIN=dir                  where the binaries go (default .bin)
#   H2SPEC_ARGS="http2/6.5"  further arguments for h2spec, e.g. the cases to run
set -euo pipefail
cd "$(dirname "$0")"
. ./serving.sh

bin=$(mkdir -p "${BIN:-.bin}" && cd "${BIN:-.bin}" && pwd)
floor=${FLOOR:-135}
[ -x "$bin/h2spec" ] || (cd / && GOBIN=$bin go install github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible)
go build -tags "grpcnotrace${TAGS:+,$TAGS}" -o "$bin/interop-server" ./server

failed=0
# run NAME H2SPEC-FLAGS... -- SERVER-FLAGS...
run() {
	local name=$1 log report flags=() passed
	shift
	while [ "$1" != -- ]; do flags+=("$1") && shift; done
	shift
	log=$bin/h2spec-$name.log report=$bin/h2spec-$name.xml
	rm -f "$report"
	serve "$bin/h2spec-server.log" "$bin/interop-server" --port=0 \
		${IMPLEMENTATION:+--implementation="$IMPLEMENTATION"} "$@"
	# h2spec exits with 1 when any case failed; the floor decides here.
	# shellcheck disable=SC2086
	timeout "${LIMIT:-300}" "$bin/h2spec" -h 127.0.0.1 -p "$port" -o 1 -S -j "$report" \
		"${flags[@]}" ${H2SPEC_ARGS:-} >"$log" 2>&1 || true
	stop_all
	passed=$(sed -n 's/^[0-9]* tests, \([0-9]*\) passed.*/\1/p' "$log")
	echo "== h2spec strict, $name: $(grep -E '^[0-9]+ tests, ' "$log" || echo "no result, see $log")"
	python3 - "$report" <<'PY' || true
import sys, xml.etree.ElementTree as tree
for case in tree.parse(sys.argv[1]).iter("testcase"):
    for outcome in ("failure", "error", "skipped"):
        found = case.find(outcome)
        if found is not None:
            got = (found.text or "").strip().splitlines()[-1:]
            print(f"   {outcome:8} {case.get('package')}: {case.get('classname')}", *("-- got " + g for g in got))
PY
	if [ "${passed:-0}" -lt "$floor" ]; then
		echo "   FAILED: ${passed:-0} passed, $floor are needed"
		failed=1
	fi
}

for ((i = 0; i < ${RUNS:-1}; i++)); do
	run plaintext --
	run tls -t -k -- --use_tls
done
exit $failed
