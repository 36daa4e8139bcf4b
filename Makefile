# Every target is a section of .ci/run; see there for what it does.

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z][a-z0-9-]*:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## Show a system at work: load, a cut connection, recovery, the actor tree
	go run -tags grpcnotrace ./cmd/callboard demo

.PHONY: test
test: ## Run all tests
	.ci/run test

.PHONY: race
race: ## Run the library's tests under the race detector
	.ci/run race

.PHONY: vet
vet: ## Vet on Linux, macOS and Windows
	.ci/run vet

.PHONY: lint
lint: ## Lint, the layer rules included
	.ci/run lint

.PHONY: fmt
fmt: ## Format all Go code
	@test -x .ci/bin/golangci-lint || .ci/run lint
	.ci/bin/golangci-lint fmt

.PHONY: fuzz
fuzz: ## Run each fuzz target for a few seconds
	.ci/run fuzz

.PHONY: examples
examples: ## Build and run every example
	.ci/run examples

.PHONY: bench
bench: ## Compare callboard with grpc-go, a few minutes
	go run -tags grpcnotrace ./benchmark

.PHONY: interop
interop: ## Run the official interop cases, connectconformance and h2spec
	.ci/run official conformance h2spec

.PHONY: generate
generate: ## Regenerate the examples' stubs (needs protoc)
	examples/internal/generate.sh

.PHONY: ci
ci: ## Everything that has to pass before a merge
	.ci/run
