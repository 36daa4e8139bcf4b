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

	SendLimit   int // octets one stream's application may queue; 0: 64 KiB
	WriteBuffer int // octets gathered before a flush is forced; 0: 32 KiB
	WriteStall  time.Duration
	Budget      *flow.Budget

	Parent  actors.Ref[any]
	Table   *actors.Table
	Context context.Context // values for handlers; nil: Background
	OnUp    func(*stream.ConnInfo)
	OnDown  func(*stream.ConnInfo, error)
}

// Defaults.
const (
	defaultSendLimit   = 64 << 10
	defaultWriteBuffer = 32 << 10
	defaultHandshake   = 10 * time.Second
	defaultWriteStall  = 30 * time.Second
	closeLinger        = 100 * time.Millisecond
)

func (c *Config) fill() {
	if c.SendLimit == 0 {
		c.SendLimit = defaultSendLimit
	}
	if c.WriteBuffer == 0 {
		c.WriteBuffer = defaultWriteBuffer
	}
	if c.Timeout == 0 {
		c.Timeout = defaultHandshake
	}
	if c.WriteStall == 0 {
		c.WriteStall = defaultWriteStall
	}
}
