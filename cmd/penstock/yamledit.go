package main

import (
	"strings"

	"go.yaml.in/yaml/v4"
)

// find is where the value of a field stands in an object, -1 without it. Keys of files of AWS are read in either case.
func find(n *yaml.Node, key string) int {
	if n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if strings.EqualFold(n.Content[i].Value, key) {
				return i + 1
			}
		}
	}
	return -1
}

// at is what a path of fields leads to; an empty node where it ends before.
func at(n *yaml.Node, path ...string) *yaml.Node {
	for _, key := range path {
		i := find(n, key)
		if i < 0 {
			return &yaml.Node{}
		}
		if n = n.Content[i]; n.Kind == yaml.AliasNode {
			n = n.Alias
		}
	}
	return n
}

func text(n *yaml.Node, path ...string) string { return at(n, path...).Value }

func scalar(value string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value}
}

// put sets a text; objects on the way to it are made.
func put(n *yaml.Node, value string, path ...string) {
	for i, key := range path {
		at := find(n, key)
		if at < 0 {
			next := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
			n.Content = append(n.Content, scalar(key), next)
			at = len(n.Content) - 1
		}
		if i < len(path)-1 {
			if n = n.Content[at]; n.Kind == yaml.AliasNode {
				n = n.Alias
			}
			continue
		}
		was := n.Content[at]
		n.Content[at] = scalar(value)
		n.Content[at].LineComment = was.LineComment
	}
}

// drop removes a field.
func drop(n *yaml.Node, key string) {
	if i := find(n, key); i >= 0 {
		n.Content = append(n.Content[:i-1:i-1], n.Content[i+1:]...)
	}
}
