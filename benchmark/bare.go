package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/protobuf/proto"
)

// bareConn is a client of a few hundred bytes: it makes one unary call by hand
// and then holds the socket, so that what the process grows by is the server's.
func bareConn(addr string) (io.Closer, error) {
	nc, err := net.DialTimeout("tcp", addr, callDeadline)
	if err != nil {
		return nil, err
	}
	if err := bareCall(nc); err != nil {
		_ = nc.Close()
		return nil, fmt.Errorf("bare client: %w", err)
	}
	return nc, nil
}

func bareCall(nc net.Conn) error {
	if err := nc.SetDeadline(time.Now().Add(callDeadline)); err != nil {
		return err
	}
	message, err := proto.Marshal(&pb.SimpleRequest{ResponseSize: smallBody, Payload: payload(smallBody)})
	if err != nil {
		return err
	}
	var block, out bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, f := range [...]hpack.HeaderField{
		{Name: ":method", Value: "POST"},
		{Name: ":scheme", Value: "http"},
		{Name: ":path", Value: pb.BenchmarkService_UnaryCall_FullMethodName},
		{Name: ":authority", Value: "benchmark"},
		{Name: "content-type", Value: "application/grpc"},
		{Name: "te", Value: "trailers"},
	} {
		if err := enc.WriteField(f); err != nil {
			return err
		}
	}
	out.WriteString(http2.ClientPreface)
	fr := http2.NewFramer(&out, nc)
	_ = fr.WriteSettings() // writes to a bytes.Buffer do not fail
	_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true})
	_ = fr.WriteData(1, true, append([]byte{0, 0, 0, 0, byte(len(message))}, message...))
	if _, err := nc.Write(out.Bytes()); err != nil {
		return err
	}
	return bareAnswer(nc, fr, &out)
}

// bareAnswer reads until the response is over, acknowledging what must be.
func bareAnswer(nc net.Conn, fr *http2.Framer, out *bytes.Buffer) error {
	for {
		f, err := fr.ReadFrame()
		if err != nil {
			return err
		}
		out.Reset()
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				_ = fr.WriteSettingsAck()
			}
		case *http2.PingFrame:
			if !f.IsAck() {
				_ = fr.WritePing(true, f.Data)
			}
		case *http2.HeadersFrame:
			if f.StreamEnded() {
				return nc.SetDeadline(time.Time{})
			}
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			return fmt.Errorf("got %v", f.Header())
		}
		if _, err := nc.Write(out.Bytes()); err != nil {
			return err
		}
	}
}
