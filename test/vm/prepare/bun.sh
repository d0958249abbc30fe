#!/bin/sh
# Fills a folder with Bun for a guest that cannot run this machine's, from the package of the npm registry that Bun itself installs.
#
#   usage: bun.sh TARGET VERSION OUT      TARGET: as in @oven/bun-TARGET; OUT: an empty folder, which gets the program, bun
#   exit:  0, or 1 with what npm said on stderr
set -eu

package=@oven/bun-$1@$2 out=$3
work=$(mktemp -d "$out/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

cd "$work"
npm pack --silent "$package" >log 2>&1 || {
  tail -n 5 log >&2
  echo "bun: npm could not get $package" >&2
  exit 1
}
tar -xzf ./*.tgz package/bin/bun
mv package/bin/bun "$out/bun"
