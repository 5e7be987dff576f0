package words

// fake has the sentences of internal/platform/fake.
var fake = map[string]string{
	"FAKE_ORDERED":   "the file asked for this failure[ at {step}]",
	"FAKE_STARTING":  "waiting for healthy instances[: {healthy} of {want}][ of set {set}]",
	"FAKE_NO_START":  "the instances never became healthy[ within {after}][: {detail}]",
	"FAKE_SETTLING":  "waiting until the routes apply the new weight",
	"FAKE_SPLIT":     "{share} % of the traffic goes to the canary",
	"FAKE_OTHERS":    "besides the main set there are sets with replicas: {sets}",
	"FAKE_SICK":      "instances of set {set} are unhealthy[, version {version}]",
	"FAKE_FOREIGN":   "somebody else changed the weights: expected {expected}, found {found}",
	"FAKE_DIFFERENT": "the live state is not what it was: expected {expected}, found {found}",
	"FAKE_NO_TARGET": "there is nothing to route to in group {group}",
}
