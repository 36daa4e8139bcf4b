package callboard

import (
	"context"

	"google.golang.org/grpc"
)

// chain folds the server's interceptors into one each; the first is the
// outermost.
func (s *Server) chain() {
	unary, stream := s.opts.unaryChain, s.opts.streamChain
	if s.opts.unary != nil {
		unary = append([]grpc.UnaryServerInterceptor{s.opts.unary}, unary...)
	}
	if s.opts.stream != nil {
		stream = append([]grpc.StreamServerInterceptor{s.opts.stream}, stream...)
	}
	s.unary, s.stream = chainUnaryServer(unary), chainStreamServer(stream)
}

func chainUnaryServer(is []grpc.UnaryServerInterceptor) grpc.UnaryServerInterceptor {
	switch len(is) {
	case 0:
		return nil
	case 1:
		return is[0]
	}
	first, rest := is[0], chainUnaryServer(is[1:])
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, last grpc.UnaryHandler) (any, error) {
		return first(ctx, req, info, func(ctx context.Context, req any) (any, error) {
			return rest(ctx, req, info, last)
		})
	}
}

func chainStreamServer(is []grpc.StreamServerInterceptor) grpc.StreamServerInterceptor {
	switch len(is) {
	case 0:
		return nil
	case 1:
		return is[0]
	}
	first, rest := is[0], chainStreamServer(is[1:])
	return func(impl any, ss grpc.ServerStream, info *grpc.StreamServerInfo, last grpc.StreamHandler) error {
		return first(impl, ss, info, func(impl any, ss grpc.ServerStream) error {
			return rest(impl, ss, info, last)
		})
	}
}
