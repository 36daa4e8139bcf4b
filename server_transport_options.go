package callboard

import (
	"time"

	"google.golang.org/grpc/keepalive"
)

// KeepaliveParams sets when idle or old connections end and when a silent
// client is asked for a sign of life. Zero fields take grpc-go's defaults:
// no limit, PING after 2 h of silence, 20 s for the answer.
func KeepaliveParams(p keepalive.ServerParameters) ServerOption {
	return serverOption(func(o *serverOptions) {
		if p.Time > 0 && p.Time < time.Second {
			p.Time = time.Second
		}
		o.keepalive = p
	})
}

// KeepaliveEnforcementPolicy says how often clients may PING. Default: every
// 5 min, and only while there is a stream.
func KeepaliveEnforcementPolicy(p keepalive.EnforcementPolicy) ServerOption {
	return serverOption(func(o *serverOptions) { o.policy = p })
}

// MaxConcurrentStreams limits the streams of each connection. Default 1000,
// where grpc-go has no limit; 0 keeps the default.
func MaxConcurrentStreams(n uint32) ServerOption {
	return serverOption(func(o *serverOptions) { o.maxStreams = n })
}

// MaxRecvMsgSize limits a received message, in octets, before and after
// decompression. Default 4 MiB.
func MaxRecvMsgSize(n int) ServerOption {
	return serverOption(func(o *serverOptions) { o.maxRecv = n })
}

// MaxMsgSize is MaxRecvMsgSize.
//
// Deprecated: as in grpc-go.
func MaxMsgSize(n int) ServerOption { return MaxRecvMsgSize(n) }

// MaxSendMsgSize limits a sent message, in octets. Default math.MaxInt32.
func MaxSendMsgSize(n int) ServerOption {
	return serverOption(func(o *serverOptions) { o.maxSend = n })
}

// InitialWindowSize sets the receive window of a stream in octets; values
// below 64 KiB are ignored. Default 65,535. Windows grow from there for large
// messages and fast readers.
func InitialWindowSize(n int32) ServerOption {
	return serverOption(func(o *serverOptions) { o.window = n })
}

// InitialConnWindowSize sets the receive window of a connection in octets;
// values below 64 KiB are ignored. Default: 1 MiB that grows to 16 MiB as
// handlers read.
func InitialConnWindowSize(n int32) ServerOption {
	return serverOption(func(o *serverOptions) { o.connWindow = n })
}

// StaticStreamWindowSize is InitialWindowSize: there is no estimation of
// bandwidth to switch off.
func StaticStreamWindowSize(n int32) ServerOption { return InitialWindowSize(n) }

// StaticConnWindowSize is InitialConnWindowSize.
func StaticConnWindowSize(n int32) ServerOption { return InitialConnWindowSize(n) }

// ReadBufferSize sets the size of a read. Default 32 KiB. Idle connections
// hold no buffer.
func ReadBufferSize(n int) ServerOption {
	return serverOption(func(o *serverOptions) { o.readBuffer = max(n, 0) })
}

// WriteBufferSize sets how many octets of one stream may wait to be written
// before SendMsg blocks. Default 64 KiB.
func WriteBufferSize(n int) ServerOption {
	return serverOption(func(o *serverOptions) { o.writeBuffer = max(n, 0) })
}

// SharedWriteBuffer does nothing: buffers are always shared.
func SharedWriteBuffer(bool) ServerOption { return EmptyServerOption{} }

// MaxHeaderListSizeServerOption is what MaxHeaderListSize returns.
type MaxHeaderListSizeServerOption struct{ MaxHeaderListSize uint32 }

func (m MaxHeaderListSizeServerOption) applyServer(o *serverOptions) {
	o.maxHeaderList = m.MaxHeaderListSize
}

// MaxHeaderListSize sets how large a header list is accepted, in octets as
// RFC 9113 6.5.2 counts. Default 16 KiB.
func MaxHeaderListSize(n uint32) ServerOption {
	return MaxHeaderListSizeServerOption{MaxHeaderListSize: n}
}

// HeaderTableSize sets the size of the HPACK table for requests. Default
// 4 KiB.
func HeaderTableSize(n uint32) ServerOption {
	return serverOption(func(o *serverOptions) { o.tableSize = n })
}

// ConnectionTimeout limits the time from accepting a socket to the client's
// first SETTINGS, TLS included. Default 10 s, where grpc-go has 120 s.
func ConnectionTimeout(d time.Duration) ServerOption {
	return serverOption(func(o *serverOptions) { o.handshake = d })
}
