package conn

import (
	"context"
	"net"
	"time"

	"google.golang.org/grpc/credentials"

	"github.com/callboard-rpc/callboard/actors"
	"github.com/callboard-rpc/callboard/codec/frame"
	"github.com/callboard-rpc/callboard/conn/connfsm"
	"github.com/callboard-rpc/callboard/internal/flow"
	"github.com/callboard-rpc/callboard/internal/shared"
	"github.com/callboard-rpc/callboard/stream"
	"github.com/callboard-rpc/callboard/stream/streamfsm"
)

// Config describes one connection. The zero limits of Reader are filled with
// the defaults of the safety document.
type Config struct {
	NC        net.Conn
	Handshake func(net.Conn) (net.Conn, credentials.AuthInfo, error) // server: the transport handshake, on the reader's goroutine; nil: none
	AuthInfo  credentials.AuthInfo                                   // client: what its handshake, done by the dialler, found
	Timeout   time.Duration                                          // server: for Handshake; 0: 10 s

	Machine connfsm.Config
	Stream  streamfsm.Config
	Reader  frame.ReaderConfig
	Handler stream.Handler // server

	SendLimit   int           // octets one stream's application may queue; 0: 64 KiB
	SendBudget  *flow.Budget  // for what waits to be written; nil: none
	WriteStall  time.Duration // a write that takes longer closes the connection; 0: 30 s, negative: never
	StreamStall time.Duration // a stream without window for longer is reset; 0: 60 s, negative: never
	HeaderTime  time.Duration // a header block that takes longer closes the connection; 0: 10 s, negative: never
	Crowding    bool          // client: the parent wants Crowded

	Parent  actors.Ref[any]
	Table   *actors.Table
	Context context.Context // values for handlers; nil: Background
	OnUp    func(*stream.ConnInfo)
	OnDown  func(*stream.ConnInfo, error)
}

// rules is the part of a Config that is the same for all connections of a server
// or channel. They share it.
type rules struct {
	role        connfsm.Role
	crowding    bool
	writeStall  time.Duration
	streamStall time.Duration
}

var allRules shared.Values[rules]

func (c *Config) rules() *rules {
	return allRules.Of(rules{
		role: c.Machine.Role, crowding: c.Crowding, writeStall: c.WriteStall, streamStall: c.StreamStall,
	})
}

// Defaults.
const (
	defaultSendLimit   = 64 << 10
	defaultHandshake   = 10 * time.Second
	defaultWriteStall  = 30 * time.Second
	defaultStreamStall = 60 * time.Second
	defaultHeaderTime  = 10 * time.Second
	closeLinger        = 100 * time.Millisecond
)

func (c *Config) fill() {
	if c.SendLimit == 0 {
		c.SendLimit = defaultSendLimit
	}
	if c.Timeout == 0 {
		c.Timeout = defaultHandshake
	}
	if c.WriteStall == 0 {
		c.WriteStall = defaultWriteStall
	}
	if c.StreamStall == 0 {
		c.StreamStall = defaultStreamStall
	}
	if c.HeaderTime == 0 {
		c.HeaderTime = defaultHeaderTime
	}
}
