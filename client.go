package callboard

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/resolver"

	"github.com/callboard-rpc/callboard/actors"
	"github.com/callboard-rpc/callboard/balancer"
	"github.com/callboard-rpc/callboard/balancer/policy"
	"github.com/callboard-rpc/callboard/codec"
	sc "github.com/callboard-rpc/callboard/internal/serviceconfig"
)

// Version is callboard's, as sent in the user agent.
const Version = "0.1.0-dev"

// ClientConn is a channel to a target: a grpc.ClientConnInterface, so generated
// stubs take it as it is. It connects when the first RPC needs it, or by
// Connect. It is safe for concurrent use.
type ClientConn struct {
	sys       *System
	target    string
	parsed    resolver.Target
	authority string
	scheme    string // of requests: "http" or "https"
	userAgent string
	accept    string // grpc-accept-encoding, of what is registered by now
	opts      dialOptions
	edge      *channelEdge
	unary     grpc.UnaryClientInterceptor  // the whole chain, or nil
	stream    grpc.StreamClientInterceptor // the whole chain, or nil

	maxRecv       atomic.Int64
	serviceConfig atomic.Pointer[sc.Config]
	defaultConfig *sc.Config // nil: none
	proxies       proxies
	codecs        codecCache
	retries       retries

	concrete struct {
		once sync.Once
		cc   *grpc.ClientConn
		err  error
	}
	closing sync.Once
}

var _ grpc.ClientConnInterface = (*ClientConn)(nil)

// NewClient makes a channel to target in the process's default system; see
// System.NewClient.
func NewClient(target string, opts ...DialOption) (*ClientConn, error) {
	return DefaultSystem().NewClient(target, opts...)
}

// NewClient makes a channel to target, written as gRPC names are
// ("dns:///host:port" is meant when there is no scheme, or what grpc-go's
// resolver.SetDefaultScheme was told). Nothing is connected before the first RPC
// or Connect.
//
// Errors: no transport credentials, an unknown scheme, a system that is shut
// down.
func (s *System) NewClient(target string, opts ...DialOption) (*ClientConn, error) {
	o := defaultDialOptions()
	o.supervise = s.supervise
	for _, opt := range opts {
		opt.applyClient(&o)
	}
	if err := o.settle(); err != nil {
		return nil, fmt.Errorf("callboard: client of %s: %w", target, err)
	}
	cc := &ClientConn{sys: s, target: target, opts: o, edge: newChannelEdge(target)}
	builder, err := cc.parse()
	if err != nil {
		return nil, fmt.Errorf("callboard: client of %s: %w", target, err)
	}
	if cc.proxies, err = cc.findProxies(); err != nil {
		return nil, fmt.Errorf("callboard: client of %s: %w", target, err)
	}
	cc.userAgent = "callboard-go/" + Version
	if o.userAgent != "" {
		cc.userAgent = o.userAgent + " " + cc.userAgent
	}
	cc.scheme = "http"
	if p := o.creds.Info().SecurityProtocol; p == "tls" {
		cc.scheme = "https"
	}
	cc.chain()
	cc.accept = codec.Compressors()
	cc.maxRecv.Store(defaultMaxRecv)
	registry := cc.policies()
	if o.serviceConfig != "" {
		cfg, err := sc.Parse(o.serviceConfig)
		if err != nil {
			return nil, fmt.Errorf("callboard: client of %s: %w", target, err)
		}
		if _, err := choice(cfg, registry); err != nil {
			return nil, fmt.Errorf("callboard: client of %s: %w", target, err)
		}
		cc.serviceConfig.Store(cfg)
		cc.defaultConfig = cfg
	}
	ref, err := s.spawn("client/"+target, &actors.Spec{Kind: "channel", Mode: actors.Goroutine}, cc.channelActor(builder, registry))
	if err != nil {
		return nil, fmt.Errorf("callboard: client of %s: %w", target, err)
	}
	cc.edge.tell = ref
	// Not before there is an actor: a system that is shut down closes it.
	if err := s.enter(cc); err != nil {
		ref.Stop()
		return nil, err
	}
	return cc, nil
}

var errNoTransportSecurity = errors.New("no transport security set: use WithTransportCredentials, with insecure.NewCredentials() for plaintext")

func (o *dialOptions) settle() error {
	if o.bundle != nil {
		if o.creds != nil {
			return errors.New("WithTransportCredentials and WithCredentialsBundle exclude each other")
		}
		o.creds = o.bundle.TransportCredentials()
		if p := o.bundle.PerRPCCredentials(); p != nil {
			o.perRPC = append(o.perRPC, p)
		}
	}
	if o.creds == nil {
		return errNoTransportSecurity
	}
	if o.creds.Info().SecurityProtocol == "insecure" {
		for _, p := range o.perRPC {
			if p.RequireTransportSecurity() {
				return errors.New("per-RPC credentials demand transport security, but the connection is plaintext")
			}
		}
	}
	return nil
}

func (cc *ClientConn) channelActor(b resolver.Builder, r policy.Registry) *channel {
	return &channel{
		edge:     cc.edge,
		settle:   (&settled{cc: cc, registry: r}).settle,
		resolver: resolverConfig(cc, cc.resolverFor(b)),
		balancer: balancer.Config{
			Dial: cc.dial, Conn: cc.connConfig, Backoff: cc.opts.backoff,
			MinConnectTimeout: cc.opts.minConnectTimeout, Supervise: cc.sys.supervisor(cc.opts.supervise),
			Jitter: rand.Float64, Table: cc.sys.table, Registry: r,
			MaxConns: cc.opts.maxConns, IdleTimeout: cc.opts.idleTimeout,
			Health: cc.watchHealth, Loads: cc.streamLoads,
		},
	}
}

// Target is the target as it was given to NewClient.
func (cc *ClientConn) Target() string { return cc.target }

// CanonicalTarget is the target with its scheme.
func (cc *ClientConn) CanonicalTarget() string { return cc.parsed.String() }

// GetState is the channel's connectivity state.
func (cc *ClientConn) GetState() connectivity.State { return cc.edge.now.Load().picker.State }

// WaitForStateChange waits until the state is not from any more, and says
// whether it came to that before ctx ended. A state that was left and is back
// counts: GetState may give from again.
func (cc *ClientConn) WaitForStateChange(ctx context.Context, from connectivity.State) bool {
	return cc.edge.awaitLeft(ctx, from)
}

// Connect makes an idle channel connect.
func (cc *ClientConn) Connect() { cc.edge.tell.Tell(&connect{now: true}) }

// ResetConnectBackoff lets the next connection attempt start at once.
func (cc *ClientConn) ResetConnectBackoff() { cc.edge.tell.Tell(&resetBackoff{}) }

// Close ends the channel and its connections. RPCs in flight and later ones end
// with Canceled. Only the first call does something;
// later ones return grpc.ErrClientConnClosing.
//
// Nothing of the channel is left when Close returns, with one exception: it waits
// two seconds at most for a supervisor, policy or stats handler of the
// application's that holds one of the channel's actors up, which may be the very
// caller. What is left then ends when that returns.
func (cc *ClientConn) Close() error {
	err := grpc.ErrClientConnClosing //nolint:staticcheck // the value callers compare with
	cc.closing.Do(func() {
		err = nil
		cc.edge.tell.Tell(&closeChannel{})
		limit := time.NewTimer(2 * closeLimit)
		defer limit.Stop()
		select {
		case <-cc.edge.tell.Probe().Done():
		case <-limit.C:
		}
		cc.sys.leave(cc)
		cc.closeConcrete()
	})
	return err
}

var errHeldUp = errors.New("its actors do not stop")

// shutdown closes the channel for its system. Closing has a limit of its own.
func (cc *ClientConn) shutdown(context.Context) error {
	_ = cc.Close() // all it says is that somebody else has closed it
	select {
	case <-cc.edge.tell.Probe().Done():
		return nil
	default:
		return errHeldUp
	}
}

func (cc *ClientConn) label() string { return "client " + cc.target }
