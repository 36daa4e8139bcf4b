package frame

import (
	"errors"

	"golang.org/x/net/http2/hpack"
)

// blockDecoder turns header blocks into fields and keeps the HPACK table in
// step with the peer's, whatever becomes of the block.
type blockDecoder struct {
	hp     *hpack.Decoder
	cfg    *limits
	blocks blockCache

	h     *Headers // the block being decoded
	size  int      // of its list, as RFC 9113 6.5.2 counts it
	count int
}

func (d *blockDecoder) init(cfg *limits) {
	d.cfg = cfg
	// Before it has seen our SETTINGS the peer may use the default.
	d.hp = hpack.NewDecoder(DefaultTableSize, d.field)
	d.hp.SetAllowedMaxDynamicTableSize(max(DefaultTableSize, cfg.HeaderTableSize))
	// A longer string cannot be part of a list that is let through.
	d.hp.SetMaxStringLength(2 * cfg.MaxHeaderList)
}

func (d *blockDecoder) begin(h *Headers) { d.h, d.size, d.count = h, 0, 0 }

// write decodes a fragment; first says that the block begins with it, whole
// that it is all of the block.
func (d *blockDecoder) write(p []byte, first, whole bool) error {
	if first {
		var err error
		if p, err = d.resize(p); err != nil {
			return err
		}
	}
	if !whole {
		d.blocks.clear()
		return d.decode(p)
	}
	shape := shapeOf(p)
	if shape.resized { // x/net lets it pass while the table is empty
		return violation(CompressionError, "RFC 7541 4.2", "a table size update behind a header field")
	}
	run := p[:shape.indexed]
	if len(run) > 0 {
		if b := d.blocks.byWire(run); b != nil && d.take(b) {
			p = p[len(run):]
		} else if shape.fixed {
			if err := d.decode(run); err != nil {
				return err
			}
			if !d.h.TooLarge {
				d.blocks.add(run, d.h.Fields, d.size)
			}
			p = p[len(run):]
		}
	}
	if !shape.fixed {
		d.blocks.clear()
	}
	return d.decode(p)
}

// resize takes the table size updates at the beginning of a block one by one:
// there may be two (RFC 7541 4.2), of which hpack refuses the second unless it
// believes that a new block begins.
func (d *blockDecoder) resize(p []byte) ([]byte, error) {
	for len(p) > 0 && p[0]&^(1<<bitsTableSize-1) == reprTableSize {
		n := skipInt(p, 0, bitsTableSize)
		if n < 0 {
			break
		}
		d.blocks.clear()
		if err := d.decode(p[:n]); err != nil {
			return nil, err
		}
		_ = d.hp.Close() // nothing is cut off
		p = p[n:]
	}
	return p, nil
}

// take uses fields that were decoded before.
func (d *blockDecoder) take(b *cachedBlock) bool {
	if b.size > d.cfg.MaxHeaderList || len(b.fields) > d.cfg.MaxHeaderFields {
		return false
	}
	d.h.Fields = append(d.h.Fields, b.fields...)
	d.size, d.count = b.size, len(b.fields)
	return true
}

func (d *blockDecoder) decode(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	_, err := d.hp.Write(p)
	switch {
	case errors.Is(err, hpack.ErrStringLength):
		return tooMuch("a header field of more than %d octets", 2*d.cfg.MaxHeaderList)
	case err != nil:
		return violation(CompressionError, "RFC 9113 4.3", "a header block cannot be decoded: %v", err)
	case d.size > 2*d.cfg.MaxHeaderList:
		return tooMuch("a header list of more than %d octets", 2*d.cfg.MaxHeaderList)
	case d.count > 2*d.cfg.MaxHeaderFields:
		return tooMuch("a header list of more than %d fields", 2*d.cfg.MaxHeaderFields)
	}
	return nil
}

// end closes the block.
func (d *blockDecoder) end() error {
	d.h = nil
	d.hp.SetEmitEnabled(true)
	if err := d.hp.Close(); err != nil {
		return violation(CompressionError, "RFC 9113 4.3", "a header block ends inside a field")
	}
	return nil
}

// field takes one decoded field. Past the limit fields are only counted, far
// past it not even that.
func (d *blockDecoder) field(f hpack.HeaderField) {
	d.size += int(f.Size())
	d.count++
	if d.size > d.cfg.MaxHeaderList || d.count > d.cfg.MaxHeaderFields {
		d.h.TooLarge = true
		if d.size > 2*d.cfg.MaxHeaderList || d.count > 2*d.cfg.MaxHeaderFields {
			d.hp.SetEmitEnabled(false)
		}
		return
	}
	d.h.Fields = append(d.h.Fields, f)
}
