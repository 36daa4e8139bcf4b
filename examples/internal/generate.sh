#!/usr/bin/env bash
# Regenerates the stubs of the examples. Needs protoc (Debian: protobuf-compiler).
set -euo pipefail
cd "$(dirname "$0")"

bin=$PWD/.bin
GOBIN=$bin go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12
GOBIN=$bin go install google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2
PATH=$bin:$PATH protoc --go_out=. --go_opt=paths=source_relative \
	--go-grpc_out=. --go-grpc_opt=paths=source_relative ./*/*.proto
