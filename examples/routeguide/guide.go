package main

import (
	"context"
	"errors"
	"io"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard/examples/internal/routepb"
)

// spot is a point as a map key.
type spot struct{ x, y int32 }

func spotOf(p *routepb.Point) spot { return spot{p.GetX(), p.GetY()} }

// guide is the server: a fixed map and the notes that visitors leave on it.
type guide struct {
	routepb.UnimplementedGuideServer
	places []*routepb.Place

	mu    sync.Mutex
	notes map[spot][]string
}

func newGuide() *guide {
	return &guide{
		places: []*routepb.Place{
			{Name: "the mill", At: &routepb.Point{X: 0, Y: 0}},
			{Name: "the bridge", At: &routepb.Point{X: 300, Y: 0}},
			{Name: "the old oak", At: &routepb.Point{X: 300, Y: 400}},
		},
		notes: map[spot][]string{},
	}
}

func (g *guide) at(p *routepb.Point) *routepb.Place {
	for _, pl := range g.places {
		if spotOf(pl.GetAt()) == spotOf(p) {
			return pl
		}
	}
	return nil
}

func (g *guide) Locate(_ context.Context, p *routepb.Point) (*routepb.Place, error) {
	if pl := g.at(p); pl != nil {
		return pl, nil
	}
	return nil, status.Errorf(codes.NotFound, "nothing at %d, %d", p.GetX(), p.GetY())
}

func (g *guide) Explore(a *routepb.Area, st routepb.Guide_ExploreServer) error {
	low, high := spotOf(a.GetLow()), spotOf(a.GetHigh())
	for _, pl := range g.places {
		s := spotOf(pl.GetAt())
		if s.x < low.x || s.x > high.x || s.y < low.y || s.y > high.y {
			continue
		}
		if err := st.Send(pl); err != nil {
			return err
		}
	}
	return nil
}

func (g *guide) Walk(st routepb.Guide_WalkServer) error {
	route := &routepb.Route{}
	var last *routepb.Point
	for {
		p, err := st.Recv()
		if errors.Is(err, io.EOF) {
			return st.SendAndClose(route)
		}
		if err != nil {
			return err
		}
		route.Points++
		if g.at(p) != nil {
			route.Places++
		}
		if last != nil {
			route.Length += distance(last, p)
		}
		last = p
	}
}

// distance follows the paths, which run along the axes.
func distance(a, b *routepb.Point) int32 {
	return max(a.GetX()-b.GetX(), b.GetX()-a.GetX()) + max(a.GetY()-b.GetY(), b.GetY()-a.GetY())
}

func (g *guide) Chat(st routepb.Guide_ChatServer) error {
	for {
		n, err := st.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, text := range g.leave(n) {
			if err := st.Send(&routepb.Note{At: n.GetAt(), Text: text}); err != nil {
				return err
			}
		}
	}
}

// leave adds a note and returns those that were there before.
func (g *guide) leave(n *routepb.Note) []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := spotOf(n.GetAt())
	before := g.notes[s]
	g.notes[s] = append(before[:len(before):len(before)], n.GetText())
	return before
}
