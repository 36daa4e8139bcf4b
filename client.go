package callboard

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/serviceconfig"

	"github.com/callboard-rpc/callboard/actors"
	"github.com/callboard-rpc/callboard/balancer"
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
	codecs        codecCache

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
// ("dns:///host:port" is meant when there is no scheme). Nothing is connected
// before the first RPC or Connect.
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
	cc := &ClientConn{sys: s, target: target, opts: o, edge: newChannelEdge()}
	builder, err := cc.parse()
	if err != nil {
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
	if o.serviceConfig != "" {
		cfg, err := sc.Parse(o.serviceConfig)
		if err != nil {
			return nil, fmt.Errorf("callboard: client of %s: %w", target, err)
		}
		cc.serviceConfig.Store(cfg)
	}
	ref, err := s.spawn("client/"+target, &actors.Spec{Kind: "channel", Mode: actors.Goroutine}, cc.channelActor(builder))
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

// parse finds the target's resolver: by its scheme, or dns when it has none
// that is known.
func (cc *ClientConn) parse() (resolver.Builder, error) {
	if u, err := url.Parse(cc.target); err == nil {
		cc.parsed = resolver.Target{URL: *u}
		if b := cc.builder(u.Scheme); b != nil {
			return b, cc.findAuthority(b)
		}
	}
	scheme := resolver.GetDefaultScheme()
	if scheme == "passthrough" {
		scheme = "dns" // what NewClient means, where the registry still says what Dial meant
	}
	u, err := url.Parse(scheme + ":///" + cc.target)
	if err != nil {
		return nil, err
	}
	cc.parsed = resolver.Target{URL: *u}
	b := cc.builder(u.Scheme)
	if b == nil {
		return nil, fmt.Errorf("no resolver for scheme %q", u.Scheme)
	}
	return b, cc.findAuthority(b)
}

func (cc *ClientConn) builder(scheme string) resolver.Builder {
	for _, b := range cc.opts.resolvers {
		if b.Scheme() == scheme {
			return b
		}
	}
	return resolver.Get(scheme)
}

// findAuthority settles the :authority header: the option, else what the
// credentials override, else what the resolver says, else the endpoint.
func (cc *ClientConn) findAuthority(b resolver.Builder) error {
	fromCreds := cc.opts.creds.Info().ServerName //nolint:staticcheck // OverrideServerName is deprecated, and still used
	if cc.opts.authority != "" && fromCreds != "" && cc.opts.authority != fromCreds {
		return fmt.Errorf("authority %q and the credentials' server name %q disagree", cc.opts.authority, fromCreds)
	}
	endpoint := cc.parsed.Endpoint()
	switch {
	case cc.opts.authority != "":
		cc.authority = cc.opts.authority
	case fromCreds != "":
		cc.authority = fromCreds
	default:
		if o, ok := b.(resolver.AuthorityOverrider); ok {
			cc.authority = o.OverrideAuthority(cc.parsed)
			return nil
		}
		if strings.HasPrefix(endpoint, ":") {
			endpoint = "localhost" + endpoint
		}
		cc.authority = encodeAuthority(endpoint)
	}
	return nil
}

// encodeAuthority escapes what may not stand in an authority (RFC 3986 3.2).
func encodeAuthority(s string) string {
	const allowed = "-_.~!$&'()*+,;=:[]@"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte(allowed, c) >= 0 {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return b.String()
}

func (cc *ClientConn) channelActor(b resolver.Builder) *channel {
	return &channel{
		edge:     cc.edge,
		offered:  cc.offerServiceConfig,
		resolver: resolverConfig(cc, b),
		balancer: balancer.Config{
			Dial: cc.dial, Conn: cc.connConfig, Backoff: cc.opts.backoff,
			MinConnectTimeout: cc.opts.minConnectTimeout, Supervise: cc.opts.supervise,
			Jitter: rand.Float64, Table: cc.sys.table,
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
// whether it came to that before ctx ended.
func (cc *ClientConn) WaitForStateChange(ctx context.Context, from connectivity.State) bool {
	for {
		ep := cc.edge.now.Load()
		if ep.picker.State != from {
			return true
		}
		select {
		case <-ep.superseded:
		case <-ctx.Done():
			return false
		}
	}
}

// Connect makes an idle channel connect.
func (cc *ClientConn) Connect() { cc.edge.tell.Tell(&connect{}) }

// ResetConnectBackoff lets the next connection attempt start at once.
func (cc *ClientConn) ResetConnectBackoff() { cc.edge.tell.Tell(&resetBackoff{}) }

// Close ends the channel and its connections. RPCs in flight and later ones end
// with Canceled. Only the first call does something;
// later ones return grpc.ErrClientConnClosing.
func (cc *ClientConn) Close() error {
	err := grpc.ErrClientConnClosing //nolint:staticcheck // the value callers compare with
	cc.closing.Do(func() {
		err = nil
		cc.edge.tell.Tell(&closeChannel{})
		<-cc.edge.tell.Probe().Done()
		cc.sys.leave(cc)
		cc.closeConcrete()
	})
	return err
}

// shutdown closes the channel for its system. Closing has a limit of its own;
// only a supervisor that blocks can exceed it.
func (cc *ClientConn) shutdown(context.Context) error {
	closed := make(chan struct{})
	go func() {
		_ = cc.Close() // all it says is that somebody else has closed it
		close(closed)
	}()
	select {
	case <-closed:
		return nil
	case <-time.After(2 * closeLimit):
		return errors.New("its actors do not stop")
	}
}

func (cc *ClientConn) label() string { return "client " + cc.target }

// offerServiceConfig takes the resolver's service config, unless it is broken:
// then the last good one stays.
func (cc *ClientConn) offerServiceConfig(r *serviceconfig.ParseResult) {
	if r == nil || r.Err != nil || cc.opts.noServiceConfig {
		return
	}
	if cfg, ok := r.Config.(*sc.Config); ok {
		cc.serviceConfig.Store(cfg)
	}
}
