package main

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/callboard-rpc/callboard/interop/conformance"
	pb "github.com/callboard-rpc/callboard/interop/conformance/conformancev1"
)

// service does what each request defines and echoes what it saw of it.
// Unimplemented stays with the embedded type: that is its purpose.
type service struct {
	pb.UnimplementedConformanceServiceServer
}

func (service) Unary(ctx context.Context, in *pb.UnaryRequest) (*pb.UnaryResponse, error) {
	p, err := answerOnce(ctx, in.GetResponseDefinition(), in)
	return &pb.UnaryResponse{Payload: p}, err
}

func (service) IdempotentUnary(ctx context.Context, in *pb.IdempotentUnaryRequest) (*pb.IdempotentUnaryResponse, error) {
	p, err := answerOnce(ctx, in.GetResponseDefinition(), in)
	return &pb.IdempotentUnaryResponse{Payload: p}, err
}

func (service) ClientStream(st grpc.ClientStreamingServer[pb.ClientStreamRequest, pb.ClientStreamResponse]) error {
	var requests []proto.Message
	var def *pb.UnaryResponseDefinition
	for {
		in, err := st.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if len(requests) == 0 {
			def = in.GetResponseDefinition()
		}
		requests = append(requests, in)
	}
	p, err := answerOnce(st.Context(), def, requests...)
	if err != nil {
		return err
	}
	return st.SendAndClose(&pb.ClientStreamResponse{Payload: p})
}

func (service) ServerStream(in *pb.ServerStreamRequest, st grpc.ServerStreamingServer[pb.ServerStreamResponse]) error {
	r := responder{
		st:   st,
		def:  in.GetResponseDefinition(),
		wrap: func(p *pb.ConformancePayload) proto.Message { return &pb.ServerStreamResponse{Payload: p} },
	}
	if err := r.begin(); err != nil {
		return err
	}
	r.requests = []proto.Message{in}
	return r.finish()
}

func (service) BidiStream(st grpc.BidiStreamingServer[pb.BidiStreamRequest, pb.BidiStreamResponse]) error {
	r := responder{
		st:   st,
		wrap: func(p *pb.ConformancePayload) proto.Message { return &pb.BidiStreamResponse{Payload: p} },
	}
	fullDuplex := false
	for first := true; ; first = false {
		in, err := st.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if first {
			r.def, fullDuplex = in.GetResponseDefinition(), in.GetFullDuplex()
			if err := r.begin(); err != nil {
				return err
			}
		}
		r.requests = append(r.requests, in)
		if !fullDuplex {
			continue
		}
		if r.done() {
			break
		}
		if err := r.next(); err != nil {
			return err
		}
		r.requests = nil // each response echoes what came since the last one
	}
	return r.finish()
}

// answerOnce answers a call that has one response.
func answerOnce(ctx context.Context, def *pb.UnaryResponseDefinition, requests ...proto.Message) (*pb.ConformancePayload, error) {
	info, err := requestInfo(ctx, requests)
	if err != nil {
		return nil, err
	}
	if err := grpc.SetHeader(ctx, conformance.Metadata(def.GetResponseHeaders())); err != nil {
		return nil, err
	}
	if err := grpc.SetTrailer(ctx, conformance.Metadata(def.GetResponseTrailers())); err != nil {
		return nil, err
	}
	if err := pause(ctx, def.GetResponseDelayMs()); err != nil {
		return nil, err
	}
	if e := def.GetError(); e != nil {
		return nil, withInfo(e, info)
	}
	return &pb.ConformancePayload{Data: def.GetResponseData(), RequestInfo: info}, nil
}

// responder sends the responses of one stream in the order of its definition.
type responder struct {
	st       grpc.ServerStream
	def      *pb.StreamResponseDefinition
	wrap     func(*pb.ConformancePayload) proto.Message
	requests []proto.Message // to be echoed in the next response
	sent     int
}

// begin sends the headers at once, so that the client sees them before any
// delay.
func (r *responder) begin() error {
	if r.def == nil {
		return nil
	}
	r.st.SetTrailer(conformance.Metadata(r.def.GetResponseTrailers()))
	return r.st.SendHeader(conformance.Metadata(r.def.GetResponseHeaders()))
}

func (r *responder) done() bool { return r.sent >= len(r.def.GetResponseData()) }

// next sends one response. Headers and timeout are echoed in the first only,
// and requests when there are new ones.
func (r *responder) next() error {
	p := &pb.ConformancePayload{Data: r.def.GetResponseData()[r.sent]}
	var err error
	switch {
	case r.sent == 0:
		p.RequestInfo, err = requestInfo(r.st.Context(), r.requests)
	case len(r.requests) > 0:
		p.RequestInfo = new(pb.ConformancePayload_RequestInfo)
		p.RequestInfo.Requests, err = anys(r.requests)
	}
	if err != nil {
		return err
	}
	if err := pause(r.st.Context(), r.def.GetResponseDelayMs()); err != nil {
		return err
	}
	r.sent++
	return r.st.SendMsg(r.wrap(p))
}

// finish sends the responses that are left and returns the defined error.
func (r *responder) finish() error {
	for !r.done() {
		if err := r.next(); err != nil {
			return err
		}
		r.requests = nil
	}
	e := r.def.GetError()
	if e == nil {
		return nil
	}
	if r.sent > 0 {
		return conformance.Status(e)
	}
	info, err := requestInfo(r.st.Context(), r.requests)
	if err != nil {
		return err
	}
	return withInfo(e, info)
}

// withInfo is the defined error with what the server saw among its details.
func withInfo(e *pb.Error, info *pb.ConformancePayload_RequestInfo) error {
	detail, err := anypb.New(info)
	if err != nil {
		return err
	}
	e = proto.CloneOf(e)
	e.Details = append(e.Details, detail)
	return conformance.Status(e)
}

func requestInfo(ctx context.Context, requests []proto.Message) (*pb.ConformancePayload_RequestInfo, error) {
	echo, err := anys(requests)
	if err != nil {
		return nil, err
	}
	md, _ := metadata.FromIncomingContext(ctx)
	info := &pb.ConformancePayload_RequestInfo{RequestHeaders: conformance.Headers(md), Requests: echo}
	if deadline, ok := ctx.Deadline(); ok {
		ms := max(time.Until(deadline).Milliseconds(), 0)
		info.TimeoutMs = &ms
	}
	return info, nil
}

func anys(messages []proto.Message) ([]*anypb.Any, error) {
	out := make([]*anypb.Any, 0, len(messages))
	for _, m := range messages {
		a, err := anypb.New(m)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

// pause waits ms milliseconds, or until the RPC is over.
func pause(ctx context.Context, ms uint32) error {
	if ms == 0 {
		return nil
	}
	timer := time.NewTimer(time.Duration(ms) * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	}
}
