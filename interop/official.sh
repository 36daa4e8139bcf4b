#!/usr/bin/env bash
# Runs grpc-go's own interop client and test service against ours, plaintext and
# TLS, on loopback: their client and our server, our client and their server. The
# matrix test pairs the implementations with our cases; here the other side's
# cases and services are foreign too.
#
#   IMPLEMENTATION=grpc-go   our binaries run on grpc-go, to check the harness
#   BIN=dir                  where the binaries go (default .bin)
set -euo pipefail
cd "$(dirname "$0")"
. ./serving.sh

version=v1.85.0
bin=$(mkdir -p "${BIN:-.bin}" && cd "${BIN:-.bin}" && pwd)
limit=${LIMIT:-60} # seconds, of one case
ours=(${IMPLEMENTATION:+--implementation="$IMPLEMENTATION"})

# What grpc-go's client knows and runs offline, and what its server lacks.
their_cases="empty_unary large_unary client_streaming server_streaming ping_pong empty_stream
	timeout_on_sleeping_server cancel_after_begin cancel_after_first_response status_code_and_message
	special_status_message custom_metadata unimplemented_method unimplemented_service pick_first_unary
	rpc_soak channel_soak"
their_lacks=" pick_first_unary client_compressed_unary client_compressed_streaming server_compressed_unary server_compressed_streaming "

[ -x "$bin/official-client" ] || {
	(cd / && GOBIN=$bin go install "google.golang.org/grpc/interop/client@$version")
	mv "$bin/client" "$bin/official-client"
}
(cd official && go build -o "$bin/official-server" ./server)
for name in client server; do
	go build -tags "grpcnotrace${TAGS:+,$TAGS}" -o "$bin/interop-$name" "./$name"
done

failed=0
# run_cases TITLE CASES CLIENT-COMMAND...
run_cases() {
	local title=$1 list=$2 c n=0 passed=0
	shift 2
	for c in $list; do
		n=$((n + 1))
		if timeout "$limit" "$@" --server_host=127.0.0.1 --server_port="$port" --test_case="$c" >"$bin/official-client.log" 2>&1; then
			passed=$((passed + 1))
		else
			failed=1
			echo "   FAILED $c"
			tail -n 3 "$bin/official-client.log" | sed 's/^/      /'
		fi
	done
	echo "== $title: $passed of $n passed"
	stop_all
}

for security in plaintext tls; do
	certs=() server=() client=()
	if [ $security = tls ]; then
		certs=(--tls_cert_file="$PWD/testdata/server.pem" --tls_key_file="$PWD/testdata/server.key.pem")
		server=(--use_tls "${certs[@]}")
		client=(--use_tls --use_test_ca --ca_file="$PWD/testdata/ca.pem" --server_host_override=foo.test.google.fr)
	fi
	serve "$bin/interop-server.log" "$bin/interop-server" --port=0 "${ours[@]}" "${server[@]}"
	run_cases "grpc-go's client, our server, $security" "$their_cases" "$bin/official-client" "${client[@]}"

	our_cases=
	for c in $("$bin/interop-client" --list); do
		case "$their_lacks" in *" $c "*) ;; *) our_cases+="$c " ;; esac
	done
	serve "$bin/official-server.log" "$bin/official-server" "${certs[@]}"
	run_cases "our client, grpc-go's server, $security" "$our_cases" "$bin/interop-client" "${ours[@]}" "${client[@]}"
done
exit $failed
