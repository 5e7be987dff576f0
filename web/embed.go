// Package web embeds the page as it was built by Vite. Without a build the
// bundle is empty and the server says so.
package web

import (
	"embed"
	"io/fs"
)

//go:embed all:dist
var files embed.FS

// Dist returns the built page with index.html at its root; it holds only the
// file .keep when the page was not built.
func Dist() fs.FS {
	dist, err := fs.Sub(files, "dist")
	if err != nil {
		panic(err) // the directory is part of the embedding above
	}
	return dist
}
