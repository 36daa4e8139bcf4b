// Command client is a client under test for connectconformance: it reads
// ClientCompatRequests from stdin until it ends, makes the call each describes
// and answers with what came of it, in any order.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"syscall"

	"github.com/callboard-rpc/callboard/interop/peer"
	_ "google.golang.org/grpc/encoding/gzip" // one of the suite's compressions

	"github.com/callboard-rpc/callboard/interop/conformance"
	pb "github.com/callboard-rpc/callboard/interop/conformance/conformancev1"
)

func main() {
	implementation := flag.String("implementation", peer.Default, "gRPC implementation to test")
	parallel := flag.Int("parallel", 4*runtime.GOMAXPROCS(0), "calls at a time")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, *implementation, *parallel, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "conformance client:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, implementation string, parallel int, in io.Reader, out io.Writer) error {
	stack, err := peer.ByName(implementation)
	if err != nil {
		return err
	}
	var (
		chans   = newChannels(stack)
		answers = conformance.NewWriter(out)
		turns   = make(chan struct{}, parallel)
		wg      sync.WaitGroup
		once    sync.Once
		broken  error // the first answer that could not be written
	)
	defer chans.close()
	defer wg.Wait()
	for ctx.Err() == nil {
		req := new(pb.ClientCompatRequest)
		if err := conformance.Read(in, req); err != nil {
			wg.Wait()
			if errors.Is(err, io.EOF) {
				return broken
			}
			return fmt.Errorf("read request: %w", err)
		}
		turns <- struct{}{}
		wg.Go(func() {
			defer func() { <-turns }()
			if err := answers.Write(answer(ctx, chans, req)); err != nil {
				once.Do(func() { broken = err })
			}
		})
	}
	return ctx.Err()
}

// answer makes the call. An error result means that there was no call.
func answer(ctx context.Context, chans *channels, req *pb.ClientCompatRequest) *pb.ClientCompatResponse {
	resp := &pb.ClientCompatResponse{TestName: req.GetTestName()}
	result, err := perform(ctx, chans, req)
	if err != nil {
		resp.Result = &pb.ClientCompatResponse_Error{Error: &pb.ClientErrorResult{Message: err.Error()}}
	} else {
		resp.Result = &pb.ClientCompatResponse_Response{Response: result}
	}
	return resp
}

func perform(ctx context.Context, chans *channels, req *pb.ClientCompatRequest) (*pb.ClientResponseResult, error) {
	if req.GetProtocol() != pb.Protocol_PROTOCOL_GRPC || req.GetHttpVersion() != pb.HTTPVersion_HTTP_VERSION_2 {
		return nil, fmt.Errorf("%v over %v is not gRPC over HTTP/2", req.GetProtocol(), req.GetHttpVersion())
	}
	cc, err := chans.get(ctx, req)
	if err != nil {
		return nil, err
	}
	c, err := newCall(ctx, cc, req)
	if err != nil {
		return nil, err
	}
	defer c.cancel()
	return c.run()
}
