package callboard

import (
	"context"
	"errors"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// GRPC returns a real *grpc.ClientConn for code that insists on the concrete
// type. Its RPCs are this channel's: interceptors divert every call before
// grpc-go's own transport is asked for anything, and it never dials. It is made
// once, when first asked for, and closed with the ClientConn.
func (cc *ClientConn) GRPC() (*grpc.ClientConn, error) { return cc.grpcConn() }

var errNeverDials = errors.New("callboard: this *grpc.ClientConn only diverts its calls and never dials")

func (cc *ClientConn) grpcConn() (*grpc.ClientConn, error) {
	c := &cc.concrete
	c.once.Do(func() {
		c.cc, c.err = grpc.NewClient("passthrough:///"+cc.target,
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) { return nil, errNeverDials }),
			grpc.WithUnaryInterceptor(cc.divertUnary), grpc.WithStreamInterceptor(cc.divertStream),
			grpc.WithDisableServiceConfig())
	})
	return c.cc, c.err
}

func (cc *ClientConn) divertUnary(ctx context.Context, method string, req, reply any, _ *grpc.ClientConn, _ grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	return cc.Invoke(ctx, method, req, reply, opts...)
}

func (cc *ClientConn) divertStream(ctx context.Context, desc *grpc.StreamDesc, _ *grpc.ClientConn, method string, _ grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return cc.NewStream(ctx, desc, method, opts...)
}

func (cc *ClientConn) closeConcrete() {
	// Taking the once makes sure that none is built behind our back.
	cc.concrete.once.Do(func() { cc.concrete.err = errClientClosing })
	if cc.concrete.cc != nil {
		_ = cc.concrete.cc.Close()
	}
}
