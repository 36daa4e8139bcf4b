package callboard

import (
	"context"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"

	"github.com/callboard-rpc/callboard/codec"
)

// serverStats tells stats handlers of one RPC, in grpc-go's order: InHeader,
// Begin, InPayload, OutHeader, OutPayload, OutTrailer, End. All of it happens
// on the application's goroutines. A nil *serverStats tells nobody.
type serverStats struct {
	srv    *Server
	ctx    context.Context
	method string
	began  time.Time // zero: no handler was found for the RPC
	headed atomic.Bool
	broken atomic.Bool // a handler panicked: the RPC's status is INTERNAL
}

// tapped asks the tap handle. A status refuses the RPC.
func (s *serverCall) tapped() *status.Status {
	ctx, err := s.sc.srv.opts.tap(s.ctx, &tap.Info{FullMethodName: s.in.Method, Header: s.incoming()})
	if err != nil {
		if st, ok := status.FromError(err); ok {
			return st
		}
		return status.New(codes.PermissionDenied, err.Error())
	}
	if ctx != nil {
		s.ctx = ctx
	}
	return nil
}

// introduce tells the stats handlers of a new RPC.
func (s *serverCall) introduce() {
	srv := s.sc.srv
	for _, h := range srv.opts.stats {
		s.ctx = h.TagRPC(s.ctx, &stats.RPCTagInfo{FullMethodName: s.in.Method})
	}
	s.stats = &serverStats{srv: srv, ctx: s.ctx, method: s.in.Method}
	s.stats.tell(&stats.InHeader{
		FullMethod: s.in.Method, RemoteAddr: s.sc.peer.Addr, LocalAddr: s.sc.peer.LocalAddr,
		Compression: s.in.Encoding, Header: s.incoming().Copy(), WireLength: s.in.WireLen,
	})
}

func (t *serverStats) tell(ev stats.RPCStats) {
	defer t.contain()
	for _, h := range t.srv.opts.stats {
		h.HandleRPC(t.ctx, ev)
	}
}

func (t *serverStats) contain() {
	if v := recover(); v != nil {
		t.broken.Store(true)
		t.srv.panicked("stats handler", t.method, v)
	}
}

func (t *serverStats) begin(m *method) {
	if t == nil {
		return
	}
	t.began = time.Now()
	t.tell(&stats.Begin{BeginTime: t.began, IsClientStream: m.clientStreams(), IsServerStream: m.serverStreams()})
}

func (t *serverStats) gotPayload(m any, sizes codec.Sizes) {
	if t == nil {
		return
	}
	t.tell(&stats.InPayload{
		Payload: m, Length: sizes.Uncompressed, CompressedLength: sizes.Wire,
		WireLength: sizes.Wire + prefixLen, RecvTime: time.Now(),
	})
}

// sentHeader reports the header block, once.
func (t *serverStats) sentHeader(s *serverCall) {
	if t == nil || t.headed.Swap(true) {
		return
	}
	s.mu.Lock()
	ev := &stats.OutHeader{Header: s.header.Copy(), Compression: s.encoding, FullMethod: t.method}
	s.mu.Unlock()
	if ev.Header == nil {
		ev.Header = metadata.MD{}
	}
	t.tell(ev)
}

// sentPayload reports a message, and the header block if it goes along.
func (t *serverStats) sentPayload(s *serverCall, m any, sizes codec.Sizes) {
	if t == nil {
		return
	}
	t.sentHeader(s)
	t.tell(&stats.OutPayload{
		Payload: m, Length: sizes.Uncompressed, CompressedLength: sizes.Wire,
		WireLength: sizes.Wire + prefixLen, SentTime: time.Now(),
	})
}

// last reports what goes out at the RPC's end, and gives the status that goes
// with it.
func (t *serverStats) last(s *serverCall, st *status.Status, header bool) *status.Status {
	if header {
		t.sentHeader(s)
	}
	s.mu.Lock()
	md := s.trailer.Copy()
	s.mu.Unlock()
	if md == nil {
		md = metadata.MD{}
	}
	t.tell(&stats.OutTrailer{Trailer: md})
	if t.broken.Load() && st.Code() == codes.OK {
		return status.New(codes.Internal, "panic in a stats handler")
	}
	return st
}

func (t *serverStats) end(st *status.Status) {
	if t == nil || t.began.IsZero() {
		return
	}
	ev := &stats.End{BeginTime: t.began, EndTime: time.Now(), Error: st.Err()}
	t.tell(ev)
}
