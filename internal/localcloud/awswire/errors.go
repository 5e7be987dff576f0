package awswire

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"

	"github.com/penstock-cd/penstock/internal/localcloud/awserr"
)

// errorBody renders a refusal: awsJson has __type and message, Query has ErrorResponse (both from the Smithy protocol specifications).
func errorBody(req *request, e *awserr.Error) []byte {
	if req.service.protocol == QueryXML {
		return xmlError(req, e)
	}
	if req.service.protocol == RESTJSON {
		return restError(e)
	}
	body, err := json.Marshal(map[string]string{"__type": e.Code, messageKey(req.service.signing): e.Message})
	if err != nil {
		return []byte(`{"__type":"InternalFailure"}`)
	}
	return body
}

// restError has the message under both spellings: Lambda's errors differ in it, and each client reads its own.
func restError(e *awserr.Error) []byte {
	fault := "User"
	if e.HTTPStatus() >= 500 {
		fault = "Service"
	}
	body, err := json.Marshal(map[string]string{"Type": fault, "message": e.Message, "Message": e.Message})
	if err != nil {
		return []byte(`{"Type":"Service"}`)
	}
	return body
}

func xmlError(req *request, e *awserr.Error) []byte {
	fault := "Sender"
	if e.HTTPStatus() >= 500 {
		fault = "Receiver"
	}
	var message bytes.Buffer
	if err := xml.EscapeText(&message, []byte(e.Message)); err != nil {
		message.Reset()
	}
	return fmt.Appendf(nil, `<ErrorResponse xmlns="%s"><Error><Type>%s</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>%s</RequestId></ErrorResponse>`,
		req.service.xmlns, fault, e.Code, message.String(), req.id)
}

// messageKey is the member of a modelled error that holds its text: the services differ in its case (their Smithy models).
func messageKey(service string) string {
	if service == "secretsmanager" {
		return "Message"
	}
	return "message"
}
