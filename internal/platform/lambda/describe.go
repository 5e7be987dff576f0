package lambda

import (
	"maps"
	"strings"

	"github.com/penstock-cd/penstock/internal/platform/awsaccess"
	"github.com/penstock-cd/penstock/internal/spec"
)

// DescribeApplication implements spec.Describer.
func (*Platform) DescribeApplication(d *spec.Decoder, app *spec.Application) {
	decodeInput(d, app)
	for _, st := range app.Stages {
		if strings.HasPrefix(st.Name, "LAMBDA_") {
			decodeStage(d, st.Name, st.With)
		}
	}
}

// DescribeProvider implements spec.Describer.
func (*Platform) DescribeProvider(d *spec.Decoder, config spec.Node) { decodeProvider(d, config) }

// FieldTexts implements spec.Describer. The stages and their options are those of Stages.
func (p *Platform) FieldTexts() map[string]string {
	texts := map[string]string{
		"input":                          "What is deployed: the manifest of the function, and the alias through which it is reached.",
		"input.functionManifestFile":     "File with the function, relative to the application's folder.",
		"input.autoRollback":             "Take the way back when a deployment fails.",
		"input.alias":                    "Alias that users and triggers invoke; Penstock's own.",
		"quickSync":                      "Options of a deployment without a pipeline; there are none.",
		"provider.awsAPIPollingInterval": "Has no effect: how often is looked is the agent's.",
	}
	maps.Copy(texts, awsaccess.ProviderTexts("How long Lambda is given to take a changed alias over; Penstock's own."))
	for _, st := range p.Stages() {
		texts[st.Name] = st.Desc
		for _, o := range st.Options {
			texts[st.Name+"."+o.Name] = o.Desc
		}
	}
	return texts
}
