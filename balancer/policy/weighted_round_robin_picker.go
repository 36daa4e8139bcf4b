package policy

import "sync/atomic"

// wrrPicker takes turns between READY endpoints by the schedule in force, which
// the policy exchanges as weights change: what RPCs wait for does not, so there
// is no new picker.
type wrrPicker struct {
	turns    []wrrTurn
	perCall  bool // RPCs' reports are wanted
	schedule atomic.Pointer[stride]
	sequence atomic.Uint64
}

type wrrTurn struct {
	picker Picker
	weight *endpointWeight
}

// Pick implements Picker.
func (p *wrrPicker) Pick(i *PickInfo) Pick {
	t := &p.turns[p.schedule.Load().next(&p.sequence)]
	pk := t.picker.Pick(i)
	switch {
	case !p.perCall || pk.Subchannel == nil:
	case pk.Done == nil:
		pk.Done = t.weight
	default:
		pk.Done = &weighedDone{t.weight, pk.Done}
	}
	return pk
}

// serves says whether the children in READY are those that p serves with.
func (p *wrrPicker) serves(in []*part) bool {
	if len(in) != len(p.turns) {
		return false
	}
	for i, pt := range in {
		is, ok := pt.state.Picker.(serving)
		was, okWas := p.turns[i].picker.(serving)
		if !ok || !okWas || is != was {
			return false
		}
	}
	return true
}

// weighedDone is for a child that wants to hear of the end too.
type weighedDone struct {
	weight *endpointWeight
	child  Done
}

// Done implements the picker's Done.
func (d *weighedDone) Done(s *Subchannel, i DoneInfo) {
	d.weight.Done(s, i)
	d.child.Done(s, i)
}
