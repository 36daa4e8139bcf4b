package policy

// weightedPicker picks one of its pickers at random, each with its share. The
// shares lie side by side on a line from 0 to the sum of weights, and a random
// point on it picks. The line is cut into as many pieces of one width as there
// are shares, and for each piece is known which share it begins in: from there
// the share of a point is one step away on average, however many there are.
type weightedPicker struct {
	pickers []Picker
	ends    []uint64 // of the shares
	begin   []uint32 // of each piece: the share that its first point is in
	width   uint64   // of a piece
}

// newWeightedPicker makes a picker of at least one picker; weights are not 0.
func newWeightedPicker(pickers []Picker, weights []uint32) *weightedPicker {
	p := &weightedPicker{pickers: pickers, ends: make([]uint64, len(weights)), begin: make([]uint32, len(weights))}
	sum := uint64(0)
	for i, w := range weights {
		sum += uint64(w)
		p.ends[i] = sum
	}
	p.width = (sum-1)/uint64(len(weights)) + 1
	share := uint32(0)
	for i := range p.begin {
		for share < uint32(len(weights)-1) && p.ends[share] <= uint64(i)*p.width {
			share++
		}
		p.begin[i] = share
	}
	return p
}

// Pick implements Picker.
func (p *weightedPicker) Pick(info *PickInfo) Pick {
	return p.pickers[p.share(info.Rand()%p.ends[len(p.ends)-1])].Pick(info)
}

// share is the share that a point is in.
func (p *weightedPicker) share(point uint64) uint32 {
	i := p.begin[point/p.width]
	for p.ends[i] <= point {
		i++
	}
	return i
}
