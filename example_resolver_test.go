package callboard_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc/credentials/insecure"
	grpcresolver "google.golang.org/grpc/resolver"

	"github.com/callboard-rpc/callboard"
	"github.com/callboard-rpc/callboard/resolver"
)

// hosts is a Source that reads a file with an address per line. It says what
// the file says now; when to look is not its concern.
type hosts string

func (h hosts) Resolve(context.Context) (resolver.Answer, error) {
	f, err := os.Open(string(h))
	if err != nil {
		return resolver.Answer{}, err // the servers that are known stay
	}
	defer func() { _ = f.Close() }()
	var a resolver.Answer
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		a.Endpoints = append(a.Endpoints, grpcresolver.Endpoint{Addresses: []grpcresolver.Address{{Addr: lines.Text()}}})
	}
	return a, lines.Err()
}

// A scheme of one's own: "file:///path" names a file that lists servers. It is
// read every ten seconds, and when a connection is lost.
func ExampleWithResolvers() {
	files := resolver.Polling("file", resolver.Schedule{Poll: 10 * time.Second},
		func(t grpcresolver.Target, _ grpcresolver.BuildOptions) (resolver.Source, error) {
			return hosts(t.URL.Path), nil
		})

	path := filepath.Join(os.TempDir(), "servers")
	cc, err := callboard.NewClient("file://"+path,
		callboard.WithResolvers(files), callboard.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer cc.Close()
	fmt.Println(cc.GetState())
	// Output: IDLE
}
