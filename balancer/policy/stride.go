package policy

import (
	"math"
	"sync/atomic"
)

// stride decides whose turn it is, by weight: the static stride scheduler that
// gRPC's implementations share (gRFC A58). It approximates "earliest deadline
// first" without a queue: a sequence number counts places in rounds over all
// indices, and each index lets rounds pass, evenly spread, so that it takes
// part in weight/maxStride of them.
//
// It is immutable; the sequence is its user's.
type stride struct {
	n       uint64
	weights []uint16 // nil: all the same
}

const (
	maxStride = math.MaxUint16
	// maxRatio bounds a weight to this multiple of the mean, and to one part in
	// as many of it. So one backend's report does not draw all RPCs to it, and
	// the number of places that are passed over for a pick stays small.
	maxRatio = 10
)

// newStride makes a stride over len(weights) indices. A weight that is not
// known is 0 and counts as the mean of the others; with fewer than two known
// all are the same. There must be at least one.
func newStride(weights []float64) *stride {
	s := &stride{n: uint64(len(weights))}
	sum, known := 0.0, 0
	for _, w := range weights {
		if w > 0 {
			sum += w
			known++
		}
	}
	mean := sum / float64(known)
	if known < 2 || mean == 0 || math.IsInf(mean, 0) {
		return s
	}
	capped := make([]float64, len(weights))
	most := 0.0
	for i, w := range weights {
		if w == 0 {
			w = mean
		}
		capped[i] = min(max(w, mean/maxRatio), mean*maxRatio)
		most = max(most, capped[i])
	}
	scaled := make([]uint16, len(weights))
	same := true
	for i, w := range capped {
		scaled[i] = uint16(math.Round(w / most * maxStride))
		same = same && scaled[i] == scaled[0]
	}
	if !same {
		s.weights = scaled
	}
	return s
}

// next takes places from the sequence until one is an index's turn. An index of
// the greatest weight takes part in every round, so a round is the most it
// passes over.
func (s *stride) next(sequence *atomic.Uint64) int {
	for {
		place := sequence.Add(1) - 1
		round := place / s.n
		i := place - round*s.n
		if s.weights == nil {
			return int(i)
		}
		w := uint64(s.weights[i])
		// Indices of the same weight begin half a stride apart, lest all pass
		// in the same round.
		if (w*round+i*(maxStride/2))%maxStride >= maxStride-w {
			return int(i)
		}
	}
}
