package callboard

import (
	"math"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/tap"

	"github.com/callboard-rpc/callboard/codec"
	"github.com/callboard-rpc/callboard/conn"
)

// ServerOption configures a Server. Options carry grpc-go's names, meanings
// and defaults unless their comment says otherwise.
type ServerOption interface{ applyServer(*serverOptions) }

type serverOption func(*serverOptions)

func (f serverOption) applyServer(o *serverOptions) { f(o) }

// EmptyServerOption changes nothing. It can be embedded to build options of
// one's own.
type EmptyServerOption struct{}

func (EmptyServerOption) applyServer(*serverOptions) {}

type serverOptions struct {
	name          string
	creds         credentials.TransportCredentials
	unary         grpc.UnaryServerInterceptor
	unaryChain    []grpc.UnaryServerInterceptor
	stream        grpc.StreamServerInterceptor
	streamChain   []grpc.StreamServerInterceptor
	stats         []stats.Handler
	tap           tap.ServerInHandle
	unknown       grpc.StreamHandler
	keepalive     keepalive.ServerParameters
	policy        keepalive.EnforcementPolicy
	maxStreams    uint32 // 0: the limits'
	maxRecv       int
	maxSend       int
	window        int32
	connWindow    int32
	readBuffer    int
	writeBuffer   int
	maxHeaderList uint32
	tableSize     uint32
	handshake     time.Duration // 0: the limits'
	workers       int
	waitHandlers  bool
	crashOnPanic  bool
	codec         codec.Codec // forced; nil: by content-subtype
	compressor    encoding.Compressor
	decompressor  grpc.Decompressor //nolint:staticcheck // deprecated in grpc-go, still honoured
	supervise     conn.Supervisor
	limits        limits
}

func defaultServerOptions() serverOptions {
	return serverOptions{
		name: "main", maxRecv: defaultMaxRecv, maxSend: defaultMaxSend,
		limits: newLimits(),
	}
}

// ServerName names the server in its actors' paths: "server/<name>". Default
// "main".
func ServerName(name string) ServerOption {
	return serverOption(func(o *serverOptions) { o.name = name })
}

// Creds secures the server's connections. Default: plaintext.
func Creds(c credentials.TransportCredentials) ServerOption {
	return serverOption(func(o *serverOptions) { o.creds = c })
}

// UnaryInterceptor sets the outermost interceptor of unary RPCs. It may be set
// once; for several there is ChainUnaryInterceptor.
func UnaryInterceptor(i grpc.UnaryServerInterceptor) ServerOption {
	return serverOption(func(o *serverOptions) {
		if o.unary != nil {
			panic("callboard: UnaryInterceptor was set before")
		}
		o.unary = i
	})
}

// ChainUnaryInterceptor adds interceptors of unary RPCs; the first is the
// outermost.
func ChainUnaryInterceptor(is ...grpc.UnaryServerInterceptor) ServerOption {
	return serverOption(func(o *serverOptions) { o.unaryChain = append(o.unaryChain, is...) })
}

// StreamInterceptor sets the outermost interceptor of streaming RPCs. It may
// be set once; for several there is ChainStreamInterceptor.
func StreamInterceptor(i grpc.StreamServerInterceptor) ServerOption {
	return serverOption(func(o *serverOptions) {
		if o.stream != nil {
			panic("callboard: StreamInterceptor was set before")
		}
		o.stream = i
	})
}

// ChainStreamInterceptor adds interceptors of streaming RPCs; the first is the
// outermost.
func ChainStreamInterceptor(is ...grpc.StreamServerInterceptor) ServerOption {
	return serverOption(func(o *serverOptions) { o.streamChain = append(o.streamChain, is...) })
}

// InTapHandle lets h look at each RPC before anything else of the application
// runs, and refuse it. It runs on the RPC's worker, where grpc-go calls it
// before the stream exists.
func InTapHandle(h tap.ServerInHandle) ServerOption {
	return serverOption(func(o *serverOptions) {
		if o.tap != nil {
			panic("callboard: InTapHandle was set before")
		}
		o.tap = h
	})
}

// StatsHandler adds a stats handler. It hears of RPCs and connections in
// grpc-go's order.
func StatsHandler(h stats.Handler) ServerOption {
	return serverOption(func(o *serverOptions) {
		if h != nil {
			o.stats = append(o.stats, h)
		}
	})
}

// UnknownServiceHandler serves the RPCs of which neither service nor method is
// registered, as bidirectional streams. Default: UNIMPLEMENTED.
func UnknownServiceHandler(h grpc.StreamHandler) ServerOption {
	return serverOption(func(o *serverOptions) { o.unknown = h })
}

// NumStreamWorkers keeps at most n workers for the next RPC; whatever comes
// while all are busy gets a goroutine of its own. Default 0: as many as the
// last seconds have needed.
func NumStreamWorkers(n uint32) ServerOption {
	return serverOption(func(o *serverOptions) { o.workers = int(min(n, math.MaxInt32)) })
}

// WaitForHandlers makes Stop wait for handlers to return. Default false.
// GracefulStop always waits.
func WaitForHandlers(w bool) ServerOption {
	return serverOption(func(o *serverOptions) { o.waitHandlers = w })
}

// CrashOnPanic lets a panic in a handler, interceptor, codec or stats handler
// end the process, as it does in grpc-go. Default: the RPC gets INTERNAL, the
// stack goes to the log, nothing else is affected.
func CrashOnPanic() ServerOption {
	return serverOption(func(o *serverOptions) { o.crashOnPanic = true })
}

// ForceServerCodec serves all RPCs with c, whatever their content-subtype.
func ForceServerCodec(c encoding.Codec) ServerOption {
	return serverOption(func(o *serverOptions) { o.codec = codec.WrapV1(c) })
}

// ForceServerCodecV2 serves all RPCs with c, whatever their content-subtype.
func ForceServerCodecV2(c encoding.CodecV2) ServerOption {
	return serverOption(func(o *serverOptions) { o.codec = codec.WrapV2(c) })
}

// CustomCodec serves all RPCs with c.
//
// Deprecated: as in grpc-go; register an encoding.Codec, or ForceServerCodec.
func CustomCodec(c grpc.Codec) ServerOption {
	return serverOption(func(o *serverOptions) { o.codec = codec.WrapV1(legacyCodec{c}) })
}

// RPCCompressor compresses all responses with c.
//
// Deprecated: as in grpc-go; register an encoding.Compressor.
func RPCCompressor(c grpc.Compressor) ServerOption {
	return serverOption(func(o *serverOptions) { o.compressor = legacyCompressor{c: c} })
}

// RPCDecompressor reads requests of d's type with d.
//
// Deprecated: as in grpc-go; register an encoding.Compressor.
func RPCDecompressor(d grpc.Decompressor) ServerOption {
	return serverOption(func(o *serverOptions) { o.decompressor = d })
}
