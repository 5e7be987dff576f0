package main

import (
	"strings"

	"github.com/penstock-cd/penstock/internal/spec"
)

// docsBase is where the documentation of this version is read.
const docsBase = "https://github.com/penstock-cd/penstock/blob/main/docs/"

// Pages and headings that findings link to; a test follows each.
const (
	docApplication = "reference/config-application.md"
	docPiped       = "reference/config-piped.md"
	docShared      = "reference/config-application.md#shared-files"
	docClaims      = "guide/lint.md#claims"
)

// explainer adds to findings what a reader needs: a hint, and where it is documented.
type explainer struct {
	shape *spec.Shape // of the file; nil when its kind is not known
	file  string      // the application or agent file
	piped bool
	// shared tells a file of the folder .pipe.
	shared bool
	// platform is the lower-case name of the application's platform.
	platform string
}

func newExplainer(kind spec.Kind, file, platform string, known map[spec.Kind]spec.Describer) explainer {
	shape, err := spec.Describe(kind, known)
	if err != nil {
		shape = nil
	}
	return explainer{shape: shape, file: file, piped: kind == spec.PipedFile, platform: strings.ToLower(platform)}
}

func (x explainer) explain(e spec.Error) (hint, doc string) {
	return x.hint(e), x.doc(e)
}

// hint is the finding's own, else what is known of the field.
func (x explainer) hint(e spec.Error) string {
	switch {
	case e.Hint != "":
		return e.Hint
	case strings.Contains(e.Message, "not active in this version"):
		return "remove it, or keep it for a later version"
	case e.Path == "":
		return "check brackets, quotes and indentation around this line"
	case e.File != x.file:
		return "the object has the form of the API that it is for"
	}
	if s := x.shape.At(e.Path); s != nil && s.Key != "" {
		return s.Hint()
	}
	return "compare with the fields in the documentation"
}

func (x explainer) doc(e spec.Error) string {
	if x.shared {
		return docShared
	}
	if x.piped {
		return docPiped + pipedHeading(e.Path)
	}
	if e.File != x.file {
		return docApplication + "#files-that-an-application-names"
	}
	at := func(prefix string) bool { return strings.HasPrefix(e.Path, prefix) }
	switch {
	case e.Path == "":
		return docApplication + "#values"
	case !at("spec"):
		return docApplication + "#kinds"
	case at("spec.pipeline"):
		return docApplication + "#stages"
	case at("spec.input"), at("spec.quickSync"), at("spec.plugins." + x.platform):
		if documented(x.platform) {
			return docApplication + "#" + x.platform
		}
		return docApplication + "#kinds"
	}
	return docApplication + "#generic-fields"
}

// documented tells whether the fields of a platform have a heading: those of every platform that describes them.
func documented(platform string) bool {
	for kind := range describers() {
		if strings.EqualFold(string(kind), platform+"App") {
			return true
		}
	}
	return false
}

func pipedHeading(path string) string {
	for prefix, heading := range map[string]string{
		"spec.git": "#git", "spec.repositories": "#repositories", "spec.platformProviders": "#platform-providers", "spec.cloudProviders": "#platform-providers",
	} {
		if path == prefix || strings.HasPrefix(path, prefix+".") || strings.HasPrefix(path, prefix+"[") {
			return heading
		}
	}
	return "#top-level"
}
