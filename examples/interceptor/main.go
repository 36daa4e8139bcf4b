// Command interceptor chains interceptors on both sides: the client adds a
// token, the server checks it and logs, for unary and streaming calls alike.
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard"
	"github.com/callboard-rpc/callboard/examples/internal/greeterpb"
)

const token = "let-me-in"

type greeter struct {
	greeterpb.UnimplementedGreeterServer
}

func (greeter) Greet(_ context.Context, q *greeterpb.GreetRequest) (*greeterpb.GreetResponse, error) {
	return &greeterpb.GreetResponse{Greeting: "hello, " + q.GetName()}, nil
}

func (greeter) Converse(st greeterpb.Greeter_ConverseServer) error {
	q, err := st.Recv()
	if err != nil {
		return err
	}
	return st.Send(&greeterpb.GreetResponse{Greeting: "hello again, " + q.GetName()})
}

// logUnary and logStream stand outside of check, so they see refused calls too.
func logUnary(ctx context.Context, q any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	r, err := next(ctx, q)
	fmt.Println("server: unary ", info.FullMethod, status.Code(err))
	return r, err
}

func logStream(srv any, st grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	err := next(srv, st)
	fmt.Println("server: stream", info.FullMethod, status.Code(err))
	return err
}

func check(ctx context.Context) error {
	if got := metadata.ValueFromIncomingContext(ctx, "token"); len(got) != 1 || got[0] != token {
		return status.Error(codes.Unauthenticated, "no valid token")
	}
	return nil
}

func checkUnary(ctx context.Context, q any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	if err := check(ctx); err != nil {
		return nil, err
	}
	return next(ctx, q)
}

func checkStream(srv any, st grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	if err := check(st.Context()); err != nil {
		return err
	}
	return next(srv, st)
}

func tokenUnary(ctx context.Context, method string, q, r any, cc *grpc.ClientConn, next grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	return next(metadata.AppendToOutgoingContext(ctx, "token", token), method, q, r, cc, opts...)
}

func tokenStream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, next grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return next(metadata.AppendToOutgoingContext(ctx, "token", token), desc, cc, method, opts...)
}

func main() {
	if err := run(); err != nil {
		log.Fatal("interceptor: ", err)
	}
}

func run() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()

	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	srv := callboard.NewServer(
		callboard.ChainUnaryInterceptor(logUnary, checkUnary),
		callboard.ChainStreamInterceptor(logStream, checkStream))
	greeterpb.RegisterGreeterServer(srv, greeter{})
	go func() {
		if err := srv.Serve(lis); err != nil {
			log.Fatal("serve: ", err)
		}
	}()
	defer srv.GracefulStop()

	target := "passthrough:///" + lis.Addr().String()
	plain, err := callboard.NewClient(target, callboard.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer plain.Close()
	_, err = greeterpb.NewGreeterClient(plain).Greet(ctx, &greeterpb.GreetRequest{Name: "stranger"})
	if status.Code(err) != codes.Unauthenticated {
		return fmt.Errorf("a call without a token gave %w", err)
	}
	fmt.Println("client: without a token:", status.Code(err))

	cc, err := callboard.NewClient(target,
		callboard.WithTransportCredentials(insecure.NewCredentials()),
		callboard.WithUnaryInterceptor(tokenUnary),
		callboard.WithStreamInterceptor(tokenStream))
	if err != nil {
		return err
	}
	defer cc.Close()
	return greetTwice(ctx, greeterpb.NewGreeterClient(cc))
}

func greetTwice(ctx context.Context, cl greeterpb.GreeterClient) error {
	r, err := cl.Greet(ctx, &greeterpb.GreetRequest{Name: "friend"})
	if err != nil {
		return err
	}
	fmt.Println("client:", r.GetGreeting())

	st, err := cl.Converse(ctx)
	if err != nil {
		return err
	}
	if err := st.Send(&greeterpb.GreetRequest{Name: "friend"}); err != nil {
		return err
	}
	if r, err = st.Recv(); err != nil {
		return err
	}
	fmt.Println("client:", r.GetGreeting())
	return st.CloseSend()
}
