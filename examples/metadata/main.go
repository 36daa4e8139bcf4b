// Command metadata sends metadata both ways: request metadata with a binary
// value, response headers and trailers.
package main

import (
	"bytes"
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

type greeter struct {
	greeterpb.UnimplementedGreeterServer
}

// Greet reads request metadata, and sets a header and a trailer. Headers leave
// with the first message, trailers with the status.
func (greeter) Greet(ctx context.Context, q *greeterpb.GreetRequest) (*greeterpb.GreetResponse, error) {
	md, ok := metadata.FromIncomingContext(ctx)
	if !ok {
		return nil, status.Error(codes.Internal, "no metadata")
	}
	fmt.Printf("server: language %q, trace %x\n", md.Get("language"), md.Get("trace-bin"))
	greeting := "hello"
	if languages := md.Get("language"); len(languages) > 0 && languages[0] == "eo" {
		greeting = "saluton"
	}
	if err := grpc.SetHeader(ctx, metadata.Pairs("language", "eo", "trace-bin", md.Get("trace-bin")[0])); err != nil {
		return nil, err
	}
	if err := grpc.SetTrailer(ctx, metadata.Pairs("greetings-so-far", "1")); err != nil {
		return nil, err
	}
	return &greeterpb.GreetResponse{Greeting: greeting + ", " + q.GetName()}, nil
}

// Converse sends its header before it has read anything.
func (greeter) Converse(st greeterpb.Greeter_ConverseServer) error {
	if err := st.SendHeader(metadata.Pairs("mood", "curious")); err != nil {
		return err
	}
	if _, err := st.Recv(); err != nil {
		return err
	}
	st.SetTrailer(metadata.Pairs("mood", "delighted"))
	return nil
}

func main() {
	if err := run(); err != nil {
		log.Fatal("metadata: ", err)
	}
}

func run() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()

	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	srv := callboard.NewServer()
	greeterpb.RegisterGreeterServer(srv, greeter{})
	go func() {
		if err := srv.Serve(lis); err != nil {
			log.Fatal("serve: ", err)
		}
	}()
	defer srv.GracefulStop()

	cc, err := callboard.NewClient("passthrough:///"+lis.Addr().String(),
		callboard.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer cc.Close()
	cl := greeterpb.NewGreeterClient(cc)
	if err := unary(ctx, cl); err != nil {
		return err
	}
	return stream(ctx, cl)
}

func unary(ctx context.Context, cl greeterpb.GreeterClient) error {
	trace := []byte{0x00, 0xff, 0x10} // any bytes may stand under a key that ends in -bin
	ctx = metadata.AppendToOutgoingContext(ctx, "language", "eo", "trace-bin", string(trace))
	var header, trailer metadata.MD
	r, err := cl.Greet(ctx, &greeterpb.GreetRequest{Name: "mondo"}, grpc.Header(&header), grpc.Trailer(&trailer))
	if err != nil {
		return err
	}
	fmt.Println("client:", r.GetGreeting())
	fmt.Printf("client: header language %q, trace %x\n", header.Get("language"), header.Get("trace-bin"))
	fmt.Printf("client: trailer greetings-so-far %q\n", trailer.Get("greetings-so-far"))
	if got := header.Get("trace-bin"); len(got) != 1 || !bytes.Equal([]byte(got[0]), trace) {
		return fmt.Errorf("the binary value came back as %x", got)
	}
	if len(trailer.Get("greetings-so-far")) != 1 {
		return fmt.Errorf("the trailer is missing")
	}
	return nil
}

func stream(ctx context.Context, cl greeterpb.GreeterClient) error {
	st, err := cl.Converse(ctx)
	if err != nil {
		return err
	}
	header, err := st.Header() // before any message has been sent
	if err != nil {
		return err
	}
	if err := st.Send(&greeterpb.GreetRequest{}); err != nil {
		return err
	}
	_, _ = st.Recv() // the end of the stream; trailers are there after it
	fmt.Printf("client: the server's mood went from %q to %q\n", header.Get("mood"), st.Trailer().Get("mood"))
	if len(header.Get("mood")) != 1 || len(st.Trailer().Get("mood")) != 1 {
		return fmt.Errorf("a mood is missing")
	}
	return nil
}
