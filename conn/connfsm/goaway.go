package connfsm

import (
	"fmt"

	"google.golang.org/grpc/codes"

	"github.com/callboard-rpc/callboard/codec/frame"
)

// TooManyPings says that a server sends us away because our keepalive bothers
// it: the next connection should ping half as often.
func TooManyPings(g *frame.GoAway) bool {
	return g != nil && g.Code == frame.EnhanceYourCalm && string(g.Debug) == tooManyPings
}

// goAwayFrame takes the peer's GOAWAY (RFC 9113 6.8). To a server it says
// nothing it could act on, since gRPC servers open no streams.
func (m *Machine) goAwayFrame(f *frame.GoAway, fx *Effects) *frame.ConnError {
	if breach := m.glitch(GlitchGoAway); breach != nil {
		return breach
	}
	if m.cfg.Role == Client {
		if breach := m.checkGoAway(f); breach != nil {
			return breach
		}
	}
	m.goAway = f
	fx.GoAway = f
	if m.cfg.Role == Server {
		return nil
	}
	m.dropUnprocessed(f, fx)
	if m.state == StateReady {
		m.stopOpening("GOAWAY", fx)
	}
	m.finishDrain(fx)
	return nil
}

func (m *Machine) checkGoAway(f *frame.GoAway) *frame.ConnError {
	if f.LastStreamID != 0 && f.LastStreamID&1 == 0 {
		return breach(frame.ProtocolError, "RFC 9113 6.8", "GOAWAY names stream %v, which no client opens", f.LastStreamID)
	}
	if m.goAway != nil && f.LastStreamID > m.goAway.LastStreamID {
		return breach(frame.ProtocolError, "RFC 9113 6.8", "GOAWAY raises its last stream from %v to %v", m.goAway.LastStreamID, f.LastStreamID)
	}
	return nil
}

// dropUnprocessed tells the streams that the server will not serve.
func (m *Machine) dropUnprocessed(f *frame.GoAway, fx *Effects) {
	for i := range m.streams.slots {
		sl := &m.streams.slots[i]
		if sl.id <= f.LastStreamID || sl.gone {
			continue
		}
		sl.gone = true
		fx.Gone = append(fx.Gone, Gone{
			Slot: frame.SlotIndex(i), ID: sl.id, Code: codes.Unavailable,
			Message: "not processed by the server: " + m.peerSaid(), Unprocessed: true,
		})
	}
}

// peerSaid puts the peer's GOAWAY into words, with what it controls escaped.
func (m *Machine) peerSaid() string {
	const clip = 128
	debug := m.goAway.Debug
	if TooManyPings(m.goAway) {
		return "GOAWAY ENHANCE_YOUR_CALM too_many_pings: this client's keepalive Time is shorter than the MinTime of the server's keepalive enforcement policy"
	}
	if len(debug) == 0 {
		return fmt.Sprintf("GOAWAY %v", m.goAway.Code)
	}
	return fmt.Sprintf("GOAWAY %v %q", m.goAway.Code, debug[:min(len(debug), clip)])
}
