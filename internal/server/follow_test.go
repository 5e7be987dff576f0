package server

import "testing"

// A registration follows its file: the same application with its record, at another place. A place that belongs to somebody
// else is not taken, and a repeat of the report moves nothing more.
func TestARegistrationFollowsItsFile(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		p := r.join2("a", "one")
		web, api := p.register("web"), p.register("api")
		p.moved("", "A", web)
		was := r.application(web)
		to := due(web)
		to.Name, to.MovedPath, to.MovedFile = "web", "shop/web", "app.pipecd.yaml"
		res, err := p.head("A", "B", to)
		if err != nil || len(res.DeploymentIds) != 1 {
			r.Fatalf("%v %v", res, err)
		}
		now := r.application(web)
		if now.Path != "shop/web" || now.ConfigFile != "app.pipecd.yaml" || now.RegisteredAt.AsTime() != was.RegisteredAt.AsTime() || now.SyncState == "INVALID_CONFIG" {
			r.Errorf("the application is %v", now)
		}
		if again, err := p.head("A", "B", to); err != nil || len(again.DeploymentIds) != 1 || again.DeploymentIds[0] != res.DeploymentIds[0] {
			r.Errorf("a repeat: %v %v", again, err)
		}
		taken := due(api)
		taken.MovedPath, taken.MovedFile = "shop/web", "app.pipecd.yaml"
		if res, err := p.head("B", "C", taken); err != nil || len(res.DeploymentIds) != 0 {
			r.Errorf("%v %v", res, err)
		}
		other := r.application(api)
		if other.Path == "shop/web" || other.SyncState != "INVALID_CONFIG" {
			r.Errorf("the other application is %v", other)
		}
	})
}
