package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v4"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/penstock-cd/penstock/internal/client"
	"github.com/penstock-cd/penstock/internal/deploy"
)

// verb is what every command that talks to a server shares: whom to talk to
// and how to print the answer.
type verb struct {
	s               streams
	context, server string
	insecure        bool
	format          string
}

// formats are the ways to print an answer.
var formats = []string{"table", "wide", "json", "yaml", "name"}

// leaf makes a command that talks to a server.
func (v *verb) leaf(use, short string, args cobra.PositionalArgs, do func(context.Context, *client.Client, []string) error) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: args}
	v.connectionFlags(cmd)
	cmd.Flags().StringVarP(&v.format, "output", "o", "table", strings.Join(formats, ", ")+" (ids only)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !slices.Contains(formats, v.format) {
			return usagef("-o %s is not one of %s", v.format, strings.Join(formats, ", "))
		}
		c, err := v.connect()
		if err != nil {
			return err
		}
		return do(cmd.Context(), c, args)
	}
	return cmd
}

func (v *verb) connectionFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&v.server, "server", "", "address of the control plane (PENSTOCK_SERVER)")
	f.StringVar(&v.context, "context", "", "name of the stored login to use")
	f.BoolVar(&v.insecure, "insecure", false, "permit plain http to another machine")
}

func (v *verb) logins() (string, client.Logins, error) {
	file, err := client.LoginsPath(v.s.Getenv)
	if err != nil {
		return "", client.Logins{}, err
	}
	l, err := client.LoadLogins(file)
	return file, l, err
}

func (v *verb) choose() (client.Login, error) {
	_, l, err := v.logins()
	if err != nil {
		return client.Login{}, err
	}
	x, err := l.Choose(client.Choice{Context: v.context, Server: v.server, Getenv: v.s.Getenv, Insecure: v.insecure, Now: v.s.Now()})
	if deploy.CodeOf(err) == deploy.CodeInvalid {
		err = usagef("%w", err)
	}
	return x, err
}

func (v *verb) connect() (*client.Client, error) {
	x, err := v.choose()
	if err != nil {
		return nil, err
	}
	return v.dial(x), nil
}

func (v *verb) dial(x client.Login) *client.Client {
	return client.New(client.Config{Server: x.Server, Token: x.Token, Version: programVersion()})
}

// forPeople tells whether a person reads the answer.
func (v *verb) forPeople() bool { return v.format == "table" || v.format == "wide" }

// object prints one message: as data, or its id, or as show does.
func (v *verb) object(m proto.Message, id string, show func()) error {
	switch v.format {
	case "json", "yaml":
		data, err := dataOf(m)
		if err != nil {
			return err
		}
		return v.data(data)
	case "name":
		fmt.Fprintln(v.s.Out, id)
	default:
		show()
	}
	return nil
}

// list prints messages: as data under a key, or their ids, or as a table.
func list[T proto.Message](v *verb, key string, items []T, id func(T) string, show func()) error {
	switch v.format {
	case "json", "yaml":
		all := make([]json.RawMessage, len(items))
		for i, m := range items {
			data, err := dataOf(m)
			if err != nil {
				return err
			}
			all[i] = data
		}
		data, err := json.Marshal(map[string][]json.RawMessage{key: all})
		if err != nil {
			return err
		}
		return v.data(data)
	case "name":
		for _, m := range items {
			fmt.Fprintln(v.s.Out, id(m))
		}
	default:
		show()
	}
	return nil
}

// dataOf encodes a message. Fields without a value are there, so that a script
// can rely on them.
func dataOf(m proto.Message) (json.RawMessage, error) {
	return protojson.MarshalOptions{EmitDefaultValues: true}.Marshal(m)
}

// data prints JSON in the chosen form. The bytes of protojson differ from
// build to build on purpose; indenting again makes them the same.
func (v *verb) data(raw json.RawMessage) error {
	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", "  "); err != nil {
		return err
	}
	if v.format == "json" {
		_, err := fmt.Fprintln(v.s.Out, out.String())
		return err
	}
	var n yaml.Node
	if err := yaml.Unmarshal(out.Bytes(), &n); err != nil {
		return err
	}
	blockStyle(&n)
	text, err := yaml.Marshal(&n)
	if err != nil {
		return err
	}
	_, err = v.s.Out.Write(text)
	return err
}

// blockStyle undoes the flow style of JSON; empty lists and maps keep it.
func blockStyle(n *yaml.Node) {
	if len(n.Content) > 0 || n.Kind == yaml.ScalarNode {
		n.Style = 0
	}
	for _, c := range n.Content {
		blockStyle(c)
	}
}

// table prints rows under a head, each column as wide as its widest cell on a
// terminal: a Japanese character takes two columns. Words are coloured after
// measuring, and no line ends in blanks.
func (s streams) table(head []string, rows [][]string) {
	widths := make([]int, len(head))
	for _, row := range append([][]string{head}, rows...) {
		for i := range row {
			row[i] = plain(row[i])
			widths[i] = max(widths[i], lipgloss.Width(row[i]))
		}
	}
	for r, row := range append([][]string{head}, rows...) {
		var b strings.Builder
		pad := 0
		for i, cell := range row {
			if cell == "" {
				cell = "-"
			}
			b.WriteString(strings.Repeat(" ", pad))
			pad = widths[i] - lipgloss.Width(cell) + 2
			if r > 0 {
				cell = s.paint(cell)
			}
			b.WriteString(cell)
		}
		fmt.Fprintln(s.Out, b.String())
	}
}

// facts prints names and values below each other; a fact without a value is left out.
func (s streams) facts(pairs ...string) {
	width := 0
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			width = max(width, lipgloss.Width(pairs[i]))
		}
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			continue
		}
		var lines []string
		for line := range strings.SplitSeq(strings.TrimRight(pairs[i+1], "\n"), "\n") {
			lines = append(lines, s.paint(plain(line)))
		}
		gap := strings.Repeat(" ", width-lipgloss.Width(pairs[i])+1)
		fmt.Fprintf(s.Out, "%s:%s%s\n", pairs[i], gap, strings.Join(lines, "\n"+strings.Repeat(" ", width+2)))
	}
}

// ago is how long something is past, in its largest unit; empty when it never was.
func (s streams) ago(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return age(s.Now().Sub(t.AsTime()))
}

func age(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", max(0, int(d.Seconds())))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

// span is a duration to the second; empty when it has not begun. What has not
// ended lasts until now.
func (s streams) span(from, to *timestamppb.Timestamp) string {
	if from == nil {
		return ""
	}
	end := s.Now()
	if to != nil {
		end = to.AsTime()
	}
	return seconds(end.Sub(from.AsTime()))
}

func seconds(d time.Duration) string {
	if d < 0 {
		d = 0
	}
	return d.Round(time.Second).String()
}

// instant is a time with how long it is past.
func (s streams) instant(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return t.AsTime().UTC().Format("2006-01-02 15:04:05 UTC") + " (" + s.ago(t) + " ago)"
}

// labelText renders labels in the form that -l takes.
func labelText(labels map[string]string) string {
	var out []string
	for k, v := range labels {
		out = append(out, k+"="+v)
	}
	slices.Sort(out)
	return strings.Join(out, ",")
}

// selector is the flag -l: k=v pairs that must all match.
type selector map[string]string

// String implements pflag.Value.
func (l selector) String() string { return labelText(l) }

// Set implements pflag.Value.
func (l selector) Set(text string) error {
	for pair := range strings.SplitSeq(text, ",") {
		k, v, ok := strings.Cut(pair, "=")
		if !ok || k == "" {
			return errors.New("write label=value, several separated by commas")
		}
		l[k] = v
	}
	return nil
}

// Type implements pflag.Value.
func (selector) Type() string { return "label=value" }
