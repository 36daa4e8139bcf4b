#!/usr/bin/env bash
# Regenerates conformancev1 from the proto folder of connectrpc.com/conformance.
# Needs protoc (Debian: protobuf-compiler) and the network; the result is
# committed, so nothing else needs them.
set -euo pipefail
cd "$(dirname "$0")"

suite=v1.0.6
bin=${BIN:-$PWD/.bin}
mkdir -p "$bin"
GOBIN=$bin go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12
GOBIN=$bin go install google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2

protos=$(cd / && go mod download -json "connectrpc.com/conformance@$suite" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')/proto
pkg=github.com/callboard-rpc/callboard/interop/conformance/conformancev1
args=()
files=()
for f in config service client_compat server_compat; do
	file=connectrpc/conformance/v1/$f.proto
	files+=("$file")
	args+=("--go_opt=M$file=$pkg" "--go-grpc_opt=M$file=$pkg")
done
module=github.com/callboard-rpc/callboard/interop/conformance
PATH="$bin:$PATH" protoc -I "$protos" \
	--go_out=. --go_opt=module=$module --go-grpc_out=. --go-grpc_opt=module=$module \
	"${args[@]}" "${files[@]}"
