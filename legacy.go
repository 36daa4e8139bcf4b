package callboard

import (
	"bytes"
	"io"

	"google.golang.org/grpc"
)

// legacyCompressor gives a deprecated grpc.Compressor the shape of an
// encoding.Compressor.
type legacyCompressor struct{ c grpc.Compressor } //nolint:staticcheck // deprecated in grpc-go, still honoured

// Name implements encoding.Compressor.
func (l legacyCompressor) Name() string { return l.c.Type() }

// Compress implements encoding.Compressor. The legacy interface compresses a
// message at once, so the message is gathered until Close.
func (l legacyCompressor) Compress(w io.Writer) (io.WriteCloser, error) {
	return &gatherer{to: w, c: l.c}, nil
}

// Decompress implements encoding.Compressor; a legacy compressor has none.
func (legacyCompressor) Decompress(io.Reader) (io.Reader, error) {
	return nil, errNoDecompressor
}

type gatherer struct {
	buf bytes.Buffer
	to  io.Writer
	c   grpc.Compressor //nolint:staticcheck // deprecated in grpc-go, still honoured
}

func (g *gatherer) Write(p []byte) (int, error) { return g.buf.Write(p) }

func (g *gatherer) Close() error { return g.c.Do(g.to, g.buf.Bytes()) }

// legacyDecompressor gives a deprecated grpc.Decompressor the shape of an
// encoding.Compressor. It inflates a message at once; the limit is checked
// behind it.
type legacyDecompressor struct{ d grpc.Decompressor } //nolint:staticcheck // deprecated in grpc-go, still honoured

// Name implements encoding.Compressor.
func (l legacyDecompressor) Name() string { return l.d.Type() }

// Compress implements encoding.Compressor; a legacy decompressor has none.
func (legacyDecompressor) Compress(io.Writer) (io.WriteCloser, error) { return nil, errNoDecompressor }

// Decompress implements encoding.Compressor.
func (l legacyDecompressor) Decompress(r io.Reader) (io.Reader, error) {
	b, err := l.d.Do(r)
	if err != nil {
		return nil, err
	}
	return bytes.NewReader(b), nil
}
