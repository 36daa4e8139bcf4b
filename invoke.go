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
	"github.com/callboard-rpc/callboard/balancer/policy"
	"github.com/callboard-rpc/callboard/codec"
	"github.com/callboard-rpc/callboard/codec/buffer"
	"github.com/callboard-rpc/callboard/conn"
	"github.com/callboard-rpc/callboard/internal/attempt"
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
	cc       *ClientConn
	info     callInfo
	begin    begin
	stats    *clientStats // of the attempt under way; nil: nobody listens
	wire     *buffer.Buffer
	sizes    codec.Sizes
	policy   *attempt.Policy
	throttle *attempt.Throttle
	kept     int      // octets charged for what is kept for another attempt
	retrial  *retrial // nil: no attempt has failed
	watch    stopwatch
}

func (cc *ClientConn) invoke(ctx context.Context, method string, args, reply any, opts []grpc.CallOption) error {
	r, err := cc.rulesFor(ctx, method)
	if r.policy != nil && r.policy.Hedging {
		return cc.invokeHedged(ctx, method, args, reply, opts, r)
	}
	// Field by field: a literal is made beside u and copied, and this frame lies
	// below the connection that runs on the caller's stack, which grows for it.
	var u unaryCall
	u.cc, u.policy, u.throttle = cc, r.policy, r.throttle
	u.begin.method, u.begin.delayed = method, r.delayed
	if bad := u.info.read(cc, opts, r.methodConfig); err == nil {
		err = bad
	}
	if err != nil {
		u.info.finished(err)
		return err
	}
	ctx, cancel := r.within(ctx)
	if cancel != nil {
		defer cancel()
	}
	err = u.run(ctx, args, reply)
	if err == nil {
		u.throttle.Succeeded()
	}
	u.info.finished(err)
	return err
}

func (u *unaryCall) run(ctx context.Context, args, reply any) (err error) {
	tagged, begun := u.cc.beginStats(ctx, &u.info, u.begin)
	u.stats = begun
	defer func() { u.stats.end(err) }()
	if err := ctx.Err(); err != nil {
		return status.FromContextError(err).Err()
	}
	u.wire, u.sizes, err = codec.Encode(u.info.codec, u.info.compressor, args, u.info.maxSend)
	if err != nil {
		return statusError(err)
	}
	defer u.wire.Release()
	if u.policy != nil {
		u.keep()
		defer u.forget()
	}
	for {
		again, err := u.attempt(tagged, args, reply)
		if !again {
			return err
		}
		u.stats.end(err)
		u.stats = nil
		if err := u.retrial.next(ctx, u.cc, err); err != nil {
			return err
		}
		u.begin.transparent = u.retrial.under.Transparent
		tagged, u.stats = u.cc.beginStats(ctx, &u.info, u.begin)
	}
}

// keep charges the request that is kept for another attempt. What does not fit
// is sent, but not again by policy.
func (u *unaryCall) keep() {
	n := len(u.wire.B)
	if n > u.info.retryBuffer || !afford(u.cc.sys.memory.queued, n) {
		u.policy = nil
		return
	}
	u.kept = n
}

func (u *unaryCall) forget() { u.cc.sys.memory.queued.Refund(u.kept) }

// attempt sends the RPC on one connection. again says that it failed and that
// another attempt is due.
func (u *unaryCall) attempt(ctx context.Context, args, reply any) (again bool, err error) {
	ref, err := u.cc.edge.pick(ctx, u.begin.method, u.info.waitForReady, &u.watch)
	if err != nil {
		return u.again(ctx, pickFailed(err)), statusError(err)
	}
	began := ref.clock()
	c := stream.NewCall()
	c.Unary, c.First, c.FirstEnds = true, u.wire.Retain(), true
	if err := u.cc.fillRequest(ctx, c, u.begin.method, &u.info, &ref); err != nil {
		c.Discard()
		ref.finished(policy.DoneInfo{Err: err})
		return u.again(ctx, attempt.Ended{Code: status.Code(err)}), err
	}
	if u.retrial != nil {
		c.Request.PreviousAttempts = u.retrial.under.Previous
	}
	c.Open(ref.Transport())
	u.stats.sent(c, args, u.sizes)
	if err := c.Wait(ctx.Done()); err != nil {
		why := u.cc.gaveUp(ctx, c, ref.Ref, &u.watch)
		if c.Cancel(why.st.Code(), why.st.Message()) {
			u.report(c, ref.Conn)
			ref.report(c, why, began)
			c.Release()
			return false, why
		}
	}
	err = u.conclude(ctx, c, ref.Ref, reply)
	again = err != nil && !answered(c) && u.again(ctx, endOf(c))
	if !again {
		u.report(c, ref.Conn)
	}
	ref.report(c, err, began)
	c.Release()
	return again, err
}

// again says whether another attempt follows one that ended so. What never left
// costs nothing to try again; what a peer says it did not look at is sent once
// more; the rest is the policy's (gRFC A6).
func (u *unaryCall) again(ctx context.Context, ev attempt.Ended) bool {
	if u.policy == nil && (!ev.Unsent && !ev.Refused || ctx.Err() != nil) {
		return false // nearly every failure
	}
	if u.retrial == nil {
		u.retrial = u.cc.newRetrial(u.policy, u.throttle)
	}
	return u.retrial.ended(ev)
}

// conclude reads the response. OK wants exactly one message.
func (u *unaryCall) conclude(ctx context.Context, c *stream.Call, ref conn.Ref, reply any) error {
	first, n := c.TakeMessages()
	if first.Buf != nil {
		defer first.Buf.Release()
	}
	u.stats.gotHeader(c)
	defer u.stats.gotTrailer(c)
	if st := c.Outcome().Status; st != nil {
		return u.cc.ended(c, st, ref, &u.watch)
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
	sizes, err := cc.opts.limits.inflations.Decode(ctx, info.codec, comp, m.Compressed, m.Buf.B, v, info.maxRecv)
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
func (cc *ClientConn) fillRequest(ctx context.Context, c *stream.Call, method string, info *callInfo, ref *picked) error {
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
	if ref.metadata != nil {
		if err := validateMetadata(ref.metadata); err != nil {
			return err
		}
		r.Metadata = metadata.Join(r.Metadata, ref.metadata)
	}
	if len(cc.opts.perRPC) > 0 || info.creds != nil {
		return cc.addCredentials(ctx, r, info, ref.Conn)
	}
	return nil
}
