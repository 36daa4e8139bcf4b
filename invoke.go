package callboard

import (
	"context"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard/balancer"
	"github.com/callboard-rpc/callboard/codec"
	"github.com/callboard-rpc/callboard/codec/buffer"
	"github.com/callboard-rpc/callboard/stream"
)

// Invoke does one unary RPC. Generated stubs call it.
func (cc *ClientConn) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	if len(cc.opts.callOptions) > 0 {
		opts = append(cc.opts.callOptions[:len(cc.opts.callOptions):len(cc.opts.callOptions)], opts...)
	}
	if cc.unary != nil {
		g, err := cc.grpcConn()
		if err != nil {
			return err
		}
		return cc.unary(ctx, method, args, reply, g, cc.invoker, opts...)
	}
	return cc.invoke(ctx, method, args, reply, opts)
}

// invoker is the end of the interceptor chain.
func (cc *ClientConn) invoker(ctx context.Context, method string, args, reply any, _ *grpc.ClientConn, opts ...grpc.CallOption) error {
	return cc.invoke(ctx, method, args, reply, opts)
}

// unaryCall is one unary RPC on the caller's goroutine.
type unaryCall struct {
	cc     *ClientConn
	info   callInfo
	method string
	stats  *clientStats // nil: nobody listens
	wire   *buffer.Buffer
	sizes  codec.Sizes
	again  bool // it was sent once more already
}

func (cc *ClientConn) invoke(ctx context.Context, method string, args, reply any, opts []grpc.CallOption) error {
	u := unaryCall{cc: cc, method: method}
	mc, delayed, err := cc.methodConfig(ctx, method)
	if bad := u.info.read(cc, opts, mc); err == nil {
		err = bad
	}
	if err != nil {
		u.info.finished(err)
		return err
	}
	ctx, cancel := mc.within(ctx)
	if cancel != nil {
		defer cancel()
	}
	ctx, u.stats = cc.beginStats(ctx, &u.info, begin{method: method, delayed: delayed})
	err = u.run(ctx, args, reply)
	u.stats.end(err)
	u.info.finished(err)
	return err
}

func (u *unaryCall) run(ctx context.Context, args, reply any) error {
	if err := ctx.Err(); err != nil {
		return status.FromContextError(err).Err()
	}
	var err error
	u.wire, u.sizes, err = codec.Encode(u.info.codec, u.info.compressor, args, u.info.maxSend)
	if err != nil {
		return statusError(err)
	}
	defer u.wire.Release()
	for {
		again, err := u.attempt(ctx, args, reply)
		if !again {
			return err
		}
	}
}

// attempt sends the RPC on one connection. again says that no server has seen
// it, so that it may be sent once more without anybody noticing.
func (u *unaryCall) attempt(ctx context.Context, args, reply any) (again bool, err error) {
	ref, err := u.cc.edge.pick(ctx, u.info.waitForReady)
	if err != nil {
		return false, statusError(err)
	}
	c := stream.NewCall()
	c.Unary, c.First, c.FirstEnds = true, u.wire.Retain(), true
	if err := u.cc.fillRequest(ctx, c, u.method, &u.info, ref); err != nil {
		c.Discard()
		return false, err
	}
	c.Open(ref.Transport())
	u.stats.sent(c, args, u.sizes)
	if err := c.Wait(ctx.Done()); err != nil {
		st := contextStatus(ctx, u.cc.whereWas(c))
		if c.Cancel(st.Code(), st.Message()) {
			u.report(c, ref)
			c.Release()
			return false, st.Err()
		}
	}
	// What never left costs nothing to try again; what a peer says it did not
	// look at is sent once more, and no further (gRFC A6).
	if o := c.Outcome(); o.Unprocessed && ctx.Err() == nil && (!c.Opened() || !u.again) {
		u.again = u.again || c.Opened()
		c.Release()
		u.cc.edge.awaitAnother(ctx, ref)
		return true, nil
	}
	err = u.conclude(ctx, c, reply)
	u.report(c, ref)
	c.Release()
	return false, err
}

// conclude reads the response. OK wants exactly one message.
func (u *unaryCall) conclude(ctx context.Context, c *stream.Call, reply any) error {
	first, n := c.TakeMessages()
	if first.Buf != nil {
		defer first.Buf.Release()
	}
	u.stats.gotHeader(c)
	defer u.stats.gotTrailer(c)
	if st := c.Status(); st != nil {
		return st.Err()
	}
	if n != 1 {
		return cardinality(n)
	}
	sizes, err := u.cc.decode(ctx, &u.info, c, first, reply)
	if err != nil {
		return err
	}
	u.stats.gotPayload(reply, sizes)
	return nil
}

// cardinality is the status of a unary response without its one message
// (gRPC's status code table: UNIMPLEMENTED on the client).
func cardinality(n int) error {
	if n == 0 {
		return status.Error(codes.Unimplemented, "the server ended a unary call without a message")
	}
	return status.Errorf(codes.Unimplemented, "the server sent %d messages in a unary call", n)
}

func (u *unaryCall) report(c *stream.Call, ref balancer.Conn) {
	if len(u.info.headers)+len(u.info.trailers)+len(u.info.peers) == 0 {
		return
	}
	u.info.report(func() metadata.MD { return headerOf(c) }, c.Trailer, func() *peer.Peer { return peerOf(ref.Info()) })
}

func headerOf(c *stream.Call) metadata.MD {
	_, md, ok := c.Header()
	if !ok {
		return nil
	}
	return md
}

// decode reads one message into v.
func (cc *ClientConn) decode(ctx context.Context, info *callInfo, c *stream.Call, m stream.Message, v any) (codec.Sizes, error) {
	comp, err := cc.responseDecompressor(c, m.Compressed)
	if err != nil {
		return codec.Sizes{}, err
	}
	sizes, err := codec.Decode(ctx, info.codec, comp, m.Compressed, m.Buf.B, v, info.maxRecv)
	return sizes, statusError(err)
}

func (cc *ClientConn) responseDecompressor(c *stream.Call, compressed bool) (codec.Compressor, error) {
	if !compressed {
		return nil, nil
	}
	name := c.Response().Encoding
	if d := cc.opts.decompressor; d != nil && d.Type() == name {
		return legacyDecompressor{d: d}, nil
	}
	return codec.Decompressor(name, false)
}

// fillRequest writes the request's header into the call.
func (cc *ClientConn) fillRequest(ctx context.Context, c *stream.Call, method string, info *callInfo, ref balancer.Conn) error {
	r := &c.Request
	r.Method, r.Authority, r.Scheme, r.UserAgent = method, cc.authority, cc.scheme, cc.userAgent
	if ref.ServerName != "" && cc.opts.authority == "" {
		r.Authority = ref.ServerName
	}
	if info.authority != "" {
		if err := validateAuthority(ref.Info(), info.authority); err != nil {
			return err
		}
		r.Authority = info.authority
	}
	r.ContentSubtype, r.Encoding = info.subtype, info.encoding
	r.AcceptEncoding = cc.accept
	if info.encoding != "" && !accepts(cc.accept, info.encoding) {
		// Who compresses by a name of his own also reads it.
		r.AcceptEncoding = strings.TrimPrefix(cc.accept+","+info.encoding, ",")
	}
	if at, ok := ctx.Deadline(); ok {
		r.Timeout, r.HasTimeout = time.Until(at), true
		c.Deadline = at
	}
	if md, ok := metadata.FromOutgoingContext(ctx); ok {
		if err := validateMetadata(md); err != nil {
			return err
		}
		r.Metadata = md
	}
	if len(cc.opts.perRPC) > 0 || info.creds != nil {
		return cc.addCredentials(ctx, r, info, ref)
	}
	return nil
}
