package cases

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/protobuf/proto"
)

func emptyUnary(ctx context.Context, e *Env) error {
	reply, err := e.stub().EmptyCall(ctx, &pb.Empty{})
	if err != nil {
		return fmt.Errorf("EmptyCall: %w", err)
	}
	if n := proto.Size(reply); n != 0 {
		return fmt.Errorf("response has %d bytes, want none", n)
	}
	return nil
}

func largeUnary(ctx context.Context, e *Env) error {
	return large(ctx, e.stub(), largeRequest, largeResponse)
}

func large(ctx context.Context, stub pb.TestServiceClient, request, response int, opts ...grpc.CallOption) error {
	reply, err := stub.UnaryCall(ctx, &pb.SimpleRequest{
		ResponseSize: int32(response),
		Payload:      payload(request),
	}, opts...)
	if err != nil {
		return fmt.Errorf("UnaryCall: %w", err)
	}
	return checkPayload(reply.GetPayload(), response)
}

// concurrentLargeUnary performs large_unary many times in parallel on one
// channel.
func concurrentLargeUnary(ctx context.Context, e *Env) error {
	n := e.Parallel
	if n == 0 {
		n = 1000
	}
	var (
		wg    sync.WaitGroup
		errs  = make([]error, n)
		start = make(chan struct{})
	)
	for i := range n {
		wg.Go(func() {
			<-start
			if err := largeUnary(ctx, e); err != nil {
				errs[i] = fmt.Errorf("call %d: %w", i, err)
			}
		})
	}
	close(start)
	wg.Wait()
	return errors.Join(errs...)
}

// pickFirstUnary wants every call of a channel to reach the same server.
func pickFirstUnary(ctx context.Context, e *Env) error {
	const calls = 100
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var first string
	for i := range calls {
		reply, err := e.stub().UnaryCall(ctx, &pb.SimpleRequest{
			ResponseSize: 1,
			Payload:      payload(1),
			FillServerId: true,
		})
		if err != nil {
			return fmt.Errorf("call %d: UnaryCall: %w", i, err)
		}
		switch id := reply.GetServerId(); {
		case id == "":
			return fmt.Errorf("call %d: server_id is empty", i)
		case i == 0:
			first = id
		case id != first:
			return fmt.Errorf("call %d: server_id is %q, was %q", i, id, first)
		}
	}
	return nil
}
