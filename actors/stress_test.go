package actors

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
)

// tagged is the seq-th message of a sender.
type tagged struct{ sender, seq int }

// ledger checks, as the actor, that each sender's messages come once and in
// order. It has no lock: the race detector then proves that the mailbox runs
// one message at a time.
type ledger struct {
	t    *testing.T
	next []int
	n    int
}

func (l *ledger) Receive(c actor.Context) {
	msg, ok := c.Message().(*tagged)
	if !ok {
		return
	}
	if want := l.next[msg.sender]; msg.seq != want {
		l.t.Errorf("sender %d: got message %d, want %d", msg.sender, msg.seq, want)
	}
	l.next[msg.sender] = msg.seq + 1
	l.n++
	if l.n%7 == 0 {
		runtime.Gosched()
	}
}

// TestNothingIsLostUnderLoad lets several senders race each other, inspectors
// and a stop at the end or in the middle.
func TestNothingIsLostUnderLoad(t *testing.T) {
	const senders, each = 4, 3000
	as := NewSystem(nil)
	var dead []int // per sender, in the order of publication
	var deadMu sync.Mutex
	as.EventStream.Subscribe(func(ev any) {
		if d, ok := ev.(*actor.DeadLetterEvent); ok {
			if msg, ok := d.Message.(*tagged); ok {
				deadMu.Lock()
				defer deadMu.Unlock()
				dead[msg.sender]++
			}
		}
	})
	for _, d := range modes {
		for _, early := range []bool{false, true} {
			name := d.String()
			if early {
				name += " stopped early"
			}
			t.Run(name, func(t *testing.T) {
				dead = make([]int, senders)
				table := new(Table)
				l := &ledger{t: t, next: make([]int, senders)}
				r, err := Spawn[*tagged](as.Root, name, &Spec{
					Mode: d, Table: table, Size: func(any) int { return 1 }, Linger: 1,
					Describe: func(msg any) string { _ = msg.(*tagged).seq; return "" },
				}, l)
				if err != nil {
					t.Fatal(err)
				}
				stopped := r.Probe().Done()
				var senderGroup, inspectorGroup sync.WaitGroup
				var over atomic.Bool
				inspectorGroup.Go(func() {
					for !over.Load() {
						for _, p := range table.Snapshot() {
							p.Mailbox().Pending(10)
							p.Mailbox().Counters()
						}
						runtime.Gosched()
					}
				})
				for s := range senders {
					senderGroup.Go(func() {
						for i := range each {
							r.Tell(&tagged{s, i})
							if early && s == 0 && i == each/2 {
								r.Stop()
							}
							if i%32 == 0 {
								runtime.Gosched()
							}
						}
					})
				}
				senderGroup.Wait()
				for !early && r.Probe().Mailbox().Counters().Processed < senders*each {
					runtime.Gosched()
				}
				r.Stop()
				<-stopped
				over.Store(true)
				inspectorGroup.Wait()

				total := 0
				deadMu.Lock()
				for s, n := range dead {
					if got := l.next[s] + n; got != each {
						t.Errorf("sender %d: %d handled and %d dead of %d", s, l.next[s], n, each)
					}
					total += n
				}
				deadMu.Unlock()
				c := r.Probe().Mailbox().Counters()
				if c.Posted != senders*each || c.Processed != uint64(l.n) || c.DeadLettered != uint64(total) ||
					c.Depth != 0 || c.Bytes != 0 {
					t.Errorf("counters %+v, handled %d, dead %d", c, l.n, total)
				}
				if !early && total != 0 {
					t.Errorf("%d dead letters", total)
				}
				if table.Len() != 0 {
					t.Errorf("%d actors listed after the stop", table.Len())
				}
			})
		}
	}
}

// TestManyActorsTellEachOther is a ring in which every actor posts to two
// others while it runs: reentrancy, cycles and hand-over all at once.
func TestManyActorsTellEachOther(t *testing.T) {
	const n, hops = 8, 9
	for _, d := range modes {
		t.Run(d.String(), func(t *testing.T) {
			as := NewSystem(nil)
			refs := make([]Ref[any], n)
			var handled atomic.Int64
			over := make(chan struct{})
			const want = 1<<(hops+1) - 1
			for i := range refs {
				refs[i] = spawn(t, as, string(rune('a'+i)), &Spec{Mode: d}, func(c actor.Context) {
					msg, ok := c.Message().(*number)
					if !ok {
						return
					}
					if handled.Add(1) == want {
						close(over)
					}
					if msg.n > 0 {
						refs[(i+1)%n].Tell(&number{msg.n - 1})
						refs[(i+3)%n].Tell(&number{msg.n - 1})
					}
				})
			}
			refs[0].Tell(&number{hops})
			<-over
		})
	}
}
