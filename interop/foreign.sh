#!/usr/bin/env bash
# Runs other implementations as client and as server against ours, plaintext
# and TLS, on loopback: Debian's python3-grpcio (C-core) and npm's grpc-js.
# Installs what is missing with apt-get and npm.
#
#   ./foreign.sh [python] [node]   which peers (default: both)
#
#   IMPLEMENTATION=grpc-go   test grpc-go instead, to check the programs here
#   BIN=dir                  where binaries and packages go (default .bin)
set -euo pipefail
cd "$(dirname "$0")"
. ./serving.sh

bin=$(mkdir -p "${BIN:-.bin}" && cd "${BIN:-.bin}" && pwd)
here=$PWD
limit=${LIMIT:-120} # seconds, of one client
langs=${*:-python node}

install_packages() {
	local p missing=()
	for p in "$@"; do
		dpkg -s "$p" >/dev/null 2>&1 || missing+=("$p")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	local sudo=
	[ "$(id -u)" = 0 ] || sudo=sudo
	$sudo apt-get update -qq
	DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# The official .proto files with their imports moved to protos/: as grpc/testing
# their Python code would hide package grpc.
protos=$bin/foreign
prepare_protos() {
	local f
	install_packages grpc-proto
	mkdir -p "$protos/protos"
	for f in empty messages test; do
		sed 's,import "grpc/testing/,import "protos/,' "/usr/share/grpc-proto/grpc/testing/$f.proto" >"$protos/protos/$f.proto"
	done
}

prepare_python() {
	install_packages python3-grpcio python3-protobuf protobuf-compiler protobuf-compiler-grpc
	(cd "$protos" && protoc -I . --python_out=. --grpc_python_out=. \
		--plugin=protoc-gen-grpc_python=/usr/bin/grpc_python_plugin protos/*.proto)
	# Not "python3": that may be a build without Debian's packages.
	python_client() { PYTHONPATH=$protos /usr/bin/python3 "$here/foreign/client.py" --port "$1" ${2:+--ca "$2"}; }
	python_server=(env PYTHONPATH="$protos" /usr/bin/python3 "$here/foreign/server.py")
	python_tls=(--cert "$here/testdata/server.pem" --key "$here/testdata/server.key.pem")
	python_lacks="client_compressed_unary client_compressed_streaming"
}

prepare_node() {
	command -v npm >/dev/null || install_packages nodejs npm
	mkdir -p "$bin/node"
	cp foreign/*.js foreign/package.json "$bin/node/"
	[ -d "$bin/node/node_modules" ] || npm install --prefix "$bin/node" --no-audit --no-fund --silent
	node_client() { PROTOS=$protos node "$bin/node/client.js" "$@"; }
	node_server=(env PROTOS="$protos" node "$bin/node/server.js")
	node_tls=("$here/testdata/server.pem" "$here/testdata/server.key.pem")
	node_lacks="client_compressed_unary client_compressed_streaming server_compressed_unary server_compressed_streaming"
}

failed=0
ours=(${IMPLEMENTATION:+--implementation="$IMPLEMENTATION"})

# their_client LANG [tls]
their_client() {
	local flags=() ca=
	[ -z "${2:-}" ] || { flags=(--use_tls) && ca=$here/testdata/ca.pem; }
	serve "$bin/foreign-server.log" "$bin/interop-server" --port=0 "${ours[@]}" "${flags[@]}"
	echo "== $1 client, our server, ${2:-plaintext}"
	export -f "$1_client"
	export protos bin here
	timeout "$limit" bash -c "$1_client $port $ca" || failed=1
	stop_all
}

# their_server LANG [tls]
their_server() {
	local -n command=$1_server tls=$1_tls lacks=$1_lacks
	local flags=() extra=() c n=0 passed=0
	[ -z "${2:-}" ] || { extra=("${tls[@]}") && flags=(--use_tls --use_test_ca --server_host_override=foo.test.google.fr); }
	serve "$bin/foreign-server.log" "${command[@]}" "${extra[@]}"
	echo "== our client, $1 server, ${2:-plaintext}"
	for c in $("$bin/interop-client" --list); do
		case " $lacks " in *" $c "*) continue ;; esac
		n=$((n + 1))
		if timeout "$limit" "$bin/interop-client" --server_host=127.0.0.1 --server_port="$port" --test_case="$c" \
			"${ours[@]}" "${flags[@]}" >"$bin/foreign-client.log" 2>&1; then
			passed=$((passed + 1))
		else
			failed=1
			sed 's/^/   /' "$bin/foreign-client.log" | tail -n 3
		fi
	done
	echo "   $passed of $n passed (the server lacks: $lacks)"
	stop_all
}

go build -tags "grpcnotrace${TAGS:+,$TAGS}" -o "$bin/interop-server" ./server
go build -tags "grpcnotrace${TAGS:+,$TAGS}" -o "$bin/interop-client" ./client
prepare_protos
for lang in $langs; do
	"prepare_$lang"
	for security in "" tls; do
		their_client "$lang" $security
		their_server "$lang" $security
	done
done
exit $failed
