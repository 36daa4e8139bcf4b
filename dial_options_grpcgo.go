package callboard

import (
	"context"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/channelz"
	"google.golang.org/grpc/credentials/insecure"
)

// The options below are here for programs that come from grpc-go: what it has
// deprecated in favour of another option, what only its Dial listens to, and
// what it does that callboard does not.

// EmptyDialOption changes nothing. It can be embedded to build options of
// one's own.
type EmptyDialOption struct{}

func (EmptyDialOption) applyClient(*dialOptions) {}

// WithBackoffConfig sets the most that connection backoff waits.
//
// Deprecated: as in grpc-go; use WithConnectParams.
func WithBackoffConfig(b grpc.BackoffConfig) DialOption { return WithBackoffMaxDelay(b.MaxDelay) }

// WithBackoffMaxDelay sets the most that connection backoff waits. Default
// 120 s.
//
// Deprecated: as in grpc-go; use WithConnectParams.
func WithBackoffMaxDelay(d time.Duration) DialOption {
	return dialOption(func(o *dialOptions) {
		o.backoff = backoff.DefaultConfig
		o.backoff.MaxDelay = d
	})
}

// WithCodec sends and reads all messages with c.
//
// Deprecated: as in grpc-go; use WithDefaultCallOptions with ForceCodec.
func WithCodec(c grpc.Codec) DialOption {
	return WithDefaultCallOptions(grpc.CallCustomCodec(c))
}

// WithDialer sets how sockets are made. f gets the address and how long it may
// take; 0 is no limit.
//
// Deprecated: as in grpc-go; use WithContextDialer.
func WithDialer(f func(addr string, timeout time.Duration) (net.Conn, error)) DialOption {
	return WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
		if at, ok := ctx.Deadline(); ok {
			return f(addr, time.Until(at))
		}
		return f(addr, 0)
	})
}

// WithInsecure is WithTransportCredentials of insecure.NewCredentials.
//
// Deprecated: as in grpc-go.
func WithInsecure() DialOption { return WithTransportCredentials(insecure.NewCredentials()) }

// WithMaxMsgSize limits a received message, in octets. Default 4 MiB.
//
// Deprecated: as in grpc-go; use WithDefaultCallOptions with
// MaxCallRecvMsgSize.
func WithMaxMsgSize(n int) DialOption { return WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(n)) }

// WithBlock does nothing, as with grpc-go's NewClient: Connect and
// WaitForStateChange wait for a connection.
//
// Deprecated: as in grpc-go.
func WithBlock() DialOption { return EmptyDialOption{} }

// WithTimeout does nothing, as with grpc-go's NewClient.
//
// Deprecated: as in grpc-go.
func WithTimeout(time.Duration) DialOption { return EmptyDialOption{} }

// WithReturnConnectionError does nothing, as with grpc-go's NewClient: the
// status of an RPC without a connection has the last error.
//
// Deprecated: as in grpc-go.
func WithReturnConnectionError() DialOption { return EmptyDialOption{} }

// FailOnNonTempDialError does nothing, as with grpc-go's NewClient.
//
// Deprecated: as in grpc-go.
func FailOnNonTempDialError(bool) DialOption { return EmptyDialOption{} }

// WithChannelzParentID does nothing: there is no channelz. System.Inspect shows
// what it would.
func WithChannelzParentID(channelz.Identifier) DialOption { return EmptyDialOption{} }
