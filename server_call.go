package callboard

import (
	"context"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard/codec"
	"github.com/callboard-rpc/callboard/codec/buffer"
	"github.com/callboard-rpc/callboard/codec/header"
	"github.com/callboard-rpc/callboard/stream"
	"github.com/callboard-rpc/callboard/stream/streamfsm"
)

// serverCall is one RPC on the server. It is at once the handler's context
// (server_context.go), the grpc.ServerTransportStream of that context
// (server_header.go) and the response's end: one object per RPC. It is never
// pooled, because handlers let their context escape.
type serverCall struct {
	sc       *serverConn
	call     *stream.Call // may not be touched once finished is set
	m        *method
	in       header.InboundRequest
	deadline time.Time       // zero: none
	ctx      context.Context // the handler's: this object, or what tap and stats handlers made of it
	codec    codec.Codec
	inflater codec.Compressor // of the request; nil: not compressed
	request  stream.Message   // of a unary RPC, until it is decoded
	stats    *serverStats     // nil: nobody listens

	cancel cancellation

	mu       sync.Mutex // never held while user code runs, and never taken on an actor's turn
	md       metadata.MD
	header   metadata.MD
	trailer  metadata.MD
	encoding string // of the response; empty: none
	deflater codec.Compressor
	chosen   bool           // the handler has set the compressor
	headed   bool           // the response's header block went out
	finished bool           // the RPC is over
	received bool           // a streaming RPC's first message; its receiver's own
	verdict  *status.Status // what Send or Recv failed with: the RPC's status, whatever the handler says

	response header.Response
	end      header.Trailer
	finish   streamfsm.Finish
}

// run serves one RPC on a worker.
func (j job) run() {
	s := &serverCall{sc: j.sc, call: j.call}
	// Deferred last to first: a panic, or a handler that ends its goroutine,
	// still finishes the RPC, and it is counted as running until then.
	defer j.sc.srv.ended()
	defer s.contain()
	s.begin()
	s.serve()
}

// begin takes from the call what must outlive it.
func (s *serverCall) begin() {
	s.in = s.call.In
	s.ctx = s
	if s.in.HasTimeout {
		s.deadline = time.Now().Add(s.in.Timeout)
	}
	s.call.Attach(s)
}

func (s *serverCall) serve() {
	srv := s.sc.srv
	s.m = srv.registry.methods[s.in.Method]
	if srv.opts.tap != nil {
		if st := s.tapped(); st != nil {
			s.conclude(st)
			return
		}
	}
	if len(srv.opts.stats) > 0 {
		s.introduce()
	}
	if s.m == nil {
		if srv.opts.unknown == nil || malformed(s.in.Method) {
			s.conclude(srv.registry.unknown(s.in.Method))
			return
		}
		s.m = unknownMethod(s.in.Method, srv.opts.unknown)
	}
	s.stats.begin(s.m)
	if st := s.settle(); st != nil {
		s.conclude(st)
		return
	}
	if s.m.unary != nil {
		s.serveUnary()
	} else {
		s.serveStream()
	}
}

// settle chooses codec and compressors.
func (s *serverCall) settle() *status.Status {
	srv := s.sc.srv
	s.codec = srv.codecs.get(s.in.ContentSubtype)
	name := s.in.Encoding
	if name != "" && name != encoding.Identity {
		if st := s.inflate(name); st != nil {
			return st
		}
	}
	switch {
	case srv.opts.compressor != nil:
		s.deflater, s.encoding = srv.opts.compressor, srv.opts.compressor.Name()
	case name != "" && (s.in.AcceptEncoding == "" || accepts(s.in.AcceptEncoding, name)):
		// A response is compressed as its request was, unless the client says
		// that it does not read that.
		if c := codec.CompressorFor(name); c != nil {
			s.deflater, s.encoding = c, name
		}
	}
	return nil
}

func (s *serverCall) inflate(name string) *status.Status {
	if d := s.sc.srv.opts.decompressor; d != nil && d.Type() == name {
		s.inflater = legacyDecompressor{d: d}
		return nil
	}
	c, err := codec.Decompressor(name, true)
	if err != nil {
		s.end.AcceptEncoding = s.sc.srv.accept
		return status.Convert(err)
	}
	s.inflater = c
	return nil
}

// conclude ends the RPC without a message.
func (s *serverCall) conclude(st *status.Status) { s.over(st, nil) }

// over ends the RPC, once: one message to the stream's actor carries what has
// not gone out yet. It owns payload. Nothing of the call is touched afterwards.
func (s *serverCall) over(st *status.Status, payload *buffer.Buffer) {
	if s.request.Buf != nil {
		s.request.Buf.Release()
		s.request.Buf = nil
	}
	s.mu.Lock()
	if s.finished {
		s.mu.Unlock()
		if payload != nil {
			payload.Release()
		}
		return
	}
	s.finished = true
	if s.md == nil && len(s.in.User) > 0 {
		s.in.User = slices.Clone(s.in.User) // the rest of in does not belong to the call
	}
	if s.verdict != nil {
		st = s.verdict
	}
	f := &s.finish
	f.Payload, f.Trailer = payload, &s.end
	if !s.headed && (payload != nil || len(s.header) > 0) {
		s.headed = true
		f.Header = s.head()
	}
	s.end.Metadata = s.trailer
	s.mu.Unlock()

	if s.stats != nil {
		st = s.stats.last(s, st, f.Header != nil)
	}
	s.end.SetStatus(st)
	s.call.Finish(f)
	s.cancel.end(context.Canceled)
	s.stats.end(st)
}

// head fills the response's header block; the lock is held.
func (s *serverCall) head() *header.Response {
	s.response = header.Response{ContentSubtype: s.in.ContentSubtype, Encoding: s.encoding, Metadata: s.header}
	return &s.response
}

// handlerStatus makes a status of what a handler returned.
func handlerStatus(err error) *status.Status {
	if err == nil {
		return nil
	}
	st, ok := status.FromError(err)
	if !ok {
		// A context's error has a code of its own; anything else is UNKNOWN.
		st = status.FromContextError(err)
	}
	if st.Code() == codes.OK {
		// An error that claims OK would look like success to the client.
		return status.New(codes.Unknown, st.Message())
	}
	return st
}

// unknownMethod is what UnknownServiceHandler serves.
func unknownMethod(path string, h grpc.StreamHandler) *method {
	return streaming(path, &grpc.StreamDesc{
		StreamName: "unknown_service_handler", Handler: h, ClientStreams: true, ServerStreams: true,
	}, nil)
}
