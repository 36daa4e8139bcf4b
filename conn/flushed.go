package conn

import (
	"sync"

	"github.com/callboard-rpc/callboard/conn/outbound"
)

var flushedPool = sync.Pool{New: func() any { return new(flushed) }}

func newFlushed() *flushed { return flushedPool.Get().(*flushed) }

func (f *flushed) free() {
	*f = flushed{finished: f.finished[:0], rejected: clearRejected(f.rejected)}
	flushedPool.Put(f)
}

func clearRejected(r []outbound.Rejected) []outbound.Rejected {
	clear(r)
	return r[:0]
}
