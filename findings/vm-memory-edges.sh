#!/bin/sh
# A write to guest memory that fails has been half done, and a range that is there cannot be had as one slice: vm-memory
# 0.18.0 (crates.io).
#
# Guests place descriptors where they like: over the end of memory, or over the seam between two regions.
# Guess: write_obj of eight bytes of which four are outside fails and writes nothing; where check_range() says that a range
#   is there, get_slice() gives it.
# Happens: the error comes after four of the eight bytes, a torn value that the guest can see. Over a seam of adjacent regions
#   check_range, read_obj and write_obj work, but get_slice fails with an "invalid backend address".
# Seen:
#   write_obj over the end: Guest memory error: only used 4 bytes in 8 long buffer
#   the last four bytes: [136, 119, 102, 85]
#   over a seam: check_range true, write_obj true, read_obj 0x1122334455667788
#   get_slice over a seam: Guest memory error: invalid backend address
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
cd "$work"
mkdir src
cat >Cargo.toml <<'END'
[package]
name = "finding"
version = "0.0.0"
edition = "2021"
[dependencies]
vm-memory = { version = "=0.18.0", features = ["backend-mmap"] }
END
cat >src/main.rs <<'END'
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend, GuestMemoryMmap};

fn main() {
    let value: u64 = 0x1122_3344_5566_7788;
    let near = GuestAddress(0xffc);
    let one: GuestMemoryMmap = GuestMemoryMmap::from_ranges(&[(GuestAddress(0), 0x1000)]).expect("no memory");
    println!("write_obj over the end: {}", one.write_obj(value, near).expect_err("it was written"));
    println!("the last four bytes: {:?}", one.read_obj::<[u8; 4]>(near).expect("not readable"));

    let ranges = [(GuestAddress(0), 0x1000), (GuestAddress(0x1000), 0x1000)];
    let two: GuestMemoryMmap = GuestMemoryMmap::from_ranges(&ranges).expect("no memory");
    let there = two.check_range(near, 8);
    let written = two.write_obj(value, near).is_ok();
    let read = two.read_obj::<u64>(near).expect("not readable");
    println!("over a seam: check_range {there}, write_obj {written}, read_obj {read:#x}");
    println!("get_slice over a seam: {}", two.get_slice(near, 8).err().expect("there was a slice"));
}
END
cat >expected <<'END'
write_obj over the end: Guest memory error: only used 4 bytes in 8 long buffer
the last four bytes: [136, 119, 102, 85]
over a seam: check_range true, write_obj true, read_obj 0x1122334455667788
get_slice over a seam: Guest memory error: invalid backend address
END
CARGO_TARGET_DIR=target cargo build --quiet >log 2>&1 || { cat log >&2; exit 2; }
target/debug/finding >seen
cat seen
diff expected seen >&2 || { echo "the behaviour has changed" >&2; exit 1; }
