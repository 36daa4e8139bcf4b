package callboard

import (
	"math"
	"time"
)

// commonOption applies to clients and servers.
type commonOption struct {
	client func(*dialOptions)
	server func(*serverOptions)
}

func (c commonOption) applyClient(o *dialOptions)   { c.client(o) }
func (c commonOption) applyServer(o *serverOptions) { c.server(o) }

// GRPCGoLimits loosens the limits to grpc-go's defaults: any number of
// concurrent streams, 16 MiB header lists, no flood budget.
func GRPCGoLimits() interface {
	DialOption
	ServerOption
} {
	return commonOption{
		client: func(o *dialOptions) { o.limits = grpcGoLimits() },
		server: func(o *serverOptions) { o.limits = grpcGoLimits() },
	}
}

// limits are what one connection may make us do; see the safety document for
// each default.
type limits struct {
	maxStreams      uint32
	headerList      uint32
	headerFields    int
	continuations   int
	settings        int
	handshake       time.Duration
	glitchBurst     int
	glitchPerSecond int
	connBudget      int64
}

func safeLimits() limits {
	return limits{
		maxStreams: 1000, headerList: 16 << 10, headerFields: 128, continuations: 64, settings: 32,
		handshake: 10 * time.Second, glitchBurst: 1000, glitchPerSecond: 100, connBudget: connBudget,
	}
}

func grpcGoLimits() limits {
	return limits{
		maxStreams: math.MaxUint32, headerList: 16 << 20, headerFields: 1 << 20, continuations: 1 << 14, settings: 1 << 10,
		handshake: 120 * time.Second, glitchBurst: math.MaxInt32, glitchPerSecond: math.MaxInt32, connBudget: unbudgeted,
	}
}
