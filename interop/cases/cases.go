// Package cases holds the client side of the official gRPC interop test cases,
// as functions that return an error. They follow
// https://github.com/grpc/grpc/blob/master/doc/interop-test-descriptions.md
// and run over any grpc.ClientConnInterface.
package cases

import (
	"context"
	"fmt"
	"io"

	"google.golang.org/grpc"
	pb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/callboard-rpc/callboard/interop/peer"
)

// Channel is a connection that a case opens and closes itself.
type Channel interface {
	grpc.ClientConnInterface
	io.Closer
}

// Env is what a case works with.
type Env struct {
	// Conn carries every case but channel_soak. The server_compressed cases
	// need it to have observe.Handler as a stats handler.
	Conn grpc.ClientConnInterface
	// Open makes a fresh channel to the same server, for channel_soak.
	Open func() (Channel, error)
	// Prepare encodes m as st would send it, for client_compressed_streaming;
	// see peer.Stack.
	Prepare func(st peer.Stream, m any) (any, error)
	// Parallel is the number of calls of concurrent_large_unary; 0 means the
	// 1000 of the description.
	Parallel int
	Soak     Soak
}

func (e *Env) stub() pb.TestServiceClient { return pb.NewTestServiceClient(e.Conn) }

// Case is one official test case.
type Case struct {
	Name string
	Run  func(ctx context.Context, e *Env) error
}

// All returns the cases that need no cloud, in the order of the description.
func All() []Case {
	return []Case{
		{"empty_unary", emptyUnary},
		{"large_unary", largeUnary},
		{"client_compressed_unary", clientCompressedUnary},
		{"server_compressed_unary", serverCompressedUnary},
		{"client_streaming", clientStreaming},
		{"client_compressed_streaming", clientCompressedStreaming},
		{"server_streaming", serverStreaming},
		{"server_compressed_streaming", serverCompressedStreaming},
		{"ping_pong", pingPong},
		{"empty_stream", emptyStream},
		{"custom_metadata", customMetadata},
		{"status_code_and_message", statusCodeAndMessage},
		{"special_status_message", specialStatusMessage},
		{"unimplemented_method", unimplementedMethod},
		{"unimplemented_service", unimplementedService},
		{"cancel_after_begin", cancelAfterBegin},
		{"cancel_after_first_response", cancelAfterFirstResponse},
		{"timeout_on_sleeping_server", timeoutOnSleepingServer},
		{"concurrent_large_unary", concurrentLargeUnary},
		{"pick_first_unary", pickFirstUnary},
		{"rpc_soak", rpcSoak},
		{"channel_soak", channelSoak},
	}
}

// absent names the cases of the description that cannot run here, and why.
var absent = map[string]string{
	"cacheable_unary":                    "it needs a caching proxy and GET, which gRPC for Go never sends",
	"compute_engine_creds":               "it needs Google Compute Engine",
	"service_account_creds":              "it needs a Google service account",
	"jwt_token_creds":                    "it needs a Google service account",
	"oauth2_auth_token":                  "it needs a Google service account",
	"per_rpc_creds":                      "it needs a Google service account",
	"google_default_credentials":         "it needs Google credentials",
	"compute_engine_channel_credentials": "it needs Google Compute Engine",
	"orca_per_rpc":                       "ORCA load reports are not part of this client",
	"orca_oob":                           "ORCA load reports are not part of this client",
}

// ByName returns the case with the official name.
func ByName(name string) (Case, error) {
	for _, c := range All() {
		if c.Name == name {
			return c, nil
		}
	}
	if why, ok := absent[name]; ok {
		return Case{}, fmt.Errorf("test case %q does not run here: %s", name, why)
	}
	return Case{}, fmt.Errorf("no test case %q", name)
}
