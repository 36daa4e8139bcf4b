package callboard

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard/codec"
)

// Default message limits, octets.
const (
	defaultMaxRecv = 4 << 20
	defaultMaxSend = math.MaxInt32
)

// defaultRetryBuffer is how many octets of an RPC's request are kept so that it
// can be sent again.
const defaultRetryBuffer = 256 << 10

// callInfo is what a call's options say. grpc-go's options are exported
// structs, read here by type; unknown ones are ignored, as grpc-go does.
type callInfo struct {
	waitForReady bool
	maxRecv      int // unset: no option says
	maxSend      int
	codec        codec.Codec // forced, until finish
	forced       string      // its name
	subtype      string
	compressor   encoding.Compressor
	encoding     string // compressor's name as sent
	encoded      bool   // an option has chosen encoding, if only to have none
	authority    string
	creds        credentials.PerRPCCredentials
	bad          error // the first option that cannot be met
	headers      []*metadata.MD
	trailers     []*metadata.MD
	peers        []*peer.Peer
	onFinish     []func(error)
	retryBuffer  int // octets of a request that are kept for another attempt
}

// unset stands for a message limit that no option has set.
const unset = math.MinInt

// read takes in a call's options, in their order, and what the service config
// says of its method. However it ends, the call's end can be told to OnFinish.
func (ci *callInfo) read(cc *ClientConn, opts []grpc.CallOption, mc *methodConfig) error {
	ci.maxRecv, ci.maxSend, ci.retryBuffer = unset, unset, defaultRetryBuffer
	if mc != nil && mc.WaitForReady != nil {
		ci.waitForReady = *mc.WaitForReady
	}
	for _, opt := range opts {
		ci.apply(opt)
	}
	mc.limit(ci)
	if ci.bad != nil {
		return ci.bad
	}
	return ci.settle(cc)
}

func (ci *callInfo) apply(opt grpc.CallOption) {
	switch o := opt.(type) {
	case grpc.HeaderCallOption:
		ci.headers = append(ci.headers, o.HeaderAddr)
	case grpc.TrailerCallOption:
		ci.trailers = append(ci.trailers, o.TrailerAddr)
	case grpc.PeerCallOption:
		ci.peers = append(ci.peers, o.PeerAddr)
	case grpc.OnFinishCallOption:
		ci.onFinish = append(ci.onFinish, o.OnFinish)
	case grpc.FailFastCallOption:
		ci.waitForReady = !o.FailFast
	case grpc.MaxRecvMsgSizeCallOption:
		ci.maxRecv = o.MaxRecvMsgSize
	case grpc.MaxSendMsgSizeCallOption:
		ci.maxSend = o.MaxSendMsgSize
	case grpc.MaxRetryRPCBufferSizeCallOption:
		ci.retryBuffer = o.MaxRetryRPCBufferSize
	case grpc.PerRPCCredsCallOption:
		ci.creds = o.Creds
	case grpc.AuthorityOverrideCallOption:
		ci.authority = o.Authority
	case grpc.CompressorCallOption:
		ci.compress(o.CompressorType)
	default:
		ci.applyCodec(opt)
	}
}

func (ci *callInfo) applyCodec(opt grpc.CallOption) {
	switch o := opt.(type) {
	case grpc.ContentSubtypeCallOption:
		ci.subtype = strings.ToLower(o.ContentSubtype)
	case grpc.ForceCodecCallOption:
		ci.codec, ci.forced = codec.WrapV1(o.Codec), o.Codec.Name()
	case grpc.ForceCodecV2CallOption:
		ci.codec, ci.forced = codec.WrapV2(o.CodecV2), o.CodecV2.Name()
	case grpc.CustomCodecCallOption:
		ci.codec, ci.forced = codec.WrapV1(legacyCodec{o.Codec}), ""
	}
}

// compress chooses the request's compressor. The empty name leaves it to the
// channel.
func (ci *callInfo) compress(name string) {
	ci.encoding, ci.compressor, ci.encoded, ci.bad = "", nil, name != "", nil
	if name == "" || name == encoding.Identity {
		return
	}
	ci.encoding, ci.compressor = name, encoding.GetCompressor(name)
	if ci.compressor == nil {
		ci.bad = status.Errorf(codes.Internal, "compressor %q is not registered", name)
	}
}

// settle chooses codec and compressor once all options are known.
func (ci *callInfo) settle(cc *ClientConn) error {
	if ci.maxRecv > defaultMaxRecv {
		cc.raiseReceiveLimit(ci.maxRecv)
	}
	if c := cc.opts.compressor; c != nil && !ci.encoded {
		ci.encoding, ci.compressor = c.Name(), c
	}
	if ci.codec != nil {
		if ci.subtype == "" {
			ci.subtype = strings.ToLower(ci.forced)
		}
		return nil
	}
	c, ok := cc.codecs.get(ci.subtype)
	if !ok {
		return status.Errorf(codes.Internal, "no codec registered for content-subtype %s", ci.subtype)
	}
	ci.codec = c
	return nil
}

// report tells the options' owners what the call brought.
func (ci *callInfo) report(header, trailer func() metadata.MD, pr func() *peer.Peer) {
	for _, h := range ci.headers {
		*h = header()
	}
	for _, t := range ci.trailers {
		*t = trailer()
	}
	for _, p := range ci.peers {
		if got := pr(); got != nil {
			*p = *got
		}
	}
}

func (ci *callInfo) finished(err error) {
	for _, f := range ci.onFinish {
		f(err)
	}
}

// legacyCodec gives grpc.Codec, which has String, the Name of an
// encoding.Codec.
type legacyCodec struct{ grpc.Codec }

// Name implements encoding.Codec.
func (c legacyCodec) Name() string { return strings.ToLower(c.String()) }

// statusError turns any error of a call into one with a status.
func statusError(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return status.FromContextError(err).Err()
	}
	return status.Error(codes.Unknown, err.Error())
}

// contextStatus says why a context ended, and where the call was.
func contextStatus(ctx context.Context, where string) *status.Status {
	err := ctx.Err()
	st := status.FromContextError(err)
	if where == "" {
		return st
	}
	return status.New(st.Code(), fmt.Sprintf("%v %s", err, where))
}

var errNoDecompressor = errors.New("a legacy compressor works one way only")

// codecCache remembers the codec of proto, which nearly every call uses.
// Looking it up in grpc-go's registry costs an allocation.
type codecCache struct{ proto atomic.Pointer[codec.Codec] }

func (cc *codecCache) get(subtype string) (codec.Codec, bool) {
	if subtype != "" {
		return codec.ForSubtype(subtype)
	}
	if c := cc.proto.Load(); c != nil {
		return *c, true
	}
	c, ok := codec.ForSubtype("")
	if ok {
		cc.proto.Store(&c)
	}
	return c, ok
}
