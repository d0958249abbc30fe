# Sourced by the scripts that get packages of Debian: a view of APT of their own, with one architecture and one suite.
. "$(dirname "$0")/../../../scripts/private-apt.sh"

# fail WORDS: ends the script with them on stderr, after its own name
fail() {
  echo "$(basename "$0" .sh): $1" >&2
  exit 1
}

# open_view FOLDER ARCHITECTURE SUITE: makes the view, and reads its lists. The suite of backports has its main one beside it, and
# another architecture that of this machine.
open_view() {
  view=$1
  architectures=$([ "$2" = amd64 ] && echo amd64 || echo "$2,amd64")
  view_options="-o APT::Install-Recommends=0 -o APT::Architecture=$2 -o APT::Architectures=$architectures -o APT::Default-Release=$3"
  [ "$(debian_codename)" = bookworm ] || fail "this is not Debian 12 (bookworm), from whose APT sources the machine's are derived"
  mkdir -p "$view"
  : >"$view/nothing-installed"
  private_apt_sources "$view" "${3%-backports}" "$3" || fail "no APT source of Debian bookworm was found"
  # A source that is for one of this system's architectures is for any here.
  sed -i 's/^\(Architectures:\).*/\1 '"$(echo "$architectures" | tr , ' ')"'/; /^deb \[/s/arch=[^] ]*/arch='"$architectures/" "$view"/sources/*
  apt apt-get update || fail "apt-get could not read the lists of $3"
}

# apt COMMAND ARGUMENT...: apt-get or apt-cache in that view; what it says is told where it fails
apt() {
  command=$1
  shift
  # shellcheck disable=SC2086
  private_apt "$view" "$command" -o Dir::State::status="$view/nothing-installed" -o Acquire::Retries=3 $view_options "$@" 2>>"$view/log" ||
    { cat "$view/log" >&2 && return 1; }
}

# unpack TREE VERSIONS PACKAGE...: unpacks files into a tree, and adds each one's name and version to a list
unpack() {
  tree=$1 versions=$2
  shift 2
  # What base-files would have made: from Debian 13 on, packages bring their files below usr alone.
  for folder in bin sbin lib lib64; do
    mkdir -p "$tree/usr/$folder"
    [ -e "$tree/$folder" ] || ln -s "usr/$folder" "$tree/$folder"
  done
  for package in "$@"; do
    dpkg -x "$package" "$tree" || fail "dpkg could not unpack ${package##*/}"
    dpkg-deb --show "$package" >>"$versions"
  done
}

# run_tool TOOLS PROGRAM ARGUMENT...: a program of what tools.sh filled, under its own name and with its own libraries
run_tool() {
  root=$1/root
  program=$2
  shift 2
  for found in "$root/usr/bin/$program" "$root/usr/sbin/$program"; do [ ! -e "$found" ] || break; done
  "$root/lib64/ld-linux-x86-64.so.2" --library-path "$root/usr/lib/x86_64-linux-gnu" --argv0 "$program" "$found" "$@"
}
