package wire

import (
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/penstock-cd/penstock/internal/deploy"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
)

// Listed renders a deployment as lists show it: without what only its own page
// needs.
func Listed(d deploy.Deployment) *penstockv1.Deployment {
	if d.Plan != nil {
		p := *d.Plan
		p.Claims, p.Notes = nil, nil
		d.Plan = &p
	}
	d.Stages = slices.Clone(d.Stages)
	for i := range d.Stages {
		st := &d.Stages[i]
		st.Options, st.Steps, st.Desc = nil, nil, ""
	}
	return Deployment(d)
}

// DeploymentSummary encodes what Listed renders: the same deployment is the
// same bytes with one version of the program.
func DeploymentSummary(d deploy.Deployment) ([]byte, error) {
	return proto.MarshalOptions{Deterministic: true}.Marshal(Listed(d))
}

// ReadDeploymentSummary decodes what DeploymentSummary encoded.
func ReadDeploymentSummary(b []byte) (*penstockv1.Deployment, error) {
	m := &penstockv1.Deployment{}
	return m, proto.Unmarshal(b, m)
}
