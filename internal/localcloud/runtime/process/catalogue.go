package process

import (
	"fmt"
	"os"
	"strings"

	"github.com/penstock-cd/penstock/internal/localcloud/demosvc"
)

// Program is what an image stands for.
type Program struct {
	Argv []string          // program and its first arguments; the container's command follows
	Env  map[string]string // a container's own variables win
	Dir  string            // working directory, "" for the parent's
}

// Catalogue maps image names to programs; false says there is no such image.
type Catalogue interface {
	Lookup(image string) (Program, bool)
}

// CatalogueFunc is a function as a catalogue.
type CatalogueFunc func(image string) (Program, bool)

// Lookup implements Catalogue.
func (f CatalogueFunc) Lookup(image string) (Program, bool) { return f(image) }

// DemoCatalogue knows the images demo:<version>: the current executable with
// the argument "task", which must run demosvc.Main.
func DemoCatalogue() (Catalogue, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("demo catalogue: %w", err)
	}
	return CatalogueFunc(func(image string) (Program, bool) {
		version, ok := strings.CutPrefix(image, "demo:")
		if !ok || version == "" {
			return Program{}, false
		}
		return Program{Argv: []string{self, "task"}, Env: map[string]string{demosvc.EnvVersion: version}}, true
	}), nil
}
