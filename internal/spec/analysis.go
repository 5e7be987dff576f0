package spec

import "time"

// DefaultQueryTimeout limits one query of an analysis.
const DefaultQueryTimeout = 30 * time.Second

// AnalysisOptions are the options of ANALYSIS. Every check that is not taken from a template has its defaults filled in.
type AnalysisOptions struct {
	Duration         time.Duration
	RestartThreshold int
	Metrics          []AnalysisCheck
	Logs             []AnalysisCheck
	HTTPS            []AnalysisCheck
}

// AnalysisCheck is one metric, log or HTTP check; the fields of the other two stay empty.
type AnalysisCheck struct {
	// Template names a shared definition that replaces everything here but Timeout; AppArgs are its arguments.
	Template string
	AppArgs  map[string]string

	Interval, Timeout time.Duration
	// FailureLimit is how many failures are tolerated; one more fails the stage.
	FailureLimit int
	SkipOnNoData bool

	Provider, Query                       string
	Strategy, Deviation                   string
	Min, Max                              *float64
	CanaryArgs, BaselineArgs, PrimaryArgs map[string]string

	URL, Method, ExpectedResponse string
	ExpectedCode                  int
	// Headers are key and value pairs in the order of the file.
	Headers [][2]string
}

func readAnalysis(with *Object) *AnalysisOptions {
	a := &AnalysisOptions{}
	with.Duration("duration", &a.Duration)
	if n := with.Node("duration"); !n.Exists() || isZeroDuration(n) {
		with.Fail("duration", "for example duration: 10m", "an ANALYSIS stage needs a duration")
	}
	with.Int("restartThreshold", &a.RestartThreshold)
	for _, o := range with.Objects("metrics") {
		a.Metrics = append(a.Metrics, readMetric(o))
	}
	for _, o := range with.Objects("logs") {
		c := readCheck(o)
		o.String("provider", &c.Provider)
		o.String("query", &c.Query)
		a.Logs = append(a.Logs, c)
	}
	for _, o := range with.Objects("https") {
		a.HTTPS = append(a.HTTPS, readHTTPCheck(o))
	}
	return a
}

// readCheck decodes what the three sorts of check share.
func readCheck(o *Object) AnalysisCheck {
	c := AnalysisCheck{}
	t := o.Object("template")
	t.String("name", &c.Template)
	t.StringMap("appArgs", &c.AppArgs)
	o.Duration("interval", &c.Interval)
	o.DurationOr("timeout", &c.Timeout, DefaultQueryTimeout)
	o.Int("failureLimit", &c.FailureLimit)
	o.Bool("skipOnNoData", &c.SkipOnNoData)
	return c
}

func readMetric(o *Object) AnalysisCheck {
	c := readCheck(o)
	o.String("provider", &c.Provider)
	o.String("query", &c.Query)
	o.Enum("strategy", &c.Strategy, "THRESHOLD", "THRESHOLD", "PREVIOUS", "CANARY_BASELINE", "CANARY_PRIMARY")
	o.Enum("deviation", &c.Deviation, "EITHER", "EITHER", "HIGH", "LOW")
	expected := o.Object("expected")
	expected.FloatPtr("min", &c.Min)
	expected.FloatPtr("max", &c.Max)
	o.StringMap("canaryArgs", &c.CanaryArgs)
	o.StringMap("baselineArgs", &c.BaselineArgs)
	o.StringMap("primaryArgs", &c.PrimaryArgs)
	if c.Template != "" {
		return c
	}
	o.demand("provider", "query", "interval")
	if c.Strategy == "THRESHOLD" && c.Min == nil && c.Max == nil && !o.broken {
		o.Warn("expected", "give min, max or both", "without an expected range every check counts as a failure")
	}
	return c
}

func readHTTPCheck(o *Object) AnalysisCheck {
	c := readCheck(o)
	o.String("url", &c.URL)
	o.StringOr("method", &c.Method, "GET")
	o.Int("expectedCode", &c.ExpectedCode)
	o.String("expectedResponse", &c.ExpectedResponse)
	for _, h := range o.Objects("headers") {
		var pair [2]string
		h.String("key", &pair[0])
		h.String("value", &pair[1])
		c.Headers = append(c.Headers, pair)
	}
	if c.Template == "" && c.ExpectedCode == 0 && !o.broken {
		o.Warn("expectedCode", "for example expectedCode: 200", "without an expected code every check counts as a failure")
	}
	return c
}
