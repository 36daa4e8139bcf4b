package callboard

import (
	"context"

	"google.golang.org/grpc"
)

// chain folds the client's interceptors into one each; the first is the
// outermost.
func (cc *ClientConn) chain() {
	unary, stream := cc.opts.unaryChain, cc.opts.streamChain
	if cc.opts.unary != nil {
		unary = append([]grpc.UnaryClientInterceptor{cc.opts.unary}, unary...)
	}
	if cc.opts.stream != nil {
		stream = append([]grpc.StreamClientInterceptor{cc.opts.stream}, stream...)
	}
	cc.unary, cc.stream = chainUnary(unary), chainStream(stream)
}

func chainUnary(is []grpc.UnaryClientInterceptor) grpc.UnaryClientInterceptor {
	switch len(is) {
	case 0:
		return nil
	case 1:
		return is[0]
	}
	first, rest := is[0], chainUnary(is[1:])
	return func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, inv grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		next := func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, opts ...grpc.CallOption) error {
			return rest(ctx, method, req, reply, cc, inv, opts...)
		}
		return first(ctx, method, req, reply, cc, next, opts...)
	}
}

func chainStream(is []grpc.StreamClientInterceptor) grpc.StreamClientInterceptor {
	switch len(is) {
	case 0:
		return nil
	case 1:
		return is[0]
	}
	first, rest := is[0], chainStream(is[1:])
	return func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, str grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
		next := func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			return rest(ctx, desc, cc, method, str, opts...)
		}
		return first(ctx, desc, cc, method, next, opts...)
	}
}
