package words

// agent has the sentences of the codes that the agent itself gives.
var agent = map[string]string{
	"RETRYING":       "step {step} of {stage} could not be done and is tried again: {detail}",
	"FILE_WARNING":   "a remark about the files: {detail}",
	"EARLIER_HOLDER": "waiting {seconds} seconds: an earlier holder of the deployment may still be at work",
}
