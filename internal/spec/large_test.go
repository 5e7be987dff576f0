package spec

import (
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestLargeFiles decodes files close to the size limit that are made to be slow to decode.
func TestLargeFiles(t *testing.T) {
	head := apiHead + "kind: ECSApp\nspec:\n"
	fill := func(format string) string {
		var b strings.Builder
		for i := 0; b.Len() < MaxBytes-200; i++ {
			b.WriteString(strings.ReplaceAll(format, "#", strconv.Itoa(i)))
		}
		return b.String()
	}
	for name, text := range map[string]string{
		"labels":       head + "  labels:\n" + fill("    k#: v\n"),
		"secrets":      head + "  encryption:\n    decryptionTargets: [a]\n    encryptedSecrets:\n" + fill("      k#: ''\n"),
		"unknown keys": head + fill("  pipelin#: v\n"),
		"stages":       head + "  pipeline:\n    stages:\n" + fill("    - {name: WAIT, with: {duration: 1m}}\n"),
		"stage ids":    head + "  pipeline:\n    stages:\n" + fill("    - {name: WAIT, id: stage-#-0}\n"),
		"bad stages":   head + "  pipeline:\n    stages:\n" + fill("    - {name: ECS_SYNCH}\n"),
		"patterns":     head + "  trigger:\n    onCommit:\n      paths:\n" + fill("      - a/**/#/*.md\n"),
		"same keys":    head + fill("  nAmE: x\n"),
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			_, warnings, err := ReadApplication("big.yaml", []byte(text))
			if took := time.Since(start); took > maxFuzzTime {
				t.Errorf("took %v", took)
			}
			if list, ok := err.(Errors); ok && len(list) > maxProblems+1 || len(warnings) > 2*(maxProblems+1) {
				t.Errorf("%d errors, %d warnings", len(list), len(warnings))
			}
		})
	}
}
