package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/callboard-rpc/callboard/interop/conformance"
	pb "github.com/callboard-rpc/callboard/interop/conformance/conformancev1"
)

// call is one call of the suite in progress.
type call struct {
	cc       grpc.ClientConnInterface
	ctx      context.Context
	cancel   context.CancelFunc
	method   method
	requests []proto.Message
	delay    time.Duration // before each request
	lockstep bool          // one response is read after each request
	when     cancellation
	opts     []grpc.CallOption
	result   *pb.ClientResponseResult
}

func newCall(ctx context.Context, cc grpc.ClientConnInterface, req *pb.ClientCompatRequest) (*call, error) {
	m, err := methodOf(req)
	if err != nil {
		return nil, err
	}
	if n := len(req.GetRequestMessages()); !m.clientStreams && n != 1 {
		return nil, fmt.Errorf("%s takes one request message, not %d", m.path, n)
	}
	c := &call{
		cc:       cc,
		method:   m,
		delay:    time.Duration(req.GetRequestDelayMs()) * time.Millisecond,
		lockstep: req.GetStreamType() == pb.StreamType_STREAM_TYPE_FULL_DUPLEX_BIDI_STREAM,
		when:     cancellationOf(req.GetCancel()),
		result:   new(pb.ClientResponseResult),
	}
	for _, a := range req.GetRequestMessages() {
		msg := m.newRequest()
		if err := a.UnmarshalTo(msg); err != nil {
			return nil, err
		}
		c.requests = append(c.requests, msg)
	}
	if req.GetCodec() == pb.Codec_CODEC_JSON {
		c.opts = append(c.opts, grpc.CallContentSubtype(conformance.JSON))
	}
	if req.GetCompression() == pb.Compression_COMPRESSION_GZIP {
		c.opts = append(c.opts, grpc.UseCompressor(gzip.Name))
	}
	ctx = metadata.NewOutgoingContext(ctx, conformance.Metadata(req.GetRequestHeaders()))
	if req.TimeoutMs != nil {
		c.ctx, c.cancel = context.WithTimeout(ctx, time.Duration(req.GetTimeoutMs())*time.Millisecond)
	} else {
		c.ctx, c.cancel = context.WithCancel(ctx)
	}
	return c, nil
}

// run makes the call. Whatever ends it is part of the result.
func (c *call) run() (*pb.ClientResponseResult, error) {
	if !c.method.clientStreams && !c.method.serverStreams {
		return c.unary(), nil
	}
	st, err := c.cc.NewStream(c.ctx, c.method.desc(), c.method.path, c.opts...)
	if err != nil {
		c.result.Error = conformance.Error(err)
		c.result.NumUnsentRequests = int32(len(c.requests))
		return c.result, nil
	}
	err = c.exchange(st)
	if !errors.Is(err, io.EOF) {
		c.result.Error = conformance.Error(err)
	}
	// The header is there by now, if it ever came.
	if md, err := st.Header(); err == nil {
		c.result.ResponseHeaders = conformance.Headers(md)
	}
	c.result.ResponseTrailers = conformance.Headers(st.Trailer())
	return c.result, nil
}

func (c *call) unary() *pb.ClientResponseResult {
	time.Sleep(c.delay)
	if c.when.afterCloseSend >= 0 {
		defer time.AfterFunc(c.when.afterCloseSend, c.cancel).Stop()
	}
	var header, trailer metadata.MD
	out := c.method.newResponse()
	opts := append(c.opts, grpc.Header(&header), grpc.Trailer(&trailer))
	err := c.cc.Invoke(c.ctx, c.method.path, c.requests[0], out, opts...)
	c.result.Error = conformance.Error(err)
	if err == nil {
		c.received(out)
	}
	c.result.ResponseHeaders = conformance.Headers(header)
	c.result.ResponseTrailers = conformance.Headers(trailer)
	return c.result
}

// exchange sends and receives everything. It returns what ended the stream,
// io.EOF for status OK.
func (c *call) exchange(st grpc.ClientStream) error {
	if over, err := c.send(st); over {
		return err
	}
	if c.when.beforeCloseSend {
		c.cancel()
	} else if err := st.CloseSend(); err != nil {
		return err
	}
	if c.when.afterCloseSend >= 0 {
		defer time.AfterFunc(c.when.afterCloseSend, c.cancel).Stop()
	}
	if !c.method.serverStreams {
		err := c.receive(st)
		if err == nil {
			err = io.EOF
		}
		return err
	}
	for {
		if err := c.receive(st); err != nil {
			return err
		}
	}
}

// send sends the requests. Over means that the stream ended meanwhile, with
// err.
func (c *call) send(st grpc.ClientStream) (over bool, err error) {
	for i, m := range c.requests {
		time.Sleep(c.delay)
		if err := st.SendMsg(m); err != nil {
			c.result.NumUnsentRequests = int32(len(c.requests) - i)
			if !errors.Is(err, io.EOF) {
				return true, err
			}
			return false, nil // receiving tells what ended it
		}
		if !c.lockstep {
			continue
		}
		if err := c.receive(st); err != nil {
			c.result.NumUnsentRequests = int32(len(c.requests) - i - 1)
			return true, err
		}
	}
	return false, nil
}

func (c *call) receive(st grpc.ClientStream) error {
	m := c.method.newResponse()
	if err := st.RecvMsg(m); err != nil {
		return err
	}
	c.received(m)
	return nil
}

func (c *call) received(m proto.Message) {
	if r, ok := m.(response); ok {
		c.result.Payloads = append(c.result.Payloads, r.GetPayload())
	}
	if len(c.result.GetPayloads()) == c.when.afterResponses {
		c.cancel()
	}
}
