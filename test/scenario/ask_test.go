package scenario

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
)

// ask asks about an application and compares the answer:
// ask APP KIND [commit=APP#N] [strategy=…] [limit=…] [by=…], then refused=CODE or text~WORD, same, want=STRATEGY.
func (s *script) ask(args []string) error {
	plain, set := split(args)
	m := &penstockv1.AskRequest{Application: plain[0], Kind: plain[1], Strategy: set["strategy"]}
	if ref := set["commit"]; ref != "" {
		_, d, err := s.deployment(ref)
		if err != nil {
			return err
		}
		m.Commit = d.Trigger.Commit.Hash
	}
	if l := set["limit"]; l != "" {
		d, err := time.ParseDuration(l)
		if err != nil {
			return err
		}
		m.Limit = durationpb.New(d)
	}
	by := set["by"]
	if by == "" {
		by = "eve" // who may read may ask
	}
	a, err := s.w.Ask(by, m)
	if err != nil {
		return err
	}
	if got := a.Refused.GetCode(); got != set["refused"] {
		return fmt.Errorf("refused is %q (%s)", got, a.Refused.GetText())
	}
	if want := set["want"]; want != "" && (a.Plan.GetStrategy() != want || len(a.Stages) == 0) {
		return fmt.Errorf("the plan is %s with %d stages", a.Plan.GetStrategy(), len(a.Stages))
	}
	for _, word := range plain[2:] {
		if want, ok := strings.CutPrefix(word, "text~"); ok && !strings.Contains(a.Text, want) || word == "same" && a.Text != "" {
			return fmt.Errorf("the difference is %q", a.Text)
		}
	}
	return nil
}
