package change

import (
	"fmt"
	"strings"
)

// Empty reports whether there is no difference.
func (c Changes) Empty() bool { return len(c.Items) == 0 && c.Dropped == 0 }

// Count is how many differences there are, those left out included.
func (c Changes) Count() int { return len(c.Items) + c.Dropped }

// summaryItems is how many paths a summary names.
const summaryItems = 3

// Summary is one line for people: the first paths with their values, and how many more there are. Empty when nothing differs.
func (c Changes) Summary() string {
	var parts []string
	for i, it := range c.Items {
		if i == summaryItems {
			break
		}
		parts = append(parts, it.String())
	}
	if more := c.Count() - len(parts); more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(parts, "; ")
}

// String is one difference on one line, without a mark.
func (c Change) String() string {
	switch {
	case c.Op == Added:
		return c.Path + ": added " + oneLine(c.To)
	case c.Op == Removed:
		return c.Path + ": removed " + oneLine(c.From)
	case c.Masked && c.From == c.To:
		return c.Path + ": changed (value hidden)"
	}
	return c.Path + ": " + oneLine(c.From) + " → " + oneLine(c.To)
}

// Text renders one line per difference, marked + (added), - (removed) or ~ (changed).
func (c Changes) Text() string {
	mark := map[Op]string{Added: "+ ", Removed: "- ", Changed: "~ "}
	var b strings.Builder
	for _, it := range c.Items {
		b.WriteString(mark[it.Op] + it.String() + "\n")
	}
	if c.Dropped > 0 {
		fmt.Fprintf(&b, "  … and %d more\n", c.Dropped)
	}
	return b.String()
}

// Prefixed returns the changes with a prefix before each path, to join changes of several values.
func (c Changes) Prefixed(prefix string) Changes {
	out := Changes{Dropped: c.Dropped, Items: make([]Change, len(c.Items))}
	for i, it := range c.Items {
		it.Path = prefix + it.Path
		out.Items[i] = it
	}
	return out
}

func oneLine(s string) string {
	if s == "" {
		return `""`
	}
	return strings.NewReplacer("\n", "⏎", "\r", "").Replace(s)
}
