package lambda

import (
	"strings"
	"time"

	"github.com/penstock-cd/penstock/internal/platform/awsaccess"
	"github.com/penstock-cd/penstock/internal/spec"
)

// defaultSettle is how long the parts of Lambda are given to take a changed alias over. Its API shows the new weights before
// all of them use it (Lambda developer guide, "eventually consistent"); seconds are enough.
const defaultSettle = 10 * time.Second

// provider is the `config` of a platform provider of type LAMBDA in the agent's file.
type provider = awsaccess.Provider

func providerOf(n spec.Node) (provider, error) {
	d := spec.NewDecoder()
	p := decodeProvider(d, n)
	_, err := d.Finish()
	return p, err
}

func decodeProvider(d *spec.Decoder, n spec.Node) provider {
	var poll time.Duration
	d.Object(n.WithLenient()).Duration("awsAPIPollingInterval", &poll) // the agent's own intervals count
	return awsaccess.DecodeProvider(d, n, defaultSettle)
}

// input is `input` of an application file; quickSync has no options.
type input struct {
	Manifest string
	Alias    string
}

func decodeInput(d *spec.Decoder, app *spec.Application) input {
	var in input
	o := d.Object(app.Input)
	o.StringOr("functionManifestFile", &in.Manifest, "function.yaml")
	back := true // read by spec; here only its type is checked
	o.Bool("autoRollback", &back)
	o.StringOr("alias", &in.Alias, defaultAlias)
	if in.Alias == latest || len(in.Alias) > 128 || strings.Trim(in.Alias, "0123456789") == "" || strings.Trim(in.Alias, nameLetters) != "" {
		o.Fail("alias", "for example alias: live", "must be 1 to 128 letters, digits, - and _, and not digits alone, found %q", in.Alias)
	}
	d.Object(app.QuickSync)
	return in
}

// nameLetters are what names of functions and aliases consist of.
const nameLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

// options are the resolved options of a stage.
type options struct {
	Percent int `json:"percent"` // share of the new version
}

// decodeStage reads the options of one stage of the pipeline.
func decodeStage(d *spec.Decoder, name string, with spec.Node) options {
	o := d.Object(with)
	o.Ignore("timeout", "skipOn")
	out := options{Percent: 100}
	if name == stagePromote {
		out.Percent = 0
		o.Percent("percent", &out.Percent)
		if out.Percent < 0 || out.Percent > 100 {
			o.Fail("percent", "for example percent: 20", "must be between 0 and 100, found %d", out.Percent)
		}
	}
	return out
}
