package connfsm

import "container/list"

// parking is where Opens wait for a stream to end, in order of arrival.
type parking struct {
	queue *list.List // nil: nobody waits, nor did
	where map[any]*list.Element
}

func (p *parking) len() int {
	if p.queue == nil {
		return 0
	}
	return p.queue.Len()
}

func (p *parking) park(ref any) {
	if p.where == nil {
		p.queue = list.New()
		p.where = make(map[any]*list.Element)
	}
	if _, twice := p.where[ref]; twice {
		panic("connfsm: Open with a Ref that waits already")
	}
	p.where[ref] = p.queue.PushBack(ref)
}

// next takes the one that waits longest.
func (p *parking) next() any {
	ref := p.queue.Remove(p.queue.Front())
	delete(p.where, ref)
	return ref
}

func (p *parking) withdraw(ref any) {
	if e, ok := p.where[ref]; ok {
		p.queue.Remove(e)
		delete(p.where, ref)
	}
}
