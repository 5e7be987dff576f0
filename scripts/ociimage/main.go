// Command ociimage writes a container image as an OCI layout
// (https://github.com/opencontainers/image-spec/blob/main/image-layout.md) without
// Docker: one layer of a prepared root file system, one with the program. The same
// files give the same digests. With -check it reads a layout back.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	var o options
	check := flag.String("check", "", "read this layout back, and write nothing")
	flag.StringVar(&o.rootfs, "rootfs", "", "directory with the root file system")
	flag.StringVar(&o.program, "program", "", "the program, a static binary")
	flag.StringVar(&o.out, "out", "", "directory to write")
	flag.StringVar(&o.arch, "arch", "amd64", "architecture of both")
	flag.StringVar(&o.version, "version", "dev", "tag")
	flag.Parse()
	var err error
	if *check == "" {
		*check, err = o.out, o.write()
	}
	if err == nil {
		var s summary
		if s, err = readBack(*check); err == nil {
			fmt.Printf("%s: %s, %d layers, %.1f MB, user %s\n", *check, s.digest, s.layers, float64(s.size)/1e6, s.user)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}
