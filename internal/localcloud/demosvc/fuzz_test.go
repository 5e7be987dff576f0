package demosvc

import "testing"

// FuzzFromEnv holds that what a task is told is within its bounds or refused.
func FuzzFromEnv(f *testing.F) {
	f.Add("127.0.0.1:0", "10ms", "0.5", "true", "1")
	f.Add(",", "-1s", "NaN", "yes", "x")
	f.Add("a", "", "1e-400", "", "")
	f.Fuzz(func(t *testing.T, listen, latency, rate, never, code string) {
		env := map[string]string{EnvListen: listen, EnvLatency: latency, EnvErrorRate: rate, EnvNeverHealthy: never, EnvExitCode: code}
		c, err := FromEnv(func(name string) string { return env[name] })
		if err != nil {
			return
		}
		if len(c.Listen) == 0 || c.Behaviour.Latency < 0 || !(c.Behaviour.ErrorRate >= 0 && c.Behaviour.ErrorRate <= 1) {
			t.Errorf("%+v", c)
		}
	})
}
