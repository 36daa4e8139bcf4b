package resolver

import (
	"testing"
	"time"

	"google.golang.org/grpc/attributes"
	"google.golang.org/grpc/resolver"
)

// What counts as a change.
func TestWhatIsNews(t *testing.T) {
	at := attributes.New("k", 1)
	for name, tt := range map[string]struct {
		then Answer
		news bool
	}{
		"the same":             {Answer{Endpoints: endpoints("a", "b"), ServiceConfig: "{}"}, false},
		"another order":        {Answer{Endpoints: endpoints("b", "a"), ServiceConfig: "{}"}, false},
		"fewer":                {Answer{Endpoints: endpoints("a"), ServiceConfig: "{}"}, true},
		"none":                 {Answer{ServiceConfig: "{}"}, true},
		"one twice":            {Answer{Endpoints: endpoints("a", "a"), ServiceConfig: "{}"}, true},
		"one endpoint of both": {Answer{Endpoints: []resolver.Endpoint{{Addresses: []resolver.Address{{Addr: "a"}, {Addr: "b"}}}}, ServiceConfig: "{}"}, true},
		"another name":         {Answer{Endpoints: []resolver.Endpoint{endpoint(resolver.Address{Addr: "a", ServerName: "n"}), endpoint(resolver.Address{Addr: "b"})}, ServiceConfig: "{}"}, true},
		"another config":       {Answer{Endpoints: endpoints("a", "b"), ServiceConfig: "{ }"}, true},
		"no config":            {Answer{Endpoints: endpoints("a", "b")}, true},
		"a broken config":      {Answer{Endpoints: endpoints("a", "b"), ServiceConfig: "{}", ConfigErr: errBroken}, true},
		"attributes":           {Answer{Endpoints: endpoints("a", "b"), ServiceConfig: "{}", Attributes: at}, true},
		"endpoint attributes":  {Answer{Endpoints: []resolver.Endpoint{{Addresses: []resolver.Address{{Addr: "a"}}, Attributes: at}, endpoint(resolver.Address{Addr: "b"})}, ServiceConfig: "{}"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := &script{answer: Answer{Endpoints: endpoints("a", "b"), ServiceConfig: "{}"}}
			inBubble(t, "script:///x", s.builder(Schedule{Poll: time.Second}), func(l *listener) {
				l.count(1, 0)
				s.set(func(s *script) { s.answer = tt.then })
				time.Sleep(1200 * time.Millisecond)
				want := 1
				if tt.news {
					want = 2
				}
				l.count(want, 0)
			})
		})
	}
}
