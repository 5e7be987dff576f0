package lambda

import (
	"maps"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// state is everything the control plane knows.
type state struct {
	Functions map[string]*function // by name
}

func newState() *state {
	return &state{Functions: map[string]*function{}}
}

// function is one function with its history.
type function struct {
	Name, ARN string
	Latest    *version
	Versions  map[string]*version // by number; never changed but for their state
	Newest    int                 // number of the newest version ever published
	Last      string              // number of the newest version that was not deleted
	Aliases   map[string]*alias
	URLs      map[string]*functionURL // by alias, "" for $LATEST
	Tags      map[string]string
	// Invoked counts invocations by version.
	Invoked map[string]int
}

// version is $LATEST or a published version.
type version struct {
	Config types.FunctionConfiguration
	Code   stored
	Key    string // of its instances
}

// stored is code as it was given.
type stored struct {
	Image, Bucket, Key, ObjectVersion string
	Zip                               []byte
}

type alias struct {
	Name, ARN, Version, Description, Revision string
	Weights                                   map[string]float64
}

type functionURL struct {
	ID, Qualifier, URL, Created string
	Auth                        types.FunctionUrlAuthType
	Mode                        types.InvokeMode
	Cors                        *types.Cors
}

// numbers lists the published versions, oldest first.
func (f *function) numbers() []string {
	out := slices.Collect(maps.Keys(f.Versions))
	slices.SortFunc(out, func(a, b string) int {
		x, _ := strconv.Atoi(a)
		y, _ := strconv.Atoi(b)
		return x - y
	})
	return out
}

// find gives a version by number, or $LATEST.
func (f *function) find(number string) *version {
	if number == "" || number == latest {
		return f.Latest
	}
	return f.Versions[number]
}

const latest = "$LATEST"
