// Command routeguide makes one RPC of each kind: unary, server streaming,
// client streaming and bidi streaming.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard"
	"github.com/callboard-rpc/callboard/examples/internal/routepb"
)

func main() {
	if err := run(); err != nil {
		log.Fatal("routeguide: ", err)
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
	routepb.RegisterGuideServer(srv, newGuide())
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
	cl := routepb.NewGuideClient(cc)

	for _, visit := range []func(context.Context, routepb.GuideClient) error{locate, explore, walk, chat} {
		if err := visit(ctx, cl); err != nil {
			return err
		}
	}
	return nil
}

func locate(ctx context.Context, cl routepb.GuideClient) error {
	pl, err := cl.Locate(ctx, &routepb.Point{X: 300, Y: 400})
	if err != nil {
		return err
	}
	fmt.Println("locate: at 300, 400 is", pl.GetName())

	_, err = cl.Locate(ctx, &routepb.Point{X: 1, Y: 1})
	if status.Code(err) != codes.NotFound {
		return fmt.Errorf("locating nothing gave %w", err)
	}
	fmt.Println("locate: at 1, 1:", status.Convert(err).Message())
	return nil
}

func explore(ctx context.Context, cl routepb.GuideClient) error {
	st, err := cl.Explore(ctx, &routepb.Area{
		Low:  &routepb.Point{X: 0, Y: 0},
		High: &routepb.Point{X: 500, Y: 100},
	})
	if err != nil {
		return err
	}
	found := 0
	for {
		pl, err := st.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		found++
		fmt.Println("explore:", pl.GetName())
	}
	if found != 2 {
		return fmt.Errorf("explored %d places instead of 2", found)
	}
	return nil
}

func walk(ctx context.Context, cl routepb.GuideClient) error {
	st, err := cl.Walk(ctx)
	if err != nil {
		return err
	}
	for _, p := range []*routepb.Point{{X: 0, Y: 0}, {X: 300, Y: 0}, {X: 300, Y: 200}, {X: 300, Y: 400}} {
		if err := st.Send(p); err != nil {
			return err
		}
	}
	r, err := st.CloseAndRecv()
	if err != nil {
		return err
	}
	fmt.Printf("walk: %d points, %d places, %d m\n", r.GetPoints(), r.GetPlaces(), r.GetLength())
	if r.GetPoints() != 4 || r.GetPlaces() != 3 || r.GetLength() != 700 {
		return fmt.Errorf("not the route that was walked")
	}
	return nil
}

// chat leaves notes in two places. Sending and receiving run side by side, as
// they have to when neither end knows what the other will say.
func chat(ctx context.Context, cl routepb.GuideClient) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	st, err := cl.Chat(ctx)
	if err != nil {
		return err
	}
	heard := make(chan error, 1)
	go func() {
		n := 0
		for {
			note, err := st.Recv()
			if errors.Is(err, io.EOF) {
				if n != 3 {
					err = fmt.Errorf("heard %d notes instead of 3", n)
				} else {
					err = nil
				}
				heard <- err
				return
			}
			if err != nil {
				heard <- err
				return
			}
			n++
			fmt.Printf("chat: at %d, %d somebody noted %q\n", note.GetAt().GetX(), note.GetAt().GetY(), note.GetText())
		}
	}()
	mill, bridge := &routepb.Point{X: 0, Y: 0}, &routepb.Point{X: 300, Y: 0}
	for _, n := range []*routepb.Note{
		{At: mill, Text: "flour is sold out"},
		{At: bridge, Text: "mind the gap"},
		{At: mill, Text: "flour is back"},
		{At: mill, Text: "thank you"},
	} {
		if err := st.Send(n); err != nil {
			return err
		}
	}
	if err := st.CloseSend(); err != nil {
		return err
	}
	return <-heard
}
