package callboard

import (
	"context"
	"errors"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/status"
)

// GRPC returns a real *grpc.ClientConn for code that insists on the concrete
// type. Its RPCs are this channel's: interceptors divert every call before
// grpc-go's own transport is asked for anything, and it never dials. It is made
// once, when first asked for, and closed with the ClientConn. Its Target is this
// channel's; its connectivity state is its own, and stays IDLE.
//
// Errors: the ClientConn is closed.
func (cc *ClientConn) GRPC() (*grpc.ClientConn, error) { return cc.grpcConn() }

var errNeverDials = errors.New("callboard: this *grpc.ClientConn only diverts its calls and never dials")

func (cc *ClientConn) grpcConn() (*grpc.ClientConn, error) {
	c := &cc.concrete
	c.once.Do(func() {
		c.cc, c.err = grpc.NewClient(cc.target, grpc.WithResolvers(silent{scheme: cc.parsed.URL.Scheme}),
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) { return nil, errNeverDials }),
			grpc.WithUnaryInterceptor(cc.divertUnary), grpc.WithStreamInterceptor(cc.divertStream),
			grpc.WithDisableServiceConfig())
	})
	return c.cc, c.err
}

// silent takes the place of the target's resolver there: nothing is to be looked
// up twice. It never answers.
type silent struct{ scheme string }

func (s silent) Scheme() string { return s.scheme }

func (s silent) Build(resolver.Target, resolver.ClientConn, resolver.BuildOptions) (resolver.Resolver, error) {
	return s, nil
}

func (silent) ResolveNow(resolver.ResolveNowOptions) {}

func (silent) Close() {}

func (cc *ClientConn) divertUnary(ctx context.Context, method string, req, reply any, _ *grpc.ClientConn, _ grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	return cc.Invoke(ctx, method, req, reply, opts...)
}

func (cc *ClientConn) divertStream(ctx context.Context, desc *grpc.StreamDesc, _ *grpc.ClientConn, method string, _ grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return cc.NewStream(ctx, desc, method, opts...)
}

func (cc *ClientConn) closeConcrete() {
	// Taking the once makes sure that none is built behind our back.
	cc.concrete.once.Do(func() {
		cc.concrete.err = status.Errorf(codes.Canceled, "%s: %v", cc.edge.path(), errClientClosing)
	})
	if cc.concrete.cc != nil {
		_ = cc.concrete.cc.Close()
	}
}
