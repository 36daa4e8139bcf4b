package callboard

import (
	"context"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/stats"

	"github.com/callboard-rpc/callboard/conn"
	"github.com/callboard-rpc/callboard/internal/attempt"
	ownresolver "github.com/callboard-rpc/callboard/resolver"
)

// DialOption configures a ClientConn. Options carry grpc-go's names, meanings
// and defaults unless their comment says otherwise.
type DialOption interface{ applyClient(*dialOptions) }

type dialOption func(*dialOptions)

func (f dialOption) applyClient(o *dialOptions) { f(o) }

// ConnectParams says how connections are attempted.
type ConnectParams = grpc.ConnectParams

type dialOptions struct {
	creds             credentials.TransportCredentials
	bundle            credentials.Bundle
	perRPC            []credentials.PerRPCCredentials
	authority         string
	userAgent         string
	dialer            func(context.Context, string) (net.Conn, error)
	callOptions       []grpc.CallOption
	serviceConfig     string // JSON
	noServiceConfig   bool   // the resolver's is not wanted
	unary             grpc.UnaryClientInterceptor
	unaryChain        []grpc.UnaryClientInterceptor
	stream            grpc.StreamClientInterceptor
	streamChain       []grpc.StreamClientInterceptor
	stats             []stats.Handler
	keepalive         keepalive.ClientParameters
	backoff           backoff.Config
	minConnectTimeout time.Duration
	window            int32
	connWindow        int32
	writeBuffer       int
	readBuffer        int
	maxHeaderList     uint32
	resolvers         []resolver.Builder
	dns               ownresolver.DNS
	supervise         conn.Supervisor
	disableRetry      bool
	maxAttempts       int // of one RPC; 0: attempt.DefaultLimit
	compressor        encoding.Compressor
	decompressor      grpc.Decompressor //nolint:staticcheck // deprecated in grpc-go, still honoured
	limits            limits
	channelOptions
}

func defaultDialOptions() dialOptions {
	return dialOptions{
		backoff: backoff.DefaultConfig, minConnectTimeout: 20 * time.Second,
		limits: newLimits(), dns: ownresolver.DefaultDNS(),
		channelOptions: defaultChannelOptions(),
	}
}

// WithTransportCredentials sets how connections are secured. Required, as is
// one of insecure.NewCredentials or local.NewCredentials for plaintext.
func WithTransportCredentials(c credentials.TransportCredentials) DialOption {
	return dialOption(func(o *dialOptions) { o.creds = c })
}

// WithCredentialsBundle sets transport and per-RPC credentials together.
func WithCredentialsBundle(b credentials.Bundle) DialOption {
	return dialOption(func(o *dialOptions) { o.bundle = b })
}

// WithPerRPCCredentials adds credentials to every RPC.
func WithPerRPCCredentials(c credentials.PerRPCCredentials) DialOption {
	return dialOption(func(o *dialOptions) { o.perRPC = append(o.perRPC, c) })
}

// WithAuthority sets the :authority header and the name that TLS verifies.
// Default: the target's host, or what the resolver says.
func WithAuthority(a string) DialOption {
	return dialOption(func(o *dialOptions) { o.authority = a })
}

// WithUserAgent puts s before callboard's own user agent.
func WithUserAgent(s string) DialOption { return dialOption(func(o *dialOptions) { o.userAgent = s }) }

// WithContextDialer sets how sockets are made. The address is as the resolver
// gave it; those of "unix" targets are "unix:///absolute" or "unix:relative".
// Default: net.Dialer.
func WithContextDialer(f func(context.Context, string) (net.Conn, error)) DialOption {
	return dialOption(func(o *dialOptions) { o.dialer = f })
}

// WithDefaultCallOptions sets options that precede each call's own.
func WithDefaultCallOptions(opts ...grpc.CallOption) DialOption {
	return dialOption(func(o *dialOptions) { o.callOptions = append(o.callOptions, opts...) })
}

// WithDefaultServiceConfig sets the JSON service config to use while the
// resolver offers none.
func WithDefaultServiceConfig(js string) DialOption {
	return dialOption(func(o *dialOptions) { o.serviceConfig = js })
}

// WithDisableServiceConfig ignores the resolver's service config, and asks it
// to look for none. The default one counts.
func WithDisableServiceConfig() DialOption {
	return dialOption(func(o *dialOptions) { o.noServiceConfig = true })
}

// WithDisableRetry turns off retries and hedging by service config. Transparent
// retries of RPCs that no server has seen stay on, as in grpc-go.
func WithDisableRetry() DialOption {
	return dialOption(func(o *dialOptions) { o.disableRetry = true })
}

// WithMaxCallAttempts sets how many attempts of one RPC a retry or hedging
// policy of the service config may make, the first one included (gRFC A6). Less
// than 2 is the default of 5.
func WithMaxCallAttempts(n int) DialOption {
	return dialOption(func(o *dialOptions) {
		o.maxAttempts = n
		if n < 2 {
			o.maxAttempts = attempt.DefaultLimit
		}
	})
}

// WithUnaryInterceptor sets the outermost interceptor of unary RPCs.
func WithUnaryInterceptor(i grpc.UnaryClientInterceptor) DialOption {
	return dialOption(func(o *dialOptions) { o.unary = i })
}

// WithChainUnaryInterceptor adds interceptors of unary RPCs; the first is the
// outermost.
func WithChainUnaryInterceptor(is ...grpc.UnaryClientInterceptor) DialOption {
	return dialOption(func(o *dialOptions) { o.unaryChain = append(o.unaryChain, is...) })
}

// WithStreamInterceptor sets the outermost interceptor of streaming RPCs.
func WithStreamInterceptor(i grpc.StreamClientInterceptor) DialOption {
	return dialOption(func(o *dialOptions) { o.stream = i })
}

// WithChainStreamInterceptor adds interceptors of streaming RPCs; the first is
// the outermost.
func WithChainStreamInterceptor(is ...grpc.StreamClientInterceptor) DialOption {
	return dialOption(func(o *dialOptions) { o.streamChain = append(o.streamChain, is...) })
}

// WithStatsHandler adds a stats handler. It hears of RPCs and connections in
// grpc-go's order.
func WithStatsHandler(h stats.Handler) DialOption {
	return dialOption(func(o *dialOptions) {
		if h != nil {
			o.stats = append(o.stats, h)
		}
	})
}

// WithKeepaliveParams sets when an idle connection is pinged. Time below 10 s
// counts as 10 s (gRFC A8). Default: off.
func WithKeepaliveParams(p keepalive.ClientParameters) DialOption {
	return dialOption(func(o *dialOptions) {
		p.Time = max(p.Time, leastPingTime)
		o.keepalive = p
	})
}

// WithConnectParams sets connection backoff (default 1 s, x1.6, 120 s, jitter
// 0.2) and the least time an attempt is given (default 20 s).
func WithConnectParams(p ConnectParams) DialOption {
	return dialOption(func(o *dialOptions) {
		o.backoff = p.Backoff
		o.minConnectTimeout = p.MinConnectTimeout
	})
}

// WithInitialWindowSize sets the receive window of a stream in octets; values
// below 64 KiB are ignored. Default 65,535. Windows grow from there for large
// messages and fast readers.
func WithInitialWindowSize(n int32) DialOption {
	return dialOption(func(o *dialOptions) { o.window = n })
}

// WithInitialConnWindowSize sets the receive window of a connection in octets;
// values below 64 KiB are ignored. Default: 1 MiB that grows to 16 MiB as
// applications read.
func WithInitialConnWindowSize(n int32) DialOption {
	return dialOption(func(o *dialOptions) { o.connWindow = n })
}

// WithStaticStreamWindowSize is WithInitialWindowSize: there is no estimation of
// bandwidth to switch off.
func WithStaticStreamWindowSize(n int32) DialOption { return WithInitialWindowSize(n) }

// WithStaticConnWindowSize is WithInitialConnWindowSize.
func WithStaticConnWindowSize(n int32) DialOption { return WithInitialConnWindowSize(n) }

// WithWriteBufferSize sets how many octets of one stream may wait to be
// written before SendMsg blocks. Default 64 KiB.
func WithWriteBufferSize(n int) DialOption {
	return dialOption(func(o *dialOptions) { o.writeBuffer = max(n, 0) })
}

// WithReadBufferSize sets the size of a read. Default 32 KiB. Idle connections
// hold no buffer.
func WithReadBufferSize(n int) DialOption {
	return dialOption(func(o *dialOptions) { o.readBuffer = max(n, 0) })
}

// WithSharedWriteBuffer does nothing: buffers are always shared.
func WithSharedWriteBuffer(bool) DialOption { return EmptyDialOption{} }

// MaxHeaderListSizeDialOption is what WithMaxHeaderListSize returns.
type MaxHeaderListSizeDialOption struct{ MaxHeaderListSize uint32 }

func (m MaxHeaderListSizeDialOption) applyClient(o *dialOptions) {
	o.maxHeaderList = m.MaxHeaderListSize
}

// WithMaxHeaderListSize sets how large a header list is accepted, in octets as
// RFC 9113 6.5.2 counts. Default 16 KiB.
func WithMaxHeaderListSize(n uint32) DialOption {
	return MaxHeaderListSizeDialOption{MaxHeaderListSize: n}
}

// WithCompressor sets the legacy compressor of requests.
//
// Deprecated: as in grpc-go; use the UseCompressor call option.
func WithCompressor(c grpc.Compressor) DialOption {
	return dialOption(func(o *dialOptions) { o.compressor = legacyCompressor{c: c} })
}

// WithDecompressor sets the legacy decompressor of responses.
//
// Deprecated: as in grpc-go; register an encoding.Compressor.
func WithDecompressor(d grpc.Decompressor) DialOption {
	return dialOption(func(o *dialOptions) { o.decompressor = d })
}
