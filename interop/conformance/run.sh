#!/usr/bin/env bash
# Runs connectconformance, the full gRPC configuration, against our client and
# our server. Everything stays on loopback.
#
#   ./run.sh                            both modes
#   ./run.sh client|server              one mode
#   ./run.sh server --run '**/unary/*'  further arguments go to connectconformance
#
#   IMPLEMENTATION=grpc-go   test grpc-go instead, to check the harness itself
#   CONF=file.yaml           another configuration
#   BIN=dir                  where the binaries go (default .bin)
set -euo pipefail
cd "$(dirname "$0")"

suite=v1.0.6 # v1.0.7 does not build
bin=$(mkdir -p "${BIN:-.bin}" && cd "${BIN:-.bin}" && pwd)
conf=${CONF:-config.yaml}
modes="client server"
case "${1:-}" in
client | server) modes=$1 && shift ;;
esac

if [ ! -x "$bin/connectconformance-$suite" ]; then
	(cd / && GOBIN=$bin go install "connectrpc.com/conformance/cmd/connectconformance@$suite")
	mv "$bin/connectconformance" "$bin/connectconformance-$suite"
fi
for mode in $modes; do
	go build -tags "grpcnotrace${TAGS:+,$TAGS}" -o "$bin/conformance-$mode" "./$mode"
done

impl=()
[ -z "${IMPLEMENTATION:-}" ] || impl=(--implementation "$IMPLEMENTATION")

failed=0
for mode in $modes; do
	known=known-failing-${IMPLEMENTATION:-}-$mode.txt
	args=()
	[ ! -f "$known" ] || args=(--known-failing "@$known")
	echo "== connectconformance $suite: $mode"
	timeout "${LIMIT:-600}" "$bin/connectconformance-$suite" --conf "$conf" --mode "$mode" \
		"${args[@]}" "$@" -- "$bin/conformance-$mode" "${impl[@]}" || failed=1
done
exit $failed
