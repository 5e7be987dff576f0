package lambda

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// Kind is the `kind` word of the application files of this platform.
const Kind = "LambdaApp"

// The stages. Users may write all but ROLLBACK.
const (
	stageSync    = "LAMBDA_SYNC"
	stageCanary  = "LAMBDA_CANARY_ROLLOUT"
	stagePromote = "LAMBDA_PROMOTE"
	stageBack    = "ROLLBACK"
)

// defaultAlias is the alias that PipeCD uses, so that teams that move keep theirs.
const defaultAlias = "Service"

// Words of the Lambda API that steps reason with.
const (
	latest           = "$LATEST"
	statePending     = "Pending"
	stateActive      = "Active"
	stateInactive    = "Inactive"
	stateFailed      = "Failed"
	updateInProgress = "InProgress"
	updateFailed     = "Failed"
	packageImage     = "Image"
	packageZip       = "Zip"
)

type tags = map[string]string

// desired is what the files of a commit declare: the Body of platform.Desired.
type desired struct {
	Name   string        `json:"name"`
	Alias  string        `json:"alias"`
	Config config        `json:"config"`
	Source source        `json:"source"`
	Tags   tags          `json:"tags,omitempty"`
	Settle time.Duration `json:"settle"`
}

// config is the configuration of a function or version, as far as a function manifest says it. Everything else is left as it
// is, and published along with it.
type config struct {
	Role           string            `json:"role"`
	Handler        string            `json:"handler,omitempty"`
	Runtime        string            `json:"runtime,omitempty"`
	Memory         int32             `json:"memory"`  // MB
	Timeout        int32             `json:"timeout"` // seconds
	Storage        int32             `json:"storage"` // MB of /tmp
	Environment    map[string]string `json:"environment,omitempty"`
	Layers         []string          `json:"layers,omitempty"`
	Architecture   string            `json:"architecture"`
	SecurityGroups []string          `json:"securityGroups,omitempty"`
	Subnets        []string          `json:"subnets,omitempty"`
}

// source is where code comes from: one of Image and Bucket is set.
type source struct {
	Image         string `json:"image,omitempty"`
	Bucket        string `json:"bucket,omitempty"`
	Key           string `json:"key,omitempty"`
	ObjectVersion string `json:"objectVersion,omitempty"`
}

// id names a source in a tag. Lambda does not tell where a zip came from, and keys of S3 may hold what a tag may not.
func (s source) id() string {
	h := sha256.Sum256([]byte(strings.Join([]string{s.Image, s.Bucket, s.Key, s.ObjectVersion}, "\n")))
	return hex.EncodeToString(h[:16])
}

// pack is the package type of a source.
func (s source) pack() string {
	if s.Image != "" {
		return packageImage
	}
	return packageZip
}

// version is $LATEST or a published version.
type version struct {
	ARN         string `json:"arn"`
	Number      string `json:"number"` // "$LATEST", or digits
	Description string `json:"description,omitempty"`
	Config      config `json:"config"`
	Package     string `json:"package"`
	Sha         string `json:"sha"`             // of the code, as AWS writes it
	Image       string `json:"image,omitempty"` // as it was given
	DeadLetters string `json:"deadLetters,omitempty"`
	State       string `json:"state"`
	StateReason string `json:"stateReason,omitempty"`
	Update      string `json:"update,omitempty"`
	UpdateWhy   string `json:"updateReason,omitempty"`
	Revision    string `json:"revision,omitempty"`
	Modified    string `json:"modified,omitempty"`
}

// busy says why a function cannot be changed right now, "" when it can.
func (v version) busy() string {
	switch {
	case v.State == statePending:
		return v.State
	case v.Update == updateInProgress:
		return v.Update
	}
	return ""
}

// broken says why a function cannot work, "" when it can.
func (v version) broken() string {
	switch {
	case v.State == stateFailed:
		return cmp.Or(v.StateReason, v.State)
	case v.Update == updateFailed:
		return cmp.Or(v.UpdateWhy, v.Update)
	}
	return ""
}

// alias is a name that invocations go to.
type alias struct {
	ARN         string             `json:"arn,omitempty"`
	Version     string             `json:"version"`
	Weights     map[string]float64 `json:"weights,omitempty"` // fractions of other versions
	Description string             `json:"description,omitempty"`
	Revision    string             `json:"revision,omitempty"`
}

// percent is the share of a version.
func (a *alias) percent(number string) float64 {
	if a == nil {
		return 0
	}
	rest := 1.0
	for _, w := range a.Weights {
		rest -= w
	}
	share := a.Weights[number]
	if number == a.Version {
		share += rest
	}
	return math.Round(share*1e6) / 1e4
}

// numbers lists the versions that have a share, the alias's own one first.
func (a *alias) numbers() []string {
	if a == nil {
		return nil
	}
	out := []string{a.Version}
	for _, n := range slices.Sorted(maps.Keys(a.Weights)) {
		if n != a.Version && a.Weights[n] > 0 {
			out = append(out, n)
		}
	}
	return out
}

// equal reports whether two aliases send everybody to the same versions.
func (a *alias) equal(b *alias) bool {
	if a == nil || b == nil {
		return a == b
	}
	for _, n := range append(a.numbers(), b.numbers()...) {
		if math.Abs(a.percent(n)-b.percent(n)) > 0.01 {
			return false
		}
	}
	return true
}

func (a *alias) text() string {
	if a == nil {
		return "no alias"
	}
	var parts []string
	for _, n := range a.numbers() {
		parts = append(parts, fmt.Sprintf("version %s %.4g %%", n, a.percent(n)))
	}
	return strings.Join(parts, ", ")
}

// function is a live function.
type function struct {
	ARN    string  `json:"arn"`
	Name   string  `json:"name"`
	Latest version `json:"latest"`
	Tags   tags    `json:"tags,omitempty"`
}

// snapshot is the live state of an application: the Body of platform.Live.
type snapshot struct {
	Account  string             `json:"account"` // account/region
	Function *function          `json:"function,omitempty"`
	Alias    *alias             `json:"alias,omitempty"`
	Versions map[string]version `json:"versions,omitempty"` // that the alias sends to
}

// serving is the version that the alias itself names, nil when there is none.
func (s *snapshot) serving() *version {
	if s.Alias == nil {
		return nil
	}
	if v, ok := s.Versions[s.Alias.Version]; ok {
		return &v
	}
	return nil
}
