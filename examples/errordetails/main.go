// Command errordetails returns a status with typed details and reads them on the
// other side.
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/callboard-rpc/callboard"
	"github.com/callboard-rpc/callboard/examples/internal/greeterpb"
)

type greeter struct {
	greeterpb.UnimplementedGreeterServer
}

func (greeter) Greet(_ context.Context, q *greeterpb.GreetRequest) (*greeterpb.GreetResponse, error) {
	if q.GetName() != "" {
		return &greeterpb.GreetResponse{Greeting: "hello, " + q.GetName()}, nil
	}
	st, err := status.New(codes.InvalidArgument, "the request has no name").WithDetails(
		&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{
			{Field: "name", Description: "must not be empty"},
		}},
		&errdetails.RetryInfo{RetryDelay: durationpb.New(time.Second)})
	if err != nil {
		return nil, err
	}
	return nil, st.Err()
}

func main() {
	if err := run(); err != nil {
		log.Fatal("errordetails: ", err)
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

	_, err = greeterpb.NewGreeterClient(cc).Greet(ctx, &greeterpb.GreetRequest{})
	st := status.Convert(err)
	fmt.Printf("%v: %s\n", st.Code(), st.Message())
	for _, d := range st.Details() {
		switch d := d.(type) {
		case *errdetails.BadRequest:
			for _, v := range d.GetFieldViolations() {
				fmt.Printf("  field %s %s\n", v.GetField(), v.GetDescription())
			}
		case *errdetails.RetryInfo:
			fmt.Println("  try again in", d.GetRetryDelay().AsDuration())
		default:
			return fmt.Errorf("unexpected detail %T", d)
		}
	}
	if st.Code() != codes.InvalidArgument || len(st.Details()) != 2 {
		return fmt.Errorf("got %d details with %w", len(st.Details()), err)
	}
	return nil
}
