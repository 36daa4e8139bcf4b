package callboard

import (
	"context"
	"time"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"

	"github.com/callboard-rpc/callboard/codec"
	"github.com/callboard-rpc/callboard/stream"
)

// prefixLen is the length prefix that counts as transferred with a message.
const prefixLen = 5

// clientStats tells stats handlers of one attempt of an RPC, in grpc-go's order:
// Begin, OutHeader, OutPayload, InHeader, InPayload, InTrailer, End. It happens
// on the application's goroutines, except for what is sent to attempts of a
// streaming or hedged RPC that has a policy, and for the end of those that do
// not become the RPC. A nil *clientStats tells nobody.
type clientStats struct {
	handlers []stats.Handler
	ctx      context.Context
	method   string
	began    time.Time
	trailed  bool
	headed   bool
}

// begin is how an RPC begins.
type begin struct {
	method       string
	clientStream bool
	serverStream bool
	delayed      bool // it waited for the channel's first resolution
	transparent  bool // it repeats an attempt that no server has looked at (gRFC A6)
}

func (cc *ClientConn) beginStats(ctx context.Context, info *callInfo, b begin) (context.Context, *clientStats) {
	if len(cc.opts.stats) == 0 {
		return ctx, nil
	}
	s := &clientStats{handlers: cc.opts.stats, method: b.method, began: time.Now()}
	for _, h := range s.handlers {
		ctx = h.TagRPC(ctx, &stats.RPCTagInfo{
			FullMethodName: b.method, FailFast: !info.waitForReady, NameResolutionDelay: b.delayed,
		})
	}
	s.ctx = ctx
	s.each(&stats.Begin{
		Client: true, BeginTime: s.began, FailFast: !info.waitForReady,
		IsClientStream: b.clientStream, IsServerStream: b.serverStream, IsTransparentRetryAttempt: b.transparent,
	})
	return ctx, s
}

func (s *clientStats) each(ev stats.RPCStats) {
	for _, h := range s.handlers {
		h.HandleRPC(s.ctx, ev)
	}
}

// sent reports what a unary call sends in one go.
func (s *clientStats) sent(c *stream.Call, m any, sizes codec.Sizes) {
	if s == nil {
		return
	}
	s.sentHeader(c)
	s.sentPayload(m, sizes)
}

func (s *clientStats) sentHeader(c *stream.Call) {
	if s == nil {
		return
	}
	md := c.Request.Metadata.Copy()
	if md == nil {
		md = metadata.MD{}
	}
	md.Set("user-agent", c.Request.UserAgent)
	ev := &stats.OutHeader{Client: true, Header: md, FullMethod: s.method, Compression: c.Request.Encoding}
	if info := c.Info(); info != nil {
		ev.RemoteAddr, ev.LocalAddr = info.Remote, info.Local
	}
	s.each(ev)
}

func (s *clientStats) sentPayload(m any, sizes codec.Sizes) {
	if s == nil {
		return
	}
	s.each(&stats.OutPayload{
		Client: true, Payload: m, Length: sizes.Uncompressed, CompressedLength: sizes.Wire,
		WireLength: sizes.Wire + prefixLen, SentTime: time.Now(),
	})
}

func (s *clientStats) gotHeader(c *stream.Call) {
	if s == nil || s.headed {
		return
	}
	r, md, ok := c.Header()
	if !ok {
		return
	}
	s.headed = true
	ev := &stats.InHeader{Client: true, Header: md, Compression: r.Encoding, FullMethod: s.method, WireLength: r.WireLen}
	if info := c.Info(); info != nil {
		ev.RemoteAddr, ev.LocalAddr = info.Remote, info.Local
	}
	s.each(ev)
}

func (s *clientStats) gotPayload(m any, sizes codec.Sizes) {
	if s == nil {
		return
	}
	s.each(&stats.InPayload{
		Client: true, Payload: m, Length: sizes.Uncompressed, CompressedLength: sizes.Wire,
		WireLength: sizes.Wire + prefixLen, RecvTime: time.Now(),
	})
}

// gotTrailer reports the trailing block, if one came.
func (s *clientStats) gotTrailer(c *stream.Call) {
	if s == nil || s.trailed || c.Outcome().Trailer == nil {
		return
	}
	s.trailed = true
	s.each(&stats.InTrailer{Client: true, Trailer: c.Trailer(), WireLength: c.Outcome().Trailer.WireLen})
}

func (s *clientStats) end(err error) {
	if s == nil {
		return
	}
	ev := &stats.End{Client: true, BeginTime: s.began, EndTime: time.Now(), Error: err}
	s.each(ev)
}
